#!/usr/bin/python3
"""from_arrays.py: what h5py finds in its files, of NPZ archives, folders of pictures, CIFAR's pickles; and what it refuses."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

PROGRAM = Path(__file__).resolve().parents[2] / "tools/from_arrays.py"


class FromArrays(unittest.TestCase):
    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = Path(place.name)
        self.out = self.place / "data.h5"
        self.random = np.random.default_rng(3)

    def run_on(self, source: Path, *more: str, expect: int = 0, says: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
        done = subprocess.run([sys.executable, PROGRAM, source, "-o", self.out, *more], capture_output=True, text=True)
        self.assertEqual(done.returncode, expect, done.stderr)
        for words in says:
            self.assertIn(words, done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        self.assertEqual(list(self.place.glob(".*")), [], "nothing half-made is left")
        if expect:
            self.assertFalse(self.out.exists())
            return {}
        with h5py.File(self.out) as file:
            self.layouts = {name: data.attrs.get("layout") for name, data in file.items()}
            return {name: data[()] for name, data in file.items()}

    def test_npz(self) -> None:
        images = self.random.integers(0, 256, (12, 6, 7), dtype=np.uint8)
        labels = self.random.integers(0, 4, 12)
        np.savez(self.place / "a.npz", x_train=images, y_train=labels[:, None], x_test=images[:5], y_test=labels[:5])
        found = self.run_on(self.place / "a.npz")
        self.assertEqual(sorted(found), ["images", "labels", "test_images", "test_labels"])
        np.testing.assert_array_equal(found["images"], images[:, None])
        np.testing.assert_array_equal(found["labels"], labels)
        np.testing.assert_array_equal(found["test_images"], images[:5, None])
        self.assertEqual((found["images"].dtype, found["labels"].dtype), (np.uint8, np.int64))

    def test_layouts_and_types(self) -> None:
        for shape, layout, options in (((4, 9, 9, 3), "NHWC", ()), ((4, 3, 9, 9), None, ()), ((4, 9, 9, 5), None, ()),
                                       ((4, 9, 9, 5), "NHWC", ("--layout", "NHWC"))):
            images = self.random.standard_normal(shape).astype(np.float32)
            np.savez(self.place / "a.npz", images=images, labels=np.arange(4))
            found = self.run_on(self.place / "a.npz", "--gzip", *options)
            np.testing.assert_array_equal(found["images"], images)
            self.assertEqual(self.layouts["images"], layout, shape)
        np.savez(self.place / "a.npz", images=np.full((2, 1, 5, 5), 200, np.int64), targets=np.ones((2, 3), np.float32))
        found = self.run_on(self.place / "a.npz")
        self.assertEqual((found["images"].dtype, found["targets"].dtype), (np.uint8, np.float64))

    def test_bad_npz(self) -> None:
        good = np.zeros((4, 1, 5, 5), np.uint8)
        for arrays, *words in (({"images": good}, "neither labels nor targets"),
                               ({"pixels": good, "labels": np.arange(4)}, "arrays pixels, labels, none of them called"),
                               ({"images": good, "labels": np.arange(3)}, "3 labels or targets for 4 images"),
                               ({"images": good, "labels": np.eye(4)}, "[4, 4]", "argmax"),
                               ({"images": good, "labels": np.array([{}] * 4)}, "pickle"),
                               ({"images": np.zeros((4, 3, 5, 3)), "labels": np.arange(4)}, "--layout"),
                               ({"images": good + np.int64(300), "labels": np.arange(4)}, "0 to 255"),
                               ({"images": good[0, 0], "labels": np.arange(5)}, "[5, 5]", "[N, C, H, W]")):
            np.savez(self.place / "a.npz", **arrays)
            self.run_on(self.place / "a.npz", expect=1, says=tuple(words))
        (self.place / "a.npz").write_bytes(b"PK\3\4 nothing else")
        self.run_on(self.place / "a.npz", expect=1, says=("cannot be read",))
        self.run_on(self.place / "none", expect=1, says=("does not exist",))
        np.save(self.place / "a.npy", good)
        self.run_on(self.place / "a.npy", expect=1, says=("a.npy: is one array", "gradscape reads NPY files itself"))

    def test_files_beside_are_left_alone(self) -> None:
        np.savez(self.place / "a.npz", images=np.zeros((4, 1, 5, 5), np.uint8), labels=np.arange(4))
        other = self.place / "data.h5.part"
        other.write_text("the user's")
        self.run_on(self.place / "a.npz")
        self.assertEqual(other.read_text(), "the user's")

    def test_the_place_of_a_failure_is_told(self) -> None:
        """The source or the file to write, whichever the system refuses."""
        long = self.place / ("n" * 300)
        self.run_on(long, expect=1, says=(f"{long}: cannot be read: File name too long",))
        np.savez(self.place / "a.npz", images=np.zeros((4, 1, 5, 5), np.uint8), labels=np.arange(4))
        self.out = self.place / "no/data.h5"
        self.run_on(self.place / "a.npz", expect=1, says=(f"{self.out}: cannot be written",))
        (self.place / "folder").mkdir()
        for out, words in ((self.place / "folder", "cannot be written"), (long, "cannot be written: [Errno 36]"), (long / "a.h5", "cannot be written: [Errno 36]"),
                           (self.place / "a.npz/a.h5", "cannot be written: [Errno 20]"), (Path("."), "names no file"), (Path("/"), "names no file")):
            done = subprocess.run([sys.executable, PROGRAM, self.place / "a.npz", "-o", out], capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
            self.assertIn(f"{out}: {words}", done.stderr)

    def test_a_name_as_long_as_the_system_takes(self) -> None:
        np.savez(self.place / "a.npz", images=np.zeros((4, 1, 5, 5), np.uint8), labels=np.arange(4))
        self.out = self.place / ("n" * 252 + ".h5")
        self.assertEqual(self.run_on(self.place / "a.npz")["images"].shape, (4, 1, 5, 5))

    def test_without_its_modules_it_says_what_to_install(self) -> None:
        for module in ("h5py", "numpy"):
            (self.place / f"without-{module}").mkdir()
            (self.place / f"without-{module}/{module}.py").write_text(f"raise ModuleNotFoundError('none', name='{module}')")
            done = subprocess.run([sys.executable, PROGRAM, "--help"], capture_output=True, text=True,
                                  env=os.environ | {"PYTHONPATH": str(self.place / f"without-{module}")})
            self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (1, "", 1), done.stderr)
            self.assertIn(f"no Python module {module}: apt install python3-{module}", done.stderr)

    def picture(self, path: Path, size: tuple[int, int], seed: int) -> np.ndarray:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        return pixels

    def test_pictures(self) -> None:
        """Classes in the order of their names, pictures in the order of theirs, PNG keeps every pixel."""
        expected = [self.picture(self.place / f"p/train/{name}", (5, 6), seed) for seed, name in
                    enumerate(("cat/1.png", "cat/2.PNG", "dog/a/7.png"))]
        test = self.picture(self.place / "p/val/dog/9.png", (5, 6), 9)
        (self.place / "p/train/dog/notes.txt").write_text("no picture")
        found = self.run_on(self.place / "p", says=("class 0: cat", "class 1: dog", "1 files that are no pictures"))
        np.testing.assert_array_equal(found["images"], np.moveaxis(np.stack(expected), 3, 1))
        np.testing.assert_array_equal(found["labels"], [0, 0, 1])
        np.testing.assert_array_equal(found["test_images"], np.moveaxis(test[None], 3, 1))
        np.testing.assert_array_equal(found["test_labels"], [1])
        found = self.run_on(self.place / "p", "--size", "8x4", "--grey")
        self.assertEqual(found["images"].shape, (3, 1, 8, 4))

    def test_bad_pictures(self) -> None:
        self.picture(self.place / "p/cat/1.png", (5, 6), 1)
        self.picture(self.place / "p/dog/2.png", (6, 6), 1)
        self.run_on(self.place / "p", expect=1, says=("2.png", "6x6 pixels", "5x6", "--size 5x6"))
        (self.place / "p/dog/2.png").write_bytes(b"no picture")
        self.run_on(self.place / "p", expect=1, says=("2.png", "cannot be read as a picture"))
        (self.place / "empty").mkdir()
        self.run_on(self.place / "empty", expect=1, says=("no folders of pictures",))

    def cifar(self, path: Path, count: int, protocol: int = 2, **answers: list[int]) -> np.ndarray:
        """As the authors' files: of Python 2, keys are bytes in Python 3."""
        path.parent.mkdir(exist_ok=True)
        data = self.random.integers(0, 256, (count, 3072), dtype=np.uint8)
        with open(path, "wb") as file:
            pickle.dump({b"data": data} | {key.encode(): value for key, value in answers.items()}, file, protocol)
        return data

    def test_cifar(self) -> None:
        first = self.cifar(self.place / "c10/data_batch_1", 4, labels=[3, 0, 9, 1])
        second = self.cifar(self.place / "c10/data_batch_2", 2, labels=[5, 6])
        self.cifar(self.place / "c10/test_batch", 3, labels=[7, 8, 9])
        found = self.run_on(self.place / "c10", says=("data_batch_3",))
        np.testing.assert_array_equal(found["images"].reshape(6, 3072), np.concatenate([first, second]))
        np.testing.assert_array_equal(found["labels"], [3, 0, 9, 1, 5, 6])
        np.testing.assert_array_equal(found["test_labels"], [7, 8, 9])
        data = self.cifar(self.place / "c100/train", 3, fine_labels=[99, 0, 50], coarse_labels=[19, 0, 10])
        for labels, numbers in (("fine", [99, 0, 50]), ("coarse", [19, 0, 10])):
            found = self.run_on(self.place / "c100", "--labels", labels)
            np.testing.assert_array_equal(found["labels"], numbers)
            np.testing.assert_array_equal(found["images"].reshape(3, 3072), data)

    def test_a_pickle_that_would_run_something_is_refused(self) -> None:
        class Evil:
            def __reduce__(self):
                return os.mkdir, (str(mark),)

        mark = self.place / "was-run"
        (self.place / "c").mkdir()
        for content in ({b"data": Evil(), b"labels": []}, Evil()):
            (self.place / "c/data_batch_1").write_bytes(pickle.dumps(content))
            self.run_on(self.place / "c", expect=1, says=("data_batch_1", "is refused", "mkdir"))
            self.assertFalse(mark.exists())
        for content in (b"", b"no pickle", pickle.dumps([1]), pickle.dumps({b"data": np.zeros((2, 5), np.uint8)})):
            (self.place / "c/data_batch_1").write_bytes(content)
            self.run_on(self.place / "c", expect=1, says=("data_batch_1",))


if __name__ == "__main__":
    unittest.main()
