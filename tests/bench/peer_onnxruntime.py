#!/usr/bin/python3
"""Times a forward pass of VGG-A or a ResNet beside ONNX Runtime's, in alternation, in float.

ONNX Runtime is Node's: `npm install --ignore-scripts onnxruntime-node` in any folder, named by --node-modules. PyTorch (Debian:
python3-torch) writes the ONNX file of the same network in evaluation mode, in which ONNX Runtime folds batch norm into the
convolutions. Ours is the forward pass of `gradscape bench --json`, in train mode: batch norm takes the batch's statistics. Each
round starts both processes, the order changing from round to round; each warms up with one pass; its figure is the median of the
passes that follow. ratio = ONNX Runtime's time / ours: above 1 we are faster. The machine should have nothing else to do.

Where ONNX Runtime, Node or PyTorch is absent the script says so and ends with exit code 0."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from peer_torch import ARCHS, ROOT, cpu_name, make_network, positive, run_json, start, torch_version

NODE = r"""
const [modules, file, threads, passes, batch] = process.argv.slice(1);
const ort = require(require.resolve('onnxruntime-node', {paths: [modules]}));
(async () => {
  const count = Number(threads);
  const session = await ort.InferenceSession.create(file, {intraOpNumThreads: count, interOpNumThreads: 1});
  const images = new ort.Tensor('float32', Float32Array.from({length: batch * 3072}, () => 2 * Math.random() - 1), [Number(batch), 3, 32, 32]);
  const seconds = [];
  for (let i = 0; i <= passes; ++i) {
    const begin = process.hrtime.bigint();
    await session.run({x: images});
    seconds.push(Number(process.hrtime.bigint() - begin) / 1e9);
  }
  console.log(JSON.stringify({seconds: seconds.slice(1)}));
})();
"""


def absent(modules: Path) -> str:
    """What is not here; empty: nothing."""
    if shutil.which("node") is None:
        return "Node (Debian: nodejs)"
    if not (modules / "onnxruntime-node/package.json").is_file():
        return f"onnxruntime-node in {modules} (npm install --ignore-scripts onnxruntime-node)"
    return "" if torch_version() else "PyTorch (Debian: python3-torch)"


def write_onnx(options: argparse.Namespace) -> None:
    """In a process of its own: PyTorch starts threads."""
    import torch

    warnings.simplefilter("ignore")
    torch.onnx.export(make_network(options).eval(), torch.randn(options.batch, 3, 32, 32), options.child, opset_version=14, input_names=["x"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--arch", choices=ARCHS, default=ARCHS[0], help="default: %(default)s; the others with --norm batch")
    add("--norm", choices=("none", "batch"), default="batch", help="default: %(default)s")
    add("--batch", type=positive, default=128)
    add("--threads", type=positive, default=2)
    add("--rounds", type=positive, default=7)
    add("--passes", type=positive, default=5, help="timed passes of each side per round (default: 5)")
    add("--node-modules", type=Path, default=Path("node_modules"), metavar="DIR", help="default: ./node_modules")
    add("--binary", type=Path, default=ROOT / "build/release/gradscape")
    add("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.width = 1.0
    if options.child:
        write_onnx(options)
        return 0
    modules = options.node_modules.resolve()
    if what := absent(modules):
        print(f"{what} is not here: nothing to compare with")
        return 0
    if options.arch != "vgg-a" and options.norm != "batch":
        parser.error(f"{options.arch} is compared with --norm batch only")
    version = json.loads((modules / "onnxruntime-node/package.json").read_text())["version"]
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        subprocess.run([sys.executable, __file__, "--child", path, "--arch", options.arch, "--norm", options.norm, "--batch",
                        str(options.batch)], check=True, stdout=subprocess.DEVNULL)
        numbers = [str(options.threads), str(options.passes), str(options.batch)]
        commands = {
            "ours": [str(options.binary), "bench", "--json", "--quiet", "--repetitions", str(options.passes), "--threads",
                     str(options.threads), "--model.arch", options.arch, "--model.norm", options.norm, "--train.batch_size",
                     str(options.batch), "--sweep.multipliers", "1"],
            "ONNX Runtime": ["node", "-e", NODE, str(modules), str(path), *numbers]}
        seconds: dict[str, list[float]] = {side: [] for side in commands}
        for number in range(options.rounds):
            for side in list(commands)[::1 if number % 2 == 0 else -1]:
                told = run_json(start(commands[side], options.threads))
                seconds[side].append(told["forward"]["seconds"]["median"] if side == "ours" else statistics.median(told["seconds"]))
    print(f"{options.arch}, forward, norm {options.norm}, batch {options.batch}, {options.threads} threads\n{cpu_name()}, load before "
          f"{load:.2f}, onnxruntime-node {version}\n"
          f"median (range) of {options.rounds} rounds, each the median of {options.passes} passes, in seconds")
    for side, times in seconds.items():
        print(f"{side:14}{statistics.median(times):9.4f} ({min(times):.4f} .. {max(times):.4f})")
    ratios = [theirs / mine for mine, theirs in zip(*seconds.values())]
    print(f"{'ratio':14}{statistics.median(seconds['ONNX Runtime']) / statistics.median(seconds['ours']):9.3f} "
          f"({min(ratios):.3f} .. {max(ratios):.3f} of the rounds)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
