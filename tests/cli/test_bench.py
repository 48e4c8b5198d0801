#!/usr/bin/python3
"""`gradscape bench`, tests/bench/peer_torch.py and surface_vs_pytorch.py: what they print hangs together. No test looks at how fast it is."""

from __future__ import annotations

import importlib.util
import json
import math
import re
import subprocess
import sys
import time
import unittest
from pathlib import Path
from typing import Any

from support import BINARY, PLAIN, ROOT, Case, environment, flags, gradscape, interrupt, main, start, write_cifar

PEER = ROOT / "tests/bench/peer_torch.py"
ROWS = ("forward", "forward_backward", "probed_step", "training_step", "probes", "storing")
MLP = {"model.arch": "mlp", "model.hidden": [20, 10], "train.batch_size": 16}
VGG = {"model.arch": "vgg-a", "model.width": 0.05, "train.batch_size": 4, "model.norm": "batch",
       "sweep.multipliers": [0.5, 1.0, 8.0]}
MLP_FLOPS = 2 * (3072 * 20 + 20 * 10 + 10 * 10)


def vgg_flops(width: float) -> int:
    """Forward, per image: 3×3 convolutions at five resolutions, and three dense layers."""
    def scaled(channels: int) -> int:
        return max(1, int(channels * width + 0.5))

    flops, before, side = 0, 3, 32
    for channels in (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0):
        if channels:
            flops += 2 * 9 * before * scaled(channels) * side * side
            before = scaled(channels)
        else:
            side //= 2
    hidden = scaled(512)
    return flops + 2 * (before * hidden + hidden * hidden + hidden * 10)


def bench(settings: dict[str, Any], *more: object, **options: Any) -> dict[str, Any]:
    done = gradscape("bench", *flags(settings), "--json", "--quiet", *more, **options)
    if done.stderr:
        raise AssertionError(done.stderr)
    return json.loads(done.stdout)


class Bench(Case):
    def assert_consistent(self, result: dict[str, Any], batch: int, flops: int, probes: int) -> None:
        forward = batch * flops
        self.assertEqual(result["forward_flops_per_image"], flops)
        expected = {"forward": forward, "forward_backward": 3 * forward, "training_step": 3 * forward,
                    "probes": 3 * forward * probes, "probed_step": 3 * forward * (1 + probes)}
        peaks = result["fma_peak_gflops"]
        self.assertEqual(list(peaks), ["avx2", "avx512"] if result["cpu"]["avx512"] else ["avx2"])
        for name in ROWS:
            row = result[name]
            self.assert_timing(row["seconds"])
            self.assertGreater(row["seconds"]["min"], 0, name)
            if name != "storing":
                self.assertEqual(row["flops"], expected[name], name)
                self.assert_rate(row, peaks)
        self.assertEqual(set(result["storing"]), {"seconds"})
        # The parts of a probed step are all of it, in every repetition.
        parts = [result[name]["seconds"] for name in ("training_step", "probes", "storing")]
        self.assertLessEqual(sum(part["min"] for part in parts), result["probed_step"]["seconds"]["min"] * (1 + 1e-9))
        self.assertGreaterEqual(sum(part["max"] for part in parts),
                                result["probed_step"]["seconds"]["max"] * (1 - 1e-9))

    def assert_timing(self, seconds: dict[str, float]) -> None:
        self.assertEqual(list(seconds), ["median", "min", "max"])
        self.assertLessEqual(0, seconds["min"])
        self.assertLessEqual(seconds["min"], seconds["median"])
        self.assertLessEqual(seconds["median"], seconds["max"])

    def assert_rate(self, row: dict[str, Any], peaks: dict[str, float]) -> None:
        self.assertTrue(math.isclose(row["gflops"], row["flops"] / row["seconds"]["median"] / 1e9, rel_tol=1e-12))
        self.assertEqual(list(row["share_of_peak"]), list(peaks))
        for isa, share in row["share_of_peak"].items():
            self.assertTrue(math.isclose(share, row["gflops"] / peaks[isa], rel_tol=1e-12))

    def test_json(self) -> None:
        for settings, flops, parameters in ((MLP, MLP_FLOPS, 3072 * 20 + 20 + 210 + 110), (VGG, vgg_flops(0.05), None)):
            for more in ({}, {"train.precision": "double"}):
                result = bench(settings | more, "--repetitions", 3, "--threads", 2)
                probes = len(settings.get("sweep.multipliers", [0.5, 1, 2, 4]))
                self.assert_consistent(result, settings["train.batch_size"], flops, probes)
                self.assertEqual((result["threads"], result["repetitions"]), (2, 3))
                self.assertNotIn("layers", result)
                for name, value in (settings | more).items():
                    self.assertEqual(result["configuration"][name], value)
                if parameters is not None:
                    self.assertEqual(result["parameters"], parameters)
                self.assertIn(result["program"]["version"], gradscape("--version").stdout)

    def test_full_width_is_the_count_by_hand(self) -> None:
        self.assertEqual(vgg_flops(1), 306587648)

    def test_cpu(self) -> None:
        cpu = bench(MLP, "--repetitions", 1)["cpu"]
        text = Path("/proc/cpuinfo").read_text()
        for key, name in (("name", "model name"), ("family", "cpu family"), ("model", "model")):
            found = re.search(rf"(?m)^{name}\s*: (.+)$", text)
            self.assertEqual(cpu[key], found[1] if found else ("unknown CPU" if key == "name" else "?"))
        self.assertEqual(cpu["avx512"], " avx512f" in text)

    def test_layers(self) -> None:
        result = bench(VGG, "--per-layer", "--repetitions", 3)
        layers = result["layers"]
        names = [layer["name"] for layer in layers]
        self.assertEqual(names[:5], ["conv 3×3 3→3 @32×32, norm, relu, pool (im2col)",
                                     "conv 3×3 3→6 @16×16, norm, relu, pool (im2col)",
                                     "conv 3×3 6→13 @8×8, norm, relu (im2col)",
                                     "conv 3×3 13→13 @8×8, norm, relu, pool (winograd 4×4)",
                                     "conv 3×3 13→26 @4×4, norm, relu (winograd 4×4)"])
        self.assertEqual(names[-4:], ["dense 26→26", "relu", "dense 26→10", "cross-entropy"])
        self.assertEqual([sum(name.startswith(kind) for name in names) for kind in ("conv", "dense")], [8, 3])
        for direction, factor in (("forward", 1), ("backward", 2)):
            counted = [layer[direction] for layer in layers if "flops" in layer[direction]]
            self.assertEqual(len(counted), 11)
            self.assertEqual(sum(row["flops"] for row in counted), factor * result["forward"]["flops"])
            for row in counted:
                self.assert_rate(row, result["fma_peak_gflops"])
            for layer in layers:
                self.assert_timing(layer[direction]["seconds"])
        # Every repetition's layers are part of its pass.
        fastest = sum(layer[direction]["seconds"]["min"] for layer in layers for direction in ("forward", "backward"))
        self.assertGreater(fastest, 0)
        self.assertLessEqual(fastest, result["forward_backward"]["seconds"]["min"])

    def test_text(self) -> None:
        for settings, layer in ((MLP, "dense 3072→20"), (VGG, "conv 3×3 3→3 @32×32")):
            plain = gradscape("bench", *flags(settings), "--repetitions", 2, "--threads", 1).stdout
            self.assertRegex(plain.splitlines()[0], r"^.+ \(family .+ model .+, (no )?AVX-512\), 1 thread, load ")
            self.assertRegex(plain, r"AVX2 \d+\.\d.* GFLOP/s")
            self.assertRegex(plain, r"of 2 repetitions +median +min +max +GFLOP/s +of AVX2")
            times = r"( +[\d.]+ (µs|ms|s|min)){3}"
            for name in ("forward", "forward \\+ backward", "probed step", "  training step", "  probes"):
                self.assertRegex(plain, rf"(?m)^{name}{times} +\d+\.\d( +\d+\.\d %)+$")
            self.assertRegex(plain, rf"(?m)^  storing{times} *$")
            self.assertNotIn(layer, plain)
            self.assertIn(layer, gradscape("bench", *flags(settings), "--repetitions", 1, "--per-layer").stdout)

    def test_it_leaves_nothing_behind_and_needs_no_data(self) -> None:
        """Images are its own, also where a configuration names a data set that is not there."""
        scratch = self.place / "scratch"
        scratch.mkdir()
        config = self.write_config(PLAIN | MLP | {"data.source": "cifar10", "data.path": "/nowhere"})
        result = bench({"train.batch_size": 7}, config, "--repetitions", 1, env={"TMPDIR": str(scratch)},
                       cwd=self.place)
        self.assert_consistent(result, 7, MLP_FLOPS, len(PLAIN["sweep.multipliers"]))
        self.assertEqual(list(scratch.iterdir()), [])
        self.assertEqual([path.name for path in self.place.iterdir()], ["scratch"])

    def test_a_variant_of_a_file(self) -> None:
        tail = "\n[[variant]]\nname = \"none\"\n\n[[variant]]\nname = \"bn\"\nmodel.norm = \"batch\"\n"
        config = self.write_config(PLAIN | MLP, tail=tail)
        result = bench({}, config, "--variant", "bn", "--repetitions", 1)
        self.assertEqual(result["configuration"]["model.norm"], "batch")
        gradscape("bench", config, expect=2, says=("has several variants", "none, bn"))
        gradscape("bench", config, "--variant", "bm", expect=2, says=("did you mean \"bn\"?",))
        gradscape("bench", "--variant", "bn", expect=2, says=("--variant",))

    def test_refused(self) -> None:
        for more, words in ((("--repetitions", 0), ("--repetitions", "1 or more")),
                            (("--repetitions", "few"), ("--repetitions",)),
                            (("--threads", 0), ("--threads",)),
                            (("--model.arch", "vgg"), ("--model.arch", "did you mean \"vgg-a\"?")),
                            (("--train.batch_size", 0), ("--train.batch_size", ">= 1")),
                            (("--train.batch_sise", 8), ("did you mean --train.batch_size?",)),
                            (("--sweep.multipliers", "1,1"), ("more than once",)),
                            (("--train.nesterov", "true"), ("train.momentum",)),
                            (("--model.norm", "batch", "--model.norm_dense", "true", "--train.batch_size", 1),
                             ("train.batch_size",)),
                            # what the benchmark has no use for
                            (("--data.source", "synthetic"), ("--data.source",)),
                            (("--train.steps", 5), ("--train.steps",)),
                            (("--out", self.place), ("--out",)),
                            (("missing.toml",), ("missing.toml",))):
            done = gradscape("bench", *more, "--json", expect=2, says=words)
            self.assertEqual(done.stdout, "")

    def test_nowhere_to_store(self) -> None:
        gradscape("bench", *flags(MLP), env={"TMPDIR": str(self.place / "missing")}, expect=1, says=("TMPDIR",))

    def test_interrupt(self) -> None:
        process = start("bench", *flags(VGG), "--repetitions", 1000000, "--json", "--quiet")
        time.sleep(2)
        done = interrupt(process)
        self.assertEqual((done.code, done.stdout), (130, ""))
        self.assertIn("interrupted", done.stderr)


class PeerOfPytorch(Case):
    SMALL = ("--width", "0.0625", "--batch", "6", "--rounds", "2", "--passes", "2", "--threads", "1", "--json",
             "--quiet", "--binary", BINARY)

    def peer(self, *arguments: str) -> dict[str, Any]:
        done = subprocess.run([sys.executable, PEER, *self.SMALL, *arguments], capture_output=True, text=True,
                              env=environment(), timeout=600)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def assert_spread(self, spread: dict[str, Any]) -> None:
        rounds = spread["rounds"]
        self.assertEqual(len(rounds), 2)
        self.assertTrue(math.isclose(spread["median"], sum(rounds) / 2, rel_tol=1e-12))
        self.assertEqual((spread["min"], spread["max"]), (min(rounds), max(rounds)))
        self.assertGreater(spread["min"], 0)

    @unittest.skipUnless(importlib.util.find_spec("torch"), "needs python3-torch")
    def test_comparison(self) -> None:
        for what, norm, k in (("probed-step", "batch", 2), ("forward-backward", "none", 4)):
            result = self.peer("--what", what, "--norm", norm, "--k", str(k))
            ours, theirs = result["ours_seconds"], result["pytorch_seconds"]
            self.assertEqual(set(theirs), {"NCHW", "channels_last"})
            for spread in (ours, *theirs.values(), result["ours_gflops"], result["ratio_per_round"]):
                self.assert_spread(spread)
            best = result["pytorch_layout"]
            self.assertEqual(theirs[best]["median"], min(times["median"] for times in theirs.values()))
            self.assertTrue(math.isclose(result["ratio"], theirs[best]["median"] / ours["median"], rel_tol=1e-12))
            for ratio, its, mine in zip(result["ratio_per_round"]["rounds"], theirs[best]["rounds"], ours["rounds"]):
                self.assertTrue(math.isclose(ratio, its / mine, rel_tol=1e-12))
            passes = k + 1 if what == "probed-step" else 1
            flops = 6 * vgg_flops(0.0625) * 3 * passes
            for gflops, seconds in zip(result["ours_gflops"]["rounds"], ours["rounds"]):
                self.assertTrue(math.isclose(gflops, flops / seconds / 1e9, rel_tol=1e-12))
            self.assertEqual(result["ours_configuration"]["model.norm"], norm)
        result = self.peer("--arch", "resnet-20", "--what", "forward-backward", "--norm", "batch", "--rounds", "1")
        self.assertEqual(result["ours_configuration"]["model.arch"], "resnet-20")
        stages = [(1, 1), (1, 2), (2, 4)]  # channels into and of each, three blocks of two convolutions with norms
        self.assertEqual(result["parameters"], 27 + 2 + sum(9 * a * b + 5 * 9 * b * b + 6 * 2 * b for a, b in stages) + 4 * 10 + 10)

    @unittest.skipUnless(importlib.util.find_spec("torch"), "needs python3-torch")
    def test_pytorch_probes_what_we_define(self) -> None:
        """Its records against the definitions (docs/definitions.md), computed anew in double from the same weights."""
        import argparse

        import numpy as np
        import torch
        sys.path.insert(0, str(PEER.parent))
        import peer_torch
        options = argparse.Namespace(threads=1, arch="vgg-a", norm="batch", width=0.0625, batch=6, k=4, what="probed-step")
        self.assertEqual(peer_torch.multipliers(4), [0.5, 1.0, 2.0, 4.0])
        for layout in peer_torch.LAYOUTS:
            work, parameters, records = peer_torch.make_pass(options, layout)
            work()
            work()
            first, second = records
            # The same draws in the same order; SGD's step is the probe at multiplier 1.
            torch.manual_seed(1)
            model = peer_torch.make_vgg_a("batch", 0.0625)
            images = (2 * torch.rand(6, 3, 32, 32) - 1).double()
            model.double()
            weights = list(model.parameters())
            self.assertEqual(parameters, sum(weight.numel() for weight in weights))

            def gradient(at: list[torch.Tensor]) -> tuple[float, np.ndarray]:
                for weight, value in zip(weights, at):
                    weight.data = value.clone()
                loss = torch.nn.functional.cross_entropy(model(images), torch.arange(6) % 10)
                slopes = torch.autograd.grad(loss, weights)
                return loss.item(), torch.cat([slope.reshape(-1) for slope in slopes]).numpy()

            theta = [weight.detach().clone() for weight in weights]
            loss, g = gradient(theta)
            slopes = torch.split(torch.from_numpy(g), [weight.numel() for weight in theta])
            norm = np.linalg.norm(g)
            found = {"loss": loss, "grad_norm": norm}
            for m in (0.5, 1.0, 2.0, 4.0):
                loss, there = gradient([weight - m * peer_torch.LEARNING_RATE * slope.reshape(weight.shape)
                                        for weight, slope in zip(theta, slopes)])
                found |= {f"loss {m}": loss, f"grad_norm {m}": np.linalg.norm(there),
                          f"grad_diff {m}": np.linalg.norm(there - g),
                          f"grad_cos {m}": there @ g / (np.linalg.norm(there) * norm)}
            self.assertEqual(first.keys(), found.keys())
            for name, value in found.items():
                self.assertAlmostEqual(first[name], value, delta=1e-3 * max(1.0, abs(value)), msg=f"{layout} {name}")
            self.assertAlmostEqual(second["loss"], found["loss 1.0"], delta=1e-3)
            self.assertAlmostEqual(second["grad_norm"], found["grad_norm 1.0"], delta=1e-2)

    def test_scaling(self) -> None:
        result = self.peer("--scaling", "--k", "1")
        one, two = result["one_thread_seconds"], result["two_threads_seconds"]
        for spread in (one, two, result["two_copies_seconds"], result["host_limit_per_round"]):
            self.assert_spread(spread)
        self.assertTrue(math.isclose(result["speedup"], one["median"] / two["median"], rel_tol=1e-12))
        self.assertEqual(result["host_limit"], result["host_limit_per_round"]["median"])

    def test_probes(self) -> None:
        result = self.peer("--probes", "--k", "1")
        self.assertEqual(result["k"], [1, 4])
        few, many = result["probes_seconds"]["1"], result["probes_seconds"]["4"]
        for spread in (few, many):
            self.assert_spread(spread)
        self.assertTrue(math.isclose(result["ratio"], many["median"] / few["median"], rel_tol=1e-12))

    def test_refused(self) -> None:
        for arguments in (("--rounds", "0"), ("--norm", "layer"), ("--arch", "resnet-20"), ("--scaling", "--probes"),
                          ("--binary", str(self.place / "none"))):
            done = subprocess.run([sys.executable, PEER, *arguments], capture_output=True, text=True)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(arguments[-1].lstrip("-"), done.stderr)
            self.assertNotIn("Traceback", done.stderr)


class SurfaceBesidePytorch(Case):
    @unittest.skipUnless(importlib.util.find_spec("torch"), "needs python3-torch")
    def test_both_compute_the_same_surface(self) -> None:
        folder = self.place / "cifar"
        write_cifar(folder, train=2000)
        done = subprocess.run([sys.executable, ROOT / "tests/bench/surface_vs_pytorch.py", "--network", "resnet-20", "--cells", "4", "--rounds", "1",
                               "--data", folder, "--binary", BINARY, "--json", "--quiet"], capture_output=True, text=True, env=environment())
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stderr)
        result, = json.loads(done.stdout)["networks"]
        self.assertEqual(result["cells"], 4)
        self.assertLess(result["median_relative_difference_of_losses"], 1e-4)
        best = result["pytorch_layout"]
        self.assertAlmostEqual(result["ratio"], result["pytorch_seconds"][best]["median"] / result["ours_seconds"]["median"])
        self.assertLess(result["peak_megabytes_beyond_data"], result["peak_megabytes"])


if __name__ == "__main__":
    main()
