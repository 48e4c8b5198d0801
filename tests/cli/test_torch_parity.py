#!/usr/bin/python3
"""What is computed here is what PyTorch computes (Debian: python3-torch), of networks that branch: three steps of training with a
probe at each, from the same weights, in double."""

from __future__ import annotations

import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
from support import Case, datasets, gradscape, main, write_cifar

import torch_probe
from torch_networks import DenseNet, MobileNet, ResNet, SqueezeExcite, WideResNet, read_network

import torch
import torch.nn as nn
import torch.nn.functional as F

import from_pytorch

STEPS, LR, MOMENTUM, MULTIPLIERS = 3, 0.01, 0.9, [0.5, 2.0, 8.0]
ACCURACY = 1e-9


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return ((found - expected).norm() / expected.norm()).item()


class Training(Case):
    """Every batch is the whole set, up to its order, which changes nothing but rounding."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        write_cifar(cls.shared / "data", train=8, test=2)
        cls.images, cls.labels = torch_probe.cifar_batch(cls.shared / "data")
        cls.settings = {
            "data.source": "cifar10", "data.path": str(cls.shared / "data"), "train.batch_size": 8, "train.steps": STEPS,
            "train.checkpoint_every": 1, "train.lr": LR, "train.momentum": MOMENTUM, "train.precision": "double",
            "sweep.multipliers": MULTIPLIERS}

    def compare(self, model: nn.Module, settings: dict) -> None:
        place = Path(tempfile.mkdtemp(dir=self.place))
        run = self.make("run", self.settings | settings, place / "run")
        grid = datasets(run / "landscape.h5")
        self.assertEqual(grid["step"].tolist(), list(range(STEPS + 1)))
        for step in range(STEPS + 1):
            gradscape("export", f"{run}@{step}", "--to", place / f"{step}.safetensors")
        torch_probe.load(model, place / "0.safetensors")
        optimizer = torch.optim.SGD(model.parameters(), LR, MOMENTUM)
        for step in range(STEPS + 1):
            weights, _ = torch_probe.read_safetensors(place / f"{step}.safetensors")
            for kind in (model.named_parameters, model.named_buffers):
                whole = [(weights[name].flatten().double(), value.detach().flatten().double()) for name, value in kind()]
                if whole:
                    self.assertLess(relative(*map(torch.cat, zip(*whole))), ACCURACY, f"{kind.__name__} at step {step}")
            for name, values in torch_probe.probe(model, self.images, self.labels, LR, MULTIPLIERS).items():
                scale = 1 if name == "grad_cos" else np.abs(values)
                self.assertLess(np.max(np.abs(grid[name][step] - values) / scale), ACCURACY, f"{name} at step {step}")
            optimizer.zero_grad()
            F.cross_entropy(model.train()(self.images), self.labels).backward()
            optimizer.step()

    def test_resnet_20(self) -> None:
        for option in ("A", "B", "none"):
            with self.subTest(option):
                self.compare(ResNet(option, blocks=3), {"model.arch": "resnet-20", "model.shortcut": option, "model.norm": "batch",
                                                        "model.width": 0.25})

    def test_wide_resnet(self) -> None:
        self.compare(WideResNet(channels=(2, 8, 16, 32)), {"model.arch": "wrn-16-4", "model.norm": "batch", "model.width": 0.125})

    def test_texts_of_other_networks(self) -> None:
        mobile = MobileNet(classes=10)
        mobile.classifier[0].p = 0.0  # masks are drawn by numbers of one's own
        for model in (DenseNet(classes=10), mobile, SqueezeExcite(classes=10)):
            with self.subTest(type(model).__name__), mock.patch.object(F, "hardsigmoid", torch_probe.hardsigmoid):
                from_pytorch.export(model, self.images.float(), self.place / "net")
                self.compare(model, {"model.layers": read_network(self.place / "net")["layers"]})


if __name__ == "__main__":
    main()
