#!/usr/bin/python3
"""Networks as text: whatever is done with a run works with one that has branches, and what is wrong with a text is said
before anything is trained."""

from __future__ import annotations

import re
import shutil

from support import PLAIN, ROOT, Case, datasets, flags, gradscape, main, toml_text

# A small residual network: branches, a shortcut that changes shapes, two kinds of norm.
LAYERS = """\
stem: conv 6 3x3 stride 2 pad 1 no bias
bn: norm batch
relu
repeat 2 one {
  conv1: conv 6 3x3 pad 1 no bias
  bn1: norm batch
  relu
  conv2: conv 6 3x3 pad 1     # with a bias
  norm group 3
  add from 4, input
  relu
}
repeat 1 two {
  conv1: conv 10 3x3 stride 2 pad 1 no bias
  bn1: norm batch eps 0.001
  shortcut: shortcut 2 2 2 from input
  add from bn1, shortcut
  relu
}
dropout 0.1
globalpool
flatten
head: dense 10
"""
MODEL = ("arch", "width", "hidden", "norm", "norm_dense", "dropout")
TEXT = {name: value for name, value in PLAIN.items() if name.split(".")[1] not in MODEL} | {
    "model.layers": LAYERS, "train.momentum": 0.9, "data.augment_flip": True, "train.batch_size": 16}


class Networks(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.whole = cls.make("run", TEXT, cls.shared / "whole", "--threads", 1)

    def test_any_threads_and_tasks(self) -> None:
        """Trained on two threads and swept in two tasks, the later one first: the bits of one process on one thread."""
        run = self.make("train", TEXT, self.place / "run", "--threads", 2)
        gradscape("sweep", run, "--task", "1/2", "--threads", 2, "--quiet")
        gradscape("status", run, expect=1)
        gradscape("sweep", run, "--task", "0/2", "--threads", 1, "--quiet")
        gradscape("merge", run, "--quiet")
        self.assert_same_files(self.whole, run)
        gradscape("status", run)
        gradscape("verify", run, "--cells", 4, "--quiet")

    def test_analyses(self) -> None:
        run = self.copy(self.whole)
        layers = ["stem", "one.0.conv1", "one.0.conv2", "one.1.conv1", "one.1.conv2", "two.0.conv1", "head"]
        for kind in ("shift", "distributions", "theorem"):
            gradscape(kind, run, "--quiet")
            # The theorem is about batch norm: neither of the group norms, nor of the last layer, which has none.
            here = [name for name in layers if kind != "theorem" or not name.endswith("conv2") and name != "head"]
            told = gradscape("info", run / f"{kind}.h5").stdout
            self.assertEqual(re.search(r"(?m)^  layers +(.*)$", told)[1],
                             ", ".join(f"{layers.index(name) + 1} {name}" for name in here))
        sides = datasets(run / "theorem.h5")
        self.assertEqual(sides["gap"].shape[1], 6 * 3 + 10)
        gradscape("status", run)
        gradscape("verify", run, "--cells", 0)

    def test_what_is_stored_reads_back(self) -> None:
        """The text as it was written; `--resume` and `info` take it from there."""
        stored = (self.whole / "config.toml").read_text()
        self.assertIn(f'layers = """\n{LAYERS}"""\n', stored)
        self.assertIn('arch = "layers"\n', stored)
        again = self.copy(self.whole)
        gradscape("train", again / "config.toml", "--out", again, "--resume", "--train.steps", 12, "--quiet")
        self.assertRegex(gradscape("info", again).stdout, r"steps done +12 of 12")
        for path in (self.whole, self.whole / "landscape.h5", self.whole / "config.toml"):
            self.assertEqual(gradscape("info", path, "--network").stdout, self.flat())

    @staticmethod
    def flat() -> str:
        """LAYERS without its repeats, by hand."""
        lines = ["stem: conv 6 3x3 stride 2 pad 1 no bias", "bn: norm batch", "relu"]
        for before, name in (("2", "one.0"), ("one.0.6", "one.1")):
            lines += [f"{name}.conv1: conv 6 3x3 pad 1 no bias", f"{name}.bn1: norm batch", "relu",
                      f"{name}.conv2: conv 6 3x3 pad 1", f"{name}.4: norm group 3", f"add from {name}.4, {before}",
                      f"{name}.6: relu"]
        return "\n".join([*lines, "two.0.conv1: conv 10 3x3 stride 2 pad 1 no bias", "two.0.bn1: norm batch eps 0.001",
                          "two.0.shortcut: shortcut 2 2 2 from one.1.6", "add from two.0.bn1, two.0.shortcut", "relu",
                          "dropout 0.1", "globalpool", "flatten", "head: dense 10"]) + "\n"

    def test_a_list_of_lines_is_the_same_text(self) -> None:
        run = self.make("train", TEXT | {"model.layers": LAYERS.rstrip("\n").split("\n")}, self.place / "run")
        self.assert_same_files(self.whole, run, ("checkpoints", "trace"))

    def test_another_text_is_another_run(self) -> None:
        run = self.copy(self.whole)
        config = self.write_config(TEXT | {"model.layers": LAYERS.replace("eps 0.001", "eps 0.002")})
        gradscape("train", config, "--out", run, "--resume", expect=1,
                  says=("belongs to a different run", "model.layers has in line 15", "eps 0.002", "eps 0.001"))

    def test_a_zoo_network_from_its_text(self) -> None:
        """The text that `info` prints of a zoo network makes the same network, with the same bits."""
        for arch, more in (("resnet-20", {"model.shortcut": "B"}), ("densenet-22", {}), ("vgg-a", {"model.noise": True})):
            zoo = PLAIN | {"model.arch": arch, "model.norm": "batch", "model.width": 0.125, "train.steps": 2,
                           "train.batch_size": 8} | more
            there = self.make("train", zoo, self.place / arch)
            text = gradscape("info", there, "--network").stdout
            plain = {name: value for name, value in zoo.items() if not name.startswith("model.")}
            here = self.make("train", plain | {"model.layers": text}, self.place / f"{arch}-text")
            self.assertEqual(gradscape("info", here, "--network").stdout, text)
            self.assert_same_files(there, here, ("checkpoints", "trace"))

    def test_documented_networks(self) -> None:
        """Those of docs/guide/own-networks.md; ResNet-20 has as many parameters as it should."""
        texts = re.findall(r"(?ms)^```toml\n(\[model\].*?)^```", (ROOT / "docs/guide/own-networks.md").read_text())
        self.assertEqual(len(texts), 2)
        for text, parameters in zip(texts, (64 * 28 + 2 * 64 + 128 * 577 + 2 * 128 + 1290, 269722)):
            path = self.place / "own.toml"
            path.write_text(text + '[data]\nsource = "synthetic"\n[train]\nsteps = 1\n')
            self.assertRegex(gradscape("info", path).stdout, rf"(?m)^  total +{parameters} ")

    def test_the_example(self) -> None:
        out = self.place / "own"
        gradscape("run", ROOT / "configs/own-network.toml", "--out", out, "--quiet", "--train.steps", 20)
        # By hand: 3·8·9 and 16; 2·(8·8·9 + 16); 8·16·9 + 16·16·9 + 64; 16·32·9 + 32·32·9 + 128; 330.
        self.assertRegex(gradscape("info", out).stdout, r"parameters +19218\n")

    def test_studies_with_both(self) -> None:
        """One variant is the zoo's, the other a text: options of the one are not the other's."""
        common = {name: value for name, value in PLAIN.items() if name != "model.width"} | {"train.steps": 2}
        tail = (f'[[variant]]\nname = "zoo"\nmodel.arch = "mlp"\nmodel.hidden = [4]\n'
                f'[[variant]]\nname = "own"\nmodel.layers = """flatten\na: dense 4\nb: dense 10"""\n')
        config = self.write_config(common, tail=tail)
        gradscape("run", config, "--out", self.place / "out", "--quiet")
        told = gradscape("info", config, "--network").stdout
        self.assertIn('# network of variant "own": images of 32×32×3, 10 outputs\nflatten\na: dense 4\nb: dense 10\n', told)
        gradscape("info", self.write_config(common | {"model.norm": "batch"}, tail=tail), expect=2,
                  says=("model.layers does not take model.norm", "give them in those that take them"))

    def test_flags(self) -> None:
        text = "flatten\ndense 10\n"
        plain = {name: value for name, value in PLAIN.items() if name != "model.width"}
        out = self.make("train", plain, self.place / "run", "--model.layers", text, "--train.steps", 1)
        self.assertEqual(gradscape("info", out, "--network").stdout, text)
        told = gradscape("bench", "--model.layers", text, "--train.batch_size", 4, "--repetitions", 1, "--json").stdout
        self.assertIn('"model.arch": "layers"', told)

    def refused(self, settings: dict, *says: str, code: int = 2) -> None:
        out = self.place / "out"
        config = self.place / "bad.toml"
        config.write_text(toml_text(settings))
        gradscape("train", config, "--out", out, expect=code, says=says)
        self.assertFalse(out.exists(), "nothing is written")

    def test_refusals(self) -> None:
        mine = TEXT | {"train.steps": 1}
        self.refused(mine | {"model.layers": LAYERS.replace("globalpool", "globalpol")},
                     "bad.toml: model.layers, line 21, column 1", '"globalpol"', "did you mean globalpool?")
        self.refused(mine | {"model.layers": ["flatten", "dense"]}, "line 2, column 6: UNITS is missing")
        self.refused(mine | {"model.layers": []}, "bad.toml:", "model.layers = [] holds nothing")
        self.refused(mine | {"model.layers": "# later\n"}, "bad.toml: model.layers: holds no layer")
        self.refused(mine | {"model.layers": [["conv 1 1x1"]]}, "model.layers", "wrong type", "a list of its lines")
        self.refused(mine | {"model.layers": LAYERS.replace("2 2 2", "2 2 3")},
                     "network, line 17, add", "8×8×10 and 8×8×11 do not add")
        self.refused(mine | {"model.layers": LAYERS.replace("dense 10", "dense 9")},
                     "model.layers, line 23, head: the network has 9 outputs, and the data have 10 classes")
        self.refused(mine | {"model.arch": "vgg-a"}, 'model.arch = "vgg-a" and model.layers are both given', "leave one")
        self.refused(mine | {"model.width": 0.5, "model.dropout": 0.1},
                     "model.layers does not take model.width, model.dropout")
        self.refused(PLAIN | {"model.arch": "layers"}, 'model.arch = "layers" needs model.layers', "docs/guide/own-networks.md")
        self.refused(mine | {"model.layers": LAYERS + "# " + 8000 * "a comment" + "\n"}, "the configuration takes 7",
                     "at most 64000")
        gradscape("info", self.whole, "--network", "--digest", expect=2, says=("--digest", "--network"))

    def test_the_longest_text_can_be_stored(self) -> None:
        long = "\n".join([f"# {100 * 'x'}"] * 560) + "\nflatten\ndense 10\n"
        run = self.make("run", TEXT | {"model.layers": long, "train.steps": 1}, self.place / "run")
        self.assertGreater(len((run / "config.toml").read_text()), 58000)
        gradscape("verify", run, "--cells", 1, "--quiet")
        gradscape("status", run)


if __name__ == "__main__":
    main()
