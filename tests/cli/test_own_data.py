#!/usr/bin/python3
"""Own data: HDF5, NPY, IDX and CIFAR-100 files that h5py and NumPy write are what the binary trains on; bad ones are refused
with file, what, and how to mend."""

from __future__ import annotations

import gzip
import os
import struct
import subprocess
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from support import BINARY, PLAIN, Case, attributes, environment, gradscape, main

MLP = {"model.arch": "mlp", "model.hidden": [8], "train.steps": 3, "train.batch_size": 16}
MNIST_MAGIC = {3: 0x803, 1: 0x801}


def write_h5(path: Path, layouts: dict[str, str] | None = None, **arrays: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values
        for name, layout in (layouts or {}).items():
            file[name].attrs["layout"] = layout
    return path


def write_npy(folder: Path, **arrays: np.ndarray) -> Path:
    folder.mkdir(exist_ok=True)
    for path in folder.glob("*.npy"):
        path.unlink()
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)
    return folder


class OwnData(Case):
    def setUp(self) -> None:
        super().setUp()
        random = np.random.default_rng(8)
        self.images = random.integers(0, 256, (48, 3, 6, 5), dtype=np.uint8)
        self.labels = random.permutation(np.arange(48) % 7)
        self.test = {"test_images": self.images[:20][::-1], "test_labels": self.labels[:20][::-1]}
        self.number = 0

    def train(self, source: str, path: Path, **settings: Any) -> Path:
        self.number += 1
        run = self.place / f"run-{self.number}"
        gradscape("train", self.write_config(PLAIN | MLP | {"data.source": source, "data.path": str(path)} | settings),
                  "--out", run)
        return run

    def fingerprint(self, run: Path) -> str:
        return attributes(run / "checkpoints/step-00000000.h5")["data_fingerprint"]

    def refused(self, source: str, path: Path, *says: str, expect: int = 1, **settings: Any) -> None:
        config = self.write_config(PLAIN | MLP | {"data.source": source, "data.path": str(path)} | settings)
        gradscape("train", config, "--out", self.place / "out", expect=expect, says=says)
        self.assertFalse((self.place / "out").exists())

    def test_the_same_data_in_every_form_are_the_same_run(self) -> None:
        """In all byte orders, orders of axes, widths of labels, compressed or not: the same weights, bit for bit."""
        def last(array: np.ndarray) -> np.ndarray:
            return np.ascontiguousarray(np.moveaxis(array, 1, 3))

        runs = [self.train("hdf5", write_h5(self.place / "a.h5", images=self.images, labels=self.labels, **self.test))]
        nhwc = dict(images=last(self.images), labels=self.labels.astype(">u2"), test_images=last(self.test["test_images"]),
                    test_labels=self.test["test_labels"].astype(np.int8))
        runs.append(self.train("hdf5", write_h5(self.place / "b.h5", {"images": "NHWC", "test_images": "NHWC"}, **nhwc)))
        with h5py.File(self.place / "c.h5", "w") as file:
            for name, values in ({"images": self.images, "labels": self.labels} | self.test).items():
                file.create_dataset(name, data=values, compression="gzip", shuffle=True, fletcher32=True,
                                    chunks=(7, *(2 for _ in values.shape[1:])))
        runs.append(self.train("hdf5", self.place / "c.h5"))
        runs.append(self.train("npy", write_npy(self.place / "a", images=self.images, labels=self.labels, **self.test)))
        runs.append(self.train("npy", write_npy(self.place / "b", images=np.asfortranarray(self.images),
                                                labels=self.labels.astype(">i4"),
                                                test_images=np.asfortranarray(self.test["test_images"]),
                                                test_labels=self.test["test_labels"].astype("<u8"))))
        for run in runs[1:]:
            self.assertEqual(self.fingerprint(run), self.fingerprint(runs[0]))
            self.assert_same_data(runs[0] / "checkpoints/step-00000003.h5", run / "checkpoints/step-00000003.h5")
        words = "HDF5: 48 training images in 1 file, 20 test images in 1 file; 7 classes"
        self.assertIn(words, gradscape("info", runs[0]).stdout)
        self.assertIn("images of 6×5×3, 7 outputs", gradscape("info", runs[0] / "config.toml").stdout)

    def test_float_images_are_what_the_network_sees(self) -> None:
        """float32 and float64, both ways of standardisation, with NumPy's mean and deviation."""
        for dtype in (np.float32, np.float64, ">f4", ">f8"):
            images = (np.random.default_rng(3).standard_normal((48, 2, 4, 3)) * [[[[3.0]], [[0.1]]]] + 5).astype(dtype)
            seen = []
            for source, path in (("hdf5", write_h5(self.place / "f.h5", images=images, labels=self.labels)),
                                 ("npy", write_npy(self.place / "f", images=np.asfortranarray(images),
                                                   labels=self.labels))):
                run = self.train(source, path, **{"data.standardise": "channel", "train.precision": "double"})
                with h5py.File(run / "checkpoints/step-00000000.h5") as file:
                    mean, deviation = (file["standardisation"][name][()] for name in ("mean", "deviation"))
                exact = images.astype(np.float64)
                np.testing.assert_allclose(mean, exact.mean((0, 2, 3)), rtol=1e-13)
                np.testing.assert_allclose(deviation, exact.std((0, 2, 3)), rtol=1e-13)
                seen.append(self.fingerprint(run))
                # Taken as they are, after the same was done to them here: the same loss.
                by_hand = (exact - mean[:, None, None]) / deviation[:, None, None]
                other = self.train("hdf5", write_h5(self.place / "g.h5", images=by_hand, labels=self.labels),
                                   **{"data.standardise": "none", "train.precision": "double"})
                np.testing.assert_allclose(self.losses(run), self.losses(other), rtol=1e-12)
            self.assertEqual(*seen)

    def losses(self, run: Path) -> np.ndarray:
        with h5py.File(next(iter(sorted((run / "trace").glob("*.h5"))))) as file:
            return file["loss"][()]

    def test_bytes_and_floats_of_the_same_pictures(self) -> None:
        whole = self.train("hdf5", write_h5(self.place / "a.h5", images=self.images, labels=self.labels),
                           **{"data.standardise": "none", "train.precision": "double"})
        scaled = self.train("hdf5", write_h5(self.place / "b.h5", images=self.images / 255.0, labels=self.labels),
                            **{"data.standardise": "none", "train.precision": "double"})
        self.assertNotEqual(self.fingerprint(whole), self.fingerprint(scaled))
        np.testing.assert_array_equal(self.losses(whole), self.losses(scaled))

    def test_nan_pixels_are_said(self) -> None:
        images = self.images.astype(np.float32)
        images[3, 1, 2, 2:4] = np.nan
        path = write_h5(self.place / "a.h5", images=images, labels=self.labels)
        config = self.write_config(PLAIN | MLP | {"data.source": "hdf5", "data.path": str(path),
                                                  "data.standardise": "channel", "train.steps": 0, "train.epochs": 1})
        run = self.place / "nan"
        gradscape("train", config, "--out", run, says=("warning", "a.h5", "2 of the 4320 pixels in images are NaN"))
        with h5py.File(run / "checkpoints/step-00000000.h5") as file:
            np.testing.assert_allclose(file["standardisation/mean"][()], np.nanmean(images.astype(float), (0, 2, 3)),
                                       rtol=1e-13)

    def test_regression(self) -> None:
        """Targets in place of labels: the loss of the first step is NumPy's, of the network's own weights."""
        x = np.random.default_rng(4).standard_normal((16, 1, 2, 3))
        y = np.random.default_rng(5).standard_normal((16, 4))
        settings = {"data.standardise": "none", "train.precision": "double", "model.loss": "mse", "model.hidden": [5],
                    "model.activation": "linear"}
        arrays = dict(images=x, targets=y, test_images=x[:6], test_targets=y[:6].astype(np.float32))
        runs = [self.train("hdf5", write_h5(self.place / "a.h5", **arrays), **settings),
                self.train("npy", write_npy(self.place / "a", images=x, targets=np.asfortranarray(y),
                                            test_images=x[:6], test_targets=y[:6]), **settings)]
        self.assertEqual(self.fingerprint(runs[0]), self.fingerprint(runs[1]))
        with h5py.File(runs[0] / "checkpoints/step-00000000.h5") as file:
            weights = [file[f"parameters/layers.{layer}.{part}"][()] for layer in (0, 1) for part in ("weight", "bias")]
        hidden = x.reshape(16, 6) @ weights[0].T + weights[1]
        expected = np.mean((hidden @ weights[2].T + weights[3] - y) ** 2)
        np.testing.assert_allclose(self.losses(runs[0])[0], expected, rtol=1e-12)
        said = gradscape("info", runs[0]).stdout
        self.assertIn("4 numbers to fit", said)
        self.assertRegex(said, r"test +loss \d")
        self.refused("hdf5", self.place / "a.h5", "model.loss", "targets", "mse", expect=2,
                     **{"data.standardise": "none"})

    def write_idx(self, folder: Path, labels: np.ndarray, zipped: bool = False) -> Path:
        folder.mkdir(exist_ok=True)
        for name, values in (("train-images-idx3-ubyte", self.images[:, 0]), ("train-labels-idx1-ubyte", labels)):
            content = struct.pack(f">{1 + values.ndim}I", MNIST_MAGIC[values.ndim], *values.shape) \
                + values.astype(np.uint8).tobytes()
            (folder / (name + (".gz" if zipped else ""))).write_bytes(gzip.compress(content) if zipped else content)
        return folder

    def test_idx_with_any_number_of_classes(self) -> None:
        labels = np.arange(48) % 47  # as EMNIST balanced
        idx = self.train("idx", self.write_idx(self.place / "a", labels, zipped=True))
        own = self.train("hdf5", write_h5(self.place / "a.h5", images=self.images[:, :1], labels=labels))
        self.assertEqual(self.fingerprint(idx), self.fingerprint(own))
        self.assertIn("47 outputs", gradscape("info", idx / "config.toml").stdout)
        # Ten classes at least, as files of older programs have; told, also fewer.
        folder = self.write_idx(self.place / "b", self.labels)
        self.assertIn("; 10 classes", gradscape("info", self.train("idx", folder)).stdout)
        told = self.train("idx", folder, **{"data.classes": 7})
        own = self.train("npy", write_npy(self.place / "n", images=self.images[:, :1], labels=self.labels))
        self.assertEqual(self.fingerprint(told), self.fingerprint(own))
        self.refused("idx", folder, "train-labels-idx1-ubyte", "allowed are 0 to 5", "data.classes", **{"data.classes": 6})

    def test_more_classes_than_a_byte_counts(self) -> None:
        labels = np.arange(48) * 20
        path = write_h5(self.place / "a.h5", images=self.images, labels=labels)
        self.assertIn("941 outputs", gradscape("info", self.train("hdf5", path) / "config.toml").stdout)

    def test_cifar100(self) -> None:
        folder = self.place / "cifar"
        folder.mkdir()
        random = np.random.default_rng(6)
        pixels = random.integers(0, 256, (32, 3, 32, 32), dtype=np.uint8)
        coarse, fine = np.arange(32) % 20, (np.arange(32) * 37) % 100
        coarse[0], fine[0] = 19, 99
        for name, count in (("train.bin", 32), ("test.bin", 10)):
            (folder / name).write_bytes(b"".join(bytes([coarse[i], fine[i]]) + pixels[i].tobytes() for i in range(count)))
        for labels, numbers, count in (("fine", fine, 100), ("coarse", coarse, 20)):
            run = self.train("cifar100", folder, **{"data.labels": labels})
            own = self.train("hdf5", write_h5(self.place / "a.h5", images=pixels, labels=numbers))
            self.assertEqual(self.fingerprint(run), self.fingerprint(own))
            self.assertIn(f"CIFAR-100: 32 training images in 1 file, 10 test images in 1 file; {count} classes",
                          gradscape("info", run).stdout)
            self.assertIn(f"{count} outputs", gradscape("info", run / "config.toml").stdout)
        gradscape("info", run / "config.toml", env={"GRADSCAPE_CIFAR100": str(folder)})
        content = bytearray((folder / "train.bin").read_bytes())
        content[1] = 100
        (folder / "train.bin").write_bytes(content)
        self.refused("cifar100", folder, "train.bin", "record 0", "label 100", "0 to 99")
        (folder / "train.bin").write_bytes(content[:-1])
        self.refused("cifar100", folder, "train.bin", "CIFAR-100", "multiple of 3074 bytes")
        self.refused("cifar100", self.place / "none", "none", "does not exist", "GRADSCAPE_CIFAR100")
        config = self.write_config(PLAIN | MLP | {"data.source": "cifar100"})
        gradscape("train", config, expect=2, says=("data.path", "GRADSCAPE_CIFAR100"))

    def test_layouts_are_texts_of_any_form(self) -> None:
        """Of fixed and of variable length, in old and new headers, behind a user block, among others, written twice."""
        def put(attributes: h5py.AttributeManager, form: str) -> None:
            for number in range(30 if form == "many" else 0):
                attributes[f"note {number}"] = "x" * number
            if form == "twice":
                attributes["layout"] = "NCHW"
            attributes["layout"] = np.bytes_("NHWC") if form == "fixed" else "NHWC"

        expected = self.fingerprint(self.train("hdf5", write_h5(self.place / "a.h5", images=self.images, labels=self.labels)))
        path = self.place / "b.h5"
        for form, options in (("fixed", {}), ("plain", {}), ("plain", {"libver": "latest"}), ("plain", {"userblock_size": 1024}),
                              ("plain", {"track_order": True}), ("many", {}), ("twice", {})):
            with h5py.File(path, "w", **options) as file:
                file["images"], file["labels"] = np.moveaxis(self.images, 1, 3), self.labels
                put(file["images"].attrs, form)
            self.assertEqual(self.fingerprint(self.train("hdf5", path)), expected, (form, options))
        with h5py.File(path, "w", libver="latest") as file:  # an index of its own, for many attributes
            file["images"], file["labels"] = self.images, self.labels
            put(file["images"].attrs, "many")
        self.refused("hdf5", path, "b.h5", "attribute layout of /images", "np.bytes_")

    def test_bad_hdf5(self) -> None:
        good = {"images": self.images, "labels": self.labels}
        path = self.place / "bad.h5"
        for change, *words in (
                ({"labels": self.labels[:-1]}, "has 47 labels for 48 images"),
                ({"labels": self.labels - 1}, "label", "is -1", "from 0"),
                ({"labels": self.labels * 10**9}, "label", "is ", "number the classes from 0"),
                ({"labels": self.labels * 50000}, "more than 65536 classes", "data.classes"),
                ({"labels": self.labels.astype(np.float32)}, "labels are float32", "astype(np.int64)", "targets"),
                ({"labels": np.eye(48)[:, :5].astype(int)}, "labels are [48, 5]", "argmax"),
                ({"labels": None}, "has no dataset labels", "targets"),
                ({"images": None}, "has no dataset images", "[N, C, H, W]"),
                ({"images": self.images[:, 0]}, "images are [48, 6, 5]", "[N, C, H, W]", "[N, 1, H, W]"),
                ({"images": self.images.astype(np.int32)}, "whole numbers, but not uint8", "astype"),
                ({"images": self.images.astype(np.complex64)}, "/images is of a type"),
                ({"images": self.images[:0], "labels": self.labels[:0]}, "nothing in them"),
                ({"targets": np.ones((48, 2))}, "labels and targets", "leave one"),
                ({"labels": None, "targets": np.ones(48)}, "targets are [48]", "[N, 1]"),
                ({"labels": None, "targets": np.ones((47, 2))}, "47 targets for 48 images"),
                ({"test_images": self.images[:, :, :5], "test_labels": self.labels}, "[48, 3, 5, 5]", "one size"),
                ({"test_images": self.images / 255, "test_labels": self.labels}, "float64", "uint8", "one kind"),
                ({"test_images": self.images}, "test_labels"),
                ({"test_labels": self.labels}, "test_labels without test_images"),
                ({"test_images": self.images, "test_labels": self.labels + 1}, "is 7", "0 to 6", "data.classes")):
            write_h5(path, **{name: value for name, value in (good | change).items() if value is not None})
            self.refused("hdf5", path, "bad.h5", *words)
        write_h5(path, {"images": "HWCN"}, **good)
        self.refused("hdf5", path, "bad.h5", "layout = \"HWCN\"", "NCHW or NHWC")
        write_h5(path, images=self.images.astype(np.float32), labels=self.labels)
        self.refused("hdf5", path, "data.standardise", "half", "none", "channel", expect=2)
        with h5py.File(path, "w") as file:
            file.create_dataset("images", data=self.images, compression="lzf")
            file["labels"] = self.labels
        self.refused("hdf5", path, "bad.h5", "unknown filter")
        with h5py.File(path, "w") as file:
            file["images"] = h5py.ExternalLink("other.h5", "/images")
            file["labels"] = self.labels
        self.refused("hdf5", path, "bad.h5", "/images is a link out of the file")
        whole = write_h5(path, **good).read_bytes()
        path.write_bytes(whole[:len(whole) // 2])
        self.refused("hdf5", path, "bad.h5")
        path.write_bytes(b"no HDF5 file" * 100)
        self.refused("hdf5", path, "bad.h5", "cannot be read as an HDF5 file", "from_arrays.py")
        self.refused("hdf5", self.place / "none.h5", "none.h5", "does not exist")
        self.refused("hdf5", self.place, "is a directory")

    def test_bad_npy(self) -> None:
        good = {"images": self.images, "labels": self.labels}
        folder = self.place / "npy"
        for change, *words in (
                ({"labels": np.array([{}] * 48)}, "labels.npy", "Python objects", "pickle"),
                ({"labels": np.zeros(48, [("a", "i4"), ("b", "f4")])}, "labels.npy", "records of several fields"),
                ({"labels": self.labels.astype(bool)}, "labels.npy", "|b1", "astype"),
                ({"images": self.images.astype(np.float16)}, "images.npy", "<f2", "astype(np.float32)"),
                ({"labels": self.labels[:-1]}, "labels.npy", "47 labels for 48 images"),
                ({"images": self.images[0]}, "images.npy", "[3, 6, 5]", "[N, C, H, W]")):
            self.refused("npy", write_npy(folder, **(good | change)), *words)
        write_npy(folder, **good)
        path = folder / "images.npy"
        whole = path.read_bytes()
        for content, *words in ((whole[:-1], "truncated", f"expected {len(whole)} bytes", f"found {len(whole) - 1}"),
                                (whole + b"1", f"found {len(whole) + 1}"), (b"", "no NPY file"),
                                (b"x" * 500, "no NPY file", "np.save"), (whole[:6] + b"\4" + whole[7:], "version 4.0"),
                                (b"PK\3\4" + whole, "NPZ archive", "from_arrays.py"),
                                (whole[:8] + b"\xff\xff" + whole[10:], "header of 65535 bytes"),
                                (whole.replace(b"fortran_order", b"fortran_order_", 1), "damaged"),
                                (whole.replace(b"False", b"Maybe", 1), "damaged", "True nor False"),
                                (whole.replace(b"(48, 3, 6, 5)", b"(48, 3, 6, x)", 1), "damaged"),
                                (whole.replace(b"(48, 3, 6, 5), }", b"(2147483648, 2147483648, 8, 8), }"[:16], 1), "damaged")):
            path.write_bytes(content)
            self.refused("npy", folder, "images.npy", *words)
        path.unlink()
        self.refused("npy", folder, "images.npy", "does not exist")
        self.refused("npy", self.place / "none", "none", "does not exist", "data.path")

    def test_versions_of_npy(self) -> None:
        expected = None
        for version in ((1, 0), (2, 0), (3, 0)):
            folder = self.place / f"v{version[0]}"
            folder.mkdir()
            for name, values in (("images", self.images), ("labels", self.labels)):
                with open(folder / f"{name}.npy", "wb") as file:
                    np.lib.format.write_array(file, values, version=version)
            found = self.fingerprint(self.train("npy", folder))
            self.assertEqual(found, expected or found)
            expected = found

    def test_options_that_do_not_belong(self) -> None:
        for settings, *words in (({"data.source": "synthetic", "data.classes": 5}, "data.classes", "idx, hdf5 and npy"),
                                 ({"data.source": "synthetic", "data.labels": "coarse"}, "data.labels", "cifar100"),
                                 ({"data.source": "hdf5"}, "data.path", "HDF5"), ({"data.source": "npy"}, "data.path")):
            gradscape("train", self.write_config(PLAIN | MLP | settings), expect=2, says=tuple(words))
        path = write_h5(self.place / "a.h5", images=self.images, targets=np.ones((48, 2)))
        self.refused("hdf5", path, "data.classes", "targets", **{"data.classes": 3, "model.loss": "mse"})

    def test_channels_at_the_end_are_suspected(self) -> None:
        images = np.zeros((16, 9, 9, 3), np.uint8)
        path = write_h5(self.place / "a.h5", images=images, labels=np.arange(16) % 3)
        config = self.write_config(PLAIN | MLP | {"data.source": "hdf5", "data.path": str(path)})
        gradscape("train", config, "--out", self.place / "out", says=("warning", "9 channels of 9×3 pixels", "NHWC"))

    def test_memory_is_that_of_the_data(self) -> None:
        """100 MB of images, read in slabs: about once in memory, also where axes are exchanged."""
        images = np.zeros((1000, 3, 183, 182), np.uint8)
        images[:, 1, 3] = 7
        labels = np.arange(1000) % 5
        size = images.nbytes
        paths = {"hdf5": write_h5(self.place / "a.h5", {"images": "NHWC"}, images=np.moveaxis(images, 1, 3), labels=labels),
                 "npy": write_npy(self.place / "a", images=np.asfortranarray(images), labels=labels)}
        for source, path in paths.items():
            config = self.write_config(PLAIN | MLP | {"data.source": source, "data.path": str(path), "train.steps": 1})
            process = subprocess.Popen([BINARY, "train", config, "--out", self.place / source, "--quiet"], env=environment())
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            self.assertEqual(process.returncode, 0)
            self.assertLess(usage.ru_maxrss * 1024, 1.2 * size + 80e6, source)


if __name__ == "__main__":
    main()
