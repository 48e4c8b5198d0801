#!/usr/bin/python3
"""Networks and weights from elsewhere. What trained here, was given away and came back is looked at to the same bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from support import Case, datasets, gradscape, main, read_tensors, write_tensors

LAYERS = """conv1: conv 4 3x3 pad 1 no bias
bn1: norm batch
stem: relu
conv2: conv 4 3x3 pad 1 no bias
bn2: norm batch
add from bn2, stem
relu
globalpool
flatten
fc: dense 10
"""
SETTINGS = {"data.source": "synthetic", "data.synthetic_train": 96, "data.synthetic_test": 32, "train.lr": 0.05,
            "train.batch_size": 32, "train.steps": 3, "train.checkpoint_every": 1, "sweep.multipliers": [0.5, 2.0]}


class Import(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.trained = cls.make("run", SETTINGS | {"model.layers": LAYERS}, cls.shared / "trained")
        cls.net = cls.shared / "net"
        cls.net.mkdir()
        for step in range(4):
            gradscape("export", f"{cls.trained}@{step}", "--to", cls.net / f"epoch{step + 8}.safetensors")
        (cls.net / "network.toml").write_text(f'[model]\ninput = [3, 32, 32]\nclasses = 10\nlayers = """\n{LAYERS}"""\n')

    def asked(self) -> Path:
        return self.write_config({key: value for key, value in SETTINGS.items() if key not in ("train.steps", "train.checkpoint_every")})

    def import_(self, out: Path, *more: object, **expected: object):
        return gradscape("import", self.net, "--config", self.asked(), "--out", out, *more, **expected)

    def test_what_comes_back_is_the_same(self) -> None:
        """epoch8 … epoch11 are the snapshots 0 … 3: numbers count, not letters. Each sees the batch of its number."""
        out = self.place / "run"
        told = self.import_(out).stdout
        for step in range(4):
            self.assertIn(f"snapshot {step}: {self.net}/epoch{step + 8}.safetensors, 12 tensors by name", told)
        for task in (1, 0):
            gradscape("sweep", out, "--task", f"{task}/2", "--quiet")
        gradscape("merge", out)
        here, there = datasets(out / "landscape.h5"), datasets(self.trained / "landscape.h5")
        for name, values in there.items():
            self.assertEqual(here[name].tobytes(), values.tobytes(), name)
        self.assertIn("complete", gradscape("status", out).stdout)
        self.assertIn("all right", gradscape("verify", out, "--cells", 100).stdout)
        gradscape("theorem", out, "--quiet")
        gradscape("distributions", out, "--quiet")
        self.assertTrue(np.isnan(datasets(out / "distributions.h5")["drift_mean"]).all(), "the next weights are not known")
        for verb, words in ((("shift", out), ("weights after a step",)),
                            (("sweep", out, "--name", "u", "--direction", "update"), ("sweep.direction", "weights after a step"))):
            gradscape(*verb, expect=2, says=words)
        again = self.place / "w.safetensors"
        gradscape("export", f"{out}@2", "--to", again)
        self.assertEqual(again.read_bytes()[-2000:], (self.net / "epoch10.safetensors").read_bytes()[-2000:])

    def test_evaluation_draws_nothing(self) -> None:
        """With dropout and noise in the network, two snapshots of one file's weights say the same in train mode, as a check by
        another framework needs."""
        net = self.place / "net"
        net.mkdir()
        random = LAYERS.replace("globalpool\n", "noise 0.5 1.25 0.1 0.1\nglobalpool\ndropout 0.5\n")
        (net / "network.toml").write_text((self.net / "network.toml").read_text().replace(LAYERS, random))
        for name in ("a", "b"):
            (net / f"{name}.safetensors").write_bytes((self.net / "epoch9.safetensors").read_bytes())
        out = self.place / "run"
        gradscape("import", net, "--config", self.asked(), "--out", out)
        images = write_tensors(self.place / "x.safetensors", {"images": np.random.default_rng(1).standard_normal((6, 3, 32, 32)).astype("<f4")})
        logits = []
        for step in (0, 1):
            gradscape("evaluate", f"{out}@{step}", "--images", images, "--mode", "train", "--to", self.place / "y.safetensors")
            logits.append(read_tensors(self.place / "y.safetensors")["logits"])
        np.testing.assert_array_equal(*logits)

    def test_one_snapshot(self) -> None:
        net = self.place / "net"
        net.mkdir()
        for name in ("network.toml", "epoch9.safetensors"):
            (net / name).write_bytes((self.net / name).read_bytes())
        gradscape("import", net, "--config", self.asked(), "--out", self.place / "run")
        gradscape("sweep", self.place / "run", "--quiet")
        gradscape("merge", self.place / "run")
        self.assertEqual(datasets(self.place / "run/landscape.h5")["step"].tolist(), [0])

    def test_a_run_that_is_there_is_kept(self) -> None:
        out = self.place / "run"
        self.import_(out)
        self.import_(out, expect=2, says=(str(out), "already holds a run", "--force"))
        self.import_(out, "--force")

    def test_bad_input(self) -> None:
        """Nothing is written."""
        def refused(says: tuple[str, ...], expect: int = 2, text: str | None = None, weights: dict | None = None, more=()) -> None:
            net = self.place / "bad"
            net.mkdir(exist_ok=True)
            (net / "network.toml").write_text(text if text is not None else (self.net / "network.toml").read_text())
            (net / "w.safetensors").write_bytes((self.net / "epoch8.safetensors").read_bytes())
            if weights is not None:
                write_tensors(net / "w.safetensors", weights)
            gradscape("import", net, "--config", self.asked(), "--out", self.place / "out", *more, expect=expect, says=says)
            self.assertFalse((self.place / "out").exists())

        good = (self.net / "network.toml").read_text()
        refused(("network.toml", "has no model.classes"), text=good.replace("classes = 10\n", ""))
        refused(("network.toml:2", "model.input"), text=good.replace("[3, 32, 32]", "[3, 32]"))
        refused(("network.toml", "does not take model.depth"), text=good + "depth = 3\n")
        refused(("network.toml:1",), text="[model\n")
        refused(("28×28×1", "32×32×3", "--data.source"), text=good.replace("[3, 32, 32]", "[1, 28, 28]"))
        refused(("12 outputs", "10 classes"), text=good.replace("classes = 10", "classes = 12"))
        refused(("there is no layer \"convv\"", "did you mean conv?"), text=good.replace("conv2: conv", "conv2: convv"))
        refused(("is of another network", "conv1.weight"), expect=1, weights={"conv1.weight": np.zeros((4, 3, 7, 7), "<f4")})
        for verb in ("train", "run"):
            gradscape(verb, self.asked(), "--train.steps", 2, "--train.imported", "true", "--out", self.place / "out", expect=2,
                      says=("train.imported", "gradscape import"))
        refused(("m.txt:1", "no pair of names"), more=("--map", self.write("m.txt", "a\n")))
        gradscape("import", self.place / "nowhere", expect=1, says=("nowhere/network.toml",))
        empty = self.place / "empty"
        empty.mkdir()
        (empty / "network.toml").write_text(good)
        gradscape("import", empty, "--config", self.asked(), expect=2, says=("holds no weights",))

    def write(self, name: str, text: str) -> Path:
        path = self.place / name
        path.write_text(text)
        return path


if __name__ == "__main__":
    main()
