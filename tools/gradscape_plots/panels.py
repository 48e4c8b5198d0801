"""What the figures of curves over training steps share."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .grids import Array
from .series import Group
from .style import GREY, draw_line, drawable, escape, robust_limits, set_step_axis, smooth


class Panel:
    """An axis to which curves over steps are added, and whose limits are set by all of them at the end."""

    def __init__(self, axes: Axes, log_x: bool = False, log_y: bool = False, records: int = 1):
        self.axes, self.log_x, self.log_y, self.records = axes, log_x, log_y, records
        self.curves: list[tuple[Array, Array, Group, float]] = []
        self.bands: list[tuple[Array, Array, Array, Group, float]] = []

    def add(self, steps: Array, values: Array, group: Group, width: float = 1.2) -> None:
        """Values of several runs [run, step]: their mean as a line, and where there are several their range in pale."""
        smoothed = np.stack([smooth(row, self.records) for row in np.atleast_2d(np.asarray(values, float))])
        if len(smoothed) > 1:
            self.bands.append((steps, np.nanmin(smoothed, 0), np.nanmax(smoothed, 0), group, 0.18))
        self.curves.append((steps, np.nanmean(smoothed, 0), group, width))

    def add_band(self, steps: Array, low: Array, high: Array, group: Group, alpha: float = 0.25) -> None:
        self.bands.append((steps, smooth(np.asarray(low, float), self.records),
                           smooth(np.asarray(high, float), self.records), group, alpha))

    def finish(self, limits: tuple[float, float] | None = None) -> None:
        """Draws everything; `limits` of the value axis, by default those of what is drawn."""
        axes = self.axes
        edges = [curve for _, curve, _, _ in self.curves] + [edge for _, low, high, *_ in self.bands for edge in (low, high)]
        low, high, _ = robust_limits(edges, self.log_y) if edges else (0.0, 1.0, 1.0)
        axes.set_yscale("log" if self.log_y else "linear")
        axes.set_ylim(*(limits or (low, high)))
        for steps, low_edge, high_edge, group, alpha in self.bands:
            axes.fill_between(steps, drawable(low_edge, axes), drawable(high_edge, axes), alpha=alpha, linewidth=0,
                              color=group.style["color"], zorder=2)
        for steps, curve, group, width in self.curves:
            draw_line(axes, steps, drawable(curve, axes), group.style, width, 3)
        every = [steps for steps, *_ in self.curves + self.bands if steps.size]
        if every:
            set_step_axis(axes, np.concatenate(every), self.log_x)
        else:
            axes.text(0.5, 0.5, "no values to show", transform=axes.transAxes, ha="center", color=GREY)


def grid_of_axes(rows: int, columns: int, size: tuple[float, float] | None, cell: tuple[float, float]) -> tuple[Figure, Array]:
    """A figure of rows × columns axes; `size` in inches, by default so much for each of them."""
    figure = Figure(figsize=size or (max(4.5, cell[0] * columns + 0.6), cell[1] * rows + 0.8))
    return figure, figure.subplots(rows, columns, squeeze=False)


def finish(figure: Figure, groups: list[Group], title: str | None, note: str = "") -> Figure:
    """Legend and note below the panels, title above them."""
    height, width = figure.get_figheight(), figure.get_figwidth()
    handles = [Line2D([], [], linewidth=1.6, **group.style) for group in groups]
    longest = max((len(group.label) for group in groups), default=1)
    columns = max(1, min(len(groups), int(width / (0.55 + 0.075 * longest))))
    rows = -(-len(groups) // columns)
    seeds = max((len(group.runs) for group in groups), default=1)
    if seeds > 1:
        note = "; ".join(part for part in (note, f"mean of up to {seeds} seeds, their range in pale") if part)
    if note:
        figure.text(0.5, 0.05 / height, note, ha="center", va="bottom", fontsize=7.5, color=GREY)
    figure.legend(handles, [escape(group.label) for group in groups], loc="lower center", ncol=columns, frameon=False,
                  borderaxespad=0.2, bbox_to_anchor=(0.5, (0.18 if note else 0.02) / height))
    if title:
        figure.text(0.5, 1 - 0.08 / height, escape(title), ha="center", va="top", fontsize=11)
    bottom = (0.12 + 0.2 * rows + (0.16 if note else 0)) / height
    for _ in range(2):  # the first pass changes the panels' sizes, and with them the tick labels
        figure.tight_layout(rect=(0, bottom, 1, 1 - (0.28 / height if title else 0)), pad=0.6, w_pad=1.0, h_pad=0.8)
    return figure
