#!/usr/bin/python3
"""Completions, the manual page and docs/reference.md, which are made from the same lists as the help and so checked against
it; first configurations; --json."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import tomllib
import unittest
from pathlib import Path
from typing import Any

import numpy as np

from support import BINARY, PLAIN, ROOT, TWO_VARIANTS, Case, attributes, datasets, environment, falsified, flip_a_bit, gradscape, main, whole_trace, write_tensors

SHELLS = ("bash", "zsh", "fish")


def verbs() -> list[str]:
    """As `gradscape --help` lists them."""
    groups = gradscape("--help").stdout.partition("\nExamples:")[0]
    return [name for name in re.findall(r"(?m)^  ([a-z][a-z-]+) +\w", groups) if name != "help"]


def options(verb: str) -> set[str]:
    """As `gradscape VERB --help-all` lists them."""
    text = gradscape(verb, "--help-all").stdout if "--help-all" in gradscape(verb, "--help").stdout else \
        gradscape(verb, "--help").stdout
    return set(re.findall(r"(?m)^  (--[a-z][\w.-]*)", text))


class Completion(Case):
    def setUp(self) -> None:
        super().setUp()
        self.script = self.place / "gradscape.bash"
        self.script.write_text(gradscape("completion", "bash").stdout)

    def complete(self, *words: str, cwd: Path | None = None) -> list[str]:
        """What bash offers for the last of the words."""
        command = (f"source {self.script}; COMP_WORDS=(gradscape \"$@\"); COMP_CWORD={len(words)}; _gradscape; "
                   "printf '%s\\n' \"${COMPREPLY[@]}\"")
        done = subprocess.run(["bash", "--norc", "-c", command, "bash", *words], cwd=cwd or self.place, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return [line for line in done.stdout.splitlines() if line]

    def test_bash_registers_it(self) -> None:
        done = subprocess.run(["bash", "--norc", "-c", f"source {self.script}; complete -p gradscape"], capture_output=True, text=True)
        self.assertIn("-F _gradscape gradscape", done.stdout)

    def test_bash_completes_verbs(self) -> None:
        self.assertEqual(set(self.complete("")), {*verbs(), "help", "--help", "--version"})
        self.assertEqual(self.complete("dist"), ["distributions"])
        self.assertEqual(self.complete("help", "num"), ["numerics"])
        self.assertEqual(self.complete("nothing-such"), [])

    def test_bash_completes_every_option_of_every_verb(self) -> None:
        for verb in verbs():
            self.assertEqual(set(self.complete(verb, "--")), options(verb), verb)
        self.assertEqual(self.complete("train", "--train.opt"), ["--train.optimizer"])

    def test_bash_completes_values(self) -> None:
        """Those that the help and the refusals name."""
        for words, expected in ((("run", "--isa", ""), {"auto", "avx2", "avx512"}), (("sweep", "--direction", ""), {"gradient", "update", "random"}),
                                (("run", "--train.engine", ""), {"auto", "direct", "winograd"}), (("merge", "x", "--kind", "s"), {"sweep", "shift", "surface"}),
                                (("export-surface", "f", "--to", "n"), {"npz"}), (("run", "--isa", "="), {"auto", "avx2", "avx512"}),
                                (("run", "--isa", "=", "avx5"), {"avx512"}), (("sweep", "--per-layer", ""), {"true", "false"}),
                                (("completion", ""), set(SHELLS)), (("new", ""), {"vgg", "resnet", "mlp", "own"}), (("run", "--threads", ""), set())):
            self.assertEqual(set(self.complete(*words)), expected, words)

    def test_every_value_that_is_offered_is_taken(self) -> None:
        config = self.write_config(PLAIN | {"train.steps": 1})
        for option in ("--model.norm", "--sweep.direction", "--train.engine", "--train.schedule", "--sweep.mode"):
            offered = self.complete("run", option, "")
            self.assertGreater(len(offered), 1)
            for value in offered:  # another option may have to go with it, but no value is unknown
                done = gradscape("plan", config, option, value, "--train.steps", "0", expect=2)
                self.assertNotIn("allowed", done.stderr, (option, value))

    def test_bash_completes_files(self) -> None:
        for name in ("a run", "b"):
            (self.place / "files" / name).mkdir(parents=True)
        (self.place / "files/c.toml").write_text("")
        cwd = self.place / "files"
        self.assertEqual(set(self.complete("sweep", "", cwd=cwd)), {"a run", "b"})
        self.assertEqual(self.complete("sweep", "a", cwd=cwd), ["a run"])
        self.assertEqual(set(self.complete("run", "", cwd=cwd)), {"a run", "b", "c.toml"})
        self.assertEqual(set(self.complete("run", "c.toml", "--data.path", "", cwd=cwd)), {"a run", "b"})
        self.assertEqual(set(self.complete("run", "--resume", "", cwd=cwd)), {"a run", "b", "c.toml"}, "a flag has no value")

    def test_each_script_holds_all(self) -> None:
        for shell in SHELLS:
            script = gradscape("completion", shell).stdout
            for verb in verbs():
                self.assertTrue(re.search(rf"\b{verb}\b", script), verb)
            for option in ("--multipliers", "--train.lr", "--probe-precision"):
                self.assertTrue((option if shell != "fish" else f"-l {option[2:]} ") in script, (shell, option))
            self.assertTrue("avx512" in script)

    def test_shells_read_their_scripts(self) -> None:
        """Those that are there; bash always is."""
        for shell in SHELLS:
            if shutil.which(shell) is None:
                continue
            path = self.place / f"script.{shell}"
            path.write_text(gradscape("completion", shell).stdout)
            done = subprocess.run([shell, "-n", path], capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""), shell)

    @unittest.skipUnless(shutil.which("fish"), "fish is not installed")
    def test_fish_completes(self) -> None:
        path = self.place / "gradscape.fish"
        path.write_text(gradscape("completion", "fish").stdout)

        def complete(line: str) -> set[str]:
            done = subprocess.run(["fish", "--no-config", "-c", f"source {path}; complete -C '{line}'"], capture_output=True, text=True,
                                  env=environment(HOME=str(self.place)))
            return {offer.split("\t")[0] for offer in done.stdout.splitlines()}

        self.assertEqual(complete("gradscape run --train.engine "), {"auto", "direct", "winograd"})
        self.assertEqual(complete("gradscape dist"), {"distributions"})
        self.assertEqual(complete("gradscape completion "), set(SHELLS))
        self.assertLessEqual({"--steps", "--multipliers"}, complete("gradscape sweep --"))

    @unittest.skipUnless(shutil.which("zsh"), "zsh is not installed")
    def test_zsh_completes(self) -> None:
        """The arguments that its own _arguments is given."""
        (self.place / "_gradscape").write_text(gradscape("completion", "zsh").stdout)
        program = ("_arguments() { print -rl -- \"$@\" }; _describe() { print -rl -- \"${(@P)2}\" }; compdef() { print registered $1 }; "
                   f"source {self.place}/_gradscape; CURRENT=2 words=(gradscape r); _gradscape; print SPLIT; "
                   "CURRENT=4; words=(gradscape sweep --direction ''); _gradscape")
        done = subprocess.run(["zsh", "-f", "-c", program], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        listed, _, given = done.stdout.partition("\nSPLIT\n")
        self.assertIn("registered _gradscape", listed)
        for verb in verbs():
            self.assertRegex(listed, rf"(?m)^{verb}:")
        self.assertIn("(gradient update random)", given)
        self.assertRegex(given, r"(?m)^1:RUN_DIR:_files -/$")
        self.assertLessEqual(options("sweep"), set(re.findall(r"(?m)^(--[\w.-]+)=?\[", given)))

    def test_refusals(self) -> None:
        gradscape("completion", "tcsh", expect=2, says=("\"tcsh\"", "one of: bash, zsh, fish"))
        gradscape("completion", expect=2, says=("SHELL",))
        gradscape("manual", "run", expect=2, says=("run: is not expected",))


class Manual(Case):
    def test_it_holds_all(self) -> None:
        page = gradscape("manual").stdout
        self.assertTrue(page.isascii())
        self.assertTrue(page.startswith(".TH GRADSCAPE 1 "))
        plain = page.replace("\\-", "-")
        for verb in verbs():
            section = re.search(rf"(?ms)^\.SS gradscape {verb} (.*?)(?=^\.S[HS] )", plain)[1]
            own = options(verb)
            keys = {option for option in own if "." in option}
            for option in own if keys == {"--data.path"} else own - keys:  # many keys are listed once, with the configuration
                self.assertTrue(re.search(rf"(?m)^\\fB{re.escape(option)}\b", section), (verb, option))
        for option in options("run"):  # keys of the configuration without their dashes
            name = option[2:] if "." in option else option
            self.assertTrue(re.search(rf"(?m)^\\fB{re.escape(name)}\b", plain), option)
        for code in ("0", "1", "2", "75", "130"):
            self.assertTrue(re.search(rf"(?m)^\\fB{code}\\fR$", plain), code)

    @unittest.skipUnless(shutil.which("groff"), "groff is not installed")
    def test_groff_prints_it_without_a_warning(self) -> None:
        page = gradscape("manual").stdout
        done = subprocess.run(["groff", "-Tutf8", "-man", "-ww"], input=page, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        text = re.sub(r"\x1b\[[\d;]*m|.\x08", "", done.stdout)
        for words in ("gradscape sweep RUN_DIR [options]", "--multipliers LIST", "--train.lr", "EXIT STATUS"):
            self.assertTrue(words in re.sub(r" +", " ", text.replace("‐", "-").replace("−", "-")), words)

    @unittest.skipUnless(shutil.which("man"), "man is not installed")
    def test_man_reads_it(self) -> None:
        path = self.place / "gradscape.1"
        path.write_text(gradscape("manual").stdout)
        done = subprocess.run(["man", "--warnings", "-l", path], capture_output=True, text=True, env=environment(MANPAGER="cat"))
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class Reference(Case):
    def test_the_documentation_holds_what_the_program_prints(self) -> None:
        path = ROOT / "docs/reference.md"
        self.assertTrue(path.read_text() == gradscape("manual", "--markdown").stdout,
                        f"docs/reference.md is not what the program prints; mend it with: {BINARY} manual --markdown > {path}")

    def test_it_holds_all(self) -> None:
        page = gradscape("manual", "--markdown").stdout
        self.assertLessEqual(max(map(len, page.splitlines())), 160)
        for verb in verbs():
            section = re.search(rf"(?ms)^### {verb}\n(.*?)^##", page)[1]
            self.assertIn(f"`gradscape {verb} ", section)
            for option in options(verb):
                if "." not in option or option == "--data.path" and verb == "sweep":
                    self.assertRegex(section, rf"(?m)`{option}\b")
        for option in options("run"):
            if "." in option:
                self.assertRegex(page, rf"(?m)^- `{re.escape(option[2:])}`: ")
        for variable in ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK", "GRADSCAPE_CIFAR10", "TMPDIR"):
            self.assertRegex(page, rf"`[^`]*\b{variable}\b[^`]*`: ")
        for code in ("0", "1", "2", "75", "130"):
            self.assertIn(f"\n- `{code}`: ", page)

    def test_markdown_takes_nothing_in_it_for_its_own(self) -> None:
        """No line within an item begins as a list, a quotation or a heading does; code is closed on its line."""
        fenced = False
        for line in gradscape("manual", "--markdown").stdout.splitlines():
            fenced ^= line.startswith("```")
            if not fenced and not line.startswith("```"):
                self.assertEqual(line.count("`") % 2, 0, line)
                self.assertNotRegex(line, r"^ +(>|#|[-+*] |\d+[.)] )")
                self.assertNotRegex(re.sub(r"`[^`]*`", "", line), r"(?<!\\)<\w|(?<!\\)\*", line)
        self.assertFalse(fenced)

    def test_its_links_lead_somewhere(self) -> None:
        page = gradscape("manual", "--markdown").stdout
        headings = {re.sub(r"[^\w -]", "", name.lower()).replace(" ", "-") for name in re.findall(r"(?m)^##+ (.*)$", page)}
        found = set(re.findall(r"\]\(#([^)]*)\)", page))
        self.assertGreater(len(found), len(verbs()))
        self.assertLessEqual(found, headings)


class New(Case):
    def test_each_is_read_and_trained(self) -> None:
        for kind in ("vgg", "resnet", "mlp", "own"):
            done = gradscape("new", kind, cwd=self.place)
            self.assertEqual(done.stdout, f"{kind}.toml\n")
            self.assertIn(f"gradscape run {kind}.toml", done.stderr)
            path = self.place / f"{kind}.toml"
            text = path.read_text()
            self.assertLessEqual(max(map(len, text.splitlines())), 120)
            self.assertGreater(text.count("#"), 12)
            self.assertIn("network", gradscape("info", path).stdout)
            gradscape("train", path, "--train.steps", 2, "--data.synthetic_train", 128, "--data.synthetic_test", 32, "--quiet", cwd=self.place)
            self.assertTrue(list((self.place / f"runs/{kind}").rglob("checkpoints/step-00000002.h5")))

    def test_it_names_itself(self) -> None:
        gradscape("new", "mlp", "--out", self.place / "first.toml")
        self.assertIn(f"# gradscape run {self.place}/first.toml  ", (self.place / "first.toml").read_text())
        gradscape("new", "mlp", "--out", self.place / "two\nlines.toml")
        self.assertIn("# gradscape run mlp.toml", (self.place / "two\nlines.toml").read_text())
        self.assertIn("network", gradscape("info", self.place / "two\nlines.toml").stdout)

    def test_its_comments_are_keys(self) -> None:
        """What a comment offers is taken once the # is gone: CIFAR-10, seeds, epochs."""
        gradscape("new", "vgg", cwd=self.place, says=("run it with",))
        path = self.place / "vgg.toml"
        text = re.sub(r"(?m)^source = \"synthetic\".*\n|^synthetic_.*\n", "", path.read_text())
        text = re.sub(r"(?m)^# (source|path|augment_\w+|seeds) = ", r"\1 = ", text)
        self.assertEqual(tomllib.loads(text)["data"], {"source": "cifar10", "path": "data/cifar10/cifar-10-batches-bin",
                                                       "augment_flip": True, "augment_crop": 4})
        path.write_text(text)
        told = gradscape("info", path).stdout
        self.assertIn("2 variants, 3 seeds", told)
        self.assertIn("cifar10 in ", told)

    def test_it_overwrites_nothing(self) -> None:
        path = self.place / "mine.toml"
        path.write_text("mine")
        gradscape("new", "mlp", "--out", path, expect=2, says=(f"{path}: is there already", "--out"))
        self.assertEqual(path.read_text(), "mine")
        link = self.place / "link.toml"
        link.symlink_to(self.place / "elsewhere.toml")
        gradscape("new", "mlp", "--out", link, expect=2, says=("is there already",))
        self.assertFalse((self.place / "elsewhere.toml").exists())

    def test_refusals(self) -> None:
        gradscape("new", "cnn", expect=2, says=("\"cnn\"", "one of: vgg, resnet, mlp, own"), cwd=self.place)
        gradscape("new", expect=2, says=("KIND",), cwd=self.place)
        gradscape("new", "own", "--out", self.place / "none/own.toml", expect=1, says=("none/own.toml", "cannot be made"))
        gradscape("new", "own", "--out", "/dev/full", expect=2, says=("is there already",))
        self.assertEqual(list(self.place.iterdir()), [])


class Json(Case):
    """One object, and nothing else, from every verb that has --json; what it says is what the files hold."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.config = cls.write_config(PLAIN, tail=TWO_VARIANTS)
        cls.study = cls.shared / "study"
        gradscape("run", cls.config, "--out", cls.study, "--quiet")

    def ask(self, *arguments: object, **options: Any) -> dict:
        def refuse(text: str) -> None:
            raise AssertionError(f"{text} is no JSON")

        done = gradscape(*arguments, "--json", **options)
        document = json.loads(done.stdout, parse_constant=refuse)
        self.assertIsInstance(document, dict)
        if not options.get("expect"):
            self.assertEqual([line for line in done.stderr.splitlines() if "gradscape:" in line], [])
        return document

    def test_one_object_from_each(self) -> None:
        for command in (("info", self.config), ("info", self.study), ("status", self.study), ("verify", self.study, "--cells", 1),
                        ("merge", self.study), ("numerics", self.study), ("plan", self.config, "--out", self.place / "p"),
                        ("bench", self.config, "--variant", "bn", "--repetitions", 1)):
            document = self.ask(*command)
            names = set()

            def collect(value: Any) -> None:
                if isinstance(value, dict):
                    names.update(value)
                for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
                    collect(one)

            collect({name: value for name, value in document.items() if command[0] not in ("numerics", "bench")})
            for name in names:
                self.assertRegex(name, r"^[a-z][a-z0-9_]*$")

    def test_info_of_a_run(self) -> None:
        document = self.ask("info", self.study)
        self.assertEqual((document["path"], document["kind"], len(document["runs"])), (str(self.study), "runs", 2))
        run, = (run for run in document["runs"] if run["variant"] == "bn")
        directory = self.study / "bn"
        self.assertEqual((run["directory"], run["step"], run["total_steps"], run["checkpoints"]), (str(directory), 10, 10, [0, 4, 8, 10]))
        self.assertEqual(run["configuration"]["train"]["lr"], 0.05)
        self.assertEqual(run["last_step"]["loss"], whole_trace(directory)["loss"][9], "all digits")
        self.assertEqual(run["surveys"], [{"kind": "sweep", "name": "main", "shards": 4,
                                           "merged": {"file": str(directory / "landscape.h5"), "stale_because": None}}])
        stored = tomllib.loads((directory / "config.toml").read_text())
        for section, keys in stored.items():
            for key, value in keys.items():
                self.assertEqual(run["configuration"][section][key], value, (section, key))

    def test_info_of_files(self) -> None:
        directory = self.study / "none"
        grid = datasets(directory / "landscape.h5")
        told = self.ask("info", directory / "landscape.h5")
        self.assertEqual((told["kind"], told["steps"], told["multipliers"], told["direction"]), ("grid", grid["step"].tolist(), [0.5, 2.0], "gradient"))
        self.assertEqual(sum(told["cells"].values()), grid["loss"].size)
        self.assertEqual(told["data_fingerprint"], attributes(directory / "landscape.h5")["data_fingerprint"])
        told = self.ask("info", directory / "checkpoints/step-00000004.h5")
        self.assertEqual((told["kind"], told["step"], told["optimizer_state"]), ("checkpoint", 4, []))
        trace = whole_trace(directory)
        told = self.ask("info", directory / "trace/segment-00000004-00000008.h5")
        self.assertEqual((told["kind"], told["first_step"], told["last_step"]["step"], told["last_step"]["grad_norm"]), ("trace", 4, 7, trace["grad_norm"][7]))
        weights = write_tensors(self.place / "w.safetensors", {"a": np.zeros((2, 3), "<f4")}, {"by": "hand"})
        told = self.ask("info", weights)
        self.assertEqual((told["kind"], told["metadata"], told["values"]), ("safetensors", {"by": "hand"}, 6))
        self.assertEqual(told["tensors"], [{"name": "a", "type": "F32", "shape": [2, 3]}])

    def test_info_of_a_network(self) -> None:
        networks = self.ask("info", self.config)["networks"]
        self.assertEqual([network["variants"] for network in networks], [["none"], ["bn"]])
        for network in networks:
            self.assertEqual(sum(layer["parameters"] for layer in network["layers"]), network["parameters"])
            self.assertEqual(sum(layer["multiply_adds"] for layer in network["layers"]), network["multiply_adds"])
            self.assertIn("conv", network["text"])
        gone = self.write_config(PLAIN | {"data.source": "idx", "data.path": str(self.place / "gone"), "model.arch": "mlp"})
        self.assertIsNone(self.ask("info", gone)["networks"])

    def test_merge_names_its_files(self) -> None:
        document = self.ask("merge", self.study)
        self.assertEqual(document, {"kind": "sweep", "name": "main", "files": [str(self.study / name / "landscape.h5") for name in ("bn", "none")]})
        broken = self.copy(self.study)
        (broken / "bn/sweep/main/segment-00000004-00000008.h5").unlink()
        document = self.ask("merge", broken, expect=1, says=("bn",))
        self.assertEqual(document["files"], [str(broken / "none/landscape.h5")])

    def test_verify_lists_what_is_wrong(self) -> None:
        document = self.ask("verify", self.study, "--cells", 2)
        self.assertTrue(document["all_right"])
        self.assertEqual([(run["directory"], run["cells"], run["problems"]) for run in document["runs"]],
                         [(str(self.study / name), 2, []) for name in ("bn", "none")])
        broken = self.copy(self.study)
        flip_a_bit(broken / "bn/landscape.h5")
        document = self.ask("verify", broken, "--cells", 0, expect=1, says=("problem",))
        self.assertFalse(document["all_right"])
        self.assertTrue(any("bn/landscape.h5" in problem for problem in document["problems"]))
        self.assertEqual([bool(run["problems"]) for run in document["runs"]], [True, False])

    def test_what_is_not_finite_is_null(self) -> None:
        run = self.make("train", PLAIN | {"train.lr": 1e30, "train.steps": 4}, self.place / "run")
        self.assertTrue(math.isnan(whole_trace(run)["loss"][3]))
        self.assertIsNone(self.ask("info", run)["runs"][0]["last_step"]["loss"])

    def test_errors_are_texts_on_stderr(self) -> None:
        for command in (("info", self.place / "none"), ("status", self.place / "none"), ("verify", self.place / "none"), ("merge", self.place / "none"),
                        ("numerics", self.place / "none"), ("bench", self.place / "none"), ("plan", self.place / "none")):
            done = gradscape(*command, "--json", expect=(1, 2), says=(str(self.place / "none"),))
            self.assertEqual(done.stdout, "")
        gradscape("info", self.config, "--json", "--digest", expect=2, says=("--json", "--digest"))
        gradscape("info", self.config, "--json", "--network", expect=2, says=("--json", "--network"))


class Debug(Case):
    """What was being done, and a command that fails in the same way."""

    @staticmethod
    def first_line(text: str) -> str:
        return next(line for line in text.splitlines() if line.startswith("gradscape: "))

    def again(self, errors: str, **options: Any) -> subprocess.CompletedProcess:
        command = re.search(r"(?m)^again: (.*)$", errors)[1]
        return subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment(), **options)

    def test_a_step_of_a_sweep(self) -> None:
        """The command that it prints looks at the one run and the one step."""
        config = self.write_config(PLAIN, tail=TWO_VARIANTS)
        study = self.place / "the study"
        gradscape("train", config, "--out", study, "--quiet")
        with falsified(study / "none/trace/segment-00000004-00000008.h5") as file:
            file["loss"][2] += 1  # of step 6
        plain = gradscape("sweep", study, "--multipliers", "0.5,4", "--task=0/1", "--quiet", expect=1, says=("step 6: replay does not",))
        self.assertNotIn("while:", plain.stderr)
        done = gradscape("sweep", study, "--multipliers", "0.5,4", "--task=0/1", "--quiet", "--debug", expect=1)
        self.assertTrue(done.stderr.startswith(plain.stderr))
        trace = re.search(r"(?s)while:\n(.*?)again:", done.stderr)[1].splitlines()
        self.assertEqual(trace[:3], ["  computing step 6", "  making the shard of steps 4 to 7", f"  sweep {study}/none"])
        self.assertRegex(done.stderr, r"(?m)^program: \d+\.\d+\.\d+ \(.+\), 1 thread, avx")
        command = re.search(r"(?m)^again: (.*)$", done.stderr)[1]
        self.assertIn(f"'{study}/none' --multipliers 0.5,4", command)
        self.assertIn("--steps 6", command)
        self.assertNotIn("--task", command)
        repeated = self.again(done.stderr)
        self.assertEqual((repeated.returncode, self.first_line(repeated.stderr)), (1, self.first_line(done.stderr)))
        # A name, or a step, with which the folder's name begins is no folder.
        named = gradscape("sweep", "the study", "--name", "the", "--quiet", "--debug", expect=1, cwd=self.place)
        self.assertIn(" 'the study/none' --name the --quiet --debug --steps 6", named.stderr)

    def test_training(self) -> None:
        run = self.make("train", PLAIN, self.place / "run")
        (run / "trace/segment-00000004-00000008.h5").unlink()
        with falsified(run / "checkpoints/step-00000008.h5") as file:
            file["parameters/classifier.4.bias"][0] += 1
        config = run / "config.toml"
        done = gradscape("train", config, "--out", run, "--resume", "--quiet", "--debug", expect=1, says=("does not reproduce",))
        self.assertIn(f"\n  training {run}\n", done.stderr)
        repeated = self.again(done.stderr)
        self.assertEqual((repeated.returncode, self.first_line(repeated.stderr)), (1, self.first_line(done.stderr)))

    def test_files_and_arguments(self) -> None:
        """Also where the command line itself is wrong."""
        bad = self.place / "it's bad.h5"
        bad.write_bytes(b"no HDF5 file")
        done = gradscape("info", bad, "--debug", expect=1)
        self.assertIn(f"while:\n  reading {bad}\n", done.stderr)
        repeated = self.again(done.stderr)
        self.assertEqual((repeated.returncode, repeated.stderr), (1, done.stderr))
        config = self.write_config(PLAIN | {"train.lr": "fast"})
        gradscape("run", config, "--debug", expect=2, says=(f"  reading the configuration {config}\n  gradscape run {config} --debug\n",))
        done = gradscape("sweep", "--debug", "--bogus", expect=2, says=("while:\n  gradscape sweep --debug --bogus\n",))
        self.assertEqual(self.again(done.stderr).stderr, done.stderr)

    def test_nothing_where_nothing_failed(self) -> None:
        self.assertEqual(gradscape("info", self.write_config(PLAIN), "--debug").stderr, "")


if __name__ == "__main__":
    main()
