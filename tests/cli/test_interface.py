#!/usr/bin/python3
"""What a user sees: help, version, info in words, progress on terminals and elsewhere, configurations that work."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from pathlib import Path

from support import BINARY, FULL, PLAIN, ROOT, Case, datasets, environment, gradscape, main, start, \
    toml_text, write_idx

VERBS = ("run", "train", "sweep", "merge", "shift", "distributions", "theorem", "surface", "watch", "status", "verify", "info", "numerics",
         "new", "import", "evaluate", "export", "export-surface", "import-surface", "bench", "plan", "completion", "manual")
# The names that configurations are promised to keep.
FIXED = ("experiment.name data.source data.path data.standardise data.train_limit model.arch model.width model.hidden "
         "model.activation model.norm model.norm_dense train.optimizer train.lr train.batch_size train.steps "
         "train.epochs train.checkpoint_every train.test_every train.seed train.precision train.engine sweep.every "
         "sweep.multipliers").split()
PAIR = "\n[[variant]]\nname = \"none\"\n\n[[variant]]\nname = \"bn\"\nmodel.norm = \"batch\"\n"


def slow_settings() -> dict:
    """A run that lasts long enough for progress to be told of; it is stopped before its end."""
    return PLAIN | {"model.width": 0.25, "train.steps": 100000, "train.checkpoint_every": 100000,
                    "train.test_every": 4}


class Interface(Case):
    def test_version(self) -> None:
        done = gradscape("--version")
        self.assertRegex(done.stdout, r"^gradscape \d+\.\d+\.\d+ \(.+\)\n")
        for word in ("compiler: ", "flags: ", "-march=x86-64-v3", "-ffp-contract=off", "Eigen ", "HDF5 "):
            self.assertIn(word, done.stdout)
        self.assertNotIn("-ffast-math", done.stdout)
        self.assertEqual(done.stderr, "")

    def test_help(self) -> None:
        """A screen of 80 columns for each verb; `help VERB` is the same."""
        done = gradscape("--help")
        self.assertEqual(gradscape("help").stdout, done.stdout)
        for verb in VERBS:
            self.assertRegex(done.stdout, rf"(?m)^  {verb} +\w")
        self.assertIn("Exit codes: 0 done, 1 failed, 2 ", done.stdout)
        for verb in ("", *VERBS):
            text = gradscape(*verb.split(), "--help").stdout
            self.assertEqual(gradscape("help", *verb.split()).stdout, text)
            self.assertEqual(gradscape(*verb.split(), "-h").stdout, text)
            self.assertLessEqual(len(text.splitlines()), 40, verb)
            self.assertLessEqual(max(map(len, text.splitlines())), 80, verb)
            examples = text.partition("\nExamples:\n")[2].partition("\n\n")[0]
            self.assertIn(f"  gradscape {verb}", examples)
        for verb in VERBS:
            text = gradscape(verb, "--help").stdout
            self.assertIn(f"Usage: gradscape {verb} ", text)
            self.assertEqual("--quiet" in text, verb not in ("status", "info", "watch", "completion", "manual"))
            without = ("merge", "status", "info", "watch", "new", "export-surface", "import-surface", "completion", "manual")
            self.assertEqual("--threads N" in text, verb not in without, "it has an effect")
            if verb not in without:
                self.assertRegex(text, r"--isa NAME +instruction set: auto \| avx2 \| avx512")
        for flag in ("--steps", "--multipliers", "--name", "--direction", "--probe-precision", "--data.path"):
            self.assertIn(flag, gradscape("sweep", "--help").stdout)
        self.assertIn("--name", gradscape("merge", "--help").stdout)
        gradscape("help", "rnu", expect=2, says=("no verb \"rnu\"", "did you mean run?"))

    def test_help_fits_the_terminal(self) -> None:
        for columns in (50, 132):
            terminal, end = pty.openpty()
            fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            process = subprocess.Popen([BINARY, "run", "--help-all"], stdout=end, env=environment())
            os.close(end)
            seen = b""
            with contextlib.suppress(OSError):  # the other end is closed
                while part := os.read(terminal, 65536):
                    seen += part
            os.close(terminal)
            self.assertEqual(process.wait(), 0)
            widths = [len(line) for line in seen.decode().replace("\r\n", "\n").splitlines()]
            self.assertLessEqual(max(widths), columns)
            self.assertGreater(max(widths), columns - 10)

    def test_help_lists_every_field_in_its_group(self) -> None:
        """With --help-all. The fields are those of a stored configuration, which holds them all."""
        run = self.make("train", PLAIN | {"train.steps": 1}, self.place / "run")
        section, stored = "", []
        for line in (run / "config.toml").read_text().splitlines():
            if line.startswith("["):
                section = line.strip("[]")
            elif line:
                stored.append(f"{section}.{line.split(' = ')[0]}")
        self.assertLessEqual(set(FIXED), set(stored))
        for verb in ("run", "train", "plan"):
            self.assertNotIn("--train.lr ", gradscape(verb, "--help").stdout.partition("Keys of the configuration")[0])
            groups: dict[str, list[str]] = {}
            group = ""
            # What a line of text is continued with stands further in than names do.
            text = re.sub(r"\n {20,}(?=\S)", " ", gradscape(verb, "--help-all").stdout)
            for line in text.splitlines():
                if heading := re.match(r"\[(\w+)\]", line):
                    group = heading[1]
                elif flag := re.match(r"  --(\w+\.\w+)\s+(\S.*)", line):
                    groups.setdefault(group, []).append(flag[1])
                    self.assertRegex(flag[2], r"\[.+; default .*\]$", "what is allowed, and the default")
            listed = [name for names in groups.values() for name in names]
            self.assertEqual(listed, [name for name in stored if name != "experiment.variant"])
            for group, names in groups.items():
                self.assertEqual({name.split(".")[0] for name in names}, {group})

    def test_no_flag_is_without_effect(self) -> None:
        config = self.write_config(PLAIN)
        for verb, flag in (("plan", "--resume"), ("plan", "--force"), ("numerics", "--sweep.every"),
                           ("numerics", "--train.lr"), ("numerics", "--data.test_limit"), ("bench", "--data.path"),
                           ("bench", "--sweep.steps"), ("bench", "--train.test_every")):
            self.assertNotIn(flag + " ", gradscape(verb, "--help-all").stdout)
            says = (f"{flag}: is not expected", *((f"has no effect on {verb}",) if "." in flag else ()))
            gradscape(verb, config, flag, *(("1",) if "." in flag else ()), expect=2, says=says)

    def test_layers_are_named_wherever_they_are_an_option(self) -> None:
        run = self.make("train", PLAIN | {"train.steps": 1}, self.place / "run")
        for verb in VERBS:
            listed = "--layers " in gradscape(verb, "--help-all").stdout
            self.assertEqual(listed, verb in ("shift", "distributions", "theorem"))
        gradscape("sweep", run, "--layers", "true", expect=2, says=("--layers", "did you mean --per-layer?"))
        gradscape("bench", "--layers", expect=2, says=("--layers", "did you mean --per-layer or --model.layers or --sweep.layers?"))
        gradscape("sweep", run, "--per-layer", "true", "--quiet")
        self.assertIn("layer_grad_diff", datasets(next((run / "sweep/main").iterdir())))

    def test_info_of_everything(self) -> None:
        config = self.write_config(PLAIN | {"train.steps": 6}, tail=PAIR)
        study = self.place / "study"
        done = gradscape("run", config, "--out", study, "--quiet")
        self.assertEqual(done.stdout.split(), [str(study / variant / "landscape.h5") for variant in ("none", "bn")])
        self.assertEqual(sorted(path.name for path in study.iterdir()), ["bn", "none"])
        run = study / "bn"
        for path, words in (
                (config, ("2 variants", "none", "bn", "vgg-a, width 0.0625", "batch norm", "no norm", "6 steps", "winograd engine",
                          "multipliers [0.5, 2]")),
                (run / "checkpoints/step-00000004.h5", ("checkpoint", "4 of 6", "4 per epoch", "variant bn",
                                                        "mean [0.5", "gradscape ", "no state",
                                                        "float, winograd engine")),
                (run / "trace/segment-00000000-00000004.h5", ("trace", "0 to 3", "last loss", "at step 3",
                                                             "after 3 steps")),
                (run / "sweep/main/segment-00000004-00000006.h5", ("grid", "2 probed: 4-5", "along gradient",
                                                                  "4 finite")),
                (run / "landscape.h5", ("grid", "7 probed: 0-6", "14 finite, 0 non-finite, 0 below noise",
                                         "noise floor", "loss band")),
                (run, ("run of experiment \"small\", variant \"bn\"", "6 of 6", "last loss", "at step 5", "accuracy",
                       "after 6 steps", "sweep main", "merged in")),
                (study, ("variant \"none\"", "variant \"bn\""))):
            done = gradscape("info", path)
            self.assertEqual(done.stderr, "")
            for word in words:
                self.assertIn(word, done.stdout)

    @staticmethod
    def tables(text: str) -> dict[str, list[list[str]]]:
        """Heading and rows of each network that `info` shows; cells are apart by two blanks or more."""
        found: dict[str, list[list[str]]] = {}
        rows: list[list[str]] = []
        for line in text.splitlines():
            if line.startswith("network"):
                rows = found.setdefault(line, [])
            elif found:
                rows.append(re.split(r"  +", line.strip()))
        return found

    def test_info_shows_each_network_once(self) -> None:
        tail = PAIR + "\n[[variant]]\nname = \"fast\"\nmodel.norm = \"batch\"\ntrain.lr = 0.5\n"
        text = gradscape("info", self.write_config(PLAIN | {"model.width": 1.0}, tail=tail)).stdout
        tables = self.tables(text)
        self.assertEqual(list(tables), [f"network of variant{names}: images of 32×32×3, 10 outputs"
                                        for names in (" \"none\"", "s \"bn\", \"fast\"")])
        none, normed = tables.values()
        self.assertEqual(none[0], ["layer", "kind", "output", "parameters", "multiply-adds", "fused into"])
        # 3·3·3·64 + 64 parameters, 3·3·3·64·32·32 products; in all those of the course exercise.
        self.assertIn(["features.0", "conv 3×3", "32×32×64", "1792", "1769472"], none)
        self.assertIn(["features.2", "max pool 2×2", "16×16×64", "features.0"], none)
        self.assertIn(["classifier.1", "relu", "1×1×512"], none)
        self.assertEqual(none[-1], ["total", "9750922", "153293824"])
        self.assertIn(["features.9", "batch norm", "8×8×256", "512", "features.8"], normed)
        self.assertEqual(normed[-1], ["total", "9756426", "153293824"])
        for rows in (none, normed):
            for column in (3, 4):
                numbers = [int(row[column]) for row in rows if row[0] != "total" and row[1:2] in (["conv 3×3"], ["dense"])]
                norms = [int(row[3]) for row in rows if row[1:2] == ["batch norm"] and column == 3]
                self.assertEqual(sum(numbers) + sum(norms), int(rows[-1][column - 2]))
        for line in text[text.index("network"):].splitlines():
            self.assertLessEqual(len(line), 100)

    def test_info_shows_the_network_of_a_run(self) -> None:
        run = self.make("train", FULL | {"train.steps": 1}, self.place / "study/one")
        self.make("train", FULL | {"train.steps": 1, "train.lr": 0.1}, self.place / "study/two")
        told = gradscape("info", run).stdout
        (rows,) = self.tables(told).values()
        self.assertIn(f"parameters     {rows[-1][1]}\n", told)
        self.assertIn(["classifier.3", "dropout 0.25", "1×1×32"], rows)
        self.assertEqual(list(self.tables(gradscape("info", self.place / "study").stdout).values()), [rows])

    def test_info_where_the_network_cannot_be_shown(self) -> None:
        write_idx(self.place / "idx")
        settings = PLAIN | {"data.source": "idx", "data.path": str(self.place / "idx"), "model.arch": "mlp",
                            "model.hidden": [5]}
        (rows,) = self.tables(gradscape("info", self.write_config(settings)).stdout).values()
        self.assertIn(["layers.0", "dense", "1×1×5", "725", "720"], rows, "12·12 pixels")
        gone = settings | {"data.path": str(self.place / "gone")}
        self.assertIn(f"network: not known without the images: {self.place}/gone: does not exist\n",
                      gradscape("info", self.write_config(gone)).stdout)
        for bad, says in (({"model.norm": "group", "model.norm_groups": 3},
                           ("features.1: group norm in 3 with an input of 32×32×4", "take 1, 2, 4 groups")),
                          (settings | {"model.arch": "vgg-11"},
                           ("features.15: max pool 2×2 with an input of 1×1×32", "images of 32×32 pixels", "have 12×12"))):
            for verb in (("info",), ("train", "--out", self.place / "none")):
                gradscape(verb[0], self.write_config(PLAIN | bad), *verb[1:], expect=2, says=says)

    def test_instruction_sets(self) -> None:
        """Not one of them changes a bit; one that the CPU lacks is refused."""
        has_avx512 = {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= set(
            re.search(r"(?m)^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text())[1].split())
        runs = []
        for isa in ("auto", "avx2", "avx512")[:2 + has_avx512]:
            runs.append(self.make("run", FULL, self.place / isa, "--isa", isa))
        for run in runs[1:]:
            self.assert_same_files(runs[0], run)
        if not has_avx512:
            gradscape("info", runs[0], "--isa", "avx512", expect=2, says=("--isa", "no AVX-512"))
        for verb in VERBS:
            more = {"export": ("--to", self.place / "w.safetensors"), "export-surface": ("--to", "csv"),
                    "import-surface": ("--out", self.place / "s.h5")}.get(verb, ())
            gradscape(verb, *(() if verb == "manual" else (runs[0],)), *more, "--isa", "sse2", expect=2, says=("--isa", "\"sse2\"", "auto | avx2 | avx512"))

    def test_quiet(self) -> None:
        for command in (("run", self.write_config(PLAIN), "--out", self.place / "run"), ("sweep", self.place / "run"),
                        ("merge", self.place / "run"), ("info", self.place / "run"),
                        ("run", self.write_config(PLAIN), "--out", self.place / "run", "--resume")):
            self.assertEqual(gradscape(*command, "--quiet").stderr, "")
        process = start("train", self.write_config(slow_settings()), "--out", self.place / "slow", "--quiet")
        time.sleep(3)  # long enough for a line of progress
        process.kill()
        self.assertEqual(process.communicate()[1], b"")

    def test_one_variant_of_a_file(self) -> None:
        config = self.write_config(PLAIN | {"train.steps": 2}, tail=PAIR)
        gradscape("train", config, "--out", self.place / "study", "--variant", "bn", "--quiet")
        self.assertEqual([path.name for path in (self.place / "study").iterdir()], ["bn"])
        gradscape("train", config, "--out", self.place / "study", "--resume", "--quiet")
        both = self.place / "both"
        gradscape("train", config, "--out", both, "--quiet")
        self.assert_same_files(both, self.place / "study")

    def test_default_places(self) -> None:
        """runs/NAME under the working directory; data from the environment."""
        gradscape("train", self.write_config(PLAIN | {"train.steps": 1}), "--quiet", cwd=self.place)
        self.assertTrue((self.place / "runs/small/config.toml").exists())

    # --- progress ---

    def test_progress_elsewhere_is_plain_lines(self) -> None:
        """A file or pipe gets whole lines every few seconds, and no control characters."""
        process = start("train", self.write_config(slow_settings()), "--out", self.place / "run")
        lines = [process.stderr.readline().decode() for _ in range(2)]
        process.terminate()
        rest = process.communicate()[1].decode()
        for line, end in zip(lines, (r"(estimating|\S+ steps/s  \S+ left)", r"\S+ steps/s  \S+ left")):
            self.assertRegex(line, r"^train small: step \d+/100000  loss \d+\.\d+  (test \d+\.\d %  )?" + end + r"\n$")
        self.assertNotRegex("".join(lines) + rest, r"[\r\x1b]")

    def watch_terminal(self, name: str, widths: tuple[int, ...], updates: int, **more: str) -> tuple[list[bytes], str]:
        """The terminal has these widths in turn, each for so many updates of the live line. Returns what was written
        at each width (a width of 0: it does not say), and what came after the live line."""
        terminal, end = pty.openpty()

        def resize(columns: int) -> None:
            fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

        resize(widths[0])
        process = subprocess.Popen([BINARY, "train", self.write_config(slow_settings()), "--out", self.place / name],
                                   stderr=end, env=environment(TERM="xterm", **more))
        seen = []
        for columns in widths:
            resize(columns)
            seen.append(b"")
            while seen[-1].count(b"\r") < updates and select.select([terminal], [], [], 60)[0]:
                seen[-1] += os.read(terminal, 4096)
        os.close(end)
        process.send_signal(2)
        rest = b""
        while True:  # until the other end is closed
            try:
                rest += os.read(terminal, 4096)
            except OSError:
                break
        self.assertEqual(process.wait(), 130)
        os.close(terminal)
        live, _, told = rest.partition(b"gradscape: ")
        seen[-1] += live
        return seen, told.decode()

    def test_progress_on_a_terminal_is_one_live_line(self) -> None:
        """Also where NO_COLOR is set: nothing is coloured anyway."""
        for more in ({}, {"NO_COLOR": "1"}):
            (seen,), told = self.watch_terminal(f"run{len(more)}", (120,), 14, **more)
            live = seen.decode()
            self.assertNotIn("\n", live)
            self.assertNotIn("\x1b", live)
            lines = live.split("\r")
            for line in lines[1:14]:  # a rate is told once two seconds of steps are counted, on however slow a machine
                self.assertRegex(line, r"^train small: step \d+/100000  loss .*(estimating| left) *$")
                if told_rate := re.search(r"step (\d+)/100000 .*  (\S+) steps/s", line):
                    self.assertGreater(int(told_rate[1]) / float(told_rate[2]), 1.8, line)
            self.assertRegex(lines[13], r"^train small: step \d+/100000  loss .*  \S+ steps/s  \S+ left *$")
            self.assertTrue(live.endswith("\r"), "the live line is wiped before the message")
            self.assertEqual(lines[-2].strip(), "")
            self.assertIn("--resume", told)

    def test_progress_never_wraps(self) -> None:
        """The width is asked for at each update: a line stays short of its last column, where some terminals wrap."""
        for widths in ((70, 36), (36, 70), (20,), (0,)):
            seen, _ = self.watch_terminal("-".join(map(str, widths)), widths, 12)
            for columns, text in zip(widths, seen):
                self.assertNotIn(b"\n", text)
                lines = text.decode().split("\r")[2:-2]  # a line may be on its way while the width changes
                self.assertGreater(len(lines), 8)
                for line in lines:
                    self.assertLess(len(line), columns or 80)
                if columns != 20:
                    self.assertRegex(lines[0], r"step \d+/100000  .*(estimating|left) *$")

    # --- configurations ---

    def test_configurations_that_come_with_the_program(self) -> None:
        paths = sorted((ROOT / "configs").glob("*.toml")) + [ROOT / "tests/signature.toml"]
        self.assertGreaterEqual(len(paths), 3)
        for path in paths:
            self.assertIn("configuration of experiment", gradscape("info", path).stdout)

    def test_stored_configuration_reads_back_to_the_same_run(self) -> None:
        exact = {"train.lr": 0.1 + 0.2, "model.norm_eps": 1e-5 / 3, "experiment.name": "a b ü", "data.path": "/a \"b\" \\ ü \t",
                 "sweep.multipliers": [1 / 3, 2.0, 1e-300, 123456789.125], "train.seed": 2**53 - 1}
        for number, settings in enumerate((PLAIN | exact, FULL)):
            run = self.make("train", settings, self.place / str(number))
            stored = (run / "config.toml").read_text()
            done = gradscape("train", run / "config.toml", "--out", run, "--resume")
            self.assertIn("all 10 steps are done", done.stderr)
            self.assertEqual((run / "config.toml").read_text(), stored)
            again = self.place / f"again{number}"
            gradscape("train", run / "config.toml", "--out", again, "--quiet")
            self.assertEqual((again / "config.toml").read_text(), stored)
            self.assert_same_files(run, again)

    def stored(self, *flags: object, tail: str = "") -> dict[str, str]:
        """What a run with these flags stores, by the last part of the key where that is unique."""
        run = self.place / f"run{len(list(self.place.iterdir()))}"
        gradscape("train", self.write_config(PLAIN | {"train.steps": 1}, tail=tail), "--out", run, "--quiet", *flags)
        return dict(line.split(" = ") for line in (run / "config.toml").read_text().splitlines() if " = " in line)

    def test_flags_without_their_section(self) -> None:
        """The last part of a key is enough where it is unique; dashes are underscores."""
        found = self.stored("--lr", 0.25, "--batch-size=16", "--seed", 3, "--train.test-every", 7, "--multipliers", "1,3")
        for key, value in (("lr", "0.25"), ("batch_size", "16"), ("seed", "3"), ("test_every", "7"),
                           ("multipliers", "[1.0, 3.0]")):
            self.assertEqual(found[key], value)
        run = self.place / "run0"
        gradscape("sweep", run, "--probe_precision", "native", "--quiet")

    def test_lists_however_they_are_written(self) -> None:
        for text in ("0.5,1,2", "[0.5, 1, 2]", "0.5 1 2", "0.5, 1, 2"):
            self.assertEqual(self.stored("--sweep.multipliers", text)["multipliers"], "[0.5, 1.0, 2.0]")
        config = self.place / "c.toml"
        config.write_text(toml_text(PLAIN | {"train.steps": 1, "sweep.multipliers": "0.5, 1", "model.hidden": "8 4",
                                             "sweep.also": ["shift", "distributions"], "sweep.steps": [0, "1:1"]}))
        gradscape("run", config, "--out", self.place / "run", "--quiet")
        told = (self.place / "run/config.toml").read_text()
        for line in ("multipliers = [0.5, 1.0]", "hidden = [8, 4]", 'also = "shift,distributions"', 'steps = "0,1:1"'):
            self.assertIn(f"\n{line}\n", told)
        self.assertTrue((self.place / "run/shift.h5").exists())
        run = self.place / "run"
        for number, text in enumerate(("[1, 8]", "1 8", "features.0,8")):
            gradscape("shift", "--layers", text, run, "--name", f"n{number}", "--steps", "[0, 1]", "--quiet")
            self.assertIn("features.0, ", gradscape("info", run / f"shift-n{number}.h5").stdout)

    def test_relative_paths_hold_from_anywhere(self) -> None:
        write_idx(self.place / "idx")
        settings = PLAIN | {"data.source": "idx", "data.path": "idx", "model.arch": "mlp", "model.hidden": [5]}
        (self.place / "c.toml").write_text(toml_text(settings))
        gradscape("train", "c.toml", "--out", "run", "--quiet", cwd=self.place)
        gradscape("sweep", self.place / "run", "--quiet", cwd="/")

    def test_idx_plain_and_zipped_give_the_same_run(self) -> None:
        for name, zipped in (("plain", False), ("zipped", True)):
            write_idx(self.place / f"data-{name}", zipped=zipped)
            self.make("run", FULL | {"data.source": "idx", "data.path": str(self.place / f"data-{name}"),
                                     "model.arch": "mlp", "model.hidden": [9, 7]}, self.place / name)
        self.assert_same_files(self.place / "plain", self.place / "zipped")
        # One and the same run, so either data can continue it.
        gradscape("run", self.place / "plain/config.toml", "--out", self.place / "plain", "--resume", "--quiet",
                  "--data.path", self.place / "data-zipped")

    def test_epochs(self) -> None:
        run = self.make("train", PLAIN | {"train.steps": 0, "train.epochs": 2}, self.place / "run")
        self.assertIn("8 of 8 (4 per epoch)", gradscape("info", run).stdout)

    @staticmethod
    def computing_threads(pid: int) -> int:
        """All but the one that touches the lock of the run."""
        names = [path.read_text().strip() for path in Path(f"/proc/{pid}/task").glob("*/comm")]
        return len(names) - names.count("heartbeat")

    def test_threads_from_the_environment(self) -> None:
        """OMP_NUM_THREADS, else SLURM_CPUS_PER_TASK, else all cores; seen in the threads of the process."""
        cores = len(os.sched_getaffinity(0))
        for given, more, expected in (((), {"OMP_NUM_THREADS": "3"}, 3), ((), {"SLURM_CPUS_PER_TASK": "5"}, 5),
                                      ((), {"OMP_NUM_THREADS": "3", "SLURM_CPUS_PER_TASK": "5"}, 3), ((), {}, cores),
                                      (("--threads", "4"), {"OMP_NUM_THREADS": "3"}, 4)):
            clean = {k: v for k, v in environment().items() if k != "OMP_NUM_THREADS"}
            out = self.place / "-".join((*given, *more))
            process = subprocess.Popen([BINARY, "train", self.write_config(slow_settings()), "--out", out, "--quiet",
                                        *given], env=clean | more)
            deadline = time.monotonic() + 30
            seen: list[int] = []
            # A thread just made has its parent's name for a moment: what counts is what stays.
            while seen[-3:] != [expected] * 3 and time.monotonic() < deadline and process.poll() is None:
                seen.append(self.computing_threads(process.pid))
                time.sleep(0.05)
            process.terminate()
            process.wait()
            self.assertEqual(seen[-3:], [expected] * 3, (given, more))


if __name__ == "__main__":
    main()
