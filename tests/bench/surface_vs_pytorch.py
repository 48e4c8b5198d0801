#!/usr/bin/python3
"""Times the cells of a surface beside the same loop in PyTorch: ResNet-20 with batch norm and VGG-A with batch norm, 21×21 points
along two random directions, 1000 images of CIFAR-10 in batches of 128, batch statistics.

    tests/bench/surface_vs_pytorch.py [--network resnet-20|vgg-a] [--cells 441] [--rounds 3] [--threads 2] [--data FOLDER]

Ours is the whole `gradscape surface`: start, reading and hashing of the data set, directions, shards synced to disk, merge.
PyTorch's is its loop alone, without start, reading and a first cell: for each cell theta + b·y + a·x is copied into the parameters,
and the mean loss taken over the batches, in train mode without gradients (accuracies, which ours takes too, are left out). Both have
the same weights, directions and images, and losses are compared cell by cell.

Each round starts three processes in turn, ours and PyTorch's two memory formats, the order rotating. Over all rounds the format with
the faster median counts. ratio = PyTorch's time / ours: above 1 we are faster. Ours' peak memory is that of the process, and what is
left of it without the bytes of the data set's images. Needs PyTorch and h5py (Debian: python3-torch, python3-h5py)."""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from peer_torch import LAYOUTS, ROOT, cpu_name, fail, make_vgg_a, positive, run_json, spread, start, torch_version

NETWORKS = ("resnet-20", "vgg-a")
IMAGES, BATCH, RECORD = 1000, 128, 3073
CONFIG = """
[data]
source = "cifar10"
path = "{data}"
test_limit = 1
[model]
arch = "{network}"
norm = "batch"
init = "he-normal"
[train]
lr = 0.1
batch_size = {batch}
steps = 4
checkpoint_every = 4
test_every = 0
[surface]
y = "random"
xlim = "-1:1:{points}"
ylim = "-1:1:{points}"
images = {images}
batch_norm = "batch"
"""


# ---- PyTorch's side ----


def make_resnet_20() -> Any:
    """He et al. 2015 for CIFAR, option A, with our names."""
    from torch import nn
    from torch.nn import functional as F

    class Block(nn.Module):
        def __init__(self, before: int, channels: int, stride: int):
            super().__init__()
            self.conv1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(channels)
            self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(channels)
            self.stride, self.more = stride, channels - before

        def forward(self, x: Any) -> Any:
            y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)), inplace=True)))
            if self.more:
                x = F.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, self.more // 2, self.more - self.more // 2))
            return F.relu(x + y, inplace=True)

    class ResNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
            before = 16
            for number, channels in enumerate((16, 32, 64), 1):
                blocks = []
                for i in range(3):
                    blocks.append(Block(before, channels, 2 if i == 0 and number > 1 else 1))
                    before = channels
                setattr(self, f"layer{number}", nn.Sequential(*blocks))
            self.linear = nn.Linear(64, 10)

        def forward(self, x: Any) -> Any:
            x = F.relu(self.bn1(self.conv1(x)), inplace=True)
            return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))

    return ResNet().train()


def tensors_of(path: Path, group: str, names: list[str]) -> list[Any]:
    import torch
    with h5py.File(path) as file:
        return [torch.from_numpy(file[group][name][()]) for name in names]


def read_images(options: argparse.Namespace, mean: np.ndarray, deviation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every size/1000-th image, standardised as in the run."""
    files = sorted(options.data.glob("data_batch_*.bin"))
    records = np.concatenate([np.fromfile(file, np.uint8).reshape(-1, RECORD) for file in files])
    records = records[np.arange(IMAGES) * len(records) // IMAGES]
    pixels = records[:, 1:].reshape(IMAGES, 3, 32, 32) / 255.0
    return ((pixels - mean.reshape(3, 1, 1)) / deviation.reshape(3, 1, 1)).astype(np.float32), records[:, 0].astype(np.int64)


def time_pytorch(options: argparse.Namespace) -> dict[str, Any]:
    import torch

    torch.set_num_threads(options.threads)
    run = options.child_run
    checkpoint = sorted((run / "checkpoints").glob("*.h5"))[-1]
    layout = torch.channels_last if options.child == "channels_last" else torch.contiguous_format
    model = (make_resnet_20() if options.network == "resnet-20" else make_vgg_a("batch", 1.0)).to(memory_format=layout)
    with h5py.File(checkpoint) as file:
        names = list(file["parameters"])
        mean, deviation = file["standardisation/mean"][()], file["standardisation/deviation"][()]
    if options.network == "vgg-a":  # a plain sequence there: features before classifier, by module number, weight before bias
        names.sort(key=lambda name: (name.split(".")[0] != "features", int(name.split(".")[1]), name.endswith("bias")))
        parameters = list(model.parameters())
    else:
        parameters = [dict(model.named_parameters())[name] for name in names]
    fit = [[tensor.contiguous(memory_format=layout) if tensor.ndim == 4 else tensor for tensor in tensors_of(path, group, names)]
           for path, group in ((checkpoint, "parameters"), (run / "directions-main.h5", "x/0"), (run / "directions-main.h5", "y/0"))]
    if [parameter.shape for parameter in parameters] != [weight.shape for weight in fit[0]]:
        fail("the networks differ")
    pixels, classes = read_images(options, mean, deviation)
    images, labels = torch.from_numpy(pixels).contiguous(memory_format=layout), torch.from_numpy(classes)

    def cell(a: float, b: float) -> float:
        total = 0.0
        for parameter, weight, x, y in zip(parameters, *fit):
            parameter.copy_(weight + b * y + a * x)
        for first in range(0, IMAGES, BATCH):
            here = slice(first, first + BATCH)
            total += torch.nn.functional.cross_entropy(model(images[here]), labels[here], reduction="sum").item()
        return total / IMAGES

    with torch.no_grad():
        cell(0, 0)
        axis = np.linspace(-1, 1, options.points)
        begin = time.perf_counter()
        loss = [[cell(a, b) for a in axis.tolist()] for b in axis.tolist()]
        return {"seconds": time.perf_counter() - begin, "loss": loss}


# ---- the rounds ----


def time_ours(options: argparse.Namespace, run: Path) -> tuple[float, float]:
    """Seconds, and bytes at the peak, of the whole program, which begins anew."""
    for path in [*run.glob("surface*.h5"), *run.glob("directions*.h5"), *run.glob("surface/main/*.h5")]:
        path.unlink()
    begin = time.perf_counter()
    process = subprocess.Popen([options.binary, "surface", run, "--quiet", "--threads", str(options.threads)], stdout=subprocess.DEVNULL,
                               env=os.environ | {"OMP_NUM_THREADS": str(options.threads)})
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        fail(f"gradscape surface failed with status {status}")
    return time.perf_counter() - begin, usage.ru_maxrss * 1024


def measure(options: argparse.Namespace, network: str) -> dict[str, Any]:
    options.network = network
    sides = ("ours", *LAYOUTS)
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    memory, losses = [], {}
    with tempfile.TemporaryDirectory() as folder:
        run, config = Path(folder) / "run", Path(folder) / "config.toml"
        config.write_text(CONFIG.format(data=options.data, network=network, batch=BATCH, points=options.points, images=IMAGES))
        subprocess.run([options.binary, "train", config, "--out", run, "--quiet"], check=True, stdout=subprocess.DEVNULL)
        for number in range(options.rounds):
            turn = number % len(sides)
            for side in sides[turn:] + sides[:turn]:
                if side == "ours":
                    took, peak = time_ours(options, run)
                    seconds[side].append(took)
                    memory.append(peak)
                else:
                    child = run_json(start([sys.executable, __file__, "--child", side, "--child-run", str(run), "--network", network,
                                            "--cells", str(options.cells), "--threads", str(options.threads), "--data", str(options.data)],
                                           options.threads))
                    seconds[side].append(child["seconds"])
                    losses[side] = np.array(child["loss"])
            if not options.quiet:
                print(f"{network}, round {number + 1}/{options.rounds}: "
                      + ", ".join(f"{side} {times[-1]:.2f} s" for side, times in seconds.items()), file=sys.stderr, flush=True)
        with h5py.File(run / "surface.h5") as file:
            ours = file["loss"][0]
    best = min(LAYOUTS, key=lambda layout: statistics.median(seconds[layout]))
    images = sum(file.stat().st_size for file in options.data.glob("data_batch_*.bin"))
    return {"network": network, "cells": options.points**2, "ours_seconds": spread(seconds["ours"]),
            "pytorch_seconds": {layout: spread(seconds[layout]) for layout in LAYOUTS}, "pytorch_layout": best,
            "ratio": statistics.median(seconds[best]) / statistics.median(seconds["ours"]),
            "ratio_per_round": spread([its / mine for its, mine in zip(seconds[best], seconds["ours"])]),
            "median_relative_difference_of_losses": float(np.median(np.abs(losses[best] - ours) / ours)),
            "peak_megabytes": max(memory) / 1e6, "peak_megabytes_beyond_data": (max(memory) - images) / 1e6}


def report(result: dict[str, Any]) -> str:
    def line(name: str, value: dict[str, Any], scale: float = 1) -> str:
        return f"  {name:34}{scale * value['median']:8.3f} ({scale * value['min']:.3f} .. {scale * value['max']:.3f})"

    per_cell = 1e3 / result["cells"]
    return "\n".join([
        f"{result['network']}, {result['cells']} cells",
        line("ours, ms a cell", result["ours_seconds"], per_cell),
        *(line(f"PyTorch {layout}, ms a cell", value, per_cell) for layout, value in result["pytorch_seconds"].items()),
        f"  {'PyTorch / ours, of the medians':34}{result['ratio']:8.3f}   {result['pytorch_layout']}",
        line("PyTorch / ours, per round", result["ratio_per_round"]),
        f"  {'losses differ, relative median':34}{result['median_relative_difference_of_losses']:8.1e}",
        f"  {'ours, peak memory, MB':34}{result['peak_megabytes']:8.0f}   beyond the data set {result['peak_megabytes_beyond_data']:.0f}"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--network", choices=NETWORKS, help="default: both, one after the other")
    add("--cells", type=positive, default=441, help="about so many, a square grid (default: 441)")
    add("--rounds", type=positive, default=3, help="alternations (default: 3)")
    add("--threads", type=positive, default=2)
    add("--data", type=Path, default=os.environ.get("GRADSCAPE_CIFAR10"), help="$GRADSCAPE_CIFAR10")
    add("--binary", type=Path, default=ROOT / "build/release/gradscape", help="default: %(default)s")
    add("--json", action="store_true", help="print the result as JSON")
    add("--quiet", action="store_true", help="no line per round")
    add("--child", choices=LAYOUTS, help=argparse.SUPPRESS)
    add("--child-run", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.points = max(2, math.isqrt(options.cells))
    if options.data is None:
        parser.error("--data: where is CIFAR-10? Or set GRADSCAPE_CIFAR10")
    options.data = Path(options.data)
    if options.child:
        print(json.dumps(time_pytorch(options)))
        return 0
    if not options.binary.is_file():
        fail(f"no {options.binary}; build it with: cmake --preset release && cmake --build --preset release")
    if (version := torch_version()) is None:
        print(f"PyTorch is not here for {sys.executable} (Debian: apt install python3-torch): nothing to compare with")
        return 0
    result: dict[str, Any] = {"cpu": cpu_name(), "load_before": os.getloadavg()[0],
                              "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY", "not set"), "pytorch_version": version,
                              "threads": options.threads, "rounds": options.rounds}
    result["networks"] = [measure(options, network) for network in ([options.network] if options.network else NETWORKS)]
    if options.json:
        print(json.dumps(result, indent=1))
        return 0
    print(f"{result['cpu']}, load before {result['load_before']:.2f}, OMP_WAIT_POLICY {result['omp_wait_policy']}, PyTorch {version}, "
          f"{options.threads} threads, median (range) of {options.rounds} rounds")
    print("\n".join(map(report, result["networks"])))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
