#!/usr/bin/python3
"""Tests of tools/gradscape/figures beyond the landscape, on small files of which every number is known by hand."""

from __future__ import annotations

import json
import unittest
from unittest import mock

import h5py
import matplotlib.colors
import numpy as np

from support import BATCH_NORM, INF, NAN, PLAIN, Case, caught

from gradscape import figures
from gradscape.figures import cli, histograms, series, style


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


class Plots(Case):
    # --- what is drawn ---

    def test_accuracy(self) -> None:
        self.write_trace(self.run_directory("study/bn", "batch"), [4, 2, 6])
        self.write_trace(self.run_directory("study/none"), [8, 8, NAN])
        figure = figures.accuracy([self.place / "study"], smooth=1)
        train, test = figure.axes
        np.testing.assert_allclose(lines(train)[BATCH_NORM], [40, 20, 60])
        np.testing.assert_allclose(lines(train)[PLAIN], [80, 80, NAN])
        np.testing.assert_allclose(lines(test)[BATCH_NORM], [20, 40])
        self.assertEqual([entry["run"] for entry in figure.numbers], ["none", "bn"], "without norm first")
        self.assertEqual(figure.numbers[1]["test_accuracy"], [0.4])
        loss = figures.accuracy([self.place / "study/bn"], value="loss", smooth=3).axes[0]
        np.testing.assert_allclose(lines(loss)[BATCH_NORM], [3, 4, 4])

    def test_regression_has_no_test_panel(self) -> None:
        run = self.run_directory("run")
        self.write(run / "trace/segment-0-2.h5", step=[0, 1], loss=[5.0, 4.0], accuracy=[NAN, NAN], test_step=[2],
                   test_loss=[NAN], test_accuracy=[NAN])
        self.assertEqual(len(figures.accuracy([run], value="loss", log_y=True).axes), 1)

    def test_seeds_are_a_mean_and_a_band(self) -> None:
        for seed, scale in ((1, 1), (2, 3)):
            self.write_shift(self.run_directory(f"study/bn/seed-{seed}", "batch"), scale * np.array([[0, 1], [0, 2]]),
                             np.zeros((2, 2)))
        norms, cosines = figures.shift([self.place / "study"]).axes
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
        figure = figures.shift([self.place / "s"], layers=["f.6"])
        self.assertEqual(len(figure.axes), 2)
        self.assertEqual({name: values.tolist() for name, values in lines(figure.axes[0]).items()}, {PLAIN: [2], BATCH_NORM: [4]})
        self.assertEqual(figure.numbers, [{"run": "none", "layer": 3, "mean_shift_cos": 0.25},
                                          {"run": "bn", "layer": 3, "mean_shift_cos": 0.2}])
        self.assertEqual(len(figures.shift([self.place / "s"]).axes), 4, "the first layer has no shift")

    def test_densities(self) -> None:
        run = self.write_distributions(self.run_directory("bn", "batch"))
        file = series.load_series(run, run / "distributions.h5", "distributions", histograms.schema_of("weight"))
        edges, values = histograms.density(file, "weight", 1, 0)
        self.assertEqual(edges.tolist(), [-1, 0, 1, 2, 3])
        self.assertEqual(values.tolist(), [0.25, 0.5, 0, 0.25])  # their integral is 1
        drawn = figures.weights([run]).axes[0].patches[0].get_data()
        self.assertEqual((drawn.values.tolist(), drawn.edges.tolist()), (values.tolist(), edges.tolist()))
        ridges = figures.ridgelines([run], what="activation", layers=["2"]).axes[0]
        self.assertEqual([text.get_text() for text in ridges.get_yticklabels()], ["10", "0"])
        self.assertAlmostEqual(max(ridges.patches[0].get_data().values), 1 + 1.6, msg="the first step, on the second line")

    def test_drift_and_moments(self) -> None:
        run = self.write_distributions(self.run_directory("bn", "batch"))
        drift = figures.drift([run], layers=["b"])
        np.testing.assert_allclose(lines(drift.axes[0])[BATCH_NORM], [0.2, 0.4])
        np.testing.assert_allclose(lines(drift.axes[1])[BATCH_NORM], [2, 4])
        mean = figures.moments([run], layers=["1"]).axes[0]
        heights = mean.collections[0].get_paths()[0].vertices[:, 1]
        self.assertEqual((heights.min(), heights.max()), (0, 1), "mean 0.5 and deviation 0.5")

    def test_theorem(self) -> None:
        run = self.write_theorem(self.run_directory("bn", "batch"))
        figure = figures.theorem([run])
        self.assertEqual([entry["factor_median"] for entry in figure.numbers], [3, 15])
        self.assertIn("which batch norm takes out of it", figure.caption)
        first, second = figure.axes[:2]
        np.testing.assert_allclose(lines(first)[BATCH_NORM], [2, 4])
        np.testing.assert_allclose(lines(second)[BATCH_NORM], [10, 20])

    def test_cross_run(self) -> None:
        for variant, norm in (("bn", "batch"), ("none", "none")):
            self.run_directory(f"s/{variant}/lr-0.1", norm)
            self.write_runs(self.place / f"s/{variant}")
        figure = figures.cross_run([self.place / "s"])
        bands = [band for band in figure.axes[0].collections if len(band.get_paths())]
        self.assertEqual([colour(band) for band in bands], [PLAIN, BATCH_NORM])
        self.assertEqual(figure.numbers[0], {"run": "none", "lr": [0.1, 0.2], "mean_width": 1.5, "test_accuracy": [0.5, 0.25]})

    def test_step_sizes(self) -> None:
        run = self.write_landscape(self.run_directory("bn", "batch"))
        panel, = figures.step_sizes([run], steps=[0, 20]).axes
        first, second = panel.lines
        np.testing.assert_allclose(first.get_xdata(), [0.05, 0.2])
        np.testing.assert_allclose(first.get_ydata(), [1, 2])
        np.testing.assert_allclose(second.get_xdata(), [0.005, 0.02])
        np.testing.assert_allclose(second.get_ydata(), [5, NAN])
        self.assert_error("step_sizes", run, "--steps", "0,5", "--json", says=("step 5 was not probed", "0, 10, 20"), expect=2)

    def test_step_sizes_that_are_no_multiples(self) -> None:
        run = self.write_landscape(self.run_directory("bn", "batch"), config="[sweep]\nstep_sizes = [0.5, 2.0]\n")
        panel, = figures.step_sizes([run], steps=[0, 20]).axes
        for line in panel.lines:
            np.testing.assert_allclose(line.get_xdata(), [0.5, 2])
        figure = figures.landscape(run)
        self.assertIn("η ∈ {0.5, 2}", figure.caption)
        self.assertTrue(figure.numbers[0]["step_sizes"])

    def test_ticks_of_step_sizes_are_those_probed(self) -> None:
        run = self.write_landscape(self.run_directory("bn", "batch"))
        for steps, expected in (([0, 10], ["0.05", "0.2"]), ([20], ["0.005", "0.02"])):
            panel, = figures.step_sizes(run, steps=steps).axes
            self.assertEqual([label.get_text() for label in panel.get_xticklabels()], expected)
        self.write_landscape(run, direction="update")
        panel, = figures.step_sizes(run, steps=[20]).axes
        self.assertEqual([label.get_text() for label in panel.get_xticklabels()], ["0.5", "2"])
        self.assertIn("update", panel.get_xlabel())
        self.assertIn("m u", panel.get_ylabel())

    def test_cells_below_noise_are_left_out(self) -> None:
        run = self.write_landscape(self.run_directory("bn"), noise=(1,))
        panel, = figures.step_sizes(run, steps=[10]).axes
        self.assertTrue(np.isnan(panel.lines[0].get_ydata()).all())
        self.assertTrue(np.isnan(lines(figures.layers(run).axes[2])[PLAIN][1]))

    def test_layers_of_a_landscape(self) -> None:
        run = self.write_landscape(self.run_directory("bn", "batch"))
        axes = figures.layers([run], layers=["2"]).axes
        heights = axes[0].collections[0].get_paths()[0].vertices[:, 1]
        self.assertEqual((heights.min(), heights.max()), (1, 11))
        np.testing.assert_allclose(lines(axes[1])[BATCH_NORM], [6, 14, 22])

    def test_colours(self) -> None:
        kinds = {"": ("x", ""), BATCH_NORM: ("x", '[model]\nnorm = "batch"\n'), PLAIN: ("x", '[model]\nnorm = "none"\n')}
        for expected, (label, config) in list(kinds.items())[1:]:
            self.assertEqual(style.styles_of([(label, config)])[0]["color"].lower(), expected)
        self.assertEqual(style.styles_of([("bn", "no TOML [")])[0]["color"].lower(), BATCH_NORM, "then by its name")
        norms = [f'[model]\nnorm = "{norm}"\nnoise = {noise}\n' for norm in ("none", "batch", "l1", "l2", "linf", "layer", "group")
                 for noise in ("false", "true")]
        known = [style.styles_of([("x", config)])[0]["color"] for config in norms[::2]]
        self.assertEqual(len(set(known)), 7, "each norm has its own")
        self.assertEqual([one["color"] for one in style.styles_of([("x", config) for config in norms[::2]])], known)

    def test_colours_show_what_differs(self) -> None:
        def styles(*settings: tuple[str, float]) -> list[tuple[str, str]]:
            runs = [(str(at), f'[model]\nnorm = "{norm}"\n[train]\nlr = {rate}\n') for at, (norm, rate) in enumerate(settings)]
            return [(one["color"].lower(), one["linestyle"]) for one in style.styles_of(runs)]

        for rates in ((0.1, 0.01), (0.1, 0.1)):
            first, second = styles(*(("batch", rate) for rate in rates))
            self.assertEqual(first, (BATCH_NORM, "-"))
            self.assertNotIn(second[0], (BATCH_NORM, PLAIN), "one norm: a colour for each run, and none that means another norm")
        four = styles(("none", 0.1), ("none", 0.01), ("batch", 0.1), ("batch", 0.01))
        self.assertEqual((four[0], four[2]), ((PLAIN, "-"), (BATCH_NORM, "-")))
        self.assertEqual([line for _, line in four], ["-", "--", "-", "--"], "the same rate has the same line")
        self.assertEqual(len({colour for colour, _ in four}), 4, "shades of the norm's colour")
        self.assertEqual(styles(("none", 0.1), ("batch", 0.01)), [(PLAIN, "-"), (BATCH_NORM, "-")])

    def test_colours_and_order_asked_for(self) -> None:
        study = self.write_study()
        figure = figures.drift(study, order=["bn"], colours=["teal", "#123456"], labels="with,without")
        self.assertEqual([entry["run"] for entry in figure.numbers[:2]], ["with", "without"])
        self.assertEqual(list(lines(figure.axes[0])), ["#008080", "#123456"])
        self.assert_error("drift", study, "--json", "--colours", "red", says=("1 colours for 2 runs: none, bn",), expect=2)
        self.assert_error("drift", study, "--json", "--colours", "red,nonsense", says=("'nonsense' is no colour",), expect=2)
        self.assert_error("drift", study, "--json", "--order", "plain", says=("no run plain; there are none, bn",), expect=2)

    # --- wild values, files and the command line ---

    def test_wild_values_and_single_records(self) -> None:
        wild = [[NAN, INF], [NAN, -1.0], [0, 1e300]]
        for name, values in (("wild", wild), ("single", wild[:1])):
            run = self.write_shift(self.run_directory(name), values, values)
            figures.shift([run], log_x=True)
            self.write_trace(run, [NAN, INF, 1e300])
            figures.accuracy([run], value="loss", log_y=True)
            self.write_distributions(run, NAN, NAN, (0, 0, 0))
            for function in (figures.ridgelines, figures.weights, figures.moments):
                function([run])
            self.write_distributions(run, 2.0, 2.0, (5, 0, 0))
            figures.ridgelines([run])

    def test_missing_data_names_the_command(self) -> None:
        run, study = self.run_directory("study/bn", "batch"), self.place / "study"

        def refused(*arguments: object, says: tuple[str, ...], expect: int = 1) -> None:
            self.assert_error(*arguments, "--json", says=says, expect=expect)

        for figure, kind in (("shift", "shift"), ("ridgelines", "distributions"), ("moments", "distributions"),
                             ("drift", "distributions"), ("weights", "distributions"), ("theorem", "theorem")):
            refused(figure, study, says=(f"{run}: has no {kind}.h5", f"gradscape {kind} {run}"))
        refused("accuracy", run, says=("has no trace", "gradscape train"))
        refused("step_sizes", run, says=("has no landscape.h5", f"gradscape merge {run}"))
        refused("step_sizes", run, "--name", "fine", says=("has no landscape-fine.h5", f"gradscape merge {run} --name fine"))
        refused("cross_run", study, says=("no run", "sweep.kind"))
        self.write_landscape(run, leave_out=("layer_grad_diff",))
        refused("layers", run, says=("layer_grad_diff", "sweep.layers = true"))
        refused("shift", self.place / "nothing", says=("does not exist",))
        (self.place / "empty").mkdir()
        refused("shift", self.place / "empty", says=("holds no run", "gradscape run"))
        self.write_shift(run, [[0, 1.0]], [[1, 1.0]])
        refused("shift", run, "--layers", "7", says=("7 is none of the files' layers", "1 (a), 2 (b)"), expect=2)
        refused("shift", run, "--labels", "x,y", says=("2 names for 1 runs: bn",), expect=2)
        refused("shift", run, "--layers", "x" * 500, says=("x" * 100,), expect=2)
        self.assertLess(len(self.command("shift", run, "--json", "--layers", "x" * 500, expect=2).stderr), 1200)
        (run / "shift.h5").write_bytes((run / "shift.h5").read_bytes()[:200])
        refused("shift", run, says=("cannot be read", f"gradscape shift {run}"))

    def test_files_of_a_run_are_named_by_it(self) -> None:
        run = self.run_directory("study/bn/seed-3", "batch")
        for name in ("landscape-fine.h5", "shift.h5", "shift-fine.h5", "trace/segment-0-2.h5", "sweep/main/segment-0-2.h5",
                     "shift/fine/partial/segment-0-2.h5"):
            with self.subTest(name=name):
                group = series.group_of(run / name)
                self.assertEqual((group.label, group.study, group.runs), ("bn, seed 3", "bn", [run]))
        self.assertEqual(series.group_of(run / "mine.h5").label, "mine")
        self.assertEqual(series.group_of(self.place / "study/bn/landscape.h5").label, "bn")

    def test_a_name_that_means_different_layers(self) -> None:
        self.write_shift(self.run_directory("s/none"), [[0, 1, 2.0]], [[1, 0.5, 0.25]], (1, 2, 3), "f.0,f.2,f.4")
        self.write_shift(self.run_directory("s/bn", "batch"), [[0, 3, 4.0]], [[1, 0.1, 0.2]], (1, 2, 3), "f.0,f.4,f.6")
        self.assert_error("shift", self.place / "s", "--layers", "f.4", "--json", expect=2,
                          says=("f.4 is layer 2 and 3, in different networks; give a number",))

    def test_runs_without_the_data_are_left_out(self) -> None:
        study = self.write_study()
        (study / "none/theorem.h5").unlink()
        result = self.command("theorem", study, "--json")
        self.assertEqual({entry["run"] for entry in json.loads(result.stdout)["numbers"]}, {"bn"})
        self.assertIn(f"left out: {study}/none: has no theorem.h5; make it with: gradscape theorem {study}/none", result.stderr)

    def test_a_run_still_under_way(self) -> None:
        for variant, norm in (("none", "none"), ("bn", "batch")):
            self.write_trace(self.run_directory(f"s/{variant}", norm, steps=4), [4, 2, 6, 3])
        for path in (self.place / "s/none/trace").glob("*-00000004.h5"):
            path.unlink()
        with h5py.File(self.place / "s/none/trace/segment-00000000-00000001.h5", "a") as file:
            for name in ("test_step", "test_loss", "test_accuracy"):
                del file[name]
                file[name] = np.zeros(0, int if name == "test_step" else float)
        figure, errors = caught(lambda: figures.accuracy(self.place / "s", smooth=1))
        self.assertIn(f"{self.place}/s/none: 1 of 4 steps are there", errors)
        self.assertNotIn("s/bn", errors)
        self.assertEqual([entry["steps"] for entry in figure.numbers], [1, 4])
        self.assertTrue(np.isnan(figure.numbers[0]["test_accuracy"]).all())
        np.testing.assert_allclose(lines(figure.axes[1])[BATCH_NORM], [20, 40])

    def test_a_hole_in_a_trace(self) -> None:
        run = self.run_directory("bn", "batch")
        for first in (0, 4):
            self.write(run / f"trace/segment-{first:08}-{first + 2:08}.h5", step=[first, first + 1], loss=[1.0, 2.0],
                       accuracy=[0.1, 0.2], test_step=[first + 2], test_loss=[1.0], test_accuracy=[0.5])
        figure, errors = caught(lambda: figures.accuracy(run, value="loss", smooth=1))
        self.assertIn("its trace lacks steps 2 to 3", errors)
        line = figure.axes[0].lines[0]
        np.testing.assert_array_equal(line.get_xdata(), [0, 1, 2, 4, 5])
        np.testing.assert_array_equal(line.get_ydata(), [1, 2, NAN, 1, 2])

    def test_seeds_with_different_steps(self) -> None:
        for seed, steps in ((1, 3), (2, 2)):
            self.write_shift(self.run_directory(f"study/bn/seed-{seed}", "batch"), [[0, seed]] * steps, [[0, 0]] * steps,
                             every=10 * seed)
        norms = figures.shift(self.place / "study").axes[0]
        np.testing.assert_allclose(lines(norms)[BATCH_NORM], [1.5, 1, 1.5])

    def test_files_and_numbers(self) -> None:
        run = self.write_shift(self.run_directory("bn", "batch"), [[0, 1.0], [0, 2.0]], [[1, 1.0], [1, NAN]])
        for suffix in ("png", "svg", "pdf"):
            paths = [self.place / f"{name}.{suffix}" for name in ("first", "second")]
            for path in paths:
                self.command("shift", run, "-o", path, "--title", "a $ & b", "--size", "5x4", "--dpi", "80", "--smooth", "2")
            self.assertEqual(paths[0].read_bytes(), paths[1].read_bytes(), suffix)
        out, _ = self.command("shift", run, "--json")
        self.assertEqual(json.loads(out), {"figure": "shift", "numbers": [{"run": "bn", "layer": 2, "mean_shift_cos": 1}]})
        self.assert_error("shift", run, "-o", self.place / "figure.jpg", says=("figure.jpg", ".png, .pdf or .svg"), expect=2)

    def test_paths_of_what_was_made(self) -> None:
        run = self.write_shift(self.run_directory("bn", "batch"), [[0, 1.0]] * 2, [[1, 1.0]] * 2)
        figure, caption = self.place / "figure.svg", self.place / "figure.caption.txt"
        self.assertEqual(self.command("shift", run, "-o", figure).stdout, f"{figure}\n")
        self.assertFalse(caption.exists())
        self.assertEqual(self.command("shift", run, "-o", figure, "--paper", "column").stdout, f"{figure}\n{caption}\n")
        words = "a layer's gradient before and after"
        self.assertIn(words, caption.read_text())
        self.assertNotIn("before and after", figure.read_text(), "the note is in the caption's place")
        self.assertEqual(self.command("shift", run, "--json", "-o", figure).stderr, f"{figure}\n")

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
        figure = figures.shift([str(run)])
        self.assertIsInstance(figure, matplotlib.figure.Figure)
        figure.savefig(self.place / "by-hand.png")
        self.assertEqual(matplotlib.rcParams["font.size"], matplotlib.rcParamsDefault["font.size"], "no setting is left behind")


if __name__ == "__main__":
    unittest.main()
