#!/usr/bin/python3
"""What PyTorch's own float32 makes of a run's VGG-A: relative errors against its float64, as `gradscape numerics`
reports ours. Weights are a checkpoint's, the batch is the first images of CIFAR-10's data_batch_1.bin, standardised
as in the run, in train mode: another batch than the one that `numerics` takes, of the same kind.

    tests/bench/numerics_torch.py RUN_DIR [--step S] [--data FOLDER] [--batch N]

Needs PyTorch and h5py (Debian: python3-torch, python3-h5py)."""

import argparse
import os
import sys
from pathlib import Path

import h5py
import numpy as np
import torch
from torch.nn import functional as F

from peer_torch import make_vgg_a


def read_batch(folder: Path, count: int, mean: np.ndarray, deviation: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    records = np.fromfile(folder / "data_batch_1.bin", np.uint8, count * 3073).reshape(count, 3073)
    images = records[:, 1:].reshape(count, 3, 32, 32) / 255.0
    return (torch.tensor((images - mean.reshape(3, 1, 1)) / deviation.reshape(3, 1, 1)),
            torch.tensor(records[:, 0].astype(np.int64)))


def evaluate(parameters: list[np.ndarray], norm: str, images: torch.Tensor, labels: torch.Tensor, dtype: torch.dtype,
             channels_last: bool = False) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Logits and the gradient, in double."""
    module = make_vgg_a(norm, 1.0).to(dtype)
    with torch.no_grad():
        for parameter, value in zip(module.parameters(), parameters, strict=True):
            parameter.copy_(torch.from_numpy(value))
    images = images.to(dtype)
    if channels_last:
        module, images = module.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)
    logits = module(images)
    gradient = torch.autograd.grad(F.cross_entropy(logits, labels), list(module.parameters()))
    return logits.detach().double(), [part.double().contiguous() for part in gradient]


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run directory of a vgg-a of width 1 on cifar10")
    parser.add_argument("--step", type=int, help="of the checkpoint; the last one")
    parser.add_argument("--data", type=Path, default=os.environ.get("GRADSCAPE_CIFAR10"), help="$GRADSCAPE_CIFAR10")
    parser.add_argument("--batch", type=int, default=128)
    options = parser.parse_args()
    if options.data is None:
        parser.error("--data: where is CIFAR-10? Or set GRADSCAPE_CIFAR10")
    files = sorted((options.run / "checkpoints").glob("step-*.h5"))
    if options.step is not None:
        files = [file for file in files if file.stem == f"step-{options.step:08d}"]
    if not files:
        parser.error(f"{options.run} has no such checkpoint")
    with h5py.File(files[-1]) as file:
        named = {name: value[()] for name, value in file["parameters"].items()}
        mean, deviation = file["standardisation/mean"][()], file["standardisation/deviation"][()]
    # PyTorch's order: features before classifier, by module number, weight before bias.
    names = sorted(named, key=lambda n: (n.split(".")[0] != "features", int(n.split(".")[1]), n.endswith("bias")))
    parameters = [named[name] for name in names]
    norm = "batch" if any(name.startswith("features.1.") for name in names) else "none"
    images, labels = read_batch(options.data, options.batch, mean, deviation)

    logits, gradient = evaluate(parameters, norm, images, labels, torch.float64)
    whole = torch.cat([part.flatten() for part in gradient])
    print(f"{files[-1]}, norm {norm}, batch of {options.batch}; PyTorch {torch.__version__}, float32 against float64")
    for channels_last in (False, True):
        found, parts = evaluate(parameters, norm, images, labels, torch.float32, channels_last)
        print("channels_last" if channels_last else "NCHW")
        print(f"  {'logits':24} {relative(found, logits):.3e}")
        print(f"  {'gradient':24} {relative(torch.cat([part.flatten() for part in parts]), whole):.3e}")
        for name, part, expected in zip(names, parts, gradient, strict=True):
            print(f"    {name:22} {relative(part, expected):.3e}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
