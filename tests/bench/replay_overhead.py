#!/usr/bin/python3
"""What replaying costs: CPU time (user and system) of a whole sweep in tasks, each a process, over that of one inline
train-and-probe of the same steps; and how long a task takes until it has read its checkpoint.

  tests/bench/replay_overhead.py [--config FILE] [--FIELD VALUE]... [--tasks N] [--rounds 3] [--threads 1]

Alternates both; prints medians and ranges. One test image is left, so that the inline run's test costs nothing. Without --config: VGG-A with batch norm, batch 128, on synthetic images, 40
steps in segments of 10, every one probed with 4 multipliers. Needs strace for the start-up time."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
[data]
source = "synthetic"
synthetic_train = 4096
synthetic_test = 0
[model]
arch = "vgg-a"
norm = "batch"
[train]
lr = 0.1
steps = 40
batch_size = 128
checkpoint_every = 10
[sweep]
multipliers = [0.5, 1.0, 2.0, 4.0]
"""


def cpu_seconds(command: list[str]) -> float:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{' '.join(command)} failed with status {status}")
    return usage.ru_utime + usage.ru_stime


def start_up(command: list[str], place: Path) -> float | None:
    """Seconds from exec to the end of the checkpoint's reading, from which the first step is taken."""
    if shutil.which("strace") is None:
        return None
    log = place / "strace.log"
    subprocess.run(["strace", "-f", "-ttt", "-e", "trace=execve,openat,close", "-o", str(log), *command], check=True,
                   stdout=subprocess.DEVNULL)
    # The task reads the segment's trace, then its checkpoint: opened once for its provenance, once for its tensors.
    begin, traced, opened, closed = None, False, set(), 0
    for line in log.read_text(errors="replace").splitlines():
        found = re.match(r"\d+ +(\d+\.\d+) (\w+)\((.*)", line)
        if not found:
            continue
        time, call, rest = float(found[1]), found[2], found[3]
        begin = begin or time
        if call == "openat" and "/trace/segment-" in rest:
            traced = True
        elif call == "openat" and traced and "checkpoints/step-" in rest and (number := re.search(r"= (\d+)$", rest)):
            opened.add(number[1])
        elif call == "close" and (number := rest.split(")")[0]) in opened:
            opened.remove(number)
            closed += 1
            if closed == 2:
                return time - begin
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", metavar="FILE")
    parser.add_argument("--tasks", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--binary", default=str(ROOT / "build/release/gradscape"))
    options, fields = parser.parse_known_args()
    fields += ["--data.test_limit", "1"]
    common = ["--quiet", "--threads", str(options.threads)]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        config = options.config or str(place / "config.toml")
        if not options.config:
            Path(config).write_text(CONFIG)
        inline, train, sweep = [], [], []
        for number in range(options.rounds):
            runs = [str(place / f"{kind}{number}") for kind in ("inline", "tasks")]
            inline.append(cpu_seconds([options.binary, "run", config, *fields, "--out", runs[0], *common]))
            train.append(cpu_seconds([options.binary, "train", config, *fields, "--out", runs[1], *common]))
            sweep.append(sum(cpu_seconds([options.binary, "sweep", runs[1], "--task", f"{task}/{options.tasks}", *common])
                             for task in range(options.tasks)))
        segment = sorted(Path(runs[1]).rglob("sweep/main/segment-*.h5"))[0]
        segment.unlink()
        first = start_up([options.binary, "sweep", runs[1], "--task", f"0/{options.tasks}", *common], place)
    ratios = [a / b for a, b in zip(sweep, inline)]
    cpu = next(line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line)
    print(f"{cpu}; CPU seconds, medians of {options.rounds}: inline {statistics.median(inline):.2f}, training alone "
          f"{statistics.median(train):.2f}, sweep in {options.tasks} tasks {statistics.median(sweep):.2f}")
    print(f"sweep / inline: {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
    print("a task's start, up to its first checkpoint read: " + (f"{first:.2f} s (under strace)" if first else "unknown"))


if __name__ == "__main__":
    main()
