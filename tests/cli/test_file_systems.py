#!/usr/bin/python3
"""File systems as they are: without locks, without fsync of directories, with files that another program holds open."""

from __future__ import annotations

import errno
import os
import unittest
from pathlib import Path

import h5py

from support import BINARY, PLAIN, Case, gradscape, main

SHIM = Path(os.environ.get("GRADSCAPE_FILE_SYSTEM") or Path(BINARY).resolve().parent / "tests/libgradscape_file_system.so")
SETTINGS = PLAIN | {"model.arch": "mlp", "model.hidden": [8], "train.steps": 8}
ENOTSUPP = 524  # the kernel's own, which NFS lets through


class FileSystems(Case):
    @classmethod
    def setUpClass(cls) -> None:
        if not SHIM.exists():
            raise unittest.SkipTest(f"{SHIM} is not there: a build for a sanitizer has none")
        super().setUpClass()
        cls.config = cls.write_config(SETTINGS)
        cls.usual = cls.make("run", SETTINGS, cls.shared / "usual")
        gradscape("shift", cls.usual, "--quiet")

    def assert_all_verbs_work(self, out: Path, **refused: str) -> None:
        env = {"LD_PRELOAD": str(SHIM), **refused}
        gradscape("run", self.config, "--out", out, "--quiet", env=env)
        for verb in ("sweep", "merge", "shift", "status", "verify", "info"):
            gradscape(verb, out, env=env)
        gradscape("run", self.config, "--out", out, "--resume", "--train.steps", 9, "--quiet", env=env)
        gradscape("train", self.config, "--out", out, "--force", "--quiet", env=env)

    def test_no_locks(self) -> None:
        for error in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EAGAIN, ENOTSUPP):
            with self.subTest(error=error):
                self.assert_all_verbs_work(self.place / f"run-{error}", REFUSE_FLOCK=str(error))

    def test_no_fsync_of_directories(self) -> None:
        for error in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EIO, errno.EBADF, errno.EPERM, errno.EINVAL):
            with self.subTest(error=error):
                self.assert_all_verbs_work(self.place / f"run-{error}", REFUSE_DIRECTORY_FSYNC=str(error))

    def test_a_file_that_another_program_holds_open(self) -> None:
        """It is not called damaged, and nobody is told to delete it."""
        run = self.copy(self.usual)
        for name in ("checkpoints/step-00000008.h5", "sweep/main/segment-00000000-00000004.h5", "landscape.h5"):
            with h5py.File(run / name, "r+"):
                for verb in ("status", "verify", "sweep", "merge"):
                    done = gradscape(verb, run, expect=(0, 1))
                    for words in ("deleted", "computed again", "damaged"):
                        self.assertNotIn(words, done.stderr, f"{verb} while {name} is open")
        gradscape("verify", run)

    def test_no_permission(self) -> None:
        if os.getuid() == 0:
            self.skipTest("root may read everything")
        run = self.copy(self.usual)
        path = run / "sweep/main/segment-00000000-00000004.h5"
        path.chmod(0)
        for verb in ("status", "sweep", "merge"):
            self.assertNotIn("computed again", gradscape(verb, run, expect=1, says=("ermission",)).stderr)


if __name__ == "__main__":
    main()
