"""Reads gradscape's grid files (docs/format.md) and computes the numbers that go beside their plots."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import h5py
import numpy as np

Array = np.ndarray
EDGES = ("loss_min", "loss_max", "grad_diff_min", "grad_diff_max", "beta_max")  # per step: over the step sizes
NOISE_MARGIN = 10  # cells whose relative gradient difference is below so many noise floors are left out of the bands
BELOW_NOISE = 3  # their status


class Error(Exception):
    """A user's or a file's mistake; the text says where, what, and how to mend it."""


@dataclasses.dataclass
class Run:
    """One grid file: run["loss_min"] and the other per-step series are float64 [T], NaN and infinities included.
    run["noise"] is the gradient difference below which cells are marked as noise."""

    path: Path
    label: str
    variant: str
    direction: str  # of the probe: "gradient" or "update", the optimiser's own step
    step: Array  # int64 [T], ascending
    alpha: Array  # float64 [K], multipliers of the learning rate
    status: Array  # uint8 [T, K]: 0 not done, 1 ok, 2 non-finite, 3 below noise
    series: dict[str, Array]  # of several seeds: the mean of what is finite
    seeds: tuple[int, ...] = ()  # of a file that unites the runs of several seeds; status is [T, S*K] then
    spread: dict[str, tuple[Array, Array]] = dataclasses.field(default_factory=dict)  # least and largest over the seeds
    config: str = ""  # TOML

    def __getitem__(self, name: str) -> Array:
        return self.series[name]

    def hidden(self) -> Array:
        """bool [T]: records of which some panel cannot show something."""
        return ~np.isfinite([self[name] for name in EDGES]).all(axis=0)

    def non_finite(self) -> int:
        """Number of records of which a cell that was evaluated is not finite."""
        evaluated = (self.status != 0) & (self.status != BELOW_NOISE)
        return int(((self.status == 2).any(axis=1) | (self.hidden() & evaluated.any(axis=1))).sum())

    def not_done(self) -> int:
        """Number of records of which a cell was not evaluated (gradscape merge --partial)."""
        return int((self.status == 0).any(axis=1).sum())

    def below_noise(self) -> int:
        """Number of records of which a cell is below the noise floor."""
        return int((self.status == BELOW_NOISE).any(axis=1).sum())


def warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)


def load_run(path: Path, label: str | None = None) -> Run:
    """Reads a merged grid file; its records are put in the order of their steps. Error if it is not one."""
    mend = f"write it again with: gradscape merge {path.parent}"
    names = ("step", "alpha", "status", "lr", "train_loss", *EDGES)
    newer = ("train_grad_norm", "noise_floor")  # not in every older file: NaN then
    types = {"step": np.int64, "status": np.uint8}
    try:
        with h5py.File(path, "r", locking=False) as file:  # it never changes; not every file system has locks
            missing = [name for name in names if name not in file]
            if missing:
                raise Error(f"{path}: no dataset {', '.join(missing)}: not a merged grid file; {mend}")
            data = {name: np.asarray(file[name][()], dtype=types.get(name, np.float64))
                    for name in (*names, *(name for name in newer if name in file))}
            seeds = tuple(int(seed) for seed in np.asarray(file["seed"][()], dtype=np.int64)) if "seed" in file else ()
            text = {name: file.attrs.get(name, "") for name in ("variant", "direction", "config")}
            complete = bool(file.attrs.get("complete", True))
    except (OSError, TypeError, ValueError) as failure:
        raise Error(f"{path}: cannot be read as a grid file ({' '.join(str(failure).split())}); {mend}") from failure
    text = {name: value.decode(errors="replace") if isinstance(value, bytes) else str(value)
            for name, value in text.items()}
    records, multipliers = data["step"].size, data["alpha"].size
    if records == 0 or multipliers == 0:
        raise Error(f"{path}: holds no records; make some with: gradscape sweep {path.parent}, then merge")
    expected = {name: (records,) for name in (*names, *newer)} | {"alpha": (multipliers,), "status": (records, multipliers)}
    if seeds:
        expected = {name: shape if name in ("step", "alpha") else (len(seeds), *shape) for name, shape in expected.items()}
    for name, values in data.items():
        if values.shape != expected[name]:
            raise Error(f"{path}: dataset {name} has shape {values.shape}, expected {expected[name]}; {mend}")
    if not complete:
        warn(f"{path}: marked as not complete; using what is there")
    order = np.argsort(data["step"], kind="stable")
    unknown = np.full(records, np.nan)
    series = {name: data[name][..., order] if name in data else unknown for name in (*names[3:], *newer)}
    series["noise"] = NOISE_MARGIN * series["noise_floor"] * series["train_grad_norm"]
    spread = {}
    if seeds:
        spread = {name: (np.nanmin(values, axis=0), np.nanmax(values, axis=0)) for name, values in series.items()}
        series = {name: np.nanmean(np.where(np.isfinite(values), values, np.nan), axis=0)
                  for name, values in series.items()}
        data["status"] = np.moveaxis(data["status"], 0, 1).reshape(records, -1)
    return Run(path, label or text["variant"] or path.resolve().parent.name, text["variant"],
               text["direction"] or "gradient", data["step"][order], data["alpha"], data["status"][order], series,
               seeds, spread, text["config"])


def find_grids(place: Path, name: str = "main") -> list[tuple[Path, str | None]]:
    """(grid file, label or None) of a grid file, of a run directory, or of each variant in a directory of variants."""
    file_name = "landscape.h5" if name == "main" else f"landscape-{name}.h5"
    command = "gradscape merge {}" + ("" if name == "main" else f" --name {name}")
    if not place.exists():
        hint = f"give a run directory or a grid file, made with: {command.format('RUN_DIR')}"
        raise Error(f"{place}: does not exist; {hint}")
    if place.is_file():
        return [(place, None)]
    if (place / file_name).is_file():
        return [(place / file_name, None)]
    variants = [entry for entry in sorted(place.iterdir()) if entry.is_dir()]
    found = [(entry / file_name, entry.name) for entry in variants if (entry / file_name).is_file()]
    if not found:
        others = sorted({other.name for folder in [place, *variants] for other in folder.glob("landscape*.h5")})
        hint = f" (there is {', '.join(others)}: see --name)" if others else ""
        raise Error(f"{place}: no {file_name} here or in a subdirectory{hint}; make it with: {command.format(place)}")
    for entry in variants:
        if (entry / "checkpoints").is_dir() and not (entry / file_name).is_file():
            warn(f"{entry}: left out, no {file_name}; make it with: {command.format(entry)}")
    return found


def load_runs(places: list[str], name: str = "main") -> list[Run]:
    """All runs of all places. Labels that several share get the name of the directory above in front."""
    runs = [load_run(path, label) for place in places for path, label in find_grids(Path(place), name)]
    labels = [run.label for run in runs]
    for run in runs:
        if labels.count(run.label) > 1:
            folder = run.path.resolve().parent
            run.label = f"{(folder.parent if folder.name == run.label else folder).name}/{run.label}"
    return runs


def band_widths(low: Array, high: Array) -> Array:
    """high − low of the records at which both are finite."""
    finite = np.isfinite(low) & np.isfinite(high)
    return high[finite] - low[finite]


def summarise(run: Run) -> dict[str, object]:
    """The numbers of the table: statistics over the records with finite values, and how many were left out."""
    records = run.step.size
    loss = band_widths(run["loss_min"], run["loss_max"])
    grad_diff = band_widths(run["grad_diff_min"], run["grad_diff_max"])
    beta = run["beta_max"][np.isfinite(run["beta_max"])]

    def statistic(of, values: Array) -> float:
        return float(of(values)) if values.size else float("nan")

    return {"run": run.label, "file": str(run.path), "records": records, "non_finite_records": run.non_finite(),
            "first_step": int(run.step[0]), "last_step": int(run.step[-1]), "seeds": list(run.seeds), "alpha": run.alpha.tolist(),
            "mean_loss_width": statistic(np.mean, loss), "loss_left_out": records - loss.size,
            "mean_grad_diff_width": statistic(np.mean, grad_diff), "grad_diff_left_out": records - grad_diff.size,
            "beta_median": statistic(np.median, beta), "beta_max": statistic(np.max, beta),
            "beta_left_out": records - beta.size, "below_noise_records": run.below_noise(),
            "not_done_records": run.not_done(),
            "noise_floor_max": statistic(np.max, run["noise_floor"][np.isfinite(run["noise_floor"])])}


def record_at(run: Run, step: int) -> dict[str, object]:
    """Bands and beta at a step; without a record there, the nearest steps that have one."""
    at = int(np.searchsorted(run.step, step))
    if at == run.step.size or run.step[at] != step:
        return {"run": run.label, "step": step, "nearest": run.step[max(at - 1, 0):at + 1].tolist()}
    return {"run": run.label, "step": step, **{name: float(run[name][at]) for name in EDGES}}


def format_table(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def format_summaries(runs: list[Run]) -> str:
    rows = [["run", "records", "steps", "mean loss width", "mean gradient-difference width", "median beta", "max beta"]]
    columns = {"mean_loss_width": "loss_left_out", "mean_grad_diff_width": "grad_diff_left_out",
               "beta_median": "beta_left_out", "beta_max": "beta_left_out"}
    for run in map(summarise, runs):
        cells = [f"{run[name]:.5g}" + (f" ({run[count]} left out)" if run[count] else "")
                 for name, count in columns.items()]
        rows.append([str(run["run"]), str(run["records"]), f"{run['first_step']}..{run['last_step']}", *cells])
    return format_table(rows)


def format_records(runs: list[Run], steps: list[int]) -> str:
    rows = [["step", "run", "loss", "gradient difference", "beta"]]
    for record in (record_at(run, step) for step in steps for run in runs):
        if "nearest" in record:
            cells = [f"no record (nearest: {', '.join(map(str, record['nearest']))})", "", ""]
        else:
            cells = [f"{record[name + '_min']:.4g}..{record[name + '_max']:.4g}" for name in ("loss", "grad_diff")]
            cells.append(f"{record['beta_max']:.4g}")
        rows.append([str(record["step"]), str(record["run"]), *cells])
    return format_table(rows)


def to_json(document: object) -> str:
    """JSON has no word for them: NaN becomes null, an infinity the text "inf" or "-inf"."""
    words = {"NaN": None, "Infinity": "inf", "-Infinity": "-inf"}
    return json.dumps(json.loads(json.dumps(document), parse_constant=words.get), indent=1)
