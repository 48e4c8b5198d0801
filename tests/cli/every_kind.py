"""A small folder with a file of every kind that the program writes, for the tests of damage."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from support import PLAIN, Case, falsified, gradscape, toml_text

# Checkpoints at 0, 4 and 8. Everything carries state; every file is as small as it can be.
SETTINGS = PLAIN | {"data.synthetic_train": 64, "data.synthetic_test": 16, "model.arch": "mlp", "model.hidden": [2],
                    "model.norm": "batch", "train.lr": 0.1, "train.momentum": 0.9, "train.batch_size": 16,
                    "train.steps": 8, "sweep.layers": True}
CHECKPOINT, TRACE, SHARD, PARTIAL = (
    "checkpoints/step-00000004.h5", "trace/segment-00000000-00000004.h5", "sweep/main/segment-00000000-00000004.h5",
    "sweep/main/partial/segment-00000004-00000008.h5")

# Kind: the file, and another of its kind, below the folder.
FILES = {
    "checkpoint": (f"run/{CHECKPOINT}", "run/checkpoints/step-00000008.h5"),
    "trace": (f"run/{TRACE}", "run/trace/segment-00000004-00000008.h5"),
    "shard": (f"run/{SHARD}", "run/sweep/main/segment-00000004-00000008.h5"),
    "partial shard": (f"stopped/{PARTIAL}", f"stopped/{SHARD}"),
    "landscape": ("run/landscape.h5", "seeds/seed-2/landscape.h5"),
    "union of seeds": ("seeds/landscape.h5", "run/landscape.h5"),
    "analysis shard": ("run/shift/main/segment-00000004-00000008.h5", "stopped/shift/main/segment-00000004-00000008.h5"),
    "shift": ("run/shift.h5", "stopped/shift.h5"),
    "distributions": ("run/distributions.h5", "stopped/distributions.h5"),
    "theorem": ("run/theorem.h5", "stopped/theorem.h5"),
    "runs": ("rates/runs.h5", "run/shift.h5"),
}


def make_partial(shard: Path, partial: Path, records: int) -> None:
    """The first records of a shard, as a stopped sweep leaves them."""
    partial.parent.mkdir(parents=True)
    shutil.move(shard, partial)
    with falsified(partial) as file:
        total = file["step"].shape[0]
        for name in [name for name, item in file.items() if item.ndim and item.shape[0] == total and name != "alpha"]:
            values, attributes = file[name][:records], {k: v for k, v in file[name].attrs.items() if isinstance(v, (str, bytes))}
            del file[name]
            file.create_dataset(name, data=values, chunks=values.shape, fletcher32=True).attrs.update(
                {key: np.bytes_(value) for key, value in attributes.items()})


def make_every_kind(place: Path) -> None:
    def make(name: str, settings: dict[str, Any]) -> None:
        config = place / f"{name}.toml"
        config.write_text(toml_text(settings))
        gradscape("run", config, "--out", place / name, "--quiet")

    run = place / "run"
    make("run", SETTINGS)
    make("seeds", SETTINGS | {"experiment.seeds": [1, 2]})
    make("rates", SETTINGS | {"experiment.learning_rates": [0.05, 0.1], "sweep.kind": "runs", "sweep.layers": False})
    shutil.copytree(run, place / "stopped")
    for folder, steps in (("run", "0:8:2"), ("stopped", "0:8:1")):
        for verb in ("shift", "distributions", "theorem"):
            gradscape(verb, place / folder, "--steps", steps, "--quiet")
    (place / "stopped/landscape.h5").unlink()
    make_partial(place / "stopped/sweep/main/segment-00000004-00000008.h5", place / "stopped" / PARTIAL, 2)
    for file, other in FILES.values():
        for name in (file, other):
            with h5py.File(place / name) as opened:
                assert opened.attrs["complete"] == 1, name


class EveryKind(Case):
    """`kinds` is such a folder."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.kinds = cls.shared / "kinds"
        cls.kinds.mkdir()
        make_every_kind(cls.kinds)
