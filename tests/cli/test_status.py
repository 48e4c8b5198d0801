#!/usr/bin/python3
"""`status`: what is trained, probed, missing or damaged, for people, scripts and array jobs."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path

from support import BINARY, SEGMENTED, TWO_VARIANTS, Case, environment, flip_a_bit, gradscape, h5_files, main, stopped_at

SHARDS = 8


def indices(text: str) -> list[int]:
    """0,3-5 as sbatch --array reads it."""
    return [index for part in text.strip().split(",") if part
            for index in range(int(part.split("-")[0]), int(part.split("-")[-1]) + 1)]


class Status(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.config = cls.write_config(SEGMENTED, tail=TWO_VARIANTS)
        cls.trained = cls.shared / "trained"
        gradscape("train", cls.config, "--out", cls.trained, "--quiet")

    def status(self, place: Path, *more: object, expect: int) -> dict:
        document = json.loads(gradscape("status", place, "--json", *more, expect=expect).stdout)
        self.assertEqual(document["complete"], expect == 0)
        return document

    def runs(self, place: Path, *more: object, expect: int) -> dict[str, dict]:
        return {run["variant"]: run for run in self.status(place, *more, expect=expect)["runs"]}

    def test_from_nothing_to_complete(self) -> None:
        out = self.place / "out"
        for run in self.runs(self.config, "--out", out, expect=1).values():
            self.assertEqual((run["trained_steps"], run["total_steps"], run["last_write"]), (0, 20, None))
            self.assertEqual(run["segments"]["untrained"], SHARDS)
        self.assertEqual(gradscape("status", self.config, "--out", out, "--missing", "--tasks", 3, expect=1).stdout,
                         "0-2\n")
        gradscape("train", self.config, "--out", out, "--variant", "bn", "--quiet")
        runs = self.runs(self.config, "--out", out, expect=1)
        self.assertEqual((runs["bn"]["trained_steps"], runs["bn"]["segments"]["missing"]), (20, SHARDS))
        self.assertEqual((runs["none"]["trained_steps"], runs["none"]["segments"]["untrained"]), (0, SHARDS))
        gradscape("train", self.config, "--out", out, "--resume", "--quiet")
        gradscape("sweep", out, "--quiet")
        for run in self.runs(out, expect=0).values():
            self.assertEqual((run["segments"]["done"], run["probed_steps"], run["merged"]), (SHARDS, 11, False))
            self.assertEqual(run["planned_probed_steps"], 11, "0, 2 … 20")
            self.assertRegex(run["last_write"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}$")
        gradscape("merge", out, "--quiet")
        self.assertTrue(all(run["merged"] for run in self.runs(out, expect=0).values()))
        text = gradscape("status", out).stdout
        self.assertEqual(len(re.findall(r"(?m): complete$", text)), 2)
        self.assertIn("segments  8 done of 8; merged", text)
        self.assertEqual(gradscape("status", out, "--missing", "--tasks", 5).stdout, "")
        self.assertTrue(text.endswith("\ncomplete: all 2 runs\n"), "the verdict comes last")

    def test_the_verdict_comes_last(self) -> None:
        """Also where both streams go into one pipe."""
        done = subprocess.run([BINARY, "status", self.trained], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, env=environment())
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"(?s)^.*  last file .*, \d+ s ago\ngradscape: .*: 2 of 2 runs are not complete\n"
                                      r"  hint: .*\n$")

    def test_missing_are_the_tasks_to_repeat(self) -> None:
        """Of any number of tasks, those that --missing names, and no others, make the sweep complete."""
        for count in (1, 3, 7, 40):
            out = self.copy(self.trained, f"missing{count}")
            gradscape("sweep", out, "--quiet")
            shards = [out / name for name in h5_files(out) if "sweep/" in name]
            for shard in (shards[1], shards[2], shards[-3]):
                shard.unlink()
            named = indices(gradscape("status", out, "--missing", "--tasks", count, expect=1).stdout)
            self.assertEqual(named, self.status(out, "--tasks", count, expect=1)["missing_tasks"])
            self.assertLessEqual(len(named), min(3, count))
            for task in range(count):
                before = len(h5_files(out))
                if task not in named:
                    gradscape("sweep", out, "--quiet", "--task", f"{task}/{count}")
                    self.assertEqual(len(h5_files(out)), before, f"task {task} of {count} had nothing to do")
            for task in named:
                gradscape("sweep", out, "--quiet", "--task", f"{task}/{count}")
            self.status(out, expect=0)

    def test_damaged_and_foreign_shards(self) -> None:
        out = self.copy(self.trained)
        gradscape("sweep", out, "--quiet")
        shard = out / "bn/sweep/main/segment-00000003-00000006.h5"
        flip_a_bit(shard)
        other = out / "bn/sweep/main/segment-00000006-00000009.h5"
        other.write_bytes((out / "none/sweep/main/segment-00000006-00000009.h5").read_bytes())
        run = self.runs(out, expect=1)["bn"]
        self.assertEqual((run["segments"]["done"], run["segments"]["damaged"]), (SHARDS - 2, 2))
        self.assertIn(shard.name, run["damaged"][0])
        self.assertIn("model.norm is ", run["damaged"][1])
        text = gradscape("status", out, expect=1, says=("1 of 2 runs are not complete", "`gradscape sweep`")).stdout
        self.assertIn("  damaged   ", text)
        self.assertIn("6 done, 2 damaged of 8", text)

    def test_a_stopped_sweep(self) -> None:
        run = self.copy(self.trained / "bn")
        def segments() -> list[int]:
            report = self.status(run, expect=1)["runs"][0]
            return [report["segments"][state] for state in ("done", "partial", "missing")] + [report["probed_steps"]]

        stopped_at(signal.SIGINT, "step", 7, "sweep", run, expect=130)
        self.assertEqual(segments(), [2, 1, SHARDS - 3, 4], "0, 2; 4; 6 of 6 and 8")
        stopped_at(signal.SIGINT, "step", 3, "sweep", run, expect=130)
        self.assertEqual(segments(), [3, 0, SHARDS - 3, 5])
        stopped_at(signal.SIGINT, "step", 2, "sweep", run, "--steps", "0:20:1", expect=130)
        self.assertEqual(segments(), [1, 2, SHARDS - 3, 6], "more steps are wanted, of which 1 is done")
        report = self.status(run, expect=1)["runs"][0]
        self.assertEqual(report["planned_probed_steps"], 21)

    def test_beside_killed_writers(self) -> None:
        """While writers are stopped and killed, it counts what is there, and names the tasks that are left."""
        run = self.copy(self.trained / "bn")
        done = 0
        for task in range(3):
            for moment in ("written", "published"):
                writer = stopped_at(signal.SIGSTOP, moment, 1, "sweep", run, "--task", f"{task}/3")
                done += moment == "published"
                for stop in (writer.kill, writer.communicate):
                    self.assertEqual(self.runs_of(run)["segments"]["done"], done, "what lies under a final name is whole")
                    stop()
                segments = self.runs_of(run)["segments"]
                self.assertEqual((segments["done"], segments["missing"]), (done, SHARDS - done))
        self.assertEqual(gradscape("status", run, "--missing", "--tasks", 3, expect=1).stdout, "0-2\n")
        for task in indices(gradscape("status", run, "--missing", "--tasks", 3, expect=1).stdout):
            gradscape("sweep", run, "--task", f"{task}/3", "--quiet")
        self.status(run, expect=0)

    def runs_of(self, run: Path) -> dict:
        return json.loads(gradscape("status", run, "--json", expect=(0, 1)).stdout)["runs"][0]

    def test_another_sweep(self) -> None:
        out = self.copy(self.trained)
        gradscape("sweep", out, "--name", "dense", "--steps", "0:8:1", "--task", "0/2", "--quiet")
        report = self.runs(out, "--name", "dense", expect=1)["bn"]
        self.assertEqual(report["planned_probed_steps"], 9, "the shards say what the sweep is")
        gradscape("sweep", out, "--name", "dense", "--steps", "0:8:1", "--quiet")
        self.status(out, "--name", "dense", expect=0)
        self.status(out, expect=1)

    def test_bad_input(self) -> None:
        gradscape("status", self.trained, "--missing", expect=2, says=("--missing", "--tasks"))
        gradscape("status", self.trained, "--missing", "--tasks", 0, expect=2, says=("--tasks", "1 or more"))
        gradscape("status", self.trained, "--missing", "--json", "--tasks", 2, expect=2, says=("--json",))
        gradscape("status", self.trained, "--out", "x", expect=2, says=("--out", "directory"))
        gradscape("status", self.place / "nothing", expect=2, says=("does not exist",))
        gradscape("status", self.place, expect=2, says=("holds no run",))


if __name__ == "__main__":
    main()
