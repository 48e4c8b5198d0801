"""The landscape along the gradient (Santurkar et al. 2018, figure 4) from gradscape's grid files."""

from __future__ import annotations

import numpy as np

from .axes import power_text
from .files import UsageError, shown
from .grids import BANDS, BELOW_NOISE, NOISE_MARGIN, NOT_DONE, Direction, Run, direction_of, load_landscape, summarise, wanted_grid
from .layout import Cell, compose
from .options import figure
from .panels import Curves
from .series import Places, gather
from .style import Look, Plot, StepLook

TITLES = {"loss": "loss landscape", "grad_norm": "gradient norm", "grad_diff": "gradient predictiveness",
          "beta": "effective β-smoothness", "set_loss": "loss of a fixed set"}
LINES = {"loss": ("train_loss", "line: training loss, which may lie outside of its band: that is over sizes above 0"),
         "grad_norm": ("train_grad_norm", "line: ‖g‖"),
         "set_loss": ("set_loss_at_theta", "line: its loss at θ, which may lie outside of its band")}
FACET_FROM = 4  # runs: more bands than three hide each other


@figure
def landscape(places: Places, look: StepLook, panels: list[str] | None = None) -> Plot:
    """The landscape along the gradient g (Santurkar et al. 2018, figure 4), probed at several step sizes η. x: training step;
    y: bands over the step sizes of the loss L(θ − ηg) (line: training loss L(θ)), the gradient norm ‖∇L(θ − ηg)‖₂ (line: ‖g‖)
    and the gradient difference ‖∇L(θ − ηg) − g‖₂ (dotted: 10 times the noise floor; differences below it are rounding, and
    their cells are left out of the bands; so are cells behind θ), and as a line the effective smoothness, the largest β(η) = gradient difference /
    distance. Of a sweep along another direction, that takes the place of g. Records with values that are not finite are gaps
    in the bands, ticks above the panels, and counted in the legend. Of several seeds: means, and in pale the range over all.
    figure.numbers: mean widths of the bands over the records with finite values, median and largest β."""
    chosen = panels or [name for name in TITLES if name != "set_loss"]
    for name in chosen:
        if name not in TITLES:
            raise UsageError(f"--panels: {shown(name)} is none of {', '.join(TITLES)}")
    groups = gather(places, look, wanted_grid(look.name), lambda run, file: load_landscape(run, file, look.name))
    runs = [Run(group) for group in groups]
    if panels is None and any(run.has("set_loss") for run in runs):
        chosen.insert(1, "set_loss")
    if panels is None and not any(run.has("grad_norm") for run in runs):  # an older file without it
        chosen.remove("grad_norm")
    if panels is None and not room_for_all(look):
        chosen = [name for name in chosen if name != "grad_norm"]
    direction = direction_of(groups)
    drawn = [draw_panel(look, name, runs, direction, column) for column, name in enumerate(chosen)]
    for run in runs:
        run.group.remarks += remarks(run)
    facet = look.facet == "variant" or (look.facet is None and len(groups) >= FACET_FROM)
    cell = Cell(1.9, 1.6, 1.6) if facet else Cell(2.75, 2.4, 2.25)
    plot = compose(drawn, groups, look, notes_of(runs, direction, look), cell, facet)
    plot.numbers = [summarise(run) for run in runs]
    plot.runs = runs
    return plot


def room_for_all(look: Look) -> bool:
    """Whether four panels fit into the size asked for."""
    width, height = look.dimensions()
    return not width or not height or width * height >= 14


def draw_panel(look: StepLook, name: str, runs: list[Run], direction: Direction, column: int) -> Curves:
    labels = {"loss": rf"$L({direction.point})$", "grad_norm": rf"$\Vert\nabla L({direction.point})\Vert_2$",
              "grad_diff": rf"$\Vert\nabla L({direction.point}) - g\Vert_2$",
              "set_loss": rf"$L_S({direction.point})$", "beta": rf"$\max_{{{direction.size}}}\ \beta({direction.size})$"}
    panel = Curves(look, TITLES[name], labels[name], column=column)
    edges = BANDS[name]
    line, note = LINES.get(name, ("", ""))
    outside = False
    for run in runs:
        group, steps = run.group, run.step
        if run.spread:
            panel.pale = True
            panel.band(group, steps, run.spread[edges[0]][0], run.spread[edges[-1]][1], alpha=0.15)
        if len(edges) == 2:
            panel.band(group, steps, run[edges[0]], run[edges[1]], alpha=0.3, edges=True)
        else:
            panel.line(group, steps, run[edges[0]], above=0.0)
        if line:
            panel.line(group, steps, run[line], width=0.9, above=1.0)
            outside |= bool(((run[line] < run[edges[0]]) | (run[line] > run[edges[1]])).any())
        if name == "grad_diff" and run.has_noise():
            panel.line(group, steps, run["noise"], width=0.9, above=1.0, linestyle=":", guide=True)
        if run.hidden().any():
            panel.gaps.append((group, steps[run.hidden()]))
    noise = [run["noise"] for run in runs if name == "grad_diff" and run.has_noise()]
    if noise:
        largest = np.nanmax(np.concatenate(noise))
        where = "dotted" if largest > panel.scale()[1] else f"below the axis (at most {largest:.2g})"
        note = f"{where}: {NOISE_MARGIN} × noise floor × ‖g‖; cells below that are left out"
    panel.note = note if outside or not line else note.split(",")[0]
    if name == "set_loss":
        panel.note = "; ".join(dict.fromkeys([panel.note, *(f"S: {run.on}" for run in runs if run.has(name))]))
    if name == "beta":
        panel.references = {run.group: reference_lines(run) for run in runs}
        if any(panel.references.values()):
            panel.note = "dashed, where within the axis: 2/lr, the edge of stability, and 1/η_min, where β saturates"
    return panel


def reference_lines(run: Run) -> dict[float, str]:
    """β → what it is: 2/lr, the edge of stability; 1/(smallest step size), where β saturates."""
    lr, alpha = run["lr"][np.isfinite(run["lr"])], run.alpha[run.alpha > 0]
    if not (lr.size and lr[0] > 0 and np.ptp(lr) <= 1e-9 * lr[0] and alpha.size and run.direction == "gradient"):
        return {}
    lines: dict[float, list[str]] = {}
    for value, label in ((2 / lr[0], r"$2/\mathrm{lr}$"), (1 / (alpha.min() * (1 if run.sizes else lr[0])), r"$1/\eta_{\min}$")):
        lines.setdefault(float(f"{value:.4g}"), []).append(label)
    return {value: "\n".join([f"{value:g}" if value < 1e5 else power_text(value, value / 100), *(f"= {label}" for label in labels)])
            for value, labels in lines.items()}


def remarks(run: Run) -> list[str]:
    """What the legend says of records that are not shown as they are."""
    counts = ((run.non_finite(), "non-finite"), (run.count(BELOW_NOISE), "below noise"), (run.count(NOT_DONE), "not done"))
    return ([f"{run.seeds} seeds"] if run.seeds > 1 else []) + \
        [f"{count} of {run.step.size} records {kind}" for count, kind in counts if count]


def notes_of(runs: list[Run], direction: Direction, look: StepLook) -> list[str]:
    grids = {", ".join(f"{alpha:g}" for alpha in np.sort(run.alpha)) for run in runs}
    known = len(grids) == 1 and len(min(grids)) <= 48
    name = "m" if direction.size == "m" else "η" if all(run.sizes for run in runs) else "η/lr"
    sizes = f"{name} ∈ {{{min(grids)}}}"
    known = known and len({run.sizes for run in runs}) == 1
    bands = f"bands: range over {direction.sizes}" + (f", {sizes}" if known and direction.size != "d" else "")
    averaged = [f"moving averages over {look.records()} records"] if look.records() > 1 else []
    return [bands, *direction.notes, *averaged]
