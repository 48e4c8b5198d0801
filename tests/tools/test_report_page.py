#!/usr/bin/python3
"""Looks at a report in Chromium without a window: what people see, do and download. Skipped where Chromium is not installed, which
takes 460 MB (tools/test.sh --slow installs it)."""

from __future__ import annotations

import csv
import io
import json
import math
import time
import unittest
from pathlib import Path

import matplotlib.image
import numpy as np

from browser import CHROMIUM, Browser
from support import INF, NAN, SLOW, Case, bowl, write_grid

from gradscape import report

SIZES = ((1280, 900), (400, 800))
NAMES = ("<script>window.hacked = 1</script>", "<b>&amp; \"日本\" %{x}")
STEPS = 40


def has_plotly() -> bool:
    try:
        return report.page.plotly_source().is_file()
    except report.Error:
        return False


@unittest.skipUnless(SLOW, "GRADSCAPE_SLOW is not set: pages are not looked at")
@unittest.skipUnless(CHROMIUM, "chromium is not installed: pages are not looked at (apt install chromium)")
@unittest.skipUnless(has_plotly(), "plotly.js is not installed")
class Page(Case):
    browser: Browser

    @classmethod
    def setUpClass(cls) -> None:
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    def make(self) -> Path:
        """Two strangely named runs with all kinds of files; of the second the steps 100 to 190 are not done."""
        random = np.random.default_rng(1)
        for at, name in enumerate(NAMES):
            run = self.write_all(self.run_directory(f"study/{name.replace('/', '∕')}", ("none", "batch")[at]))
            low = random.random(STEPS)
            hole = np.where((np.arange(STEPS) >= 10) & (np.arange(STEPS) < 20) & (at == 1), NAN, 0)
            (run / "landscape.h5").unlink()
            write_grid(run / "landscape.h5", np.stack([low + hole, low + 1 + hole], 1), np.stack([low + hole, 2 * low + hole], 1), 10 * (low + hole))
        report.write(self.place / "study", self.place / "report.html")
        return self.place / "report.html"

    def open(self, browser: Browser, page: Path) -> None:
        browser.open(page)
        self.assertEqual(browser.errors, [])
        self.assertEqual(browser.value("document.getElementById('failure').textContent"), "")

    def show(self, browser: Browser, number: int) -> str:
        """Scrolls to a figure and waits until it is drawn; its selector."""
        figure = f"#figure-{number}"
        browser.value(f"document.querySelector('{figure}').scrollIntoView()")
        browser.wait(f"document.querySelector('{figure} .plot').data !== undefined && document.querySelector('{figure} .plot .main-svg') !== null")
        return figure

    def numbered(self, browser: Browser) -> dict[str, int]:
        titles = browser.value("[...document.querySelectorAll('section[id^=figure-] h2')].map(each => each.textContent)")
        return {title: number for number, title in enumerate(titles)}

    def pixels(self, browser: Browser) -> np.ndarray:
        """[height, width, 3], 0 to 1."""
        return matplotlib.image.imread(io.BytesIO(browser.screenshot()))[..., :3]

    def test_every_figure_at_every_width_and_theme(self) -> None:
        page = self.make()
        for width, height in SIZES:
            for dark in (False, True):
                with self.subTest(width=width, dark=dark):
                    self.browser.look(width, height, dark)
                    self.open(self.browser, page)
                    self.assertLess(self.pixels(self.browser)[-20:, :8].mean() if dark else 1 - self.pixels(self.browser)[-20:, :8].mean(), 0.2, "background")
                    self.assertEqual(self.browser.value("document.documentElement.scrollWidth"), width, "nothing reaches out of the window")
                    numbers = self.numbered(self.browser)
                    self.assertEqual(len(numbers), 9)
                    for title, number in numbers.items():
                        figure = self.show(self.browser, number)
                        self.browser.wait("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
                        box = self.browser.value(f"(r => [r.top, r.bottom, r.left, r.right].map(Math.round))(document.querySelector('{figure} .plot').getBoundingClientRect())")
                        shot = self.pixels(self.browser)[max(0, box[0]):box[1], box[2]:box[3]]
                        self.assertGreater(len(np.unique((255 * shot).astype(int).reshape(-1, 3), axis=0)), 20, f"{title} is blank")
                    self.assertEqual(self.browser.errors, [])
                    outside = [address for address in self.browser.requests if not address.startswith(("data:", "blob:"))]
                    self.assertEqual(outside, [page.absolute().as_uri()], "only the file itself is read")

    def test_the_slider_moves_by_keys_and_moves_all(self) -> None:
        self.browser.look(*SIZES[0])
        self.open(self.browser, self.make())
        numbers = self.numbered(self.browser)
        bands, curves = self.show(self.browser, numbers["Bands of loss and gradient"]), self.show(self.browser, numbers["Gradient difference against step size"])
        self.browser.value(f"document.querySelector('{bands} input[type=range]').focus()")
        self.browser.press("Home")
        self.browser.wait(f"document.querySelector('{bands} output').textContent === '0'")
        drawn = "JSON.stringify(document.querySelector('{} .plot').data.map(each => each.y))"
        first = self.browser.value(drawn.format(curves))
        self.browser.press("ArrowRight", 3)
        self.browser.wait(f"document.querySelector('{curves} output').textContent === '30'")
        self.browser.wait(f"{drawn.format(curves)} !== {json.dumps(first)}")
        self.assertIn("Step 30. ", self.browser.value(f"document.querySelector('{bands} .readout').textContent"))
        self.browser.wait(f"document.querySelector('{bands} .plot').layout.shapes.some(each => each.type === 'line' && each.x0 === 30)")
        self.assertEqual(self.browser.value(f"document.querySelector('{bands} input[type=range]').getAttribute('aria-valuetext')"), "step 30")

    def test_all_controls_are_reached_by_keys(self) -> None:
        self.browser.look(*SIZES[1])
        self.open(self.browser, self.make())
        reached = set()
        for _ in range(90):
            self.browser.press("Tab")
            reached.add(self.browser.value("(e => e.tagName + (e.type || ''))(document.activeElement)"))
        for kind in ("A", "SUMMARY", "SELECTselect-one", "INPUTrange", "INPUTcheckbox", "BUTTONbutton", "DIV"):
            self.assertIn(kind, reached)

    def test_names_are_shown_as_they_are(self) -> None:
        self.browser.look(*SIZES[0])
        self.open(self.browser, self.make())
        figure = self.show(self.browser, self.numbered(self.browser)["Bands of loss and gradient"])
        self.assertIsNone(self.browser.value("window.hacked"))
        legend = self.browser.value(f"[...document.querySelectorAll('{figure} .legendtext')].map(each => each.textContent)")
        self.assertEqual([name.replace("\u200b", "") for name in legend], [NAMES[1], NAMES[0].replace("/", "∕")])

    def test_holes_are_holes(self) -> None:
        self.browser.look(*SIZES[0])
        self.open(self.browser, self.make())
        figure = self.show(self.browser, self.numbered(self.browser)["Bands of loss and gradient"])
        shapes = self.browser.value(f"document.querySelector('{figure} .plot').layout.shapes.filter(each => each.type === 'rect').map(each => [each.x0, each.x1])")
        self.assertEqual(shapes, [[90, 200]])
        bands = self.browser.value(f"document.querySelector('{figure} .plot').data.filter(each => each.fill === 'toself').map(each => each.x)")
        self.assertEqual([band.count(None) for band in bands], [2, 1], "a polygon for each part; runs in the order of their names")
        self.assertFalse([x for x in bands[0] if x is not None and 90 < x < 200])

    def test_more_than_three_bands_have_a_panel_each(self) -> None:
        """With one scale, the run's own holes and name, and the slider's line in each."""
        random = np.random.default_rng(2)
        for at in range(4):
            low = random.random(STEPS)
            low[10:20] = NAN if at == 3 else low[10:20]
            write_grid(self.run_directory(f"study/v{at}") / "landscape.h5", np.stack([low, low + 1], 1), np.stack([low, 2 * low], 1), 10 * low)
        report.write(self.place / "study", self.place / "report.html")
        for (width, height), columns in zip(SIZES, (2, 1)):
            self.browser.look(width, height)
            self.open(self.browser, self.place / "report.html")
            figure = self.show(self.browser, self.numbered(self.browser)["Bands of loss and gradient"])
            plot = f"document.querySelector('{figure} .plot')"
            bands = self.browser.value(f"{plot}.data.filter(each => each.fill === 'toself').map(each => [each.name, each.xaxis, each.yaxis])")
            self.assertEqual(bands, [["v0", "x", "y"], ["v1", "x2", "y2"], ["v2", "x3", "y3"], ["v3", "x4", "y4"]])
            shapes = self.browser.value(f"{plot}.layout.shapes.map(each => [each.type, each.xref])")
            self.assertEqual(shapes, [["rect", "x4"], *(["line", axis] for axis in ("x", "x2", "x3", "x4"))])
            axes = self.browser.value(f"['xaxis', 'xaxis2', 'xaxis3', 'xaxis4'].map(each => {plot}._fullLayout[each].domain[0])")
            self.assertEqual(len(set(axes)), columns)
            ranges = self.browser.value(f"['yaxis', 'yaxis2', 'yaxis3', 'yaxis4'].map(each => {plot}._fullLayout[each].range)")
            self.assertEqual(ranges, [ranges[0]] * 4)
            self.assertEqual(self.browser.value("document.documentElement.scrollWidth"), width)
            self.assertEqual(self.browser.errors, [])

    def test_numbers_are_downloaded(self) -> None:
        self.browser.look(*SIZES[0])
        page = self.make()
        self.open(self.browser, page)
        self.browser.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(self.place))
        figure = self.show(self.browser, self.numbered(self.browser)["Bands of loss and gradient"])
        self.browser.value(f"document.querySelector('{figure} button').click()")
        path, until = self.place / "bands-of-loss-and-gradient.csv", time.monotonic() + 60
        while not path.is_file() and time.monotonic() < until:
            time.sleep(0.05)
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        expected = np.random.default_rng(1).random(STEPS)
        mine = [row for row in rows if row["run"] == NAMES[0].replace("/", "∕") and row["quantity"] == "loss"]
        self.assertEqual([float(row["loss_min"]) for row in mine], expected.tolist(), "to the last digit")
        self.assertEqual([int(row["step"]) for row in mine], list(range(0, 10 * STEPS, 10)))
        hole = [row for row in rows if row["run"] == NAMES[1] and row["quantity"] == "loss" and 100 <= int(row["step"]) < 200]
        self.assertEqual([row["loss_min"] for row in hole], [""] * 10)

    def test_nothing_finite_and_one_step(self) -> None:
        run = self.run_directory("run")
        write_grid(run / "landscape.h5", [(NAN, INF)], [(NAN, NAN)], [NAN])
        self.write_surface(run, np.full((1, 3, 3), NAN))
        report.write(run, self.place / "report.html")
        self.browser.look(*SIZES[0])
        self.open(self.browser, self.place / "report.html")
        for title, number in self.numbered(self.browser).items():
            figure = self.show(self.browser, number)
            if title != "Effective β-smoothness":  # whose thresholds are known all the same
                self.browser.wait(f"document.querySelector('{figure} .plot').textContent.includes('no value to draw')")
        self.assertEqual(self.browser.errors, [])

    def test_without_webgl_a_surface_is_contours(self) -> None:
        page = self.make()
        self.browser.look(*SIZES[0])
        self.open(self.browser, page)
        surface = "document.querySelector('{} .plot').data.map(each => each.type)"
        number = self.numbered(self.browser)["Surface"]
        self.assertEqual(self.browser.value(surface.format(self.show(self.browser, number))), ["surface", "scatter3d"])
        other = Browser("--disable-3d-apis")
        try:
            other.look(*SIZES[0])
            self.open(other, page)
            figure = self.show(other, number)
            self.assertEqual(other.value(surface.format(figure)), ["contour", "scatter"])
            self.assertIn("no WebGL", other.value(f"document.querySelector('{figure} .controls').textContent"))
            z = np.array(other.value(f"document.querySelector('{figure} .plot').data[0].z"))
            np.testing.assert_allclose(z, np.log10(bowl(7, 9)) if math.isclose(z[0, 0], math.log10(200.25)) else bowl(7, 9))
            self.assertEqual(other.errors, [])
        finally:
            other.close()


if __name__ == "__main__":
    unittest.main()
