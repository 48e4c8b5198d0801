#!/usr/bin/python3
"""Values that nobody meant: those that a script's unset variable leaves out, numbers of threads that no machine has,
names that cannot be folders, texts that are too long to be repeated. Refused with code 2 before anything is written."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import h5py

from support import BINARY, PLAIN, Case, environment, gradscape, main, toml_text

EVERY = ("--threads", "--isa")
STUDY = ("--variant", "--out", "--scale", "--experiment.name", "--train.lr", "--model.hidden", "--sweep.last",
         "--data.path")
ANALYSIS = ("--steps", "--layers", "--data.path")
# Of each verb, the options that take a value, and the flags that do not.
OPTIONS = {"run": (STUDY, ("--resume", "--force")),
           "train": ((*STUDY, "--task"), ("--resume", "--force", "--list")),
           "sweep": (("--name", "--steps", "--task", "--multipliers", "--direction", "--per-layer", "--noise",
                      "--probe-precision", "--data.path"), ()),
           "merge": (("--name",), ("--partial", "--json")),
           "watch": (("--name", "--every"), ("--once",)), "new": (("--out",), ()),
           "status": (("--out", "--name", "--tasks"), ("--missing", "--json")),
           "verify": (("--cells", "--data.path"), ("--json",)),
           "info": ((), ("--digest", "--json", "--debug")),
           "numerics": (("--step", "--variant", "--train.seed", "--data.path"), ("--json",)),
           "bench": (("--variant", "--repetitions", "--train.lr"), ("--per-layer", "--json")),
           "plan": ((*STUDY, "--tasks", "--rate-from"), ("--json",)),
           "shift": (ANALYSIS, ()), "distributions": ((*ANALYSIS, "--bins"), ()), "theorem": (ANALYSIS, ())}
BAD_NAMES = ("", ".", "..", "../../evil", "/etc", "a/b", ".hidden", "-x", " a", "a ", "a*", "what?", "[a]", "{a}",
             'say "hi"', "it's", "a\\b", "a`b`", "$HOME", "a>b", "a<b", "a|b", "tab\t", "line\nbreak", "\x7f",
             "x" * 101, "ü" * 51, "checkpoints", "trace", "sweep", "partial", "gradscape-run", "runs.h5",
             "landscape.h5", "any.h5", "config.toml", "other.toml", "seed-1", "lr-0.01", "lr-1e-7")
GOOD_NAMES = ("a b", "Größe", "bn-lr-0.5", "seed", "seed-one", "lr-", "x" * 100, "v1.2", "a,b", "h5")


class Arguments(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.config = cls.write_config(PLAIN | {"train.steps": 1}, tail='[[variant]]\nname = "a"\n')
        cls.run_ = cls.make("run", PLAIN | {"train.steps": 1}, cls.shared / "run")

    def refuse(self, *command: object, says: tuple[str, ...]) -> None:
        gradscape(*command, expect=2, says=says, cwd=self.place)

    def files(self) -> list[Path]:
        return sorted(path for folder in (self.place, self.run_) for path in folder.rglob("*"))

    def test_values_that_a_script_left_out(self) -> None:
        """`--out $UNSET --resume`, `--out=$UNSET`, `--out "$UNSET"`."""
        before = self.files()
        for verb, (valued, flags) in OPTIONS.items():
            place = self.config if verb in ("run", "train", "numerics", "bench", "plan") else self.run_
            for name in (*EVERY, *valued):
                for flag in ("--quiet", "-h", "--frob=1"):
                    self.refuse(verb, place, name, flag, says=(name, "its value is missing", flag))
                self.refuse(verb, place, name, says=(name, "its value is missing"))
                self.refuse(verb, place, f"{name}=--quiet", says=(name, "its value is missing"))
                if name == "--data.path":  # empty is its default
                    continue
                self.refuse(verb, place, f"{name}=", says=(name, "its value is empty"))
                self.refuse(verb, place, name, "", says=(name, "its value is empty"))
                self.refuse(verb, f"{name}=", place, says=(name, "its value is empty"))  # nor does it take the place
            for flag in ("--quiet", *flags):
                self.refuse(verb, place, f"{flag}=", says=(flag, "takes no value"))
            self.refuse(verb, "", says=("its value is empty",))
        self.assertEqual(self.files(), before)

    def test_values_that_are_meant(self) -> None:
        gradscape("train", self.config, "--out", self.place / "out", "--data.path=", "--sweep.last", -1, "--quiet")
        gradscape("train", "--out", "./--resume", "--quiet", "--", self.config, cwd=self.place)
        self.assertTrue((self.place / "--resume/a/config.toml").exists())

    def test_too_many_threads(self) -> None:
        most = max(1024, 4 * len(os.sched_getaffinity(0)))
        for number in (most + 1, 100000, 2**31 - 1):
            self.refuse("info", self.run_, "--threads", number, says=("--threads", f"{number} threads are too many"))
            for variable in ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK"):
                clean = {name: value for name, value in environment().items() if name != "OMP_NUM_THREADS"}
                done = subprocess.run([BINARY, "info", self.run_], env=clean | {variable: str(number)},
                                      stderr=subprocess.PIPE, text=True)
                self.assertEqual(done.returncode, 2)
                self.assertIn(f"gradscape: {variable}: {number} threads are too many\n", done.stderr)
                self.assertIn(f"hint: at most {most} here", done.stderr)
        self.refuse("info", self.run_, "--threads", 10**20, says=("--threads",))

    def test_threads_as_openmp_writes_them(self) -> None:
        """Spaces in front and lists, of which the first number counts; seen in the trace."""
        for number, (text, expected) in enumerate(((" 1", 1), ("\t3 ", 3), ("2,1", 2), (" 3 , 2", 3))):
            run = self.place / str(number)
            gradscape("train", self.write_config(PLAIN | {"train.steps": 1}), "--out", run, "--quiet",
                      env={"OMP_NUM_THREADS": text, "SLURM_CPUS_PER_TASK": "4"})
            with h5py.File(next((run / "trace").glob("*.h5"))) as file:
                self.assertEqual(file["seconds"].attrs["threads"], expected, text)

    def test_names_that_become_folders(self) -> None:
        """One rule for experiment, variant, scale and sweep."""
        before = self.files()
        path = self.shared / "names.toml"
        for name in BAD_NAMES:
            with self.subTest(name=name):
                path.write_text(toml_text(PLAIN | {"experiment.name": name}))
                for more in ((), ("--out", self.place / "out")):
                    self.refuse("train", path, *more, says=("experiment.name = ", "cannot be a folder's name"))
                path.write_text(toml_text(PLAIN) + f"[[variant]]\nname = {json.dumps(name)}\n")
                self.refuse("run", path, says=("names.toml:", "variant.name = " if name else "has no name"))
                path.write_text(toml_text(PLAIN) + f"[scale.{json.dumps(name)}.train]\nsteps = 1\n")
                self.refuse("train", path, f"--scale={name}", says=("--scale",))
                self.refuse("plan", path, f"--experiment.name={name}", says=("--experiment.name",))
                for verb in ("sweep", "merge", "status"):
                    self.refuse(verb, self.run_, f"--name={name}", says=("--name",))
        self.assertEqual(self.files(), before)
        for name in GOOD_NAMES:
            path.write_text(toml_text(PLAIN | {"experiment.name": name, "train.steps": 1}))
            gradscape("train", path, "--quiet", cwd=self.place)
            self.assertTrue((self.place / "runs" / name / "config.toml").exists())
        run = self.copy(self.run_)
        for name in ("main", *GOOD_NAMES[:3]):
            gradscape("sweep", run, "--name", name, "--quiet")
            gradscape("merge", run, "--name", name, "--quiet")

    def test_a_stored_run_of_another_name_is_still_read(self) -> None:
        """Programs before this rule took any."""
        run = self.copy(self.run_)
        path = run / "config.toml"
        path.write_text(path.read_text().replace('name = "small"', 'name = "../a \\"b\\" *"'))
        self.assertIn('experiment "../a "b" *"', gradscape("info", run).stdout)
        for verb in ("status", "sweep", "merge", "verify", "numerics", "shift"):
            gradscape(verb, run, "--quiet")
        self.refuse("train", path, "--out", run, "--resume", says=("experiment.name",))
        gradscape("train", path, "--out", run, "--resume", "--experiment.name", "small", "--quiet")

    def test_long_values_are_repeated_in_part(self) -> None:
        long = "x" * 100000
        numbers = ", ".join(["-1.5"] * 20000)  # an argument has at most 128 KiB
        bad = self.shared / "long.toml"
        for text in (f'model.arch = "{long}"', f'data.path = {{a = "{long}"}}', f"model.{long} = 1", f"{long} = 1",
                     f"[{long}]", f'model.{long} = "{long}"', f'train = "{long}"', f"sweep.multipliers = [{numbers}]",
                     f"train.lr = [{numbers}]", f"{long}.b = 2\n{long} = 3", f"[scale]\n{long} = 3",
                     f'experiment.name = "{long}"', f'[[variant]]\nname = "{long}"'):
            bad.write_text(text + "\n")
            self.assertLess(len(gradscape("train", bad, expect=2).stderr), 1000, text[:50])
        for command in ((long,), (long, self.config), ("train", long), ("info", long), ("status", long),
                        ("train", self.config, long), ("bench", "--variant", long),
                        ("train", self.config, "--out", long),
                        *(("train", self.config, name, value) for name, value in
                          (("--train.lr", long), ("--model.arch", long), ("--variant", long), ("--scale", long),
                           ("--threads", long), ("--isa", long), ("--task", long), ("--out", f"--{long}"),
                           (f"--{long}", "1"), ("--sweep.multipliers", numbers), ("--experiment.name", long))),
                        *(("sweep", self.run_, name, value) for name, value in
                          (("--name", long), ("--steps", long), ("--task", long),
                           ("--multipliers", "2," * 40000 + "x"))),
                        ("shift", self.run_, "--layers", long), ("status", self.run_, "--name", long),
                        ("merge", self.run_, "--name", long)):
            done = gradscape(*command, expect=(1, 2), cwd=self.place, timeout=20)
            self.assertLess(len(done.stderr), 1000, [str(word)[:50] for word in command])
            self.assertNotIn("filesystem error", done.stderr)
        # Also where two runs differ.
        run = self.copy(self.run_)
        gradscape("sweep", run, "--multipliers", ",".join(str(i / 1000) for i in range(1, 3000)), "--steps", "1:0",
                  expect=2, says=("--steps",))
        done = gradscape("sweep", run, "--multipliers", ",".join(str(i / 1000) for i in range(1, 3000)), expect=2)
        self.assertIn("sweep.multipliers is [0.001, ", done.stderr)
        self.assertLess(len(done.stderr), 1000)

    def test_a_place_that_is_no_utf8(self) -> None:
        """JSON holds nothing else, and says as much of it as it can."""
        place = os.fsencode(self.place) + b"/caf\xe9"
        gradscape("run", self.write_config(PLAIN | {"train.steps": 1}), "--out", os.fsdecode(place), "--quiet")
        report = json.loads(gradscape("status", os.fsdecode(place), "--json").stdout)
        self.assertTrue(report["complete"])
        self.assertTrue(report["runs"][0]["directory"].endswith("/caf\ufffd"))
        plan = json.loads(gradscape("plan", self.config, "--json", "--out", os.fsdecode(place)).stdout)
        self.assertIn("caf\ufffd", json.dumps(plan, ensure_ascii=False))
        for command in (("numerics", "--json"), ("info",), ("info", "--json"), ("verify", "--json"), ("merge", "--json"), ("status",)):
            gradscape(command[0], os.fsdecode(place), *command[1:])


if __name__ == "__main__":
    main()
