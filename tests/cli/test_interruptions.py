#!/usr/bin/python3
"""One table: each verb, stopped by each signal at each moment: after a training step, with a file written but not yet
published, and with it published. What lies under a final name is whole, the exit code says what to do, and the same
command again ends with the bits of an unbroken run. A sample of the rows; all of them with GRADSCAPE_SLOW=1."""

from __future__ import annotations

import random
import signal
from pathlib import Path
from typing import NamedTuple

from support import FULL, PREEMPTIONS, SLOW, Case, gradscape, h5_files, main, stopped_at, whole_trace

SETTINGS = FULL | {"model.arch": "mlp", "model.hidden": [12, 8], "model.norm": "batch", "sweep.also": "shift"}
SIGNALS = (signal.SIGKILL, signal.SIGINT, *PREEMPTIONS)

# How often each verb comes to each moment in the run of 10 steps with checkpoints at 0, 4, 8 and 10. A survey has a
# segment for each piece between them, and one for the step after the last update, whose preview counts as a step.
TRAIN_FILES = 3 + 3 * 2  # marker, config.toml, first checkpoint; a segment's trace and checkpoint
MOMENTS = {
    "train": {"step": 10, "file": TRAIN_FILES},
    "run": {"step": 10 + 2, "file": TRAIN_FILES + 2 * 4 + 2},  # two surveys' shards and merged files
    "sweep": {"step": 10 + 1, "file": 4},
    "sweep --task": {"step": 4, "file": 1},  # the first of 4, 4, 2 and 1 steps, of which two tasks have 5.5 each
    "shift": {"step": 10 + 1, "file": 4 + 1},  # merged at once
    "merge": {"file": 1}}
TRAINING = ("train", "run")


class Row(NamedTuple):
    verb: str
    number: signal.Signals
    moment: str
    count: int


def all_moments(verb: str) -> list[tuple[str, int]]:
    """("step", 1) …"""
    names = [(name, count) for moment, count in MOMENTS[verb].items()
             for name in (("step",) if moment == "step" else ("written", "published"))]
    return [(name, i) for name, count in names for i in range(1, count + 1)]


def chosen_rows() -> list[Row]:
    """In the sample: of each verb and kind of moment one place by SIGKILL, one by another signal, each in its turn."""
    rows = [Row(verb, number, *moment) for verb in MOMENTS for number in SIGNALS for moment in all_moments(verb)]
    if SLOW:
        return rows
    chance = random.Random(20)
    sample, turn = [], 0
    for verb in MOMENTS:
        for moment in ("step", "written", "published"):
            turn += 1
            for number in (signal.SIGKILL, SIGNALS[1 + turn % (len(SIGNALS) - 1)]):
                fitting = [row for row in rows if (row.verb, row.number, row.moment) == (verb, number, moment)]
                sample += [chance.choice(fitting)] if fitting else []
    return sample


def is_killed(row: Row) -> bool:
    """Whether the signal is none that the verb obeys gently: a merge is done within a moment, and catches Ctrl-C alone."""
    return row.number == signal.SIGKILL or row.verb == "merge" and row.number != signal.SIGINT


class Interruptions(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.config = cls.write_config(SETTINGS)
        cls.unbroken = {verb: cls.shared / verb.replace(" ", "") for verb in MOMENTS}
        for verb, out in cls.unbroken.items():
            cls.begin(verb, out)
            gradscape(*cls.command(verb, out), "--quiet")

    @classmethod
    def begin(cls, verb: str, out: Path) -> None:
        """Puts in place what the verb works on."""
        if verb not in TRAINING:
            cls.copy_in(out.parent, cls.unbroken["sweep" if verb == "merge" else "train"], out.name)

    @classmethod
    def command(cls, verb: str, out: Path) -> tuple[object, ...]:
        if verb in TRAINING:
            return (verb, cls.config, "--out", out, "--resume")
        return ("sweep", out, "--task", "0/2") if verb == "sweep --task" else (verb, out)

    def assert_unbroken(self, verb: str, out: Path, same_segments: bool) -> None:
        """Training that was interrupted gently has a checkpoint more, and segments cut there."""
        whole = self.unbroken[verb]
        if verb in TRAINING:
            self.assert_no_remains(out)
        if same_segments:
            return self.assert_same_files(whole, out)
        for name in [name for name in h5_files(whole) if "/" not in name or name.startswith("checkpoints/")]:
            self.assert_same_data(whole / name, out / name)
        self.assertEqual(whole_trace(out), whole_trace(whole))

    def stop(self, row: Row, out: Path, threads: int = 1) -> bool:
        """Whether the verb was stopped with work left."""
        code, words = -row.number, ""
        if not is_killed(row):
            code, words = (130, "interrupted") if row.number == signal.SIGINT else (75, f"pre-empted ({row.number.name})")
        done = stopped_at(row.number, row.moment, row.count, *self.command(row.verb, out), "--threads", threads,
                          expect=(code, 0))
        if out.exists():
            self.assert_all_complete(out)
        if words:
            self.assert_no_remains(out)
        if words and done.code == code:
            for text in (words, "--resume" if row.verb in TRAINING else "same command"):
                self.assertIn(text, done.stderr)
        return done.code != 0

    def test_each_verb_signal_and_moment(self) -> None:
        stops = 0
        for number, row in enumerate(chosen_rows()):
            with self.subTest(str(row)):
                out = self.place / str(number)
                self.begin(row.verb, out)
                left = self.stop(row, out)
                if is_killed(row) or row.moment == "step" and row.count < min(10, MOMENTS[row.verb]["step"]):
                    self.assertTrue(left)
                if left:  # where nothing was, all must be there already
                    stops += 1
                    gradscape(*self.command(row.verb, out), "--quiet")
                self.assert_unbroken(row.verb, out, is_killed(row) or row.verb not in TRAINING)
        print(f"{len(chosen_rows())} rows, stopped with work left in {stops}")

    def test_the_table_has_every_moment(self) -> None:
        for verb, moments in MOMENTS.items():
            for moment, count in moments.items():
                names = ("step",) if moment == "step" else ("written", "published")
                for name in names:
                    for more in (0, 1):
                        out = self.place / f"{verb.replace(' ', '')}-{name}-{more}"
                        self.begin(verb, out)
                        stopped_at(signal.SIGKILL, name, count + more, *self.command(verb, out),
                                   expect=0 if more else -signal.SIGKILL)

    def test_again_and_again(self) -> None:
        """Each call gets a little further than the one before, on another number of threads."""
        for verb in ("train", "run", "sweep", "shift"):
            for number, moment in ((signal.SIGKILL, "published"), (signal.SIGTERM, "step")):
                out = self.place / f"{verb}-{moment}"
                self.begin(verb, out)
                calls = 1
                while self.stop(Row(verb, number, moment, calls), out, 1 + calls % 3):
                    calls += 1
                self.assertGreater(calls, 2)
                self.assert_unbroken(verb, out, number == signal.SIGKILL or verb not in TRAINING)

    def test_signals_while_one_is_obeyed(self) -> None:
        """As Slurm sends them: USR1 some time before TERM, and both to every process of a step. The first decides."""
        out = self.place / "run"
        self.begin("sweep", out)
        process = stopped_at(signal.SIGSTOP, "step", 6, *self.command("sweep", out))
        process.send_signal(signal.SIGUSR1)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 75, errors)
        self.assertIn(b"pre-empted (SIG", errors)
        gradscape(*self.command("sweep", out), "--quiet")
        self.assert_unbroken("sweep", out, True)

    def test_other_verbs_die_of_them(self) -> None:
        """What does not look at the flag must not swallow the signal."""
        stopped_at(signal.SIGTERM, "step", 1, "verify", self.unbroken["merge"], "--cells", 1, expect=-signal.SIGTERM)


if __name__ == "__main__":
    main()
