#!/usr/bin/python3
"""A run's network on images, and its weights given away, as safetensors files written and read here by hand."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np
from support import FULL, Case, datasets, gradscape, main, read_tensors, write_tensors

class Evaluate(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.run_directory = cls.make("train", FULL, cls.shared / "run")

    def images(self, count: int = 6) -> np.ndarray:
        return np.random.default_rng(1).standard_normal((count, 3, 32, 32)).astype("<f4")

    def check_file(self, **more: np.ndarray) -> Path:
        return write_tensors(self.place / "check.safetensors", {"images": self.images()} | more)

    def test_test_images_are_those_of_training(self) -> None:
        trace = datasets(sorted((self.run_directory / "trace").glob("*.h5"))[-1])
        told = gradscape("evaluate", self.run_directory).stdout
        self.assertIn(f"at step {trace['test_step'][-1]}", told)
        self.assertIn(f"loss      {trace['test_loss'][-1]:.9g}", told)
        self.assertIn(f"accuracy  {100 * trace['test_accuracy'][-1]:.2f} %", told)
        last = max(int(path.stem[5:]) for path in (self.run_directory / "checkpoints").glob("*.h5"))
        self.assertEqual(told, gradscape("evaluate", f"{self.run_directory}@last").stdout)
        self.assertEqual(told, gradscape("evaluate", f"{self.run_directory}@{last}").stdout)

    def test_images_of_ones_own(self) -> None:
        """Loss and accuracy are those of the logits; the file's own are compared."""
        labels = np.arange(6, dtype="<i8")
        file = self.check_file(labels=labels)
        to = self.place / "logits.safetensors"
        for mode in ("evaluation", "train"):
            told = gradscape("evaluate", self.run_directory, "--images", file, "--to", to, "--mode", mode).stdout
            logits = read_tensors(to)["logits"].astype(float)
            self.assertEqual(logits.shape, (6, 10))
            chances = np.exp(logits - logits.max(axis=1, keepdims=True))
            loss = -np.log(chances[np.arange(6), labels] / chances.sum(axis=1)).mean()
            self.assertAlmostEqual(float(re.search(r"loss +(\S+)", told)[1]), loss, places=6)
            self.assertIn(f"{100 * (logits.argmax(axis=1) == labels).mean():.2f} %", told)
            again = self.check_file(labels=labels, **{f"logits.{mode}": read_tensors(to)["logits"], f"loss.{mode}": np.array([2 * loss])})
            told = gradscape("evaluate", self.run_directory, "--images", again, "--mode", mode).stdout
            self.assertIn(f"logits.{mode} differ from the file's by 0 of their norm", told)
            self.assertIn(f"loss.{mode} differ from the file's by 0.5 of their norm", told)

    def test_double_is_near(self) -> None:
        to = self.place / "logits.safetensors"
        found = []
        for precision in ("float", "double"):
            gradscape("evaluate", self.run_directory, "--images", self.check_file(), "--to", to, "--precision", precision)
            found.append(read_tensors(to)["logits"])
        self.assertEqual([values.dtype.str for values in found], ["<f4", "<f8"])
        self.assertLess(np.abs(found[0] - found[1]).max(), 1e-4 * np.abs(found[1]).max())
        self.assertGreater(np.abs(found[0] - found[1]).max(), 0)

    def test_export(self) -> None:
        step = 4
        to = self.place / "w.safetensors"
        self.assertEqual(gradscape("export", f"{self.run_directory}@{step}", "--to", to).stdout, f"{to}\n")
        found = read_tensors(to)
        with h5py.File(self.run_directory / f"checkpoints/step-{step:08}.h5") as file:
            stored = {}
            for group in ("parameters", "buffers"):
                file[group].visititems(lambda name, item: stored.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
        self.assertEqual(set(found), set(stored))
        for name, values in stored.items():
            np.testing.assert_array_equal(found[name], values, name)
        self.assertEqual(found["features.1.num_batches_tracked"].dtype.str, "<i8")

    def test_bad_input(self) -> None:
        run = self.run_directory
        for more, says in (((f"{run}@3",), ("no checkpoint of step 3", "the nearest is 4")),
                           ((f"{run}@end",), ("\"end\" is no step", "RUN_DIR@last")),
                           ((run, "--mode", "test"), ("--mode", "train | evaluation")),
                           ((run, "--precision", "half"), ("--precision", "float | double"))):
            gradscape("evaluate", *more, expect=2, says=says)
        narrow = write_tensors(self.place / "a.safetensors", {"images": self.images()[:, :, :16]})
        none = write_tensors(self.place / "b.safetensors", {"pictures": self.images()})
        labels = write_tensors(self.place / "c.safetensors", {"images": self.images(), "labels": np.full(6, 10, "<i8")})
        few = write_tensors(self.place / "d.safetensors", {"images": self.images(), "labels": np.zeros(5, "<i8")})
        pickle = self.place / "net.pth"
        pickle.write_bytes(b"PK\x03\x04" + bytes(40))
        for file, says in ((narrow, ("[6, 3, 16, 32]", "[N, 3, 32, 32]")), (none, ("no tensor images",)),
                           (labels, ("label 10 of image 0", "10 classes")), (few, ("labels are [5]", "6 images")),
                           (pickle, ("PyTorch's own format",))):
            gradscape("evaluate", run, "--images", file, expect=1, says=says)
        gradscape("export", run, expect=2, says=("--to",))


if __name__ == "__main__":
    main()
