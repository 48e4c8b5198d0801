#!/usr/bin/python3
"""What a stopped sweep leaves of a segment: a partial shard, which the next call goes on from, to the bits of a sweep in
one piece, and leaves alone with a word where it is damaged."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

from support import FULL, Case, attributes, datasets, gradscape, main, stopped_at

# One segment, which the sweep is stopped inside of, and the step after the last. The noise floor is measured.
LONG = FULL | {"model.arch": "mlp", "model.hidden": [12, 8], "train.steps": 12, "train.checkpoint_every": 12}
SHARD = "segment-00000000-00000012.h5"


class Sweep(Case):
    settings = LONG

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.trained = cls.make("train", cls.settings, cls.shared / "trained")
        cls.whole = cls.copy_in(cls.shared, cls.trained, "whole")
        gradscape("sweep", cls.whole, "--quiet")
        gradscape("merge", cls.whole, "--quiet")
        cls.partial = cls.copy_in(cls.shared, cls.trained, "partial")
        stopped_at(signal.SIGUSR1, "step", 5, "sweep", cls.partial, expect=75)

    def assert_finishes(self, out: Path, *words: str) -> None:
        gradscape("sweep", out, says=words)
        gradscape("merge", out, "--quiet")
        self.assert_same_files(self.whole, out)

    def test_the_finished_part_is_kept(self) -> None:
        out = self.copy(self.partial)
        path = out / "sweep/main/partial" / SHARD
        self.assertFalse((out / "sweep/main" / SHARD).exists())
        self.assertEqual(attributes(path)["complete"], 1)
        part, whole = datasets(path), datasets(self.whole / "sweep/main" / SHARD)
        self.assertEqual(part["step"].tolist(), [0, 1, 2, 3, 4])
        for name in ("step", "loss", "grad_diff", "noise_floor", "beta_max"):
            self.assertEqual(part[name].tobytes(), whole[name][:5].tobytes(), name)
        gradscape("merge", out, expect=1, says=("no shards",))
        stopped_at(signal.SIGKILL, "step", 8, "sweep", out, expect=-signal.SIGKILL)
        self.assertEqual(len(datasets(path)["step"]), 5, "it outlives SIGKILL")
        self.assert_finishes(out)

    def test_tasks(self) -> None:
        out = self.copy(self.partial)
        gradscape("sweep", out, "--task", "1/2", "--quiet")
        self.assertTrue((out / "sweep/main/partial" / SHARD).exists(), "another task's")
        gradscape("sweep", out, "--task", "0/2", "--quiet")
        self.assert_finishes(out, "0 new shards")

    def test_a_damaged_partial_shard(self) -> None:
        whole = (self.partial / "sweep/main/partial" / SHARD).read_bytes()
        for number, content in enumerate((b"", b"no HDF5", whole[:len(whole) // 2], whole[:-1])):
            out = self.copy(self.partial, f"damaged{number}")
            path = out / "sweep/main/partial" / SHARD
            path.write_bytes(content)
            self.assert_finishes(out, str(path), "is ignored")

    def test_a_partial_shard_left_beside_its_shard(self) -> None:
        out = self.copy(self.whole)
        (out / "sweep/main/partial").mkdir()
        shutil.copy(self.partial / "sweep/main/partial" / SHARD, out / "sweep/main/partial")
        self.assert_finishes(out, "0 new shards")


if __name__ == "__main__":
    main()
