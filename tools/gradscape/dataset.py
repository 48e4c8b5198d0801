"""gradscape's files as xarray Datasets: named dimensions, units, and no number in a cell that holds none."""

from __future__ import annotations

from pathlib import Path

import h5netcdf  # noqa: F401  without it xarray's open_dataset raises ValueError, which would be told as damage of the file
import numpy as np
import xarray
from xarray.backends import BackendArray
from xarray.core import indexing

from .figures.files import Error, shown, text_of

OK = 1  # the status of a cell whose values count
KINDS = ("landscape", "shift", "distributions", "theorem", "surface", "runs", "trace")
LABELLED = {"layer": "layer_name", "point": "point_name"}  # dimension → the coordinate that holds its places' names


def open(path: str | Path, what: str = "landscape", *, masked: bool = True) -> xarray.Dataset:
    """Opens a file of gradscape, or of a run directory the file `what`: "landscape", "shift", "distributions", "theorem",
    "surface", "runs", with a name behind as in "landscape-fine", or "trace" (its segments, one behind the other).

    Values are read where they are used, and only the part that is indexed; a trace is read whole. Every variable has
    `units` (loss, weight, loss/weight, …) and a `long_name`; dimensions and meanings are those of docs/format.md, as
    loss (step, alpha), of several seeds (seed, step, alpha), of a surface (repeat, y, x). Names of layers and points are
    coordinates: `layer_name` (layer), `point_name` (point).

    masked  floating-point values are NaN in cells whose `status` is not 1 (not done, not finite, below the noise floor). With
            False they are as recorded: infinities, and differences that are rounding.

    Close the dataset, or use it in a `with` statement, to close the file. gradscape.figures.Error, whose text says what to do,
    where there is no such file or it cannot be read.
    """
    place = Path(path)
    kind = what.split("-")[0]
    if kind not in KINDS:
        raise Error(f"{shown(what)} is no kind of file; there are {', '.join(KINDS)}")
    if not place.is_dir():
        return opened(place, masked)
    if kind != "trace":
        file = place / f"{what}.h5"
        if not file.is_file():
            there = ", ".join(sorted(other.name for other in place.glob("*.h5"))) or \
                ", ".join(sorted(str(other.relative_to(place)) for other in place.glob(f"*/{file.name}"))) or "no file of gradscape"
            raise Error(f"{place}: has no {file.name}; there is {there}")
        return opened(file, masked)
    segments = sorted((place / "trace").glob("segment-*.h5"))
    if not segments:
        raise Error(f"{place}: has no trace")
    parts = []
    for segment in segments:
        with opened(segment, masked) as part:
            parts.append(part.load())
    joined = xarray.merge([xarray.concat([part[[name for name in part.variables if scale in part[name].dims]] for part in parts], scale)
                           for scale in ("step", "test_step")], combine_attrs="override")  # "drop" would take the variables' too
    joined.attrs = {name: value for name, value in parts[-1].attrs.items() if name != "content_hash"}
    return joined


def opened(file: Path, masked: bool) -> xarray.Dataset:
    if not file.is_file():
        raise Error(f"{file}: {'is no file' if file.exists() else 'does not exist'}")
    try:
        data = xarray.open_dataset(file, engine="h5netcdf", phony_dims="access", mask_and_scale=False, decode_times=False, cache=False)
    except Exception as failure:  # HDF5's libraries raise nearly every kind of exception on a damaged file
        raise Error(f"{file}: cannot be read ({shown(failure) or type(failure).__name__})") from failure
    if text_of(data.attrs.get("program")) != "gradscape" or not data.dims:
        data.close()
        raise Error(f"{file}: is no file of gradscape with named dimensions; h5py reads checkpoints and files of weights")
    for variable in (data, *data.variables.values()):
        variable.attrs = {name: value.decode(errors="replace") if isinstance(value, bytes) else value
                          for name, value in variable.attrs.items()}
    for dimension, name in LABELLED.items():
        labels = data[dimension].attrs.get("labels") if dimension in data.variables else None
        if isinstance(labels, str) and len(labels.split(",")) == data.sizes[dimension]:
            labelled = data.assign_coords({name: (dimension, labels.split(","))})
            labelled.set_close(data.close)  # which a derived dataset has not: the file would stay open
            data = labelled
    return with_holes(data) if masked and "status" in data else data


def with_holes(data: xarray.Dataset) -> xarray.Dataset:
    """The same, lazily, with NaN where `status` is not OK, in every floating-point variable over status's dimensions."""
    status = data["status"].variable
    masked = {}
    for name, values in data.data_vars.items():
        if values.dtype.kind == "f" and set(status.dims) <= set(values.dims):
            lazy = indexing.LazilyIndexedArray(Masked(values.variable, status))
            masked[name] = xarray.Variable(values.dims, lazy, values.attrs, values.encoding)
    result = data.assign(masked)
    result.set_close(data.close)
    return result


class Masked(BackendArray):
    """An array in a file beside another that says where it holds; both are read for what is indexed only."""

    def __init__(self, values: xarray.Variable, status: xarray.Variable):
        self.values, self.status = values, status
        self.shape, self.dtype = values.shape, values.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self.part)

    def part(self, key: tuple[int | slice, ...]) -> np.ndarray:
        at = dict(zip(self.values.dims, key))
        values = self.values[key]
        status = self.status[tuple(at[dimension] for dimension in self.status.dims)]
        return np.asarray(values.where(status == OK).transpose(*values.dims).values)
