"""Limits, ticks, lines and bands of an axis."""

from __future__ import annotations

import math
import re

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import FixedFormatter, FixedLocator, LogLocator, MaxNLocator, NullFormatter

from .files import Array
from .style import Style

HUGE = 1e100  # axes stop here: tick arithmetic overflows further out
SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def smooth(values: Array, records: int) -> Array:
    """Centred moving average over the finite values among `records` neighbours; what is not finite becomes NaN."""
    finite = np.isfinite(values)
    if not values.size or records == 1:
        return np.where(finite, values, np.nan)
    records = min(records, 2 * values.size)  # which covers all of them from everywhere
    middle = slice(records // 2, records // 2 + values.size)
    count = np.convolve(finite, np.ones(records))[middle]
    total = np.convolve(np.where(finite, values, 0), np.ones(records))[middle]
    return np.where(finite, total / np.maximum(count, 1), np.nan)


def wants_log(curves: list[Array]) -> bool:
    """Whether the largest of these values exceeds their median a hundredfold, and none is below 0."""
    values = np.concatenate([curve[np.isfinite(curve)].ravel() for curve in curves] or [np.zeros(0)])
    return bool(values.size and values.min() >= 0 and values.max() > 100 * np.median(values) > 0)


def robust_limits(curves: list[Array], log: bool) -> tuple[float, float, float]:
    """Limits of an axis, and the largest value. Values far above most of their curve's are left outside."""
    low, high, top = HUGE, -HUGE, -HUGE
    for curve in curves:
        values = curve[np.isfinite(curve) & ((curve > 0) | (not log))]
        top = max(top, float(values.max(initial=-HUGE)))
        values = values[np.abs(values) <= HUGE]
        reach = (1e20 if log else 50) * np.percentile(np.abs(values), 75) if values.size else 0
        values = values[np.abs(values) <= reach] if reach > 0 else values
        low, high = min(low, float(values.min(initial=HUGE))), max(high, float(values.max(initial=-HUGE)))
    if low > high:
        return (0.1, 1.0, top) if log else (0.0, 1.0, top)
    if log:
        return max(low / 1.3, high * 1e-20), high * 1.3, top
    pad = 0.06 * (high - low) or 0.06 * abs(high) or 0.5
    return (0.0 if 0 <= low < 0.3 * high else low - pad), high + pad, top


def drawable(values: Array, axes: Axes) -> Array:
    """Values as the renderer can take them: NaN for what is not finite, and pulled in where far outside of the axis."""
    low, high = axes.get_ylim()
    if axes.get_yscale() == "log":
        low, high = low * 1e-3, high * 1e3
    else:
        low, high = low - 100 * (high - low), high + 100 * (high - low)
    return np.where(np.isfinite(values), np.clip(values, low, high), np.nan)


def alone(values: Array) -> Array:
    """bool [T]: finite values without a finite neighbour, which neither a line nor an area would show."""
    valid = np.concatenate([[False], np.isfinite(values), [False]])
    return valid[1:-1] & ~valid[:-2] & ~valid[2:]


def draw_line(axes: Axes, step: Array, values: Array, style: Style, width: float, zorder: float) -> None:
    axes.plot(step, values, linewidth=width, zorder=zorder, **style)
    single = alone(values)
    if single.any():
        axes.plot(step[single], values[single], "o", markersize=3.5, color=style["color"], zorder=zorder)


def draw_band(axes: Axes, step: Array, low: Array, high: Array, style: Style, zorder: float, alpha: float = 0.3,
              edges: bool = True) -> None:
    """Fills between low and high, with faint edges or without; a gap where one of them is NaN."""
    low, high = low + 0 * high, high + 0 * low
    axes.fill_between(step, low, high, np.isfinite(low), color=style["color"], alpha=alpha, linewidth=0, zorder=zorder)
    for edge in (low, high) if edges else ():
        axes.plot(step, edge, linewidth=0.5, alpha=0.6, zorder=zorder, **style)
    single = alone(low)
    if single.any():
        axes.vlines(step[single], low[single], high[single], color=style["color"], linewidth=3.5, alpha=0.5, zorder=zorder)


# --- text and ticks ---

def text_width(renderer: RendererAgg, text: str, size: float) -> float:
    """Inches."""
    plain = text.replace(r"\$", "£")  # as wide as a dollar
    return renderer.get_text_width_height_descent(plain, FontProperties(size=size), "$" in plain)[0] / renderer.dpi


def wrapped(renderer: RendererAgg, text: str, size: float, width: float) -> str:
    """The text in lines of at most `width` inches; formulas stay whole, words that are too long do not."""
    lines = [""]
    for word in re.findall(r"(?:\\\$|\$[^$]*\$|[^\s$])+|\s*\n", text):
        if "\n" in word:
            lines.append("")
            continue
        together = f"{lines[-1]} {word}".strip()
        if text_width(renderer, together, size) <= width:
            lines[-1] = together
            continue
        lines += [""] if lines[-1] else []
        while "$" not in word and len(word) > 1 and text_width(renderer, word, size) > width:
            fits = max(1, int(len(word) * width / text_width(renderer, word, size)))
            lines[-1:], word = [word[:fits], ""], word[fits:]
        lines[-1] = word
    return "\n".join(lines)


def digits_of(step: float) -> int:
    """Digits behind the point that tell multiples of a round number apart."""
    return next((digits for digits in range(13) if abs(1 - round(step * 10**digits) / (step * 10**digits)) < 1e-6), 12)


def power_text(value: float, step: float) -> str:
    """As 2.5·10⁶: no offset stands beside the axis then."""
    exponent = math.floor(math.log10(abs(value)) + 1e-9)
    mantissa = f"{value / 10.0**exponent:.{digits_of(step / 10.0**exponent)}f}"
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    power = "10" + str(exponent).translate(SUPERSCRIPTS)
    return power if mantissa == "1" else f"{mantissa}·{power}".replace("-", "−")


def linear_ticks(low: float, high: float, most: int, whole: bool = False) -> dict[float, str]:
    """Position → text of up to `most` round numbers between the limits."""
    for bins in range(most, most + 4):  # one alone would not show the scale
        locator = MaxNLocator(nbins=bins, integer=whole, steps=[1, 2, 2.5, 5, 10], min_n_ticks=1)
        values = [float(value) for value in locator.tick_values(low, high) if low <= value <= high]
        if len(values) > 1:
            break
    largest = max(map(abs, values), default=0.0)
    step = min(np.diff(values), default=0.0) or largest or 1.0
    if 1e-3 <= largest < 1e5 or not largest:
        return {value: f"{value:.{digits_of(step)}f}".replace("-", "−") for value in values}
    return {value: power_text(value, step) if abs(value) > 1e-9 * largest else "0" for value in values}


def log_ticks(low: float, high: float, most: int) -> dict[float, str]:
    """Position → text of round numbers between the limits, at least two where `most` allows: decades, or parts of them."""
    first, last = math.floor(math.log10(low) - 1e-9), math.ceil(math.log10(high) + 1e-9)
    for parts in ((1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        values = [part * 10.0**power for power in range(first, last + 1) for part in parts]
        values = [value for value in values if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
        if 2 <= len(values) <= most:
            break
    if len(values) < 2:
        return linear_ticks(low, high, max(most, 2))
    values = values[::-(-len(values) // most)]
    if 1e-3 <= values[0] and values[-1] < 1e5:
        return {value: f"{value:.6g}" for value in values}
    return {value: power_text(value, value) for value in values}


def thinned(ticks: dict[float, str], most: int) -> dict[float, str]:
    return dict(sorted(ticks.items())[::max(1, -(-len(ticks) // most))])


def set_ticks(axes: Axes, which: str, renderer: RendererAgg, fixed: dict[float, str] | None = None,
              whole: bool = False) -> None:
    """Ticks of axis "x" or "y", as many as fit beside each other; of those `fixed`, if they are given."""
    axis = getattr(axes, which + "axis")
    low, high = sorted(axis.get_view_interval())
    box = axes.get_window_extent(renderer)
    length = (box.width if which == "x" else box.height) / renderer.dpi
    size = axis.get_major_ticks()[0].label1.get_size()
    for most in range(max(2, min(7, int(length / (0.35 if which == "x" else 0.24)))), 1, -1):
        if fixed is not None:
            ticks = thinned(fixed, most)
        elif axis.get_scale() == "log":
            ticks = log_ticks(low, high, most)
        elif axis.get_scale() == "symlog":  # step 0 keeps a place, left of the first positive step
            first = axis.get_transform().linthresh
            positive = log_ticks(first, high, max(most - 1, 2)) if high > 3 * first else {first: f"{first:g}"}
            ticks = ({0.0: "0"} if low <= 0 else {}) | positive
        else:
            ticks = linear_ticks(low, high, most, whole)
        if not overlapping(axis, ticks, which, renderer, size, length):
            break
    axis.set_major_locator(FixedLocator(list(ticks)))
    axis.set_major_formatter(FixedFormatter(list(ticks.values())))
    axis.set_minor_formatter(NullFormatter())
    if fixed is not None:
        axis.set_minor_locator(FixedLocator(list(fixed)))
    elif axis.get_scale() == "log":
        axis.set_minor_locator(LogLocator(subs="auto"))


def overlapping(axis, ticks: dict[float, str], which: str, renderer: RendererAgg, size: float, length: float) -> bool:
    transform = axis.get_transform().transform
    low, high = transform(np.array(sorted(axis.get_view_interval()), dtype=float))
    places = (transform(np.array(list(ticks), dtype=float)) - low) / (high - low) * length
    half = [(text_width(renderer, text, size) if which == "x" else size / 72) / 2 for text in ticks.values()]
    gap = 0.06 if which == "x" else 0.02
    pairs = sorted(zip(places, half))
    return any(a + left + gap > b - right for (a, left), (b, right) in zip(pairs, pairs[1:]))
