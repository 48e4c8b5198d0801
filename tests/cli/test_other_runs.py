#!/usr/bin/python3
"""Directories and files that belong to another run, and requests that a run cannot serve: refused by naming the fields
or steps, and nothing is lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np

from support import PLAIN, Case, datasets, falsified, gradscape, h5_files, main, make_format_1, write_cifar

MIDDLE = "checkpoints/step-00000004.h5"
LAST = "checkpoints/step-00000008.h5"


class OtherRuns(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.settings = PLAIN | {"train.steps": 8}
        cls.config = cls.write_config(cls.settings)
        cls.unspoiled = cls.shared / "run"
        gradscape("run", cls.config, "--out", cls.unspoiled, "--quiet")
        cls.changes = {"train.seed": 8, "train.lr": 0.04, "model.norm": "batch", "model.width": 0.125,
                       "train.precision": "double", "train.optimizer": "adam", "data.standardise": "none",
                       "train.batch_size": 33, "train.engine": "direct", "train.weight_decay": 0.1, "data.augment_flip": True}

    def setUp(self) -> None:
        super().setUp()
        self.spare = self.copy(self.unspoiled)

    def other(self, field: str) -> Path:
        """A run that differs from the unspoiled one in this field."""
        path = self.shared / field
        if not path.exists():
            self.make("train", self.settings | {field: self.changes[field]}, path)
        return path

    def contents(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.spare)): path.read_bytes() for path in self.spare.rglob("*")
                if path.is_file()}

    def assert_refused(self, *arguments: object, says: tuple[str, ...], expect: int | tuple[int, ...] = (1, 2)) -> None:
        """And the run directory is what it was, to the byte; a sweep may have added shards that are right."""
        before = self.contents()
        gradscape(*arguments, expect=expect, says=says)
        after = self.contents()
        if arguments[0] == "sweep":
            after = {name: content for name, content in after.items() if name in before}
        self.assertEqual(before, after)

    # --- the output directory ---

    def test_same_run_needs_resume(self) -> None:
        for verb in ("train", "run"):
            self.assert_refused(verb, self.config, "--out", self.spare, says=(str(self.spare), "--resume", "--force"))
            gradscape(verb, self.config, "--out", self.spare, "--resume")
        self.assert_same_files(self.unspoiled, self.spare)

    def test_different_run_is_refused_naming_the_fields(self) -> None:
        for field, value in self.changes.items():
            shown = {str: f"\"{value}\"", bool: str(value).lower()}.get(type(value), str(value))
            for more in ((), ("--resume",)):
                self.assert_refused("train", self.config, "--out", self.spare, *more, f"--{field}={str(value)}".replace(
                    "True", "true"), says=("different run", f"{field} is {shown} here and ", "--force"))
        self.assert_refused("run", self.config, "--out", self.spare, "--train.lr=1", "--model.init=pytorch",
                            says=("train.lr is 1.0 here and 0.05 there", "model.init is \"pytorch\" here"))

    def test_different_data_is_refused(self) -> None:
        for more in (("--data.synthetic_seed", 2), ("--data.synthetic_train", 127), ("--data.train_limit", 127)):
            self.assert_refused("train", self.config, "--out", self.spare, "--resume", *more,
                                says=("different run", "training images"))
            self.spare, kept = self.copy(self.unspoiled, str(more[1]) + more[0][7:]), self.spare
            shutil.rmtree(kept)

    def test_data_changed_behind_the_runs_back(self) -> None:
        write_cifar(self.place / "data")
        settings = self.settings | {"data.source": "cifar10", "data.path": str(self.place / "data")}
        self.spare = self.make("train", settings, self.place / "real")
        write_cifar(self.place / "data", seed=9)
        self.assert_refused("sweep", self.spare, says=("training images",), expect=1)
        self.assert_refused("train", self.spare / "config.toml", "--out", self.spare, "--resume",
                            says=("training images",))

    def test_not_part_of_a_runs_identity(self) -> None:
        """Intervals, names and probes may change."""
        gradscape("train", self.config, "--out", self.spare, "--quiet", "--resume", "--train.steps", 10,
                  "--train.checkpoint_every", 3, "--train.test_every", 0, "--experiment.name", "renamed",
                  "--sweep.every", 2, "--data.test_limit", 7)
        self.assertTrue((self.spare / "checkpoints/step-00000010.h5").exists())

    def test_force_replaces_the_run_and_nothing_else(self) -> None:
        (self.spare / "notes.txt").write_text("mine")
        gradscape("run", self.config, "--out", self.spare, "--quiet", "--force", "--train.steps", 4)
        self.assertEqual((self.spare / "notes.txt").read_text(), "mine")
        self.assertEqual(len(datasets(self.spare / "landscape.h5")["step"]), 5)
        self.assertNotIn(LAST, h5_files(self.spare))

    def test_force_spares_a_directory_that_holds_no_run(self) -> None:
        """Somebody's folder of that name is not gradscape's to delete."""
        (self.place / "mine/trace").mkdir(parents=True)
        (self.place / "mine/trace/precious.txt").write_text("mine")
        gradscape("train", self.config, "--out", self.place / "mine", "--quiet", "--force", expect=(0, 1, 2))
        self.assertEqual((self.place / "mine/trace/precious.txt").read_text(), "mine")

    def test_mistake_with_force_loses_nothing(self) -> None:
        for more in (("--train.lr", "-1"), ("--data.source", "cifar10"),
                     ("--data.source", "idx", "--data.path", "/no")):
            self.assert_refused("run", self.config, "--out", self.spare, "--force", *more, says=(more[-1],)
                                if more[-1] == "/no" else ())

    def test_out_is_a_file(self) -> None:
        (self.place / "file").write_text("mine")
        gradscape("train", self.config, "--out", self.place / "file", expect=(1, 2), says=(str(self.place / "file"),))
        self.assertEqual((self.place / "file").read_text(), "mine")

    # --- checkpoints of others put in place ---

    def test_last_checkpoint_of_another_run(self) -> None:
        for field in ("train.seed", "model.norm", "model.width", "train.precision", "train.optimizer"):
            shutil.copy(self.other(field) / LAST, self.spare / LAST)
            self.assert_refused("train", self.config, "--out", self.spare, "--resume", "--train.steps", 9,
                                says=(field,))
            for steps in ("5", "8"):  # it ends a segment; the step after the last update starts from it
                self.assert_refused("sweep", self.spare, "--name", "again" + steps, "--steps", steps, expect=1,
                                    says=(LAST, field))

    def test_checkpoint_in_the_middle_of_another_run(self) -> None:
        """A sweep starts a segment from it, and ends one at it."""
        for field in ("train.seed", "model.norm", "model.width", "train.precision", "train.optimizer"):
            shutil.copy(self.other(field) / MIDDLE, self.spare / MIDDLE)
            for steps in ("2", "5:6"):
                self.assert_refused("sweep", self.spare, "--name", "again" + steps[0], "--steps", steps, expect=1,
                                    says=(MIDDLE, field))

    def test_checkpoint_of_another_step(self) -> None:
        shutil.copy(self.spare / MIDDLE, self.spare / LAST)
        self.assert_refused("sweep", self.spare, "--name", "again", "--steps", "8", says=(LAST, "step 4"), expect=1)

    def test_tensor_missing_or_of_another_shape(self) -> None:
        def spoil(change, *says: str) -> None:
            shutil.copy(self.unspoiled / LAST, self.spare / LAST)
            with falsified(self.spare / LAST) as file:
                change(file["parameters"])
            self.assert_refused("train", self.config, "--out", self.spare, "--resume", "--train.steps", 9, expect=1,
                                says=(LAST, *says))

        spoil(lambda group: group.__delitem__("features.3.weight"), "features.3.weight")
        spoil(lambda group: group.move("features.3.weight", "features.4.weight"), "features.3.weight")

        def reshape(group) -> None:
            del group["classifier.4.bias"]
            group["classifier.4.bias"] = [0.0] * 9

        spoil(reshape, "classifier.4.bias")

    def test_shard_and_trace_of_another_run(self) -> None:
        other = self.make("run", self.settings | {"train.seed": 8}, self.place / "other")
        shard = "sweep/main/segment-00000004-00000008.h5"
        shutil.copy(other / shard, self.spare / shard)
        self.assert_refused("merge", self.spare, says=(shard, "train.seed is 7 here and 8 there"), expect=1)
        self.assert_refused("sweep", self.spare, says=(shard, "train.seed is 7 here and 8 there"), expect=1)
        shutil.copy(self.unspoiled / shard, self.spare / shard)
        trace = "trace/segment-00000004-00000008.h5"
        shutil.copy(other / trace, self.spare / trace)
        self.assert_refused("sweep", self.spare, "--name", "again", "--steps", "4:8", expect=1, says=("step 4", "loss"))

    def test_another_kind_of_file_in_place(self) -> None:
        shutil.copy(self.spare / "landscape.h5", self.spare / LAST)
        self.assert_refused("train", self.config, "--out", self.spare, "--resume", "--train.steps", 9, expect=1,
                            says=(LAST, "grid", "checkpoint"))
        self.assert_refused("sweep", self.spare, "--name", "x", expect=1, says=(LAST, "grid", "checkpoint"))

    # --- sweeps ---

    def test_falsified_trace(self) -> None:
        """The replay names the step, both values and the likely cause."""
        path = self.spare / "trace/segment-00000004-00000008.h5"
        with falsified(path) as file:
            true = float(file["loss"][1])
            false = true + 2.0**-40
            file["loss"][1] = false
        self.assert_refused("sweep", self.spare, "--name", "again", "--steps", "4:8", expect=1,
                            says=("step 5", repr(true), repr(false), "another version"))

    def test_falsified_checkpoint(self) -> None:
        with falsified(self.spare / MIDDLE) as file:
            file["parameters/features.0.bias"][0] += 1e-3
        self.assert_refused("sweep", self.spare, "--name", "again", "--steps", "0:3", expect=1,
                            says=(MIDDLE, "another version"))

    def test_missing_trace(self) -> None:
        (self.spare / "trace/segment-00000004-00000008.h5").unlink()
        self.assert_refused("sweep", self.spare, "--name", "again", "--steps", "5", expect=1, says=("step 4", "trace"))

    def test_replay_with_another_engine(self) -> None:
        """Also where the configuration names one and the checkpoint another."""
        for verb in ("run", "train"):
            self.assert_refused(verb, self.config, "--out", self.spare, "--resume", "--train.engine", "direct",
                                says=("train.engine is \"direct\" here and \"winograd\" there",))
        path = self.spare / "config.toml"
        path.write_text(path.read_text().replace("engine = \"winograd\"", "engine = \"direct\""))
        for arguments in (("sweep", self.spare), ("sweep", self.spare, "--name", "again"), ("numerics", self.spare)):
            self.assert_refused(*arguments, expect=1,
                                says=("train.engine is \"direct\" here and \"winograd\" there",))

    def test_run_of_a_program_before_engines(self) -> None:
        """Its files name no engine and grids have no noise floor: it was direct, and can be probed and extended."""
        direct = self.settings | {"train.engine": "direct"}
        run = self.make("run", direct, self.place / "direct")
        longer = self.make("run", direct | {"train.steps": 10}, self.place / "longer")
        config = run / "config.toml"
        config.write_text(config.read_text().replace("engine = \"direct\"\n", ""))
        for name in h5_files(run):
            make_format_1(run / name)
            with h5py.File(run / name, "a") as file:
                old = file.attrs["config"].decode().replace("engine = \"direct\"\n", "")
                file.attrs.create("config", np.bytes_(old.encode()))
                if "noise_floor" in file:
                    del file["noise_floor"]
        self.assertIn("direct engine", gradscape("info", run).stdout)
        gradscape("merge", run, "--quiet")
        self.assertTrue(np.isnan(datasets(run / "landscape.h5")["noise_floor"]).all())
        gradscape("sweep", run, "--quiet", "--name", "again", "--steps", "0:7")
        gradscape("run", self.config, "--out", run, "--resume", expect=1, says=("there", "--force", "\"direct\""))
        gradscape("run", self.config, "--out", run, "--resume", "--quiet", "--train.engine", "direct",
                  "--train.steps", 10)
        self.assert_same_data(longer / "checkpoints/step-00000010.h5", run / "checkpoints/step-00000010.h5")

    def test_other_settings_under_the_same_name(self) -> None:
        for arguments, words in ((("--multipliers", "1,2"),
                                  "sweep.multipliers is [1.0, 2.0] here and [0.5, 2.0] there"),
                                 (("--direction", "update"), "sweep.direction is \"update\" here"),
                                 (("--probe-precision", "double"), "sweep.precision is \"double\" here")):
            self.assert_refused("sweep", self.spare, *arguments, says=("\"main\"", words, "--name"))
        self.assert_refused("run", self.config, "--out", self.spare, "--resume", "--sweep.multipliers", "3",
                            says=("sweep.multipliers is [3.0] here",))

    def test_complete_shards_are_skipped(self) -> None:
        shards = sorted((self.spare / "sweep/main").glob("*.h5"))
        shards[1].unlink()
        before = {path: path.stat().st_mtime_ns for path in shards if path.exists()}
        gradscape("sweep", self.spare, "--quiet")
        self.assertEqual(before, {path: path.stat().st_mtime_ns for path in before})
        self.assert_same_files(self.unspoiled, self.spare)

    def test_merge_with_holes(self) -> None:
        (self.spare / "sweep/main/segment-00000004-00000008.h5").unlink()
        self.assert_refused("merge", self.spare, says=("4 of 9 steps are missing: 4-7",), expect=1)
        (self.spare / "sweep/main/segment-00000008-00000009.h5").unlink()
        self.assert_refused("merge", self.spare, says=("5 of 9 steps are missing: 4-8",), expect=1)
        self.assert_refused("merge", self.spare, "--name", "none", says=("\"none\"",), expect=1)

    def test_shard_of_another_program(self) -> None:
        shard = "sweep/main/segment-00000004-00000008.h5"
        for field in ("program_version", "git_revision", "compiler", "compiler_flags", "libraries"):
            shutil.copy(self.unspoiled / shard, self.spare / shard)
            with falsified(self.spare / shard) as file:
                file.attrs.create(field, np.bytes_(b"another"))
            self.assert_refused("merge", self.spare, says=(shard, f"{field} is \"another\" there"), expect=1)

    def test_merge_and_sweep_of_a_run_that_is_not_done(self) -> None:
        """The probes of what is there are made; merge names what is missing."""
        (self.spare / LAST).unlink()
        (self.spare / "trace/segment-00000004-00000008.h5").unlink()
        shutil.rmtree(self.spare / "sweep")
        done = gradscape("sweep", self.spare)
        self.assertIn("stands at step 4 of 8", done.stderr)
        self.assert_refused("merge", self.spare, says=("4-8", "--resume"), expect=1)

    def test_nothing_there(self) -> None:
        (self.place / "empty").mkdir()
        for verb in ("sweep", "merge", "info"):
            gradscape(verb, self.place / "empty", expect=2, says=("empty", "holds no run"))
            gradscape(verb, self.place / "none", expect=2, says=("none", "does not exist"))
        shutil.rmtree(self.spare / "checkpoints")
        self.assert_refused("sweep", self.spare, says=("no checkpoint",), expect=1)
        self.assert_refused("merge", self.spare, says=("no checkpoint",), expect=1)
        gradscape("info", self.spare)


if __name__ == "__main__":
    main()
