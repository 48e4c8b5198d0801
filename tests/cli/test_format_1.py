#!/usr/bin/python3
"""A run that a program before hashes wrote (format 1): it is read, verified, probed, merged and continued."""

from __future__ import annotations

import tarfile
from pathlib import Path

from support import Case, attributes, datasets, gradscape, h5_files, main

ARCHIVE = Path(__file__).resolve().parents[1] / "format-1.tar.xz"
DIGEST = "363ef9f43e22231c"  # as that program printed it
CONFIG = """
[experiment]
name = "format-1"
[data]
source = "synthetic"
synthetic_train = 32
synthetic_test = 8
[model]
arch = "mlp"
hidden = [1]
norm = "batch"
[train]
lr = 0.1
momentum = 0.9
batch_size = 8
steps = 4
checkpoint_every = 2
test_every = 2
seed = 5
[sweep]
multipliers = [0.5, 2.0]
"""


class Format1(Case):
    def setUp(self) -> None:
        super().setUp()
        with tarfile.open(ARCHIVE) as archive:
            archive.extractall(self.place)
        self.run_directory = self.place / "run"
        self.config = self.place / "config.toml"
        self.config.write_text(CONFIG)

    def test_is_what_it_is_said_to_be(self) -> None:
        names = h5_files(self.run_directory)
        self.assertEqual(len(names), 11)
        for name in names:
            found = attributes(self.run_directory / name)
            self.assertEqual(found["format_version"], 1)
            self.assertNotIn("content_hash", found)

    def test_is_read(self) -> None:
        self.assertEqual(self.digest(self.run_directory), DIGEST)
        for name in h5_files(self.run_directory):
            told = gradscape("info", self.run_directory / name).stdout
            self.assertIn("gradscape 0.1.0 (0f3acbca8774)", told)
        self.assertIn("4 of 4", gradscape("info", self.run_directory).stdout)
        self.assertIn("complete", gradscape("status", self.run_directory).stdout)

    def test_is_verified(self) -> None:
        done = gradscape("verify", self.run_directory, "--cells", 1000)
        self.assertIn("11 files read, 10 of 10 cells recomputed: all right", done.stdout)

    def test_is_probed_and_merged(self) -> None:
        old = datasets(self.run_directory / "landscape.h5")
        gradscape("sweep", self.run_directory, "--name", "again", "--quiet")
        for name, path in (("again", "landscape-again.h5"), ("main", "landscape.h5")):
            gradscape("merge", self.run_directory, "--name", name)
            found = datasets(self.run_directory / path)
            self.assertEqual({key: value.tobytes() for key, value in found.items() if key in old},
                             {key: value.tobytes() for key, value in old.items()}, name)
            self.assertEqual(set(found) - set(old), {"grad_norm_min", "grad_norm_max"} if name == "again" else set())
            self.assertEqual(attributes(self.run_directory / path)["format_version"], 2)
        self.assertIn("all right", gradscape("verify", self.run_directory).stdout)

    def test_is_analysed(self) -> None:
        """What another program found is found again."""
        for verb, more in (("shift", ()), ("distributions", ("--steps", "0:4:2", "--bins", 8))):
            old = self.digest(self.run_directory / f"{verb}.h5")
            gradscape(verb, self.run_directory, *more)
            self.assertEqual(self.digest(self.run_directory / f"{verb}.h5"), old)

    def test_is_continued(self) -> None:
        fresh = self.place / "fresh"
        gradscape("train", self.config, "--out", fresh, "--train.steps", 6, "--quiet")
        gradscape("train", self.config, "--out", self.run_directory, "--resume", "--train.steps", 6, "--quiet")
        self.assert_same_files(fresh, self.run_directory, ("checkpoints", "trace"))
        self.assertEqual(attributes(self.run_directory / "checkpoints/step-00000006.h5")["format_version"], 2)


if __name__ == "__main__":
    main()
