#!/usr/bin/python3
"""Tests of tools/gradscape_plots beyond the landscape, on small files of which every number is known by hand."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
import unittest
import warnings
from pathlib import Path
from unittest import mock

import h5py
import matplotlib.colors
import numpy as np

TOOLS = Path(__file__).resolve().parents[2] / "tools"
sys.path.insert(0, str(TOOLS))

import gradscape_plots  # noqa: E402
from gradscape_plots import cli, histograms, style  # noqa: E402

NAN, INF = float("nan"), float("inf")
BATCH_NORM, PLAIN = "#d55e00", "#0072b2"


def colour(artist) -> str:
    value = artist.get_color() if hasattr(artist, "get_color") else artist.get_facecolor()[0]
    return matplotlib.colors.to_hex(value)


def lines(axes) -> dict[str, np.ndarray]:
    """Curves by colour: of several, the longest."""
    found: dict[str, np.ndarray] = {}
    for line in axes.lines:
        values = np.asarray(line.get_ydata(), float)
        if values.size and (colour(line) not in found or values.size > found[colour(line)].size):
            found[colour(line)] = values
    return found


class Plots(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.place = Path(folder.name)
        warnings.simplefilter("ignore")  # means of nothing, as the command line ignores them

    def run_directory(self, name: str, norm: str = "none", lr: float = 0.1, noise: bool = False) -> Path:
        run = self.place / name
        run.mkdir(parents=True)
        (run / "config.toml").write_text(f'[model]\nnorm = "{norm}"\nnoise = {str(noise).lower()}\n[train]\nlr = {lr}\n')
        return run

    @staticmethod
    def write(path: Path, labels: str = "", **data) -> None:
        path.parent.mkdir(exist_ok=True)
        with h5py.File(path, "w") as file:
            for name, values in data.items():
                file[name] = np.asarray(values)
            if labels:
                file["layer"].attrs["labels"] = labels

    def write_trace(self, run: Path, loss, test_accuracy=(0.2, 0.4)) -> Path:
        """In two files, the later one first by name of its steps."""
        steps = len(loss)
        for first, last in ((0, 1), (1, steps)):
            part = slice(first, last)
            self.write(run / f"trace/segment-{first:08}-{last:08}.h5", step=np.arange(steps)[part], loss=np.array(loss, float)[part],
                       accuracy=np.array(loss, float)[part] / 10, test_step=[1] if first == 0 else [steps],
                       test_loss=[1.0], test_accuracy=[test_accuracy[first > 0]])
        return run

    def write_shift(self, run: Path, norms, cosines, layers=(1, 2), labels="a,b") -> Path:
        steps = len(norms)
        self.write(run / "shift.h5", labels, step=np.arange(steps), layer=layers, shift_norm=norms, shift_cos=cosines,
                   grad_norm=np.ones((steps, len(layers))), lr=np.ones(steps), train_loss=np.ones(steps))
        return run

    def write_distributions(self, run: Path, low=-1.0, high=3.0, count=(1, 2, 0, 1), layers=(1, 2), labels="a,b") -> Path:
        shape = (2, len(layers))
        data = {}
        for kind in ("activation", "weight"):
            for name, value in (("low", low), ("high", high), ("mean", 0.5), ("variance", 0.25), ("skewness", 0.1),
                                ("kurtosis", 3.0), ("non_finite", 0.0)):
                data[f"{kind}_{name}"] = np.full(shape, value)
            data[f"{kind}_count"] = np.broadcast_to(np.array(count, float), (*shape, len(count)))
        self.write(run / "distributions.h5", labels, step=[0, 10], layer=layers, bin=np.arange(len(count)),
                   drift_mean=[[0.1, 0.2], [0.3, 0.4]], drift_variance=[[1, 2], [3, 4]], **data)
        return run

    def command(self, *arguments: object, expect: int = 0) -> tuple[str, str]:
        out, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            try:
                code = cli.main([str(argument) for argument in arguments])
            except SystemExit as leave:
                code = leave.code
        self.assertEqual(code or 0, expect, out.getvalue() + errors.getvalue())
        return out.getvalue(), errors.getvalue()

    def assert_error(self, *arguments: object, says: tuple[str, ...]) -> None:
        _, errors = self.command(*arguments, "--json", expect=1)
        self.assertEqual(errors.count("\n"), 1, errors)
        for words in says:
            self.assertIn(words, errors)

    # --- what is drawn ---

    def test_accuracy(self) -> None:
        self.write_trace(self.run_directory("study/bn", "batch"), [4, 2, 6])
        self.write_trace(self.run_directory("study/none"), [8, 8, NAN])
        figure = gradscape_plots.accuracy([self.place / "study"], smooth=1)
        train, test = figure.axes
        np.testing.assert_allclose(lines(train)[BATCH_NORM], [40, 20, 60])
        np.testing.assert_allclose(lines(train)[PLAIN], [80, 80, NAN])
        np.testing.assert_allclose(lines(test)[BATCH_NORM], [20, 40])
        self.assertEqual([entry["run"] for entry in figure.numbers], ["none", "bn"], "without norm first")
        self.assertEqual(figure.numbers[1]["test_accuracy"], [0.4])
        loss = gradscape_plots.accuracy([self.place / "study/bn"], value="loss", smooth=3).axes[0]
        np.testing.assert_allclose(lines(loss)[BATCH_NORM], [3, 4, 4])

    def test_regression_has_no_test_panel(self) -> None:
        run = self.run_directory("run")
        self.write(run / "trace/segment-0-2.h5", step=[0, 1], loss=[5.0, 4.0], accuracy=[NAN, NAN], test_step=[2],
                   test_loss=[NAN], test_accuracy=[NAN])
        self.assertEqual(len(gradscape_plots.accuracy([run], value="loss", log_y=True).axes), 1)

    def test_seeds_are_a_mean_and_a_band(self) -> None:
        for seed, scale in ((1, 1), (2, 3)):
            self.write_shift(self.run_directory(f"study/bn/seed-{seed}", "batch"), scale * np.array([[0, 1], [0, 2]]),
                             np.zeros((2, 2)))
        norms, cosines = gradscape_plots.shift([self.place / "study"]).axes
        np.testing.assert_allclose(lines(norms)[BATCH_NORM], [2, 4])
        band, = norms.collections
        self.assertEqual(colour(band), BATCH_NORM)
        heights = band.get_paths()[0].vertices[:, 1]
        self.assertEqual((heights.min(), heights.max()), (1, 6))
        self.assertEqual(cosines.get_ylim(), (-1.05, 1.05))

    def test_layers_are_matched_by_number(self) -> None:
        """Networks with and without norm name the same layer differently."""
        self.write_shift(self.run_directory("s/none"), [[0, 1, 2.0]], [[1, 0.5, 0.25]], (1, 2, 3), "f.0,f.2,f.4")
        self.write_shift(self.run_directory("s/bn", "batch"), [[0, 3, 4.0]], [[1, 0.1, 0.2]], (1, 2, 3), "f.0,f.3,f.6")
        figure = gradscape_plots.shift([self.place / "s"], layers=["f.6"])
        self.assertEqual(len(figure.axes), 2)
        self.assertEqual({name: values.tolist() for name, values in lines(figure.axes[0]).items()}, {PLAIN: [2], BATCH_NORM: [4]})
        self.assertEqual(figure.numbers, [{"run": "none", "layer": 3, "mean_shift_cos": 0.25},
                                          {"run": "bn", "layer": 3, "mean_shift_cos": 0.2}])
        self.assertEqual(len(gradscape_plots.shift([self.place / "s"]).axes), 4, "the first layer has no shift")

    def test_densities(self) -> None:
        run = self.write_distributions(self.run_directory("bn", "batch"))
        data, _ = gradscape_plots.series.load_series(run, "distributions")
        edges, values = histograms.density(data, "weight", 1, 0)
        self.assertEqual(edges.tolist(), [-1, 0, 1, 2, 3])
        self.assertEqual(values.tolist(), [0.25, 0.5, 0, 0.25])  # their integral is 1
        drawn = gradscape_plots.weights([run]).axes[0].patches[0].get_data()
        self.assertEqual((drawn.values.tolist(), drawn.edges.tolist()), (values.tolist(), edges.tolist()))
        ridges = gradscape_plots.ridgelines([run], what="activation", layers=["2"]).axes[0]
        self.assertEqual([text.get_text() for text in ridges.get_yticklabels()], ["10", "0"])
        self.assertAlmostEqual(max(ridges.patches[0].get_data().values), 1 + 1.6, msg="the first step, on the second line")

    def test_drift_and_moments(self) -> None:
        run = self.write_distributions(self.run_directory("bn", "batch"))
        drift = gradscape_plots.drift([run], layers=["b"])
        np.testing.assert_allclose(lines(drift.axes[0])[BATCH_NORM], [0.2, 0.4])
        np.testing.assert_allclose(lines(drift.axes[1])[BATCH_NORM], [2, 4])
        mean = gradscape_plots.moments([run], layers=["1"]).axes[0]
        heights = mean.collections[0].get_paths()[0].vertices[:, 1]
        self.assertEqual((heights.min(), heights.max()), (0, 1), "mean 0.5 and deviation 0.5")

    def test_theorem(self) -> None:
        run = self.run_directory("bn", "batch")
        factor = [[1, 2, 3, 10], [2, 4, 6, 20.0]]
        self.write(run / "theorem.h5", "a,b", step=[0, 1], layer=[1, 2], unit=np.arange(4), unit_layer=[0, 0, 0, 1.0],
                   factor=factor, removed=np.array(factor) / 100)
        first, second = gradscape_plots.theorem([run]).axes[:2]
        np.testing.assert_allclose(lines(first)[BATCH_NORM], [2, 4])
        np.testing.assert_allclose(lines(second)[BATCH_NORM], [10, 20])

    def test_cross_run(self) -> None:
        for variant, norm in (("bn", "batch"), ("none", "none")):
            self.run_directory(f"s/{variant}/lr-0.1", norm)
            self.write(self.place / f"s/{variant}/runs.h5", lr=[0.1, 0.2], step=[0, 1, 2], test_step=[3], loss_min=[1, 1, 1.0],
                       loss_max=[2, 3, INF], loss=np.ones((2, 3)), test_accuracy=[[0.5], [0.25]])
        figure = gradscape_plots.cross_run([self.place / "s"])
        self.assertEqual([colour(band) for band in figure.axes[0].collections], [PLAIN, BATCH_NORM])
        self.assertEqual(figure.numbers[0], {"run": "none", "lr": [0.1, 0.2], "mean_width": 1.5, "test_accuracy": [0.5, 0.25]})

    def write_landscape(self, run: Path, **more) -> Path:
        self.write(run / "landscape.h5", "a,b" if "layer" in more else "", step=[0, 10, 20], alpha=[0.5, 2], lr=[0.1, 0.1, 0.01],
                   grad_diff=[[1, 2], [3, 4], [5, NAN]], **more)
        return run

    def test_step_sizes(self) -> None:
        run = self.write_landscape(self.run_directory("bn", "batch"))
        first, second = gradscape_plots.step_sizes([run], steps=[0, 20]).axes[0].lines
        np.testing.assert_allclose(first.get_xdata(), [0.05, 0.2])
        np.testing.assert_allclose(first.get_ydata(), [1, 2])
        np.testing.assert_allclose(second.get_xdata(), [0.005, 0.02])
        self.assert_error("step_sizes", run, "--steps", "0,5", says=("step 5 was not probed", "0, 10, 20"))

    def test_layers_of_a_landscape(self) -> None:
        values = np.arange(12.0).reshape(3, 2, 2)
        run = self.write_landscape(self.run_directory("bn", "batch"), layer=[1, 2], layer_grad_diff=values, layer_beta=2 * values)
        axes = gradscape_plots.layers([run], layers=["2"]).axes
        heights = axes[0].collections[0].get_paths()[0].vertices[:, 1]
        self.assertEqual((heights.min(), heights.max()), (1, 11))
        np.testing.assert_allclose(lines(axes[1])[BATCH_NORM], [6, 14, 22])

    def test_colours(self) -> None:
        kinds = {"": ("x", ""), BATCH_NORM: ("x", '[model]\nnorm = "batch"\n'), PLAIN: ("x", '[model]\nnorm = "none"\n')}
        for expected, (label, config) in list(kinds.items())[1:]:
            self.assertEqual(style.styles_of([(label, "", config)])[0]["color"].lower(), expected)
        self.assertEqual(style.styles_of([("bn", "", "no TOML [")])[0]["color"].lower(), BATCH_NORM, "then by its name")
        norms = [f'[model]\nnorm = "{norm}"\nnoise = {noise}\n' for norm in ("none", "batch", "l1", "l2", "linf", "layer", "group")
                 for noise in ("false", "true")]
        known = [style.styles_of([("x", "", config)])[0]["color"] for config in norms[::2]]
        self.assertEqual(len(set(known)), 7, "each norm has its own")
        twice = style.styles_of([("a", "", norms[0]), ("b", "", norms[0])])
        self.assertEqual([one["color"] for one in twice], [style.PLAIN] * 2)
        self.assertNotEqual(twice[0]["linestyle"], twice[1]["linestyle"])

    # --- wild values, files and the command line ---

    def test_wild_values_and_single_records(self) -> None:
        wild = [[NAN, INF], [NAN, -1.0], [0, 1e300]]
        for name, values in (("wild", wild), ("single", wild[:1])):
            run = self.write_shift(self.run_directory(name), values, values)
            gradscape_plots.shift([run], log_x=True)
            self.write_trace(run, [NAN, INF, 1e300])
            gradscape_plots.accuracy([run], value="loss", log_y=True)
            self.write_distributions(run, NAN, NAN, (0, 0, 0))
            for function in (gradscape_plots.ridgelines, gradscape_plots.weights, gradscape_plots.moments):
                function([run])
            self.write_distributions(run, 2.0, 2.0, (5, 0, 0))
            gradscape_plots.ridgelines([run])

    def test_missing_data_names_the_command(self) -> None:
        run = self.run_directory("study/bn", "batch")
        for figure, kind in (("shift", "shift"), ("ridgelines", "distributions"), ("moments", "distributions"),
                             ("drift", "distributions"), ("weights", "distributions"), ("theorem", "theorem")):
            self.assert_error(figure, self.place / "study", says=(f"{run}: has no {kind}.h5", f"gradscape {kind} {run}"))
        self.assert_error("accuracy", run, says=("has no trace", "gradscape train"))
        self.assert_error("step_sizes", run, says=("has no landscape.h5", f"gradscape merge {run}"))
        self.assert_error("cross_run", self.place / "study", says=("no runs.h5", "sweep.kind"))
        self.write_landscape(run)
        self.assert_error("layers", run, says=("layer_grad_diff", "sweep.layers = true"))
        self.assert_error("shift", self.place / "nothing", says=("is no directory",))
        (self.place / "empty").mkdir()
        self.assert_error("shift", self.place / "empty", says=("holds no run", "gradscape run"))
        self.write_shift(run, [[0, 1.0]], [[1, 1.0]])
        self.assert_error("shift", run, "--layers", "7", says=("no layer 7", "1 (a), 2 (b)"))
        self.assert_error("shift", run, "--labels", "x,y", says=("2 names for 1 runs",))
        (run / "shift.h5").write_bytes((run / "shift.h5").read_bytes()[:200])
        self.assert_error("shift", run, says=("cannot be read", f"gradscape shift {run}"))

    def test_files_and_numbers(self) -> None:
        run = self.write_shift(self.run_directory("bn", "batch"), [[0, 1.0], [0, 2.0]], [[1, 1.0], [1, NAN]])
        for suffix in ("png", "svg", "pdf"):
            paths = [self.place / f"{name}.{suffix}" for name in ("first", "second")]
            for path in paths:
                self.command("shift", run, "-o", path, "--title", "a $ & b", "--size", "5x4", "--dpi", "80", "--smooth", "2")
            self.assertEqual(paths[0].read_bytes(), paths[1].read_bytes(), suffix)
        out, _ = self.command("shift", run, "--json")
        self.assertEqual(json.loads(out), {"figure": "shift", "numbers": [{"run": "bn", "layer": 2, "mean_shift_cos": 1}]})
        self.assert_error("shift", run, "-o", self.place / "figure.jpg", says=("figure.jpg", ".png, .pdf or .svg"))

    def test_usage(self) -> None:
        run = self.run_directory("bn")
        for arguments in ([], ["nonsense", run, "--json"], ["shift", run], ["shift", "--json"], ["shift", run, "--smooth", "0", "--json"],
                          ["shift", run, "--what", "weight", "--json"], ["ridgelines", run, "--what", "colour", "--json"]):
            _, errors = self.command(*arguments, expect=2)
            self.assertIn("usage:", errors)
        text, _ = self.command("--help")
        for function in cli.FIGURES:
            self.assertIn(function.__name__, text)
            self.command(function.__name__, "--help")
        self.assertIn("plot.py landscape", self.command("landscape", "--help")[0])
        with mock.patch.object(cli, "run_program", side_effect=KeyboardInterrupt):
            self.command("shift", run, "--json", expect=130)

    def test_as_notebooks_use_it(self) -> None:
        run = self.write_shift(self.run_directory("bn", "batch"), [[0, 1.0]], [[1, 1.0]])
        figure = gradscape_plots.shift([str(run)])
        self.assertIsInstance(figure, matplotlib.figure.Figure)
        figure.savefig(self.place / "by-hand.png")
        self.assertEqual(matplotlib.rcParams["font.size"], matplotlib.rcParamsDefault["font.size"], "no setting is left behind")


if __name__ == "__main__":
    unittest.main()
