#!/usr/bin/python3
"""Bits do not depend on threads, interruptions, or on whether probes ride on training or on a replay."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

from support import (FULL, PLAIN, RESNET, Case, attributes, datasets, falsified, gradscape, h5_files, main, stopped_at,
                     whole_trace, write_cifar)


class ThreadsAndKills:
    """Tests of one configuration; `unbroken` is its `run` with one thread."""

    settings: dict

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.config = cls.write_config(cls.settings)
        cls.unbroken = cls.shared / "unbroken"
        gradscape("run", cls.config, "--out", cls.unbroken, "--quiet")

    def train_and_sweep(self, out: Path, threads: int, **env: str) -> None:
        gradscape("train", self.config, "--out", out, "--quiet", "--threads", threads, env=env)
        gradscape("sweep", out, "--quiet", "--threads", threads, env=env)
        gradscape("merge", out, "--quiet", "--threads", threads, env=env)

    def test_replayed_probes_and_any_number_of_threads(self) -> None:
        for threads in (1, 2, 3):
            out = self.place / str(threads)
            self.train_and_sweep(out, threads)
            self.assert_same_files(self.unbroken, out)
            self.assertEqual(self.digest(self.unbroken), self.digest(out))
        for name in h5_files(self.unbroken):
            self.assertEqual(*({key: str(value) for key, value in attributes(run / name).items()}
                               for run in (self.unbroken, out)), name)

    def test_inline_probes_with_threads(self) -> None:
        gradscape("run", self.config, "--out", self.place / "two", "--quiet", "--threads", 2)
        self.assert_same_files(self.unbroken, self.place / "two")

    def test_killed_and_resumed(self) -> None:
        """SIGKILL while training, then while sweeping."""
        out = self.place / "killed"
        for command in (("train", self.config, "--out", out, "--resume"), ("sweep", out)):
            for moment, count in (("step", 6), ("written", 2), ("published", 1)):
                stopped_at(signal.SIGKILL, moment, count, *command, "--quiet", expect=-signal.SIGKILL)
                self.assert_all_complete(out)
            gradscape(*command, "--quiet")
        gradscape("merge", out, "--quiet")
        self.assert_same_files(self.unbroken, out)


class BitsOfAConfiguration(ThreadsAndKills):
    """More of them."""

    def test_openmp_schedules(self) -> None:
        for schedule in ("static", "dynamic,1"):
            out = self.place / schedule
            gradscape("run", self.config, "--out", out, "--quiet", "--threads", 3, env={"OMP_SCHEDULE": schedule})
            self.assert_same_files(self.unbroken, out)

    def test_probing_is_pure(self) -> None:
        out = self.place / "run"
        gradscape("train", self.config, "--out", out, "--quiet")
        self.assert_same_files(self.unbroken, out, ("checkpoints", "trace"))
        before = {name: (out / name).read_bytes() for name in h5_files(out)}
        gradscape("sweep", out, "--quiet")
        self.assertEqual(before, {name: (out / name).read_bytes() for name in before}, "sweep changed the run's files")

    def test_other_sweeps_of_the_run(self) -> None:
        """Another name, sparser steps, a double probe: the run itself and the first sweep stay as they are."""
        out = self.copy(self.unbroken)
        gradscape("sweep", out, "--quiet", "--name", "fine", "--steps", "1:9:4", "--multipliers", "0.5,2")
        gradscape("merge", out, "--quiet", "--name", "fine")
        fine, main_grid = datasets(out / "landscape-fine.h5"), datasets(out / "landscape.h5")
        self.assertEqual(fine["step"].tolist(), [1, 5, 9])
        for name in ("loss", "grad_diff", "beta", "train_loss"):
            self.assertEqual(fine[name].tobytes(), main_grid[name][[1, 5, 9]].tobytes(), name)
        gradscape("sweep", out, "--quiet", "--name", "double", "--steps", "4:5", "--probe-precision", "double")
        gradscape("merge", out, "--quiet", "--name", "double")
        self.assert_same_files(self.unbroken, out, ("checkpoints", "trace", "sweep/main"))

    def test_ctrl_c(self) -> None:
        """The interrupted step's own checkpoint and segment come on top: compared is everything else."""
        for verb in ("run", "train"):
            out = self.place / verb
            stopped_at(signal.SIGINT, "step", 6, verb, self.config, "--out", out, expect=130,
                       says=("--resume", f"6 of {self.settings['train.steps']} steps are done and saved"))
            self.assert_all_complete(out)
            gradscape(verb, self.config, "--out", out, expect=2, says=("--resume",))
            gradscape(verb, self.config, "--out", out, "--resume", "--quiet")
            if verb == "train":
                gradscape("sweep", out, "--quiet")
                gradscape("merge", out, "--quiet")
            self.assert_same_data(self.unbroken / "landscape.h5", out / "landscape.h5")
            self.assertEqual(whole_trace(self.unbroken), whole_trace(out))
            for name in h5_files(self.unbroken / "checkpoints"):
                self.assert_same_data(self.unbroken / "checkpoints" / name, out / "checkpoints" / name)

    def test_end_of_the_run_is_probed(self) -> None:
        """Step T too, on the batch that training would take next: steps/every + 1 records."""
        total = self.settings["train.steps"]
        data = datasets(self.unbroken / "landscape.h5")
        self.assertEqual(data["step"].tolist(), list(range(total + 1)))
        gradscape("sweep", self.copy(self.unbroken), "--quiet", "--name", "five", "--steps", "::5")
        gradscape("merge", self.place / "copy", "--quiet", "--name", "five")
        self.assertEqual(datasets(self.place / "copy/landscape-five.h5")["step"].tolist(), list(range(0, total + 1, 5)))


class PlainBits(BitsOfAConfiguration, Case):
    settings = PLAIN

    def test_extended_run_equals_a_longer_one(self) -> None:
        out = self.place / "extended"
        gradscape("run", self.config, "--out", out, "--quiet", "--train.steps", 6)
        self.assertEqual(len(datasets(out / "landscape.h5")["step"]), 7)
        gradscape("run", self.config, "--out", out, "--quiet", "--resume", "--train.steps", 10)
        self.assert_same_data(self.unbroken / "landscape.h5", out / "landscape.h5")
        self.assert_same_data(self.unbroken / "checkpoints/step-00000010.h5", out / "checkpoints/step-00000010.h5")
        self.assertEqual(whole_trace(self.unbroken), whole_trace(out))

    def test_run_resumes_a_train(self) -> None:
        """Steps taken without probes are probed by `run` afterwards."""
        out = self.place / "mixed"
        gradscape("train", self.config, "--out", out, "--quiet", "--train.steps", 4)
        gradscape("run", self.config, "--out", out, "--quiet", "--resume")
        self.assert_same_data(self.unbroken / "landscape.h5", out / "landscape.h5")

    def test_work_that_begins_inside_of_a_segment(self) -> None:
        """Step 6 has a checkpoint, and the noise floor it needs is that of step 4: inline and replayed."""
        out = self.place / "inside"
        gradscape("train", self.config, "--out", out, "--quiet", "--train.steps", 6)
        gradscape("train", self.config, "--out", self.place / "later", "--quiet", "--train.steps", 6)
        gradscape("run", self.config, "--out", out, "--quiet", "--resume")
        self.assert_same_data(self.unbroken / "landscape.h5", out / "landscape.h5")
        gradscape("train", self.config, "--out", self.place / "later", "--quiet", "--resume")
        shutil.rmtree(out / "sweep")
        for run in (out, self.place / "later"):
            gradscape("sweep", run, "--quiet")
            (run / "sweep/main/segment-00000006-00000008.h5").unlink()
            (run / "sweep/main/segment-00000010-00000011.h5").unlink()
            gradscape("sweep", run, "--quiet")
            gradscape("merge", run, "--quiet")
            self.assert_same_data(self.unbroken / "landscape.h5", run / "landscape.h5")

    def test_engines_are_different_runs_with_bits_of_their_own(self) -> None:
        for engine in ("direct", "winograd"):
            runs = [self.place / f"{engine}{threads}" for threads in (1, 3)]
            for run, threads in zip(runs, (1, 3)):
                gradscape("run", self.config, "--out", run, "--quiet", "--train.engine", engine, "--threads", threads)
                for name in h5_files(run):
                    self.assertIn(f"engine = \"{engine}\"\n", attributes(run / name)["config"])
            self.assert_same_files(*runs)
            if engine == "winograd":
                self.assert_same_files(self.unbroken, runs[0])

    def test_moved_run_and_moved_data(self) -> None:
        write_cifar(self.place / "data")
        settings = PLAIN | {"data.source": "cifar10", "data.path": str(self.place / "data")}
        whole = self.make("run", settings, self.place / "whole")
        trained = self.make("train", settings, self.place / "trained")
        trained = trained.rename(self.place / "moved-run")
        gradscape("sweep", trained, "--quiet", "--steps", "0:3", "--name", "near")
        (self.place / "data").rename(self.place / "moved-data")
        gradscape("sweep", trained, expect=1, says=("data", "does not exist"))
        gradscape("sweep", trained, "--quiet", "--data.path", self.place / "moved-data")
        gradscape("merge", trained, "--quiet")
        self.assert_same_data(whole / "landscape.h5", trained / "landscape.h5")

    def test_another_seed_gives_other_bits(self) -> None:
        gradscape("train", self.config, "--out", self.place / "other", "--quiet", "--train.seed", 8)
        self.assertNotEqual(whole_trace(self.unbroken)["loss"], whole_trace(self.place / "other")["loss"])

    def test_digest_sees_every_value_but_seconds(self) -> None:
        out = self.copy(self.unbroken)
        for name in ("landscape.h5", "checkpoints/step-00000004.h5", "trace/segment-00000004-00000008.h5"):
            for dataset in datasets(out / name):
                self.assert_digest_changes(out / name, dataset, True)
        self.assert_digest_changes(out / "trace/segment-00000004-00000008.h5", "seconds", False)

    def assert_digest_changes(self, path: Path, dataset: str, changes: bool) -> None:
        before = self.digest(path)
        with falsified(path) as file:
            kept = file[dataset][()]
            if kept.shape == ():
                file[dataset][()] = kept + 1
            else:
                index = tuple(extent - 1 for extent in kept.shape)
                file[dataset][index] = kept[index] + 1
        self.assertEqual(self.digest(path) != before, changes, dataset)
        with falsified(path) as file:
            file[dataset][()] = kept
        self.assertEqual(self.digest(path), before)


class FullBits(BitsOfAConfiguration, Case):
    settings = FULL

    def test_cosine_schedule_cannot_be_extended(self) -> None:
        """Its rates depend on the number of steps: another length is another run."""
        gradscape("run", self.config, "--out", self.copy(self.unbroken), "--resume", "--train.steps", 20, expect=(1, 2),
                  says=("train.steps is 20 here and 10 there",))
        self.assert_same_files(self.unbroken, self.place / "copy")


class MomentumBits(BitsOfAConfiguration, Case):
    """Nesterov momentum, a step schedule and double precision on an mlp."""

    settings = PLAIN | {"data.synthetic_train": 112, "model.arch": "mlp", "model.hidden": [20, 12],
                        "model.norm": "batch", "model.loss": "mse", "train.momentum": 0.9, "train.nesterov": True,
                        "train.schedule": "step", "train.schedule_step": 3, "train.schedule_gamma": 0.5,
                        "train.precision": "double"}


class ResNetBits(ThreadsAndKills, Case):
    """Values branch and meet."""

    settings = PLAIN | RESNET


if __name__ == "__main__":
    main()
