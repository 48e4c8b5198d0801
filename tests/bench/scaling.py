#!/usr/bin/python3
"""Wall time of the paper's full VGG experiment on 1 to 1000 cores, simulated from measured times of one core.

  tests/bench/scaling.py --train 0.25 --probe 0.9 --floor 10 --start 0.5 [--checkpoint-mb 39]

2 variants x 3 seeds, 15 000 steps each, every step probed with 4 multipliers. Tasks take one core each, as
tools/slurm/submit.sh submits them: the runs train (one after another within a run), then segments are replayed and
probed, then each run is merged. Every core takes the next task when it is free. For each number of cores the
checkpoint spacing with the least wall time is chosen among divisors of 15 000, the coarsest within 1 %."""

from __future__ import annotations

import argparse
import heapq

RUNS, STEPS = 6, 15000
CORES = (1, 10, 100, 1000)


def schedule(tasks: list[float], cores: int, begin: float) -> float:
    """When the last task ends, all of them being there at `begin`."""
    free = [begin] * min(cores, len(tasks))
    heapq.heapify(free)
    for seconds in tasks:
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)


def simulate(cores: int, spacing: int, options: argparse.Namespace) -> tuple[float, float]:
    """Seconds of the whole and of the training in it."""
    trained = schedule([options.start + STEPS * options.train] * RUNS, cores, 0)
    segment = options.start + options.floor + spacing * (options.train + options.probe)
    swept = schedule([segment] * (RUNS * STEPS // spacing), cores, trained)
    return swept + options.merge, trained


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--train", type=float, required=True, help="seconds of a training step on one core")
    add("--probe", type=float, required=True, help="seconds that four probes of a step take beyond")
    add("--floor", type=float, required=True, help="seconds of a noise floor, once in each segment")
    add("--start", type=float, required=True, help="seconds of a task's start")
    add("--merge", type=float, default=2, help="seconds of the merge")
    add("--checkpoint-mb", type=float, default=39, help="size of one checkpoint")
    options = parser.parse_args()
    print("| cores | spacing | segments | wall time | of it training | checkpoints | speed-up | efficiency |")
    print("|---|---|---|---|---|---|---|---|")
    alone = None
    for cores in CORES:
        walls = {spacing: simulate(cores, spacing, options) for spacing in range(1, STEPS + 1) if STEPS % spacing == 0}
        best = min(wall for wall, _ in walls.values())
        spacing = max(s for s, (wall, _) in walls.items() if wall <= 1.01 * best)
        wall, trained = walls[spacing]
        alone = alone or wall
        files = RUNS * (STEPS // spacing + 1)
        print(f"| {cores} | {spacing} | {RUNS * STEPS // spacing} | {wall / 3600:.2f} h | {trained / 3600:.2f} h | {files}, "
              f"{files * options.checkpoint_mb / 1000:.1f} GB | {alone / wall:.1f} | {100 * alone / wall / cores:.0f} % |")


if __name__ == "__main__":
    main()
