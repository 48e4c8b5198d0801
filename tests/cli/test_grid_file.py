#!/usr/bin/python3
"""The grid file: what docs/format.md says of it, and its cells recomputed in numpy from docs/ and the files alone."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path

import h5py
import netCDF4  # noqa: F401  (before warnings count: importing it warns of numpy's age)
import numpy as np
import xarray

from support import FULL, PLAIN, ROOT, Case, attributes, datasets, gradscape, main, write_cifar

CELLS = ("loss", "accuracy", "grad_norm", "grad_diff", "grad_cos", "distance", "beta")
RECORDS = ("lr", "train_loss", "train_grad_norm", "noise_floor", "loss_min", "loss_max", "grad_norm_min",
           "grad_norm_max", "grad_diff_min", "grad_diff_max", "beta_max")
LAYERS = ("layer_grad_diff", "layer_beta")  # with sweep.layers
ON_SET = ("set_loss", "set_accuracy", "set_grad_norm", "set_grad_diff", "set_loss_at_theta", "set_accuracy_at_theta",
          "set_grad_norm_at_theta", "set_grad_cos", "set_loss_min", "set_loss_max")  # with sweep.on, sweep.on_gradients
SAMPLES = ("batch_index", "batch_crop_y", "batch_crop_x", "batch_flip")


def documented_variables() -> dict[str, tuple[tuple[str, ...], str, str]]:
    """name: (dimensions, type, unit), from the table of docs/format.md."""
    text = (ROOT / "docs/format.md").read_text().split("## Grid file")[1].split("\n## ")[0]
    found = {}
    for line in text.splitlines():
        columns = [column.strip() for column in line.strip("|").split("|")]
        if not line.startswith("| `"):
            continue
        names, units = re.findall(r"`(\w+)`", columns[0]), columns[3].replace("²", "^2").split(", ")
        for position, name in enumerate(names):
            found[name] = (tuple(columns[1].split(", ")), columns[2], units[min(position, len(units) - 1)])
    return found


class GridFile(Case):
    """An augmented run with a short last batch, of one epoch of 4 steps and 6 more steps."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.run_directory = cls.make("run", FULL | {"sweep.layers": True, "sweep.on": "test", "sweep.on_gradients": True,
                                                  "sweep.on_images": 0}, cls.shared / "run")
        cls.path = cls.run_directory / "landscape.h5"
        cls.data = datasets(cls.path)

    def test_documented_variables(self) -> None:
        documented = documented_variables()
        self.assertEqual(set(documented), {*CELLS, *RECORDS, *SAMPLES, *LAYERS, *ON_SET, "status"})
        self.assertEqual(set(self.data), {*documented, "step", "alpha", "sample", "layer"})
        for path in (self.path, self.run_directory / "sweep/main/segment-00000004-00000008.h5"):
            with h5py.File(path) as file:
                for name, (dimensions, kind, unit) in documented.items():
                    dataset = file[name]
                    self.assertEqual(dataset.dtype, np.dtype(kind), name)
                    self.assertEqual(dataset.attrs["units"].decode(), unit, name)
                    self.assertTrue(dataset.attrs["long_name"].decode(), name)
                    self.assertEqual(tuple(axis[0].name for axis in dataset.dims), tuple("/" + d for d in dimensions))
                    self.assertTrue(dataset.fletcher32 and dataset.chunks, name)
                self.assertEqual([file[name].dtype for name in ("step", "alpha", "sample", "layer")],
                                 [np.int64, np.float64, np.int32, np.int32])
                for name in ("step", "alpha", "sample", "layer"):
                    self.assertTrue(h5py.h5ds.is_scale(file[name].id), name)
                    self.assertTrue(file[name].attrs["units"] and file[name].attrs["long_name"])

    def test_documented_attributes(self) -> None:
        found = attributes(self.path)
        text = (ROOT / "docs/format.md").read_text().split("## Attributes of every file's root")[1].split("\n## ")[0]
        for line in text.splitlines():
            if line.startswith("| `"):
                for name in re.findall(r"`(\w+)`", line.split("|")[1]):
                    self.assertIn(name, found)
        self.assertEqual((found["program"], found["file_type"], found["format_version"], found["complete"]),
                         ("gradscape", "grid", 2, 1))
        self.assertEqual((found["direction"], found["probe_precision"]), ("gradient", "native"))
        self.assertEqual(found["config"], (self.run_directory / "config.toml").read_text())

    def test_xarray_opens_it_with_both_engines(self) -> None:
        for engine in ("netcdf4", "h5netcdf"):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                with xarray.open_dataset(self.path, engine=engine) as grid:
                    self.assertEqual(dict(grid.sizes), {"step": 11, "alpha": 2, "layer": 11, "sample": 32}, engine)
                    for name in CELLS + ("status",):
                        self.assertEqual(grid[name].dims, ("step", "alpha"), engine)
                    for name in RECORDS:
                        self.assertEqual(grid[name].dims, ("step",), engine)
                    for name in SAMPLES:
                        self.assertEqual(grid[name].dims, ("step", "sample"), engine)
                    self.assertEqual(grid.loss.attrs["units"], "loss")
                    np.testing.assert_array_equal(grid.loss.values, self.data["loss"])
                    chosen = grid.loss.sel(step=4, alpha=2.0)
                    self.assertEqual(float(chosen), self.data["loss"][4, 1])

    def test_status_flags(self) -> None:
        with h5py.File(self.path) as file:
            self.assertEqual(file["status"].attrs["flag_values"].tolist(), [0, 1, 2, 3])
            self.assertEqual(file["status"].attrs["flag_values"].dtype, np.uint8)
            self.assertEqual(file["status"].attrs["flag_meanings"].decode().split(),
                             ["not_done", "ok", "non_finite", "below_noise"])
        self.assertTrue((self.data["status"][:10] == 1).all())
        self.assertTrue((self.data["status"][10] == 3).all(), "the cosine schedule ends at lr 0, which goes nowhere")

    def test_derived_variables(self) -> None:
        self.assert_derived(self.data)
        for name in ("accuracy",):
            self.assertTrue(((self.data[name] >= 0) & (self.data[name] <= 1)).all())

    def assert_derived(self, data: dict[str, np.ndarray]) -> None:
        """Bands leave out cells below noise, skip NaN and keep infinities."""
        relative = data["grad_diff"] / np.where(data["train_grad_norm"] == 0, np.nan, data["train_grad_norm"])[:, None]
        noise = np.isin(data["status"], (1, 3)) & (relative < 10 * data["noise_floor"][:, None])
        np.testing.assert_array_equal(data["status"] == 3, noise)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy's "All-NaN slice"
            for band, cells, extreme in (("loss_min", "loss", np.nanmin), ("loss_max", "loss", np.nanmax),
                                         ("grad_diff_min", "grad_diff", np.nanmin), ("beta_max", "beta", np.nanmax),
                                         ("grad_diff_max", "grad_diff", np.nanmax), ("grad_norm_min", "grad_norm", np.nanmin),
                                         ("grad_norm_max", "grad_norm", np.nanmax)):
                known = np.where(data["train_grad_norm"] == 0, np.nan,
                                 extreme(np.where(noise, np.nan, data[cells]), axis=1))
                np.testing.assert_array_equal(data[band], known, band)
            if "set_loss" in data:
                np.testing.assert_array_equal(data["set_loss_min"], data["set_loss"].min(axis=1))
                np.testing.assert_array_equal(data["set_loss_max"], data["set_loss"].max(axis=1))
            np.testing.assert_allclose(data["beta"], data["grad_diff"] / data["distance"], rtol=1e-15)
        distance = data["alpha"][None, :] * (data["lr"] * data["train_grad_norm"])[:, None]
        np.testing.assert_allclose(data["distance"], distance, rtol=1e-14)

    def test_batches_are_an_epochs_permutation(self) -> None:
        index = self.data["batch_index"]
        for first in (0, 4):  # 112 images are 3 batches of 32 and one of 16
            epoch = index[first:first + 4]
            self.assertEqual((epoch < 0).sum(axis=1).tolist(), [0, 0, 0, 16])
            self.assertTrue((epoch[3, 16:] == -1).all())
            self.assertEqual(sorted(epoch[epoch >= 0].tolist()), list(range(112)))
        self.assertNotEqual(index[0].tolist(), index[4].tolist())

    def test_augmentation_is_within_its_bounds_and_new_every_epoch(self) -> None:
        data = self.data
        for name in ("batch_crop_y", "batch_crop_x"):
            self.assertEqual((data[name].min(), data[name].max()), (-4, 4))
        self.assertEqual(set(data["batch_flip"].ravel().tolist()), {0, 1})
        moves = {}
        for step, row in enumerate(data["batch_index"]):
            for position, image in enumerate(row.tolist()):
                moves.setdefault(image, {})[step // 4] = tuple(int(data[name][step, position]) for name in SAMPLES[1:])
        changed = [move[0] != move[1] for image, move in moves.items() if image >= 0 and len(move) > 1]
        self.assertGreater(np.mean(changed), 0.9)  # 162 moves: one in 162 happens to be the same

    def test_probes_agree_with_the_trace(self) -> None:
        """The multiplier 0 is the training step itself."""
        trace = datasets(self.run_directory / "trace/segment-00000004-00000008.h5")
        for mine, theirs in (("train_loss", "loss"), ("train_grad_norm", "grad_norm"), ("lr", "lr")):
            self.assertEqual(self.data[mine][4:8].tobytes(), trace[theirs].tobytes())

    def test_non_finite_cells_are_data(self) -> None:
        """A learning rate at which the network without norm explodes."""
        run = self.make("run", PLAIN | {"train.lr": 1e12, "sweep.multipliers": [1e-14, 1.0, 1e20]},
                        self.place / "wild")
        data = datasets(run / "landscape.h5")
        finite = np.isfinite(data["loss"]) & np.isfinite(data["grad_norm"]) & np.isfinite(data["grad_diff"])
        np.testing.assert_array_equal(data["status"], np.where(finite, 1, 2))
        self.assertEqual(set(data["status"].ravel().tolist()), {1, 2})
        self.assert_derived(data)
        self.assertIn("non-finite", gradscape("info", run / "landscape.h5").stdout)
        told = gradscape("info", run).stdout  # NaN has no sign, though printf shows one
        self.assertRegex(told, r"last loss +nan at step")
        self.assertNotIn("-nan", told)

    def test_noise_floor(self) -> None:
        """One per segment of 4 steps, of the size of float's rounding; a numerics report of its step gives it too."""
        floor = self.data["noise_floor"]
        self.assertEqual(len(set(floor.tolist())), 3)
        for first in (0, 4, 8):
            self.assertEqual(len(set(floor[first:first + 4].tolist())), 1)
            report, = json.loads(gradscape("numerics", self.run_directory, "--step", first, "--json").stdout)["runs"]
            self.assertEqual(report["gradient"]["relative_error"], floor[first])
        self.assertTrue(((floor > 1e-8) & (floor < 1e-2)).all(), floor)
        self.assertIn("2 below noise", gradscape("info", self.path).stdout)
        self.assertIn("noise floor", gradscape("info", self.path).stdout)

    def test_steps_too_small_to_tell(self) -> None:
        """In float their gradient difference is rounding and marked, with the values kept; in double it is not."""
        for more, status in (((), 3), (("--probe-precision", "double"), 1)):
            name = f"tiny{status}"
            gradscape("sweep", self.run_directory, "--quiet", "--name", name, "--steps", "0:9", "--multipliers",
                      "1e-9,1", *more)
            gradscape("merge", self.run_directory, "--quiet", "--name", name)
            data = datasets(self.run_directory / f"landscape-{name}.h5")
            self.assertTrue((data["status"][:, 0] == status).all(), data["status"])
            self.assertTrue((data["status"][:, 1] == 1).all())
            self.assertTrue(np.isfinite(data["grad_diff"]).all())
            self.assertEqual((data["noise_floor"] == 0).all(), status == 1)
            self.assert_derived(data)

    def test_direction_of_the_update(self) -> None:
        """Adam's own step: distances are multiples of its norm; g stays what it was."""
        gradscape("sweep", self.run_directory, "--quiet", "--name", "update", "--direction", "update")
        gradscape("merge", self.run_directory, "--quiet", "--name", "update")
        path = self.run_directory / "landscape-update.h5"
        self.assertEqual(attributes(path)["direction"], "update")
        data = datasets(path)
        trace = [datasets(file)["update_norm"] for file in sorted((self.run_directory / "trace").glob("*.h5"))]
        update_norm = np.concatenate(trace)
        # θ_{t+1} − θ_t is rounded to float, each element by at most 2^-24 of itself; the trace has its norm in double.
        np.testing.assert_allclose(data["distance"][:10], data["alpha"] * update_norm[:, None], rtol=2.0**-24)
        np.testing.assert_array_equal(data["train_loss"], self.data["train_loss"])


class ThirdParty(Case):
    """An mlp in double precision on images whose bytes the test knows: every cell again, in numpy."""

    settings = PLAIN | {
        "data.source": "cifar10", "data.standardise": "channel", "data.augment_crop": 2, "data.augment_flip": True,
        "model.arch": "mlp", "model.hidden": [14, 9], "train.precision": "double", "train.checkpoint_every": 1,
        "train.steps": 6, "train.lr": 0.1, "sweep.multipliers": [0.25, 1.0, 3.0]}

    def pixels(self, run: Path, grid: dict[str, np.ndarray], row: int) -> tuple[np.ndarray, np.ndarray]:
        """What the network saw at record `row`: [N, 3·32·32] and labels, after docs/format.md."""
        saw, labels = [], []
        with h5py.File(run / "checkpoints/step-00000000.h5") as file:
            mean, deviation = file["standardisation/mean"][()], file["standardisation/deviation"][()]
        y, x = np.mgrid[0:32, 0:32]
        for position, index in enumerate(grid["batch_index"][row]):
            if index < 0:
                continue
            from_y = y + int(grid["batch_crop_y"][row, position])
            from_x = x + int(grid["batch_crop_x"][row, position])
            if grid["batch_flip"][row, position]:
                from_x = 31 - from_x
            inside = (from_y >= 0) & (from_y < 32) & (from_x >= 0) & (from_x < 32)
            image = np.where(inside, self.images[index][:, from_y.clip(0, 31), from_x.clip(0, 31)], 0)
            saw.append(((image / 255 - mean[:, None, None]) / deviation[:, None, None]).ravel())
            labels.append(self.labels[index])
        return np.array(saw), np.array(labels)

    @staticmethod
    def evaluate(theta: dict[str, np.ndarray], x: np.ndarray, labels: np.ndarray, norm: bool):
        """Cross-entropy of Linear [BatchNorm] ReLU Linear [BatchNorm] ReLU Linear, train mode, and its gradient."""
        gap = 3 if norm else 2
        saved, last = [], 2 * gap
        for index in (0, gap):
            z = x @ theta[f"layers.{index}.weight"].T + theta[f"layers.{index}.bias"]
            y, unit, scale = z, None, None
            if norm:
                scale = 1 / np.sqrt(z.var(axis=0) + 1e-5)
                unit = (z - z.mean(axis=0)) * scale
                y = unit * theta[f"layers.{index + 1}.weight"] + theta[f"layers.{index + 1}.bias"]
            saved.append((index, x, unit, scale, y > 0))
            x = np.maximum(y, 0)
        logits = x @ theta[f"layers.{last}.weight"].T + theta[f"layers.{last}.bias"]
        logits = logits - logits.max(axis=1, keepdims=True)
        probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        rows = np.arange(len(labels))
        loss, accuracy = -np.log(probability[rows, labels]).mean(), (logits.argmax(axis=1) == labels).mean()
        d = probability
        d[rows, labels] -= 1
        d /= len(labels)
        grad = {f"layers.{last}.weight": d.T @ x, f"layers.{last}.bias": d.sum(axis=0)}
        d = d @ theta[f"layers.{last}.weight"]
        for index, into, unit, scale, open_gate in reversed(saved):
            d = d * open_gate
            if norm:
                grad[f"layers.{index + 1}.weight"] = (d * unit).sum(axis=0)
                grad[f"layers.{index + 1}.bias"] = d.sum(axis=0)
                d = d * theta[f"layers.{index + 1}.weight"]
                d = scale * (d - d.mean(axis=0) - unit * (d * unit).mean(axis=0))
            grad[f"layers.{index}.weight"], grad[f"layers.{index}.bias"] = d.T @ into, d.sum(axis=0)
            d = d @ theta[f"layers.{index}.weight"]
        return loss, accuracy, grad

    def test_every_cell_recomputed(self) -> None:
        folder = self.place / "data"
        self.images, self.labels = write_cifar(folder)  # 96 images: 3 batches of 32; with 80: the last of 16
        for norm, limit in (("none", 0), ("batch", 80)):
            run = self.make("run", self.settings | {"model.norm": norm, "data.path": str(folder),
                                                    "data.train_limit": limit}, self.place / norm)
            grid = datasets(run / "landscape.h5")
            self.assertEqual(len(grid["step"]), 7)
            for row, step in enumerate(grid["step"]):
                self.assert_row(run, grid, row, int(step), norm == "batch")
            # Plain SGD's update is −lr·g: the two directions are one.
            gradscape("sweep", run, "--quiet", "--name", "update", "--direction", "update")
            gradscape("merge", run, "--quiet", "--name", "update")
            update = datasets(run / "landscape-update.h5")
            for name in CELLS:
                np.testing.assert_allclose(update[name], grid[name], rtol=1e-9, err_msg=name)

    def assert_row(self, run: Path, grid: dict[str, np.ndarray], row: int, step: int, norm: bool) -> None:
        def flat(named: dict[str, np.ndarray]) -> np.ndarray:
            return np.concatenate([named[name].ravel() for name in sorted(named)])

        def same(name: str, found: float, known: float) -> None:
            np.testing.assert_allclose(found, known, rtol=1e-9, err_msg=f"{name} of step {step}")

        with h5py.File(run / f"checkpoints/step-{step:08}.h5") as file:
            theta = {name: value[()] for name, value in file["parameters"].items()}
        x, labels = self.pixels(run, grid, row)
        lr = self.settings["train.lr"]
        loss, _, g = self.evaluate(theta, x, labels, norm)
        same("train_loss", grid["train_loss"][row], loss)
        same("train_grad_norm", grid["train_grad_norm"][row], np.linalg.norm(flat(g)))
        for column, alpha in enumerate(grid["alpha"]):
            moved = {name: value - alpha * lr * g[name] for name, value in theta.items()}
            loss, accuracy, there = self.evaluate(moved, x, labels, norm)
            a, b = flat(there), flat(g)
            difference, distance = np.linalg.norm(a - b), alpha * lr * np.linalg.norm(b)
            known = {"loss": loss, "accuracy": accuracy, "grad_norm": np.linalg.norm(a), "grad_diff": difference,
                     "grad_cos": a @ b / np.linalg.norm(a) / np.linalg.norm(b), "distance": distance,
                     "beta": difference / distance}
            for name, value in known.items():
                same(f"{name} at {alpha}", grid[name][row, column], value)
        if step < self.settings["train.steps"]:  # and plain SGD's step, from one checkpoint to the next
            with h5py.File(run / f"checkpoints/step-{step + 1:08}.h5") as file:
                following = {name: value[()] for name, value in file["parameters"].items()}
            np.testing.assert_allclose(flat(following), flat(theta) - lr * flat(g), rtol=1e-9, atol=1e-14)


if __name__ == "__main__":
    main()
