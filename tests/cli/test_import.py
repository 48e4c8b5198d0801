#!/usr/bin/python3
"""Networks and weights from elsewhere. What trained here, was given away and came back is looked at to the same bits."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from support import Case, datasets, gradscape, main, read_tensors, write_cifar, write_tensors

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

    def test_statistics_are_averaged_anew(self) -> None:
        """--recompute-norm: means over the training images' batches, weighed by size; here against evaluation in train mode, where one
        batch holds all images and the average is that batch's."""
        out = self.place / "run"
        config = self.write_config({**{k: v for k, v in SETTINGS.items() if k not in ("train.steps", "train.checkpoint_every")}, "train.batch_size": 96})
        net = self.place / "net"
        net.mkdir()
        (net / "network.toml").write_text((self.net / "network.toml").read_text())
        tensors = {name: values for name, values in read_tensors(self.net / "epoch9.safetensors").items() if "running" not in name and "num_batches" not in name}
        write_tensors(net / "w.safetensors", tensors)
        gradscape("import", net, "--config", config, "--out", out, expect=1, says=("no running statistics", "--recompute-norm"))
        told = gradscape("import", net, "--config", config, "--out", out, "--recompute-norm").stdout
        self.assertIn("running statistics are of 96 training images", told)
        losses = []
        for statistics in ("batch", "running", "reestimate"):
            gradscape("surface", out, "--xlim=-1:1:2", "--images", 0, "--bn", statistics, "--name", statistics, "--quiet")
            losses.append(datasets(out / f"surface-{statistics}.h5")["centre_loss"][0])
        self.assertEqual(losses[1], losses[2], "what the import averaged is what a surface averages")
        # A batch's own variance is divided by M, the running one by M - 1, of 96·32·32 values.
        self.assertLess(abs(losses[0] / losses[1] - 1), 1e-4)

    def test_training_goes_on_from_here(self) -> None:
        """train --from: checkpoint 0 holds these weights and statistics; resumed, it is the same run; other weights are another."""
        out = self.place / "run"
        self.import_(out)
        on = self.place / "on"
        more = ("--train.steps", 4, "--train.checkpoint_every", 2, "--quiet")
        gradscape("train", "--from", f"{out}@2", "--train.steps", 4, expect=2, says=("--out",))
        gradscape("train", "--from", f"{out}@2", "--out", on, *more)
        for group in ("parameters", "buffers"):
            for name, values in datasets(out / "checkpoints/step-00000002.h5").items():
                if name.startswith(group):
                    self.assertEqual(values.tobytes(), datasets(on / "checkpoints/step-00000000.h5")[name].tobytes(), name)
        gradscape("sweep", on, "--quiet")
        gradscape("merge", on)
        self.assertIn("all right", gradscape("verify", on).stdout)
        gradscape("train", "--from", f"{out}@2", "--out", on, "--train.steps", 6, "--train.checkpoint_every", 2, "--resume", "--quiet")
        gradscape("train", "--from", f"{out}@1", "--out", on, "--train.steps", 6, "--resume", expect=1, says=("train.from_weights",))
        gradscape("train", "--from", f"{out}@2", "--out", self.place / "plain", "--train.steps", 5, "--quiet")
        self.assertEqual(len(list((self.place / "plain/checkpoints").iterdir())), 2, "the import's checkpoint at each step is not taken over")
        gradscape("train", self.write_config(SETTINGS | {"model.layers": LAYERS}), "--from", f"{out}@3", "--out", self.place / "other", "--quiet")
        gradscape("train", self.write_config(SETTINGS | {"model.arch": "mlp"}), "--from", f"{out}@3", "--out", self.place / "misfit",
                  expect=1, says=("/parameters/", "another model"))
        self.assertFalse((self.place / "misfit").exists())
        gradscape("train", self.write_config(SETTINGS | {"model.layers": LAYERS, "train.from_weights": "0123456789abcdef"}), "--out",
                  self.place / "given", expect=2, says=("train.from_weights", "--from"))
        gradscape("train", expect=2, says=("CONFIG",))

    def test_order_of_snapshots(self) -> None:
        """As their metadata say, where all of them do: init before best. `info` tells what such a file holds."""
        net = self.place / "net"
        net.mkdir()
        (net / "network.toml").write_text((self.net / "network.toml").read_text())
        tensors = read_tensors(self.net / "epoch9.safetensors")
        write_tensors(net / "best.safetensors", tensors, {"order": "1"})
        write_tensors(net / "init.safetensors", tensors, {"order": "0"})
        told = gradscape("import", net, "--config", self.asked(), "--out", self.place / "run").stdout
        self.assertLess(told.index("init.safetensors"), told.index("best.safetensors"))
        write_tensors(net / "init.safetensors", tensors, {"order": "one"})
        told = gradscape("import", net, "--config", self.asked(), "--out", self.place / "again").stdout
        self.assertLess(told.index("best.safetensors"), told.index("init.safetensors"))
        told = gradscape("info", net / "best.safetensors").stdout
        for words in ("safetensors, 14 tensors", "order", "conv1.weight", "F32  [4, 3, 3, 3]"):
            self.assertIn(words, told)

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

    def net_of(self, name: str, weights: dict[str, np.ndarray], check: dict[str, np.ndarray] | None = None,
               text: str | None = None, **metadata: str) -> Path:
        """A folder with one file of weights."""
        net = self.place / name
        net.mkdir()
        (net / "network.toml").write_text(text or (self.net / "network.toml").read_text())
        write_tensors(net / "w.safetensors", weights)
        if check is not None:
            write_tensors(net / "check.safetensors", check, metadata)
        return net

    def test_names_and_layouts_of_other_programs(self) -> None:
        """The snapshot is the same, and what was done is said."""
        weights = read_tensors(self.net / "epoch9.safetensors")
        other = {"conv1": "stem", "bn1": "n1", "conv2": "body", "bn2": "n2", "fc": "head"}
        renamed = {".".join([other[name.split(".")[0]], *name.split(".")[1:]]): values for name, values in weights.items()}
        turned = weights | {"conv1.weight": weights["conv1.weight"].transpose(2, 3, 1, 0), "fc.weight": weights["fc.weight"].T}
        for name, found, said in (
                ("wrapped", {f"module._orig_mod.{key}": weights[key] for key in weights}, ("by name without module._orig_mod.",)),
                ("renamed", renamed, ("by order and shape", "conv2.weight <- body.weight", "bn1.running_var <- n1.running_var")),
                ("turned", turned, ("turned from [height, width, in, out]", "fc.weight <- fc.weight, transposed from [in, out]"))):
            told = gradscape("import", self.net_of(name, found), "--config", self.asked(), "--out", self.place / f"run-{name}").stdout
            for words in said:
                self.assertIn(words, told)
            gradscape("export", self.place / f"run-{name}@0", "--to", self.place / "w.safetensors")
            back = read_tensors(self.place / "w.safetensors")
            for key in weights:
                if not key.endswith("num_batches_tracked"):
                    np.testing.assert_array_equal(back[key], weights[key], f"{name}, {key}")

    def test_weights_without_statistics(self) -> None:
        weights = {name: values for name, values in read_tensors(self.net / "epoch9.safetensors").items() if "running" not in name}
        net, out = self.net_of("net", weights), self.place / "run"
        gradscape("import", net, "--config", self.asked(), "--out", out, expect=1,
                  says=("has no running statistics of 2 norms: bn1, bn2", "--without-statistics"))
        self.assertFalse(out.exists())
        told = gradscape("import", net, "--config", self.asked(), "--out", out, "--without-statistics").stdout
        self.assertNotIn("accuracy", told)
        gradscape("sweep", out, "--quiet")

    def test_the_check(self) -> None:
        """Of the snapshot that it names. Rounding is no reason for a warning, another network is."""
        images = np.random.default_rng(2).standard_normal((4, 3, 32, 32)).astype("<f4")
        labels = np.arange(4, dtype="<i8")
        self.import_(self.place / "first")
        own = write_tensors(self.place / "x.safetensors", {"images": images, "labels": labels})
        to = self.place / "y.safetensors"
        check = {"images": images, "labels": labels}
        for mode in ("evaluation", "train"):
            gradscape("evaluate", f"{self.place}/first@1", "--images", own, "--mode", mode, "--to", to)
            check[f"logits.{mode}"] = read_tensors(to)["logits"].astype("<f8")
        for named, expected in (("epoch9.safetensors", 0.0), ("epoch11.safetensors", None)):
            net = self.copy(self.net, named)
            write_tensors(net / "check.safetensors", check, {"weights": named})
            done = gradscape("import", net, "--config", self.asked(), "--out", self.place / f"run-{named}")
            found = dict(re.findall(r"check: (\S+) differ from the framework's by (\S+) of", done.stdout))
            self.assertEqual(set(found), {"logits.evaluation", "logits.train"})
            if expected is not None:
                self.assertEqual(set(found.values()), {"0"})
            self.assertEqual("the check differs by more than rounding" in done.stderr, expected is None, done.stderr)

    def test_accuracy_on_the_data(self) -> None:
        """The test images are all of class 3: a network that always says so is right, one that never does is warned of."""
        folder = self.place / "data"
        write_cifar(folder, train=32, test=16)
        records = np.fromfile(folder / "test_batch.bin", np.uint8).reshape(-1, 3073)
        records[:, 0] = 3
        records.tofile(folder / "test_batch.bin")
        weights = read_tensors(self.net / "epoch9.safetensors")
        for favourite, accuracy in ((3, "100.00"), (4, "0.00")):
            net = self.net_of(f"net{favourite}", weights | {"fc.bias": 1000 * np.eye(10, dtype="<f4")[favourite]})
            done = gradscape("import", net, "--config", self.asked(), "--data.source", "cifar10", "--data.path", folder,
                             "--out", self.place / f"run{favourite}")
            self.assertIn(f"accuracy: {accuracy} % of 16 test images", done.stdout)
            self.assertEqual("near chance" in done.stderr, favourite == 4)

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
        refused(("\"late\" is made later, in line 4",), text=good.replace("stem: relu\n", "a: relu from late\nlate: relu from bn1\n"))
        refused(("line 6", "16×16×4 and 32×32×4 do not add"), text=good.replace("conv2: conv 4 3x3", "conv2: conv 4 3x3 stride 2"))
        weights = read_tensors(self.net / "epoch8.safetensors")
        stem = weights | {"conv1.weight": np.zeros((4, 3, 7, 7), "<f4")}
        refused(("is of another network", "conv1.weight is [4, 3, 7, 7]", "an ImageNet stem"), expect=1, weights=stem)
        refused(("has other names", "bn3.weight [4]   near", "layer4.weight [2]", "--map"), expect=1,
                text=good.replace("bn2", "bn3"), weights=weights | {"layer4.weight": np.zeros(2, "<f4")})
        refused(("holds the network's tensors twice: also as ema.", "moving average", "key="), expect=1, weights=weights | {f"ema.{k}": v for k, v in weights.items()})
        diverged = weights | {"bn2.running_var": np.array([1, 2, np.nan, 1], "<f4")}
        refused(("bn2.running_var holds numbers that are no variances: NaN",), expect=1, weights=diverged)
        dense = good.replace("fc: dense", "norm batch\nfc: dense")
        refused(("batch norm on dense layers needs 2", "train.batch_size"), text=dense, more=("--train.batch_size", 1))
        for verb in ("train", "run"):
            gradscape(verb, self.asked(), "--train.steps", 2, "--train.imported", "true", "--out", self.place / "out", expect=2,
                      says=("train.imported", "gradscape import"))
        refused(("m.txt:1", "no pair of names"), more=("--map", self.write("m.txt", "a\n")))
        gradscape("import", self.place / "nowhere", expect=2, says=("nowhere: does not exist", "tools/from_pytorch.py"))
        check = self.place / "bad/check.safetensors"
        images, logits = np.zeros((2, 3, 32, 32), "<f4"), np.zeros((2, 10))
        for content, says in (({"images": images[:, :, :16]}, ("check.safetensors", "images are [2, 3, 16, 32]", "[N, 3, 32, 32]")),
                              ({"images": images, "labels": np.full(2, 10, "<i8")}, ("check.safetensors", "label 10 of image 0")),
                              ({"images": images, "logits.evaluation": logits[:, 1:]},
                               ("check.safetensors", "logits.evaluation are 18 numbers, and ours 20"))):
            write_tensors(check, {"logits.evaluation": logits} | content)
            refused(says, expect=1)
        check.write_bytes(b"{}")
        refused(("check.safetensors", "is a text file"), expect=1)
        check.unlink()
        pickle = self.place / "net.pth"
        pickle.write_bytes(b"PK\x03\x04" + bytes(40))
        gradscape("import", pickle, expect=2, says=("net.pth: is a file", "tools/from_pytorch.py"))
        empty = self.place / "empty"
        empty.mkdir()
        (empty / "network.toml").write_text(good)
        gradscape("import", empty, "--config", self.asked(), expect=2, says=("holds no weights",))
        pickle.rename(empty / "net.safetensors")
        gradscape("import", empty, "--config", self.asked(), "--out", self.place / "out", expect=1,
                  says=("net.safetensors", "is PyTorch's own format (a pickle)", "tools/from_pytorch.py turns it into safetensors"))

    def write(self, name: str, text: str) -> Path:
        path = self.place / name
        path.write_text(text)
        return path


if __name__ == "__main__":
    main()
