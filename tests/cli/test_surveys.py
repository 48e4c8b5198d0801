#!/usr/bin/python3
"""What all surveys of a run's steps have in common: shares of tasks, interruptions, status, verify, merge, steps that grow,
and being made while training."""

from __future__ import annotations

import json
import shutil
import signal

import numpy as np

from support import Case, datasets, falsified, flip_a_bit, gradscape, main, stopped_at

KINDS = ("shift", "distributions", "theorem")
SETTINGS = {"experiment.name": "small", "data.source": "synthetic", "data.synthetic_train": 128, "data.synthetic_test": 16,
            "model.arch": "mlp", "model.hidden": [12, 8], "model.norm": "batch", "train.lr": 0.05, "train.batch_size": 32,
            "train.steps": 18, "train.checkpoint_every": 5, "train.seed": 7, "sweep.every": 1, "sweep.multipliers": [0.5, 2.0]}


class Surveys(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.trained = cls.make("train", SETTINGS, cls.shared / "trained")
        cls.whole = cls.copy_in(cls.shared, cls.trained, "whole")
        for kind in KINDS:
            gradscape(kind, cls.whole, "--quiet")

    def test_tasks(self) -> None:
        """Three tasks in any order on any number of threads, then a merge: the same bits as in one process."""
        run = self.copy(self.trained)
        for kind in KINDS:
            for task, threads in ((2, 1), (0, 2), (1, 3)):
                gradscape(kind, run, "--task", f"{task}/3", "--threads", threads, "--quiet")
            self.assertFalse((run / f"{kind}.h5").exists())
            self.assertEqual(gradscape("merge", run, "--kind", kind).stdout, f"{run}/{kind}.h5\n")
            self.assert_same_data(self.whole / f"{kind}.h5", run / f"{kind}.h5")
            for shard in sorted((self.whole / kind / "main").glob("*.h5")):
                self.assertEqual(shard.read_bytes(), (run / kind / "main" / shard.name).read_bytes())

    def test_a_killed_task(self) -> None:
        """`status` names it, and it goes on where it was."""
        run = self.copy(self.trained)
        task = ("shift", run, "--task", "0/2")
        stopped_at(signal.SIGKILL, "step", 7, *task, expect=-9)
        stopped_at(signal.SIGTERM, "step", 2, *task, expect=75)
        document = json.loads(gradscape("status", run, "--kind", "shift", "--tasks", "2", "--json", expect=1).stdout)
        self.assertEqual(document["missing_tasks"], [0, 1])
        gradscape(*task, "--quiet")
        self.assertEqual(gradscape("status", run, "--kind", "shift", "--tasks", "2", "--missing", expect=1).stdout, "1\n")
        gradscape("shift", run, "--task", "1/2", "--quiet")
        self.assertEqual(gradscape("status", run, "--kind", "shift", "--tasks", "2", "--missing").stdout, "")
        gradscape("merge", run, "--kind", "shift", "--quiet")
        self.assert_same_data(self.whole / "shift.h5", run / "shift.h5")

    def test_status_and_verify(self) -> None:
        gradscape("sweep", self.copy(self.whole, "probed"), "--quiet")
        whole = self.place / "probed"
        gradscape("status", whole)
        gradscape("verify", whole, "--cells", 20)
        shard = "shift/main/segment-00000005-00000010.h5"

        run = self.copy(whole, "missing")
        (run / shard).unlink()
        told = gradscape("status", run, expect=1, says=("`gradscape shift` computes",)).stdout
        self.assertRegex(told, r"shift +4 done, 1 missing of 5; merged")
        gradscape("merge", run, "--kind", "shift", expect=1, says=("shift \"main\" is not complete", "5-9"))
        gradscape("merge", run, "--kind", "shift", "--partial", "--quiet")
        self.assertTrue(np.isnan(datasets(run / "shift.h5")["shift_norm"][5:10]).all())
        gradscape("shift", run, "--quiet")
        gradscape("status", run)
        self.assert_same_data(whole / "shift.h5", run / "shift.h5")

        run = self.copy(whole, "damaged")
        flip_a_bit(run / shard, "shift_norm")
        self.assertRegex(gradscape("status", run, expect=1).stdout, rf"damaged +{run / shard}")
        gradscape("verify", run, "--cells", 0, expect=1, says=(f"{run / shard}: ", "shift_norm"))
        gradscape("shift", run, says=(str(run / shard), "computed again"))
        gradscape("verify", run, "--cells", 0)

        run = self.copy(whole, "other")
        other = self.make("train", SETTINGS | {"train.seed": 8}, self.place / "seed")
        gradscape("shift", other, "--quiet")
        shutil.copy(other / shard, run / shard)
        self.assertIn("train.seed", gradscape("status", run, expect=1).stdout)
        for command in (("shift", run), ("merge", run, "--kind", "shift"), ("verify", run)):
            gradscape(*command, expect=1, says=(str(run / shard), "train.seed is 7 here and 8 there"))

        run = self.copy(whole, "changed")
        with falsified(run / shard) as file:
            file["shift_norm"][1, 1] += 1
        gradscape("verify", run, "--cells", 1000, expect=1,
                  says=(f"{run / shard}: at step 6, shift_norm at layer layers.3 is ", "recomputed"))

    def test_other_programs_and_settings(self) -> None:
        run = self.copy(self.whole)
        shard = run / "distributions/main/segment-00000005-00000010.h5"
        with falsified(shard) as file:
            file.attrs.create("program_version", np.bytes_(b"9.9.9"))
        gradscape("merge", run, "--kind", "distributions", expect=1, says=(str(shard), "program_version", "9.9.9"))
        gradscape("distributions", run, says=(str(shard), "another program", "computed again"))
        gradscape("distributions", run, "--bins", 5, expect=2, says=("made with other settings", "bin is", "--name"))
        gradscape("distributions", run, "--name", "coarse", "--bins", 5, "--quiet")
        self.assertEqual(datasets(run / "distributions-coarse.h5")["weight_count"].shape[2], 5)
        shutil.copy(run / "distributions-coarse.h5", run / "theorem/main/segment-00000005-00000010.h5")
        gradscape("merge", run, "--kind", "theorem", expect=1, says=("theorem", "distributions"))
        gradscape("merge", run, "--kind", "nothing", expect=2, says=("--kind", "nothing", "sweep, shift"))
        for kind in (*KINDS, "sweep"):
            gradscape(kind, run, "--task", "3/2", expect=2, says=("--task", "0/2"))

    def test_steps_grow(self) -> None:
        """A sweep of some steps becomes one of more; what was found stays, and the whole is as if asked for at once."""
        both = self.copy(self.trained, "both")
        gradscape("sweep", both, "--steps", "0:4:1,6:18:4", "--quiet")
        gradscape("merge", both, "--quiet")
        steps = datasets(both / "landscape.h5")["step"].tolist()
        self.assertEqual(steps, [0, 1, 2, 3, 4, 6, 10, 14, 18])
        run = self.copy(self.trained, "grown")
        gradscape("sweep", run, "--steps", "6:18:4", "--quiet")
        kept = (run / "sweep/main/segment-00000010-00000015.h5").stat().st_mtime_ns
        gradscape("sweep", run, "--steps", "0:4", "--quiet")
        gradscape("status", run)
        gradscape("merge", run, "--quiet")
        self.assert_same_data(both / "landscape.h5", run / "landscape.h5")
        self.assertEqual((run / "sweep/main/segment-00000010-00000015.h5").stat().st_mtime_ns, kept)
        gradscape("sweep", run, "--steps", "7", "--quiet")  # inside of a segment that has a shard
        (run / "sweep/main/segment-00000005-00000010.h5").unlink()
        self.assertRegex(gradscape("status", run, expect=1).stdout, "missing")
        gradscape("sweep", run, "--steps", "0:18", "--quiet")
        gradscape("merge", run, "--quiet")
        whole = self.copy(self.trained, "all")
        gradscape("sweep", whole, "--quiet")
        gradscape("merge", whole, "--quiet")
        self.assert_same_data(whole / "landscape.h5", run / "landscape.h5")
        gradscape("sweep", run, "--steps", "0-200", expect=2, says=("first:last:every",))

    def test_while_training(self) -> None:
        """`run` with sweep.also: the same shards as afterwards, whole or interrupted."""
        settings = SETTINGS | {"sweep.also": "shift, theorem"}
        told = self.make("run", settings, self.place / "run")
        for kind in ("shift", "theorem"):
            self.assert_same_data(self.whole / f"{kind}.h5", told / f"{kind}.h5")
        gradscape("status", told)
        half = self.make("run", settings | {"train.steps": 8}, self.place / "half")
        gradscape("run", self.write_config(settings), "--out", half, "--resume", "--quiet")
        for name in ("landscape.h5", "shift.h5", "theorem.h5"):
            self.assert_same_data(told / name, half / name)
        for wrong, words in (("shift,nothing", ("sweep.also", "nothing", "shift, distributions, theorem")),
                             ("sweep", ("sweep.also", "sweep"))):
            gradscape("run", self.write_config(SETTINGS | {"sweep.also": wrong}), "--out", self.place / "no", expect=2, says=words)
        gradscape("run", self.write_config(SETTINGS | {"sweep.also": "theorem", "model.norm": "none"}), "--out",
                  self.place / "no", expect=2, says=("theorem", "batch norm"))
        self.assertFalse((self.place / "no").exists())


if __name__ == "__main__":
    main()
