#!/usr/bin/python3
"""SIGTERM, SIGUSR1, SIGUSR2, SIGHUP, SIGXCPU and Ctrl-C at any moment: the exit code says to call again, what was
probed is kept, the next call continues there, and the end has the bits of an uninterrupted run."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

from support import FULL, PLAIN, SLOW, Case, Done, attributes, datasets, falsified, gradscape, main, start, wait_for

ROUNDS = 20 if SLOW else 4
# One long segment, which every interruption is inside of, and the step after the last. The noise floor is measured.
LONG = FULL | {"train.steps": 12, "train.checkpoint_every": 12, "train.test_every": 0,
               "sweep.multipliers": [0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0]}
SHARD = "segment-00000000-00000012.h5"
LAST = "sweep/main/segment-00000007-00000012.h5"
PREEMPTIONS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP, signal.SIGXCPU)
CODES = {number: (75, f"pre-empted ({number.name})") for number in PREEMPTIONS} | {signal.SIGINT: (130, "interrupted")}


def stop(process: subprocess.Popen, number: signal.Signals) -> Done:
    process.send_signal(number)
    out, errors = process.communicate(timeout=600)
    return Done(process.returncode, out.decode(), errors.decode())


class Sweep(Case):
    settings = LONG

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.trained = cls.make("train", cls.settings, cls.shared / "trained")
        cls.whole = cls.shared / "whole"
        shutil.copytree(cls.trained, cls.whole)
        began = time.monotonic()
        gradscape("sweep", cls.whole, "--quiet")
        cls.seconds = time.monotonic() - began
        gradscape("merge", cls.whole, "--quiet")
        cls.partial = cls.shared / "partial"  # a run whose sweep was stopped inside of its segment
        cls.stop_inside(cls.partial)

    @classmethod
    def stop_inside(cls, out: Path, number: signal.Signals = signal.SIGUSR1) -> Path:
        """Sends the signal until it comes when some steps are probed and some are not."""
        wait = 0.5 * cls.seconds
        for _ in range(30):
            shutil.rmtree(out, ignore_errors=True)
            shutil.copytree(cls.trained, out)
            process = start("sweep", out)
            try:
                process.communicate(timeout=wait)
                done = None
                wait *= 0.8
                continue
            except subprocess.TimeoutExpired:
                done = stop(process, number)
            if (out / "sweep/main/partial" / SHARD).exists():
                break
            wait *= 0.9 if done.code == 0 else 1.2
        code, words = CODES[number]
        assert done is not None and done.code == code, done
        for text in (words, "same command"):
            assert text in done.stderr, done
        return out / "sweep/main/partial" / SHARD

    def assert_finishes(self, out: Path, *words: str) -> None:
        gradscape("sweep", out, says=words)
        gradscape("merge", out, "--quiet")
        self.assert_same_files(self.whole, out)

    def test_each_signal_keeps_the_finished_part(self) -> None:
        for number in CODES:
            out = self.place / str(int(number))
            path = self.stop_inside(out, number)
            self.assertFalse((out / "sweep/main" / SHARD).exists())
            self.assertEqual(attributes(path)["complete"], 1)
            part, whole = datasets(path), datasets(self.whole / "sweep/main" / SHARD)
            count = len(part["step"])
            self.assertTrue(0 < count < 12, count)
            for name in ("step", "loss", "grad_diff", "noise_floor", "beta_max"):
                self.assertEqual(part[name].tobytes(), whole[name][:count].tobytes(), name)
            gradscape("merge", out, expect=1, says=("no shards",))
            self.assert_finishes(out)

    def test_probed_steps_are_not_probed_again(self) -> None:
        """A value that no probe gives, put into the partial shard, is in the shard."""
        out = self.copy(self.partial)
        path = out / "sweep/main/partial" / SHARD
        with falsified(path) as file:
            file["accuracy"][0, 0] = 0.123
            floor = file["noise_floor"][0]
        gradscape("sweep", out, "--quiet")
        shard = datasets(out / "sweep/main" / SHARD)
        self.assertEqual(shard["accuracy"][0, 0], 0.123)
        self.assertGreater(floor, 0)
        self.assertEqual(set(shard["noise_floor"].tolist()), {floor})
        self.assertFalse(path.exists())
        whole = datasets(self.whole / "sweep/main" / SHARD)
        whole["accuracy"][0, 0] = 0.123
        for name, value in shard.items():
            self.assertEqual(value.tobytes(), whole[name].tobytes(), name)

    def test_many_signals_at_any_moment(self) -> None:
        chance = random.Random(75)
        stopped = 0
        for attempt in range(10 * ROUNDS):
            if attempt >= ROUNDS and stopped > 0:  # on a fast machine sweeps may end before their signals
                break
            out = self.copy(self.trained, f"many{attempt}")
            threads = chance.choice((1, 2, 3))
            for _ in range(40):
                number = chance.choice(list(CODES))
                process = start("sweep", out, "--threads", threads)
                try:
                    # Not before the handlers are there; loading a program takes some milliseconds.
                    process.communicate(timeout=0.1 + chance.uniform(0, self.seconds))
                except subprocess.TimeoutExpired:
                    done = stop(process, number)
                    self.assert_all_complete(out)
                    self.assertIn(done.code, (0, CODES[number][0]), done)
                    stopped += done.code != 0
                if process.returncode == 0:
                    break
            self.assert_finishes(out)
        self.assertGreater(stopped, 0)

    def test_twice_pre_empted_and_then_killed(self) -> None:
        """SIGTERM after SIGUSR1, as Slurm sends them; and a partial shard outlives SIGKILL."""
        out = self.copy(self.partial)
        process = start("sweep", out)
        time.sleep(0.1)
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGUSR1, signal.SIGTERM):
            process.send_signal(number)
        _, errors = process.communicate(timeout=600)
        self.assertEqual(process.returncode, 75, errors.decode())
        self.assertIn(b"pre-empted", errors)
        process = start("sweep", out)
        time.sleep(0.1)
        process.kill()
        process.communicate()
        self.assertGreater(len(datasets(out / "sweep/main/partial" / SHARD)["step"]), 0)
        self.assert_finishes(out)

    def test_tasks(self) -> None:
        out = self.copy(self.partial)
        gradscape("sweep", out, "--task", "1/2", "--quiet")
        self.assertTrue((out / "sweep/main/partial" / SHARD).exists(), "another task's")
        gradscape("sweep", out, "--task", "0/2", "--quiet")
        self.assert_finishes(out, "0 new shards")

    def test_a_damaged_partial_shard(self) -> None:
        whole = (self.partial / "sweep/main/partial" / SHARD).read_bytes()
        for number, content in enumerate((b"", b"no HDF5", whole[:len(whole) // 2], whole[:-1])):
            out = self.copy(self.partial, f"damaged{number}")
            path = out / "sweep/main/partial" / SHARD
            path.write_bytes(content)
            self.assert_finishes(out, str(path), "is ignored")

    def assert_ignored(self, change, *words: str) -> None:
        """change(path) makes the partial shard one that must not be used."""
        out = self.copy(self.partial, f"ignored{len(list(self.place.iterdir()))}")
        path = out / "sweep/main/partial" / SHARD
        change(path)
        self.assert_finishes(out, str(path), *words, "is ignored")

    def test_a_foreign_partial_shard(self) -> None:
        other = self.make("train", self.settings | {"train.seed": 8}, self.place / "other")
        gradscape("sweep", other, "--quiet")
        self.assert_ignored(lambda path: shutil.copy(other / "sweep/main" / SHARD, path), "train.seed")
        again = self.copy(self.trained, "again")
        gradscape("sweep", again, "--quiet", "--multipliers", "1,2")
        self.assert_ignored(lambda path: shutil.copy(again / "sweep/main" / SHARD, path), "sweep.multipliers")
        self.assert_ignored(lambda path: shutil.copy(self.whole / "trace" / SHARD, path), "trace file")

    def test_a_partial_shard_that_does_not_fit(self) -> None:
        def set_attribute(name: str, value: str):
            def change(path: Path) -> None:
                with falsified(path) as file:
                    kind = file.attrs.get_id(name).dtype
                    del file.attrs[name]
                    file.attrs.create(name, value.encode().ljust(kind.itemsize)[:kind.itemsize], dtype=kind)
            return change

        def set_value(name: str, value: float):
            def change(path: Path) -> None:
                with falsified(path) as file:
                    file[name][0] = value
            return change

        self.assert_ignored(set_attribute("program_version", "9.9.9"), "another program", "program_version")
        self.assert_ignored(set_attribute("git_revision", "0123456"), "another program", "git_revision")
        self.assert_ignored(set_value("train_loss", 1.5), "step 0")
        self.assert_ignored(set_value("train_grad_norm", 1.5), "step 0")
        self.assert_ignored(set_value("lr", 1.5), "step 0")
        self.assert_ignored(set_value("step", 1), "ascend")

    def test_a_partial_shard_left_beside_its_shard(self) -> None:
        out = self.copy(self.whole)
        (out / "sweep/main/partial").mkdir()
        shutil.copy(self.partial / "sweep/main/partial" / SHARD, out / "sweep/main/partial")
        self.assert_finishes(out, "0 new shards")


class SeveralFloors(Case):
    """Checkpoints that are not where the floors' segments begin: floors are those of steps 0, 5 and 10, and the last
    segment is [7, 12)."""

    def test_from_each_step(self) -> None:
        config = self.write_config(PLAIN | {"train.steps": 12, "train.checkpoint_every": 5})
        trained = self.place / "trained"
        gradscape("train", config, "--out", trained, "--train.steps", 5, "--quiet")
        gradscape("train", config, "--out", trained, "--resume", "--train.checkpoint_every", 7, "--quiet")
        whole = self.copy(trained, "whole")
        gradscape("sweep", whole, "--quiet")
        floors = datasets(whole / LAST)["noise_floor"].tolist()
        self.assertEqual([floors.count(floors[0]), floors.count(floors[-1])], [3, 2])
        for count in range(1, 6):
            out = self.copy(trained, str(count))
            for path in (whole / "sweep/main").glob("*.h5"):
                if path.name != Path(LAST).name:
                    (out / "sweep/main/partial").mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, out / "sweep/main")
            partial = out / "sweep/main/partial" / Path(LAST).name
            shutil.copy(whole / LAST, partial)
            with falsified(partial) as file:
                for name in [name for name, item in file.items() if item.shape[0] == 5]:
                    values = file[name][:count]
                    del file[name]
                    file[name] = values
            self.assertNotIn("ignored", gradscape("sweep", out, says=("1 new shard",)).stderr)
            self.assert_same_files(whole, out)


class Training(Case):
    """`train` and `run` save as on Ctrl-C, and exit with 75."""

    def test_signals(self) -> None:
        config = self.write_config(PLAIN | {"train.steps": 30})
        whole = self.place / "whole"
        gradscape("run", config, "--out", whole, "--quiet")
        for verb in ("run", "train"):
            for number in PREEMPTIONS:
                for attempt in range(20):
                    out = self.place / f"{verb}{int(number)}-{attempt}"
                    process = start(verb, config, "--out", out)
                    wait_for(out / "checkpoints/step-00000004.h5", process)
                    done = stop(process, number)
                    if done.code != 0:
                        break
                code, words = CODES[number]
                self.assertEqual(done.code, code, done)
                for text in (words, "of 30 steps are done and saved", "--resume"):
                    self.assertIn(text, done.stderr)
                self.assert_all_complete(out)
                gradscape(verb, config, "--out", out, "--resume", "--quiet")
                if verb == "train":
                    gradscape("sweep", out, "--quiet")
                    gradscape("merge", out, "--quiet")
                self.assert_same_data(whole / "landscape.h5", out / "landscape.h5")

    def test_other_verbs_die_of_them(self) -> None:
        """What does not look at the flag must not swallow the signal."""
        process = start("bench", "--model.width", 1, "--repetitions", 50)
        time.sleep(0.5)
        self.assertEqual(stop(process, signal.SIGTERM).code, -signal.SIGTERM)


if __name__ == "__main__":
    main()
