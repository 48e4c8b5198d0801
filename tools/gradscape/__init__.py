"""What gradscape recorded, in Python.

    gradscape.open("runs/quickstart/bn")                  an xarray Dataset of a file or a run (needs python3-xarray, -h5netcdf)
    gradscape.figures.landscape("runs/quickstart")        matplotlib figures (python3-matplotlib)
    gradscape.report.write("runs/quickstart", "r.html")   one interactive page (python3-plotly)
    gradscape.from_pytorch.export(model, images, "net/")  networks from PyTorch (torch), gradscape.from_onnx.convert(…) (onnx)
    gradscape.from_arrays.write("data.npz", "data.h5")    images from elsewhere

`pip install .` in the checkout installs it; or put its folder tools/ on PYTHONPATH. Each part needs its own packages only.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .dataset import open

PARTS = ("dataset", "figures", "report", "from_arrays", "from_onnx", "from_pytorch")
__all__ = ["open", *PARTS]


def __getattr__(name: str) -> ModuleType | object:
    """The parts are imported where they are first used: who opens a file needs no torch."""
    if name in PARTS:
        return importlib.import_module(f"{__name__}.{name}")
    if name == "open":
        return importlib.import_module(f"{__name__}.dataset").open
    raise AttributeError(f"module 'gradscape' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
