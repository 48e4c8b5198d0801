#!/usr/bin/python3
"""How near `gradscape plan` comes: CPU seconds (user and system), memory and disk of every task as planned, beside what
the task then takes.

  tests/bench/plan_accuracy.py CONFIG [--FIELD VALUE]... [--tasks 3] [--threads 1]

Plans the study, then runs it: training, the sweep in tasks, the merge, each as a process of its own."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def measure(command: list[str]) -> tuple[float, float]:
    """CPU seconds, and megabytes of memory at the peak."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{' '.join(command)} failed with status {status}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--tasks", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--binary", default=str(ROOT / "build/release/gradscape"))
    options, fields = parser.parse_known_args()
    common = ["--quiet", "--threads", str(options.threads)]
    with tempfile.TemporaryDirectory() as out:
        study = [options.config, *fields, "--out", out]
        planned = json.loads(subprocess.run([options.binary, "plan", *study, "--tasks", str(options.tasks), "--json", *common],
                                            check=True, stdout=subprocess.PIPE).stdout)
        commands = {"train": [["train", *study]], "merge": [["merge", out]],
                    "sweep": [["sweep", out, "--task", f"{i}/{options.tasks}"] for i in range(options.tasks)]}
        cpu = next(line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line)
        print(f"{cpu}, {options.threads} threads\n{'':8}{'CPU s planned':>15}{'measured':>10}{'ratio':>8}{'MB planned':>13}{'measured':>10}")
        total = [0.0, 0.0]
        for kind in ("train", "sweep", "merge"):
            tasks = [task for task in planned["tasks"] if task["kind"] == kind]
            seconds, memory = map(list, zip(*(measure([options.binary, *command, *common]) for command in commands[kind])))
            expected = 3600 * sum(task["cpu_hours"] for task in tasks)
            room = max(task["memory_bytes"] for task in tasks) / 1e6
            total = [total[0] + expected, total[1] + sum(seconds)]
            print(f"{kind:8}{expected:15.2f}{sum(seconds):10.2f}{expected / sum(seconds):8.3f}{room:13.1f}{max(memory):10.1f}")
        written = sum(path.stat().st_size for path in Path(out).rglob("*.h5")) / 1e6
        print(f"{'total':8}{total[0]:15.2f}{total[1]:10.2f}{total[0] / total[1]:8.3f}\n"
              f"disk: {planned['total']['disk_bytes'] / 1e6:.2f} MB planned, {written:.2f} MB written")


if __name__ == "__main__":
    main()
