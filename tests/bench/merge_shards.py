#!/usr/bin/python3
"""Time and memory of `gradscape merge`: 1 000 shards that hold 100 000 steps x 16 multipliers, with batches of 128.

  tests/bench/merge_shards.py [--shards 1000] [--steps 100] [--rounds 5] [--binary build/release/gradscape]

The shards are copies of one that is computed, with other steps. Prints the median, least and largest wall time, and the
largest resident memory, of --rounds merges."""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/cli"))
from support import falsified  # noqa: E402

CONFIG = """
[data]
source = "synthetic"
synthetic_train = 128
synthetic_test = 0
[model]
arch = "mlp"
hidden = [4]
[train]
steps = {steps}
checkpoint_every = {steps}
batch_size = 128
[sweep]
last = {last}
multipliers = {multipliers}
"""


def make_shards(binary: str, place: Path, shards: int, steps: int) -> Path:
    config, run = place / "config.toml", place / "run"
    config.write_text(CONFIG.format(steps=steps, last=steps - 1, multipliers=[0.25 * i for i in range(1, 17)]))
    subprocess.run([binary, "run", str(config), "--out", str(run), "--quiet"], check=True, stdout=subprocess.DEVNULL)
    first = run / f"sweep/main/segment-{0:08}-{steps:08}.h5"
    with falsified(first) as file:
        text = file.attrs["config"].decode().replace(f"last = {steps - 1}", f"last = {shards * steps - 1}")
        file.attrs.create("config", np.bytes_(text.encode()))
    for path in (run / "checkpoints").glob("*.h5"):
        with falsified(path) as file:
            file.attrs.modify("total_steps", shards * steps)
    for k in range(1, shards):
        shard = run / f"sweep/main/segment-{steps * k:08}-{steps * (k + 1):08}.h5"
        shutil.copyfile(first, shard)
        with falsified(shard) as file:
            file["step"][...] = np.arange(steps * k, steps * (k + 1))
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=100, help="of each shard")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--binary", default=str(ROOT / "build/release/gradscape"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = make_shards(options.binary, Path(folder), options.shards, options.steps)
        seconds, memory = [], 0
        for _ in range(options.rounds):
            begin = time.monotonic()
            process = subprocess.Popen([options.binary, "merge", str(run), "--quiet"], stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            if status != 0:
                sys.exit(f"merge failed with status {status}")
            seconds.append(time.monotonic() - begin)
            memory = max(memory, usage.ru_maxrss)
        with h5py.File(run / "landscape.h5") as file:
            shape = file["loss"].shape
    print(f"merged {options.shards} shards into {shape[0]} steps x {shape[1]} multipliers: median {statistics.median(seconds):.2f} s "
          f"({min(seconds):.2f} to {max(seconds):.2f}), {memory / 1024:.0f} MB at most")


if __name__ == "__main__":
    main()
