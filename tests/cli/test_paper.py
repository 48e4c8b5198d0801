#!/usr/bin/python3
"""Every experiment of the paper and of the course at its small scale: one command each, with its figures."""

from __future__ import annotations

import os
import subprocess
import unittest

import numpy as np

from support import BINARY, ROOT, Case, datasets, environment, gradscape, main, whole_trace

FIGURES = {"1": ["accuracy", "activations"], "2": ["accuracy", "activations"], "3": ["shift-vgg", "shift-deep-linear"],
           "4": ["landscape"], "5": ["activations", "moments"], "8": ["drift"], "9": ["activations"], "10": ["landscape"],
           "11": ["step-sizes"], "12": ["accuracy", "loss"], "13": ["landscape"],
           "deep-linear": ["landscape", "loss", "shift"], "theorem": ["theorem"],
           "course-accuracy": ["accuracy", "weights"], "course-cross-run": ["cross-run"], "course-landscape": ["landscape"]}


class Paper(Case):
    def paper(self, *arguments: object, expect: int = 0) -> tuple[str, str]:
        done = subprocess.run([ROOT / "tools/paper.sh", *map(str, arguments)], capture_output=True, text=True, timeout=600,
                              env=environment(GRADSCAPE_BINARY=BINARY))
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done.stdout, done.stderr

    def test_figures(self) -> None:
        for figure, names in FIGURES.items():
            with self.subTest(figure=figure):
                out = self.place / figure
                said, _ = self.paper(figure, "--scale", "small", "--out", out)
                self.assertIn(f"runs: {out}\n", said)
                for name in names:
                    self.assertIn(f"{out}/{name}.png\n", said)
                    self.assertEqual((out / f"{name}.png").read_bytes()[:8], b"\x89PNG\r\n\x1a\n", name)

    def test_every_configuration_has_its_figure(self) -> None:
        known = {path.stem.removeprefix("fig") for path in (ROOT / "configs/paper").glob("*.toml")}
        known |= {"course-" + path.stem for path in (ROOT / "configs/course").glob("*.toml")}
        self.assertEqual(known, FIGURES.keys() - {"theorem"})

    def test_called_again_it_does_nothing_twice(self) -> None:
        out = self.place / "out"
        self.paper("9", "--scale", "small", "--out", out, "--no-figure")
        before = {path: path.stat().st_mtime_ns for path in out.rglob("step-*.h5")}
        self.assertFalse(list(out.rglob("*.png")))
        self.paper("9", "--scale", "small", "--out", out, "--no-figure")
        self.assertEqual(before, {path: path.stat().st_mtime_ns for path in out.rglob("step-*.h5")})

    def test_bad_input(self) -> None:
        self.assertIn("no figure 7", self.paper("7", expect=2)[1])
        self.assertIn("unknown option", self.paper("4", "--scal", "small", expect=2)[1])
        self.assertIn("usage", self.paper(expect=2)[1])
        self.assertIn("[scale.tiny]", self.paper("4", "--scale", "tiny", "--out", self.place / "x", expect=2)[1])


class NoisyBatchNorm(Case):
    """Small scale of the paper's figure 2: with batch norm the noise of algorithm 1 costs next to nothing, without it the
    network trains worse."""

    def test_noise(self) -> None:
        scale = {"--data.synthetic_train": 1024, "--model.width": 0.25, "--model.arch": "vgg-a", "--train.steps": 320,
                 "--train.batch_size": 64, "--train.checkpoint_every": 320, "--train.test_every": 0, "--train.lr": 0.05}
        flags = [word for item in scale.items() for word in item]
        out = self.place / "out"
        gradscape("train", ROOT / "configs/paper/fig2.toml", "--scale", "small", "--out", out, "--quiet", *flags)
        accuracy = {}
        for variant in ("none", "bn", "bn-noise", "none-noise"):
            trace = whole_trace(out / variant)["accuracy"]
            accuracy[variant] = 100 * float(np.mean([trace[step] for step in range(304, 320)]))  # the last epoch
        print({name: round(value, 1) for name, value in accuracy.items()})
        self.assertGreater(accuracy["bn-noise"], accuracy["bn"] - 3)
        self.assertLess(accuracy["none-noise"], accuracy["bn-noise"] - 20)


@unittest.skipUnless(os.environ.get("GRADSCAPE_CIFAR10"), "GRADSCAPE_CIFAR10 is not set: no run on real images")
class RealImages(Case):
    def test_a_learning_rate_at_which_only_batch_norm_trains(self) -> None:
        """lr 0.5 at a quarter of VGG-A's width; the run without batch norm goes on, whatever becomes of it."""
        out = self.place / "out"
        flags = ["--model.arch", "vgg-a", "--model.width", 0.25, "--train.steps", 300, "--train.checkpoint_every", 300,
                 "--train.test_every", 0, "--sweep.every", 100, "--data.test_limit", 1000,
                 "--data.path", os.environ["GRADSCAPE_CIFAR10"]]
        accuracy = {}
        for variant in ("none-lr-0.5", "bn-lr-0.5"):
            gradscape("run", ROOT / "configs/paper/fig1.toml", "--variant", variant, "--out", out, "--quiet", *flags)
            trace = whole_trace(out / variant)["accuracy"]
            accuracy[variant] = float(np.mean([trace[step] for step in range(250, 300)]))
            data = datasets(out / variant / "landscape.h5")
            self.assertEqual(data["step"].tolist(), [0, 100, 200, 300])
            self.assertTrue(np.array_equal(data["status"] == 2, ~np.isfinite(data["loss"] + data["grad_norm"] + data["grad_diff"])))
        print({name: round(100 * value, 1) for name, value in accuracy.items()})
        self.assertLessEqual(accuracy["none-lr-0.5"], 0.17, "as in the paper")
        self.assertGreater(accuracy["bn-lr-0.5"], 0.25)


if __name__ == "__main__":
    main()
