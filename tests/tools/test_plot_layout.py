#!/usr/bin/python3
"""Every figure at the widths of a column, a page and a screen: no text outside of the canvas, none over another; and the one
signature of all figure functions."""

from __future__ import annotations

import inspect
import itertools
import json
import unittest
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Text

from support import INF, NAN, SLOW, WIDTHS, Case, bowl, panels_of, write_grid

from gradscape import figures
from gradscape.figures import axes, cli
from gradscape.figures.style import STYLE

LONG = "a variant with a name as long as nobody would like to have it"


def texts(figure: Figure) -> list[tuple[str, object]]:
    """(text, its box in pixels) of all that is drawn."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    found = figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_visible() and artist.get_text().strip())
    hidden = {label for axis in figure.axes for ticks in (axis.xaxis, axis.yaxis) for tick in ticks.get_major_ticks()
              for label in (tick.label1, tick.label2) if not drawn(ticks, tick)}
    return [(text.get_text(), text.get_window_extent(renderer)) for text in found if text not in hidden]


def drawn(axis, tick) -> bool:
    low, high = sorted(axis.get_view_interval())
    return low - 1e-9 * abs(low) <= tick.get_loc() <= high + 1e-9 * abs(high)


class Layout(Case):
    def assert_in_order(self, figure: Figure, told: str) -> None:
        canvas, boxes = figure.bbox, texts(figure)
        for text, box in boxes:
            inside = canvas.x0 - 1 <= box.x0 and box.x1 <= canvas.x1 + 1 and canvas.y0 - 1 <= box.y0 and box.y1 <= canvas.y1 + 1
            self.assertTrue(inside, f"{told}: {text!r} lies outside of the canvas: {box} in {canvas}")
        for (text, box), (other, beside) in itertools.combinations(boxes, 2):
            wide = min(box.x1, beside.x1) - max(box.x0, beside.x0)
            high = min(box.y1, beside.y1) - max(box.y0, beside.y0)
            self.assertFalse(wide > 1 and high > 1.5, f"{told}: {text!r} and {other!r} overlap: {box} {beside}")
        for axis in figure.axes:
            for one in (axis.xaxis, axis.yaxis):
                labels = [tick.label1.get_text() for tick in one.get_major_ticks() if drawn(one, tick)]
                if one.get_scale() == "log" and axis.get_xlabel() != "training step" or one is axis.yaxis and one.get_scale() == "log":
                    self.assertGreaterEqual(len(labels), 2, f"{told}: a logarithmic axis with {labels}")

    def write_many(self) -> Path:
        """Runs of several norms and rates, one with a long name, values from small to huge, two seeds."""
        for at, (name, norm) in enumerate((("none", "none"), ("bn", "batch"), (LONG, "l1"), ("bn-lr-0.01", "batch"), ("l2", "l2"))):
            run = self.run_directory(f"many/{name}", norm, 0.1 / (1 + at))
            self.write_all(run)
            self.write_runs(run)
            steps = 100000
            write_grid(run / "landscape.h5", [(1, 2 + 10.0**(3 * at))] * 5, [(1e-6, 2), (3, 4e7), (5, NAN), (1, 2), (1, 3)],
                       [11, 22, 20, 2e6, 20], alpha=(0.01, 0.1, 1.0, 31.6), lr=1e-3 / (1 + at), every=steps // 4,
                       more={"layer": np.array([1, 2]), "layer_grad_diff": np.ones((5, 4, 2)) * [1e-6, 1e6],
                             "layer_beta": np.full((5, 4, 2), 3e-5)})
            layers = range(1, 14)
            self.write_shift(run, np.full((3, 13), 10.0**-at), np.full((3, 13), 0.5), layers, ",".join(f"features.{i}" for i in layers))
            self.write_distributions(run, -1e-5, 3e-5, layers=layers, labels=",".join(f"features.{i + at}" for i in layers))
        return self.place / "many"

    def test_every_figure_at_every_width(self) -> None:
        for study, widths in ((self.write_study(), WIDTHS), (self.write_many(), WIDTHS if SLOW else (3.25, 7))):
            for function in cli.FIGURES:
                for width in widths:
                    figure = function(study, size=width)
                    self.assertEqual(figure.get_figwidth(), width)
                    self.assert_in_order(figure, f"{function.__name__} of {study.name}, {width} inches")

    def test_surfaces_of_every_style_at_every_width(self) -> None:
        study = self.write_study()
        for at, name in enumerate(("none", "bn")):
            run = study / name
            self.write_surface(run, 10.0**(4 * at) * bowl(5, 7)[np.newaxis], "surface-points.h5", f"{LONG},seed 2,seed 3")
            line = 10.0**(3 * at) * bowl(3, 9)[1] * np.array([[1], [2], [9]])
            line[:, 0] = INF
            self.write_surface(run, line, "surface-line.h5", x_direction=f"to:{LONG}")
        for width in WIDTHS:
            for style in ("contour", "filled", "heat", "3d"):
                for name in ("main", "points", *(["line"] if style == "filled" else [])):
                    figure = figures.surface(study, style=style, name=name, size=width)
                    self.assert_in_order(figure, f"{style} {name}, {width} inches")

    def test_print(self) -> None:
        study = self.write_many() if SLOW else self.write_study()
        for function in cli.FIGURES:
            for paper, width in (("column", 3.25), ("text", 5.5), ("page", 7.0)):
                figure = function(study, paper=paper)
                told = f"{function.__name__}, {paper}"
                self.assertEqual(figure.get_figwidth(), width)
                self.assert_in_order(figure, told)
                sizes = {text.get_fontsize() for text in figure.findobj(Text) if text.get_text().strip()}
                self.assertTrue(sizes <= {7, 7.5, 8} or max(sizes) <= 8, f"{told}: {sizes}")
                self.assertGreater(len(figure.caption), 20, told)

    def test_titles_and_small_multiples(self) -> None:
        study, title = self.write_many(), "A title that goes on and on, with $ and {braces}, until it does not fit any more into a line"
        for function in cli.FIGURES:
            facet = {"facet": "variant"} if "facet" in inspect.signature(function).parameters and function.__name__ != "accuracy" else {}
            for width in (3.25, 7) if SLOW else (5.5,):
                self.assert_in_order(function(study, size=width, title=title, **facet), f"{function.__name__}, {width}, {facet}")

    def test_logarithmic_steps(self) -> None:
        study = self.write_many()
        for function in cli.FIGURES:
            if "log_x" in inspect.signature(function).parameters:
                self.assert_in_order(function(study, size=3.25, log_x=True), f"{function.__name__}, log steps")

    def test_sizes_asked_for(self) -> None:
        study = self.write_study()
        for size in ((5.5, 2), (3.25, 6), (7, 2.2), (11, 3.2), (4, 3)):
            figure = figures.landscape(study, size=size)
            np.testing.assert_allclose(figure.get_size_inches(), size)
            self.assert_in_order(figure, f"landscape, {size}")
        self.assert_error("shift", study, "--json", "--size", "2x1", expect=2, says=("--size: 2 panels", "do not fit into 2x1", "give 2x"))
        self.assert_error("shift", study, "--json", "--size", "0x3", expect=2, says=("in inches from 1 to 99",))

    def test_panels_alone(self) -> None:
        study = self.write_study()
        for function in cli.FIGURES:
            whole = function(study)
            if len(panels_of(whole)) == 1:
                continue
            alone = function(study, panel="b", size=3.25)
            self.assertEqual(len(panels_of(alone)), 1, function.__name__)
            self.assertEqual(panels_of(alone)[0].get_title("left"), panels_of(whole)[1].get_title("left"))
            self.assertTrue(panels_of(alone)[0].get_xlabel() and panels_of(alone)[0].get_ylabel(), function.__name__)
            self.assert_in_order(alone, f"{function.__name__}, panel b")
            self.assertEqual(json.dumps(alone.numbers), json.dumps(whole.numbers))

    def test_steps_begin_at_0_in_all_panels(self) -> None:
        for panels in (figures.accuracy(self.write_study()).axes, figures.landscape(self.place / "study").axes):
            limits = {panel.get_xlim() for panel in panels}
            self.assertEqual(len(limits), 1)
            self.assertTrue(limits.pop()[0] <= 0)

    # --- ticks ---

    def test_ticks_have_the_digits_that_tell_them_apart(self) -> None:
        for low, high in ((0, 1), (0, 0.03), (1.2, 1.3), (-1, 1), (0, 7e6), (2e-7, 9e-7), (999990, 1000010), (0, 30), (1e90, 1e99)):
            ticks = axes.linear_ticks(low, high, 5)
            self.assertTrue(2 <= len(ticks) <= 7, (low, high, ticks))
            self.assertEqual(len(set(ticks.values())), len(ticks), (low, high, ticks))
        self.assertEqual(list(axes.linear_ticks(0, 10.1, 5).values()), ["0.0", "2.5", "5.0", "7.5", "10.0"])
        self.assertEqual(list(axes.linear_ticks(0, 5e6, 2).values()), ["0", "2.5·10⁶", "5·10⁶"])

    def test_logarithmic_axes_have_two_labels(self) -> None:
        for low, high in ((1, 1e9), (0.3, 0.9), (2, 4), (5.1, 5.2), (0.9, 11), (1e-8, 1.1e-7), (1e-100, 1e100), (30, 32)):
            for most in (2, 3, 5):
                ticks = axes.log_ticks(low, high, most)
                self.assertGreaterEqual(len(ticks), 2, (low, high, most, ticks))
                self.assertEqual(len(set(ticks.values())), len(ticks), (low, high, most, ticks))
        self.assertEqual(list(axes.log_ticks(0.5, 2e3, 5).values()), ["1", "10", "100", "1000"])

    # --- the signature ---

    def test_one_signature(self) -> None:
        study = self.write_study()
        common = {"labels", "name", "order", "colours", "title", "size", "paper", "panel"}
        for function in cli.FIGURES:
            parameters = inspect.signature(function).parameters
            self.assertEqual(next(iter(parameters)), "places")
            self.assertLessEqual(common, parameters.keys(), function.__name__)
            self.assertTrue(all(parameter.kind is parameter.KEYWORD_ONLY for parameter in list(parameters.values())[1:]))
            of_text, of_path = function(str(study)), function(study)
            of_list = function([study / "none", str(study / "bn")])
            self.assertEqual(json.dumps(of_text.numbers), json.dumps(of_path.numbers))  # in which NaN equals NaN
            self.assertEqual([entry["run"] for entry in of_list.numbers], [entry["run"] for entry in of_path.numbers])
            self.assertTrue(of_path.numbers and all(isinstance(entry, dict) for entry in of_path.numbers), function.__name__)
            self.assertTrue(of_path._repr_png_().startswith(b"\x89PNG"))
            labelled = function(study, labels=["without", "with"])
            self.assertEqual({entry["run"] for entry in labelled.numbers}, {"without", "with"}, function.__name__)
            self.assertEqual(json.dumps(function(study, labels="without,with").numbers), json.dumps(labelled.numbers))
            with self.assertRaises(TypeError):
                function(study, nonsense=1)
            with self.assertRaises(figures.UsageError):
                function(study, paper="poster")
            text = inspect.getdoc(function)
            self.assertTrue("x: " in text and "y: " in text and "figure.numbers" in text, function.__name__)

    def test_every_figure_draws_a_file(self) -> None:
        study = self.write_study()
        for function, name in ((cli.landscape, "landscape"), (cli.layers, "landscape"), (cli.step_sizes, "landscape"),
                               (cli.shift, "shift"), (cli.drift, "distributions"), (cli.moments, "distributions"),
                               (cli.weights, "distributions"), (cli.ridgelines, "distributions"), (cli.theorem, "theorem"),
                               (cli.cross_run, "runs"), (cli.surface, "surface"), (cli.accuracy, "trace/segment-00000001-00000004")):
            figure = function(study / f"bn/{name}.h5")
            self.assertEqual({entry["run"] for entry in figure.numbers}, {"bn"}, function.__name__)

    def test_a_named_sweep(self) -> None:
        run = self.write_landscape(self.run_directory("run"), "landscape-fine.h5")
        for function in (cli.landscape, cli.layers, cli.step_sizes):
            self.assertTrue(function(run, name="fine").numbers)
            with self.assertRaisesRegex(figures.Error, "landscape-fine.h5: see --name"):
                function(run)
        self.write_trace(run, [4, 2])
        self.assertIn("accuracy reads no sweep", self.command("accuracy", run, "--name", "fine", "--json").stderr)

    def test_a_named_analysis(self) -> None:
        """Is that of the name, and no other where there is none of it."""
        run = self.write_all(self.run_directory("run"))
        for kind, functions in (("shift", ["shift"]), ("distributions", ["drift", "moments", "ridgelines", "weights"]), ("theorem", ["theorem"])):
            main = {function: self.command(function, run, "--json").stdout for function in functions}
            (run / f"{kind}.h5").rename(run / f"{kind}-fine.h5")
            for function in functions:
                named = self.command(function, run, "--name", "fine", "--json")
                self.assertEqual((named.stdout, named.stderr), (main[function], ""), function)
                self.assert_error(function, run, "--json", says=(f"has no {kind}.h5", f"there is {kind}-fine.h5: see --name"))
                self.assert_error(function, run, "--name", "rough", "--json", says=(f"has no {kind}-rough.h5", f"gradscape {kind} {run} --name rough"))

    def test_no_setting_is_left_behind(self) -> None:
        import matplotlib
        figures.landscape(self.write_study(), paper="column")
        for name in STYLE:
            self.assertEqual(matplotlib.rcParams[name], matplotlib.rcParamsDefault[name])


if __name__ == "__main__":
    unittest.main()
