#!/usr/bin/python3
"""The setting of configs/resnet-20.toml in PyTorch: what accuracy does it reach there?

    GRADSCAPE_CIFAR10=/path/to/cifar-10-batches-bin tests/bench/peer_torch_training.py [--epochs 8] [--threads 2]

Prints the test accuracy after each epoch and the time it took, with PyTorch's version and the processor's name. Random numbers are
PyTorch's own: accuracies of such runs differ by about one per cent."""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from pathlib import Path

import numpy as np

import torch
import torch.nn as nn
import torch.nn.functional as F


class Block(nn.Module):
    """Two convolutions and a shortcut of option A: every second pixel, channels padded with zeros on both sides."""

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels)
        self.stride, self.more = stride, (channels - before) // 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more, self.more))
        return F.relu(y + x)


def resnet(depth: int = 20) -> nn.Module:
    blocks, before = [], 16
    for stage, channels in enumerate((16, 32, 64)):
        for block in range((depth - 2) // 6):
            blocks.append(Block(before, channels, 2 if stage and not block else 1))
            before = channels
    model = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), *blocks, nn.AdaptiveAvgPool2d(1),
                          nn.Flatten(), nn.Linear(64, 10))
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model


def read(paths: list[Path]) -> tuple[torch.Tensor, torch.Tensor]:
    records = np.concatenate([np.fromfile(path, np.uint8).reshape(-1, 3073) for path in paths])
    return torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32).copy()), torch.from_numpy(records[:, 0].astype(np.int64))


def augmented(images: torch.Tensor) -> torch.Tensor:
    """Crops of images padded by four black pixels, half of them mirrored."""
    padded = F.pad(images, (4, 4, 4, 4))
    y, x = torch.randint(0, 9, (2, len(images)))
    made = torch.stack([image[:, i:i + 32, k:k + 32] for image, i, k in zip(padded, y.tolist(), x.tolist())])
    mirrored = torch.rand(len(images)) < 0.5
    made[mirrored] = made[mirrored].flip(3)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    folder = os.environ.get("GRADSCAPE_CIFAR10")
    if not folder:
        sys.exit("GRADSCAPE_CIFAR10 is not set: the folder of data_batch_1.bin … test_batch.bin")
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    train, labels = read(sorted(Path(folder).glob("data_batch_*.bin")))
    test, answers = read([Path(folder) / "test_batch.bin"])
    scaled = train.double() / 255
    mean, deviation = scaled.mean((0, 2, 3)).float().view(3, 1, 1), scaled.std((0, 2, 3), unbiased=False).float().view(3, 1, 1)
    del scaled

    def prepare(images: torch.Tensor) -> torch.Tensor:
        return (images.float() / 255 - mean) / deviation

    model = resnet()
    steps = math.ceil(len(train) / 128) * options.epochs
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    name = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    print(f"PyTorch {torch.__version__}, {options.threads} threads, {name}")
    start = time.perf_counter()
    for epoch in range(options.epochs):
        model.train()
        for chosen in torch.randperm(len(train)).split(128):
            optimizer.zero_grad()
            F.cross_entropy(model(prepare(augmented(train[chosen]))), labels[chosen]).backward()
            optimizer.step()
            schedule.step()
        model.eval()
        with torch.no_grad():
            right = sum(int((model(prepare(images)).argmax(1) == answer).sum()) for images, answer in zip(test.split(500), answers.split(500)))
        print(f"epoch {epoch + 1}: test {100 * right / len(test):.2f} %, {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
