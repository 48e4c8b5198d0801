#!/usr/bin/python3
"""Seconds that a checkpoint of VGG-A with momentum (88 MB) takes to write: a short training with a checkpoint at every step,
less the same with one at its end. With --against, another binary in alternation, and the quotient of the medians.

  tests/bench/checkpoint_write.py [--binary build/release/gradscape] [--against OLD] [--rounds 5]"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STEPS = 8
CONFIG = f"""
[data]
source = "synthetic"
synthetic_train = 8
synthetic_test = 0
[train]
momentum = 0.9
batch_size = 4
steps = {STEPS}
"""


def train(binary: str, config: Path, every: int) -> tuple[float, float]:
    """Wall and processor seconds."""
    run = config.parent / "run"
    shutil.rmtree(run, ignore_errors=True)
    os.sync()
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), os.times().elapsed
    subprocess.run([binary, "train", config, "--out", run, "--quiet", "--threads", "1", "--train.checkpoint_every", str(every)],
                   check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return os.times().elapsed - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(ROOT / "build/release/gradscape"))
    parser.add_argument("--against", help="another binary")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    binaries = [options.binary] + ([options.against] if options.against else [])
    found: dict[str, list[tuple[float, float]]] = {binary: [] for binary in binaries}
    with tempfile.TemporaryDirectory(dir=ROOT) as folder:
        config = Path(folder) / "vgg.toml"
        config.write_text(CONFIG)
        for number in range(options.rounds):
            for binary in binaries if number % 2 == 0 else reversed(binaries):
                many, one = train(binary, config, 1), train(binary, config, STEPS)
                found[binary].append(((many[0] - one[0]) / (STEPS - 1), (many[1] - one[1]) / (STEPS - 1)))
    medians = []
    for binary, pairs in found.items():
        wall, cpu = ([pair[i] for pair in pairs] for i in (0, 1))
        medians.append((statistics.median(wall), statistics.median(cpu)))
        print(f"{binary}: a checkpoint takes {medians[-1][0]:.3f} s ({min(wall):.3f} to {max(wall):.3f}), "
              f"CPU {medians[-1][1]:.3f} s ({min(cpu):.3f} to {max(cpu):.3f})")
    if len(medians) == 2:
        print(f"quotient of medians: {medians[0][0] / medians[1][0]:.3f}, CPU {medians[0][1] / medians[1][1]:.3f}")


if __name__ == "__main__":
    main()
