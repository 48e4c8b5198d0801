"""Panels: what is drawn on one axis, to be put together by layout.compose."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes

from .axes import HUGE, draw_band, draw_line, drawable, robust_limits, smooth, wants_log
from .files import Array
from .series import Group
from .style import GREY, StepLook


@dataclasses.dataclass(eq=False)
class Panel:
    """An axis at a row and column of the figure. `draw` puts everything on it but title, axis labels and ticks."""

    title: str
    xlabel: str
    ylabel: str
    draw: Callable[[Axes], None] = lambda axes: None
    row: int = 0
    column: int = 0
    note: str = ""  # what its lines mean
    x_ticks: dict[float, str] | None = None  # fixed ones, position → text
    y_ticks: dict[float, str] | None = None
    colour: str = "black"  # of the title
    letter: str = ""
    lift: int = 0  # points between axis and title
    rightmost: bool = True  # in its row
    projection: str | None = None  # "3d"
    twin: Axes | None = None  # a second value axis on the right, which `draw` made

    def marks(self) -> list[tuple[Group, str]]:
        """(group, "line" or "band") of what the legend must explain."""
        return []


@dataclasses.dataclass(eq=False)
class Item:
    """A line (low is None), or a band between low and high, over steps."""

    group: Group
    steps: Array
    low: Array | None
    high: Array
    width: float = 1.2  # of a line
    alpha: float = 0.25  # of a band
    edges: bool = False  # a band has faint lines at its edges
    linestyle: str = ""  # other than the group's
    above: float = 0.0  # in front of others by so much
    guide: bool = False  # a line that the axis need not show: it reaches no further than two decades for it

    def values(self) -> list[Array]:
        return [edge for edge in (self.low, self.high) if edge is not None]


class Curves(Panel):
    """A panel of lines and bands over training steps. Lower bands lie in front of higher ones, lines in front of bands."""

    def __init__(self, look: StepLook, title: str, ylabel: str, row: int = 0, column: int = 0, log: bool | None = None,
                 limits: tuple[float, float] | None = None, note: str = "", records: int | None = None):
        """`log`: the value axis by itself; None: where the values ask for it. `limits` of a linear one, by default those of
        what is drawn. `records`: of the moving average."""
        super().__init__(title, "training step", ylabel, self.put, row, column, note)
        self.log_x, self.records = look.log_x, records or look.records()
        self.log, self.limits = (log if look.log_y is None or log is False else look.log_y), limits
        self.items: list[Item] = []
        self.gaps: list[tuple[Group, Array]] = []  # steps with values that cannot be shown: ticks above the panel
        self.references: dict[Group, dict[float, str]] = {}  # value → what it is: lines across the panel
        self.pale = False  # whether ranges over seeds are drawn
        self.shared: tuple[bool, float, float, float] | None = None  # scale() of the panel that this one is a part of

    def line(self, group: Group, steps: Array, values: Array, **options: object) -> None:
        """Values of several runs [run, step]: their mean as a line, and where there are several their range in pale."""
        rows = np.stack([smooth(row, self.records) for row in np.atleast_2d(np.asarray(values, float))])
        if len(rows) > 1:
            self.pale = True
            self.items.append(Item(group, steps, np.nanmin(rows, 0), np.nanmax(rows, 0), alpha=0.18))
        self.items.append(Item(group, steps, None, np.nanmean(rows, 0), **({"above": 2.0} | options)))

    def band(self, group: Group, steps: Array, low: Array, high: Array, **options: object) -> None:
        self.items.append(Item(group, steps, smooth(np.asarray(low, float), self.records),
                               smooth(np.asarray(high, float), self.records), **options))

    def steps(self) -> Array:
        return np.concatenate([item.steps for item in self.items] or [np.zeros(0)])

    def marks(self) -> list[tuple[Group, str]]:
        return [(item.group, "line" if item.low is None else "band") for item in self.items]

    def scale(self) -> tuple[bool, float, float, float]:
        """(logarithmic, low, high, largest value) of the value axis."""
        if self.shared:
            return self.shared
        curves = [curve for item in self.items for curve in item.values() if not item.guide]
        log = wants_log(curves) if self.log is None else self.log
        low, high, top = robust_limits(curves, log)
        for item in self.items if log else ():
            levels = item.high[(item.high > 0) & (item.high < HUGE)]
            if item.guide and levels.size and levels.max() > low / 100:
                low = min(low, max(levels.min() / 1.3, low / 100))
        inside = [value for values in self.references.values() for value in values if low < value <= (3 if log else 1.3) * high]
        high = max([high, *((1.5 if log else 1.06) * value for value in inside)])
        return (log, *(self.limits if self.limits and not log else (low, high)), top)

    def of(self, group: Group, row: int, column: int) -> Curves:
        """The same with the items of one group, and the limits of all."""
        part = copy.copy(self)
        part.draw, part.row, part.column, part.shared = part.put, row, column, self.scale()
        part.items = [item for item in self.items if item.group is group]
        part.gaps = [gap for gap in self.gaps if gap[0] is group]
        return part

    def put(self, axes: Axes) -> None:
        log, low, high, top = self.scale()
        axes.set_yscale("log" if log else "linear")
        axes.set_ylim(low, high)
        heights = [np.median(item.high[np.isfinite(item.high)] if np.isfinite(item.high).any() else 0) for item in self.items]
        for item, height in zip(self.items, heights):
            style = item.group.style | ({"linestyle": item.linestyle} if item.linestyle else {})
            zorder = 2 + item.above + sum(height < other for other in heights) / len(heights)
            if item.low is None:
                draw_line(axes, item.steps, drawable(item.high, axes), style, item.width, zorder)
            else:
                draw_band(axes, item.steps, drawable(item.low, axes), drawable(item.high, axes), style, zorder, item.alpha, item.edges)
        for row, (group, steps) in enumerate(self.gaps):
            marks, = axes.plot(steps, np.full(steps.size, 1.03 + 0.035 * row), "|", markersize=4, color=group.style["color"],
                               clip_on=False, transform=axes.get_xaxis_transform())
            marks.set_in_layout(False)
        self.lift = 4 + 7 * len(self.gaps)
        groups = {item.group for item in self.items}
        shown = {value: text for group, values in self.references.items() if group in groups
                 for value, text in values.items() if low < value <= high}
        same = len({tuple(values) for values in self.references.values()}) == 1
        for at, (value, text) in enumerate(sorted(shown.items())):
            axes.axhline(value, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
            if len(shown) <= 2 and (self.rightmost or not self.shared or not same):
                beside = "center" if len(shown) == 1 else "top" if at == 0 else "bottom"  # away from each other
                axes.annotate(text, (1, value), (3, 0), va=beside, xycoords=("axes fraction", "data"),
                              textcoords="offset points", fontsize=rcParams["xtick.labelsize"], color=GREY)
        words = "no values to show" if top <= -HUGE else f"max: {top:.3g}" if top > high else ""
        if words:
            axes.text(0.98, 0.97, words, transform=axes.transAxes, ha="right", va="top", fontsize=rcParams["xtick.labelsize"], color=GREY, zorder=9,
                      bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1})


def over_steps(axes: Axes, first: float, last: float, linear_until: float | None) -> None:
    """The step axis that all panels of a figure share; log beyond `linear_until`, so that step 0 keeps a place."""
    if linear_until:
        axes.set_xscale("symlog", linthresh=linear_until, linscale=0.3)
        axes.set_xlim(first / 1.1, last * 1.1)
    else:
        margin = 0.01 * (last - first) or 0.5
        axes.set_xlim(first - margin, last + margin)
