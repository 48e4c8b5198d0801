#!/usr/bin/python3
"""Tests of the Python package: what open() reads, that every part is reachable, and that it can be installed without a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import unittest
from pathlib import Path
from unittest import mock

import h5py
import numpy as np


from support import INF, NAN, ROOT, SLOW, TOOLS, Case, write_grid

import gradscape
from gradscape import dataset

UNITS = {"step": "step", "alpha": "1", "loss": "loss", "status": "1"}


class Opening(Case):
    def grid(self) -> h5py.File:
        """With two seeds, three steps and two multipliers; statuses 1, 2, 3 and 0. As gradscape writes it: scales and units."""
        path = self.run_directory("run") / "landscape.h5"
        with h5py.File(path, "w") as file:
            for name, values in (("seed", [1, 2]), ("step", [0, 10, 20]), ("alpha", [0.5, 1.0]), ("layer", [1, 2])):
                file[name] = np.array(values)
                file[name].make_scale(name)
            values = np.arange(12.0).reshape(2, 3, 2)
            values[0, 1, 1] = INF
            file["loss"] = values
            file["layer_beta"] = values[..., np.newaxis] + [0, 100]
            file["status"] = np.array([[[1, 1], [1, 2], [3, 1]], [[1, 1], [0, 1], [1, 1]]], np.uint8)
            file["lr"] = np.full((2, 3), 0.1)
            for name, dimensions in (("loss", "seed step alpha"), ("status", "seed step alpha"), ("lr", "seed step"),
                                     ("layer_beta", "seed step alpha layer")):
                for at, dimension in enumerate(dimensions.split()):
                    file[name].dims[at].attach_scale(file[dimension])
            for name, unit in UNITS.items():
                file[name].attrs["units"] = np.bytes_(unit)
            file["layer"].attrs["labels"] = np.bytes_("conv,dense")
            file.attrs.update({"program": np.bytes_("gradscape"), "name": np.bytes_("example"), "complete": 1})
        return path

    def test_dimensions_units_and_names(self) -> None:
        self.grid()
        with gradscape.open(self.place / "run") as data:
            self.assertEqual(dict(data.sizes), {"seed": 2, "step": 3, "alpha": 2, "layer": 2})
            self.assertEqual({name: data[name].attrs["units"] for name in UNITS}, UNITS)
            self.assertEqual(data["layer_name"].values.tolist(), ["conv", "dense"])
            self.assertEqual(data.attrs["name"], "example")
            self.assertEqual(float(data["loss"].sel(seed=2, step=20, alpha=1.0)), 11)

    def test_cells_without_a_value_are_nan(self) -> None:
        path = self.grid()
        expected = np.array([[[0, 1], [2, NAN], [NAN, 5]], [[6, 7], [NAN, 9], [10, 11.0]]])
        with gradscape.open(path) as data:
            np.testing.assert_array_equal(data["loss"], expected)
            np.testing.assert_array_equal(data["layer_beta"], expected[..., np.newaxis] + [0, 100], "status over some of the dimensions")
            np.testing.assert_array_equal(data["lr"], np.full((2, 3), 0.1), "not over status's dimensions: untouched")
            np.testing.assert_array_equal(data["loss"].isel(alpha=[1, 0], step=slice(None, None, 2)), expected[:, ::2, ::-1])
        with gradscape.open(path, masked=False) as data:
            self.assertEqual((float(data["loss"][0, 1, 1]), float(data["loss"][0, 2, 0])), (INF, 4))

    def test_only_what_is_indexed_is_read(self) -> None:
        path = self.grid()
        read = []
        part = dataset.Masked.part
        with mock.patch.object(dataset.Masked, "part", lambda self, key: read.append(part(self, key)) or read[-1]), gradscape.open(path) as data:
            self.assertEqual(read, [], "opening reads no cell")
            np.testing.assert_array_equal(data["loss"][1, 2].values, [10, 11])
            self.assertEqual([each.shape for each in read], [(2,)])

    def test_closing_it_closes_the_file(self) -> None:
        """With names of layers, and with cells that hold nothing or as recorded."""
        path = self.grid()

        def opened() -> int:
            links = [Path("/proc/self/fd", number) for number in os.listdir("/proc/self/fd")]
            return sum(link.is_symlink() and os.readlink(link) == str(path.resolve()) for link in links)

        for masked in (True, False):
            with gradscape.open(path, masked=masked) as data:
                self.assertIn("layer_name", data.coords)
                self.assertEqual(float(data["loss"][0, 0, 1]), 1)
                self.assertEqual(opened(), 1)
            self.assertEqual(opened(), 0, f"masked={masked}")

    def test_a_trace_is_put_together(self) -> None:
        run = self.run_directory("run")
        for first, last in ((0, 2), (2, 5)):
            (run / "trace").mkdir(exist_ok=True)
            with h5py.File(run / f"trace/segment-{first:08}-{last:08}.h5", "w") as file:
                for scale, other, values in (("step", "loss", np.arange(first, last)), ("test_step", "test_loss", np.array([last]))):
                    file[scale] = values
                    file[scale].make_scale(scale)
                    file[other] = values / 2
                    file[other].attrs["units"] = "loss"
                    file[other].dims[0].attach_scale(file[scale])
                file.attrs.update({"program": "gradscape", "first": first, "content_hash": "0"})
        data = gradscape.open(run, "trace")
        self.assertEqual((data["loss"].attrs["units"], data["test_loss"].attrs["units"]), ("loss", "loss"))
        self.assertEqual((data.attrs["first"], "content_hash" in data.attrs), (2, False), "the last segment's; of the whole there is no hash")
        np.testing.assert_array_equal(data["step"], np.arange(5))
        np.testing.assert_array_equal(data["loss"], np.arange(5) / 2)
        np.testing.assert_array_equal(data["test_loss"], [1, 2.5])

    def test_bad_places(self) -> None:
        run = self.run_directory("run")
        (run / "shift.h5").write_bytes(b"nonsense")
        write_grid(run / "foreign.h5", [(1, 2)], [(1, 2)], [1])
        for variant in ("none", "bn"):
            write_grid(self.run_directory(f"study/{variant}") / "landscape.h5", [(1, 2)], [(1, 2)], [1])
        for arguments, words in (((run,), "landscape.h5; there is foreign.h5, shift.h5"), ((run, "shift"), "shift.h5: cannot be read"),
                                 ((run, "trace"), "has no trace"), ((run, "colour"), "colour is no kind of file"),
                                 ((self.place / "study",), "has no landscape.h5; there is bn/landscape.h5, none/landscape.h5"),
                                 ((self.place / "nothing.h5",), "does not exist"), ((run / "foreign.h5",), "no file of gradscape")):
            with self.subTest(words), self.assertRaisesRegex(gradscape.figures.Error, words):
                gradscape.open(*arguments)


class Parts(Case):
    def test_every_part_is_reachable(self) -> None:
        for name in (*gradscape.PARTS, "open"):
            self.assertIn(name, dir(gradscape))
        for part, function in (("figures", "landscape"), ("report", "write"), ("from_arrays", "write"), ("from_onnx", "convert"),
                               ("from_pytorch", "export")):
            self.assertTrue(callable(getattr(getattr(gradscape, part), function)), part)
        with self.assertRaises(AttributeError):
            gradscape.nonsense

    def test_importing_it_imports_nothing_heavy(self) -> None:
        code = "import sys, gradscape; sys.exit(bool({'torch', 'matplotlib', 'xarray', 'h5py', 'onnx'} & set(sys.modules)))"
        subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(TOOLS)}, timeout=100)

    def test_a_module_that_opening_needs_is_named(self) -> None:
        """Not the file, as if that were damaged."""
        write_grid(self.place / "landscape.h5", [(1, 2)], [(1, 2)], [1])
        code = f"import sys; sys.modules['h5netcdf'] = None; import gradscape; gradscape.open({str(self.place / 'landscape.h5')!r})"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(TOOLS)}, timeout=100)
        self.assertEqual((done.returncode, "h5netcdf" in done.stderr.splitlines()[-1]), (1, True), done.stderr)
        self.assertTrue(done.stderr.splitlines()[-1].startswith("ModuleNotFoundError: "), done.stderr)

    def test_from_pytorch_is_one_file(self) -> None:
        """Copied alone elsewhere it starts, and asks for nothing of ours."""
        alone = shutil.copy(TOOLS / "gradscape/from_pytorch.py", self.place)
        done = subprocess.run([sys.executable, "-I", alone, "--help"], capture_output=True, text=True, timeout=100)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_arrays_are_written_from_python(self) -> None:
        np.savez(self.place / "a.npz", images=np.zeros((4, 3, 2, 2), np.uint8), labels=np.arange(4))
        gradscape.from_arrays.write(self.place / "a.npz", self.place / "a.h5", layout="NCHW")
        with h5py.File(self.place / "a.h5") as file:
            self.assertEqual(file["images"].shape, (4, 3, 2, 2))

    @unittest.skipUnless(SLOW, "GRADSCAPE_SLOW is not set: the package is not installed")
    def test_it_installs_without_a_network(self) -> None:
        """With Debian's setuptools, in a copy, as setuptools builds in the folder itself."""
        source, target = self.place / "source", self.place / "target"
        source.mkdir()
        shutil.copy(ROOT / "pyproject.toml", source)
        shutil.copytree(TOOLS, source / "tools", symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode:
            self.skipTest("python3-pip is not installed")
        subprocess.run([sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--no-build-isolation", "--quiet", "--target", target,
                        source], check=True, timeout=300)
        for name in ("from_pytorch.py", "from_onnx.py", "from_arrays.py", "report/page.js", "report/page.css", "figures/cli.py"):
            installed = target / "gradscape" / name
            self.assertTrue(installed.is_file() and not installed.is_symlink(), name)
        code = "import gradscape; gradscape.from_arrays.write; gradscape.from_onnx.convert; gradscape.report.write; print(gradscape.__file__)"
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=self.place, env={"PYTHONPATH": str(target)})
        self.assertIn(str(target), done.stdout)


if __name__ == "__main__":
    unittest.main()
