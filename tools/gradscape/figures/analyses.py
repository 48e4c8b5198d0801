"""Figures of what gradscape's analyses record over steps: internal covariate shift, drift, moments, theorem 4.1, and what
single layers and step sizes contribute to the landscape."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D

from .axes import HUGE, drawable, power_text
from .files import Array, Error, UsageError
from .grids import are_sizes, direction_of, load_grid, wanted_grid
from .layout import Cell, compose
from .options import figure
from .panels import Curves, Panel
from .series import Group, Layer, Places, choose_layers, gather, gather_series, of_layer
from .style import Look, Plot, StepLook, escape

LAYERS = 4  # drawn, where none are asked for
STEPS = 6
CELL = Cell(2.7, 1.9)
Rows = list[tuple[str, str, bool | None, tuple[float, float] | None]]  # name, axis label, logarithmic, limits


def by_layer(groups: list[Group], look: StepLook, layers: list[str] | None, rows: Rows, notes: list[str],
             add: Callable[[Curves, str, Group, Layer], dict[str, float] | None], first: int = 1) -> Plot:
    """A column for each layer, a row for each of `rows`. add(panel, row's name, group, layer) draws, and returns numbers."""
    panels, numbers = [], []
    for column, layer in enumerate(choose_layers(groups, layers, LAYERS, first)):
        entries: dict[str, dict[str, object]] = {}
        for row, (name, label, log, limits) in enumerate(rows):
            panels.append(Curves(look, f"layer {layer.number}", label, row, column, log, limits))
            for group in groups:
                found = add(panels[-1], name, group, layer)
                if found is not None:
                    entries.setdefault(group.label, {"run": group.label, "layer": layer.number}).update(found)
        numbers += entries.values()
    panels.sort(key=lambda panel: panel.row)  # letters run along the rows
    averaged = [f"moving averages over {look.records()} records"] if look.records() > 1 else []
    plot = compose(panels, groups, look, notes + averaged, CELL, look.facet == "variant")
    plot.numbers = numbers
    return plot


def mean_of(values: Array) -> float:
    return float(np.mean(values[np.isfinite(values)])) if np.isfinite(values).any() else float("nan")


def mean_of_seeds(groups: list[Group]) -> list[str]:
    return ["of several seeds the mean"] if any(group.seeds > 1 for group in groups) else []


def simple(mean: str) -> Callable[[Curves, str, Group, Layer], dict[str, float] | None]:
    """Draws the variable of the row's name; the number is the mean of `mean` over steps."""
    def add(panel: Curves, name: str, group: Group, layer: Layer) -> dict[str, float] | None:
        found = of_layer(group.files, name, layer)
        if found is None:
            return None
        panel.line(group, *found)
        return {f"mean_{name}": mean_of(found[1])} if name == mean else {}
    return add


@figure
def shift(places: Places, look: StepLook, layers: list[str] | None = None) -> Plot:
    """Internal covariate shift of single layers (Santurkar et al. 2018, definition 2.1, figure 3). x: training step; y: the
    distance ‖G − G'‖₂ and the cosine of a layer's gradient G before and G' after the layers below it took their step.
    Layer 1 has nothing below: it is drawn only where asked for. figure.numbers: mean cosines."""
    schema = {name: ("step", "layer") for name in ("shift_norm", "shift_cos")}
    groups = gather_series(places, look, "shift", schema)
    rows: Rows = [("shift_norm", r"$\Vert G - G'\Vert_2$", True, None), ("shift_cos", r"$\cos(G, G')$", False, (-1.05, 1.05))]
    notes = ["G, G': a layer's gradient before and after the layers below took their step"]
    if any(layer.number == 1 for layer in choose_layers(groups, layers, LAYERS, 2)):
        notes.append("layer 1: the shift is 0 by definition, as nothing lies below it")
    return by_layer(groups, look, layers, rows, notes, simple("shift_cos"), first=2)


@figure
def drift(places: Places, look: StepLook, layers: list[str] | None = None) -> Plot:
    """How far the activations' moments move in one step (Santurkar et al. 2018, figure 8). x: training step; y: root mean
    square, over a layer's units, of the change of a unit's mean and of its variance in one step, on the same batch.
    figure.numbers: mean drifts of the means."""
    schema = {name: ("step", "layer") for name in ("drift_mean", "drift_variance")}
    groups = gather_series(places, look, "distributions", schema)
    rows: Rows = [("drift_mean", "change of mean", True, None), ("drift_variance", "change of variance", True, None)]
    notes = ["root mean square over units, in one step, on the same batch"]
    return by_layer(groups, look, layers, rows, notes, simple("drift_mean"))


@figure
def moments(places: Places, look: StepLook, what: str = "activation", layers: list[str] | None = None) -> Plot:
    """Moments of a layer's activations or weights over training. x: training step; y: mean (in a band of one standard
    deviation), skewness, and kurtosis (3 for a normal distribution). figure.numbers: last means and deviations."""
    names = ("mean", "variance", "skewness", "kurtosis")
    schema = {f"{what}_{name}": ("step", "layer") for name in names}
    groups = gather_series(places, look, "distributions", schema)

    def add(panel: Curves, name: str, group: Group, layer: Layer) -> dict[str, float] | None:
        found = of_layer(group.files, f"{what}_{name}", layer)
        if found is None:
            return None
        if name != "mean":
            panel.line(group, found[0], np.nanmean(found[1], 0))
            return {}
        variance = of_layer(group.files, f"{what}_variance", layer)[1]
        deviation, middle = np.sqrt(np.nanmean(variance, 0)), np.nanmean(found[1], 0)
        panel.band(group, found[0], middle - deviation, middle + deviation, alpha=0.15)
        panel.line(group, found[0], middle)
        return {"last_mean": float(middle[-1]), "last_deviation": float(deviation[-1])}

    rows: Rows = [("mean", f"mean of {what}s", None, None), ("skewness", "skewness", False, None),
                  ("kurtosis", "kurtosis", None, None)]
    notes = [f"of all {what}s of a layer; bands: one standard deviation to each side", *mean_of_seeds(groups)]
    return by_layer(groups, look, layers, rows, notes, add)


@figure
def theorem(places: Places, look: StepLook, layers: list[str] | None = None) -> Plot:
    """What batch norm does to gradients by theorem 4.1, per layer (Santurkar et al. 2018). x: training step; y: the factor γ²/σ²
    by which batch norm scales a unit's squared gradient, and the share of it that the two projections remove,
    (⟨1, g⟩² + ⟨g, ŷ⟩²)/(m‖g‖²); lines: median over a layer's units, bands: quartiles. figure.numbers: means over steps of the
    medians."""
    schema = {"unit": ("unit",), "unit_layer": ("unit",), "factor": ("step", "unit"), "removed": ("step", "unit")}
    groups = gather_series(places, look, "theorem", schema)

    def add(panel: Curves, name: str, group: Group, layer: Layer) -> dict[str, float] | None:
        found = of_layer(group.files, name, layer)
        if found is None or not found[1].size:
            return None
        steps, units = found
        low, middle, high = np.nanpercentile(np.moveaxis(units, 1, 0).reshape(steps.size, -1), (25, 50, 75), axis=1)
        panel.band(group, steps, low, high)
        panel.line(group, steps, middle)
        return {f"{name}_median": mean_of(middle)}

    rows: Rows = [("factor", r"factor $\gamma^2/\sigma^2$", True, None), ("removed", "share removed", None, None)]
    notes = ["factor: what batch norm multiplies a unit's squared gradient ‖g‖² by",
             "share removed: the part of ‖g‖² along 1 and along the normalised input, which batch norm takes out of it",
             "median over a layer's units (of all seeds together), band: quartiles" if any(group.seeds > 1 for group in groups)
             else "median over a layer's units, band: quartiles"]
    return by_layer(groups, look, layers, rows, notes, add)


@figure
def layers(places: Places, look: StepLook, layers: list[str] | None = None) -> Plot:
    """What each layer contributes to the landscape, of a sweep with --per-layer true. x: training step; y: L2 norm of the layer's
    part of the gradient difference (band over the step sizes), and the largest β of the layer. figure.numbers: mean widths of
    the bands."""
    more = {"layer": ("layer",)} | {name: ("step", "alpha", "layer") for name in ("layer_grad_diff", "layer_beta")}
    groups = gather(places, look, wanted_grid(look.name), lambda run, file: load_grid(
        run, file, look.name, more, ", of a sweep with --per-layer true under another --name, or a run with sweep.layers = true"))

    def add(panel: Curves, name: str, group: Group, layer: Layer) -> dict[str, float] | None:
        found = of_layer(group.files, f"layer_{name}", layer)
        if found is None:
            return None
        steps, values = found[0], np.nanmean(found[1], 0)
        if name == "beta":
            panel.line(group, steps, np.nanmax(values, 1))
            return {}
        low, high = np.nanmin(values, 1), np.nanmax(values, 1)
        panel.band(group, steps, low, high, alpha=0.35, edges=True)
        return {"mean_grad_diff_width": mean_of(high - low)}

    rows: Rows = [("grad_diff", "gradient difference", None, None), ("beta", r"$\max_\eta\ \beta$", None, None)]
    notes = [f"bands: range over the {direction_of(groups).sizes}", *mean_of_seeds(groups)]
    return by_layer(groups, look, layers, rows, notes, add)


@figure
def step_sizes(places: Places, look: Look, steps: list[int] | None = None) -> Plot:
    """The gradient difference against the size of the step at single training steps (Santurkar et al. 2018, figure 11): a panel
    for each variant, a curve for each of `steps` (default: six of those probed, spread over training). x: size η of the step,
    with ticks where it was probed, of the optimiser's update its multiple; y: ‖∇L(θ − ηg) − g‖₂. Cells below the noise floor
    are left out; of several seeds the first is drawn. figure.numbers: the curves."""
    groups = gather(places, look, wanted_grid(look.name), lambda run, file: load_grid(
        run, file, look.name, {"grad_diff": ("step", "alpha")}))
    files = [group.files[0] for group in groups]
    known = sorted(set.intersection(*(set(file["step"].tolist()) for file in files)))
    if not known:
        raise Error("the runs have no probed step in common; sweep them with the same --steps")
    unknown = [step for step in steps or [] if step not in known]
    if unknown:
        raise UsageError(f"--steps: step {unknown[0]} was not probed; there are {', '.join(map(str, known[:20]))}"
                         + (", …" if len(known) > 20 else ""))
    spread = [known[round(i * (len(known) - 1) / (STEPS - 1))] for i in range(STEPS)] if len(known) > STEPS else known
    chosen = list(dict.fromkeys(steps or spread))
    colours = [to_hex(colour) for colour in colormaps["viridis"](np.linspace(0.05, 0.9, len(chosen)))]
    every = np.concatenate([file["grad_diff"][0].ravel() for file in files])
    every = every[np.isfinite(every) & (every > 0) & (every < HUGE)]
    limits = (every.min() / 1.5, every.max() * 1.5) if every.size else (0.1, 1.0)
    direction = direction_of(groups)
    panels, numbers = [], []
    for column, (group, file) in enumerate(zip(groups, files)):
        curves = []
        for step in chosen:
            at = int(np.flatnonzero(file["step"] == step)[0])
            sizes = file["alpha"] * (1 if file.attributes["direction"] == "update" or are_sizes(file) else file["lr"][0, at])
            curves.append((sizes, file["grad_diff"][0, at]))
            numbers.append({"run": group.label, "step": step, "eta": sizes.tolist(), "grad_diff": curves[-1][1].tolist()})
        panels.append(Panel(escape(group.label), direction.axis, rf"$\Vert\nabla L({direction.point}) - g\Vert_2$",
                            sizes_panel(curves, colours, limits), column=column, colour=group.style["color"],
                            x_ticks=probed(curves)))
    legend = [(Line2D([], [], color=colour, marker="o", markersize=3), f"step {step}") for step, colour in zip(chosen, colours)]
    notes = [*direction.notes, "cells below the noise floor are left out",
             *(["of several seeds the first"] if any(group.seeds > 1 for group in groups) else [])]
    plot = compose(panels, groups, look, notes, Cell(3.4, 2.4, 1.9), legend=legend)
    plot.numbers = numbers
    return plot


def sizes_panel(curves: list[tuple[Array, Array]], colours: list[str], limits: tuple[float, float]) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        axes.set_yscale("log")
        axes.set_ylim(*limits)
        axes.set_xscale("log")
        sizes = np.concatenate([sizes for sizes, _ in curves])
        sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
        axes.set_xlim(*((sizes.min() / 1.3, sizes.max() * 1.3) if sizes.size else (0.1, 1.0)))
        for (sizes, values), colour in zip(curves, colours):
            axes.plot(np.where(sizes > 0, sizes, np.nan), drawable(values, axes), "o-", markersize=3, linewidth=1.1, color=colour)
    return draw


def probed(curves: list[tuple[Array, Array]]) -> dict[float, str] | None:
    """Ticks at the sizes that were probed, where they are the same at all steps."""
    sizes = np.unique(np.concatenate([sizes for sizes, _ in curves]))
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
    if not sizes.size or sizes.size > len(curves[0][0]):
        return None
    return {size: f"{size:.4g}" if 1e-3 <= size < 1e5 else power_text(float(f"{size:.2g}"), 0.1 * size) for size in sizes.tolist()}
