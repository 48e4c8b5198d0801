"""What a report shows: a figure for each kind of file in the run directories, as numbers for the page to draw."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import glob
import io
import math
import warnings
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from ..figures.files import Array, Error, File, named, read_file, text_of, wanted_file
from ..figures.grids import (BELOW_NOISE, NOT_DONE, Run, are_sizes, direction_of, load_grid, load_landscape, summarise, wanted_grid)
from ..figures.histograms import density, schema_of
from ..figures.series import (Group, Layer, Places, choose_layers, find_groups, gather, is_run, load_series, load_trace, of_layer, place_of, planned_steps, stacked)
from ..figures.style import Look, settings_of
from ..figures.surfaces import LABELS, Surface, load_surface, scale_of, wanted_surface
from .reduce import extreme_places, holes, kept_rows, nearest_rows, slider_steps
from .words import WORDS, plain

MOST_LAYERS = 12
HISTOGRAMS = 40  # steps of a slider over histograms, each of which has many numbers
SHOWN_HOLES = 200
MOST_CELLS = 20000  # of a plane


@dataclasses.dataclass
class Figure:
    """One figure. `choices`: what can be chosen of it, a list of (label, names) whose places a table's `choice` holds. A table is
    what is drawn of one run, and what its CSV holds."""

    kind: str  # series (lines over x), slices (curves at the step of a slider), surface
    words: str  # which of WORDS describe it
    title: str
    x: str
    choices: list[tuple[str, list[dict[str, object]]]]  # names: {"name", "y": axis title, "log"}
    tables: list[dict[str, object]] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    steps: list[int] = dataclasses.field(default_factory=list)  # places of the slider, where x is not the training step
    log_x: bool = False

    def document(self) -> dict[str, object]:
        return dataclasses.asdict(self) | {"about": WORDS[self.words][0], "caution": WORDS[self.words][1]}


class Report:
    """Collects the figures of the runs at the places. `labels` are the runs' names, in the order of their places in tables."""

    def __init__(self, places: Places):
        self.places = [places] if isinstance(places, str | Path) else list(places)
        self.groups: dict[str, Group] = {}
        self.figures: list[Figure] = []
        self.numbers: list[dict[str, object]] = []
        self.problems: list[str] = []

    def run(self, group: Group) -> int:
        self.groups.setdefault(group.label, group)
        return list(self.groups).index(group.label)

    def files(self, pattern: str) -> list[Path]:
        """At the places, in the runs in them, and in those of seeds or learning rates."""
        return [path for place in map(Path, self.places) for above in ("", "*/", "*/*/") for path in place.glob(above + pattern)]

    def names(self, kind: str) -> list[str]:
        """Of the sweeps, surfaces or analyses that the runs have: main first."""
        found = {path.stem.removeprefix(kind).removeprefix("-") or "main" for path in self.files(f"{kind}*.h5")
                 if path.stem == kind or path.stem.startswith(f"{kind}-")}
        return sorted(found, key=lambda name: (name != "main", name))

    def gathered(self, wanted: str, load: Callable[[Path, Path | None], File], runs: bool = True, quiet: bool = False) -> list[Group]:
        """The groups that have the file `wanted`, of "" all. A file that cannot be read is a problem, unless `quiet`: where not
        every file has what `load` asks for."""
        if wanted and not self.files(glob.escape(wanted)):
            return []
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                return gather(self.places, Look(), wanted, lambda run, file: load(run, file) if file or not wanted else None, runs)
        except Error as failure:
            said.write(str(failure))
            return []
        finally:
            for text in [] if quiet else said.getvalue().splitlines():
                self.notice(text.removeprefix("warning: "))

    def notice(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)

    def add(self, figure: Figure) -> None:
        """A figure with something to draw."""
        if figure.tables:
            self.figures.append(figure)


def table(run: int | None, choice: list[int], x: str, columns: dict[str, Array], draw: list[dict[str, str]], why: Array | None = None,
          name: str = "", whole: int = 0) -> dict[str, object]:
    """Columns float64 [T] over x [T], reduced to what a figure can show. `why`: text [T], the reason where there is no value.
    `run`: None of what belongs to all. `whole`: the last step planned, where there are to be more."""
    steps = columns[x]
    values = [columns[part] for each in draw for key, part in each.items() if key in ("low", "high", "y")]
    why = np.full(steps.size, "no value") if why is None else why
    gaps = holes(steps, [value for value in values if np.isfinite(value).any()] or values, why) if x == "step" else []
    if whole and steps.size and whole > steps[-1] + 1:
        gaps.append({"first": int(steps[-1]) + 1, "last": whole - 1, "why": "not trained yet", "from": int(steps[-1]), "to": whole - 1})
    rows = kept_rows([np.asarray(value, float) for value in values])
    return {"run": run, "choice": choice, "x": x, "name": name, "columns": {key: value[rows] for key, value in columns.items()},
            "draw": draw, "holes": gaps[:SHOWN_HOLES], "hole_count": len(gaps), "records": int(steps.size)}


def band(low: str, high: str, pale: bool = False) -> dict[str, str]:
    return {"type": "band", "low": low, "high": high} | ({"pale": "yes"} if pale else {})


def line(y: str, dash: str = "solid", name: str = "") -> dict[str, str]:
    return {"type": "line", "y": y, "dash": dash, "name": name}


def of_seeds(values: Array, name: str) -> tuple[dict[str, Array], list[dict[str, str]]]:
    """Of values [run, T] the mean as a line and, of several, the range in pale."""
    if len(values) == 1:
        return {name: values[0]}, [line(name)]
    finite = np.where(np.isfinite(values), values, np.nan)
    columns = {name: np.nanmean(finite, 0), f"{name}_least": np.nanmin(values, 0), f"{name}_largest": np.nanmax(values, 0)}
    return columns, [band(f"{name}_least", f"{name}_largest", True), line(name)]


def seeds_note(groups: list[Group]) -> list[str]:
    return ["Of several seeds the mean; in pale the range over the seeds."] if any(group.seeds > 1 for group in groups) else []


def titled(title: str, name: str, kind: str = "") -> str:
    """Of a figure of the analysis `name`, or of the sweep of that name with kind="sweep "."""
    return title if name == "main" else f"{title}, {kind}{plain(name)}"


def choice(name: str, y: str, log: bool = False) -> dict[str, object]:
    return {"name": name, "y": y, "log": log}


def layer_choice(layers: list[Layer]) -> tuple[str, list[dict[str, object]]]:
    return "layer", [{"name": f"{layer.number}: {plain(' / '.join(layer.names))}"} for layer in layers]


def wide(values: list[Array]) -> bool:
    """Whether an axis should be logarithmic: the largest exceeds the median a hundredfold, as in the figures."""
    every = np.abs(np.concatenate([value.ravel() for value in values] or [np.zeros(0)]))
    every = every[np.isfinite(every) & (every > 0)]
    return bool(every.size) and bool(every.max() > 100 * np.median(every))


# --- sweeps ---

QUANTITIES = {"loss": ("loss", "loss", "loss"), "grad_diff": ("gradient difference", "‖∇L(θ(η)) − g‖₂, loss/weight", "gradient difference"),
              "grad_norm": ("gradient norm", "‖∇L(θ(η))‖₂, loss/weight", "gradient norm"),
              "set_loss": ("loss of the fixed set", "loss of the set", "loss of the set")}


def reasons(run: Run) -> Array:
    """Text [T]: why a record has no band."""
    status = run.status
    words = np.full(run.step.size, "not finite", dtype=object)
    words[(status == BELOW_NOISE).all(1)] = "below the noise floor"
    words[(np.isnan(status) | (status == NOT_DONE)).any(1)] = "not done"
    return words


def sweeps(report: Report) -> None:
    for name in report.names("landscape"):
        groups = report.gathered(wanted_grid(name), lambda run, file: load_landscape(run, file, name))
        if not groups:
            continue
        runs = [Run(group) for group in groups]
        direction = direction_of(groups)
        there = [key for key in QUANTITIES if any(run.has(key) for run in runs)] or ["loss"]
        values = {key: [run[f"{key}_max"] for run in runs] for key in there}
        bands = Figure("series", "bands", titled("Bands of loss and gradient", name, "sweep "), "training step",
                       [("quantity", [choice(QUANTITIES[key][0], QUANTITIES[key][1], wide(values[key])) for key in there])])
        beta = Figure("series", "beta", titled("Effective β-smoothness", name, "sweep "), "training step", [("quantity", [choice("β", "largest β, loss/weight²", True)])])
        for run in runs:
            at, why = report.run(run.group), reasons(run)
            report.numbers.append(summarise(run))
            for place, key in enumerate(there):
                low, high = f"{key}_min", f"{key}_max"
                if not run.has(key) and key not in ("loss", "grad_diff"):
                    continue
                columns, draw = {"step": run.step, low: run[low], high: run[high]}, [band(low, high)]
                if run.seeds > 1:
                    columns |= {f"{low}_least": run.spread[low][0], f"{high}_largest": run.spread[high][1]}
                    draw.insert(0, band(f"{low}_least", f"{high}_largest", True))
                bands.tables.append(table(at, [place], "step", columns, draw, why))
            columns, draw = {"step": run.step, "beta_max": run["beta_max"]}, [line("beta_max")]
            if run.seeds > 1:
                columns |= {"beta_max_least": run.spread["beta_max"][0], "beta_max_largest": run.spread["beta_max"][1]}
                draw.insert(0, band("beta_max_least", "beta_max_largest", True))
            beta.tables.append(table(at, [0], "step", columns, draw, why))
        beta.tables += thresholds(report, runs)
        bands.notes = seeds_note(groups) + [f"The band is over the {direction.sizes}.", *map(sentence, direction.notes)]
        beta.notes = seeds_note(groups) + ["Dotted: 1/(smallest step size), where β saturates; dashed: 2/η, the edge of stability of gradient descent."]
        report.add(bands)
        step_sizes(report, name, runs)
        report.add(beta)


def thresholds(report: Report, runs: list[Run]) -> list[dict[str, object]]:
    """2/η and 1/(smallest step size) along the training, once where all runs have the same; along the optimiser's update there is
    no η."""
    found: dict[bytes, tuple[Run, dict[str, Array]]] = {}
    for run in runs:
        positive = run.alpha[run.alpha > 0]
        if run.direction == "update" or not positive.size:
            continue
        lr = np.where(run["lr"] > 0, run["lr"], np.nan)
        smallest = np.full(lr.shape, positive.min()) if run.sizes else positive.min() * lr
        columns = {"step": run.step, "saturation": 1 / smallest, "edge_of_stability": 2 / lr}
        found.setdefault(b"".join(column.tobytes() for column in columns.values()), (run, columns))
    draw = [line("saturation", "dot", "1/(smallest step size)"), line("edge_of_stability", "dash", "2/η")]
    return [table(report.run(run.group) if len(found) > 1 else None, [0], "step", columns, draw, name="threshold") | {"holes": []}
            for run, columns in found.values()]


def sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:].rstrip('.')}." if text else ""


def step_sizes(report: Report, name: str, runs: list[Run]) -> None:
    cells = ("step", "alpha")
    groups = report.gathered(wanted_grid(name), lambda run, file: load_grid(run, file, name, {"grad_diff": cells, "loss": cells}))
    if not groups:
        return
    direction = direction_of(groups)
    updates = {group.files[0].attributes["direction"] for group in groups} == {"update"}
    extremes = [int(run.step[at]) for run in runs for key in ("beta_max", "loss_max", "loss_min", "grad_diff_max", "grad_diff_min")
                for at in extreme_places(run[key])]
    figure = Figure("slices", "step_sizes", titled("Gradient difference against step size", name, "sweep "), "multiple of the update" if updates else "step size η", [
        ("quantity", [choice("gradient difference", "‖∇L(θ(η)) − g‖₂, loss/weight", True), choice("loss", "loss")])],
        steps=slider_steps([file["step"] for group in groups for file in group.files], extremes), log_x=True,
        notes=["Cells below the noise floor are left out.", *map(sentence, direction.notes)])
    for group in groups:
        for file in group.files:
            rows = nearest_rows(file["step"], figure.steps)
            scaled = not (are_sizes(file) or file.attributes["direction"] == "update")
            for seed in range(len(file["grad_diff"])):
                sizes = file["alpha"] * (file["lr"][seed, rows, np.newaxis] if scaled else np.ones((rows.size, 1)))
                label = f"seed {file['seed'][seed]}" if "seed" in file else plain(file.path.parent.name) if len(group.files) > 1 else ""
                for place, key in enumerate(("grad_diff", "loss")):
                    figure.tables.append({"run": report.run(group), "choice": [place], "name": label, "step": file["step"][rows],
                                          "size": sizes, key: file[key][seed, rows], "y": key, "mode": "lines+markers"})
    report.add(figure)


# --- training ---

TRACE = {"loss": ("loss", "loss", False), "accuracy": ("accuracy", "accuracy, %", False), "lr": ("learning rate", "learning rate η", False),
         "grad_norm": ("gradient norm", "‖g‖₂, loss/weight", True), "theta_norm": ("norm of the weights", "‖θ‖₂", False),
         "update_norm": ("norm of the update", "‖θ_{t+1} − θ_t‖₂, weight", True)}


def training(report: Report) -> None:
    if not report.files("trace"):
        return
    first, *more = TRACE
    groups = report.gathered("", lambda run, file: load_trace(run, file, first, more))
    found = [key for key in TRACE if any(key in file and np.isfinite(file[key]).any() for group in groups for file in group.files)]
    figure = Figure("series", "training", "Training and tests", "training step", [("quantity", [choice(*TRACE[key]) for key in found])])
    for place, key in enumerate(found):
        scale = 100 if key == "accuracy" else 1
        for group in groups:
            files, tested = ([file for file in group.files if name in file] for name in (key, f"test_{key}"))
            if not files:
                continue
            at = report.run(group)
            steps, values = stacked(files, key)
            columns, draw = of_seeds(scale * values, key)
            planned = max(planned_steps(run, group.config) for run in group.runs)
            made = table(at, [place], "step", {"step": steps} | columns, draw, np.where(np.isnan(values).all(0), "missing", "not finite"), whole=planned)
            made["holes"] = [hole | {"last": max(hole["last"], hole["to"] - 1)} if hole["why"] == "missing" else hole for hole in made["holes"]]
            figure.tables.append(made)
            if any(np.isfinite(file[f"test_{key}"]).any() for file in tested):
                steps, values = stacked(tested, f"test_{key}", "test_step")
                columns, draw = of_seeds(scale * values, f"test_{key}")
                draw[-1] |= {"dash": "dash", "name": "test", "markers": "yes"}
                figure.tables.append(table(at, [place], "test_step", {"test_step": steps} | columns, draw, name="test"))
    figure.notes = seeds_note(groups) + ["Solid: the step's batch; dashed with marks: the test images, in evaluation mode."]
    report.add(figure)


def cross_run(report: Report) -> None:
    schema = {"step": ("step",), "lr": ("lr",), "loss_min": ("step",), "loss_max": ("step",)}
    groups = report.gathered("runs.h5", lambda run, file: read_file(file, schema, f"write it again with: gradscape merge {run}"), runs=False)
    figure = Figure("series", "cross_run", "Band across learning rates", "training step", [("quantity", [choice("training loss", "training loss", True)])])
    for group in groups:
        file, = group.files
        figure.tables.append(table(report.run(group), [0], "step", {name: file[name][0] if name != "step" else file[name] for name in schema if name != "lr"},
                                   [band("loss_min", "loss_max")]))
        figure.notes.append(f"{plain(group.label)}: learning rates {', '.join(f'{rate:g}' for rate in file['lr'])}.")
    report.add(figure)


# --- layers ---

@dataclasses.dataclass
class Layered:
    """A figure of layers over training steps. rows: variable → (its name, axis title, logarithmic or as the values ask for)."""

    file: str
    words: str
    title: str
    rows: dict[str, tuple[str, str, bool | None]]
    first: int = 1  # layer
    units: bool = False  # rows [step, unit], not [step, layer]


LAYERED = (
    Layered("shift", "shift", "Internal covariate shift", {"shift_cos": ("cosine", "cos(G, G')", False),
                                                           "shift_norm": ("distance", "‖G − G'‖₂, loss/weight", True)}, first=2),
    Layered("distributions", "drift", "Drift of the activations", {"drift_mean": ("of means", "change of a unit's mean (rms)", True),
                                                                   "drift_variance": ("of variances", "change of a unit's variance (rms)", True)}),
    Layered("theorem", "theorem", "Theorem 4.1: what batch norm does to gradients", {
        "factor": ("factor", "γ²/σ²", True), "removed": ("share removed", "share of ‖g‖² removed", None)}, units=True))


def layered(report: Report, kind: Layered) -> None:
    schema = {row: ("step", "unit" if kind.units else "layer") for row in kind.rows} | (
        {"unit": ("unit",), "unit_layer": ("unit",)} if kind.units else {})
    for name in report.names(kind.file):
        groups = report.gathered(wanted_file(kind.file, name), lambda run, file: load_series(run, file, kind.file, schema, name))
        if groups:
            report.add(layered_figure(report, kind, titled(kind.title, name), groups))


def layered_figure(report: Report, kind: Layered, title: str, groups: list[Group]) -> Figure:
    layers = choose_layers(groups, None, MOST_LAYERS, kind.first)
    every = {name: [file[name] for group in groups for file in group.files] for name in kind.rows}
    figure = Figure("series", kind.words, title, "training step", [
        ("quantity", [choice(words, y, wide(every[name]) if log is None else log) for name, (words, y, log) in kind.rows.items()]),
        layer_choice(layers)],
        notes=["Line: median over a layer's units; band: quartiles. Of several seeds all units together."] if kind.units else seeds_note(groups))
    for row, name in enumerate(kind.rows):
        for column, layer in enumerate(layers):
            for group in groups:
                found = of_layer(group.files, name, layer)
                if found is None or not found[1].size:
                    continue
                steps, values = found
                columns, draw = quartiles(values, name) if kind.units else of_seeds(values, name)
                figure.tables.append(table(report.run(group), [row, column], "step", {"step": steps} | columns, draw))
    return figure


def quartiles(values: Array, name: str) -> tuple[dict[str, Array], list[dict[str, str]]]:
    """Of values [run, T, unit]."""
    low, middle, high = np.nanpercentile(np.moveaxis(values, 1, 0).reshape(values.shape[1], -1), (25, 50, 75), axis=1)
    columns = {f"{name}_quartile_1": low, f"{name}_median": middle, f"{name}_quartile_3": high}
    return columns, [band(f"{name}_quartile_1", f"{name}_quartile_3"), line(f"{name}_median")]


def layer_bands(report: Report) -> None:
    more = {"layer": ("layer",)} | {key: ("step", "alpha", "layer") for key in ("layer_grad_diff", "layer_beta")}
    for name in report.names("landscape"):
        groups = report.gathered(wanted_grid(name), lambda run, file: load_grid(run, file, name, more), quiet=True)  # few have sweep.layers
        layers = choose_layers(groups, None, MOST_LAYERS) if groups else []
        figure = Figure("series", "layers", titled("What single layers contribute", name, "sweep "), "training step", [
            ("quantity", [choice("gradient difference", "the layer's part of the gradient difference", True), choice("β", "largest β of the layer", True)]),
            layer_choice(layers)],
            notes=["Of several seeds the mean."] if any(group.seeds > 1 for group in groups) else [])
        for column, layer in enumerate(layers):
            for group in groups:
                for row, key in enumerate(("layer_grad_diff", "layer_beta")):
                    found = of_layer(group.files, key, layer)
                    if found is None:
                        continue
                    values = np.nanmean(found[1], 0)  # [T, alpha]
                    columns = {"step": found[0], f"{key}_max": np.nanmax(values, 1)} | ({f"{key}_min": np.nanmin(values, 1)} if row == 0 else {})
                    draw = [band(f"{key}_min", f"{key}_max")] if row == 0 else [line(f"{key}_max")]
                    figure.tables.append(table(report.run(group), [row, column], "step", columns, draw))
        report.add(figure)


def distributions(report: Report) -> None:
    schema = schema_of("activation") | schema_of("weight")
    for name in report.names("distributions"):
        groups = report.gathered(wanted_file("distributions", name), lambda run, file: load_series(run, file, "distributions", schema, name))
        if groups:
            report.add(histograms(report, titled("Distributions of activations and weights", name), groups))


def histograms(report: Report, title: str, groups: list[Group]) -> Figure:
    layers = choose_layers(groups, None, MOST_LAYERS)
    figure = Figure("slices", "distributions", title, "value", [
        ("of", [choice("activations", "density"), choice("weights", "density")]),
        layer_choice(layers)],
        steps=slider_steps([group.files[0]["step"] for group in groups], [], HISTOGRAMS),
        notes=["Of several seeds the first."] if any(group.seeds > 1 for group in groups) else [])
    for group in groups:
        file = group.files[0]
        rows = nearest_rows(file["step"], figure.steps)
        for row, kind in enumerate(("activation", "weight")):
            for column, layer in enumerate(layers):
                at = place_of(file, layer)
                if at is None:
                    continue
                found = [density(file, kind, int(place), at) for place in rows]
                # Of equal bins the middles; a histogram of nothing has none.
                figure.tables.append({"run": report.run(group), "choice": [row, column], "name": "", "step": file["step"][rows], "mode": "steps",
                                      "value": [(edges[:-1] + edges[1:]) / 2 for edges, _ in found], "density": [values for _, values in found],
                                      "size_name": "value", "y": "density"})
    return figure


# --- files that are not known here ---

KNOWN = ("landscape", "shift", "distributions", "theorem", "surface", "runs", "directions")


def others(report: Report) -> None:
    """Of any other file of the runs what it holds over training steps."""
    for stem in sorted({path.stem for path in report.files("*.h5") if is_run(path.parent) and path.stem.split("-")[0] not in KNOWN}):
        names: dict[str, str] = {}  # variable → its unit

        def load(run: Path, file: Path | None) -> File:
            names.update(over_steps(file))
            return read_file(file, {"step": ("step",)}, f"gradscape info {file} tells what it holds", {name: ("step",) for name in names})

        groups = report.gathered(f"{stem}.h5", load)
        figure = Figure("series", "other", f"File {plain(stem)}.h5", "training step", [("variable", [choice(name, f"{name}, {unit}") for name, unit in names.items()])])
        for place, name in enumerate(names):
            there = {group.label: [file for file in group.files if name in file] for group in groups}
            for group in groups:
                if there[group.label]:
                    steps, values = stacked(there[group.label], name)
                    columns, draw = of_seeds(values, name)
                    figure.tables.append(table(report.run(group), [place], "step", {"step": steps} | columns, draw))
        report.add(figure)


def over_steps(path: Path) -> dict[str, str]:
    """Variables [step] of a file, with their units; none where it cannot be read."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            return {name: plain(text_of(item.attrs.get("units")) or "1") for name, item in file.items()
                    if isinstance(item, h5py.Dataset) and name != "step" and item.dtype.kind == "f" and item.shape == file["step"].shape}
    except Exception:  # of a damaged file, which read_file tells
        return {}


# --- surfaces ---

def surfaces(report: Report) -> None:
    for name in report.names("surface"):
        groups = report.gathered(wanted_surface(name), lambda run, file: load_surface(run, file, name, "loss"))
        shown = [(Surface(single(group, file)), len(group.files)) for group in groups for file in group.files]
        title = "Surface" if name == "main" else f"Surface {plain(name)}"
        for planes in (True, False):
            chosen = [each for each in shown if (each[0].y is not None) == planes]
            variables = [variable for variable in LABELS if any(each.has(variable) for each, _ in chosen)] or ["loss"]
            if chosen:
                report.add((plane if planes else line_through)(report, title, chosen, variables))


def single(group: Group, file: File) -> Group:
    return dataclasses.replace(group, files=[file])


def directions(surface: Surface) -> str:
    told = [f"{axis}: along {plain(surface.file.attributes[f'{axis}_direction'])}" for axis in "xy" if surface.file.attributes.get(f"{axis}_direction")]
    return ", ".join(told) + (f", θ of step {surface.file.attributes['step']}" if surface.file.attributes.get("step") else "")


def place_label(surface: Surface, files: int) -> str:
    """Of several files of a group, those of its seeds."""
    return plain(surface.group.label) + (f", {plain(surface.file.path.parent.name)}" if files > 1 else "")


def height(surface: Surface, values: Array, x: float, y: float) -> float:
    """At a point of a plane with values [y, x], between the four cells around it; NaN outside."""
    if not surface.inside(x, y):
        return math.nan
    column, row = (min(int(np.searchsorted(axis, at, "right")), axis.size - 1) - 1 for axis, at in ((surface.x, x), (surface.y, y)))
    right = (x - surface.x[column]) / (surface.x[column + 1] - surface.x[column])
    up = (y - surface.y[row]) / (surface.y[row + 1] - surface.y[row])
    return float(np.array([1 - up, up]) @ values[row:row + 2, column:column + 2] @ np.array([1 - right, right]))


def plane(report: Report, title: str, shown: list[tuple[Surface, int]], variables: list[str]) -> Figure:
    names = [place_label(*each) for each in shown]
    figure = Figure("surface", "plane", title, "x", [("run", [{"name": name} for name in names]),
                                                     ("quantity", [choice(LABELS[variable], LABELS[variable]) for variable in variables])])
    for at, (surface, _) in enumerate(shown):
        for place, variable in enumerate(variables):
            if variable not in surface.file:
                continue
            values = surface.values(variable)[0]
            every = max(1, math.ceil(math.sqrt(values.size / MOST_CELLS)))
            if every > 1 and np.isfinite(values).any():
                figure.notes.append(f"{names[at]}, {LABELS[variable]}: every {every}. value along x and y is shown; "
                                    f"of all, {np.nanmin(values):.6g} is the least and {np.nanmax(values):.6g} the largest.")
            made = {"run": report.run(surface.group), "choice": [at, place], "x": surface.x[::every], "y": surface.y[::every],
                    "z": values[::every, ::every], "log": scale_of([values], None, None).log, "quantity": variable,
                    "points": [(x, y, label, height(surface, values, x, y)) for x, y, label in surface.points()],
                    "empty": int(np.isnan(values).sum())}
            path = surface.trajectory(variable)
            if path is not None:
                made["trajectory"] = {"checkpoint": surface.file["checkpoint"]} | dict(zip("xyz", path))
            figure.tables.append(made)
        if directions(surface):
            figure.notes.append(f"{names[at]}: {directions(surface)}.")
        if len(surface.repeats) > 1:
            figure.notes.append(f"{names[at]}: repeat {surface.repeats[0]} of {len(surface.repeats)}.")
    return figure


def line_through(report: Report, title: str, shown: list[tuple[Surface, int]], variables: list[str]) -> Figure:
    figure = Figure("series", "line", title, "x, multiples of the direction", [
        ("quantity", [choice(LABELS[variable], LABELS[variable], wide([each.values(variable) for each, _ in shown if variable in each.file]))
                      for variable in variables])])
    for surface, files in shown:
        for place, variable in enumerate(variables):
            if variable in surface.file:
                columns, draw = of_seeds(surface.values(variable), variable)
                figure.tables.append(table(report.run(surface.group), [place], "x", {"x": surface.x} | columns, draw,
                                           name=plain(surface.file.path.parent.name) if files > 1 else ""))
        if directions(surface):
            figure.notes.append(f"{place_label(surface, files)}: {directions(surface)}.")
    if any(len(surface.repeats) > 1 for surface, _ in shown):
        figure.notes.append("Of several repeats the mean; in pale their range.")
    return figure


def collect(places: Places) -> Report:
    """Everything that can be read at the places. What cannot is in `problems`."""
    report = Report(places)
    parts: tuple[Callable[[Report], None], ...] = (sweeps, training, cross_run, layer_bands, surfaces, distributions,
                                                   *(functools.partial(layered, kind=kind) for kind in LAYERED), others)
    found = find_groups(report.places)
    for part in parts:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # means of nothing are no news
            part(report)
    for run in (run for group in found for run in group.runs):
        for name in sorted(sweep.name for sweep in (run / "sweep").glob("*") if sweep.is_dir()):
            if not any((place / wanted_grid(name)).is_file() for place in (run, run.parent)):
                report.notice(f"{run}: its sweep {plain(name)} is not merged, and not shown; gradscape merge {named(run, name)}")
    return report


def differences(configs: list[str]) -> tuple[list[tuple[str, list[str]]], list[tuple[str, str]]]:
    """Of the runs' configurations (TOML) the fields that differ, with a value for each, and those that are equal."""
    settings = [settings_of(config) for config in configs]
    names = sorted({name for each in settings for name in each} - {"experiment.variant"})  # it heads the columns
    text = {name: ["" if name not in each else str(each[name]).lower() if isinstance(each[name], bool) else str(each[name]) for each in settings]
            for name in names}
    differing = [(name, text[name]) for name in names if len(set(text[name])) > 1]
    return differing, [(name, text[name][0]) for name in names if len(set(text[name])) == 1]
