"""A training such as people have, and what it takes to look at it with gradscape.

    own_training.py FOLDER   writes FOLDER/data (CIFAR-10's format), FOLDER/epoch*.pth, FOLDER/net
"""

import sys
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from from_pytorch import export  # noqa: E402


class Block(nn.Module):
    def __init__(self, inside, out, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inside, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        self.downsample = nn.Sequential(nn.Conv2d(inside, out, 1, stride, bias=False), nn.BatchNorm2d(out)) if stride > 1 else None

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


def resnet8(width=4):
    return nn.Sequential(nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(), Block(width, width, 1),
                         Block(width, 2 * width, 2), Block(2 * width, 4 * width, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(4 * width, 10))


def main(folder):
    torch.manual_seed(0)
    labels = torch.arange(40) % 10
    images = (torch.randn(10, 3, 32, 32)[labels] * 40 + torch.randn(40, 3, 32, 32) * 60 + 128).clamp(0, 255).byte()
    (folder / "data").mkdir()
    records = torch.cat([labels[:, None].byte(), images.flatten(1)], 1).numpy()
    for i, name in enumerate(("data_batch_1.bin", "test_batch.bin")):
        records[32 * i:32 * i + 32].tofile(folder / "data" / name)
    x, y = (images[:32] / 255.0 - 0.5) / 0.5, labels[:32]
    model, snapshots = resnet8(), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    for step in range(201):
        if step % 50 == 0:
            snapshots.append(folder / f"step{step}.pth")
            torch.save({"step": step, "state_dict": model.state_dict()}, snapshots[-1])
        batch = torch.randperm(32)[:16]
        optimizer.zero_grad()
        F.cross_entropy(model(x[batch]), y[batch]).backward()
        optimizer.step()
    export(model, x, folder / "net", labels=y, weights=snapshots)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
