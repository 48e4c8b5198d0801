#!/usr/bin/python3
"""Standard output and standard error that cannot be written: full, closed, a terminal or a reader that is gone. What
cannot be said changes neither exit codes nor files; results that cannot be printed are a failure."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import resource
import shutil
import signal
import subprocess
import termios
import time
from pathlib import Path
from typing import Any, Callable, NamedTuple

from support import BINARY, FULL, PLAIN, ROOT, Case, environment, gradscape, main, wait_for

# Long enough for lines of progress; stopped before its end.
ENDLESS = PLAIN | {"model.width": 0.25, "train.steps": 100000, "train.checkpoint_every": 100000, "train.test_every": 0}
SMALL = FULL | {"model.arch": "mlp", "model.hidden": [6], "train.steps": 4, "train.checkpoint_every": 2}


class Ended(NamedTuple):
    code: int
    stdout: bytes
    stderr: bytes


def close(*descriptors: int) -> Callable[[], None]:
    """For the child, between fork and exec."""
    def work() -> None:
        for descriptor in descriptors:
            os.close(descriptor)
    return work


def call(*arguments: object, stdout: str = "pipe", stderr: str = "pipe", preexec: Callable[[], None] | None = None,
         **more: Any) -> Ended:
    """Runs the binary with its streams as pipes, /dev/full or closed."""
    closed = [number for number, kind in ((1, stdout), (2, stderr)) if kind == "closed"]
    with open("/dev/full", "wb") as full:
        kinds = {"pipe": subprocess.PIPE, "full": full, "closed": None}
        done = subprocess.run([BINARY, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=kinds[stdout],
                              stderr=kinds[stderr], preexec_fn=preexec or close(*closed), timeout=300,
                              env=environment(), **more)
    return Ended(done.returncode, done.stdout or b"", done.stderr or b"")


def timeless(text: bytes) -> bytes:
    """Without how long ago a file was written: it may be a second more at the next call."""
    return re.sub(rb", [0-9.]+ (s|min|h) ago", b"", text)


class Output(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.config = cls.write_config(SMALL)
        cls.whole = cls.shared / "whole"
        gradscape("run", cls.config, "--out", cls.whole, "--quiet")
        cls.read = cls.shared / "read"
        shutil.copytree(cls.whole, cls.read)

    def readers(self) -> list[tuple[object, ...]]:
        """Commands that print and change nothing, or the same file again."""
        run = self.read
        return [("--help",), ("--version",), ("run", "--help"), ("status", run), ("status", run, "--json"),
                ("info", run), ("info", run / "landscape.h5"), ("info", self.config), ("info", run, "--digest"),
                ("verify", run),
                ("numerics", self.config), ("numerics", run, "--json"), ("train", self.config, "--out", run, "--list"),
                ("plan", self.config), ("plan", self.config, "--json"), ("merge", run),
                ("bench", self.config, "--repetitions", 1), ("bench", self.config, "--repetitions", 1, "--json"),
                ("shift", run), ("distributions", run), ("theorem", run)]

    def test_results_that_cannot_be_printed_are_a_failure(self) -> None:
        for command in self.readers():
            for kind in ("full", "closed"):
                with self.subTest(command=command, stdout=kind):
                    done = call(*command, stdout=kind)
                    self.assertEqual(done.code, 1, done)
                    self.assertIn(b"gradscape: standard output: cannot be written: ", done.stderr)
                    self.assertIn(b"No space left" if kind == "full" else b"Bad file descriptor", done.stderr)

    def test_what_cannot_be_said_changes_no_code(self) -> None:
        failures = [("info", self.place / "none"), ("status", self.place), ("train",), ("tarin",),
                    ("verify", self.place), ("train", self.config, "--train.lr", "fast"),
                    ("sweep", self.read, "--steps", "0:99"), ("train", self.config, "--out", self.read)]
        for command in self.readers() + failures:
            if command[0] in ("plan", "bench"):  # their numbers are times
                continue
            usual = call(*command)
            for kind in ("full", "closed"):
                with self.subTest(command=command, stderr=kind):
                    done = call(*command, stderr=kind)
                    self.assertEqual((done.code, timeless(done.stdout)), (usual.code, timeless(usual.stdout)))

    def test_a_failure_keeps_its_code(self) -> None:
        """Usage stays usage where its message, or a result, cannot be written."""
        for command, code in ((("train", self.config, "--train.lr", "fast"), 2), (("status", self.config), 1)):
            self.assertEqual(call(*command, stdout="full", stderr="closed").code, code)

    def test_runs_are_the_same_without_streams(self) -> None:
        """Also with all three closed: no file gets a stream's descriptor, and no message goes into a file."""
        for number, (out, err) in enumerate((("closed", "closed"), ("full", "full"), ("pipe", "closed"))):
            run = self.place / f"run{number}"
            done = call("run", self.config, "--out", run, stdout=out, stderr=err,
                        preexec=close(0, 1, 2) if number == 0 else None)
            self.assertEqual(done.code, 0 if out == "pipe" else 1)
            self.assert_same_files(self.whole, run)
            self.assertEqual((run / "config.toml").read_bytes(), (self.whole / "config.toml").read_bytes())

    def test_a_reader_that_is_gone(self) -> None:
        """Of both streams: `2>&1 | head -1`."""
        reading, writing = os.pipe()
        os.close(reading)
        run = self.place / "run"
        done = subprocess.run([BINARY, "run", self.config, "--out", run], stdout=writing, stderr=writing,
                              env=environment())
        os.close(writing)
        self.assertEqual(done.returncode, 1)
        self.assert_same_files(self.whole, run)

    def test_one_module_writes_to_the_streams(self) -> None:
        """Another way to print would throw, or lose what it printed."""
        ways = re.compile(r"fmt::print\(|std::(cout|cerr|clog|puts|printf|perror)\b|\bf?printf\(|\bfputs\(|"
                          r"\bstd(out|err)\b")
        for path in sorted((ROOT / "src").rglob("*.cpp")) + sorted((ROOT / "include").rglob("*.hpp")):
            if path.name in ("console.cpp", "require_cpu.cpp"):
                continue
            code = re.sub(r"//.*", "", path.read_text())
            self.assertIsNone(ways.search(code), path)

    # --- training that goes on, and is stopped ---

    def train(self, name: str, stderr: Any, **more: Any) -> tuple[subprocess.Popen, Path]:
        out = self.place / name
        process = subprocess.Popen([BINARY, "train", self.write_config(ENDLESS), "--out", out],
                                   stdout=subprocess.DEVNULL, stderr=stderr, env=environment(), **more)
        self.assertTrue(wait_for(out / "checkpoints/step-00000000.h5", process))
        return process, out

    def assert_saved(self, out: Path) -> None:
        """A checkpoint of step 0, and one of the step where it stopped."""
        self.assertEqual(len(list((out / "checkpoints").glob("step-*.h5"))), 2)
        self.assert_all_complete(out)

    def test_progress_that_cannot_be_said(self) -> None:
        """Past the first line of progress, which comes after two seconds, SIGTERM still saves and gives 75."""
        with open("/dev/full", "wb") as full:
            started = [self.train("full", full), self.train("closed", None, preexec_fn=close(2))]
        reading, writing = os.pipe()
        started.append(self.train("pipe", writing))
        os.close(reading)
        os.close(writing)
        terminal, end = pty.openpty()
        started.append(self.train("terminal", end))
        os.close(end)
        os.close(terminal)
        time.sleep(3)
        for process, _ in started:
            self.assertIsNone(process.poll())
            process.send_signal(signal.SIGTERM)
        for process, out in started:
            self.assertEqual(process.wait(timeout=120), 75)
            self.assert_saved(out)

    def test_a_terminal_that_closes_ends_its_session(self) -> None:
        """By SIGHUP: the run saves, and says so to nobody."""
        terminal, end = pty.openpty()

        def own_terminal() -> None:
            os.setsid()
            fcntl.ioctl(2, termios.TIOCSCTTY, 0)

        process, out = self.train("run", end, preexec_fn=own_terminal)
        os.close(end)
        time.sleep(2.5)
        os.close(terminal)
        self.assertEqual(process.wait(timeout=120), 75)
        self.assert_saved(out)

    def test_nohup(self) -> None:
        process, out = self.train("run", subprocess.PIPE,
                                  preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGTERM)
        self.assertIn(b"pre-empted (SIGTERM)", process.communicate()[1])
        self.assertEqual(process.returncode, 75)

    def test_limit_of_a_file_s_size(self) -> None:
        """SIGXFSZ does not end the process: writing fails as on a full disk, and the same command then continues."""
        run = self.place / "run"
        for limit in (0, 1000, 6000, 15000):
            done = call("run", self.config, "--out", run, *(("--resume",) if (run / "config.toml").exists() else ()),
                        preexec=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
            self.assertEqual(done.code, 1, done)
            self.assertIn(str(run).encode(), done.stderr)
            self.assertIn(b"File too large", done.stderr)
            self.assert_all_complete(run)
        gradscape("run", self.config, "--out", run, "--resume", "--quiet")
        self.assert_same_files(self.whole, run)


if __name__ == "__main__":
    main()
