#!/usr/bin/python3
"""Two processes in one directory at once, some killed on the way: the bits at the end are those of an unbroken run, and no
directory needs a hand. By default a few pairs of each kind; with GRADSCAPE_SLOW=1, 46 in all."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from pathlib import Path

from support import PLAIN, SLOW, Case, gradscape, h5_files, main, start, stopped_at, wait_for, whole_trace

# Small steps and many checkpoints: most of the time is spent where two processes can meet.
SETTINGS = PLAIN | {"model.arch": "mlp", "model.hidden": [16], "model.norm": "batch", "train.steps": 120,
                    "train.checkpoint_every": 4, "train.test_every": 0, "sweep.every": 3}
PAIRS = {"train + train": 8, "resume + resume": 10, "sweep + sweep": 10, "merge + sweep": 6, "run + sweep": 6,
         "resume + verify": 6} if SLOW else \
        {"train + train": 2, "resume + resume": 3, "sweep + sweep": 2, "merge + sweep": 1, "run + sweep": 1, "resume + verify": 1}


class TwoProcesses(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.config = cls.write_config(SETTINGS)
        cls.unbroken = cls.make("run", SETTINGS, cls.shared / "unbroken")
        cls.random = random.Random(11)
        cls.told: dict[int, int] = {}

    def finish(self, processes: list[subprocess.Popen], allowed: tuple[int, ...]) -> None:
        for process in processes:
            out, errors = process.communicate(timeout=300)
            code = process.returncode
            self.told[code] = self.told.get(code, 0) + 1
            self.assertIn(code, allowed, errors.decode(errors="replace"))
            if code == 1:
                self.assertRegex(errors.decode(), r"is being trained by process \d+ on |"
                                                  r"is not complete|no checkpoint|holds no run|does not exist|no shards")

    def kill_at_random(self, process: subprocess.Popen, longest: float) -> None:
        time.sleep(self.random.uniform(0, longest))
        if self.random.random() < 0.5:
            process.kill()

    def assert_unbroken(self, out: Path) -> None:
        """After one plain call more."""
        gradscape("run", self.config, "--out", out, "--resume", "--quiet")
        gradscape("status", out)
        gradscape("verify", out, "--cells", 1)
        self.assertEqual(h5_files(out / "sweep"), h5_files(self.unbroken / "sweep"))
        self.assert_same_data(out / "landscape.h5", self.unbroken / "landscape.h5")
        self.assertEqual(whole_trace(out), whole_trace(self.unbroken))
        last = "checkpoints/step-00000120.h5"
        self.assert_same_data(out / last, self.unbroken / last)
        self.assert_no_remains(out)

    def pair(self, kind: str, number: int) -> None:
        out = self.place / f"{kind.replace(' ', '')}-{number}"
        resume = ("run", self.config, "--out", out, "--resume", "--threads", 1)
        train = ("train", self.config, "--out", out, "--resume", "--threads", 1)
        if kind == "train + train":
            processes = [start(*train), start(*train)]
            self.kill_at_random(processes[0], 0.2)
            self.finish(processes, (0, 1, -9))
        elif kind in ("resume + resume", "resume + verify", "run + sweep"):
            first = start(*resume)
            wait_for(out / f"checkpoints/step-{4 * self.random.randint(1, 20):08}.h5", first)
            other = {"resume + resume": resume, "resume + verify": ("verify", out, "--cells", 2),
                     "run + sweep": ("sweep", out, "--threads", 1)}[kind]
            processes = [first, start(*other)]
            self.kill_at_random(processes[self.random.randint(0, 1)], 0.1)
            self.finish(processes, (0, 1, -9))
        else:
            gradscape(*train)
            if kind == "sweep + sweep":  # the same segments, not shares of them
                processes = [start("sweep", out, "--threads", 1), start("sweep", out, "--threads", 1)]
            else:
                processes = [start("sweep", out, "--threads", 1)]
                wait_for(out / "sweep/main/segment-00000004-00000008.h5", processes[0])
                processes.append(start("merge", out, "--partial"))
            self.kill_at_random(processes[0], 0.2)
            self.finish(processes, (0, -9))
        self.assert_unbroken(out)

    def test_pairs(self) -> None:
        for kind, count in PAIRS.items():
            for number in range(count):
                with self.subTest(kind=kind, number=number):
                    self.pair(kind, number)
        print(f"{sum(PAIRS.values())} pairs, by exit codes: {self.told}")

    def test_the_second_is_refused_and_told_by_whom(self) -> None:
        out = self.place / "held"
        command = ("train", self.config, "--out", out)
        first = stopped_at(signal.SIGSTOP, "step", 50, *command)
        for more in (("--resume",), ("--force",)):
            gradscape(*command, *more, expect=1, says=("is being trained", f"process {first.pid} ", "--resume"))
        first.kill()
        first.communicate()
        began = time.monotonic()
        gradscape(*command, "--resume", "--quiet")
        self.assertLess(time.monotonic() - began, 10, "a dead holder is taken over at once")  # not after 30 s of silence
        self.assert_unbroken(out)

    def test_a_hole_in_the_trace_heals(self) -> None:
        run = self.copy(self.unbroken)
        (run / "trace/segment-00000008-00000012.h5").unlink()
        damaged = run / "trace/segment-00000040-00000044.h5"
        damaged.write_bytes(damaged.read_bytes()[:3000])
        for verb in ("status", "verify"):
            done = gradscape(verb, run, expect=1)
            for name in ("segment-00000008-00000012", "segment-00000040-00000044"):
                self.assertIn(name, done.stdout + done.stderr)
        gradscape("sweep", run, "--name", "again", "--steps", "9", expect=1, says=("--resume",))
        done = gradscape("train", self.config, "--out", run, "--resume")
        self.assertIn("steps 8 to 11 are trained again", done.stderr)
        self.assert_unbroken(run)

    def test_a_damaged_last_checkpoint_heals(self) -> None:
        run = self.copy(self.unbroken)
        last = run / "checkpoints/step-00000120.h5"
        last.write_bytes(last.read_bytes()[:3000])
        gradscape("status", run, expect=1, says=("train --resume",))
        self.assert_unbroken(run)


if __name__ == "__main__":
    main()
