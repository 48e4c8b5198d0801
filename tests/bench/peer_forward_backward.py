#!/usr/bin/python3
"""Times forward + backward of VGG-A beside PyTorch, in alternation, and prints the ratio ours / PyTorch.

Each round starts PyTorch in a process of its own, which times both memory formats (NCHW and channels_last; over all
rounds the one with the faster median counts), and then bench_network. Both sides run a warm-up pass and then single
passes of the same work: train mode, mean cross entropy, gradients of all parameters, noise as images. A round's figure
is the median of its passes; what is printed are median and range over the rounds. The machine should have nothing else
to do; a warning says when the times vary too much for that.

Build ours first: cmake --build --preset release --target bench_network
Without PyTorch (Debian: python3-torch) the script says so and ends with exit code 0."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
LAYOUTS = ("NCHW", "channels_last")


def time_pytorch(norm: str, batch: int, threads: int, passes: int) -> dict[str, list[float]]:
    """Seconds of each pass, per memory format."""
    import torch
    from torch import nn

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    layers: list[nn.Module] = []
    channels = 3
    for width in (64, "P", 128, "P", 256, 256, "P", 512, 512, "P", 512, 512, "P"):
        if width == "P":
            layers.append(nn.MaxPool2d(2, 2))
            continue
        layers.append(nn.Conv2d(channels, width, 3, padding=1))
        if norm == "batch":
            layers.append(nn.BatchNorm2d(width))
        layers.append(nn.ReLU())
        channels = width
    layers += [nn.Flatten(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)]
    seconds: dict[str, list[float]] = {}
    for layout, memory_format in zip(LAYOUTS, (torch.contiguous_format, torch.channels_last)):
        model = nn.Sequential(*layers).train().to(memory_format=memory_format)
        images = (2 * torch.rand(batch, 3, 32, 32) - 1).contiguous(memory_format=memory_format)
        labels = torch.arange(batch) % 10
        times = []
        for _ in range(1 + passes):
            start = time.perf_counter()
            model.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(model(images), labels).backward()
            times.append(time.perf_counter() - start)
        seconds[layout] = times[1:]
    return seconds


def fail(text: str) -> NoReturn:
    sys.exit(f"peer_forward_backward: {text}")


def run_json(command: list[str], threads: int) -> dict:
    """Runs a command on `threads` OpenMP threads and reads the JSON that it prints."""
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": str(threads)})
    if done.returncode != 0:
        fail(f"{' '.join(command)} failed with code {done.returncode}: {done.stderr.strip()}")
    try:
        return json.loads(done.stdout)
    except ValueError:
        fail(f"{' '.join(command)} printed no JSON: {(done.stderr or done.stdout).strip()}")


def round_of_pytorch(options: argparse.Namespace) -> dict[str, float]:
    """Median seconds of a pass, per memory format."""
    command = [sys.executable, __file__, "--child", "--norm", options.norm, "--batch", str(options.batch), "--threads",
               str(options.threads), "--passes", str(options.passes)]
    return {layout: statistics.median(times) for layout, times in run_json(command, options.threads).items()}


def round_of_ours(options: argparse.Namespace) -> float:
    """Median seconds of a pass. With this minimum time Google Benchmark makes every repetition a single pass."""
    command = [str(options.binary), f"--benchmark_filter=^ForwardBackward/{options.norm}/{options.batch}/",
               "--benchmark_format=json", "--benchmark_min_time=0.000001", f"--benchmark_repetitions={options.passes}"]
    rows = [row for row in run_json(command, options.threads).get("benchmarks", []) if row["run_type"] == "iteration"]
    failed = [row["error_message"] for row in rows if row.get("error_occurred")]
    if failed or not rows:
        fail(f"{options.binary}: {failed[0] if failed else 'no benchmark for this norm and batch size'}")
    scale = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
    return statistics.median(row["real_time"] * scale[row["time_unit"]] for row in rows)


def spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def measure(options: argparse.Namespace) -> dict:
    ours: list[float] = []
    peer: dict[str, list[float]] = {layout: [] for layout in LAYOUTS}
    load = os.getloadavg()[0]
    for number in range(options.rounds):
        for layout, seconds in round_of_pytorch(options).items():
            peer[layout].append(seconds)
        ours.append(round_of_ours(options))
        print(f"round {number + 1}/{options.rounds}: ours {ours[-1]:.3f} s, PyTorch "
              + ", ".join(f"{layout} {times[-1]:.3f} s" for layout, times in peer.items()), file=sys.stderr, flush=True)
    best = min(LAYOUTS, key=lambda layout: statistics.median(peer[layout]))
    return {"cpu": cpu_name(), "threads": options.threads, "norm": options.norm, "batch": options.batch,
            "rounds": options.rounds, "passes_per_round": options.passes, "load_before": load,
            "pytorch_version": torch_version(), "ours_seconds": spread(ours),
            "pytorch_seconds": {layout: spread(times) for layout, times in peer.items()}, "pytorch_layout": best,
            "ratio": statistics.median(ours) / statistics.median(peer[best]),
            "ratio_per_round": spread([mine / its for mine, its in zip(ours, peer[best])])}


def cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    name = fields.get("model name", "unknown CPU")
    extension = "AVX-512" if "avx512f" in fields.get("flags", "").split() else "no AVX-512"
    return f"{name} (family {fields.get('cpu family', '?')} model {fields.get('model', '?')}, {extension})"


def torch_version() -> str | None:
    """None where PyTorch cannot be imported. A process of its own: importing it here would start its threads."""
    command = [sys.executable, "-c", "import torch; print(torch.__version__)"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def report(result: dict) -> str:
    def line(name: str, times: dict[str, float], unit: str) -> str:
        return f"{name:24}{times['median']:.3f}{unit} ({times['min']:.3f} .. {times['max']:.3f})"

    return "\n".join([
        f"VGG-A forward + backward, norm {result['norm']}, batch {result['batch']}, {result['threads']} threads, "
        f"{result['cpu']}, load before {result['load_before']:.2f}",
        f"median (range) of {result['rounds']} rounds of {result['passes_per_round']} passes",
        line("gradscape", result["ours_seconds"], " s"),
        *(line(f"PyTorch {layout}", times, " s") for layout, times in result["pytorch_seconds"].items()),
        f"{'ratio of the medians':24}{result['ratio']:.3f}   ours / PyTorch {result['pytorch_version']}, "
        f"{result['pytorch_layout']}",
        line("ratio per round", result["ratio_per_round"], "  ")])


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive whole number")
    return int(text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--norm", choices=("none", "batch"), default="none")
    add("--batch", type=positive, default=128, help="samples; bench_network knows 32 and 128 (default: 128)")
    add("--threads", type=positive, default=2, help="default: 2")
    add("--rounds", type=positive, default=7, help="alternations (default: 7)")
    add("--passes", type=positive, default=5, help="timed passes of each side per round (default: 5)")
    add("--binary", type=Path, default=ROOT / "build/release/tests/bench/bench_network", help="default: %(default)s")
    add("--json", action="store_true", help="print the result as JSON")
    add("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(time_pytorch(options.norm, options.batch, options.threads, options.passes)))
        return 0
    if torch_version() is None:
        print(f"PyTorch is not here for {sys.executable} (Debian: apt install python3-torch): nothing to compare with")
        return 0
    if not options.binary.is_file():
        fail(f"no {options.binary}; build it with: cmake --build --preset release --target bench_network "
             "(needs Debian's libbenchmark-dev)")
    result = measure(options)
    for name in ("ours_seconds", "ratio_per_round"):
        if result[name]["max"] > 1.3 * result[name]["min"]:
            print(f"warning: {name} varies from {result[name]['min']:.3f} to {result[name]['max']:.3f}: the machine "
                  "has other work, these numbers mean little", file=sys.stderr)
    print(json.dumps(result, indent=1) if options.json else report(result))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
