#!/usr/bin/python3
"""One call of the system fails, once: each pwrite, write, fsync, close, rename, ftruncate and allocation of small jobs in
turn. The job says so and names the file, or comes to the same bits; nothing wrong ever has a final name; the same command
then completes. GRADSCAPE_SLOW=1 tries every call but allocations, of which it tries some thousand."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
import sys
import unittest
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from support import BINARY, SLOW, Case, environment, gradscape, main

FAULTS = Path(os.environ.get("GRADSCAPE_FAULTS") or Path(BINARY).resolve().parent / "tests/libgradscape_faults.so")
CALLS = ("pwrite", "write", "fsync", "close", "rename", "ftruncate", "malloc")
SAMPLE = 2  # of each call of each job, in quick tests
ALLOCATIONS = 600  # of each job, in slow ones

SETTINGS = {"experiment.name": "small", "data.source": "synthetic", "data.synthetic_train": 64, "data.synthetic_test": 16,
            "model.arch": "mlp", "model.hidden": [8], "model.norm": "batch", "train.lr": 0.1, "train.momentum": 0.9,
            "train.batch_size": 16, "train.steps": 8, "train.checkpoint_every": 4, "sweep.every": 2,
            "sweep.multipliers": [0.5, 1.0, 2.0]}


class Job(NamedTuple):
    before: Path  # what it begins with; not there: nothing
    after: Path  # what it makes of that
    command: tuple[object, ...]  # "RUN" stands for the run directory


class Broken(NamedTuple):
    code: int
    stderr: str
    calls: int


class Faults(Case):
    @classmethod
    def setUpClass(cls) -> None:
        if not FAULTS.exists():
            raise unittest.SkipTest(f"{FAULTS} is not there: a build for a sanitizer has no system whose calls fail")
        super().setUpClass()
        config = cls.write_config(SETTINGS)
        trained, half = cls.shared / "trained", cls.shared / "half"
        gradscape("train", config, "--out", trained, "--quiet")
        gradscape("train", config, "--out", half, "--quiet", "--train.steps", 4)
        swept = cls.shared / "swept"
        shutil.copytree(trained, swept)
        gradscape("sweep", swept, "--quiet")
        cls.jobs: dict[str, Job] = {}
        for name, before, command in (
                ("run", cls.shared / "nothing", ("run", config, "--out", "RUN", "--resume")),
                ("train", half, ("train", config, "--out", "RUN", "--resume")),
                ("sweep", trained, ("sweep", "RUN")),
                ("merge", swept, ("merge", "RUN")),
                ("shift", trained, ("shift", "RUN"))):
            after = cls.shared / f"after-{name}"
            cls.lay_out(before, after)
            gradscape(*(after if word == "RUN" else word for word in command), "--quiet")
            cls.jobs[name] = Job(before, after, command)

    @staticmethod
    def lay_out(before: Path, place: Path) -> None:
        shutil.rmtree(place, ignore_errors=True)
        if before.exists():
            shutil.copytree(before, place)

    def run_broken(self, job: Job, run: Path, call: str, at: int) -> Broken:
        """The job in `run`, of whose calls the `at`-th fails."""
        count = self.place / "count"
        faults = {"LD_PRELOAD": str(FAULTS), "FAULT_CALL": call, "FAULT_AT": str(at), "FAULT_BELOW": str(run),
                  "FAULT_COUNT": str(count), "FAULT_ERRNO": str(errno.ENOSPC if at % 2 else errno.EIO)}
        command = [BINARY, *(str(run if word == "RUN" else word) for word in job.command), "--quiet"]
        done = subprocess.run(command, env=environment(**faults), capture_output=True, timeout=120)
        return Broken(done.returncode, done.stderr.decode(errors="replace"), int(count.read_text()) if at == 0 else 0)

    def differences(self, run: Path, whole: Path) -> list[str]:
        """Files in `run` that have a final name and are not as in `whole`."""
        found = []
        for path in sorted(run.rglob("*")):
            name = path.relative_to(run)
            if path.is_dir() or path.name[0] == ".":
                continue
            same = (whole / name).exists() and path.read_bytes() == (whole / name).read_bytes()
            if not same and (whole / name).exists() and name.parts[0] == "trace":  # wall times differ
                try:
                    self.assert_same_data(whole / name, path)
                    continue
                except (AssertionError, OSError):
                    pass
            if not same:
                found.append(f"{name} is not as it should be")
        return found

    def assert_same_run(self, run: Path, whole: Path) -> None:
        self.assertEqual(self.differences(run, whole) + self.differences(whole, run), [])

    def judge(self, job: Job, run: Path, call: str, done: Broken) -> str:
        """Fails where the job's end is not allowed; else says what it was."""
        crashed = done.code < 0
        if crashed:
            self.assertEqual(call, "malloc")
            self.assertIn("crashed inside of the HDF5 library", done.stderr)
        if done.code == 0:
            self.assert_same_run(run, job.after)
            return "the same bits"
        # Files from before the job may be there still, as the configuration that `train --resume` replaces.
        if job.before.exists():
            wrong = [text for text in self.differences(run, job.after) if text in self.differences(run, job.before)]
        else:
            wrong = self.differences(run, job.after)
        self.assertEqual(wrong, [])
        if crashed:
            return "a crash of HDF5"
        if call == "malloc":
            self.assertIn(done.code, (1, 2))
            self.assertIn("gradscape: ", done.stderr)
            return "a message"
        self.assertEqual(done.code, 1)
        self.assertIn(f"gradscape: {run}", done.stderr)
        remains = [path.name for path in run.rglob(".*") if path.name != ".lock"]
        self.assertEqual(remains, [], "temporary files are left")
        return "a message"

    def test_each_call(self) -> None:
        problems, ends = [], Counter[str]()
        for name, job in self.jobs.items():
            for call in CALLS:
                run = self.place / f"{name}-{call}"
                self.lay_out(job.before, run)
                calls = self.run_broken(job, run, call, 0).calls
                chance = random.Random(f"{name} {call}")
                wanted = (ALLOCATIONS if call == "malloc" else calls) if SLOW else SAMPLE
                for at in sorted(chance.sample(range(1, calls + 1), min(wanted, calls))):
                    self.lay_out(job.before, run)
                    done = self.run_broken(job, run, call, at)
                    try:
                        ends[f"{call}: {self.judge(job, run, call, done)}"] += 1
                        gradscape(*(run if word == "RUN" else word for word in job.command), "--quiet")
                        self.assert_same_run(run, job.after)
                    except AssertionError as error:
                        problems.append(f"{name}, {call} {at} of {calls}, code {done.code}: {done.stderr}{error}")
                shutil.rmtree(run, ignore_errors=True)
        print(f"{ends.total()} failed calls: " + ", ".join(f"{end} {count}" for end, count in sorted(ends.items())),
              file=sys.stderr)
        self.assertEqual(problems, [], f"{len(problems)} of {ends.total() + len(problems)}\n" + "\n\n".join(problems))


if __name__ == "__main__":
    main()
