"""Reads gradscape's grid files (docs/format.md) and computes the numbers that go beside their plots."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from pathlib import Path

import numpy as np

from .files import Array, Error, File, Schema, named, read_file, wanted_file
from .series import Group, absent, stacked

BANDS = {"loss": ("loss_min", "loss_max"), "grad_norm": ("grad_norm_min", "grad_norm_max"),
         "grad_diff": ("grad_diff_min", "grad_diff_max"), "beta": ("beta_max",),  # per step: over the step sizes
         "set_loss": ("set_loss_min", "set_loss_max")}
OPTIONAL = ("grad_norm", "set_loss")  # of older files, and of sweeps on the batch alone, there is none
EDGES = tuple(name for names in BANDS.values() for name in names)
NOISE_MARGIN = 10  # cells whose relative gradient difference is below so many noise floors are left out of the bands
NOT_DONE, NON_FINITE, BELOW_NOISE = 0, 2, 3  # statuses of cells; 1 is a good one
CELLS = ("step", "alpha")


def wanted_grid(name: str) -> str:
    return wanted_file("landscape", name)


def load_grid(run: Path, file: Path | None, name: str, needed: Schema, mend: str = "") -> File:
    """A merged landscape, which must have these variables; those of cells are NaN where the cell is below noise or not done."""
    merge = f"gradscape merge {named(run, name)}"
    if file is None:
        raise absent(run, "landscape", name, f"make it with: {merge}{mend}")
    schema = {"step": ("step",), "alpha": ("alpha",), "status": CELLS, "lr": ("step",)} | needed
    grid = read_file(file, schema, f"write it again with: gradscape sweep {named(run, name)}, then {merge}{mend}", {
        "grad_norm": CELLS, **{edge: ("step",) for edge in ("train_grad_norm", "noise_floor", "set_loss_at_theta", *BANDS["grad_norm"],
                                                             *BANDS["set_loss"])}})
    left_out = (grid["status"] == NOT_DONE) | (grid["status"] == BELOW_NOISE)
    for variable, dimensions in (schema | {"grad_norm": CELLS}).items():
        if variable in grid and variable != "status" and dimensions[:2] == CELLS:
            shape = left_out.shape + (1,) * (len(dimensions) - 2)
            grid.data[variable] = np.where(left_out.reshape(shape), np.nan, grid[variable])
    return grid


def load_landscape(run: Path, file: Path | None, name: str) -> File:
    """With all that the landscape's figure draws; NaN for what older programs did not write."""
    optional = {edge for band in OPTIONAL for edge in BANDS[band]}
    schema: Schema = {edge: ("step",) for edge in ("train_loss", *EDGES) if edge not in optional}
    grid = load_grid(run, file, name, schema)
    unknown = np.full(grid["train_loss"].shape, np.nan)
    for variable in ("train_grad_norm", "noise_floor", "set_loss_at_theta", *BANDS["set_loss"]):
        grid.data.setdefault(variable, unknown)
    cells = grid.data.get("grad_norm", unknown[..., np.newaxis])
    cells = np.where((grid["train_grad_norm"] == 0)[..., np.newaxis] | (grid["alpha"] < 0), np.nan, cells)
    for edge, extreme in zip(BANDS["grad_norm"], (np.nanmin, np.nanmax)):  # an older file has the cells alone
        grid.data.setdefault(edge, extreme(cells, axis=-1))
    grid.data["noise"] = NOISE_MARGIN * grid["noise_floor"] * grid["train_grad_norm"]
    return grid


@dataclasses.dataclass
class Direction:
    """What probes of some runs are taken along, in words and formulas."""

    point: str  # where the loss is taken
    size: str  # how far
    axis: str  # the name of an axis of sizes
    sizes: str
    notes: list[str]


DIRECTIONS = {
    "gradient": Direction(r"\theta - \eta g", r"\eta", r"step size $\eta$", "step sizes η", []),
    "update": Direction(r"\theta + m u", "m", "multiple $m$ of the update", "multiples m of the optimiser's update",
                        ["u: the optimiser's own update"]),
    "random": Direction(r"\theta - \eta r", r"\eta", r"step size $\eta$ along $r$", "step sizes η along r",
                        ["r: a random (Gaussian) direction with the norm of the gradient g, not g itself"])}


def direction_of(groups: list[Group]) -> Direction:
    """Of all these runs; d where they differ."""
    names = {group.label: group.files[0].attributes["direction"] or "gradient" for group in groups}
    if len(set(names.values())) == 1 and set(names.values()) <= set(DIRECTIONS):
        return DIRECTIONS[next(iter(names.values()))]
    words = {"gradient": "−ηg, against the gradient", "update": "m·u, along the optimiser's own update",
             "random": "−ηr, along a random (Gaussian) direction with the gradient's norm"}
    return Direction(r"\theta + d", "d", "size of the step $d$", "sizes of d",
                     ["d: " + ", ".join(f"{words.get(name, name[:20])} ({label})" for label, name in names.items())])


def sweep_of(file: File) -> dict[str, object]:
    """Section [sweep] of the configuration that a grid was made with; empty where it cannot be read."""
    try:
        return tomllib.loads(file.attributes["config"]).get("sweep", {})
    except tomllib.TOMLDecodeError:
        return {}


def are_sizes(file: File) -> bool:
    """Whether alpha are step sizes themselves, not multiples."""
    return bool(sweep_of(file).get("step_sizes"))


def on_set(file: File) -> str:
    """The images of set_loss, in words."""
    sweep = sweep_of(file)
    images = sweep.get("on_images") or "all"
    return f"{images} {'training' if sweep.get('on') == 'train' else sweep.get('on', 'batch')} images, {sweep.get('mode', 'train')} mode"


class Run:
    """The landscape of a group: run["loss_min"] and the other per-step series are float64 [T], NaN and infinities included,
    of several seeds the mean of what is finite. run["noise"] is the gradient difference below which cells are noise."""

    def __init__(self, group: Group):
        self.group, self.label, self.seeds = group, group.label, group.seeds
        self.path = group.file or group.files[0].path
        self.alpha: Array = group.files[0]["alpha"]  # float64 [K], multipliers of the learning rate, or step sizes
        self.sizes = are_sizes(group.files[0])
        self.on = on_set(group.files[0])
        self.direction = group.files[0].attributes["direction"] or "gradient"
        self.step, status = stacked(group.files, "status")  # int64 [T], ascending
        self.status: Array = np.moveaxis(status, 0, 1).reshape(self.step.size, -1)  # [T, S*K]
        self.series: dict[str, Array] = {}
        self.spread: dict[str, tuple[Array, Array]] = {}  # least and largest over the seeds
        for name in ("lr", "train_loss", "train_grad_norm", "noise_floor", "noise", "set_loss_at_theta", *EDGES):
            _, values = stacked(group.files, name)
            if self.seeds > 1:
                self.spread[name] = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
                values = np.nanmean(np.where(np.isfinite(values), values, np.nan), axis=0, keepdims=True)
            self.series[name] = values[0]

    def __getitem__(self, name: str) -> Array:
        return self.series[name]

    def has(self, band: str) -> bool:
        """Whether some value of the band was recorded."""
        return not all(np.isnan(self[edge]).all() for edge in BANDS[band])

    def hidden(self) -> Array:
        """bool [T]: records of which some panel cannot show something."""
        edges = [edge for band, edges in BANDS.items() if band not in OPTIONAL or self.has(band) for edge in edges]
        return ~np.isfinite([self[edge] for edge in edges]).all(axis=0)

    def non_finite(self) -> int:
        """Number of records of which a cell that was evaluated is not finite."""
        evaluated = np.isfinite(self.status) & (self.status != NOT_DONE) & (self.status != BELOW_NOISE)
        return int(((self.status == NON_FINITE).any(axis=1) | (self.hidden() & evaluated.any(axis=1))).sum())

    def count(self, status: int) -> int:
        """Number of records of which a cell has this status."""
        return int((self.status == status).any(axis=1).sum())

    def has_noise(self) -> bool:
        """Whether a noise floor was measured; it is 0 where probes are in double themselves."""
        return bool((np.isfinite(self["noise"]) & (self["noise"] > 0)).any())


def widths(run: Run, band: str) -> Array:
    """Largest less smallest of the records at which both are finite."""
    low, high = (run[edge] for edge in BANDS[band])
    finite = np.isfinite(low) & np.isfinite(high)
    return high[finite] - low[finite]


def summarise(run: Run) -> dict[str, object]:
    """The numbers of the table: statistics over the records with finite values, and how many were left out."""
    records = run.step.size
    beta = run["beta_max"][np.isfinite(run["beta_max"])]
    floors = run["noise_floor"][np.isfinite(run["noise_floor"])]

    def statistic(of, values: Array) -> float:
        return float(of(values)) if values.size else float("nan")

    bands = {}
    for band in ("loss", "grad_norm", "grad_diff", *(["set_loss"] if run.has("set_loss") else [])):
        wide = widths(run, band)
        bands |= {f"mean_{band}_width": statistic(np.mean, wide), f"{band}_left_out": records - wide.size}
    seeds = [seed for file in run.group.files if "seed" in file for seed in file["seed"].tolist()]
    return {"run": run.label, "file": str(run.path), "records": records, "non_finite_records": run.non_finite(),
            "first_step": int(run.step[0]), "last_step": int(run.step[-1]), "seeds": seeds, "direction": run.direction,
            "alpha": run.alpha.tolist(), "step_sizes": run.sizes, **bands,
            "beta_median": statistic(np.median, beta), "beta_max": statistic(np.max, beta),
            "beta_left_out": records - beta.size, "below_noise_records": run.count(BELOW_NOISE),
            "not_done_records": run.count(NOT_DONE), "noise_floor_max": statistic(np.max, floors)}


def record_at(run: Run, step: int) -> dict[str, object]:
    """Bands and beta at a step; without a record there, the nearest steps that have one."""
    at = int(np.searchsorted(run.step, step))
    if at == run.step.size or run.step[at] != step:
        return {"run": run.label, "step": step, "nearest": run.step[max(at - 1, 0):at + 1].tolist()}
    return {"run": run.label, "step": step, **{edge: float(run[edge][at]) for band, edges in BANDS.items()
                                                           if band != "set_loss" or run.has(band) for edge in edges}}


def format_table(rows: list[list[str]]) -> str:
    columns = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, columns)).rstrip() for row in rows)


def format_summaries(runs: list[Run]) -> str:
    rows = [["run", "records", "steps", "mean loss width", "mean gradient-norm width", "mean gradient-difference width",
             "median beta", "max beta"]]
    columns = {"mean_loss_width": "loss_left_out", "mean_grad_norm_width": "grad_norm_left_out",
               "mean_grad_diff_width": "grad_diff_left_out", "beta_median": "beta_left_out", "beta_max": "beta_left_out"}
    for run in map(summarise, runs):
        cells = [f"{run[name]:.5g}" + (f" ({run[count]} left out)" if run[count] else "")
                 for name, count in columns.items()]
        rows.append([str(run["run"]), str(run["records"]), f"{run['first_step']}..{run['last_step']}", *cells])
    return format_table(rows)


def format_records(runs: list[Run], steps: list[int]) -> str:
    rows = [["step", "run", "loss", "gradient norm", "gradient difference", "beta"]]
    for record in (record_at(run, step) for step in steps for run in runs):
        if "nearest" in record:
            cells = [f"no record (nearest: {', '.join(map(str, record['nearest']))})", "", "", ""]
        else:
            cells = [f"{record[name + '_min']:.4g}..{record[name + '_max']:.4g}" for name in ("loss", "grad_norm", "grad_diff")]
            cells.append(f"{record['beta_max']:.4g}")
        rows.append([str(record["step"]), str(record["run"]), *cells])
    return format_table(rows)


def to_json(document: object) -> str:
    """JSON has no word for them: NaN becomes null, an infinity the text "inf" or "-inf"."""
    words = {"NaN": None, "Infinity": "inf", "-Infinity": "-inf"}
    return json.dumps(json.loads(json.dumps(document), parse_constant=words.get), indent=1)
