#!/usr/bin/python3
"""README's figure is what the quickstart makes (slow: it trains for a minute or two)."""

from __future__ import annotations

import json
import os
import subprocess
import unittest

import matplotlib.image
import numpy as np

from support import ROOT, SLOW, Case

BINARY = os.environ.get("GRADSCAPE_BINARY") or str(ROOT / "build/release/gradscape")
FIGURE = ROOT / "docs/figures/quickstart.png"
NUMBERS = FIGURE.with_suffix(".json")  # tools/plot.py landscape runs/quickstart --json --table 0,100,…,800
TITLE = "VGG-A (width 1/4) on synthetic images"


def without_places(document: dict) -> dict:
    for run in document["runs"]:
        run.pop("file")
    return document


class QuickstartFigure(Case):
    def test_the_figure_is_the_one_that_the_script_draws(self) -> None:
        self.assertIn(TITLE, (ROOT / "tools/quickstart.sh").read_text())
        self.assertIn("docs/figures/quickstart.png", (ROOT / "README.md").read_text())

    @unittest.skipUnless(SLOW, "GRADSCAPE_SLOW is not set: the quickstart is not run")
    def test_the_quickstart_gives_the_numbers_beside_the_figure(self) -> None:
        out = self.place / "quickstart"
        subprocess.run([BINARY, "run", ROOT / "configs/quickstart.toml", "--out", out, "--quiet"], check=True, timeout=1000,
                       env=os.environ | {"OMP_WAIT_POLICY": "passive"}, stdout=subprocess.DEVNULL)
        kept = without_places(json.loads(NUMBERS.read_text()))
        steps = ",".join(str(step) for step in dict.fromkeys(record["step"] for record in kept["records"]))
        drawn = self.place / "figure.png"
        found = self.command("landscape", out, "--json", "--table", steps, "-o", drawn, "--title", TITLE).stdout
        self.assertEqual(without_places(json.loads(found)), kept)
        images = [matplotlib.image.imread(path) for path in (drawn, FIGURE)]
        self.assertEqual(images[0].shape, images[1].shape)
        self.assertLess(np.abs(images[0] - images[1]).mean(), 2e-3, "the image in README is another one")


if __name__ == "__main__":
    unittest.main()
