"""PyTorch's own probe, in double, by the definitions of docs/definitions.md and by nothing of gradscape's."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from support import ROOT

sys.path.append(str(ROOT / "tests/tools"))  # behind this folder: both have a support.py

from torch_networks import read_safetensors  # noqa: E402

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

torch.set_num_threads(1)


def hardsigmoid(x: torch.Tensor) -> torch.Tensor:
    """F.hardsigmoid takes the slope 1/6 in single precision when it goes backward, in double too."""
    return F.relu6(x + 3) / 6


def cifar_batch(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """All training images of a folder in CIFAR-10's format, (x/255 - 1/2)/(1/2) in double, and their labels."""
    records = np.concatenate([np.fromfile(path, np.uint8).reshape(-1, 3073) for path in sorted(folder.glob("data_batch_*.bin"))])
    pixels = torch.from_numpy(records[:, 1:].astype(np.float64)).reshape(-1, 3, 32, 32)
    return (pixels / 255 - 0.5) / 0.5, torch.from_numpy(records[:, 0].astype(np.int64))


def gradient(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> tuple[float, torch.Tensor]:
    """Loss and its gradient in train mode; running statistics stay."""
    kept = {name: value.clone() for name, value in model.named_buffers()}
    model.train().zero_grad()
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    for name, value in model.named_buffers():
        value.copy_(kept[name])
    return loss.item(), torch.cat([p.grad.flatten() for p in model.parameters()])


def probe(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor, lr: float, multipliers: list[float]) -> dict:
    """One record of a grid: a number, or one for each multiplier."""
    loss, g = gradient(model, images, labels)
    theta = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
    names = ("loss", "grad_norm", "grad_diff", "grad_cos", "distance", "beta")
    record = {"train_loss": loss, "train_grad_norm": g.norm().item(), **{name: [] for name in names}}
    for eta in (m * lr for m in multipliers):
        torch.nn.utils.vector_to_parameters(theta - eta * g, model.parameters())
        loss, there = gradient(model, images, labels)
        change, distance = (there - g).norm().item(), eta * g.norm().item()
        cosine = (there @ g / (there.norm() * g.norm())).item()
        for name, value in zip(names, (loss, there.norm().item(), change, cosine, distance, change / distance)):
            record[name].append(value)
    torch.nn.utils.vector_to_parameters(theta, model.parameters())
    return record


def load(model: torch.nn.Module, path: Path) -> torch.nn.Module:
    """In double, with the weights of a safetensors file, all of them."""
    model.double().load_state_dict(read_safetensors(path)[0])
    return model
