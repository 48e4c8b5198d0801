#!/usr/bin/python3
"""Times gradscape beside PyTorch, in alternation: a whole probed step of VGG-A or a ResNet, or forward + backward alone.

A probed step with K multipliers m is: loss and gradient g of the batch in train mode, the SGD update, and for every m
the weights theta - m*lr*g with loss and gradient there, the norms of that gradient and of its difference from g, and
the cosine between the two. Ours is `gradscape bench --json`, whose probed step also makes the batch from bytes, takes
the accuracies, sums norms in double, and writes the record as a file of its own, synced to disk (a run writes one per
checkpoint interval); PyTorch's keeps its record in memory. Noise as images, batch norm with running statistics on both sides.

Each round starts three processes in turn, ours and PyTorch's two memory formats (NCHW, channels_last), the order
rotating from round to round. Each process warms up with one pass; its figure is the median of the passes that follow.
Over all rounds the format with the faster median counts. ratio = PyTorch's time / ours: above 1 we are faster. The
machine should have nothing else to do; a warning says when times vary too much for that.

Two modes need no PyTorch:
  --scaling  ours on 1 and on 2 threads, and two single-thread copies at once, which is the host's own limit
  --probes   ours with K and with 4K multipliers: seconds of the probes alone

Without PyTorch (Debian: python3-torch) the comparison says so and ends with exit code 0."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, NoReturn

ROOT = Path(__file__).resolve().parents[2]
LAYOUTS = ("NCHW", "channels_last")
ARCHS = ("vgg-a", "resnet-20", "resnet-32", "resnet-44", "resnet-56", "resnet-110")
WORKS = {"probed-step": "probed_step", "forward-backward": "forward_backward"}
LEARNING_RATE = 0.1
NOISY = 1.3  # largest over smallest time at which a warning is due


def fail(text: str) -> NoReturn:
    sys.exit(f"peer_torch: {text}")


def multipliers(count: int) -> list[float]:
    """0.5 to 4 in equal ratios: 0.5, 1, 2, 4 for four of them."""
    return [1.0] if count == 1 else [2.0 ** (3 * i / (count - 1) - 1) for i in range(count)]


# ---- PyTorch's side: a process of its own per memory format ----


def make_vgg_a(norm: str, width: float) -> Any:
    from torch import nn

    def scaled(channels: int) -> int:
        return max(1, int(channels * width + 0.5))

    layers: list[nn.Module] = []
    before = 3
    for channels in (64, "P", 128, "P", 256, 256, "P", 512, 512, "P", 512, 512, "P"):
        if channels == "P":
            layers.append(nn.MaxPool2d(2, 2))
            continue
        layers.append(nn.Conv2d(before, scaled(channels), 3, padding=1))
        before = scaled(channels)
        if norm == "batch":
            layers.append(nn.BatchNorm2d(before))
        layers.append(nn.ReLU(inplace=True))
    hidden = scaled(512)
    layers += [nn.Flatten(), nn.Linear(before, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, hidden),
               nn.ReLU(inplace=True), nn.Linear(hidden, 10)]
    return nn.Sequential(*layers).train()


def make_resnet(depth: int, width: float) -> Any:
    sys.path.append(str(ROOT / "tests/tools"))
    from torch_networks import ResNet

    return ResNet("A", int(16 * width + 0.5), (depth - 2) // 6).train()


def make_network(options: argparse.Namespace) -> Any:
    if options.arch == "vgg-a":
        return make_vgg_a(options.norm, options.width)
    return make_resnet(int(options.arch.partition("-")[2]), options.width)


def make_pass(options: argparse.Namespace, layout: str) -> tuple[Callable[[], None], int, list[dict[str, float]]]:
    """What is to be timed, the number of the network's parameters, and the list that the passes' records go to."""
    import torch

    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    memory_format = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    model = make_network(options).to(memory_format=memory_format)
    images = (2 * torch.rand(options.batch, 3, 32, 32) - 1).contiguous(memory_format=memory_format)
    labels = torch.arange(options.batch) % 10
    parameters = list(model.parameters())
    theta = [parameter.detach() for parameter in parameters]    # the weights of training
    point = [torch.empty_like(weight) for weight in theta]      # those of a probe
    factors = multipliers(options.k)
    records: list[dict[str, float]] = []

    def use(weights: list[torch.Tensor]) -> None:
        for parameter, weight in zip(parameters, weights):
            parameter.data = weight  # no copy: the model looks elsewhere

    def gradient() -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        return loss.detach(), torch.autograd.grad(loss, parameters)

    def norm(tensors: Any) -> torch.Tensor:
        return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors)))

    def dot(a: Any, b: Any) -> torch.Tensor:
        return torch.stack([torch.sum(x * y) for x, y in zip(a, b)]).sum()  # faster than torch.dot of Debian's build

    def probed_step() -> None:
        loss, grad = gradient()
        grad_norm = norm(grad)
        step = {"loss": loss.item(), "grad_norm": grad_norm.item()}
        with torch.no_grad():
            running = [buffer.clone() for buffer in model.buffers()]  # batch norm's, which probes must not move
            use(point)
            for factor in factors:
                for weight, slope, target in zip(theta, grad, point):
                    torch.add(weight, slope, alpha=-factor * LEARNING_RATE, out=target)
                with torch.enable_grad():
                    loss, there = gradient()
                there_norm = norm(there)
                cosine = dot(there, grad) / (there_norm * grad_norm)
                # `there` is not needed any more, so its memory takes the difference.
                torch._foreach_sub_(there, grad)
                step |= {f"loss {factor}": loss.item(), f"grad_norm {factor}": there_norm.item(),
                         f"grad_diff {factor}": norm(there).item(), f"grad_cos {factor}": cosine.item()}
            use(theta)
            for buffer, value in zip(model.buffers(), running):
                buffer.copy_(value)
            torch._foreach_add_(theta, list(grad), alpha=-LEARNING_RATE)
        records.append(step)

    def forward_backward() -> None:
        loss, _ = gradient()
        records.append({"loss": loss.item()})

    work = probed_step if options.what == "probed-step" else forward_backward
    return work, sum(weight.numel() for weight in theta), records


def time_pytorch(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of each timed pass, and the first timed one's record."""
    work, parameters, records = make_pass(options, options.child)
    seconds = []
    for _ in range(1 + options.passes):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds[1:], "parameters": parameters, "record": records[1]}


# ---- the rounds ----


def run_json(process: subprocess.Popen) -> dict:
    out, errors = process.communicate()
    told = " ".join(map(str, process.args))
    if process.returncode != 0:
        fail(f"{told} failed with code {process.returncode}: {errors.strip()}")
    try:
        return json.loads(out)
    except ValueError:
        fail(f"{told} printed no JSON: {(errors or out).strip()}")


def start(command: list[str], threads: int) -> subprocess.Popen:
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=os.environ | {"OMP_NUM_THREADS": str(threads)})


def start_pytorch(options: argparse.Namespace, layout: str) -> subprocess.Popen:
    return start([sys.executable, __file__, "--child", layout, "--what", options.what, "--arch", options.arch, "--norm", options.norm,
                  "--batch", str(options.batch), "--threads", str(options.threads), "--k", str(options.k), "--width",
                  str(options.width), "--passes", str(options.passes)], options.threads)


def start_ours(options: argparse.Namespace, threads: int, count: int) -> subprocess.Popen:
    """bench times a probed step in every repetition; where nobody asks for it, it is a short one."""
    factors = ",".join(map(repr, multipliers(count)))
    return start([str(options.binary), "bench", "--json", "--quiet", "--repetitions", str(options.passes), "--threads",
                  str(threads), "--model.arch", options.arch, "--model.width", str(options.width), "--model.norm",
                  options.norm, "--train.batch_size", str(options.batch), "--train.lr", str(LEARNING_RATE),
                  "--sweep.multipliers", factors, *options.ours], threads)


def spread(values: list[float]) -> dict[str, Any]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "rounds": values}


def median_of_rounds(rows: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(row[key] for row in rows) for key in rows[0]}


def tell(options: argparse.Namespace, number: int, figures: dict[str, float]) -> None:
    if not options.quiet:
        print(f"round {number + 1}/{options.rounds}: " + ", ".join(f"{k} {v:.3f}" for k, v in figures.items()),
              file=sys.stderr, flush=True)


def measure_peer(options: argparse.Namespace) -> dict[str, Any]:
    key = WORKS[options.what]
    count = options.k if options.what == "probed-step" else 1
    sides = ("ours", *LAYOUTS)
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    benches: list[dict] = []
    sizes: set[int] = set()
    for number in range(options.rounds):
        turn = number % len(sides)
        for side in sides[turn:] + sides[:turn]:
            if side == "ours":
                benches.append(run_json(start_ours(options, options.threads, count)))
                seconds[side].append(benches[-1][key]["seconds"]["median"])
                parameters = benches[-1]["parameters"]
            else:
                child = run_json(start_pytorch(options, side))
                seconds[side].append(statistics.median(child["seconds"]))
                parameters = child["parameters"]
            sizes.add(parameters)
        if len(sizes) > 1:
            fail(f"the networks differ: they have {' and '.join(map(str, sizes))} parameters")
        tell(options, number, {side: times[-1] for side, times in seconds.items()})
    best = min(LAYOUTS, key=lambda layout: statistics.median(seconds[layout]))
    ours = benches[0]
    return {"what": options.what, **({"k": options.k} if options.what == "probed-step" else {}),
            "threads": options.threads, "pytorch_version": torch_version(),
            "ours_seconds": spread(seconds["ours"]),
            "pytorch_seconds": {layout: spread(seconds[layout]) for layout in LAYOUTS}, "pytorch_layout": best,
            "ratio": statistics.median(seconds[best]) / statistics.median(seconds["ours"]),
            "ratio_per_round": spread([its / mine for its, mine in zip(seconds[best], seconds["ours"])]),
            "ours_gflops": spread([bench[key]["gflops"] for bench in benches]),
            "ours_share_of_peak": median_of_rounds([bench[key]["share_of_peak"] for bench in benches]),
            "ours_storing_seconds": spread([bench["storing"]["seconds"]["median"] for bench in benches]),
            "ours_program": ours["program"], "ours_configuration": ours["configuration"],
            "parameters": ours["parameters"]}


def measure_scaling(options: argparse.Namespace) -> dict[str, Any]:
    key = WORKS[options.what]
    count = options.k if options.what == "probed-step" else 1
    one: list[float] = []
    two: list[float] = []
    copies: list[list[float]] = []

    def seconds(process: subprocess.Popen) -> float:
        return run_json(process)[key]["seconds"]["median"]

    for number in range(options.rounds):
        one.append(seconds(start_ours(options, 1, count)))
        two.append(seconds(start_ours(options, 2, count)))
        pair = [start_ours(options, 1, count) for _ in range(2)]
        copies.append([seconds(process) for process in pair])
        tell(options, number, {"1 thread": one[-1], "2 threads": two[-1], "copies": max(copies[-1])})
    speedup = [a / b for a, b in zip(one, two)]
    # What two copies get done in the time in which one alone does one.
    limit = [sum(alone / copy for copy in pair) for alone, pair in zip(one, copies)]
    return {"what": options.what, **({"k": options.k} if options.what == "probed-step" else {}),
            "one_thread_seconds": spread(one), "two_threads_seconds": spread(two),
            "two_copies_seconds": spread([statistics.mean(pair) for pair in copies]),
            "speedup": statistics.median(one) / statistics.median(two), "speedup_per_round": spread(speedup),
            "host_limit": statistics.median(limit), "host_limit_per_round": spread(limit)}


def measure_probes(options: argparse.Namespace) -> dict[str, Any]:
    counts = (options.k, 4 * options.k)
    seconds: dict[int, list[float]] = {count: [] for count in counts}
    for number in range(options.rounds):
        for count in counts if number % 2 == 0 else counts[::-1]:
            seconds[count].append(run_json(start_ours(options, options.threads, count))["probes"]["seconds"]["median"])
        tell(options, number, {f"K = {count}": times[-1] for count, times in seconds.items()})
    few, many = (seconds[count] for count in counts)
    return {"what": "probes", "k": list(counts), "threads": options.threads,
            "probes_seconds": {str(count): spread(times) for count, times in seconds.items()},
            "ratio": statistics.median(many) / statistics.median(few),
            "ratio_per_round": spread([b / a for a, b in zip(few, many)])}


# ---- what is printed ----


def cpu_name() -> str:
    path = Path("/proc/cpuinfo")
    fields: dict[str, str] = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    extension = "AVX-512" if "avx512f" in fields.get("flags", "").split() else "no AVX-512"
    return (f"{fields.get('model name') or 'unknown CPU'} (family {fields.get('cpu family', '?')} "
            f"model {fields.get('model', '?')}, {extension})")


def torch_version() -> str | None:
    """None where PyTorch cannot be imported. A process of its own: importing it here would start its threads."""
    done = subprocess.run([sys.executable, "-c", "import torch; print(torch.__version__)"], capture_output=True,
                          text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def spreads(result: dict[str, Any], prefix: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Every median with its range, by name, also one level down."""
    found = []
    for name, value in result.items():
        if isinstance(value, dict) and "rounds" in value:
            found.append((prefix + name.replace("_", " "), value))
        elif name in ("pytorch_seconds", "probes_seconds"):
            found += spreads(value, name.replace("_", " ") + " ")
    return found


def report(result: dict[str, Any]) -> str:
    works = {"probed-step": f"a probed step with K = {result.get('k')}", "forward-backward": "forward + backward",
             "probes": "the probes of a step"}
    threads = f", {result['threads']} threads" if "threads" in result else ""
    lines = [f"{result['arch']}, {works[result['what']]}, norm {result['norm']}, batch {result['batch']}{threads}",
             f"{result['cpu']}, load before {result['load_before']:.2f}, OMP_WAIT_POLICY {result['omp_wait_policy']}",
             f"median (range) of {result['rounds']} rounds, each the median of {result['passes_per_round']} passes"]
    lines += [f"{name:34}{value['median']:8.3f} ({value['min']:.3f} .. {value['max']:.3f})"
              for name, value in spreads(result)]
    if "pytorch_layout" in result:
        lines.append(f"{'PyTorch / ours, of the medians':34}{result['ratio']:8.3f}   PyTorch "
                     f"{result['pytorch_version']}, {result['pytorch_layout']}")
        lines += [f"{'ours, share of ' + isa + ' peak':34}{share:8.3f}"
                  for isa, share in result["ours_share_of_peak"].items()]
    elif "speedup" in result:
        lines.append(f"{'2 threads over 1, of the medians':34}{result['speedup']:8.3f}   two copies reach "
                     f"{result['host_limit']:.3f}")
    else:
        few, many = result["k"]
        lines.append(f"{f'K = {many} over K = {few}, of the medians':34}{result['ratio']:8.3f}")
    return "\n".join(lines)


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a positive whole number")
    return int(text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--what", choices=tuple(WORKS), default="probed-step", help="what is timed (default: %(default)s)")
    add("--arch", choices=ARCHS, default=ARCHS[0], help="default: %(default)s; the others with --norm batch")
    add("--norm", choices=("none", "batch"), default="none")
    add("--batch", type=positive, default=128, help="images (default: 128)")
    add("--width", type=float, default=1.0, help="factor on all channel counts (default: 1)")
    add("--k", type=positive, default=4, help="multipliers per probed step (default: 4)")
    add("--threads", type=positive, default=2, help="default: 2; --scaling has its own")
    add("--rounds", type=positive, default=7, help="alternations (default: 7)")
    add("--passes", type=positive, default=3, help="timed passes of each side per round (default: 3)")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--scaling", action="store_true", help="ours on 1 and 2 threads, beside two copies at once")
    mode.add_argument("--probes", action="store_true", help="ours, the probes alone, with K and 4K multipliers")
    add("--binary", type=Path, default=ROOT / "build/release/gradscape", help="default: %(default)s")
    add("--ours", type=str.split, default=[], metavar="FLAGS", 
        help="further flags of `gradscape bench`: --ours='--train.seed 2'")
    add("--json", action="store_true", help="print the result as JSON")
    add("--quiet", action="store_true", help="no line per round")
    add("--child", choices=LAYOUTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(time_pytorch(options)))
        return 0
    if options.arch != "vgg-a" and options.norm != "batch":
        parser.error(f"{options.arch} is compared with --norm batch only")
    if not options.binary.is_file():
        fail(f"no {options.binary}; build it with: cmake --preset release && cmake --build --preset release")
    measure = measure_scaling if options.scaling else measure_probes if options.probes else measure_peer
    if measure is measure_peer and torch_version() is None:
        print(f"PyTorch is not here for {sys.executable} (Debian: apt install python3-torch): nothing to compare with")
        return 0
    load = os.getloadavg()[0]
    result = {"cpu": cpu_name(), "load_before": load,
              "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY", "not set"), "arch": options.arch, "norm": options.norm,
              "batch": options.batch, "width": options.width, "rounds": options.rounds,
              "passes_per_round": options.passes, **measure(options)}
    for name, value in spreads(result):
        if "storing" not in name and value["max"] > NOISY * value["min"]:
            print(f"warning: {name} varies from {value['min']:.3f} to {value['max']:.3f}: the machine has other work, "
                  "these numbers mean little", file=sys.stderr)
    print(json.dumps(result, indent=1) if options.json else report(result))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
