#!/usr/bin/python3
"""Mistakes in configuration files and flags: exit code 2, file and line, key, value, what is allowed, the nearest
name."""

from __future__ import annotations

import os
import shutil

from support import BINARY, PLAIN, Case, flags, gradscape, main, toml_text, write_idx


class BadConfig(Case):
    def assert_refused(self, text: str, *says: str, verb: str = "train") -> None:
        """`text` is a configuration file; nothing may be written for it."""
        path = self.place / "bad.toml"
        path.write_text(text)
        out = self.place / "out"
        gradscape(verb, path, *(("--out", out) if verb != "info" else ()), expect=2, says=says)
        self.assertFalse(out.exists())

    def assert_flag_refused(self, *arguments: object, says: tuple[str, ...]) -> None:
        config = self.write_config(PLAIN, self.place / "good.toml")
        gradscape("train", config, "--out", self.place / "out", *arguments, expect=2, says=says)
        self.assertFalse((self.place / "out").exists())

    def test_unknown_key(self) -> None:
        self.assert_refused("[train]\nsteps = 5\nlearning = 1\n", "bad.toml:3: ", "train.learning", "= 1")
        self.assert_refused("[train]\nsteps = 5\n\nmomentun = 0.5\n", "bad.toml:4: ", "train.momentun", "0.5",
                            "did you mean train.momentum?")
        self.assert_refused("[model]\nlr = 0.5\n", "bad.toml:2: ", "model.lr", "there is train.lr")
        self.assert_refused("[train]\nsteps = 5\n[train.inner]\nlr = 1\n", "bad.toml:3: ", "train.inner")

    def test_unknown_section(self) -> None:
        self.assert_refused("[trian]\nsteps = 5\n", "bad.toml:1: ", "unknown section trian", "did you mean train?")
        self.assert_refused("steps = 5\n", "bad.toml:1: ", "unknown key steps", "train.steps")
        self.assert_refused("train = 5\n", "bad.toml:1: ", "train = 5", "[train]")

    def test_in_a_variant(self) -> None:
        head = "[train]\nsteps = 5\n[[variant]]\nname = \"a\"\n"
        self.assert_refused(head + "model.nrom = \"batch\"\n", "bad.toml:5: ", "model.nrom", "did you mean model.norm?")
        self.assert_refused(head + "model.norm = \"bach\"\n", "bad.toml:5: ", "model.norm = \"bach\"", "\"batch\"?")
        self.assert_refused(head + "[[variant]]\nname = \"a\"\n", "bad.toml:5: ", "\"a\" is there twice")
        self.assert_refused(head + "[[variant]]\ntrain.lr = 1\n", "bad.toml:5: ", "no name")
        self.assert_refused(head + "[[variant]]\nname = \"../x\"\n", "bad.toml:5: ", "variant.name = \"../x\"")
        self.assert_refused(head + "[[variant]]\nname = 7\n", "bad.toml:5: ", "name")
        self.assert_refused("variant = 3\n[train]\nsteps = 5\n", "bad.toml:1: ", "[[variant]]")

    def test_wrong_type(self) -> None:
        for line, allowed in (("train.steps = 1.5", "whole number"), ("train.steps = \"ten\"", "whole number"),
                              ("train.lr = \"fast\"", "number"), ("train.nesterov = 1", "true | false"),
                              ("model.arch = 3", "vgg-a | vgg-11 | vgg-13 | vgg-16 | vgg-19 | lenet | "),
                              ("model.hidden = 128", "list of whole numbers"),
                              ("model.hidden = [1.5]", "list of whole numbers"), ("data.path = false", "text"),
                              ("sweep.multipliers = 2.0", "list of numbers"),
                              ("sweep.multipliers = [1, \"a\"]", "list of numbers"),
                              ("train.seed = true", "whole number")):
            key = line.split(" = ")[0]
            self.assert_refused(f"# a comment\n{line}\n", "bad.toml:2: ", key, "wrong type", f"allowed: {allowed}")

    def test_out_of_range(self) -> None:
        for line, allowed in (("train.lr = -0.1", "> 0"), ("train.lr = 0", "> 0"), ("train.lr = inf", "> 0"),
                              ("train.lr = nan", "> 0"), ("train.steps = -1", ">= 0"), ("train.batch_size = 0", ">= 1"),
                              ("train.checkpoint_every = 0", ">= 1"), ("train.momentum = 1.0", "< 1"),
                              ("train.seed = -1", ">= 0"), ("model.width = 0", "> 0"), ("model.width = 17", "<= 16"),
                              ("model.hidden = [8, 0]", ">= 1"), ("model.dropout = 1.0", "< 1"),
                              ("model.norm_eps = 0.0", "> 0"), ("model.norm_momentum = 1.5", "<= 1"),
                              ("data.augment_crop = 17", "<= 16"), ("data.synthetic_train = 0", ">= 1"),
                              ("data.train_limit = -1", ">= 0"), ("sweep.every = 0", ">= 1"),
                              ("sweep.first = -1", ">= 0"), ("sweep.last = -2", ">= -1"),
                              ("sweep.multipliers = [1.0, 0.0]", "not 0"), ("sweep.step_sizes = [nan]", "finite")):
            key = line.split(" = ")[0]
            self.assert_refused(f"\n\n{line}\n", "bad.toml:3: ", key, "is not allowed", allowed)

    def test_unknown_choice(self) -> None:
        for key, value, near in (("data.source", "cifar", "cifar10"), ("data.standardise", "halve", "half"),
                                 ("model.arch", "vgga", "vgg-a"), ("model.activation", "relo", "relu"),
                                 ("model.norm", "bat", "batch"), ("model.init", "xavier", None),
                                 ("train.optimizer", "sdg", "sgd"), ("train.schedule", "cosin", "cosine"),
                                 ("train.precision", "doubel", "double"), ("sweep.direction", "gradiant", "gradient")):
            self.assert_refused(f"{key} = \"{value}\"\n", "bad.toml:1: ", f"{key} = \"{value}\"", "allowed: ",
                                *([f"did you mean \"{near}\"?"] if near else []))

    def test_fields_that_do_not_go_together(self) -> None:
        for text, words in (("[train]\nlr = 0.1\n", "train.steps"),
                            ("[train]\nsteps = 5\nepochs = 1\n", "train.epochs"),
                            ("[train]\nsteps = 5\nnesterov = true\n", "momentum"),
                            ("[train]\nsteps = 5\nschedule = \"step\"\n", "train.schedule_step"),
                            ("[train]\nsteps = 5\n[sweep]\nmultipliers = []\n", "sweep.multipliers"),
                            ("[train]\nsteps = 9\n[sweep]\nfirst = 5\nlast = 2\n", "sweep.last = 2")):
            self.assert_refused(text, "bad.toml", words)

    def test_probes_outside_the_run(self) -> None:
        settings = PLAIN | {"train.steps": 5, "sweep.first": 6}
        self.assert_refused(toml_text(settings), "steps 0 to 5", verb="run")
        self.assert_refused(toml_text(PLAIN | {"train.steps": 5, "sweep.last": 6}), "steps 0 to 5", verb="run")

    def test_not_toml(self) -> None:
        self.assert_refused("[train]\nsteps = = 5\n", "bad.toml:2:", "not valid TOML")
        self.assert_refused("[train]\nsteps = 5\nsteps = 6\n", "bad.toml:3", "not valid TOML")
        self.assert_refused("[train\n", "bad.toml:1:", "not valid TOML")
        self.assert_refused("\x00\x01\xff", "bad.toml:1", "not valid TOML")
        self.assert_refused("[train]\nsteps = 99999999999999999999\n", "bad.toml:2:")
        gradscape("train", self.place / "none.toml", expect=2, says=("none.toml", "cannot be read"))
        gradscape("info", self.place / "none.toml", expect=(1, 2), says=("none.toml",))

    def test_files_that_are_none(self) -> None:
        """A pipe or a device may never end: it is refused without being opened, and no signal is swallowed."""
        pipe = self.place / "pipe.toml"
        os.mkfifo(pipe)
        (self.place / "link.toml").symlink_to(pipe)
        (self.place / "zero.toml").symlink_to("/dev/zero")
        (self.place / "lost.toml").symlink_to("nowhere")
        (self.place / "loop.toml").symlink_to("loop.toml")
        for name, words in (("pipe", "it is a pipe"), ("link", "it is a pipe"), ("zero", "it is a device"),
                            ("lost", "link to a file that does not exist"), ("loop", "leads back to itself")):
            for verb in ("train", "run", "numerics", "plan", "bench"):
                gradscape(verb, self.place / f"{name}.toml", expect=2, timeout=10, says=(f"{name}.toml", words))
            for verb in ("info", "status"):
                gradscape(verb, self.place / f"{name}.toml", expect=(1, 2), timeout=10, says=(f"{name}.toml",))
        run = self.place / "run"
        run.mkdir()
        os.mkfifo(run / "config.toml")
        for verb in ("info", "status", "sweep", "merge", "verify"):
            gradscape(verb, run, expect=2, timeout=10)

    def test_size_and_depth(self) -> None:
        """Bounded before anything is made of them: neither memory nor stack runs out."""
        deep = 50000
        self.assert_refused("#" * (1 << 20) + "\n[train]\nsteps = 5\n", "bad.toml", "at most 1048576 bytes")
        for text in ("a." * deep + "a = 1\n", "[" + "a." * deep + "a]\n", "'a'.\"=\\\".\"." * deep + "a = 1\n",
                     "[[" + "a . " * deep + "a]]\n", "x = {" + "a." * deep + "a = 1}\n"):
            self.assert_refused("[train]\nsteps = 5\n" + text, "bad.toml:3", "more than 17 parts")
        for text in ("train.steps = " + "[" * deep, "train.steps = " + "[" * deep + "]" * deep,
                     "train.steps = " + "{a = " * deep, "train.steps = " + "{a.a.a.a.a.a = [" * (deep // 3)):
            self.assert_refused(text + "\n", "bad.toml:1:", "not valid TOML")
        # The deepest that is read: told of, and taken apart again.
        parts = ".".join(["a"] * 17)
        self.assert_refused("model.b = " + f"{{{parts} = [" * 120 + "]}" * 120 + "\n", "bad.toml:1: ",
                            "unknown key model.b")
        dots = "/".join([".."] * 40)  # are no parts of a key in strings and comments
        self.assert_refused(f"data.path = \"{dots}\" # {dots}\ndata.source = '''a\n{dots}\"'''\n", "bad.toml:2: ",
                            "data.source")

    def test_a_zero_byte(self) -> None:
        self.assert_refused("data.path = \"a\\u0000b\"\n", "bad.toml:1: ", "data.path holds a zero byte")
        self.assert_refused("[train]\nsteps = 5\0\n", "bad.toml:2:", "not valid TOML")

    def test_info_refuses_what_train_refuses(self) -> None:
        self.assert_refused("[train]\nstep = 5\n", "bad.toml:2: ", "train.steps?", verb="info")

    def test_flags(self) -> None:
        self.assert_flag_refused("--trian.lr", 1, says=("--trian.lr", "did you mean --train.lr?"))
        self.assert_flag_refused("--resumee", says=("--resumee", "did you mean --resume?"))
        self.assert_flag_refused("--train.lr", "fast", says=("--train.lr", "\"fast\"", "number > 0"))
        self.assert_flag_refused("--train.lr=-1", says=("--train.lr", "-1.0", "> 0"))
        self.assert_flag_refused("--train.lr", "nan", says=("--train.lr", "nan", "> 0"))
        self.assert_flag_refused("--train.lr", "0.1x", says=("--train.lr", "0.1x"))
        self.assert_flag_refused("--train.steps", "1e3", says=("--train.steps", "1e3", "whole number"))
        self.assert_flag_refused("--train.nesterov", "yes", says=("--train.nesterov", "true | false"))
        self.assert_flag_refused("--model.norm", "bathc", says=("--model.norm", "did you mean \"batch\"?"))
        self.assert_flag_refused("--sweep.multipliers", "1,0", says=("--sweep.multipliers", "[1.0, 0.0]", "not 0"))
        self.assert_flag_refused("--sweep.multipliers", "1,,2", says=("--sweep.multipliers", "1,,2"))
        self.assert_flag_refused("--train.lr", says=("--train.lr",))
        self.assert_flag_refused("second.toml", says=("second.toml",))
        self.assert_flag_refused("--variant", "bn", says=("--variant", "\"bn\"", "no [[variant]]"))
        self.assert_flag_refused("--resume", "--force", says=("--resume", "--force"))

    def test_lists_that_are_none(self) -> None:
        """The message shows the form."""
        for text in ("1,,2", "1 2, 3", "[1, 2", "a"):
            self.assert_flag_refused("--sweep.multipliers", text, says=("--sweep.multipliers", text, "0.5,1,2"))
            self.assert_refused(f"\nsweep.multipliers = \"{text}\"\n", "bad.toml:2: sweep.multipliers: ", text,
                                "[0.5, 1, 2]")
        self.assert_flag_refused("--model.hidden", "8 x", says=("--model.hidden", "1,2,3"))
        self.assert_refused("model.hidden = 128\n", "bad.toml:1: ", "[1, 2, 3]")
        self.assert_flag_refused("--sweep.multipliers", "0.5", "1", says=("1: is not expected", "0.5,1,2"))
        self.assert_refused("sweep.also = [\"shift\", 0.5]\n", "bad.toml:1: ", "sweep.also", "wrong type")

    def test_a_folder_in_place_of_a_file(self) -> None:
        study = self.place / "study"
        run = self.make("train", PLAIN | {"train.steps": 1}, study / "one")
        gradscape("train", run, expect=2, says=(f"{run}: is a folder", f"{run}/config.toml --out {run} --resume"))
        gradscape("train", run / "config.toml", "--out", run, "--resume", "--quiet")
        gradscape("run", study, expect=2, says=(f"{study}: is a folder", "it holds runs", "sweep, merge, status"))
        (self.place / "a.toml").write_text("")
        gradscape("plan", self.place, expect=2, says=("is a folder", "it holds a.toml"))

    def test_a_path_without_a_file(self) -> None:
        """The nearest name, else an example that is there: in the working directory, or beside the program."""
        folder = self.place / "configs"
        folder.mkdir()
        (folder / "quickstart.toml").write_text(toml_text(PLAIN))
        for typed in ("configs/quikstart.toml", "configs/quickstart", "configs/quickstart.tml"):
            gradscape("train", typed, expect=2, says=(typed, "did you mean configs/quickstart.toml?"), cwd=self.place)
        gradscape("train", "other", expect=2, says=("hint: gradscape new writes one; an example: configs/quickstart.toml\n",), cwd=self.place)
        program = self.place / "alone/program"
        program.parent.mkdir()
        shutil.copy(BINARY, program)
        elsewhere = gradscape("train", "other", expect=2, cwd="/", binary=str(program)).stderr
        self.assertIn(f"; an example: {folder}/quickstart.toml\n", elsewhere)
        shutil.rmtree(folder)
        self.assertIn("hint: gradscape new writes one\n", gradscape("train", "other", expect=2, cwd="/", binary=str(program)).stderr)

    def test_who_is_to_blame(self) -> None:
        run = self.make("train", PLAIN | {"train.steps": 3}, self.place / "run")
        gradscape("sweep", run, "--steps", "0:2:1", "--multipliers", "0.1,0.1", expect=2,
                  says=("gradscape: --multipliers: sweep.multipliers holds 0.1 more than once",))
        gradscape("sweep", run, "--multipliers", "0.1,0.2", "--steps", "2:1", expect=2, says=("gradscape: --steps: ",))
        gradscape("sweep", run, "--steps", "0-200", expect=2, says=("--steps: \"0-200\"", "first:last:every"))
        self.assert_flag_refused("--sweep.multipliers", "1,1", says=("good.toml with --sweep.multipliers: ", "1 more"))
        self.assert_refused("[train]\nsteps = 1\n[sweep]\nmultipliers = [1, 1]\n", "bad.toml: sweep.multipliers holds")

    def test_numbers_that_no_integer_holds(self) -> None:
        number = "99999999999999999999"
        for text, line in ((f"[train]\nsteps = {number}\n", 2), (f"\ntrain.steps = {number}\n", 2),
                           (f"[sweep]\nevery = 2\n[train]\n# steps\n  steps={number}\n", 5)):
            self.assert_refused(text, f"bad.toml:{line}:", "train.steps", number, "whole number >= 0")
        self.assert_flag_refused("--train.steps", number, says=("--train.steps", number, "whole number"))

    def test_usage_mistakes_are_code_2(self) -> None:
        """Some that everybody makes, with every verb."""
        config = self.write_config(PLAIN | {"train.steps": 3, "train.checkpoint_every": 2}, self.place / "c.toml",
                                   tail='[[variant]]\nname = "none"\n[[variant]]\nname = "bn"\nmodel.norm = "batch"\n')
        gradscape("run", config, "--out", self.place / "runs", "--quiet")
        for line in """
                | --help
                plot | plot.py landscape
                report | report.py runs/NAME
                draw RUN | plot.py landscape
                frob | there are: run, train
                help frob | no verb "frob"
                -x | a verb is missing
                --threads 2 run CONFIG | options follow it: gradscape run
                run | CONFIG is required
                run nope.toml | there is no such file
                run FOLDER | is a folder
                run CONFIG --frob | gradscape run --help
                run CONFIG --lr | --train.lr
                run CONFIG --lr fast | --train.lr: "fast"
                run CONFIG --lr -1 | number > 0
                run CONFIG --steps 10 | --train.steps or --sweep.steps
                run CONFIG --layers 1 | --sweep.layers
                run CONFIG --learning-rate 1 | --train.lr
                run CONFIG --sweep.multipliers 0.5 1 | 0.5,1,2
                run CONFIG --sweep.multipliers 1,1 | more than once
                run CONFIG --sweep.frist 1 | --sweep.first
                run CONFIG --norm bach | did you mean "batch"
                run CONFIG --variant bnn | did you mean "bn"
                run CONFIG --scale no | --scale
                run CONFIG --resume --force | --force
                run CONFIG --out FOLDER | --resume
                run CONFIG --sweep.first 99 | steps 0 to 3
                train CONFIG CONFIG | is not expected by gradscape train
                train CONFIG --epochs 2 | train.epochs = 2
                train CONFIG --task 3/3 | 0/3 to 2/3
                train CONFIG --task one | i/n
                train CONFIG --data.source cifar | did you mean "cifar10"
                sweep | RUN_DIR is required
                sweep nope | does not exist
                sweep CONFIG | holds no run
                sweep RUN --steps 0-2 | first:last:every
                sweep RUN --steps 0:99 | steps 0 to 3
                sweep RUN --steps all | first:last:every
                sweep RUN --multipliers 0 | not 0
                sweep RUN --multipliers 1,1 | --multipliers
                sweep RUN --direction up | gradient | update
                sweep RUN --layers true | --per-layer
                sweep RUN --per-layer maybe | true | false
                sweep RUN --lr 0.1 | a run keeps its train.lr
                sweep RUN --task 2/2 | 0/2 to 1/2
                sweep RUN --name a/b | --name
                sweep RUN --noise fresh | --name
                merge nope | does not exist
                merge RUN --kind swep | one of: sweep
                merge RUN --name .. | --name
                merge RUN --partail | --partial
                status nope | does not exist
                status RUN --missing | --tasks
                status RUN --tasks 0 | 1 or more
                status RUN --tasks two | is not a whole number
                status RUN --out x | --out
                status RUN/landscape.h5 | no directory and no .toml
                verify nope | does not exist
                verify CONFIG | holds no run
                verify RUN --cells -1 | 0 or more
                verify RUN --cells many | is not a whole number
                info | PATH is required
                info nope | does not exist
                info RUN --digset | --digest
                numerics nope.toml | there is no such file
                numerics FOLDER/nope | there is no such file
                numerics RUN --step 1 | no checkpoint of step 1
                numerics RUN --step x | is not a whole number
                numerics RUN --seed 1 | run directory
                numerics CONFIG --step 0 | run directory only
                numerics CONFIG --lr 1 | has no effect on numerics
                bench nope.toml | there is no such file
                bench CONFIG | --variant NAME
                bench --layers | --per-layer
                bench --repetitions 0 | 1 or more
                bench --isa sse | auto | avx2
                bench --threads two | --threads: "two" is not a whole number
                plan CONFIG --tasks 0 | 1 or more
                plan CONFIG --resume | --resume
                plan CONFIG --rate-from nope | does not exist
                shift nope | does not exist
                shift RUN --layers foo | features.0
                shift RUN --layers 99 | features.0
                shift RUN --bins 4 | --bins
                shift RUN --steps 2:1 | --steps
                distributions RUN --bins 0 | 1 or more
                theorem FOLDER/none | model.norm = "batch"
                theorem RUN --layers 99 | there is no layer""".splitlines()[1:]:
            command, _, words = line.strip().partition(" | ") if not line.strip().startswith("|") else ("", "", "--help")
            command = command.replace("RUN", f"{self.place}/runs/bn").replace("FOLDER", f"{self.place}/runs")
            with self.subTest(command=command):
                gradscape(*command.replace("CONFIG", str(config)).split(), expect=2, says=(words,), cwd=self.place)

    def test_what_other_programs_call_a_key(self) -> None:
        for key, near in (("learning_rate", "lr"), ("batchsize", "batch_size"), ("batch-size", "batch_size")):
            self.assert_refused(f"[train]\nsteps = 5\n{key} = 1\n", "bad.toml:3: ", f"did you mean train.{near}?")
        self.assert_refused("learning_rate = 1\n", "bad.toml:1: ", "there is train.lr")
        self.assert_refused("seed = 1\n", "bad.toml:1: ", "there is train.seed")
        self.assert_refused("steps = 1\n", "bad.toml:1: ", "there is train.steps, there is sweep.steps")
        self.assert_flag_refused("--learning-rate", 1, says=("--learning-rate", "did you mean --train.lr?"))

    def test_flags_that_several_keys_might_be(self) -> None:
        for flag, meant in (("--steps", "--train.steps or --sweep.steps"), ("--noise", "--model.noise or --sweep.noise"),
                            ("--layers", "--model.layers or --sweep.layers")):
            self.assert_flag_refused(flag, 1, says=(f"{flag}: is no option of train", f"did you mean {meant}?"))

    def test_variant_flag_names_the_nearest(self) -> None:
        config = self.write_config(PLAIN, tail="[[variant]]\nname = \"none\"\n[[variant]]\nname = \"batch\"\n")
        gradscape("train", config, "--out", self.place / "out", "--variant", "bach", expect=2,
                  says=("no variant \"bach\"", "did you mean \"batch\"?"))

    def test_threads(self) -> None:
        for number in ("0", "-1"):
            self.assert_flag_refused("--threads", number, says=("--threads", number, "1 or more"))
        for number in ("two", "1.5"):
            self.assert_flag_refused("--threads", number, says=(f'--threads: "{number}" is not a whole number',))
        self.assert_flag_refused("--threads", "", says=("--threads",))
        run = self.make("train", PLAIN | {"train.steps": 1}, self.place / "run")
        for verb in ("sweep", "merge", "info"):
            gradscape(verb, run, "--threads", "0", expect=2, says=("--threads", "1 or more"))

    def test_verbs(self) -> None:
        gradscape(expect=2, says=("--help",))
        gradscape("tarin", expect=2, says=("tarin", "train"))
        gradscape("--frob", "info", self.place, expect=2, says=("--frob",))
        for verb in ("run", "train", "sweep", "merge", "info"):
            gradscape(verb, expect=2, says=("required",))

    def test_probe_flags(self) -> None:
        """Refused by the name of the flag that was typed, and before anything is computed."""
        run = self.make("train", PLAIN | {"train.steps": 3}, self.place / "run")
        for arguments, words in ((("--steps", "0:4"), ("--steps", "4", "0 to 3")),
                                 (("--steps", "7"), ("--steps", "0 to 3")),
                                 (("--steps", "3:1"), ("--steps", "3", "1")),
                                 (("--steps", "a:b"), ("--steps", "\"a\"")),
                                 (("--steps", "0:3:0"), ("--steps", "0")),
                                 (("--steps", "0:1:1:1"), ("--steps", "three")),
                                 (("--steps", "-3:2"), ("--steps", "-3")),
                                 (("--multipliers", "0"), ("--multipliers", "not 0")),
                                 (("--multipliers", "a"), ("--multipliers", "\"a\"")),
                                 (("--multipliers", "nan"), ("--multipliers", "nan")),
                                 (("--direction", "up"), ("--direction", "gradient | update")),
                                 (("--probe-precision", "half"), ("--probe-precision", "native | double")),
                                 (("--name", "a/b"), ("--name", "a/b")), (("--name", ".."), ("--name", "..")),
                                 (("--name", ""), ("--name",)), (("--stepps", "1"), ("--stepps", "--steps?"))):
            # A value that starts with a dash is one argument with its flag.
            gradscape("sweep", run, f"{arguments[0]}={arguments[1]}", expect=2, says=words)
        self.assertFalse((run / "sweep").exists())

    def test_model_too_deep_for_the_images(self) -> None:
        write_idx(self.place / "idx")
        settings = PLAIN | {"data.source": "idx", "data.path": str(self.place / "idx")}
        gradscape("train", self.write_config(settings), "--out", self.place / "out", expect=(1, 2),
                  says=("features.15: max pool", "12×12", "mlp"))
        self.assertFalse((self.place / "out").exists())

    def test_every_field_as_a_flag_equals_the_file(self) -> None:
        empty = self.place / "empty.toml"
        empty.write_text("")
        runs = [self.place / "by-file", self.place / "by-flags"]
        gradscape("train", self.write_config(PLAIN), "--out", runs[0], "--quiet")
        gradscape("train", empty, "--out", runs[1], "--quiet", *flags(PLAIN))
        self.assertEqual(*((run / "config.toml").read_text() for run in runs))
        self.assert_same_files(*runs)


if __name__ == "__main__":
    main()
