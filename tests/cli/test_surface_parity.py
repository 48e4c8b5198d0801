#!/usr/bin/python3
"""Surfaces against PyTorch in float64: 25 cells of a narrow ResNet and a narrow VGG with each treatment of batch norm, on images of a
data set; the directions are those of the directions file, everything else is worked out here."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import h5py
import numpy as np
from support import Case, datasets, gradscape, main, write_cifar

sys.path.append(str(Path(__file__).resolve().parents[1] / "tools"))
from torch_networks import ResNet8, unsettle  # noqa: E402

import torch  # noqa: E402
import torch.nn as nn  # noqa: E402
import torch.nn.functional as F  # noqa: E402

from from_pytorch import export  # noqa: E402

IMAGES, BATCH, OF = 50, 32, 96  # a short last batch: fault 12
TOLERANCE = 1e-9


def narrow_vgg() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 8, 3, padding=1),
                         nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(128, 10))


def tensors_of(file: h5py.File, group: str) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    file[group].visititems(lambda name, item: found.update({name: torch.from_numpy(item[()])}) if isinstance(item, h5py.Dataset) else None)
    return found


class Twin:
    """The same surface by PyTorch: theta(a, b) = (theta_c + b·y) + a·x."""

    def __init__(self, model: nn.Module, images: torch.Tensor, labels: torch.Tensor, directions: Path) -> None:
        self.model, self.images, self.labels = model, images, labels
        self.state = copy.deepcopy(model.state_dict())
        with h5py.File(directions) as file:
            self.x = tensors_of(file, "x/0")
            self.y = tensors_of(file, "y/0") if "y" in file and isinstance(file["y"], h5py.Group) else None

    def go_to(self, a: float, b: float) -> None:
        state = copy.deepcopy(self.state)
        for name, direction in self.x.items():
            if self.y is not None:
                state[name] = state[name] + b * self.y[name]
            state[name] = state[name] + a * direction
        self.model.load_state_dict(state)

    def pieces(self):
        return [(self.images[i:i + BATCH], self.labels[i:i + BATCH]) for i in range(0, len(self.images), BATCH)]

    def loss(self, statistics: str) -> tuple[float, float]:
        norms = [module for module in self.model.modules() if isinstance(module, nn.BatchNorm2d)]
        with torch.no_grad():
            if statistics == "reestimate":
                for norm in norms:
                    norm.reset_running_stats()
                self.model.train()
                seen = 0
                for x, _ in self.pieces():
                    seen += len(x)
                    for norm in norms:
                        norm.momentum = len(x) / seen
                    self.model(x)
            self.model.train(statistics == "batch")
            loss = right = 0.0
            for x, label in self.pieces():
                logits = self.model(x)
                loss += float(F.cross_entropy(logits, label)) * len(x) / len(self.images)
                right += int((logits.argmax(1) == label).sum())
        return loss, right / len(self.images)


class SurfaceParity(Case):
    def prepare(self, model: nn.Module) -> tuple[Path, Twin]:
        torch.manual_seed(4)
        model = unsettle(model.double())
        images, labels = write_cifar(self.place / "cifar", train=OF, test=20)
        chosen = np.arange(IMAGES) * OF // IMAGES
        pixels = (torch.from_numpy(images[:OF][chosen]).double() / 255 - 0.5) / 0.5
        export(model, pixels[:8], self.place / "net")
        config = self.write_config({"data.source": "cifar10", "data.path": str(self.place / "cifar"), "train.batch_size": BATCH,
                                    "train.lr": 0.1, "train.precision": "double"})
        gradscape("import", self.place / "net", "--config", config, "--out", self.place / "run")
        self.pixels, self.labels = pixels, torch.from_numpy(labels[:OF][chosen].astype(np.int64))
        return self.place / "run", model

    def compare(self, model: nn.Module) -> None:
        run, model = self.prepare(model)
        for statistics in ("batch", "running", "reestimate"):
            gradscape("surface", run, "--name", statistics, "--x", "random", "--y", "random", "--xlim=-1:1:5", "--ylim=-0.5:1:5",
                      "--images", IMAGES, "--bn", statistics, "--quiet")
            found = datasets(run / f"surface-{statistics}.h5")
            twin = Twin(copy.deepcopy(model), self.pixels, self.labels, run / f"directions-{statistics}.h5")
            for i, b in enumerate(found["y"]):
                for k, a in enumerate(found["x"]):
                    twin.go_to(float(a), float(b))
                    loss, accuracy = twin.loss(statistics)
                    self.assertLess(abs(found["loss"][0, i, k] / loss - 1), TOLERANCE, (statistics, a, b))
                    self.assertAlmostEqual(found["accuracy"][0, i, k], accuracy, 12, (statistics, a, b))
            twin.go_to(0, 0)
            self.assertLess(abs(found["centre_loss"][0] / twin.loss(statistics)[0] - 1), TOLERANCE)

    def test_vgg(self) -> None:
        self.compare(narrow_vgg())

    def test_resnet(self) -> None:
        self.compare(ResNet8())

    def test_gradient_is_a_direction(self) -> None:
        """x is the gradient of the mean over the recorded batches, and the line's slope at 0 is its square."""
        run, model = self.prepare(narrow_vgg())
        gradscape("surface", run, "--x", "gradient", "--xlim=-1e-6:1e-6:3", "--images", IMAGES, "--quiet")
        twin = Twin(model, self.pixels, self.labels, run / "directions-main.h5")
        model.train()
        total = sum(F.cross_entropy(model(x), label) * len(x) / IMAGES for x, label in twin.pieces())
        names = [name for name, _ in model.named_parameters()]
        for name, grad in zip(names, torch.autograd.grad(total, list(model.parameters()))):
            self.assertLess(float((twin.x[name] - grad).norm()), 1e-9 * (1 + float(grad.norm())), name)
        found = datasets(run / "surface.h5")
        slope = (found["loss"][0, 2] - found["loss"][0, 0]) / 2e-6
        self.assertLess(abs(slope / found["x_norm"][0] ** 2 - 1), 1e-5)


if __name__ == "__main__":
    main()
