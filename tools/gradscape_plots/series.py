"""Reads what gradscape records beside landscapes: traces, and the files of its analyses (docs/format.md)."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from .grids import Array, Error
from .style import Style, styles_of

Data = dict[str, Array]


@dataclasses.dataclass
class Group:
    """Runs to be drawn as one: a run, or the seeds of a variant."""

    label: str
    runs: list[Path]
    config: str  # of the first, TOML
    style: Style = dataclasses.field(default_factory=dict)

    def setting(self, name: str) -> object:
        """A field of the configuration, as "train.lr"; None where it has none."""
        section, key = name.split(".")
        try:
            return tomllib.loads(self.config).get(section, {}).get(key)
        except tomllib.TOMLDecodeError:
            return None


def is_run(place: Path) -> bool:
    return (place / "config.toml").is_file()


def find_groups(places: list[str | Path], labels: list[str] | None = None) -> list[Group]:
    """The runs at the places, each a run directory or a directory of runs: of variants, which may hold a run for each
    seed, drawn as one, or for each learning rate, drawn apart. Variants are taken in the order of their names, those
    without norm and with batch norm first."""
    found: list[tuple[str, list[Path]]] = []
    for place in map(Path, places):
        if not place.is_dir():
            raise Error(f"{place}: is no directory; give a run directory, or one of variants")
        found += groups_at(place, place.resolve().name)
        if not found:
            raise Error(f"{place}: holds no run; make some with: gradscape run CONFIG --out {place}")
    if labels is not None and len(labels) != len(found):
        names = ", ".join(label for label, _ in found)
        raise Error(f"--labels: {len(labels)} names for {len(found)} runs: {names}; give one for each")
    groups = [Group(label, runs, (runs[0] / "config.toml").read_text(errors="replace")) for label, runs in found]
    for group, style in zip(groups, styles_of([(group.label, group.label, group.config) for group in groups])):
        group.style = style
    for group, label in zip(groups, labels or []):
        group.label = label
    return groups


def groups_at(place: Path, label: str, depth: int = 2) -> list[tuple[str, list[Path]]]:
    if is_run(place):
        return [(label, [place])]
    inside = sorted((entry for entry in place.iterdir() if entry.is_dir()), key=reading_order)
    seeds = [entry for entry in inside if entry.name.startswith("seed-") and is_run(entry)]
    if seeds:
        return [(label, seeds)]
    if depth == 0:
        return []
    found = []
    for entry in inside:
        rate = re.fullmatch(r"lr-(.+)", entry.name)
        found += groups_at(entry, f"{label}, lr {rate[1]}" if rate else entry.name, depth - 1)
    return found


def reading_order(entry: Path) -> tuple:
    """Without norm, then batch norm, then the others; numbers by their size."""
    words = entry.name
    first = 0 if re.search(r"none|plain", words) else 1 if re.search(r"bn|batch", words) else 2
    numbers = [float(number) for number in re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?", words)]
    return (first, numbers, words)


def read_file(path: Path, mend: str) -> tuple[Data, list[str]]:
    """All datasets of a file, and the names of its layers."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            data = {name: np.asarray(item[()]) for name, item in file.items() if isinstance(item, h5py.Dataset)}
            labels = file["layer"].attrs.get("labels", b"") if "layer" in file else b""
    except (OSError, KeyError, TypeError, ValueError) as failure:
        raise Error(f"{path}: cannot be read ({' '.join(str(failure).split())}); {mend}") from failure
    return data, (labels.decode() if isinstance(labels, bytes) else str(labels)).split(",")


def load_trace(run: Path) -> Data:
    """The recorded training steps and tests of a run, in order."""
    mend = f"make it with: gradscape train CONFIG --out {run}"
    files = sorted((run / "trace").glob("segment-*.h5"))
    if not files:
        raise Error(f"{run}: has no trace; {mend}")
    parts = [read_file(path, mend)[0] for path in files]
    trace: Data = {}
    for scale in ("step", "test_step"):
        steps = np.concatenate([part[scale] for part in parts])
        _, order = np.unique(steps, return_index=True)
        for name in parts[0]:
            if name.startswith("test_") == (scale == "test_step"):
                trace[name] = np.concatenate([part[name] for part in parts])[order]
    return trace


def load_series(run: Path, kind: str) -> tuple[Data, list[str]]:
    """The file that `gradscape KIND RUN_DIR` made."""
    path, mend = run / f"{kind}.h5", f"make it with: gradscape {kind} {run}"
    if not path.is_file():
        raise Error(f"{run}: has no {kind}.h5; {mend}")
    data, labels = read_file(path, mend)
    if "step" not in data or data["step"].size == 0:
        raise Error(f"{path}: holds no steps; {mend}")
    return data, labels


def load_grid(run: Path, names: tuple[str, ...], mend: str) -> tuple[Data, list[str]]:
    """The merged landscape of a run, which must have these variables."""
    path = run / "landscape.h5"
    if not path.is_file():
        raise Error(f"{run}: has no landscape.h5; make it with: gradscape merge {run}")
    data, labels = read_file(path, f"write it again with: gradscape merge {run}")
    missing = [name for name in names if name not in data]
    if missing:
        raise Error(f"{path}: has no {', '.join(missing)}; {mend}")
    return data, labels


def each(group: Group, load: Callable[[Path], Data]) -> list[Data]:
    return [load(run) for run in group.runs]


def stacked(runs: list[Data], name: str, scale: str = "step") -> tuple[Array, Array]:
    """(steps, values [run, step, …]) at the steps that all runs have."""
    steps = runs[0][scale]
    for run in runs[1:]:
        steps = np.intersect1d(steps, run[scale])
    return steps, np.stack([run[name][np.searchsorted(run[scale], steps)] for run in runs])


@dataclasses.dataclass
class Layer:
    """A layer to draw: its number, and the name it has in the first run that was asked."""

    number: int
    name: str


def choose_layers(files: list[tuple[Data, list[str]]], wanted: list[str] | None, most: int, first: int = 1) -> list[Layer]:
    """The layers with these numbers or names that some file has; by default up to `most` of those from number `first` on,
    spread over the depth. Networks with and without norm name the same layer differently, but number it alike."""
    known: dict[int, str] = {}
    names: dict[str, int] = {}
    for data, labels in files:
        for number, label in zip(data["layer"].tolist(), labels):
            known.setdefault(int(number), label)
            names[label] = int(number)
    if wanted:
        numbers = []
        for text in wanted:
            number = int(text) if text.isdigit() else names.get(text)
            if number not in known:
                listed = ", ".join(f"{number} ({name})" for number, name in sorted(known.items()))
                raise Error(f"--layers: no layer {text} in the files; they have: {listed}")
            numbers.append(number)
    else:
        numbers = [number for number in sorted(known) if number >= first] or sorted(known)
        if len(numbers) > most:
            numbers = [numbers[round(i * (len(numbers) - 1) / (most - 1))] for i in range(most)]
    return [Layer(number, known[number]) for number in numbers]


def place_of(data: Data, layer: Layer) -> int | None:
    """Where a file has the layer; None where it has not."""
    found = np.flatnonzero(data["layer"] == layer.number)
    return int(found[0]) if found.size else None
