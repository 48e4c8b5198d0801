#!/usr/bin/python3
"""`gradscape watch`: what it tells is what the files hold; it draws in place on a terminal, and ends by itself."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios

from support import BINARY, PLAIN, TWO_VARIANTS, Case, datasets, environment, gradscape, main, start, wait_for, whole_trace


class Watch(Case):
    def test_a_complete_run(self) -> None:
        run = self.make("run", PLAIN, self.place / "run")
        done = gradscape("watch", run)
        line, = done.stdout.splitlines()
        self.assertEqual(done.stderr, "")
        self.assertTrue(line.startswith(f"{run}: complete, 10 of 10 steps, "), line)
        trace = whole_trace(run)
        self.assertIn(f"loss {trace['loss'][9]:.4g} at step 9, ", line)
        self.assertIn(f"test {100 * trace['test_accuracy'][10]:.1f} %, ", line)
        self.assertRegex(line, r"sweep 4 of 4 segments$")
        self.assertEqual(gradscape("watch", run, "--once").stdout, done.stdout)

    def test_the_band_is_that_of_the_merged_file(self) -> None:
        run = self.make("run", PLAIN, self.place / "run")
        grid = datasets(run / "landscape.h5")
        self.assertIn(f"band {grid['loss_min'][-1]:.4g} to {grid['loss_max'][-1]:.4g} at step {grid['step'][-1]}",
                      gradscape("watch", run, "--once").stdout)

    def test_a_run_that_nobody_trains(self) -> None:
        run = self.make("train", PLAIN | {"train.steps": 6}, self.place / "run")
        said = gradscape("watch", run, "--once").stdout
        self.assertIn(": trained, 6 of 6 steps, ", said)
        self.assertIn("sweep 0 of 3 segments", said)
        self.assertNotIn("left", said)
        (run / "checkpoints/step-00000006.h5").unlink()
        said = gradscape("watch", run, "--once").stdout
        self.assertIn(": stopped, 4 of 6 steps, ", said)
        self.assertNotIn("steps/s", said)

    def test_it_changes_nothing(self) -> None:
        run = self.make("train", PLAIN, self.place / "run")
        before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(run.rglob("*"))}
        gradscape("watch", run, "--once")
        self.assertEqual({path: (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(run.rglob("*"))}, before)

    def test_a_folder_of_runs_until_all_are_complete(self) -> None:
        """It ends when the last sweep is done, and prints a run only where something is new."""
        config = self.write_config(PLAIN | {"train.steps": 4}, tail=TWO_VARIANTS)
        study = self.place / "study"
        gradscape("train", config, "--out", study, "--quiet")
        gradscape("sweep", study / "bn", "--quiet")
        process = start("watch", study, "--every", 1)
        first = [process.stdout.readline().decode() for _ in range(2)]
        self.assertTrue(first[0].startswith(f"{study}/bn: complete, 4 of 4 steps"), first)
        self.assertTrue(first[1].startswith(f"{study}/none: trained, 4 of 4 steps"), first)
        gradscape("sweep", study / "none", "--quiet")
        out, errors = process.communicate(timeout=120)
        self.assertEqual((process.returncode, errors), (0, b""))
        *_, last = out.decode().splitlines()
        self.assertTrue(last.startswith(f"{study}/none: complete, "), out)
        self.assertNotIn(b"/bn", out)

    def test_it_waits_for_the_next_run_of_a_study(self) -> None:
        """Whose directory is not there while its data are read; a look at the finished run alone ends."""
        config = self.write_config(PLAIN | {"train.steps": 4}, tail=TWO_VARIANTS + "train.steps = 100000\nsweep.every = 100000\n")
        study, between = self.place / "study", self.place / "between"
        training = start("run", config, "--out", study, "--quiet")
        try:
            self.assertTrue(wait_for(study / "bn/checkpoints", training))
            self.assertEqual(len(gradscape("watch", study / "none").stdout.splitlines()), 1)
            shutil.copytree(study / "none", between / "none")
            process = start("watch", between, "--every", 1)
            line = process.stdout.readline().decode()
            self.assertTrue(line.startswith(f"{between}/none: complete, 4 of 4 steps"), line)
            with self.assertRaises(subprocess.TimeoutExpired):
                process.wait(timeout=3)
        finally:
            training.send_signal(signal.SIGINT)
            training.communicate(timeout=120)
        self.assertEqual(process.wait(timeout=120), 0)
        process.communicate()
        self.assertEqual(list(study.glob("*/.lock")), [])

    def watch_live(self, columns: int, **more: str) -> tuple[list[str], int, str]:
        """The frames drawn on a terminal while a run trains, the code after Ctrl-C, and what was said last."""
        run = self.place / f"run{columns}"
        settings = PLAIN | {"train.steps": 100000, "train.checkpoint_every": 2, "sweep.every": 100000, "train.test_every": 100000}
        training = start("train", self.write_config(settings), "--out", run, "--quiet")
        try:
            self.assertTrue(wait_for(run / "checkpoints/step-00000004.h5", training))
            terminal, end = pty.openpty()
            fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            process = subprocess.Popen([BINARY, "watch", run, "--every", "1"], stdout=end, stderr=subprocess.PIPE,
                                       env=environment(TERM="xterm", **more))
            os.close(end)
            seen = b""
            while seen.count(b"\x1b[J") < 3 and select.select([terminal], [], [], 120)[0]:
                seen += os.read(terminal, 65536)
            process.send_signal(signal.SIGINT)
            errors = process.communicate(timeout=60)[1].decode()
            os.close(terminal)
        finally:
            training.send_signal(signal.SIGINT)
            training.communicate(timeout=120)
        return seen.decode().split("\x1b[J")[:3], process.returncode, errors

    def test_on_a_terminal_it_draws_in_place(self) -> None:
        for columns, more in ((100, {}), (40, {"NO_COLOR": "1"})):
            frames, code, errors = self.watch_live(columns, **more)
            self.assertEqual(code, 130)
            self.assertIn("interrupted; the run goes on", errors)
            steps = []
            for number, frame in enumerate(frames):
                self.assertNotRegex(frame, r"\x1b\[[\d;]*m", "no colours")
                lines = frame.replace("\r", "").split("\n")[:-1]
                if number > 0:
                    up = re.match(r"\x1b\[(\d+)A", lines[0])
                    self.assertEqual(int(up[1]), height, "the cursor goes up to the first line of the last frame")
                height = len(lines)
                plain = [re.sub(r"\x1b\[\d*[AK]", "", line) for line in lines]
                self.assertLess(max(map(len, plain)), columns)
                self.assertIn("training"[:max(0, columns - len(str(self.place)) - 10)], plain[0])
                if columns == 100:
                    steps.append(int(re.search(r"(\d+) of 100000 steps", plain[1])[1]))
                    self.assertRegex(plain[1], r"^  \[[#-]{24}\] +\d+ %  ")
                    self.assertRegex(frame, r"loss \d\S* at step \d+")
                    self.assertRegex(frame, r"\S+ steps/s, about \S+ \w+ left")
            self.assertEqual(steps, sorted(steps))
            if steps:
                self.assertGreater(steps[-1], steps[0])

    def test_damage_and_holes_are_told_of(self) -> None:
        run = self.make("run", PLAIN, self.place / "run")
        (run / "checkpoints/step-00000008.h5").write_bytes(b"no checkpoint")
        (run / "trace/segment-00000008-00000010.h5").write_bytes(b"no trace")
        (run / "sweep/main/segment-00000010-00000011.h5").write_bytes(b"no shard")
        said = gradscape("watch", run, "--once").stdout
        self.assertRegex(said, r"[1-9] damaged: gradscape status tells")
        self.assertRegex(said, r"loss \S+ at step 7, .*band \S+ to \S+ at step 9")

    def test_refusals(self) -> None:
        gradscape("watch", self.place / "none", expect=(1, 2), says=("none",))
        gradscape("watch", self.place, expect=(1, 2), says=(str(self.place),))
        file = self.place / "file"
        file.write_text("x")
        gradscape("watch", file, expect=(1, 2), says=(str(file),))
        run = self.make("train", PLAIN | {"train.steps": 1}, self.place / "run")
        for value, words in (("0", "no interval"), ("-1", "no interval"), ("x", "not a whole number"), ("9" * 30, "too large")):
            gradscape("watch", run, "--every", value, expect=2, says=("--every", words))
        gradscape("watch", run, "--name", "a/b", expect=2, says=("--name",))
        (run / "config.toml").write_text("[train]\nlr = \"fast\"\n")
        gradscape("watch", run, "--once", expect=2, says=("config.toml:2", "train.lr"))


if __name__ == "__main__":
    main()
