#!/usr/bin/python3
"""A run's life beyond one training: asked for less than it has, bereft of files, killed between two files, a study whose
last variant cannot run. Nothing is lost or mixed."""

from __future__ import annotations

import shutil

from support import PLAIN, Case, gradscape, h5_files, main

SHORT_BATCH = {"data.train_limit": 65, "train.batch_size": 16, "model.arch": "mlp", "model.norm": "batch"}


class Lifecycle(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.settings = PLAIN | {"train.steps": 8, "train.checkpoint_every": 4}
        cls.config = cls.write_config(cls.settings)
        cls.unspoiled = cls.shared / "run"
        gradscape("run", cls.config, "--out", cls.unspoiled, "--quiet")

    def setUp(self) -> None:
        super().setUp()
        self.spare = self.copy(self.unspoiled)

    def test_fewer_steps_than_are_done(self) -> None:
        before = h5_files(self.spare)
        for verb in ("run", "train"):
            gradscape(verb, self.config, "--out", self.spare, "--resume", "--train.steps", 5, expect=2,
                      says=("train.steps", "8", "5"))
        self.assertEqual(before, h5_files(self.spare))
        self.assert_same_files(self.unspoiled, self.spare)
        gradscape("merge", self.spare)

    def test_without_its_configuration(self) -> None:
        """Files that nothing names must not end up in another run, not even with --force."""
        (self.spare / "config.toml").unlink()
        for more in ((), ("--resume",), ("--force",)):
            gradscape("train", self.config, "--out", self.spare, "--train.lr", 0.3, *more, expect=1,
                      says=(str(self.spare), "config.toml"))
        self.assert_same_files(self.unspoiled, self.spare)

    def test_killed_between_a_segments_files(self) -> None:
        """Shard and trace of the last segment are there, its checkpoint is not; training goes on in other intervals."""
        (self.spare / "checkpoints/step-00000008.h5").unlink()
        (self.spare / "sweep/main/segment-00000008-00000009.h5").unlink()
        gradscape("run", self.config, "--out", self.spare, "--resume", "--train.checkpoint_every", 3, "--quiet")
        names = [name for name in h5_files(self.spare) if "segment" in name]
        self.assertEqual([name for name in names if "00000004-00000008" in name], [])
        self.assertIn("trace/segment-00000004-00000006.h5", names)
        self.assert_same_data(self.unspoiled / "landscape.h5", self.spare / "landscape.h5")

    def test_checkpoints_are_gone(self) -> None:
        """The run starts afresh, and old traces and shards go."""
        shutil.rmtree(self.spare / "checkpoints")
        gradscape("run", self.config, "--out", self.spare, "--train.steps", 4, "--quiet")
        self.assertEqual([name for name in h5_files(self.spare) if "00000004-00000008" in name], [])

    def test_a_batch_of_one_under_batch_norm(self) -> None:
        """Refused before the first step, not at the end of the first epoch."""
        config = self.write_config(self.settings | SHORT_BATCH, self.place / "short.toml")
        gradscape("train", config, "--out", self.place / "short", expect=2, says=("train.batch_size", "65", "16"))
        self.assertFalse((self.place / "short").exists())

    def test_a_multiplier_twice(self) -> None:
        gradscape("sweep", self.spare, "--name", "twice", "--multipliers", "1,0.5,1", expect=2, says=("more than once",))

    def test_the_last_variant_is_looked_at_first(self) -> None:
        """A study whose second variant cannot run trains none, and --force deletes none."""
        tail = '[[variant]]\nname = "a"\n[[variant]]\nname = "b"\nsweep.last = 99\n'
        config = self.write_config(self.settings, self.place / "study.toml", tail)
        out = self.place / "study"
        gradscape("run", config, "--out", out, expect=2, says=("99",))
        self.assertFalse(out.exists())
        gradscape("train", config, "--out", out, "--quiet")
        before = self.digest(out / "a")
        gradscape("run", config, "--out", out, "--force", expect=2, says=("99",))
        self.assertEqual(before, self.digest(out / "a"))


if __name__ == "__main__":
    main()
