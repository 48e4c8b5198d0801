#!/usr/bin/python3
"""Networks that PyTorch made and trained (Debian: python3-torch, python3-onnx), looked at here: the numbers are PyTorch's, the way
that they came by changes no bit, and what goes back is the same."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
from support import ROOT, Case, datasets, gradscape, main, read_tensors

import torch_probe
from torch_networks import DenseNet, MobileNet, ResNet, SqueezeExcite, Vgg11, WideResNet, export_onnx, graph_of, read_network, unsettle

import torch
import torch.nn as nn
import torch.nn.functional as F

import from_onnx
import from_pytorch
import own_training

LR, MULTIPLIERS = 0.05, [0.5, 1.0, 4.0]


class OwnTraining(Case):
    """tests/cli/own_training.py, as a user would run it."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        subprocess.run([sys.executable, own_training.__file__, cls.shared], check=True, stderr=subprocess.DEVNULL)
        cls.run_directory = cls.shared / "run"
        cls.config = cls.write_config({
            "data.source": "cifar10", "data.path": str(cls.shared / "data"), "train.batch_size": 32, "train.lr": LR,
            "train.precision": "double", "sweep.multipliers": MULTIPLIERS})
        cls.told = gradscape("import", cls.shared / "net", "--config", cls.config, "--out", cls.run_directory).stdout

    def test_every_cell_is_that_of_pytorchs_own_probe(self) -> None:
        """A batch is the whole set, up to its order."""
        gradscape("sweep", self.run_directory, "--quiet")
        gradscape("merge", self.run_directory, "--quiet")
        grid = datasets(self.run_directory / "landscape.h5")
        images, labels = torch_probe.cifar_batch(self.shared / "data")
        self.assertEqual(grid["step"].tolist(), [0, 1, 2, 3, 4])
        for record, step in enumerate((0, 50, 100, 150, 200)):
            model = own_training.resnet8().double()
            model.load_state_dict(torch.load(self.shared / f"step{step}.pth", weights_only=True)["state_dict"])
            for name, values in torch_probe.probe(model, images, labels, LR, MULTIPLIERS).items():
                np.testing.assert_allclose(grid[name][record], values, 1e-9, 0, f"{name} at step {step}")
        self.assertLess(grid["train_loss"][4], grid["train_loss"][0] / 4, "it has learned")

    def test_the_check(self) -> None:
        found = dict(re.findall(r"check: (\S+) differ from the framework's by (\S+) of", self.told))
        self.assertEqual(set(found), {f"{what}.{mode}" for what in ("logits", "loss", "grad_norm") for mode in ("evaluation", "train")})
        self.assertLess(max(map(float, found.values())), 1e-9)

    def test_back_into_pytorch(self) -> None:
        """The lines of docs/guide/own-networks.md."""
        lines, = re.findall(r"(?ms)^```python\n(from from_pytorch import load_export\n.*?)^```", (ROOT / "docs/guide/own-networks.md").read_text())
        gradscape("export", f"{self.run_directory}@last", "--to", self.place / "w.safetensors")
        model = own_training.resnet8().double()
        exec(lines.replace("w.safetensors", str(self.place / "w.safetensors")), {"model": model})
        for name, value in torch.load(self.shared / "step200.pth", weights_only=True)["state_dict"].items():
            self.assertTrue(torch.equal(model.state_dict()[name].to(value.dtype), value), name)


class ExportedImages(Case):
    """Logits and gradients in both modes. In float, an error is compared with that of PyTorch's float32."""

    def test_logits_and_gradients(self) -> None:
        torch.manual_seed(3)
        images, labels = torch.randn(8, 3, 32, 32), torch.arange(8)
        patch = mock.patch.object(F, "hardsigmoid", torch_probe.hardsigmoid)
        for model in (Vgg11(), ResNet("A"), ResNet("B"), ResNet("none"), WideResNet(blocks=1), DenseNet(10), MobileNet(10),
                      SqueezeExcite(10)):
            with self.subTest(type(model).__name__), patch:
                self.compare(unsettle(model), images, labels)

    def compare(self, model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> None:
        net, run = (Path(tempfile.mkdtemp(dir=self.place)) / name for name in ("net", "run"))
        from_pytorch.export(model, images, net, labels=labels, gradients=True)
        gradscape("import", net, "--out", run)
        for mode in ("evaluation", "train"):
            check = ("evaluate", run, "--images", net / "check.safetensors", "--mode", mode)
            double, single = (dict(re.findall(r"(\S+) differ from the file's by (\S+) of", gradscape(*check, "--precision", name).stdout))
                              for name in ("double", "float"))
            for what, error in self.errors_of_pytorch(model, images, labels, mode).items():
                self.assertLess(float(double[what]), 1e-9, what)
                self.assertLess(float(single[what]), 4 * error, what)

    @staticmethod
    def errors_of_pytorch(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, mode: str) -> dict[str, float]:
        results = []
        for dtype in (torch.float64, torch.float32):
            model.to(dtype).train(mode == "train").zero_grad()
            for module in model.modules():
                if isinstance(module, nn.Dropout):
                    module.eval()
            buffers = {name: value.clone() for name, value in model.named_buffers()}
            logits = model(images.to(dtype))
            F.cross_entropy(logits, labels).backward()
            for name, value in model.named_buffers():
                value.copy_(buffers[name])
            results.append((logits.detach().double(), torch.cat([p.grad.flatten() for p in model.parameters()]).double()))
        names = (f"logits.{mode}", "grad" if mode == "train" else "grad_evaluation")
        return {name: ((rough - exact).norm() / exact.norm()).item() for name, exact, rough in zip(names, *results)}


@unittest.skipUnless(from_onnx.onnx, "needs the package onnx (python3-onnx)")
class FourWays(Case):
    """A network of the zoo, its text, its twin in PyTorch followed by torch.fx, and the twin's ONNX file: one graph, one set of bits."""

    def test_graphs_and_bits(self) -> None:
        for twin, arch in ((Vgg11(width=4), "vgg-11"), (ResNet("A", width=4, blocks=3), "resnet-20")):
            with self.subTest(arch):
                self.compare(twin, arch)

    def compare(self, twin: nn.Module, arch: str) -> None:
        place = Path(tempfile.mkdtemp(dir=self.place))
        options = {"model.arch": arch, "model.norm": "batch", "model.width": 4 / (64 if arch == "vgg-11" else 16)}
        settings = {"data.source": "synthetic", "data.synthetic_train": 32, "train.batch_size": 16, "train.lr": 0.05,
                    "sweep.multipliers": [0.5, 2.0]}
        zoo = self.make("run", settings | options | {"train.steps": 1, "train.checkpoint_every": 1}, place / "zoo")
        text = gradscape("info", zoo, "--network").stdout
        weights = []
        for step in (0, 1):
            gradscape("export", f"{zoo}@{step}", "--to", place / f"{step}.safetensors")
            twin.load_state_dict(from_pytorch.load_export(place / f"{step}.safetensors"))
            weights.append(place / f"{step}.pth")
            torch.save(twin.state_dict(), weights[-1])
        images = torch.randn(4, 3, 32, 32)
        from_pytorch.export(twin, images, place / "fx", weights=weights)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = export_onnx(twin.eval(), images, place / "net.onnx")
        from_onnx.convert(path, place / "onnx", weights=[place / f"{step}.safetensors" for step in (0, 1)])
        (place / "text").mkdir()
        (place / "text/network.toml").write_text(f'[model]\ninput = [3, 32, 32]\nclasses = 10\nlayers = """\n{text}"""\n')
        for step in (0, 1):
            shutil.copy(place / f"{step}.safetensors", place / "text")
        config = self.write_config(settings)
        check = place / "fx/check.safetensors"
        expected, logits = datasets(zoo / "landscape.h5"), self.logits(zoo, check)
        for way in ("text", "fx", "onnx"):
            self.assertEqual(graph_of(read_network(place / way)["layers"]), graph_of(text), way)
            run = place / f"run-{way}"
            gradscape("import", place / way, "--config", config, "--out", run)
            self.assertEqual(graph_of(gradscape("info", run, "--network").stdout), graph_of(text), way)
            gradscape("sweep", run, "--quiet")
            gradscape("merge", run, "--quiet")
            found = datasets(run / "landscape.h5")
            self.assertEqual(found.keys(), expected.keys())
            for name, values in expected.items():
                self.assertEqual(found[name].tobytes(), values.tobytes(), f"{name}, {way}")
            self.assertEqual(self.logits(run, check), logits, way)

    def logits(self, run: Path, check: Path) -> list[bytes]:
        """In both modes."""
        found = []
        for mode in ("evaluation", "train"):
            gradscape("evaluate", run, "--images", check, "--mode", mode, "--to", self.place / "y.safetensors")
            found.append(read_tensors(self.place / "y.safetensors")["logits"].tobytes())
        return found


if __name__ == "__main__":
    main()
