"""Figures of what gradscape's analyses record: internal covariate shift, drift, moments, theorem 4.1, and what single
layers and step sizes contribute to the landscape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .grids import Array, Error
from .panels import Panel, finish, grid_of_axes
from .series import Data, Layer, choose_layers, find_groups, load_grid, load_series, place_of, stacked
from .style import escape, styled

Places = list[str | Path]
Size = tuple[float, float] | None
LAYERS = 4  # drawn, where none are asked for


def of_layer(runs: list[Data], name: str, layer: Layer) -> tuple[Array, Array] | None:
    """(steps, values [run, step]) of a layer; None where the runs do not have it."""
    at = place_of(runs[0], layer)
    if at is None:
        return None
    steps, values = stacked(runs, name)
    return steps, values[:, :, at]


def layer_columns(places: Places, kind: str, rows: list[tuple[str, str, bool]], layers: list[str] | None, smooth: int,
                  log_x: bool, labels: list[str] | None, title: str | None, size: Size, note: str = "",
                  mean: str | None = None, first: int = 1) -> Figure:
    """A column for each layer, a row for each (variable, axis label, log): curves over steps. figure.numbers: the mean of
    `mean` over the steps, of each run and layer. Where no layers are asked for, those from number `first` on count."""
    groups = find_groups(places, labels)

    def draw() -> Figure:
        files = [[load_series(run, kind) for run in group.runs] for group in groups]
        chosen = choose_layers([file for runs in files for file in runs], layers, LAYERS, first)
        figure, axes = grid_of_axes(len(rows), len(chosen), size, (2.9, 1.9))
        figure.numbers = []
        for column, layer in enumerate(chosen):
            for row, (name, label, log) in enumerate(rows):
                panel = Panel(axes[row, column], log_x, log, smooth)
                for group, runs in zip(groups, files):
                    found = of_layer([data for data, _ in runs], name, layer)
                    if found is None:
                        continue
                    panel.add(*found, group)
                    if name == mean:
                        figure.numbers.append({"run": group.label, "layer": layer.number,
                                               f"mean_{name}": float(np.nanmean(found[1]))})
                panel.finish((-1.05, 1.05) if name.endswith("cos") else None)
                if column == 0:
                    panel.axes.set_ylabel(label)
                if row == 0:
                    panel.axes.set_title(f"layer {layer.number}", loc="left")
        averaged = f"moving averages over {smooth} records" if smooth > 1 else ""
        return finish(figure, groups, title, "; ".join(part for part in (note, averaged) if part))

    return styled(draw)


def shift(places: Places, layers: list[str] | None = None, smooth: int = 1, log_x: bool = False,
          labels: list[str] | None = None, title: str | None = None, size: Size = None) -> Figure:
    """Internal covariate shift (Santurkar et al. 2018, definition 2.1, figure 3): norm of G - G' and cosine of G and G' of
    single layers. figure.numbers: mean cosines."""
    rows = [("shift_norm", r"$\Vert G - G'\Vert_2$", True), ("shift_cos", r"$\cos(G, G')$", False)]
    # Nothing lies before the first layer, so that nothing shifts there.
    return layer_columns(places, "shift", rows, layers, smooth, log_x, labels, title, size, mean="shift_cos", first=2)


def drift(places: Places, layers: list[str] | None = None, smooth: int = 1, log_x: bool = False,
          labels: list[str] | None = None, title: str | None = None, size: Size = None) -> Figure:
    """How far the activations' moments move in one step (Santurkar et al. 2018, figure 8): root mean square over a layer's
    units. figure.numbers: mean drifts of the means."""
    rows = [("drift_mean", "change of mean", True), ("drift_variance", "change of variance", True)]
    return layer_columns(places, "distributions", rows, layers, smooth, log_x, labels, title, size,
                         "root mean square over units, in one step, on the same batch", "drift_mean")


def moments(places: Places, what: str = "activation", layers: list[str] | None = None, smooth: int = 1, log_x: bool = False,
            labels: list[str] | None = None, title: str | None = None, size: Size = None) -> Figure:
    """Mean (in a band of one standard deviation), skewness and kurtosis of activations or weights over training."""
    groups = find_groups(places, labels)

    def draw() -> Figure:
        files = [[load_series(run, "distributions") for run in group.runs] for group in groups]
        chosen = choose_layers([file for runs in files for file in runs], layers, LAYERS)
        figure, axes = grid_of_axes(3, len(chosen), size, (2.9, 1.7))
        figure.numbers = []
        for column, layer in enumerate(chosen):
            for row, (name, label) in enumerate((("mean", "mean ± deviation"), ("skewness", "skewness"),
                                                 ("kurtosis", "kurtosis"))):
                panel = Panel(axes[row, column], log_x, False, smooth)
                for group, runs in zip(groups, files):
                    data = [data for data, _ in runs]
                    found = of_layer(data, f"{what}_{name}", layer)
                    if found is None:
                        continue
                    panel.add(*found, group)
                    if name == "mean":
                        _, variance = of_layer(data, f"{what}_variance", layer)
                        deviation, middle = np.sqrt(np.nanmean(variance, 0)), np.nanmean(found[1], 0)
                        panel.add_band(found[0], middle - deviation, middle + deviation, group, 0.15)
                        figure.numbers.append({"run": group.label, "layer": layer.number, "last_mean": float(middle[-1]),
                                               "last_deviation": float(deviation[-1])})
                panel.finish()
                if column == 0:
                    panel.axes.set_ylabel(label)
                if row == 0:
                    panel.axes.set_title(f"layer {layer.number}", loc="left")
        return finish(figure, groups, title, f"of {what}s")

    return styled(draw)


def theorem(places: Places, layers: list[str] | None = None, smooth: int = 1, log_x: bool = False,
            labels: list[str] | None = None, title: str | None = None, size: Size = None) -> Figure:
    """Theorem 4.1 of Santurkar et al. 2018 per layer over training: the factor γ²/σ² and the share of the gradient that
    the two projections remove; median over units, band of the quartiles. figure.numbers: means of the medians."""
    groups = find_groups(places, labels)

    def draw() -> Figure:
        files = [[load_series(run, "theorem") for run in group.runs] for group in groups]
        chosen = choose_layers([file for runs in files for file in runs], layers, LAYERS)
        figure, axes = grid_of_axes(2, len(chosen), size, (2.9, 1.9))
        figure.numbers = []
        for column, layer in enumerate(chosen):
            entry = {"layer": layer.number}
            for row, (name, label) in enumerate((("factor", r"$\gamma^2/\sigma^2$"), ("removed", "share removed"))):
                panel = Panel(axes[row, column], log_x, name == "factor", smooth)
                for group, runs in zip(groups, files):
                    data = runs[0][0]
                    at = place_of(data, layer)
                    if at is None:
                        continue
                    units = data[name][:, data["unit_layer"] == at]
                    with np.errstate(all="ignore"):
                        low, middle, high = np.nanpercentile(units, (25, 50, 75), axis=1)
                    panel.add(data["step"], middle, group)
                    panel.add_band(data["step"], low, high, group)
                    entry |= {"run": group.label, f"{name}_median": float(np.nanmean(middle))}
                panel.finish()
                if column == 0:
                    panel.axes.set_ylabel(label)
                if row == 0:
                    panel.axes.set_title(f"layer {layer.number}", loc="left")
            figure.numbers.append(entry)
        return finish(figure, groups, title, "median over a layer's units, band: quartiles")

    return styled(draw)


def layers(places: Places, layers: list[str] | None = None, smooth: int = 1, log_x: bool = False, log_y: bool = False,
           labels: list[str] | None = None, title: str | None = None, size: Size = None) -> Figure:
    """What each layer contributes to the landscape: band of its gradient difference, and its largest beta."""
    groups = find_groups(places, labels)
    mend = "sweep with --layers true under another --name, or run with sweep.layers = true"

    def draw() -> Figure:
        files = [[load_grid(run, ("layer", "layer_grad_diff", "layer_beta"), mend) for run in group.runs] for group in groups]
        chosen = choose_layers([file for runs in files for file in runs], layers, LAYERS)
        figure, axes = grid_of_axes(2, len(chosen), size, (2.9, 1.9))
        figure.numbers = []
        for column, layer in enumerate(chosen):
            panels = [Panel(axes[row, column], log_x, log_y, smooth) for row in range(2)]
            for group, runs in zip(groups, files):
                at = place_of(runs[0][0], layer)
                if at is None:
                    continue
                steps, difference = stacked([data for data, _ in runs], "layer_grad_diff")
                _, beta = stacked([data for data, _ in runs], "layer_beta")
                difference = np.nanmean(difference[..., at], 0)
                panels[0].add_band(steps, difference.min(1), difference.max(1), group, 0.35)
                panels[1].add(steps, beta[..., at].max(2), group)
                figure.numbers.append({"run": group.label, "layer": layer.number,
                                       "mean_grad_diff_width": float(np.nanmean(np.ptp(difference, 1)))})
            for panel, label in zip(panels, ("gradient difference", r"$\max_\eta\ \beta$")):
                panel.finish()
                if column == 0:
                    panel.axes.set_ylabel(label)
            panels[0].axes.set_title(f"layer {layer.number}", loc="left")
        return finish(figure, groups, title)

    return styled(draw)


def step_sizes(places: Places, steps: list[int] | None = None, labels: list[str] | None = None, title: str | None = None,
               size: Size = None) -> Figure:
    """The gradient difference against the size of the step at single training steps (Santurkar et al. 2018, figure 11): a
    panel for each variant, a curve for each of `steps` (default: six of those probed, spread over training)."""
    groups = find_groups(places, labels)

    def draw() -> Figure:
        data = [load_grid(group.runs[0], ("alpha", "lr", "grad_diff"), "merge again")[0] for group in groups]
        known = sorted(set.intersection(*(set(one["step"].tolist()) for one in data)))
        if not known:
            raise Error("the runs have no probed step in common; sweep them with the same --steps")
        unknown = [step for step in steps or [] if step not in known]
        if unknown:
            raise Error(f"--steps: step {unknown[0]} was not probed; there are {', '.join(map(str, known[:20]))}"
                        + (", …" if len(known) > 20 else ""))
        chosen = steps or [known[round(i * (len(known) - 1) / 5)] for i in range(6)] if len(known) > 6 else steps or known
        figure, axes = grid_of_axes(1, len(groups), size, (3.4, 2.8))
        colours = colormaps["viridis"](np.linspace(0.05, 0.9, len(chosen)))
        figure.numbers = []
        finite = np.concatenate([one["grad_diff"][np.isfinite(one["grad_diff"]) & (one["grad_diff"] > 0)] for one in data])
        for axis, group, one in zip(axes[0], groups, data):
            for step, colour in zip(chosen, colours):
                at = int(np.flatnonzero(one["step"] == step)[0])
                eta, difference = one["alpha"] * one["lr"][at], one["grad_diff"][at]
                axis.plot(eta, np.where(np.isfinite(difference), difference, np.nan), "o-", markersize=3, linewidth=1.1,
                          color=colour)
                figure.numbers.append({"run": group.label, "step": int(step), "eta": eta.tolist(),
                                       "grad_diff": difference.tolist()})
            axis.set_xscale("log")
            axis.set_yscale("log")
            if finite.size:
                axis.set_ylim(finite.min() / 1.5, finite.max() * 1.5)
            axis.set_title(escape(group.label), loc="left", color=group.style["color"])
            axis.set_xlabel(r"step size $\eta$")
        axes[0, 0].set_ylabel(r"$\Vert\nabla L(\theta - \eta g) - g\Vert_2$")
        height = figure.get_figheight()
        figure.legend([Line2D([], [], color=colour, marker="o", markersize=3) for colour in colours],
                      [f"step {step}" for step in chosen], loc="lower center", ncol=len(chosen), frameon=False)
        if title:
            figure.text(0.5, 1 - 0.08 / height, escape(title), ha="center", va="top", fontsize=11)
        figure.tight_layout(rect=(0, 0.32 / height, 1, 1 - (0.28 / height if title else 0)), pad=0.6, w_pad=1.0)
        return figure

    return styled(draw)


