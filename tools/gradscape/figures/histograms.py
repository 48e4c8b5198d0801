"""Distributions of activations and weights: over training as ridgelines, and at its end side by side."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from .axes import HUGE
from .files import Array, File, UsageError
from .layout import Cell, compose
from .options import figure
from .panels import Panel
from .series import Group, Places, choose_layers, gather_series, place_of
from .style import GREY, Look, Plot, escape

RIDGES = 10  # drawn, where no steps are asked for
MOMENTS = ("mean", "variance", "skewness", "kurtosis")


def schema_of(what: str) -> dict[str, tuple[str, ...]]:
    return {"bin": ("bin",), f"{what}_count": ("step", "layer", "bin"),
            **{f"{what}_{name}": ("step", "layer") for name in (*MOMENTS, "low", "high", "non_finite")}}


def density(file: File, what: str, row: int, at: int) -> tuple[Array, Array]:
    """Edges of a record's bins, and its density in them; nothing where it holds no finite value."""
    low, high, count = (file[f"{what}_{name}"][0, row, at] for name in ("low", "high", "count"))
    if high <= low:
        low, high = low - 0.5e-6 - 1e-6 * abs(low), low + 0.5e-6 + 1e-6 * abs(low)
    edges = np.linspace(low, high, count.size + 1)
    values = count / count.sum() / (edges[1] - edges[0])
    usable = np.isfinite(edges).all() and np.isfinite(values).all() and values.min() >= 0
    return (edges, values) if usable else (np.empty(0), np.empty(0))


def central_limits(records: list[tuple[File, int, list[int]]], what: str) -> tuple[float, float]:
    """Where nearly all of the values of (file, layer's place, rows) are: means ± 4 deviations, but no further than the
    extremes."""
    low, high = np.inf, -np.inf
    for file, at, rows in records:
        mean, deviation = file[f"{what}_mean"][0, rows, at], np.sqrt(file[f"{what}_variance"][0, rows, at])
        lows = np.maximum(file[f"{what}_low"][0, rows, at], mean - 4 * deviation)
        highs = np.minimum(file[f"{what}_high"][0, rows, at], mean + 4 * deviation)
        usable = (np.abs(lows) < HUGE) & (np.abs(highs) < HUGE)
        if usable.any():
            # A few records may lie far outside: the limits are those of most.
            low, high = min(low, np.percentile(lows[usable], 10)), max(high, np.percentile(highs[usable], 90))
    return (float(low), float(high)) if high - low > 1e-9 * max(abs(low), abs(high)) else (-1.0, 1.0)


def ridges(file: File, what: str, at: int, rows: list[int], colour: str, limits: tuple[float, float]) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        for place, row in enumerate(rows):
            base = len(rows) - 1 - place  # the first step on top, later ones in front of it
            edges, values = density(file, what, row, at)
            if not values.size:
                axes.axhline(base, color=GREY, linewidth=0.5, linestyle=":")
                continue
            # Each ridge has its own height: a density that narrows would hide all others.
            line = base + 1.6 * values / values.max()
            axes.stairs(line, edges, baseline=base, fill=True, color=colour, alpha=0.35, zorder=2 + place)
            axes.stairs(line, edges, baseline=base, color=colour, linewidth=0.7, zorder=2 + place)
        axes.set_ylim(-0.2, len(rows) + 0.9)
        axes.set_xlim(*limits)
    return draw


def nothing(axes: Axes) -> None:
    axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center", color=GREY)


def chosen_rows(file: File, steps: list[int] | None) -> list[int]:
    known = file["step"].tolist()
    if steps:
        return [known.index(step) for step in steps if step in known]
    most = min(len(known), RIDGES)
    return sorted({round(i * (len(known) - 1) / max(most - 1, 1)) for i in range(most)})


def load(places: Places, look: Look, what: str) -> list[Group]:
    return gather_series(places, look, "distributions", schema_of(what))


def of_seeds(groups: list[Group]) -> list[str]:
    return ["of several seeds the first"] if any(group.seeds > 1 for group in groups) else []


@figure
def ridgelines(places: Places, look: Look, what: str = "activation", layers: list[str] | None = None,
               steps: list[int] | None = None, share_x: bool = False) -> Plot:
    """Histograms of activations or weights over training, a row for each variant and a column for each layer (Santurkar et
    al. 2018, figures 1, 2, 5, 9); of several seeds the first. x: value of an activation or weight, with share_x the same for
    the rows of a column; y: density at a training step, the first on top, each scaled to the same height. figure.numbers:
    moments of the last histogram."""
    groups = load(places, look, what)
    known = sorted({step for group in groups for step in group.files[0]["step"].tolist()})
    unknown = [step for step in steps or [] if step not in known]
    if unknown:
        raise UsageError(f"--steps: step {unknown[0]} was not recorded; there are {', '.join(map(str, known[:20]))}"
                         + (", …" if len(known) > 20 else ""))
    panels, numbers = [], []
    for column, layer in enumerate(choose_layers(groups, layers, 3)):
        records = [(group.files[0], place_of(group.files[0], layer), chosen_rows(group.files[0], steps)) for group in groups]
        there = [record for record in records if record[1] is not None and record[2]]
        for row, (group, (file, at, rows)) in enumerate(zip(groups, records)):
            panel = Panel(f"layer {layer.number}, {escape(group.label)}", what, "step", row=row, column=column)
            panels.append(panel)
            if at is None or not rows:
                panel.draw, panel.x_ticks, panel.y_ticks = nothing, {}, {}
                continue
            limits = central_limits(there if share_x else [(file, at, rows)], what)
            panel.draw = ridges(file, what, at, rows, group.style["color"], limits)
            panel.y_ticks = {len(rows) - 1 - place: str(int(file["step"][at])) for place, at in enumerate(rows)}
            numbers.append({"run": group.label, "layer": layer.number, **{
                name: float(file[f"{what}_{name}"][0, rows[-1], at]) for name in (*MOMENTS, "non_finite")}})
    panels.sort(key=lambda panel: panel.row)
    plot = compose(panels, groups, look, ["each ridge has its own height", *of_seeds(groups)], Cell(2.9, 1.9),
                   legend=patches(groups))
    plot.numbers = numbers
    return plot


def patches(groups: list[Group]) -> list[tuple[object, str]]:
    return [(Patch(facecolor=group.style["color"], alpha=0.35), escape(group.label)) for group in groups]


@figure
def weights(places: Places, look: Look, layers: list[str] | None = None) -> Plot:
    """The course's "weight distribution with and without BN": the histograms of each layer's weights at the last recorded
    step, side by side. x: value of a weight; y: density. The titles name the layers as PyTorch does, where networks differ
    in that each of its names. Of several seeds the first is drawn. figure.numbers: standard deviations."""
    groups = load(places, look, "weight")
    chosen = choose_layers(groups, layers, 12)
    panels, numbers = [], []
    for place, layer in enumerate(chosen):
        records = [(group, place_of(group.files[0], layer)) for group in groups]
        records = [(group, at) for group, at in records if at is not None]
        for group, at in records:
            numbers.append({"run": group.label, "layer": layer.number,
                            "deviation": float(np.sqrt(group.files[0]["weight_variance"][0, -1, at]))})
        panels.append(Panel(f"layer {layer.number} ({escape(' / '.join(layer.names))})", "weight", "density",
                            side_by_side(records), column=place))
    steps = sorted({int(group.files[0]["step"][-1]) for group in groups})
    notes = [f"at the last recorded step, {' or '.join(map(str, steps))}", *of_seeds(groups)]
    if any(len(layer.names) > 1 for layer in chosen):
        notes.append("names of a layer in the networks in which it has different ones, joined by /")
    plot = compose(panels, groups, look, notes, Cell(2.6, 1.7), legend=patches(groups))
    plot.numbers = numbers
    return plot


def side_by_side(records: list[tuple[Group, int]]) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        for group, at in records:
            edges, values = density(group.files[0], "weight", -1, at)
            if values.size:
                axes.stairs(values, edges, fill=True, color=group.style["color"], alpha=0.3)
                axes.stairs(values, edges, color=group.style["color"], linewidth=0.9)
        axes.set_xlim(*central_limits([(group.files[0], at, [-1]) for group, at in records], "weight"))
    return draw
