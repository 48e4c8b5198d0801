#!/usr/bin/python3
"""Every experiment of the papers and of the course at its small scale: one command each, with its figures."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
import unittest

import h5py
import numpy as np

from support import BINARY, ROOT, Case, datasets, environment, gradscape, main, whole_trace

FIGURES = {"1": ["accuracy", "activations"], "2": ["accuracy", "activations"], "3": ["shift-vgg", "shift-deep-linear"],
           "4": ["landscape"], "5": ["activations", "moments"], "8": ["drift"], "9": ["activations"], "10": ["landscape"],
           "11": ["step-sizes"], "12": ["accuracy", "loss"], "13": ["landscape"],
           "deep-linear": ["landscape", "loss", "shift"], "theorem": ["theorem"],
           "li2018-1": ["relief", "contour"], "li2018-2": ["weights", "between"], "li2018-3": ["line", "plane"],
           "li2018-5": ["relief", "contour"], "li2018-9": ["path"],
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
        path = datasets(self.place / "li2018-9/bs-8192-wd/surface-path.h5")  # its limits suit it: they are not those of random directions
        for axis in "xy":
            self.assertLess(path[axis][0], path[f"trajectory_{axis}"].min())
            self.assertGreater(path[axis][-1], path[f"trajectory_{axis}"].max())

    def test_every_configuration_has_its_figure(self) -> None:
        known = {path.stem.removeprefix("fig") for path in (ROOT / "configs/paper").glob("*.toml")}
        known |= {"course-" + path.stem for path in (ROOT / "configs/course").glob("*.toml")}
        known |= {path.stem.replace("fig", "li2018-") for path in (ROOT / "configs/li2018").glob("*.toml")}
        self.assertEqual(known, FIGURES.keys() - {"theorem", "li2018-3", "li2018-9"})

    def test_networks_of_li_et_al(self) -> None:
        """Their numbers of parameters (models/resnet.py; VGG-9 counted by hand); rates fall at 150, 212.5 and 275 of 300 epochs."""
        vgg = sum(3 * 3 * a * b + 3 * b for a, b in ((3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 256)))
        vgg += 256 * 4096 + 3 * 256 + 10 * 257
        for figure, counts in {"fig1": [855_770, 853_018], "fig2": [vgg],
                               "fig5": [272_474, 269_722, 855_770, 853_018, 1_730_714, 1_727_962]}.items():
            told = gradscape("info", ROOT / f"configs/li2018/{figure}.toml").stdout
            self.assertEqual([int(count) for count in re.findall(r"(?m)^  total +(\d+) ", told)], counts, figure)
        for figure in ("fig1", "fig2", "fig5"):
            with (ROOT / f"configs/li2018/{figure}.toml").open("rb") as file:
                config = tomllib.load(file)
            for variant in config["variant"]:
                train = config["train"] | variant.get("train", {})
                epoch = -(-50_000 // train["batch_size"])
                self.assertEqual(train["steps"], 300 * epoch)
                falls = [(train["warmup_steps"] + k * train["schedule_step"]) / epoch for k in (1, 2, 3, 4)]
                np.testing.assert_allclose(falls, (150, 212.5, 275, 337.5), atol=0.25)

    def test_surfaces_as_they_were_published(self) -> None:
        for figure in ("fig1", "fig5"):
            with (ROOT / f"configs/li2018/{figure}.toml").open("rb") as file:
                surface = tomllib.load(file)["surface"]
            self.assertEqual(surface, {"x": "random", "y": "random", "xlim": "-1:1:51", "ylim": "-1:1:51", "normalise": "filter",
                                       "ignore": "biasbn", "images": 0, "batch_norm": "running"})
        self.paper("li2018-1", "--scale", "small", "--points", 3, "--out", self.place / "few", "--no-figure", "--", "--surface.images", 32)
        few = self.place / "few/plain/surface.h5"
        self.assertEqual(datasets(few)["loss"].shape, (1, 3, 3))
        with h5py.File(few) as file:
            self.assertEqual(file.attrs["images"], b"32")

    def test_called_again_it_does_nothing_twice(self) -> None:
        out = self.place / "out"
        self.paper("9", "--scale", "small", "--out", out, "--no-figure")
        before = {path: path.stat().st_mtime_ns for path in out.rglob("step-*.h5")}
        self.assertFalse(list(out.rglob("*.png")))
        self.paper("9", "--scale", "small", "--out", out, "--no-figure")
        self.assertEqual(before, {path: path.stat().st_mtime_ns for path in out.rglob("step-*.h5")})

    def test_bad_input(self) -> None:
        self.assertIn("no figure 7", self.paper("7", expect=2)[1])
        self.assertIn("no figure li2018-4", self.paper("li2018-4", expect=2)[1])
        self.assertIn("no surface for --points", self.paper("4", "--points", 3, expect=2)[1])
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
