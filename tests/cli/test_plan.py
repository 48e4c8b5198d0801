#!/usr/bin/python3
"""`gradscape plan`: its tasks are those that the sweep then has, its totals are sums. No test looks at how fast it is."""

from __future__ import annotations

import json
import re

from support import PLAIN, Case, falsified, gradscape, main

VARIANTS = '[[variant]]\nname = "none"\n[[variant]]\nname = "bn"\nmodel.norm = "batch"\n'


class Plan(Case):
    def plan(self, *more: object) -> dict:
        config = self.write_config(PLAIN, tail=VARIANTS)
        return json.loads(gradscape("plan", config, "--out", self.place / "out", "--json", "--quiet", *more).stdout)

    def test_tasks_and_dependencies(self) -> None:
        tasks = self.plan("--tasks", 3)["tasks"]
        out = self.place / "out"
        trains = [f"train {out}/none", f"train {out}/bn"]
        # Folders are taken by name: "bn" comes before "none".
        self.assertEqual([task["name"] for task in tasks],
                         trains + ["sweep 0/3", "sweep 1/3", "sweep 2/3", f"merge {out}/bn", f"merge {out}/none"])
        self.assertEqual([task["after"] for task in tasks[:5]], [[], [], trains, trains, trains])
        # Checkpoints at 0, 4, 8, 10: three segments, and the step after the last update; 11 probed steps of each run.
        self.assertEqual([(task["segments"], task["steps"]) for task in tasks[:2]], [(3, 10), (3, 10)])
        self.assertEqual([(task["segments"], task["probed_steps"]) for task in tasks[5:]], [(4, 11), (4, 11)])
        self.assertEqual(sum(task["segments"] for task in tasks[2:5]), 8)
        self.assertEqual(sum(task["probed_steps"] for task in tasks[2:5]), 22)
        self.assertFalse(out.exists(), "a plan starts nothing")

    def test_totals_are_sums(self) -> None:
        plan = self.plan("--tasks", 2)
        for key, unite in (("cpu_hours", sum), ("disk_bytes", sum), ("memory_bytes", max)):
            self.assertAlmostEqual(plan["total"][key], unite(task[key] for task in plan["tasks"]), places=9)
            self.assertTrue(all(task[key] > 0 for task in plan["tasks"]), key)

    def test_times_are_in_units_that_suit(self) -> None:
        done = gradscape("plan", self.write_config(PLAIN), "--out", self.place / "out", "--tasks", 1, "--quiet")
        heading, *rows = done.stdout.splitlines()
        self.assertRegex(heading, "segments +steps +probed +CPU time +memory MB")
        self.assertEqual(len(rows), 4, "train, sweep, merge, total")
        for row in rows:
            self.assertRegex(row, r" \d+(\.\d+)? (ms|s|min|h) +\d+\.\d +\d+\.\d")

    def test_the_sweep_takes_the_planned_segments(self) -> None:
        config = self.write_config(PLAIN, tail=VARIANTS)
        out = self.place / "out"
        planned = [task for task in self.plan("--tasks", 3)["tasks"] if task["kind"] == "sweep"]
        gradscape("train", config, "--out", out, "--quiet")
        for i, task in enumerate(planned):
            told = gradscape("sweep", out, "--task", f"{i}/3").stderr
            self.assertEqual(re.findall(r"task \d/3: (\d+) of 8 segments", told), [str(task["segments"])])

    def test_analyses_have_tasks_and_merges(self) -> None:
        """As many segments, disk and steps as those of sweep.also then take."""
        config = self.write_config(PLAIN | {"model.norm": "batch", "sweep.also": "theorem,shift", "sweep.steps": "1,6"})
        out = self.place / "out"
        tasks = json.loads(gradscape("plan", config, "--out", out, "--tasks", 2, "--json", "--quiet").stdout)["tasks"]
        self.assertEqual([task["name"] for task in tasks],
                         [f"train {out}", "sweep 0/2", "sweep 1/2", "shift 0/2", "shift 1/2", "theorem 0/2",
                          "theorem 1/2", f"merge {out}", f"merge {out} --kind shift", f"merge {out} --kind theorem"])
        gradscape("train", config, "--out", out, "--quiet")
        for kind in ("shift", "theorem"):
            planned = [task for task in tasks if task["kind"] == kind]
            for i, task in enumerate(planned):
                self.assertEqual(task["after"], [f"train {out}"])
                told = gradscape(kind, out, "--task", f"{i}/2").stderr
                self.assertEqual(re.findall(r"task \d/2: (\d+) of 2 segments", told), [str(task["segments"])])
            written = sum(path.stat().st_size for path in (out / kind).rglob("*.h5"))
            disk = sum(task["disk_bytes"] for task in planned)
            self.assertLess(abs(disk - written), 0.1 * written, kind)

    def test_disk_is_what_is_then_written(self) -> None:
        config = self.write_config(PLAIN)
        out = self.place / "out"
        plan = json.loads(gradscape("plan", config, "--out", out, "--json", "--quiet").stdout)
        gradscape("run", config, "--out", out, "--quiet")
        written = sum(path.stat().st_size for path in out.rglob("*.h5"))
        self.assertLess(abs(plan["total"]["disk_bytes"] - written), 0.1 * written)

    def test_rate_from_a_run(self) -> None:
        """Steps that took 100 seconds there cost that here, whatever this machine is; the files cost what they cost."""
        run = self.make("train", PLAIN, self.place / "run")
        for path in (run / "trace").glob("segment-*.h5"):
            with falsified(path) as file:
                file["seconds"][...] = 100.0
        for threads in (1, 2):
            for path in (run / "trace").glob("segment-*.h5"):
                with falsified(path) as file:
                    file["seconds"].attrs.modify("threads", threads)
            for task in self.plan("--rate-from", run, "--tasks", 1, "--variant", "none")["tasks"][:2]:
                # Ten steps, and a test, of a fraction of a step; a sweep has four probes of a step each.
                self.assertGreater(3600 * task["cpu_hours"], 1000 * threads, task["name"])
                self.assertLess(3600 * task["cpu_hours"], (1000 if task["kind"] == "train" else 8000) * 1.3 * threads)
        other = PLAIN | {"model.width": 0.125}
        gradscape("plan", self.write_config(other), "--rate-from", run, expect=1,
                  says=(str(run), "model.width is 0.125 here and 0.0625 there", "--rate-from bench"))
        gradscape("plan", self.write_config(PLAIN), "--rate-from", self.place / "nothing", expect=2,
                  says=("does not exist",))

    def test_checkpoints_placed_by_the_program(self) -> None:
        """"auto" becomes a number before anything is written; tasks, disk and bits follow from that number."""
        auto = PLAIN | {"train.checkpoint_every": "auto", "train.checkpoint_segments": 3}
        config, out = self.write_config(auto), self.place / "out"
        plan = json.loads(gradscape("plan", config, "--out", out, "--tasks", 2, "--json", "--quiet").stdout)
        self.assertEqual(plan["tasks"][0]["segments"], 3)
        gradscape("run", config, "--out", out, "--quiet")
        self.assertEqual([path.name for path in sorted((out / "checkpoints").iterdir())],
                         [f"step-{step:08}.h5" for step in (0, 4, 8, 10)])
        self.assertIn("checkpoint_every = 4\n", (out / "config.toml").read_text())
        by_hand = self.make("run", PLAIN | {"train.checkpoint_every": 4}, self.place / "by-hand")
        self.assert_same_files(by_hand, out)
        # A stopped run goes on with the same spacing, and a longer one may have another.
        (out / "checkpoints/step-00000010.h5").unlink()
        gradscape("run", config, "--out", out, "--resume", "--quiet")
        self.assert_same_files(by_hand, out)
        size = (out / "checkpoints/step-00000000.h5").stat().st_size
        for room, steps in ((4.5, (0, 4, 8, 10)), (3.5, (0, 5, 10)), (2.5, (0, 10))):
            tight = self.place / f"tight{room}"
            gradscape("train", config, "--out", tight, "--train.checkpoint_gb", room * size / 1e9, "--quiet")
            self.assertEqual(len(list((tight / "checkpoints").iterdir())), len(steps))
        gradscape("train", config, "--out", self.place / "none", "--train.checkpoint_gb", size / 1e9, expect=2,
                  says=("train.checkpoint_gb", "first and the last checkpoint"))
        gradscape("train", config, "--out", self.place / "none", "--train.checkpoint_every", "automatic", expect=2,
                  says=("--train.checkpoint_every", "auto | whole number"))
        self.assertFalse((self.place / "none").exists())

    def test_runs_with_several_learning_rates(self) -> None:
        """They are trained, then their traces are merged; nothing is swept."""
        settings = PLAIN | {"experiment.learning_rates": [0.1, 0.02], "sweep.kind": "runs"}
        out = self.place / "out"
        tasks = json.loads(gradscape("plan", self.write_config(settings), "--out", out, "--json", "--quiet").stdout)["tasks"]
        trains = [f"train {out}/lr-0.1", f"train {out}/lr-0.02"]
        self.assertEqual([task["name"] for task in tasks], [*trains, f"merge {out}"])
        self.assertEqual(sorted(tasks[-1]["after"]), sorted(trains))

    def test_bad_input(self) -> None:
        config = self.write_config(PLAIN)
        for tasks in (0, -3):
            gradscape("plan", config, "--tasks", tasks, expect=2, says=("--tasks", "1 or more"))
        gradscape("plan", self.place / "none.toml", expect=2, says=("none.toml", "no such file"))
        gradscape("plan", config, "--sweep.first", 11, expect=2, says=("sweep.first", "steps 0 to 10"))


if __name__ == "__main__":
    main()
