"""Colours, line styles, axes and files that all figures share."""

from __future__ import annotations

import argparse
import os
import re
import tomllib
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .grids import Array, Error

Style = dict[str, str]
METADATA = {".png": {"Software": None}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}  # no dates: same bytes
HUGE = 1e100  # axes stop here: matplotlib's tick arithmetic overflows further out

# Okabe and Ito's colours, which stay apart for colour-blind readers, and two of Tol's. As in the paper batch norm is the
# reddish one.
BATCH_NORM, PLAIN, OTHERS = "#D55E00", "#0072B2", ("#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D")
COLOURS = {"batch norm": BATCH_NORM, "plain": PLAIN, "batch norm, noise": "#CC79A7", "plain, noise": "#56B4E9",
           "l1": "#009E73", "l2": "#E69F00", "linf": "#4D4D4D", "layer": "#882255", "group": "#117733"}
LINE_STYLES = ("-", "--", ":", "-.")  # for further runs of the same colour
GREY = "#6E6E6E"
STYLE = {"font.size": 9, "axes.titlesize": 9.5, "xtick.labelsize": 8, "ytick.labelsize": 8, "legend.fontsize": 9,
         "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.7, "xtick.major.width": 0.7,
         "ytick.major.width": 0.7, "axes.formatter.limits": (-4, 5), "axes.formatter.use_mathtext": True,
         "pdf.fonttype": 42, "svg.hashsalt": "gradscape"}


def kind_of(name: str) -> str:
    """"batch norm", "plain", or "" from the name of a run."""
    rest, plain = re.subn(r"none|plain|vanilla|(no|without)[-_ ]?(bn|batch\w*|norm\w*)", "", name.lower())
    batch_norm = re.search(r"bn|batch(?!.?(size|\d))", rest) is not None
    return "" if batch_norm == bool(plain) else "batch norm" if batch_norm else "plain"


def kind_by_config(config: str) -> str:
    """The same from a run's configuration: its norm, and whether there is noise behind it; "" where it is unknown."""
    try:
        model = tomllib.loads(config)["model"]
        norm = {"none": "plain", "batch": "batch norm"}.get(model["norm"], model["norm"])
    except (tomllib.TOMLDecodeError, KeyError):
        return ""
    return norm + (", noise" if model.get("noise") else "")


def styles_of(runs: list[tuple[str, str, str]]) -> list[Style]:
    """Colour and line style of each run, given as (label, variant, configuration); with and without batch norm, and every
    other norm, have their colours in every figure."""
    styles: list[Style] = []
    others = 0
    for label, variant, config in runs:
        kind = kind_by_config(config) or kind_of(label.split("/")[-1]) or kind_of(variant)
        color = COLOURS.get(kind, OTHERS[others % len(OTHERS)])
        others += kind not in COLOURS
        same = sum(style["color"] == color for style in styles)
        styles.append({"color": color, "linestyle": LINE_STYLES[same % len(LINE_STYLES)]})
    return styles


def smooth(values: Array, records: int) -> Array:
    """Centred moving average over the finite values among `records` neighbours; what is not finite becomes NaN."""
    finite = np.isfinite(values)
    records = min(records, 2 * values.size)  # which covers all of them from everywhere
    middle = slice(records // 2, records // 2 + values.size)
    count = np.convolve(finite, np.ones(records))[middle]
    total = np.convolve(np.where(finite, values, 0), np.ones(records))[middle] if records > 1 else values
    return np.where(finite, total / np.maximum(count, 1), np.nan)


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
        return low / 1.3, high * 1.3, top
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
    axes.plot(step[single], values[single], "o", markersize=3.5, color=style["color"], zorder=zorder)


def draw_band(axes: Axes, step: Array, low: Array, high: Array, style: Style, zorder: float) -> None:
    """Fills between low and high with faint edges; a gap where one of them is NaN."""
    low, high = low + 0 * high, high + 0 * low
    axes.fill_between(step, low, high, np.isfinite(low), color=style["color"], alpha=0.3, linewidth=0, zorder=zorder)
    for edge in (low, high):
        axes.plot(step, edge, linewidth=0.5, alpha=0.6, zorder=zorder, **style)
    single = alone(low)
    axes.vlines(step[single], low[single], high[single], color=style["color"], linewidth=3.5, alpha=0.5, zorder=zorder)


def set_step_axis(axes: Axes, steps: Array, log: bool) -> None:
    """Log: step 0 keeps a place, left of the first positive step."""
    steps = np.unique(steps).astype(float)
    if log and steps[-1] > 0:
        axes.set_xscale("symlog", linthresh=steps[steps > 0][0], linscale=0.3)
        axes.set_xlim(steps[0] / 1.1, steps[-1] * 1.1)
    else:
        margin = 0.01 * (steps[-1] - steps[0]) or 0.5
        axes.set_xlim(steps[0] - margin, steps[-1] + margin)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=[1, 2, 2.5, 5, 10]))
        if steps.size == 1:
            axes.set_xticks(steps, [f"{steps[0]:.0f}"])
    axes.set_xlabel("training step")


def escape(text: str) -> str:
    """A user's text for matplotlib, to which "$" starts a formula and a leading "_" hides a legend entry."""
    return re.sub(r"^_", " _", text.replace("$", r"\$"))


def save_figure(figure: Figure, path: Path, dpi: int) -> None:
    """Writes under a temporary name and renames, so that no half-written figure is ever visible."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    suffix = path.suffix.lower()
    try:
        figure.savefig(temporary, format=suffix[1:], dpi=dpi, metadata=METADATA[suffix])
        os.replace(temporary, path)
    except OSError as failure:
        raise Error(f"{path}: cannot be written ({failure.strerror or failure}); choose another place") from failure
    except ValueError as failure:
        raise Error(f"{path}: cannot be drawn ({failure}); try a smaller --size or --dpi") from failure
    finally:
        temporary.unlink(missing_ok=True)


def checked(pattern: str, convert, what: str):
    """A type for argparse: texts that match `pattern`, converted."""
    def parse(text: str):
        if not re.fullmatch(pattern, text):
            raise argparse.ArgumentTypeError(f"'{text}' is not {what}")
        return convert(text)
    return parse


def styled(draw):
    """Calls draw() with the project's style, whatever a matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        return draw()
