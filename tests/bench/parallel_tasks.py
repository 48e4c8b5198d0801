#!/usr/bin/python3
"""What a second task on a second core brings: throughput of two sweep tasks of one thread each over that of one, beside
what two copies of a plain single-thread matrix product (numpy, 1024 x 1024, float32) reach on the same cores.

  tests/bench/parallel_tasks.py [--config FILE] [--FIELD VALUE]... [--rounds 5]

Alternates one task, two tasks, one product, two products; prints medians and ranges. Without --config: VGG-A with batch
norm, batch 128, on synthetic images, 2 segments of 8 steps, every one probed with 4 multipliers."""

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

from replay_overhead import CONFIG, ROOT

# Prints the products done in ten seconds.
PRODUCTS = """
import time
import numpy as np
a = np.random.default_rng(1).standard_normal((1024, 1024), dtype=np.float32)
a @ a
end, count = time.monotonic() + 10, 0
while time.monotonic() < end:
    a @ a
    count += 1
print(count)
"""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def together(commands: list[list[str]]) -> tuple[float, list[str]]:
    """Seconds until all commands, started at once, have ended; and what they printed."""
    begin = time.monotonic()
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | ONE_THREAD)
                 for command in commands]
    printed = [process.communicate()[0] for process in processes]
    seconds = time.monotonic() - begin
    for process, command in zip(processes, commands):
        if process.returncode != 0:
            sys.exit(f"{' '.join(command)} failed")
    return seconds, printed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", metavar="FILE")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--binary", default=str(ROOT / "build/release/gradscape"))
    options, fields = parser.parse_known_args()
    if not options.config:
        fields = ["--train.steps", "16", "--train.checkpoint_every", "8", "--sweep.last", "15", *fields]
    with tempfile.TemporaryDirectory() as folder:
        run, config = f"{folder}/run", options.config or f"{folder}/config.toml"
        if not options.config:
            Path(config).write_text(CONFIG)
        together([[options.binary, "train", config, *fields, "--out", run, "--quiet"]])
        tasks = [[options.binary, "sweep", run, "--quiet", "--threads", "1", "--task", f"{i}/2"] for i in range(2)]
        product = ["/usr/bin/python3", "-c", PRODUCTS]

        def sweep(commands: list[list[str]]) -> float:
            """Tasks done in a second."""
            for shards in Path(run).rglob("sweep"):
                shutil.rmtree(shards)
            return len(commands) / together(commands)[0]

        gains: dict[str, list[float]] = {"sweep tasks": [], "matrix products": []}
        for _ in range(options.rounds):
            alone = statistics.mean([sweep(tasks[:1]), sweep(tasks[1:])])
            gains["sweep tasks"].append(sweep(tasks) / alone)
            counts = [sum(map(int, together([product] * copies)[1])) for copies in (1, 2)]
            gains["matrix products"].append(counts[1] / counts[0])
    cpu = next(line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line)
    print(f"{cpu}; two over one, medians of {options.rounds} alternations:")
    for name, values in gains.items():
        print(f"  {name}: {statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})")
    ratios = [a / b for a, b in zip(*gains.values())]
    print(f"  tasks / products: {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
