"""What the tests of the figures share: small runs of which every number is known, and calls of the command line."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import tempfile
import unittest
import warnings
from pathlib import Path
from typing import NamedTuple

import h5py
import matplotlib.image
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools"
SLOW = os.environ.get("GRADSCAPE_SLOW", "0") not in ("", "0")
sys.path.insert(0, str(TOOLS))

from gradscape.figures import cli, grids, landscape  # noqa: E402

PROGRAM = TOOLS / "plot_landscape.py"
NAN, INF = float("nan"), float("inf")
BATCH_NORM, PLAIN = "#d55e00", "#0072b2"
WIDTHS = (3.25, 5.5, 7, 11)  # inches: of a column, a page of one column, of two columns, of a screen


def write_grid(path: Path, loss, grad_diff, beta, *, every=10, lr=0.1, alpha=(0.5, 1.0), leave_out=(), noise=(),
               floor=1e-7, more=(), **attributes):
    """A merged grid file with the given bands: `loss` and `grad_diff` are lists of (min, max), `beta` a list of maxima.
    The cells at the first and last multiplier hold the band's edges. All cells of the records `noise` are below the
    noise floor, and their bands NaN. The gradient's norm is 1, and of the cells 1 and 3."""
    path.parent.mkdir(parents=True, exist_ok=True)
    records, shape = len(beta), (len(beta), len(alpha))
    loss, grad_diff = np.array(loss).reshape(records, 2), np.array(grad_diff).reshape(records, 2)
    cells = {"loss": loss, "grad_diff": grad_diff, "beta": np.array(beta).reshape(records, 1).repeat(2, axis=1)}
    spread = np.linspace(0, 1, len(alpha)).round().astype(int)
    data = {name: edges[:, spread] for name, edges in cells.items()}
    finite = np.all([np.isfinite(values) for values in data.values()], axis=0)
    data |= {name: np.ones(shape) for name in ("accuracy", "grad_cos", "distance")}
    data |= {"step": every * np.arange(records), "alpha": np.array(alpha), "grad_norm": np.ones(shape) + 2 * spread,
             "status": np.where(finite, 1, 2).astype(np.uint8), "lr": np.full(records, lr),
             "train_loss": loss[:, 0] - 0.1, "train_grad_norm": np.ones(records), "loss_min": loss[:, 0],
             "loss_max": loss[:, 1], "grad_diff_min": grad_diff[:, 0], "grad_diff_max": grad_diff[:, 1],
             "beta_max": np.array(beta, dtype=float), "noise_floor": np.full(records, floor)}
    data["status"][list(noise)] = 3
    for name in ("loss_min", "loss_max", "grad_diff_min", "grad_diff_max", "beta_max"):
        data[name] = np.array(data[name], dtype=float)
        data[name][list(noise)] = NAN
    with h5py.File(path, "w") as file:
        for name, values in (data | dict(more)).items():
            if name not in leave_out:
                file[name] = values
        file.attrs.update({"name": "example", "complete": np.uint8(1), "direction": "gradient"} | attributes)


class Result(NamedTuple):
    stdout: str
    stderr: str


class Case(unittest.TestCase):
    """A test with a folder of its own, and makers of runs in it."""

    main = staticmethod(cli.main)  # the program that command() calls

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.place = Path(folder.name)
        warnings.simplefilter("ignore")

    # --- runs ---

    def run_directory(self, name: str, norm: str = "none", lr: float = 0.1, noise: bool = False, steps: int = 0) -> Path:
        run = self.place / name
        run.mkdir(parents=True)
        (run / "gradscape-run").touch()
        (run / "config.toml").write_text(f'[model]\nnorm = "{norm}"\nnoise = {str(noise).lower()}\n[train]\nlr = {lr}\n'
                                         f"steps = {steps}\n")
        return run

    @staticmethod
    def write(path: Path, labels: str = "", attributes=(), **data) -> None:
        path.parent.mkdir(exist_ok=True)
        with h5py.File(path, "w") as file:
            for name, values in data.items():
                file[name] = np.asarray(values)
            if labels:
                file["layer"].attrs["labels"] = labels
            file.attrs.update(attributes)

    def write_trace(self, run: Path, loss, test_accuracy=(0.2, 0.4)) -> Path:
        """In two files, of the first step and of all others."""
        steps = len(loss)
        config = (run / "config.toml").read_text()
        for first, last in ((0, 1), (1, steps)):
            part = slice(first, last)
            self.write(run / f"trace/segment-{first:08}-{last:08}.h5", step=np.arange(steps)[part],
                       loss=np.array(loss, float)[part], accuracy=np.array(loss, float)[part] / 10,
                       test_step=[1] if first == 0 else [steps], test_loss=[1.0], test_accuracy=[test_accuracy[first > 0]],
                       attributes={"config": config})
        return run

    def write_shift(self, run: Path, norms, cosines, layers=(1, 2), labels="a,b", every=1, **attributes) -> Path:
        steps = len(norms)
        self.write(run / "shift.h5", labels, attributes, step=every * np.arange(steps), layer=layers, shift_norm=norms,
                   shift_cos=cosines, grad_norm=np.ones((steps, len(layers))), lr=np.ones(steps), train_loss=np.ones(steps))
        return run

    def write_distributions(self, run: Path, low=-1.0, high=3.0, count=(1, 2, 0, 1), layers=(1, 2), labels="a,b") -> Path:
        shape = (2, len(layers))
        data = {}
        for kind in ("activation", "weight"):
            for name, value in (("low", low), ("high", high), ("mean", 0.5), ("variance", 0.25), ("skewness", 0.1),
                                ("kurtosis", 3.0), ("non_finite", 0.0)):
                data[f"{kind}_{name}"] = np.full(shape, value)
            data[f"{kind}_count"] = np.broadcast_to(np.array(count, float), (*shape, len(count)))
        self.write(run / "distributions.h5", labels, step=[0, 10], layer=layers, bin=np.arange(len(count)),
                   drift_mean=0.1 + np.arange(2 * len(layers)).reshape(shape) / 10,
                   drift_variance=1.0 + np.arange(2 * len(layers)).reshape(shape), **data)
        return run

    def write_theorem(self, run: Path) -> Path:
        factor = [[1, 2, 3, 10], [2, 4, 6, 20.0]]
        self.write(run / "theorem.h5", "a,b", step=[0, 1], layer=[1, 2], unit=np.arange(4), unit_layer=[0, 0, 0, 1.0],
                   factor=factor, removed=np.array(factor) / 100)
        return run

    def write_runs(self, variant: Path) -> Path:
        self.write(variant / "runs.h5", lr=[0.1, 0.2], step=[0, 1, 2], test_step=[3], loss_min=[1, 1, 1.0],
                   loss_max=[2, 3, INF], loss=np.ones((2, 3)), test_accuracy=[[0.5], [0.25]])
        return variant

    def write_landscape(self, run: Path, name: str = "landscape.h5", **options) -> Path:
        """Of three records, with what two layers contribute."""
        values = np.arange(12.0).reshape(3, 2, 2)
        write_grid(run / name, [(2, 3), (2, 4), (1, 7)], [(1, 2), (3, 4), (5, NAN)], [11, 22, 20], alpha=(0.5, 2.0),
                   lr=[0.1, 0.1, 0.01], more={"layer": [1, 2], "layer_grad_diff": values, "layer_beta": 2 * values}, **options)
        with h5py.File(run / name, "a") as file:
            file["layer"].attrs["labels"] = "a,b"
        return run

    def write_surface(self, run: Path, loss, name: str = "surface.h5", labels: str = "", trajectory=(), leave_out=(), more=(),
                      **attributes) -> Path:
        """`loss`: [repeat, x] of a line, [repeat, y, x] of a plane, over −1 … 1. Accuracy is 1/(1 + loss), of test images the loss
        1 more and the accuracy half. `trajectory`: (x, y) of checkpoints, whose loss is 3, in the plane 2, and the accuracy there 1/4. `labels`: of points
        at 3/4 of the way to the corners."""
        loss = np.asarray(loss, float)
        repeats = len(loss)
        data = {"repeat": np.arange(repeats), "x": np.linspace(-1, 1, loss.shape[-1]), "loss": loss, "accuracy": 1 / (1 + loss),
                "test_loss": loss + 1, "test_accuracy": 0.5 / (1 + loss), "status": np.where(np.isfinite(loss), 1, 2).astype(np.uint8),
                "centre_loss": np.full(repeats, 0.25), "centre_accuracy": np.full(repeats, 0.75), "x_norm": np.ones(repeats),
                "y_norm": np.ones(repeats), "cosine": np.zeros(repeats)}
        if loss.ndim == 3:
            data["y"] = np.linspace(-1, 1, loss.shape[1])
        if len(trajectory):
            x, y = np.array(trajectory, float).T
            data |= {"checkpoint": 10 * np.arange(x.size), "trajectory_x": x, "trajectory_y": y, "trajectory_loss": np.full(x.size, 3.0),
                     "trajectory_plane_loss": np.full(x.size, 2.0), "trajectory_plane_accuracy": np.full(x.size, 0.25), "component": np.arange(2),
                     "explained_variance_ratio": [0.7, 0.2]}
        if labels:
            corners = 0.75 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])[:labels.count(",") + 1]
            data |= {"point": np.arange(len(corners)), "point_x": corners[:, 0], "point_y": corners[:, 1]}
        said = {"file_type": "surface", "step": "20", "x_direction": "random", "y_direction": "random", "normalise": "filter",
                "ignore": "biasbn", "batch_norm": "running", "images": "100", "batch_size": "50"}
        self.write(run / name, attributes=said | attributes,
                   **{key: value for key, value in (data | dict(more)).items() if key not in leave_out})
        if labels:
            with h5py.File(run / name, "a") as file:
                file["point"].attrs["labels"] = labels
        return run

    def write_all(self, run: Path) -> Path:
        """Every kind of file that a figure reads but runs.h5."""
        self.write_trace(run, [4, 2, 6, 3])
        self.write_shift(run, [[0, 1.0], [0, 2.0], [0, 200.0]], [[1, 1.0], [1, 0.5], [1, -0.5]])
        self.write_distributions(run)
        self.write_theorem(run)
        self.write_surface(run, bowl(7, 9)[np.newaxis], trajectory=[(0.9, 0.5), (0.4, 0.4), (0, 0)])
        return self.write_landscape(run)

    def write_study(self, name: str = "study") -> Path:
        """With and without batch norm, with everything that a figure reads."""
        for variant, norm in (("none", "none"), ("bn", "batch")):
            self.write_runs(self.write_all(self.run_directory(f"{name}/{variant}", norm)))
        return self.place / name

    # --- calls ---

    def command(self, *arguments: object, expect: int = 0) -> Result:
        """Runs main() in this process, which saves a start of Python per call."""
        out, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            try:
                code = self.main([str(argument) for argument in arguments])
            except SystemExit as leave:  # argparse
                code = leave.code
        self.assertEqual(code or 0, expect, out.getvalue() + errors.getvalue())
        return Result(out.getvalue(), errors.getvalue())

    def assert_error(self, *arguments: object, says: tuple[str, ...], expect: int = 1) -> None:
        """One line on stderr (behind the usage, of code 2) that holds all the words."""
        errors = self.command(*arguments, expect=expect).stderr
        if expect == 1:
            self.assertEqual(errors.count("\n"), 1, errors)
        for words in says:
            self.assertIn(words, errors.splitlines()[-1])


class LandscapeCase(Case):
    """With grids of two variants, and calls of the landscape's figure."""

    def write_pair(self) -> Path:
        """Variants bn and none of three records each: mean loss widths (1 + 0.5 + 0)/3 and (1 + 2 + 6)/3, …"""
        write_grid(self.place / "pair/bn/landscape.h5", [(2, 3), (1.5, 2), (1, 1)], [(100, 140), (8, 10), (4, 10)],
                   [25, 20, 19], variant="bn")
        write_grid(self.place / "pair/none/landscape.h5", [(2, 3), (2, 4), (1, 7)], [(1, 2), (5, 45), (10, 110)],
                   [11, 22, 20], variant="none")
        return self.place / "pair"

    def run_program(self, *arguments: object, expect: int = 0):
        return self.command("landscape", *arguments, expect=expect)

    def assert_refused(self, *arguments: object, says: tuple[str, ...]) -> None:
        self.assert_error("landscape", *arguments, says=says)

    def run_of(self, path: Path) -> grids.Run:
        run, = landscape(path).runs
        return run

    def assert_drawn(self, *arguments: object) -> np.ndarray:
        """The figure as pixels; it must hold more than a background."""
        figure = self.place / "figure.png"
        done = self.run_program("--dpi", 80, *arguments, "-o", figure)
        self.assertEqual(done.stderr, "")
        pixels = matplotlib.image.imread(figure)
        self.assertGreater(len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)), 50)
        return pixels

    def start(self, *command: object, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env=os.environ | {"MPLCONFIGDIR": str(self.place)} | environment)


def bowl(height: int, width: int, top: float = 100.0) -> np.ndarray:
    """float64 [y, x], 0.25 in the middle and `top` more at the ends of each axis, where numbers are odd."""
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    return 0.25 + top * (x**2 + y**2)


def panels_of(figure) -> list:
    """Axes but the bar of colours, and those of second values."""
    return [axes for axes in figure.axes if axes.get_label() != "beside"]


def caught(draw):
    """(what draw() returns, what it says on stderr)."""
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors):
        return draw(), errors.getvalue()
