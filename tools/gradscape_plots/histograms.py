"""Distributions of activations and weights: over training as ridgelines, and at its end side by side."""

from __future__ import annotations


import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .analyses import Places, Size
from .grids import Array
from .panels import finish, grid_of_axes
from .series import Data, choose_layers, find_groups, load_series, place_of
from .style import GREY, escape, styled

RIDGES = 10  # drawn, where no steps are asked for


def density(data: Data, what: str, row: int, at: int) -> tuple[Array, Array]:
    """Edges of a record's bins, and its density in them; nothing where it holds no finite value."""
    low, high, count = (data[f"{what}_{name}"][row, at] for name in ("low", "high", "count"))
    total = count.sum()
    if not (np.isfinite(low) and np.isfinite(high) and total > 0):
        return np.empty(0), np.empty(0)
    if high <= low:
        low, high = low - 0.5e-6 - 1e-6 * abs(low), low + 0.5e-6 + 1e-6 * abs(low)
    edges = np.linspace(low, high, count.size + 1)
    return edges, count / total / (edges[1] - edges[0])


def central_limits(data: list[tuple[Data, int]], what: str, rows: list[list[int]]) -> tuple[float, float]:
    """Where nearly all of the values are: means ± 4 deviations, but no further than the extremes."""
    low, high = np.inf, -np.inf
    for (one, at), chosen in zip(data, rows):
        mean, deviation = one[f"{what}_mean"][chosen, at], np.sqrt(one[f"{what}_variance"][chosen, at])
        lows = np.maximum(one[f"{what}_low"][chosen, at], mean - 4 * deviation)
        highs = np.minimum(one[f"{what}_high"][chosen, at], mean + 4 * deviation)
        usable = np.isfinite(lows) & np.isfinite(highs)
        if usable.any():
            # A few records may lie far outside: the limits are those of most.
            low, high = min(low, np.percentile(lows[usable], 10)), max(high, np.percentile(highs[usable], 90))
    return (float(low), float(high)) if low < high else (-1.0, 1.0)


def draw_ridges(axes: Axes, data: Data, what: str, at: int, rows: list[int], colour: str) -> None:
    peak = 0.0
    shapes = [density(data, what, row, at) for row in rows]
    for edges, values in shapes:
        peak = max(peak, float(values.max(initial=0)))
    for place, (row, (edges, values)) in enumerate(zip(rows, shapes)):
        base = len(rows) - 1 - place  # the first step on top, later ones in front of it
        if not values.size:
            axes.axhline(base, color=GREY, linewidth=0.5, linestyle=":")
            continue
        # Each ridge has its own height: a density that narrows would hide all others.
        line = base + 1.6 * values / values.max()
        axes.stairs(line, edges, baseline=base, fill=True, color=colour, alpha=0.35, zorder=2 + place)
        axes.stairs(line, edges, baseline=base, color=colour, linewidth=0.7, zorder=2 + place)
    axes.set_ylim(-0.2, len(rows) + 0.9)
    axes.set_yticks(range(len(rows)), [str(int(data["step"][row])) for row in reversed(rows)])


def chosen_rows(data: Data, steps: list[int] | None) -> list[int]:
    known = data["step"].tolist()
    if steps:
        return [known.index(step) for step in steps if step in known]
    most = min(len(known), RIDGES)
    return sorted({round(i * (len(known) - 1) / max(most - 1, 1)) for i in range(most)})


def ridgelines(places: Places, what: str = "activation", layers: list[str] | None = None, steps: list[int] | None = None,
               labels: list[str] | None = None, title: str | None = None, size: Size = None) -> Figure:
    """Histograms of activations or weights over training, a row for each variant and a column for each layer (Santurkar et
    al. 2018, figures 1, 2, 5, 9); of several seeds the first. figure.numbers: moments of the last histogram."""
    groups = find_groups(places, labels)

    def draw() -> Figure:
        files = [load_series(group.runs[0], "distributions") for group in groups]
        chosen = choose_layers(files, layers, 3)
        figure, axes = grid_of_axes(len(groups), len(chosen), size, (2.9, 1.9))
        figure.numbers = []
        for column, layer in enumerate(chosen):
            for row, (group, (data, _)) in enumerate(zip(groups, files)):
                axis, at, rows = axes[row, column], place_of(data, layer), chosen_rows(data, steps)
                if at is None or not rows:
                    axis.text(0.5, 0.5, "not recorded", transform=axis.transAxes, ha="center", color=GREY)
                    continue
                draw_ridges(axis, data, what, at, rows, group.style["color"])
                axis.set_xlim(*central_limits([(data, at)], what, [rows]))
                figure.numbers.append({"run": group.label, "layer": layer.number,
                                       **{name: float(data[f"{what}_{name}"][rows[-1], at])
                                          for name in ("mean", "variance", "skewness", "kurtosis", "non_finite")}})
                if column == 0:
                    axis.set_ylabel(escape(group.label) + "\nstep")
                if row == 0:
                    axis.set_title(f"layer {layer.number}", loc="left")
        for axis in axes[-1]:
            axis.set_xlabel(what)
        return finish(figure, groups, title, "each ridge has its own height")

    return styled(draw)


def weights(places: Places, layers: list[str] | None = None, labels: list[str] | None = None, title: str | None = None,
            size: Size = None) -> Figure:
    """The course's "weight distribution with and without BN": the histograms of each layer's weights at the last recorded
    step, side by side as densities. figure.numbers: their deviations."""
    groups = find_groups(places, labels)

    def draw() -> Figure:
        files = [load_series(group.runs[0], "distributions") for group in groups]
        chosen = choose_layers(files, layers, 12)
        columns = min(4, len(chosen))
        figure, axes = grid_of_axes(-(-len(chosen) // columns), columns, size, (2.6, 1.7))
        figure.numbers = []
        for axis in axes.flat[len(chosen):]:
            axis.set_axis_off()
        for axis, layer in zip(axes.flat, chosen):
            found = []
            for group, (data, _) in zip(groups, files):
                at = place_of(data, layer)
                if at is None:
                    continue
                edges, values = density(data, "weight", -1, at)
                if values.size:
                    axis.stairs(values, edges, fill=True, color=group.style["color"], alpha=0.3)
                    axis.stairs(values, edges, color=group.style["color"], linewidth=0.9)
                found.append((data, at))
                figure.numbers.append({"run": group.label, "layer": layer.number,
                                       "deviation": float(np.sqrt(data["weight_variance"][-1, at]))})
            axis.set_xlim(*central_limits(found, "weight", [[-1]] * len(found)))
            axis.set_title(f"layer {layer.number} ({escape(layer.name)})", loc="left")
            axis.set_yticks([])
        return finish(figure, groups, title, "densities of weights at the last recorded step")

    return styled(draw)
