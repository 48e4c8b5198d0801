"""Finds runs, and reads what gradscape recorded of them: traces, grids, and the files of its analyses."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from .files import Array, Error, File, Schema, UsageError, named, read_file, root_number, shown, wanted_file, warn
from .style import Look, Style, colour_of, settings_of, styles_of

Places = str | Path | list[str | Path]
NAMED = ("landscape", "surface", "shift", "distributions", "theorem")  # files of which a run may have several, told apart by --name


@dataclasses.dataclass(eq=False)
class Group:
    """Runs to be drawn as one: a run, or the seeds of a variant."""

    label: str
    study: str  # the directory of variants
    runs: list[Path]
    file: Path | None = None  # to read for all of them: one that unites seeds, or that the user named
    files: list[File] = dataclasses.field(default_factory=list)  # read of the runs, seeds of a file together
    style: Style = dataclasses.field(default_factory=dict)
    remarks: list[str] = dataclasses.field(default_factory=list)  # for the legend

    @property
    def config(self) -> str:
        """Of the first run, TOML; "" where there is none."""
        try:
            return (self.runs[0] / "config.toml").read_text(errors="replace")
        except (OSError, ValueError):
            return self.files[0].attributes["config"] if self.files else ""

    @property
    def seeds(self) -> int:
        return sum(file["seed"].size if "seed" in file else 1 for file in self.files)


def is_run(place: Path) -> bool:
    """Whether gradscape trained here: by its marker, or, of older programs, by a checkpoint."""
    return (place / "config.toml").is_file() and ((place / "gradscape-run").is_file()
                                                  or any((place / "checkpoints").glob("step-*.h5")))


def find_groups(places: Places, wanted: str = "", runs: bool = True) -> list[Group]:
    """The runs at the places, each a run directory, a file, or a directory of runs: of variants, which may hold a run for
    each seed, drawn as one, or for each learning rate, drawn apart. A directory with the file `wanted` is taken as it is;
    with `runs` those without it are found too. Variants are taken in the order of their names, those without norm and
    with batch norm first. Those that share a name get their study's in front."""
    found: list[Group] = []
    asked = [places] if isinstance(places, str | Path) else list(places)
    if not asked or "" in asked:
        raise UsageError("a place is missing: give a run directory, one of variants, or a file of a run")
    for place in map(Path, asked):
        if place.is_file():
            found.append(group_of(place))
            continue
        if not place.is_dir():
            state = "is neither a directory nor a file" if place.exists() else "does not exist"
            raise Error(f"{place}: {state}; give a run directory, one of variants, or a file of a run")
        here = groups_at(place, name_of(place.resolve()), place.resolve().parent.name, wanted, runs)
        if not here:
            raise Error(f"{place}: holds no {'run' if runs else wanted}{how_to_make(place, wanted)}")
        found += here
    counts = Counter(group.label for group in found)
    for group in found:
        if counts[group.label] > 1:
            group.label = f"{group.study}/{group.label}"
    files = {group.label: {other.file.stem for other in found if other.file and other.label == group.label} for group in found}
    for group in found:  # several files of a run
        if len(files[group.label]) > 1 and group.file:
            group.label += f", {group.file.stem}"
    return found


def groups_at(place: Path, label: str, study: str, wanted: str, runs: bool, depth: int = 2) -> list[Group]:
    if wanted and (place / wanted).is_file():
        return [Group(label, study, [place], place / wanted)]
    if is_run(place):
        return [Group(label, study, [place])] if runs else []
    inside = sorted((entry for entry in place.iterdir() if entry.is_dir()), key=reading_order)
    seeds = [entry for entry in inside if entry.name.startswith("seed-") and is_run(entry)]
    if seeds and runs:
        return [Group(label, study, seeds)]
    found = []
    for entry in inside if depth else ():
        try:
            found += groups_at(entry, name_of(entry), place.resolve().name, wanted, runs, depth - 1)
        except OSError as failure:
            warn(f"left out: {entry}: cannot be read ({failure.strerror})")
    return found


def group_of(file: Path) -> Group:
    """Of a file, which is named by its run, or, if it has a name of its own, by that."""
    usual = re.fullmatch(r"((landscape|shift|distributions|theorem|surface)(-.*)?|runs|segment-.*)\.h5", file.name)
    run = next((place for place in list(file.parents)[:4] if is_run(place)), None)
    if run is None and file.stem.startswith("surface-"):  # imported
        return Group(file.stem.removeprefix("surface-"), file.resolve().parent.name, [file.parent], file)
    run = run or file.parent
    return Group(name_of(run.resolve()) if usual else file.stem, run.resolve().parent.name, [run], file)


def name_of(place: Path) -> str:
    """The variant, and behind it the learning rate or seed, if the directory is that of one."""
    part = re.fullmatch(r"(lr|seed)-(.+)", place.name)
    return f"{place.parent.name}, {part[1]} {part[2]}" if part else place.name


def reading_order(entry: Path) -> tuple:
    """Without norm, then batch norm, then the others; numbers by their size, "inf" too."""
    words = entry.name
    first = 0 if re.search(r"none|plain", words) else 1 if re.search(r"bn|batch", words) else 2
    numbers = [float(number) for number in re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?|inf", words)]
    return (first, numbers, words)


def how_to_make(place: Path, wanted: str) -> str:
    """What a message says behind "holds no run": the files that are there in place of the one wanted, or how to make it."""
    if wanted == "runs.h5":
        return f'; make it with: gradscape merge {place} (runs of a configuration with sweep.kind = "runs")'
    kind = next((kind for kind in NAMED if wanted.startswith(kind)), "landscape")
    others = sorted({other.name for pattern in (f"{kind}*.h5", f"*/{kind}*.h5") for other in place.glob(pattern)})
    if others and wanted.startswith(NAMED):
        return f", and no {wanted} (there is {', '.join(others)}: see --name)"
    return f"{f', and no {wanted}' if wanted else ''}; make some with: gradscape run CONFIG --out {place}"


def gather(places: Places, look: Look, wanted: str, load: Callable[[Path, Path | None], File | None], runs: bool = True) -> list[Group]:
    """The groups at the places with what `load` reads of each run, (run directory, file or None); those of which nothing can
    be read are left out with a warning, and without one where `load` returns None. Error if failures leave none."""
    if look.name != "main" and not wanted.startswith(NAMED):
        warn(f"--name {shown(look.name)}: {look.figure} reads no sweep or analysis, and is drawn as without it")
    try:
        found = find_groups(places, wanted, runs)
    except OSError as failure:
        raise Error(f"{failure.filename}: cannot be read ({failure.strerror})") from failure
    failures: list[str] = []
    for group in found:
        for run in group.runs:
            try:
                read = load(run, group.file or (run / wanted if (run / wanted).is_file() else None))
                group.files += [read] if read else []
            except Error as failure:
                failures.append(str(failure))
        if any(file.stale for file in group.files):
            group.remarks.append("stale")
    groups = [group for group in found if group.files]
    if failures and not groups:
        raise Error(failures[0] + (f" (and {len(failures) - 1} more like this)" if len(failures) > 1 else ""))
    for failure in failures:
        warn(f"left out: {failure}")
    return dressed(groups, found, look) if groups else []


def dressed(groups: list[Group], found: list[Group], look: Look) -> list[Group]:
    """The groups in the order, with the labels and in the colours asked for."""
    if look.order:
        names = [group.label for group in groups]
        for name in look.order:
            if name not in names:
                raise UsageError(f"--order: no run {shown(name)}; there are {', '.join(names)}")
        groups = sorted(groups, key=lambda group: look.order.index(group.label) if group.label in look.order else len(names))
    for group, style in zip(groups, styles_of([(group.label, group.config) for group in groups])):
        group.style = style
    named = groups if look.labels is None or len(look.labels) == len(groups) else found  # which may hold some left out
    for option, values in (("labels", look.labels), ("colours", look.colours)):
        if values is not None and len(values) != len(named if option == "labels" else groups):
            names = ", ".join(group.label for group in groups)
            raise UsageError(f"--{option}: {len(values)} {'names' if option == 'labels' else option} for {len(groups)} runs: "
                             f"{names}; give one for each")
    for group, colour in zip(groups, look.colours or []):
        group.style["color"] = colour_of(colour)
    for group, label in zip(named, look.labels or []):
        group.label = label
    return groups


def load_trace(run: Path, file: Path | None, value: str, more: Iterable[str] = ()) -> File:
    """The recorded training steps and tests of a run: `value`, "accuracy" or "loss", and of `more` what any file has. NaN stands
    where steps are missing, and at the steps of a file without one of `more`."""
    mend = f"make it with: gradscape train {run / 'config.toml'} --out {run} --resume"
    paths = [file] if file else sorted((run / "trace").glob("segment-*.h5"))
    if not paths:
        raise Error(f"{run}: has no trace; {mend}")
    parts: list[File] = []
    failures: list[Error] = []
    for path in paths:
        try:
            parts.append(read_file(path, {"step": ("step",), value: ("step",)}, mend, {
                "test_step": ("test_step",), **{name: ("step",) for name in more},
                **{f"test_{name}": ("test_step",) for name in (value, *more)}}))
        except Error as failure:
            failures.append(failure)
    if not parts:
        raise failures[0]
    for failure in failures:
        warn(f"left out: {failure}")
    data: dict[str, Array] = {}
    for scale, names in (("step", [value, *more]), ("test_step", [f"test_{name}" for name in (value, *more)])):
        there = [part for part in parts if any(name in part for name in names)]
        steps = np.concatenate([part[scale] for part in there] or [np.zeros(0, np.int64)])
        steps, order = np.unique(steps, return_index=True)
        holes = np.flatnonzero(np.diff(steps) > 1) + 1 if scale == "step" else np.zeros(0, int)
        if holes.size:
            ranges = ", ".join(f"{steps[at - 1] + 1} to {steps[at] - 1}" for at in holes[:3].tolist())
            warn(f"{run}: its trace lacks steps {ranges}{', …' if holes.size > 3 else ''}; {mend}")
        data[scale] = np.insert(steps, holes, steps[holes - 1] + 1)
        for name in names:
            values = [part[name][0] if name in part else np.full(part[scale].size, np.nan) for part in there]
            if name == names[0] or any(name in part for part in there):
                data[name] = np.insert(np.concatenate(values or [np.zeros(0)])[order], holes, np.nan)[np.newaxis]
    last = int(data["step"][-1]) + 1
    planned = 0 if file else planned_steps(run, parts[-1].attributes["config"])
    if planned > last:
        warn(f"{run}: {last} of {planned} steps are there, and drawn; go on with: "
             f"gradscape train {run / 'config.toml'} --out {run} --resume")
    return dataclasses.replace(parts[0], data=data)


def planned_steps(run: Path, config: str) -> int:
    """How many steps the run is to have; 0 where that is not known."""
    steps = settings_of(config).get("train.steps")
    checkpoints = sorted((run / "checkpoints").glob("step-*.h5"))
    if not steps and checkpoints:  # configured in epochs
        steps = root_number(checkpoints[-1], "total_steps")
    return steps if isinstance(steps, int) else 0


def absent(run: Path, kind: str, name: str, mend: str) -> Error:
    """That a run lacks the file of this name, and which ones of its kind it has."""
    others = sorted(other.name for other in run.glob(f"{kind}*.h5"))
    hint = f" (there is {', '.join(others)}: see --name)" if others else ""
    return Error(f"{run}: has no {wanted_file(kind, name)}{hint}; {mend}")


def load_series(run: Path, file: Path | None, kind: str, schema: Schema, name: str = "main") -> File:
    """The file that `gradscape KIND RUN_DIR --name NAME` made, with these variables."""
    mend = f"make it with: gradscape {kind} {named(run, name)}"
    if file is None:
        raise absent(run, kind, name, mend)
    return read_file(file, {"step": ("step",), "layer": ("layer",)} | schema, mend)


def gather_series(places: Places, look: Look, kind: str, schema: Schema) -> list[Group]:
    """The groups with an analysis' file of the name asked for."""
    return gather(places, look, wanted_file(kind, look.name), lambda run, file: load_series(run, file, kind, schema, look.name))


def stacked(files: list[File], name: str, scale: str = "step") -> tuple[Array, Array]:
    """(steps, values [run, step, …]) at the steps that any of the runs has; NaN where one has not."""
    return united([(file[scale], file[name]) for file in files])


def united(parts: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    steps = np.unique(np.concatenate([own for own, _ in parts]))
    shape = np.max([values.shape[2:] for _, values in parts], axis=0).astype(int)
    result = []
    for own, values in parts:
        whole = np.full((values.shape[0], steps.size, *shape), np.nan)
        whole[(slice(None), np.searchsorted(steps, own), *map(slice, values.shape[2:]))] = values
        result.append(whole)
    return steps, np.concatenate(result)


@dataclasses.dataclass
class Layer:
    """A layer to draw: its number, and the names that it has in the networks drawn."""

    number: int
    names: list[str]


def choose_layers(groups: list[Group], wanted: list[str] | None, most: int, first: int = 1) -> list[Layer]:
    """The layers with these numbers or names that some run has; by default up to `most` of those from number `first` on,
    spread over the depth. Networks with and without norm name the same layer differently, but number it alike."""
    known: dict[int, list[str]] = {}
    for file in (file for group in groups for file in group.files):
        for number, name in zip(file["layer"].tolist(), file.labels):
            names = known.setdefault(number, [])
            names += [name] if name not in names else []
    numbers = [number for number in sorted(known) if number >= first] or sorted(known)
    if wanted:
        numbers = []
        for text in map(str, wanted):
            found = [number for number, names in known.items() if text in names and not text.isdecimal()] or \
                [number for number in known if str(number) == text]
            if len(found) != 1:
                which = f"is layer {' and '.join(map(str, found))}, in different networks; give a number" if found else \
                    "is none of the files' layers"
                listed = ", ".join(f"{number} ({'/'.join(names)})" for number, names in sorted(known.items()))
                raise UsageError(f"--layers: {shown(text)} {which}: {listed}")
            numbers += found
    elif len(numbers) > most:
        numbers = [numbers[round(i * (len(numbers) - 1) / (most - 1))] for i in range(most)]
    return [Layer(number, known[number]) for number in numbers]


def place_of(file: File, layer: Layer) -> int | None:
    """Where a file has the layer; None where it has not."""
    found = np.flatnonzero(file["layer"] == layer.number)
    return int(found[0]) if found.size else None


def of_layer(files: list[File], name: str, layer: Layer) -> tuple[Array, Array] | None:
    """(steps, values [run, step, …]) of a layer in the runs that have it, None where none has: without the dimension
    `layer`, which is the last, or of the dimension `unit` its units."""
    found = []
    for file in files:
        at = place_of(file, layer)
        if at is not None:
            cut = file[name][:, :, file["unit_layer"][0] == at] if "unit_layer" in file else file[name][..., at]
            found.append((file["step"], cut))
    return united(found) if found else None
