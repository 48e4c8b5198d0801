#!/usr/bin/python3
"""Surfaces from and to tomgoldstein/loss-landscape, and to VTK, CSV and NumPy: element by element, bit by bit."""

from __future__ import annotations

import csv
import math
import sys
import unittest
from pathlib import Path

import h5py
import numpy as np

from support import PLAIN, ROOT, Case, gradscape, main

sys.path.insert(0, str(ROOT / "tools"))
NAN, INF = float("nan"), float("inf")
ODD_NAN = np.uint64(0x7FF8000000ABCDEF).view(np.float64)  # a NaN with a payload
X, Y = np.linspace(-1, 1, 5), np.linspace(0, 1, 3)
INCLINED = X[np.newaxis, :] + 10 * Y[:, np.newaxis]  # [3, 5]: L = a + 10b


def bits(values) -> np.ndarray:
    return np.ascontiguousarray(values, np.float64).view(np.uint64)


class Exchange(Case):
    def write_surface(self, loss=INCLINED[np.newaxis], name: str = "surface-a.h5", **more) -> Path:
        """As gradscape's merge writes it, in format 1, which has no hashes. [repeat, y, x] or [repeat, x]."""
        loss = np.asarray(loss, float)
        status = np.where(np.isfinite(loss), 1, 2).astype(np.uint8)
        data = {"repeat": np.arange(len(loss)), "x": np.linspace(-1, 1, loss.shape[-1]), "loss": loss, "status": status,
                "accuracy": 1 / (2 + np.arange(loss.size, dtype=float)).reshape(loss.shape)}
        if loss.ndim == 3:
            data["y"] = np.linspace(0, 1, loss.shape[1])
        path = self.place / name
        with h5py.File(path, "w") as file:
            for key, values in (data | more).items():
                file[key] = values
            texts = {"program": "gradscape", "file_type": "surface", "name": "a", "variant": "", "config": "", "data_name": "",
                     "data_fingerprint": ""}
            file.attrs.update({key: np.bytes_(text) for key, text in texts.items()}
                              | {"format_version": np.int64(1), "complete": np.int64(1)})
        return path

    def write_goldstein(self, shape=(3, 5), name: str = "theirs.h5", **more) -> Path:
        """Flat element k is the point (x[k mod nx], y[k div nx]), whatever the extents."""
        path = self.place / name
        with h5py.File(path, "w") as file:
            file["dir_file"] = "some/directions.h5"
            file["xcoordinates"], file["ycoordinates"] = X, Y
            file["train_loss"] = INCLINED.reshape(shape)
            file["train_acc"] = 100 / (12 + INCLINED.reshape(shape))
            for key, values in more.items():
                if key in file:
                    del file[key]
                if values is not None:
                    file[key] = values
        return path

    def export(self, path: Path, to: str, *more: object) -> list[Path]:
        return [Path(line) for line in gradscape("export-surface", path, "--to", to, *more).stdout.splitlines()]

    def imported(self, path: Path, *more: object) -> dict[str, np.ndarray]:
        to = self.place / "surface-imported.h5"
        self.assertEqual(gradscape("import-surface", path, "--out", to, *more).stdout, f"{to}\n")
        with h5py.File(to) as file:
            self.assertEqual(file.attrs["file_type"], b"surface")
            return {key: item[()] for key, item in file.items()}

    def test_runs_keep_their_folders_to_themselves(self) -> None:
        """An HDF5 file of another program there would be a problem to verify, status and --force."""
        run = self.make("train", PLAIN, self.place / "run", "--quiet")
        gradscape("surface", run, "--xlim=-1:1:3", "--images", 32, "--quiet")
        surface = run / "surface.h5"
        gradscape("export-surface", surface, "--to", "goldstein", expect=2, says=("--out", "run's own files", "another folder"))
        out, = self.export(surface, "goldstein", "--out", self.place / "out.h5")
        gradscape("import-surface", out, "--out", run / "surface-theirs.h5", expect=2, says=("--out", "run's own files"))
        for to in ("vtk", "csv", "npz"):  # these are nobody's business
            self.export(surface, to)
        self.assertIn("all right", gradscape("verify", run).stdout)
        self.assertIn("surface   4 done of 4; merged", gradscape("status", run, expect=(0, 1)).stdout)

    # --- tomgoldstein/loss-landscape ---

    def test_goldstein_by_its_names(self) -> None:
        ours = self.write_surface(test_loss=INCLINED[np.newaxis] + 1, test_accuracy=INCLINED[np.newaxis] / 100)
        path, = self.export(ours, "goldstein")
        self.assertEqual(path, self.place / "surface-a-goldstein.h5")
        with h5py.File(path) as file, h5py.File(ours) as own:
            self.assertEqual(set(file), {"dir_file", "xcoordinates", "ycoordinates", "train_loss", "train_acc", "test_loss", "test_acc"})
            self.assertIsInstance(file["dir_file"][()], bytes)
            for name, expected in (("xcoordinates", X), ("ycoordinates", Y), ("train_loss", INCLINED), ("test_loss", INCLINED + 1),
                                   ("train_acc", 100 * own["accuracy"][0]), ("test_acc", INCLINED)):
                self.assertEqual((file[name].dtype, file[name].shape), (np.float64, expected.shape), name)
                np.testing.assert_allclose(file[name][:], expected, rtol=1e-15, err_msg=name)
            for row in range(3):  # as plot_2D.py and h52vtp.py index it
                for column in range(5):
                    self.assertEqual(file["train_loss"][row, column], file["xcoordinates"][column] + 10 * file["ycoordinates"][row])

    def test_a_line(self) -> None:
        ours = self.write_surface([[1, 2, 3.0]])
        path, = self.export(ours, "goldstein", "--out", self.place / "line.h5")
        with h5py.File(path) as file:
            self.assertNotIn("ycoordinates", file)
            np.testing.assert_array_equal(file["train_loss"][:], [1, 2, 3])
        back = self.imported(path)
        self.assertNotIn("y", back)
        np.testing.assert_array_equal(back["loss"], [[1, 2, 3]])

    def test_both_shapes_are_imported(self) -> None:
        for shape in ((3, 5), (5, 3)):
            data = self.imported(self.write_goldstein(shape))
            np.testing.assert_array_equal(data["loss"], INCLINED[np.newaxis])
            np.testing.assert_allclose(data["accuracy"], 1 / (12 + INCLINED[np.newaxis]), rtol=1e-15)
            np.testing.assert_array_equal(data["status"], np.ones((1, 3, 5), np.uint8))
            np.testing.assert_array_equal(data["x"], X)
            np.testing.assert_array_equal(data["y"], Y)
            np.testing.assert_array_equal(data["centre_loss"], [0])
        square = np.array([[a + 10 * b for a in X] for b in X])
        data = self.imported(self.write_goldstein(ycoordinates=X, train_loss=square, train_acc=square + 50))
        np.testing.assert_array_equal(data["loss"][0], square)

    def test_cells_not_done_not_finite_and_zero(self) -> None:
        """There -1 in both is a cell not done; 0 is a loss as any other, and so is -1 with an accuracy."""
        loss = INCLINED.copy()
        loss[0], loss[1, 1] = [-1, 0, ODD_NAN, INF, -INF], -1
        accuracy = np.full((3, 5), 50.0)
        accuracy[0, 0] = -1
        ours = self.place / "surface-imported.h5"
        data = self.imported(self.write_goldstein(train_loss=loss, train_acc=accuracy))
        np.testing.assert_array_equal(data["status"][0, 0], [0, 1, 2, 2, 2])
        np.testing.assert_array_equal(data["status"][0, 1:], np.ones((2, 5)))
        np.testing.assert_array_equal(bits(data["loss"][0, 0, 1:]), bits(loss[0, 1:]))
        self.assertTrue(math.isnan(data["loss"][0, 0, 0]) and math.isnan(data["accuracy"][0, 0, 0]))
        path, = self.export(ours, "goldstein")
        with h5py.File(path) as file:
            np.testing.assert_array_equal(bits(file["train_loss"][:]), bits(loss))
            np.testing.assert_array_equal(file["train_acc"][:], accuracy)

    def test_eigenvalues_come_as_they_are(self) -> None:
        low = INCLINED - 100
        low[0, 0] = 1
        ours = self.imported(self.write_goldstein(max_eig=INCLINED * 3, min_eig=low))
        np.testing.assert_array_equal(ours["max_eig"][0], INCLINED * 3)
        np.testing.assert_array_equal(ours["min_eig"][0], low)

    def test_repeats_are_a_file_each(self) -> None:
        ours = self.write_surface(np.stack([INCLINED, INCLINED + 100]), repeat=[0, 7])
        paths = self.export(ours, "goldstein", "--out", self.place / "p.h5")
        self.assertEqual(paths, [self.place / "p_0.h5", self.place / "p_7.h5"])
        for path, shift in zip(paths, (0, 100)):
            with h5py.File(path) as file:
                np.testing.assert_array_equal(file["train_loss"][:], INCLINED + shift)
        path, = self.export(ours, "goldstein", "--repeat", 7)
        with h5py.File(path) as file:
            np.testing.assert_array_equal(file["train_loss"][:], INCLINED + 100)
        gradscape("export-surface", ours, "--to", "vtk", "--repeat", 3, expect=2, says=("--repeat", "no repeat 3"))

    # --- paths of training ---

    def write_path(self, x, y, coordinates, method: str = "cos") -> tuple[Path, Path]:
        """Directions in two tensors, and checkpoints a·x + b·y projected as that program does."""
        directions, projection = self.place / "dir.h5", self.place / f"dir.h5_proj_{method}.h5"
        with h5py.File(directions, "w") as file:
            for group, vector in (("xdirection", x), ("ydirection", y)):
                file[f"{group}/0"] = np.array(vector[:6], np.float32).reshape(2, 3)
                file[f"{group}/1"] = np.array(vector[6:], np.float32)
            file["explained_variance_ratio_"] = [0.75, 0.125]
        points = [a * x + b * y for a, b in coordinates]
        with h5py.File(projection, "w") as file:
            for name, direction, place in (("proj_xcoord", x, 0), ("proj_ycoord", y, 1)):
                file[name] = [p @ direction / np.linalg.norm(direction) for p in points] if method == "cos" else \
                    [coordinate[place] for coordinate in coordinates]
        return directions, projection

    def test_a_path_on_oblique_axes_is_recovered(self) -> None:
        """Lengths along axes that are not orthogonal and not of unit length are no multiples of them."""
        x, y = np.array([1, 2, 3, 0, -1, 0.5, 4, 1]), np.array([2, 2, -1, 1, 0, 0.25, 3, 0.0])
        coordinates = [(0.5, -0.25), (0.75, 1), (0, 0), (-2, 3)]
        for method in ("cos", "lstsq"):
            directions, projection = self.write_path(x, y, coordinates, method)
            data = self.imported(self.write_goldstein(), "--directions", directions, "--projection", projection)
            found = np.stack([data["trajectory_x"], data["trajectory_y"]], axis=1)
            np.testing.assert_allclose(found, coordinates, atol=1e-13)
            np.testing.assert_allclose(data["x_norm"], [np.linalg.norm(x)], rtol=1e-15)
            np.testing.assert_allclose(data["cosine"], [x @ y / np.linalg.norm(x) / np.linalg.norm(y)], rtol=1e-14)
            np.testing.assert_array_equal(data["explained_variance_ratio"], [0.75, 0.125])

    def test_a_path_is_exported_in_the_surface_s_coordinates(self) -> None:
        """[n, 1]: plot_2D.py indexes with two numbers, and of [n] draws nothing."""
        ours = self.write_surface(checkpoint=[0, 10], trajectory_x=[0.5, 0.0], trajectory_y=[0.25, 0.0],
                                  component=np.arange(1, 4), explained_variance_ratio=[0.5, 0.25, 0.125])
        surface, directions, projection = self.export(ours, "goldstein", "--out", self.place / "s.h5")
        self.assertEqual((directions.name, projection.name), ("s_dir.h5", "s_dir.h5_proj_lstsq.h5"))
        with h5py.File(surface) as file:
            self.assertEqual(file["dir_file"][()], b"s_dir.h5")
        with h5py.File(directions) as file:
            np.testing.assert_array_equal(file["explained_variance_ratio_"][:], [0.5, 0.25])
        with h5py.File(projection) as file:
            np.testing.assert_array_equal(file["proj_xcoord"][:], [[0.5], [0]])
            np.testing.assert_array_equal(file["proj_ycoord"][:], [[0.25], [0]])
        for more in (("--directions", directions), ()):
            back = self.imported(surface, "--projection", projection, *more)
            np.testing.assert_array_equal(back["trajectory_x"], [0.5, 0])
            np.testing.assert_array_equal(back["trajectory_y"], [0.25, 0])
        renamed = projection.rename(self.place / "s_dir.h5_proj_cos.h5")
        gradscape("import-surface", surface, "--projection", renamed, "--directions", directions, "--out", self.place / "x.h5", expect=1,
                  says=("holds no directions", "lengths along them"))

    # --- directions, for surfaces of gradscape's own ---

    def tensors_of(self, run: Path, group: str) -> dict[str, np.ndarray]:
        """In the order of PyTorch's state_dict(): modules by number, and in each its tensors."""
        order = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
        with h5py.File(sorted((run / "checkpoints").glob("*.h5"))[-1]) as file:
            names = sorted(file[group], key=lambda name: (int(name.split(".")[-2]), order.index(name.split(".")[-1])))
            return {name: file[group][name][()] for name in names}

    def write_directions(self, tensors: dict[str, np.ndarray], path: Path) -> dict[str, dict[str, np.ndarray]]:
        random = np.random.default_rng(5)
        drawn = {axis: {name: np.float32(random.normal(size=values.shape)) for name, values in tensors.items()} for axis in "xy"}
        with h5py.File(path, "w") as file:
            for axis, group in (("x", "xdirection"), ("y", "ydirection")):
                for at, values in enumerate(drawn[axis].values()):
                    file[f"{group}/{at}"] = values
        return drawn

    def test_directions_serve_a_surface(self) -> None:
        """Those of weights and those of states, whose running statistics are left out."""
        run = self.make("train", PLAIN | {"model.arch": "mlp", "model.hidden": [6, 5], "model.norm": "batch", "model.norm_dense": True},
                        self.place / "run")
        weights, buffers = self.tensors_of(run, "parameters"), self.tensors_of(run, "buffers")
        states = dict(sorted((weights | buffers).items(), key=lambda item: (int(item[0].split(".")[-2]), list(weights | buffers).index(item[0]))))
        self.assertEqual(len(states) - len(weights), 6)
        for kind, tensors in (("weights", weights), ("states", states)):
            path = self.place / f"{kind}.h5"
            drawn = self.write_directions(tensors, path)
            gradscape("surface", run, "--directions", path, "--name", kind, "--xlim", "-1:1:3", "--ylim", "0:1:2", "--images", 32)
            with h5py.File(run / f"directions-{kind}.h5") as file:
                for axis in "xy":
                    self.assertEqual(set(file[f"{axis}/0"]), set(weights))
                    for name in weights:
                        np.testing.assert_array_equal(file[f"{axis}/0/{name}"][()], drawn[axis][name], err_msg=name)
            with h5py.File(run / f"surface-{kind}.h5") as file:
                self.assertEqual((file["loss"].shape, file.attrs["x_direction"]), ((1, 2, 3), f"{kind}.h5".encode()))
                self.assertEqual(file["loss"][0, 0, 1], file["centre_loss"][0])
                length = math.sqrt(sum(float((np.float64(drawn["y"][name])**2).sum()) for name in weights))
                self.assertAlmostEqual(file["y_norm"][0] / length, 1, places=12)
            self.assertIn(f"along {kind}.h5", gradscape("info", run / f"surface-{kind}.h5").stdout)
            gradscape("info", run / f"directions-{kind}.h5")
        for name, change, says in (("few", dict(list(weights.items())[:-1]), ("tensors, and the network has",)),
                                   ("turned", {key: values.T for key, values in weights.items()}, ("xdirection/0 is [", "and the network's"))):
            self.write_directions(change, self.place / f"{name}.h5")
            gradscape("surface", run, "--directions", self.place / f"{name}.h5", "--name", name, expect=1, says=says)
        gradscape("surface", run, "--directions", self.write_goldstein(), "--name", "none", expect=1, says=("holds no directions",))

    # --- others ---

    def awkward(self) -> tuple[Path, np.ndarray, np.ndarray]:
        """A plane with a cell of each kind."""
        loss = INCLINED + 0.1
        loss[0] = [0.25, ODD_NAN, INF, 1e300, -INF]
        status = np.array([[1, 2, 2, 1, 2]] + [[1] * 5] * 2, np.uint8)
        status[2, 3] = 0
        loss[2, 3] = NAN
        return self.write_surface(loss[np.newaxis], status=status[np.newaxis]), loss, status

    def test_numpy(self) -> None:
        ours, loss, status = self.awkward()
        path, = self.export(ours, "npz")
        self.assertEqual(path, self.place / "surface-a.npz")
        data = np.load(path, allow_pickle=False)
        self.assertEqual(set(data.files), {"x", "y", "loss", "accuracy", "status"})
        np.testing.assert_array_equal(bits(data["loss"]), bits(loss))
        np.testing.assert_array_equal(data["status"], status)
        np.testing.assert_array_equal(data["x"], X)
        np.testing.assert_array_equal(data["y"], Y)
        self.assertEqual((data["loss"].dtype, data["status"].dtype), (np.float64, np.uint8))
        first = path.read_bytes()
        self.export(ours, "npz")
        self.assertEqual(path.read_bytes(), first)

    def test_numpy_of_a_line(self) -> None:
        path, = self.export(self.write_surface([[1, 2, 3.0]]), "npz")
        self.assertEqual(np.load(path)["loss"].tolist(), [1, 2, 3])

    def test_numpy_of_three_networks(self) -> None:
        """The arrays that plane_plot.py of timgaripov/dnn-mode-connectivity reads: [i, j] is (x[i], y[j])."""
        ours = self.write_surface(test_accuracy=INCLINED[np.newaxis] / 20, point=np.arange(3, dtype=np.int32), point_x=[0, 0.5, 0.25],
                                  point_y=[0, 0, 1.0])
        path, = self.export(ours, "npz")
        data = np.load(path)
        self.assertEqual((data["grid"].shape, data["tr_loss"].shape), ((5, 3, 2), (5, 3)))
        for i in range(5):
            for j in range(3):
                self.assertEqual(data["grid"][i, j].tolist(), [X[i], Y[j]])
                self.assertEqual(data["tr_loss"][i, j], X[i] + 10 * Y[j])
                self.assertAlmostEqual(data["te_err"][i, j], 100 - 5 * (X[i] + 10 * Y[j]), places=12)
        np.testing.assert_array_equal(data["bend_coordinates"], [[0, 0], [0.5, 0], [0.25, 1]])

    def test_csv(self) -> None:
        ours, loss, status = self.awkward()
        path, = self.export(ours, "csv")
        rows = list(csv.DictReader(path.read_text().splitlines()))
        self.assertEqual(list(rows[0]), ["repeat", "x", "y", "loss", "accuracy", "status"])
        self.assertEqual(len(rows), 15)
        words = ("not_done", "ok", "non_finite")
        for at, row in enumerate(rows):
            j, i = divmod(at, 5)
            self.assertEqual((float(row["x"]), float(row["y"]), row["status"]), (X[i], Y[j], words[status[j, i]]))
            if status[j, i] == 0:
                self.assertEqual((row["loss"], row["accuracy"]), ("", ""))
            else:
                np.testing.assert_array_equal(float(row["loss"]), loss[j, i])
        both = self.write_surface([[1, 2], [3, 4.0]])
        path, = self.export(both, "csv")
        self.assertEqual([(row["repeat"], row["loss"]) for row in csv.DictReader(path.read_text().splitlines())], [("0", "1"), ("0", "2"), ("1", "3"), ("1", "4")])

    def test_vtk(self) -> None:
        try:
            from vtkmodules.util.numpy_support import vtk_to_numpy
            from vtkmodules.vtkIOXML import vtkXMLStructuredGridReader
        except ImportError:
            self.skipTest("needs python3-vtk9")
        ours, loss, status = self.awkward()
        for height, expected in (("loss", loss), ("log", np.log10(np.where(loss > 0, loss, NAN))),
                                 ("flat", np.where(np.isfinite(loss), 0, NAN))):
            path, = self.export(ours, "vtk", "--height", height)
            self.assertEqual(path, self.place / "surface-a.vts")
            reader = vtkXMLStructuredGridReader()
            reader.SetFileName(str(path))
            reader.Update()
            grid = reader.GetOutput()
            self.assertEqual((grid.GetDimensions(), reader.GetErrorCode()), ((5, 3, 1), 0))
            points, data = vtk_to_numpy(grid.GetPoints().GetData()), grid.GetPointData()
            np.testing.assert_array_equal(bits(vtk_to_numpy(data.GetArray("loss"))), bits(loss.ravel()))
            np.testing.assert_array_equal(vtk_to_numpy(data.GetArray("status")), status.ravel())
            np.testing.assert_array_equal(points[:, 0], np.tile(X, 3))
            np.testing.assert_array_equal(points[:, 1], np.repeat(Y, 5))
            shown = np.isfinite(expected).ravel()
            self.assertEqual([bool(grid.IsPointVisible(at)) for at in range(15)], shown.tolist(), height)
            np.testing.assert_allclose(points[shown, 2], expected.ravel()[shown], rtol=1e-15)
            self.assertTrue(np.isfinite(points).all())

    # --- figures, and what is refused ---

    def test_an_import_is_drawn_and_verified(self) -> None:
        from gradscape import figures
        self.imported(self.write_goldstein())
        path = self.place / "surface-imported.h5"
        told = gradscape("info", path).stdout
        for words in ("5 values of x from -1 to 1", "3 values of y from 0 to 1", "15 finite, 0 non-finite, 0 not done, in 1 repeat\n",
                      "-1 to 11", "loss 0\n"):
            self.assertIn(words, told)
        figure = figures.surface(path, style="heat")
        self.assertEqual((figure.numbers[0]["cells"], figure.numbers[0]["largest"], figure.numbers[0]["largest_at"]), (15, 11, [1, 1]))
        content = bytearray(path.read_bytes())
        place = content.find(np.float64(10.5).tobytes())
        content[place] ^= 1
        path.write_bytes(content)
        gradscape("export-surface", path, "--to", "csv", expect=1, says=(str(path),))

    def test_bad_input(self) -> None:
        theirs, ours = self.write_goldstein(), self.write_surface()
        for arguments, says in (((ours, "--to", "xls"), ("--to", "goldstein | vtk | csv | npz")), ((ours,), ("--to",)),
                                ((ours, "--to", "csv", "--repeat", 0), ("csv, which holds all",)),
                                ((ours, "--to", "vtk", "--height", "x"), ("--height", "loss | log | flat")),
                                ((ours, "--to", "goldstein", "--out", ours), ("--out", "is what is exported"))):
            gradscape("export-surface", *arguments, expect=2, says=says)
        gradscape("export-surface", theirs, "--to", "csv", expect=1, says=(str(theirs),))
        gradscape("import-surface", ours, "--out", self.place / "x.h5", expect=2, says=("is a file of gradscape",))
        gradscape("import-surface", theirs, "--projection", theirs, "--out", self.place / "x.h5", expect=2, says=("--directions",))
        gradscape("import-surface", theirs, "--out", theirs, expect=2, says=("is what is imported",))
        for change, says in (({"train_loss": None}, ("has no dataset train_loss",)), ({"xcoordinates": None}, ("has no dataset xcoordinates",)),
                             ({"train_loss": np.zeros((4, 5))}, ("train_loss is [4, 5]", "5 and 3")),
                             ({"train_loss": np.zeros(15)}, ("train_loss is [15]",)),
                             ({"xcoordinates": X[::-1]}, ("xcoordinates are no ascending numbers",)),
                             ({"ycoordinates": [0, NAN, 1]}, ("ycoordinates are no ascending numbers",))):
            gradscape("import-surface", self.write_goldstein(**change), "--out", self.place / "x.h5", expect=1, says=says)
        parallel = np.arange(8.0)
        directions, projection = self.write_path(parallel, 2 * parallel, [(0, 0)])
        gradscape("import-surface", self.write_goldstein(), "--out", self.place / "x.h5", "--directions", directions, "--projection",
                  projection, expect=1, says=("parallel",))
        self.assertFalse((self.place / "x.h5").exists())


if __name__ == "__main__":
    main()
