#!/usr/bin/python3
"""`verify`: whole files that belong together and hold what this program computes; anything else is named."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

from support import PLAIN, SEGMENTED, Case, falsified, flip_a_bit, gradscape, main, stopped_at, write_cifar

ALL = ("--cells", 1000)  # every one that there is: nothing is left to chance
SHARD = "sweep/main/segment-00000003-00000006.h5"


def change(path: Path, name: str) -> None:
    """Changes a stored value as a program would: checksums and hashes are right afterwards."""
    with falsified(path) as file:
        values = file[name][()]
        values.flat[0] += 0.125
        file[name][...] = values


class Verify(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.run_directory = cls.make("run", SEGMENTED, cls.shared / "run")

    def refused(self, run: Path, *says: str, more: tuple = ALL) -> None:
        gradscape("verify", run, *more, expect=1, says=says)

    def test_what_is_right(self) -> None:
        out = self.copy(self.run_directory)
        gradscape("sweep", out, "--name", "dense", "--steps", "4:9:1", "--multipliers", "2,7", "--quiet")
        gradscape("sweep", out, "--name", "update", "--direction", "update", "--probe-precision", "double", "--quiet")
        done = gradscape("verify", out, *ALL, "--threads", 2)
        # 11 steps of 3 cells, 6 of 2, 11 of 3; 8 checkpoints, 7 traces, 8 + 3 + 8 shards, a merged file
        self.assertIn("copy: 35 files read, 78 of 78 cells recomputed: all right", done.stdout)
        self.assertIn("5 of 78 cells", gradscape("verify", out, "--cells", 5).stdout)
        self.assertIn("0 of 78 cells", gradscape("verify", out, "--cells", 0).stdout)

    def test_a_flipped_bit_in_any_file(self) -> None:
        for name, dataset in (("checkpoints/step-00000006.h5", "parameters/layers.0.weight"),
                              ("trace/segment-00000003-00000006.h5", "loss"), (SHARD, "loss"), ("landscape.h5", "beta")):
            out = self.copy(self.run_directory, name.replace("/", "-"))
            flip_a_bit(out / name, dataset)
            self.refused(out, f"{out / name}: ", dataset, more=("--cells", 0))

    def test_a_changed_value(self) -> None:
        """With hashes that are right, only recomputing or a second copy tells."""
        out = self.copy(self.run_directory, "cell")
        change(out / SHARD, "accuracy")
        (out / "landscape.h5").unlink()
        gradscape("verify", out, "--cells", 0)
        self.refused(out, f"{out / SHARD}: at step 4, accuracy at alpha 0.5 is ", "recomputed")
        out = self.copy(self.run_directory, "merged")
        change(out / "landscape.h5", "accuracy")
        self.refused(out, f"{out}/landscape.h5: at step 0, accuracy at alpha 0.5 is ", "gradscape merge",
                     more=("--cells", 0))
        out = self.copy(self.run_directory, "checkpoint")
        change(out / "checkpoints/step-00000006.h5", "parameters/layers.0.weight")
        self.refused(out, "step-00000006.h5: its parameters have the fingerprint ", more=("--cells", 0))
        out = self.copy(self.run_directory, "trace")
        change(out / "trace/segment-00000003-00000006.h5", "loss")
        self.refused(out, "replay does not reproduce the run: the loss is ")

    def test_files_of_others(self) -> None:
        other = self.make("run", SEGMENTED | {"train.seed": 8}, self.place / "other")
        for name in (SHARD, "checkpoints/step-00000006.h5", "trace/segment-00000003-00000006.h5", "landscape.h5"):
            out = self.copy(self.run_directory, f"other-{Path(name).parent.name}")
            shutil.copy(other / name, out / name)
            self.refused(out, f"{out / name}: belongs to a different run: train.seed is 7 here and 8 there",
                         more=("--cells", 0))
        out = self.copy(self.run_directory, "renamed")
        (out / SHARD).rename(out / "sweep/main/segment-00000006-00000009.h5")
        self.refused(out, "segment-00000006-00000009.h5: holds step 4: it was renamed", more=("--cells", 0))

    def test_other_images(self) -> None:
        for seed in (1, 2):
            write_cifar(self.place / f"data{seed}", seed=seed)
        run = self.make("run", PLAIN | {"data.source": "cifar10", "data.path": str(self.place / "data1"),
                                        "train.steps": 2}, self.place / "run")
        self.refused(run, "the training images are ", more=("--data.path", self.place / "data2"))
        (self.place / "data1").rename(self.place / "moved")
        self.refused(run, "data1")
        gradscape("verify", run, "--data.path", self.place / "moved")

    def test_a_folder_of_runs(self) -> None:
        out = self.place / "out"
        shutil.copytree(self.run_directory, out / "a")
        shutil.copytree(self.run_directory, out / "b")
        self.assertEqual(len(gradscape("verify", out).stdout.splitlines()), 2)
        flip_a_bit(out / "b" / SHARD)
        shutil.copy(out / "b" / SHARD, out / "loose.h5")
        self.refused(out, "2 problems", "loose.h5", str(out / "b" / SHARD), more=("--cells", 0))

    def test_stopped(self) -> None:
        stopped_at(signal.SIGINT, "step", 2, "verify", self.run_directory, *ALL, expect=130, says=("nothing was changed",))

    def test_bad_input(self) -> None:
        gradscape("verify", self.run_directory, "--cells", -1, expect=2, says=("--cells", "0 or more"))
        gradscape("verify", self.place, expect=2, says=("holds no run",))


if __name__ == "__main__":
    main()
