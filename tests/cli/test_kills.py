#!/usr/bin/python3
"""SIGKILL at random moments of training, sweeping and merging: what lies under a final name is whole at any moment, and
the next starts complete to the bits of an undisturbed run."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from pathlib import Path

from support import FULL, SLOW, Case, gradscape, main, start

KILLS = 100 if SLOW else 10
SETTINGS = FULL | {"model.arch": "mlp", "model.hidden": [64, 32], "train.steps": 40, "train.checkpoint_every": 4,
                   "sweep.multipliers": [0.25 * i for i in range(1, 9)]}


class Kills(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.config = cls.write_config(SETTINGS)
        cls.whole = cls.shared / "whole"
        gradscape("train", cls.config, "--out", cls.whole, "--quiet")
        gradscape("sweep", cls.whole, "--quiet")
        gradscape("merge", cls.whole, "--quiet")

    def commands(self, out: Path) -> tuple[tuple[object, ...], ...]:
        return (("train", self.config, "--out", out, "--resume"), ("sweep", out, "--task", "0/2"),
                ("sweep", out), ("merge", out))

    def seconds(self) -> list[float]:
        """How long each command takes undisturbed."""
        spent = []
        for command in self.commands(self.place / "timed"):
            begin = time.monotonic()
            gradscape(*command, "--quiet")
            spent.append(time.monotonic() - begin)
        return spent

    def test_killed_at_random_moments(self) -> None:
        chance = random.Random(20)
        lengths = self.seconds()
        kills = [0] * len(lengths)
        while sum(kills) < KILLS:
            out = self.place / f"after{sum(kills)}"
            for number, command in enumerate(self.commands(out)):
                while True:
                    process = start(*command)
                    try:  # up to twice: two kills to a command, before it may end
                        process.wait(chance.uniform(0, 1.1 * lengths[number]) if kills[number] <= sum(kills) / 2 else 60)
                    except subprocess.TimeoutExpired:
                        process.kill()
                    errors = process.communicate()[1].decode()
                    if out.exists():
                        self.assert_all_complete(out)
                    if process.returncode == 0:
                        break
                    self.assertEqual(process.returncode, -9, errors)
                    kills[number] += 1
            self.assert_same_files(self.whole, out)
            shutil.rmtree(out)
        print(f"killed: train {kills[0]}, sweep --task {kills[1]}, sweep {kills[2]}, merge {kills[3]} times")


if __name__ == "__main__":
    main()
