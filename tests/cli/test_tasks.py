#!/usr/bin/python3
"""A sweep in tasks: however many there are, in whatever order, with whatever threads and launchers, the merged grid has
the bits of one process."""

from __future__ import annotations

import random

import numpy as np

from support import FULL, RESNET, SEGMENTED, TWO_VARIANTS, Case, datasets, gradscape, h5_files, main, start

NAMES = ("bn", "none")


class Tasks(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.config = cls.write_config(SEGMENTED, tail=TWO_VARIANTS)
        cls.trained = cls.shared / "trained"
        gradscape("train", cls.config, "--out", cls.trained, "--quiet")
        cls.whole = cls.shared / "whole"
        gradscape("run", cls.config, "--out", cls.whole, "--quiet")  # probes inline

    def assert_whole(self, out) -> None:
        gradscape("merge", out, "--quiet")
        for name in NAMES:
            self.assert_same_files(self.whole / name, out / name)
        self.assert_no_remains(out)

    def test_one_process(self) -> None:
        for threads in (1, 2, 4):
            out = self.copy(self.trained, f"threads{threads}")
            gradscape("sweep", out, "--quiet", "--threads", threads)
            self.assert_whole(out)

    def test_any_number_of_tasks_in_any_order(self) -> None:
        chance = random.Random(6)
        for count in (1, 3, 7):
            for threads in (1, 2, 4):
                out = self.copy(self.trained, f"{count}-{threads}")
                order = list(range(count))
                chance.shuffle(order)
                made = []
                for index in order:
                    before = len(h5_files(out))
                    gradscape("sweep", out, "--task", f"{index}/{count}", "--quiet", "--threads", threads)
                    made.append(len(h5_files(out)) - before)
                shards = len(h5_files(self.whole / "bn/sweep/main")) + len(h5_files(self.whole / "none/sweep/main"))
                self.assertEqual(sum(made), shards)
                self.assertLessEqual(max(made) - min(made), 2, f"{made}: the shares are of a size")
                self.assert_whole(out)

    def test_shares_do_not_depend_on_what_is_done(self) -> None:
        out = self.copy(self.trained)
        gradscape("sweep", out, "--task", "1/3", "--quiet")
        taken = [name for name in h5_files(out) if "sweep/" in name]
        gradscape("sweep", out, "--task", "0/3", "--quiet")
        (out / taken[0]).unlink()
        gradscape("sweep", out, "--task", "1/3", says=("task 1/3: ", " of 16 segments", "1 new shard "))
        self.assertTrue((out / taken[0]).exists())
        gradscape("sweep", out, "--task", "1/3", says=("0 new shards",))

    def test_from_the_environment(self) -> None:
        out = self.copy(self.trained)
        slurm = {"SLURM_PROCID": "0", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_MAX": "7",
                 "SLURM_ARRAY_TASK_STEP": "3", "SLURM_ARRAY_TASK_COUNT": "3"}
        for index, identifier in enumerate((1, 4, 7)):
            gradscape("sweep", out, "--task", "auto", env=slurm | {"SLURM_ARRAY_TASK_ID": str(identifier)},
                      says=(f"task {index}/3: ",))
        self.assert_whole(out)
        gradscape("sweep", out, "--task", "auto", says=("task 1/2: ",),
                  env={"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "SLURM_PROCID": "0"})

    def test_partial(self) -> None:
        """A grid with holes: what is there is what the whole one has; figures and info say what is not."""
        out = self.copy(self.trained)
        gradscape("sweep", out, "--task", "0/2", "--quiet")
        gradscape("sweep", out, "--task", "1/4", "--quiet")
        (out / "bn/sweep/main/segment-00000003-00000006.h5").unlink()  # step 4
        gradscape("merge", out, expect=1, says=("2 files cannot be merged", "has no shards",
                                                "1 of 11 steps are missing: 4\n", "--partial"))
        gradscape("merge", out / "bn", "--partial", says=("1 of 11 steps are missing: 4; they are marked as not done",))
        whole, merged = datasets(self.whole / "bn/landscape.h5"), datasets(out / "bn/landscape.h5")
        self.assertEqual(merged["status"][2].tolist(), [0, 0, 0])
        self.assertTrue(np.isnan(merged["loss"][2]).all() and np.isnan(merged["loss_max"][2]))
        self.assertTrue((merged["batch_index"][2] == -1).all())
        for name, values in whole.items():
            if name not in ("alpha", "sample"):
                np.testing.assert_array_equal(np.delete(values, 2, 0), np.delete(merged[name], 2, 0), name)
        self.assertIn("3 not done", gradscape("info", out / "bn/landscape.h5").stdout)
        gradscape("sweep", out, "--quiet")
        self.assert_whole(out)

    def test_bad_shares_are_refused(self) -> None:
        out = self.copy(self.trained)
        before = h5_files(out)
        for text in ("3/3", "0/0", "-1/3", "1", "first", "", "1/2/3"):
            gradscape("sweep", out, f"--task={text}", expect=2, says=("--task",))
        gradscape("sweep", out, "--task", "auto", expect=2,
                  says=("OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_ARRAY_TASK_ID", "SLURM_PROCID"))
        self.assertEqual(before, h5_files(out))

    def test_tasks_at_once_on_the_same_segments(self) -> None:
        """Four processes take all segments of a run, and each ends well."""
        for attempt in range(5):
            out = self.copy(self.trained, f"attempt{attempt}")
            processes = [start("sweep", out, "--quiet") for _ in range(4)]
            for process in processes:
                _, errors = process.communicate(timeout=600)
                self.assertEqual(process.returncode, 0, errors.decode())
            self.assert_all_complete(out)
            self.assert_whole(out)

    def test_damaged_shards_of_other_tasks_are_theirs(self) -> None:
        """A task replaces the damaged shards of its own share only, and is not stopped by others."""
        out = self.copy(self.trained)
        gradscape("sweep", out, "--quiet")
        mine, other = (out / name / "sweep/main/segment-00000003-00000006.h5" for name in NAMES)
        for path in (mine, other):
            path.write_bytes(path.read_bytes()[:5000])
        damaged = other.read_bytes()
        gradscape("sweep", out, "--task", "0/2", says=(str(mine), "computed again", "1 new shard "))
        self.assertEqual(other.read_bytes(), damaged)
        gradscape("sweep", out, "--task", "1/2", says=(str(other), "computed again", "1 new shard "))
        self.assert_whole(out)

    def test_other_settings_are_refused_by_every_task(self) -> None:
        out = self.copy(self.trained)
        gradscape("sweep", out, "--task", "0/8", "--quiet")
        gradscape("sweep", out / "bn", "--task", "1/2", "--multipliers", "9", expect=2, says=("sweep.multipliers",))


class Training(Case):
    def test_tasks_train_each_run_once(self) -> None:
        config = self.write_config(SEGMENTED, tail=TWO_VARIANTS)
        out = self.place / "out"

        def states() -> list[str]:
            return gradscape("train", config, "--out", out, "--list").stdout.splitlines()

        self.assertEqual(states(), [f"open\t{out}/none", f"open\t{out}/bn"])
        self.assertFalse(out.exists())
        gradscape("train", config, "--out", out, "--task", "1/2", "--quiet")
        self.assertEqual(states(), [f"open\t{out}/none", f"trained\t{out}/bn"])
        slurm = {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_MAX": "1",
                 "SLURM_ARRAY_TASK_STEP": "1", "SLURM_ARRAY_TASK_COUNT": "2"}
        gradscape("train", config, "--out", out, "--task", "auto", "--quiet", env=slurm)
        self.assertEqual(states(), [f"trained\t{out}/none", f"trained\t{out}/bn"])
        gradscape("train", config, "--out", self.place / "whole", "--quiet")
        for name in NAMES:
            self.assert_same_files(self.place / "whole" / name, out / name)
        # A longer run is open again; of more tasks than runs some have nothing to do.
        longer = gradscape("train", config, "--out", out, "--list", "--train.steps", "30", "--task", "0/1").stdout
        self.assertEqual(longer.count("open"), 2)
        taken = [gradscape("train", config, "--out", out, "--resume", "--task", f"{i}/5").stdout for i in range(5)]
        self.assertEqual("".join(taken), f"{out}/none\n{out}/bn\n")
        self.assertEqual(taken.count(""), 3)


class Convolutions(Case):
    """The same with a noise floor that is measured, and augmentation; the residual network has values that branch."""

    def test_tasks(self) -> None:
        for name, more in (("vgg", {}), ("resnet", RESNET)):
            with self.subTest(name):
                config = self.write_config(FULL | {"train.checkpoint_every": 3} | more)
                whole, trained = self.place / f"{name}-whole", self.place / f"{name}-trained"
                gradscape("run", config, "--out", whole, "--quiet")
                gradscape("train", config, "--out", trained, "--quiet")
                for count, threads in ((3, 2), (7, 1)):
                    out = self.copy(trained, f"{name}-tasks{count}")
                    for index in reversed(range(count)):
                        gradscape("sweep", out, "--task", f"{index}/{count}", "--quiet", "--threads", threads)
                    gradscape("merge", out, "--quiet")
                    self.assert_same_files(whole, out)


if __name__ == "__main__":
    main()
