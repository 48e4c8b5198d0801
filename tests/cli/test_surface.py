#!/usr/bin/python3
"""Surfaces: the same bits by any road, settings that are kept apart, numbers that are what they are called, and words for what cannot
be (the faults of other tools by their numbers in the field's list)."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import h5py
import numpy as np
from support import PLAIN, Case, datasets, gradscape, main, stopped_at

RUN = PLAIN | {"model.arch": "mlp", "model.hidden": [10, 8], "model.norm": "batch", "data.synthetic_train": 112}
GRID = ("--x", "random", "--y", "random", "--xlim=-1:1:7", "--ylim=0:1:4", "--images", 100, "--quiet")


class Surface(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.trained = cls.make("train", RUN, cls.shared / "trained", "--quiet")

    def run_copy(self, name: str = "copy") -> Path:
        return self.copy(self.trained, name)

    def assert_same_surface(self, a: Path, b: Path) -> None:
        here, there = datasets(a), datasets(b)
        self.assertEqual(set(here), set(there))
        for name, values in here.items():
            self.assertEqual(values.tobytes(), there[name].tobytes(), name)

    # --- the same bits ---

    def test_bits_over_threads_tasks_and_their_order(self) -> None:
        whole = self.run_copy("whole")
        gradscape("surface", whole, *GRID, "--repeats", 2, "--test-images", 20, "--grad-norm", "true", "--threads", 1)
        shared = self.run_copy("shared")
        for task in (2, 0, 1):
            gradscape("surface", shared, *GRID, "--repeats", 2, "--test-images", 20, "--grad-norm", "true", "--threads", 3,
                      "--task", f"{task}/3")
        self.assertIn("surface.h5", gradscape("merge", shared, "--kind", "surface").stdout)
        self.assert_same_surface(whole / "surface.h5", shared / "surface.h5")
        self.assertIn("all right", gradscape("verify", shared, "--cells", 20).stdout)
        self.assertIn("57 done of 57; merged", gradscape("status", shared, expect=(0, 1)).stdout)

    def test_bits_over_kills(self) -> None:
        whole = self.run_copy("whole")
        gradscape("surface", whole, *GRID, "--trajectory", "all")
        for number, moment, count, code in ((signal.SIGKILL, "published", 5, -9), (signal.SIGKILL, "written", 3, -9),
                                            (signal.SIGTERM, "published", 4, 75), (signal.SIGINT, "published", 6, 130)):
            with self.subTest(f"{number.name} {moment} {count}"):
                killed = self.run_copy(f"killed-{number}-{moment}")
                stopped_at(number, moment, count, "surface", killed, *GRID, "--trajectory", "all", expect=code)
                gradscape("surface", killed, "--quiet")  # what it is, its shards say
                self.assert_same_surface(whole / "surface.h5", killed / "surface.h5")

    def test_a_cell_does_not_depend_on_the_grid(self) -> None:
        """Fault 11: no walk. And no weight or statistic of the run has moved (fault 8)."""
        run = self.run_copy()
        before = {path: self.digest(path) for path in run.glob("checkpoints/*.h5")}
        gradscape("surface", run, "--x", "to:0", "--xlim=-0.5:1.5:9", "--images", 64, "--name", "fine", "--quiet")
        gradscape("surface", run, "--x", "to:0", "--xlim=-0.5:1.5:2", "--images", 64, "--name", "coarse", "--quiet")
        fine, coarse = datasets(run / "surface-fine.h5"), datasets(run / "surface-coarse.h5")
        self.assertEqual(fine["loss"][0, [0, -1]].tobytes(), coarse["loss"][0].tobytes())
        self.assertEqual(fine["centre_loss"].tobytes(), coarse["centre_loss"].tobytes())
        self.assertEqual(fine["centre_loss"][0], fine["loss"][0, 2], "x = 0 is the centre")
        self.assertEqual(before, {path: self.digest(path) for path in run.glob("checkpoints/*.h5")})

    # --- what the numbers are ---

    def test_networks_with_and_without_norm_share_directions(self) -> None:
        plain = self.make("train", RUN | {"model.norm": "none"}, self.place / "plain", "--quiet")
        run = self.run_copy()
        for directory in (run, plain):
            gradscape("surface", directory, "--normalise", "dfilter", "--xlim=-1:1:2", "--images", 32, "--quiet")
        with h5py.File(run / "directions-main.h5") as a, h5py.File(plain / "directions-main.h5") as b:
            mine = sorted(a["x/0"][()] if isinstance(a["x/0"], h5py.Dataset) else [name for name in a["x/0"] if name.endswith("weight")])
            weights = [(name, a["x/0"][name][()]) for name in mine if a["x/0"][name].ndim == 2]
            theirs = [b["x/0"][name][()] for name in sorted(b["x/0"]) if b["x/0"][name].ndim == 2]
            self.assertEqual(len(weights), 3)
            for (name, here), there in zip(weights, theirs):
                self.assertEqual(here.tobytes(), there.tobytes(), name)

    def test_the_surface_of_a_quadratic_is_one(self) -> None:
        """One linear layer with squared loss: L(a, b) is a polynomial of degree 2, whose six coefficients the cells must all have."""
        run = self.make("train", {"data.source": "linear", "model.arch": "deep-linear", "model.depth": 1, "model.loss": "mse", "train.precision": "double",
                                  "train.lr": 0.01, "train.batch_size": 16, "train.steps": 2}, self.place / "quadratic", "--quiet")
        gradscape("surface", run, "--x", "random", "--y", "gradient", "--normalise", "none", "--xlim=-1:1:7", "--ylim=-2:2:5", "--images", 0,
                  "--grad-norm", "true", "--quiet")
        found = datasets(run / "surface.h5")
        a, b = np.meshgrid(found["x"], found["y"])
        terms = np.stack([np.ones_like(a), a, b, a * a, a * b, b * b], -1).reshape(-1, 6)
        loss = found["loss"][0].ravel()
        coefficients = np.linalg.lstsq(terms, loss, rcond=None)[0]
        self.assertLess(np.abs(terms @ coefficients / loss - 1).max(), 1e-12)
        self.assertAlmostEqual(coefficients[2] / found["y_norm"][0] ** 2, 1, 9, "the slope along the gradient is its square")
        np.testing.assert_allclose(found["grad_norm"][0, 2, 3], found["y_norm"][0], rtol=1e-12, err_msg="at the centre")

    def test_trajectories_tell_both_losses(self) -> None:
        """Fault 10; and against numpy's singular vectors of the checkpoints."""
        dense = self.make("train", RUN | {"train.checkpoint_every": 1}, self.place / "dense", "--quiet")  # 11 checkpoints: two blocks
        for run in (self.run_copy(), dense):
            with self.subTest(run.name):
                self.compare_with_singular_vectors(run)

    def compare_with_singular_vectors(self, run: Path) -> None:
        gradscape("surface", run, "--x", "pca:1", "--y", "pca:2", "--xlim=-1:1:3", "--ylim=-1:1:3", "--images", 100, "--quiet")
        found = datasets(run / "surface.h5")
        checkpoints = sorted(run.glob("checkpoints/*.h5"))
        rows = []
        for path in checkpoints:
            with h5py.File(path) as file:
                names: list[str] = []
                file["parameters"].visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
                rows.append(np.concatenate([file["parameters"][name][()].astype(np.float64).ravel() for name in sorted(names)]))
        rows = np.array(rows) - rows[-1]
        singular = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
        np.testing.assert_allclose(found["explained_variance_ratio"][:3], (singular[1] ** 2 / (singular[1] ** 2).sum())[:3], rtol=1e-5)
        axes = singular[2][:2]
        axes = axes * np.sign(axes[np.arange(2), np.abs(axes).argmax(1)])[:, None]
        np.testing.assert_allclose(np.stack([found["trajectory_x"], found["trajectory_y"]]), axes @ rows.T, atol=1e-5)
        np.testing.assert_allclose(found["trajectory_radius"], np.linalg.norm(rows, axis=1), rtol=1e-6)
        residual = rows - (axes @ rows.T).T @ axes
        np.testing.assert_allclose(found["trajectory_distance"], np.linalg.norm(residual, axis=1), atol=1e-5)
        self.assertEqual(found["trajectory_loss"][-1], found["centre_loss"][0])
        self.assertEqual(found["trajectory_plane_loss"][-1], found["centre_loss"][0])
        self.assertGreater(abs(found["trajectory_loss"][1] - found["trajectory_plane_loss"][1]), 1e-6)

    def test_means_of_checkpoints(self) -> None:
        """to:mean: goes to the arithmetic mean, as weight averaging takes it."""
        run = self.run_copy()
        gradscape("surface", run, "--x", "to:mean:4:8:4", "--xlim=0:1:2", "--images", 32, "--quiet")
        with h5py.File(run / "directions-main.h5") as made, h5py.File(run / "checkpoints/step-00000010.h5") as last, \
                h5py.File(run / "checkpoints/step-00000004.h5") as a, h5py.File(run / "checkpoints/step-00000008.h5") as b:
            for name, item in made["x/0"].items():
                mean = (a["parameters"][name][()].astype(np.float64) + b["parameters"][name][()]) / 2
                np.testing.assert_allclose(item[()], mean - last["parameters"][name][()], atol=1e-7)

    def test_barriers_are_told(self) -> None:
        """Heights over the chord, and rises, by their definition; `info` says them."""
        run = self.run_copy()
        gradscape("surface", run, "--x", "to:0", "--xlim=0:1:9", "--images", 64, "--test-images", 32, "--quiet")
        told = json.loads(gradscape("info", run / "surface.h5", "--json").stdout)
        with h5py.File(run / "surface.h5") as file:
            loss = {"": file["loss"][0], "error_": 1 - file["accuracy"][0], "test_": file["test_loss"][0], "test_error_": 1 - file["test_accuracy"][0]}
            units = {name: file[name].attrs["units"].decode() for name in ("loss", "accuracy", "test_loss", "centre_loss", "barrier", "error_barrier")}
        self.assertEqual({name: "loss" if name in ("loss", "test_loss", "centre_loss", "barrier") else "1" for name in units}, units)
        for prefix, values in loss.items():
            at = np.arange(9) / 8
            np.testing.assert_allclose(told[prefix + "barrier"], [np.max(values - (1 - at) * values[0] - at * values[-1])], rtol=1e-12, atol=1e-15)
            rises = [later - values[i] for i in range(9) for later in values[i + 1:]]
            np.testing.assert_allclose(told[prefix + "monotonicity"], [max(0, *rises)], rtol=1e-12, atol=1e-15)
        shown = gradscape("info", run / "surface.h5").stdout
        self.assertRegex(shown, r"barrier +loss \S+, error \S+, test loss \S+, test error \S+\n")

    def test_where_the_loss_doubles_is_told(self) -> None:
        """Along each axis and of each repeat, from the cells by interpolation."""
        run = self.run_copy()
        gradscape("surface", run, "--y", "random", "--xlim=-2:2:9", "--ylim=-3:3:7", "--repeats", 2, "--images", 64, "--quiet")
        told = json.loads(gradscape("info", run / "surface.h5", "--json").stdout)["doubled"]
        with h5py.File(run / "surface.h5") as file:
            loss, centre = file["loss"][()], file["centre_loss"][()]
            axes = {"x": (file["x"][()], loss[:, 3, :]), "y": (file["y"][()], loss[:, :, 4])}
        self.assertEqual(set(told), set(axes))
        found = 0
        for name, (axis, lines) in axes.items():
            for repeat, line in enumerate(lines):
                for side, sign in enumerate((-1, 1)):
                    order = np.argsort(sign * axis)[axis.size // 2:]
                    places, values = np.abs(axis[order]), line[order]
                    beyond = np.flatnonzero(values >= 2 * centre[repeat])
                    if beyond.size == 0:
                        self.assertIsNone(told[name][repeat][side])
                        continue
                    k, found = beyond[0], found + 1
                    place = np.interp(2 * centre[repeat], values[k - 1:k + 1], places[k - 1:k + 1])
                    np.testing.assert_allclose(told[name][repeat][side], sign * place, rtol=1e-12)
        self.assertGreater(found, 0)
        self.assertRegex(gradscape("info", run / "surface.h5").stdout, r"doubled +the centre's loss at x \S+ and \S+, \S+ and \S+; y \S+ and")

    def test_the_step_of_training_is_a_direction(self) -> None:
        """update is theta_{t+1} - theta_t, also at a step between two checkpoints, which is replayed."""
        run = self.run_copy()
        gradscape("surface", run, "--at", 5, "--x", "update", "--xlim=0:1:2", "--images", 32, "--quiet")
        dense = self.make("train", RUN | {"train.checkpoint_every": 1}, self.place / "dense", "--quiet")
        with h5py.File(run / "directions-main.h5") as made, h5py.File(dense / "checkpoints/step-00000005.h5") as now, \
                h5py.File(dense / "checkpoints/step-00000006.h5") as then:
            self.assertEqual(made.attrs["theta_fingerprint"], now.attrs["theta_fingerprint"])
            for name, item in made["x/0"].items():
                self.assertEqual(item[()].tobytes(), (then["parameters"][name][()] - now["parameters"][name][()]).tobytes(), name)

    def test_other_runs_are_reached(self) -> None:
        """to:RUN@STEP ends at that network, to:RUN at its last one, with statistics of its own where they move along."""
        run, other = self.run_copy(), self.make("train", RUN | {"train.seed": 8}, self.place / "other", "--quiet")
        for name, target, step in (("a", f"to:{other}@4", 4), ("b", f"to:{other}", 10)):
            gradscape("surface", run, "--name", name, "--x", target, "--xlim=0:1:2", "--images", 0, "--bn", "moved", "--quiet")
            gradscape("surface", other, "--name", name, "--at", step, "--xlim=0:1:2", "--images", 0, "--bn", "running", "--quiet")
            there = datasets(other / f"surface-{name}.h5")["centre_loss"][0]
            np.testing.assert_allclose(datasets(run / f"surface-{name}.h5")["loss"][0, 1], there, rtol=1e-5)

    def test_moved_statistics_are_the_targets_own(self) -> None:
        """In a plane of two networks each has its own statistics where it lies, though the second axis was made orthogonal."""
        run = self.run_copy()
        gradscape("surface", run, "--x", "to:0", "--y", "to:4", "--xlim=0:1:2", "--ylim=0:1:2", "--images", 100, "--bn", "moved", "--trajectory",
                  "all", "--quiet")
        found = datasets(run / "surface.h5")
        self.assertLess(abs(found["cosine"][0]), 1e-6)
        for place, step in enumerate(found["checkpoint"]):
            if step in (0, 4, 10):
                np.testing.assert_allclose(found["trajectory_plane_loss"][place], found["trajectory_loss"][place], rtol=1e-4, err_msg=str(step))

    def test_axes_of_networks_are_made_orthogonal(self) -> None:
        run = self.run_copy()
        for name, x, y in (("a", "random", "to:0"), ("b", "to:0", "random"), ("c", "to:0", "to:4")):
            gradscape("surface", run, "--name", name, "--x", x, "--y", y, "--xlim=0:1:2", "--ylim=0:1:2", "--images", 32, "--quiet")
            self.assertLess(abs(datasets(run / f"surface-{name}.h5")["cosine"][0]), 1e-6, name)

    def test_limits_in_decimals_have_their_ends_and_networks(self) -> None:
        """0 and 1, where both networks lie, are points of the line though no decimal is exact: so it has a barrier."""
        run = self.run_copy()
        for number, (first, last, points) in enumerate(((-0.1, 1.1, 13), (-0.2, 1.2, 8), (-0.3, 1.3, 17))):
            gradscape("surface", run, "--name", f"n{number}", "--x", "to:0", f"--xlim={first}:{last}:{points}", "--images", 32, "--quiet")
            found = datasets(run / f"surface-n{number}.h5")
            self.assertEqual((found["x"][0], found["x"][-1]), (first, last))
            self.assertTrue({0.0, 1.0} <= set(found["x"]))
            self.assertIn("barrier", found)

    def test_paths_are_of_the_first_repeat(self) -> None:
        run = self.run_copy()
        gradscape("surface", run, *GRID, "--repeats", 2, "--trajectory", "all")
        gradscape("export-surface", run / "surface.h5", "--to", "npz", "--out", self.place / "path.npz")
        gradscape("export-surface", run / "surface.h5", "--to", "goldstein", "--out", self.place / "path.h5")
        for repeat in (0, 1):
            self.assertEqual("trajectory_x" in np.load(self.place / f"path_{repeat}.npz"), repeat == 0)
            self.assertEqual((self.place / f"path_{repeat}_dir.h5_proj_lstsq.h5").exists(), repeat == 0)

    def test_planes_go_through_their_networks(self) -> None:
        run = self.run_copy()
        gradscape("surface", run, "--through", "0,4,last", "--xlim=-1:1:2", "--ylim=-1:1:2", "--images", 100, "--bn", "batch",
                  "--trajectory", "all", "--quiet")
        found = datasets(run / "surface.h5")
        places = {int(step): i for i, step in enumerate(found["checkpoint"])}
        for point, step in enumerate((0, 4, 10)):
            self.assertAlmostEqual(found["point_x"][point], found["trajectory_x"][places[step]], 5)
            self.assertAlmostEqual(found["point_y"][point], found["trajectory_y"][places[step]], 5)
            self.assertLess(found["trajectory_distance"][places[step]], 1e-5)
            self.assertAlmostEqual(found["trajectory_loss"][places[step]], found["trajectory_plane_loss"][places[step]], 5)
        self.assertGreater(found["trajectory_distance"][places[8]], 1e-3)
        with h5py.File(run / "surface.h5") as file, h5py.File(run / "checkpoints/step-00000000.h5") as first:
            self.assertEqual(file.attrs["step"], b"0")
            self.assertEqual(file.attrs["theta_fingerprint"], first.attrs["theta_fingerprint"])
        words = self.run_copy("words")
        gradscape("surface", words, "--through", 0, 4, "last", "--xlim=-1:1:2", "--ylim=-1:1:2", "--images", 100, "--bn", "batch", "--trajectory",
                  "all", "--quiet")
        self.assert_same_surface(run / "surface.h5", words / "surface.h5")
        gradscape("surface", run, "--through", "0,4,last", "--at", 8, "--name", "at", expect=2, says=("surface.at", "begins at step 0"))

    # --- states ---

    def test_states_of_cells(self) -> None:
        """Fault 4: what is done is done, be it not finite. Fault 5: it stays so."""
        run = self.run_copy()
        gradscape("surface", run, "--x", "random", "--ignore", "none", "--normalise", "none", "--xlim=0:1e30:3", "--images", 32, "--quiet")
        found = datasets(run / "surface.h5")
        self.assertEqual(found["status"].tolist(), [[1, 2, 2]])
        self.assertFalse(np.isfinite(found["loss"][0, 1:]).any())
        before = {path: os.stat(path).st_mtime_ns for path in run.glob("surface/main/*.h5")}
        gradscape("surface", run, "--quiet")
        self.assertEqual(before, {path: os.stat(path).st_mtime_ns for path in run.glob("surface/main/*.h5")})

    def test_partial_merges_mark_what_is_missing(self) -> None:
        run = self.run_copy()
        gradscape("surface", run, *GRID, "--task", "0/2")
        gradscape("merge", run, "--kind", "surface", expect=1, says=("points are missing", "gradscape surface"))
        gradscape("merge", run, "--kind", "surface", "--partial")
        found = datasets(run / "surface.h5")
        missing = found["status"] == 0
        self.assertTrue(0 < missing.sum() < missing.size)
        self.assertTrue(np.isnan(found["loss"][missing]).all() and np.isfinite(found["loss"][~missing]).all())
        gradscape("verify", run)
        gradscape("surface", run, "--quiet")
        self.assertIn("surface   29 done of 29; merged", gradscape("status", run, expect=(0, 1)).stdout)

    def test_training_on_keeps_surfaces(self) -> None:
        run = self.run_copy()
        gradscape("surface", run, "--xlim=-1:1:3", "--images", 32, "--quiet")
        gradscape("surface", run, "--name", "three", "--through", "last,0,4", "--xlim=-1:1:2", "--ylim=-1:1:2", "--images", 32, "--quiet")
        shards = sorted(path.name for path in run.glob("surface/main/*.h5"))
        gradscape("train", self.write_config(RUN | {"train.steps": 14}), "--resume", "--out", run, "--quiet")
        self.assertEqual(sorted(path.name for path in run.glob("surface/main/*.h5")), shards)
        self.assertEqual(datasets(run / "surface.h5")["loss"].shape, (1, 3))
        gradscape("surface", run, "--quiet")  # still of step 10
        gradscape("surface", run, "--name", "three", "--quiet")
        self.assertIn("all right", gradscape("verify", run, "--cells", 30).stdout)
        gradscape("surface", run, "--at", "last", expect=2, says=("other settings", "surface.at", "14", "--name"))

    def test_training_on_keeps_trajectories(self) -> None:
        """They are of the checkpoints that were there, each by its step; another name takes the new ones in."""
        run = self.run_copy()
        pca = ("--x", "pca:1", "--y", "pca:2", "--xlim=-1:1:2", "--ylim=-1:1:2", "--images", 32, "--quiet")
        gradscape("surface", run, *pca)
        before = datasets(run / "surface.h5")
        gradscape("train", self.write_config(RUN | {"train.steps": 14}), "--resume", "--out", run, "--quiet")
        gradscape("surface", run, "--quiet")
        self.assertIn("all right", gradscape("verify", run, "--cells", 30).stdout)
        self.assertEqual(datasets(run / "surface.h5")["trajectory_loss"].tobytes(), before["trajectory_loss"].tobytes())
        gradscape("surface", run, *pca, "--name", "longer")
        self.assertEqual(list(datasets(run / "surface-longer.h5")["checkpoint"]), [0, 4, 8, 10, 12, 14])

    def test_planes_from_a_file_have_the_limits_of_planes(self) -> None:
        run = self.run_copy()
        gradscape("surface", run, *GRID)
        gradscape("surface", run, "--directions", run / "directions-main.h5", "--name", "again", "--images", 8, "--images-at-once", 8, "--quiet")
        self.assertEqual(datasets(run / "surface-again.h5")["loss"].shape, (1, 21, 21))

    # --- words ---

    def test_changed_settings_are_refused(self) -> None:
        """Fault 3: a line's directions do not serve a plane, nor another seed's this one."""
        run = self.run_copy()
        gradscape("surface", run, "--xlim=-1:1:3", "--images", 32, "--quiet")
        for change, words in ((("--y", "random"), "surface.y"), (("--random-seed", 2), "surface.random_seed"), (("--xlim=-1:1:5",), "surface.xlim"),
                              (("--images", 40), "surface.images"), (("--at", 8), "surface.at"), (("--bn", "running"), "surface.batch_norm")):
            gradscape("surface", run, *change, expect=2, says=("other settings", words, "--name"))
        self.assertIn("all right", gradscape("verify", run).stdout)

    def test_directions_are_used_again(self) -> None:
        run = self.run_copy()
        gradscape("surface", run, *GRID)
        gradscape("surface", run, "--directions", run / "directions-main.h5", "--name", "again", "--xlim=-1:1:7", "--ylim=0:1:4", "--images", 100,
                  "--quiet")
        self.assertEqual(datasets(run / "surface.h5")["loss"].tobytes(), datasets(run / "surface-again.h5")["loss"].tobytes())
        other = self.make("train", RUN | {"model.hidden": [10, 9]}, self.place / "other", "--quiet")
        gradscape("surface", other, "--directions", run / "directions-main.h5", expect=1,
                  says=("directions-main.h5", "/x/0/layers.3.weight has shape [8, 10]", "model"))

    def test_directions_used_again_are_what_they_were(self) -> None:
        """Their normalisation and seed are told, the points of a plane only around its own centre, and statistics suit where they lead."""
        run = self.run_copy()
        small = ("--xlim=-1:1:2", "--ylim=-1:1:2", "--images", 32, "--quiet")
        gradscape("surface", run, "--y", "random", "--normalise", "layer", "--random-seed", 5, *small)
        gradscape("surface", run, "--directions", run / "directions-main.h5", "--name", "again", *small)
        with h5py.File(run / "surface-again.h5") as file:
            self.assertEqual((file.attrs["normalise"], file.attrs["random_seed"]), (b"layer", b"5"))
        gradscape("surface", run, "--directions", run / "directions-main.h5", "--name", "more", "--y", "update", *small, expect=2,
                  says=("surface.directions sets both axes",))
        gradscape("surface", run, "--through", "last,0,4", "--name", "three", *small)
        for name, more, points in (("same", (), True), ("moved", ("--at", 8), False)):
            gradscape("surface", run, "--directions", run / "directions-three.h5", "--name", name, *more, *small)
            with h5py.File(run / f"surface-{name}.h5") as file:
                self.assertEqual("point_x" in file, points, name)
                self.assertEqual(file.attrs["batch_norm"], b"reestimate")

    def test_sources_that_have_changed_are_refused(self) -> None:
        """Fault 3 where names stay and contents change."""
        run, other = self.run_copy(), self.place / "target"
        config = self.make("train", RUN | {"train.seed": 8}, other, "--quiet")
        gradscape("surface", run, "--name", "to", "--x", f"to:{config}", "--xlim=0:1:2", "--images", 32, "--quiet")
        gradscape("surface", run, "--name", "first", "--xlim=0:1:2", "--images", 32, "--quiet")
        shutil.copy(run / "directions-first.h5", self.place / "given.h5")
        gradscape("surface", run, "--name", "given", "--directions", self.place / "given.h5", "--xlim=0:1:2", "--images", 32, "--quiet")
        gradscape("surface", run, "--name", "to", "--quiet")
        gradscape("surface", run, "--name", "given", "--quiet")
        shutil.rmtree(other)
        (self.place / "given.h5").unlink()
        for name in ("to", "given"):
            gradscape("surface", run, "--name", name, "--quiet")  # what is gone is not needed again
        self.make("train", RUN | {"train.seed": 9}, other, "--quiet")
        gradscape("surface", run, "--name", "second", "--random-seed", 2, "--xlim=0:1:2", "--images", 32, "--quiet")
        shutil.copy(run / "directions-second.h5", self.place / "given.h5")
        for name in ("to", "given"):
            gradscape("surface", run, "--name", name, "--quiet", expect=2, says=("changed since", "--name"))
        gradscape("verify", run)

    def test_what_cannot_be_is_told(self) -> None:
        run = self.run_copy()
        two = self.run_copy("two")
        for path in sorted(two.glob("checkpoints/*.h5"))[1:-1]:
            path.unlink()
        for arguments, words in (
                ((run, "--x", "to:10"), ("surface.x", "centre itself", "another checkpoint")),
                ((run, "--x", "to:5"), ("no checkpoint of step 5", "nearest is 4")),
                ((run, "--x", "to:nowhere@3"), ("nowhere", "does not exist")),
                ((run, "--x", "to:0", "--y", "to:0"), ("surface.y", "same direction")),
                ((run, "--x", "gradient", "--y", "gradient"), ("surface.y", "same direction")),
                ((run, "--x", "eigen:1"), ("eigen:1", "no direction")),
                ((run, "--xlim=-1e308:1e308:3"), ("surface.xlim", "no interval")),
                ((run, "--xlim=-1:1:1"), ("surface.xlim", "two or more")),
                ((run, "--xlim=1:-1:3"), ("no interval",)),
                ((run, "--at", 99), ("no step 99", "step 10")),
                ((run, "--at", "end"), ("surface.at", "no step")),
                ((run, "--images", 33, "--images-at-once", 32), ("leave one of 1", "batch norm")),
                ((run, "--through", "0,4"), ("three networks",)),
                ((run, "--bn", "moved"), ("to:",)),
                ((run, "--through", "0,4,last", "--bn", "moved"), ("to:", "reestimate")),
                ((run, "--trajectory", "5:7:1"), ("surface.trajectory", "no checkpoint")),
                ((two, "--x", "pca:1"), ("surface.trajectory", "2 checkpoints", "three")),
                ((run, "--normalise", "filters"), ("filter",)),
                ((run, "--repeats", 3, "--x", "gradient"), ("surface.repeats",))):
            with self.subTest(str(arguments[1:])):
                gradscape("surface", *arguments, expect=2, says=words)
                self.assertFalse(list(arguments[0].glob("surface*")) + list(arguments[0].glob("directions*")), "nothing is left")
        plain = self.make("train", RUN | {"model.norm": "none"}, self.place / "plain", "--quiet")
        gradscape("surface", plain, "--bn", "reestimate", expect=2, says=("no running statistics",))
        shutil.rmtree(self.place / "plain")


if __name__ == "__main__":
    main()
