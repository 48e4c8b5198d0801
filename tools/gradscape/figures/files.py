"""Reads gradscape's HDF5 files (docs/format.md): the one place that turns what is wrong with a file into a message."""

from __future__ import annotations

import contextlib
import dataclasses
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

Array = np.ndarray
Schema = dict[str, tuple[str, ...]]  # name of a dataset → its dimensions; one that ends with "?" is left out where there is none
WHOLE = ("step", "test_step", "layer", "seed", "repeat", "checkpoint")  # scales that hold whole numbers
LABELLED = ("layer", "point")  # scales whose places have names
ATTRIBUTES = ("variant", "direction", "config", "sources", "step", "x_direction", "y_direction", "normalise", "ignore",
              "batch_norm", "images", "batch_size")
MOST = 200  # characters of a user's or a file's text that a message quotes


class Error(Exception):
    """A user's or a file's mistake; the text says where, what, and how to mend it."""


class UsageError(Error):
    """An option that does not fit the figure or the files."""


def tell(text: str) -> None:
    """On stderr; what cannot be said is dropped."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            print(text, file=sys.stderr, flush=True)


def warn(text: str) -> None:
    tell(f"warning: {text}")


def shown(value: object) -> str:
    """A value on one line of a message."""
    text = " ".join(str(value).split())
    return text if len(text) <= MOST else text[:MOST - 1] + "…"


@dataclasses.dataclass(eq=False)
class File:
    """What was read of a file. Variables have a dimension `seed` in front of those that the format gives them: of 1 where
    the file does not unite several seeds. They are ordered by step, and each step is there once."""

    path: Path
    data: dict[str, Array]
    labels: list[str]  # of the layers, or points
    attributes: dict[str, str]  # ATTRIBUTES; "" where there is none
    stale: bool  # made of other files than are there now

    def __getitem__(self, name: str) -> Array:
        return self.data[name]

    def __contains__(self, name: str) -> bool:
        return name in self.data


def wanted_file(kind: str, name: str) -> str:
    """The file of a run that `gradscape KIND --name NAME` makes; `name` is "main" without --name."""
    return f"{kind}.h5" if name == "main" else f"{kind}-{name}.h5"


def named(run: Path, name: str) -> str:
    """A run in a command that makes such a file."""
    return str(run) + ("" if name == "main" else f" --name {name}")


def read_file(path: Path, needed: Schema, mend: str, optional: Schema | None = None) -> File:
    """The datasets `needed`, and those of `optional` that are there. Error, which ends with how to `mend` it, for a file that
    is none of gradscape's, is damaged, lacks one of them, or has another extent than its dimensions say. Links out of the
    file are not followed."""
    schema = needed | (optional or {})
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise Error("is no file")
        with h5py.File(path, "r", locking=False) as file:  # it never changes; not every file system has locks
            present = [name for name in (*schema, "seed") if file.id.links.exists(name.encode())]
            missing = [name for name in needed if name not in present]
            if missing:
                raise Error(f"has no dataset {', '.join(missing)}")
            data = {name: read_dataset(file, name, path.stat().st_size) for name in present}
            text = {name: text_of(file.attrs.get(name)) for name in ATTRIBUTES}
            labelled = next((name for name in LABELLED if name in data), "")
            labels = text_of(file[labelled].attrs.get("labels")) if labelled else ""
            complete = bool(np.all(file.attrs.get("complete", 1)))
            stale = bool(text["sources"]) and not fresh(path.parent, text["sources"], number_of(file, "sources_count"),
                                                        number_of(file, "sources_hash"))
        data = arranged(data, schema, needed)
    except Error as failure:
        raise Error(f"{path}: {failure}; {mend}") from None
    except Exception as failure:  # h5py and NumPy raise nearly every kind of exception on a damaged file
        raise Error(f"{path}: cannot be read ({shown(failure) or type(failure).__name__}); {mend}") from failure
    if not complete:
        warn(f"{path}: marked as not complete; using what is there")
    if stale:
        warn(f"{path}: stale, made of other files than are there now; {mend}")
    names = labels.split(",") if labels else []
    if labelled and len(names) != data[labelled].size:
        names = [str(number) for number in data[labelled].tolist()]
    return File(path, data, names, text, stale)


def read_dataset(file: h5py.File, name: str, file_size: int) -> Array:
    """Its numbers, as int64 or float64."""
    if file.id.links.get_info(name.encode()).type != h5py.h5l.TYPE_HARD:
        raise Error(f"{name} is a link, which is not followed")
    item = file[name]
    if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "iuf":
        raise Error(f"{name} holds no numbers")
    if item.is_virtual or item.external:
        raise Error(f"{name} lies in another file, which is not read")
    if item.size * item.dtype.itemsize > 16 * file_size + 2**20:
        raise Error(f"{name} claims {item.size} values in a file of {file_size} bytes")
    whole = item.dtype.kind in "iu"
    if name in WHOLE and not whole:
        raise Error(f"{name} holds no whole numbers")
    return np.asarray(item[()]).astype(np.int64 if whole else np.float64)


def arranged(data: dict[str, Array], schema: Schema, needed: Schema) -> dict[str, Array]:
    """The datasets with `seed` in front, in the order of their steps; Error where extents do not fit together."""
    seeds = data.get("seed", np.zeros(1)).shape
    sizes = {"seed": seeds, **{name: data[name].shape for name in data if schema.get(name) == (name,)}}
    for name, shape in sizes.items():
        if len(shape) != 1:
            raise Error(f"{name} has shape {shape}, expected one dimension")
        if shape == (0,) and (name in needed or name == "seed"):
            raise Error(f"holds no {'records' if name == 'step' else name + 's'}")
    result: dict[str, Array] = {}
    for name, values in data.items():
        if name in sizes:
            result[name] = values
            continue
        dimensions = [scale.rstrip("?") for scale in schema[name] if not scale.endswith("?") or scale[:-1] in sizes]
        if any(scale not in sizes for scale in dimensions):
            continue  # an optional one without its scale
        expected = tuple(sizes[scale][0] for scale in dimensions)
        if "seed" in data:
            expected = (*seeds, *expected)
        if values.shape != expected:
            raise Error(f"{name} has shape {values.shape}, expected {expected}")
        result[name] = values if "seed" in data else values[np.newaxis]
    for scale in ("step", "test_step"):
        if scale in result:
            result[scale], order = np.unique(result[scale], return_index=True)
            for name, dimensions in schema.items():
                if name in result and name != scale and scale in dimensions:
                    result[name] = np.take(result[name], order, axis=1 + dimensions.index(scale))
    return result


def text_of(value: object) -> str:
    if isinstance(value, np.integer):
        return str(value)
    return value.decode(errors="replace") if isinstance(value, bytes) else value if isinstance(value, str) else ""


def number_of(file: h5py.File, name: str) -> int | None:
    """An attribute of the root that is one whole number."""
    value = np.asarray(file.attrs.get(name, ""))
    return int(value) if value.size == 1 and value.dtype.kind in "iu" else None


def fresh(folder: Path, sources: str, count: int | None, total: int | None) -> bool:
    """Whether the files that a derived file in `folder` names as its sources are still `count`, and their content hashes
    still add up to `total` (modulo 2^64)."""
    paths = [path for pattern in sources.splitlines() for path in matching(folder, pattern)]
    if len(paths) != count:
        return False
    hashes = [root_number(path, "content_hash") for path in paths]
    return None not in hashes and sum(hashes) % 2**64 == total


def root_number(path: Path, name: str) -> int | None:
    """A whole number among the attributes of a file's root; None where it is not there, or cannot be read."""
    try:
        if not path.is_file():  # a pipe would never end
            return None
        with h5py.File(path, "r", locking=False) as file:
            return number_of(file, name)
    except Exception:  # as above
        return None


def matching(folder: Path, pattern: str) -> Iterator[Path]:
    """Files below the folder whose relative path fits: each component may hold one "*"; hidden ones never fit."""
    first, _, rest = pattern.partition("/")
    before, star, after = first.partition("*")
    if first in ("", "..") or not folder.is_dir():
        return
    entries = sorted(folder.iterdir()) if star else [folder / first]
    for entry in entries:
        name = entry.name
        fits = len(name) >= len(before + after) and name.startswith(before) and name.endswith(after)
        if fits and not name.startswith("."):
            if rest:
                yield from matching(entry, rest)
            elif entry.is_file():
                yield entry
