#!/usr/bin/python3
"""Tests of the figure of surfaces: what is drawn, on small files of which every number is known by hand."""

from __future__ import annotations

import json
import unittest

import h5py
import matplotlib.colors
import numpy as np
from matplotlib.collections import QuadMesh

from support import INF, NAN, Case, bowl, panels_of

from gradscape import figures
from gradscape.figures import surfaces

INCLINED = np.array([[x + 10 * y for x in np.linspace(-1, 1, 5)] for y in np.linspace(-1, 1, 3)])  # 3×5, L = a + 10b


def cells(axes):
    mesh, = (part for part in axes.collections if isinstance(part, QuadMesh))
    return mesh


def drawn_values(axes, shape) -> np.ndarray:
    return np.ma.filled(np.ma.array(cells(axes).get_array(), float).reshape(shape), NAN)


class Surfaces(Case):
    def plane(self, name: str, loss, **options):
        return self.write_surface(self.run_directory(name), np.atleast_3d(np.asarray(loss, float).T).T, **options)

    # --- planes ---

    def test_a_plane_that_is_not_square_is_not_transposed(self) -> None:
        axes, = panels_of(figures.surface(self.plane("run", INCLINED), style="heat"))
        np.testing.assert_array_equal(drawn_values(axes, (3, 5)), INCLINED)
        corners = cells(axes).get_coordinates()  # [y, x, 2]
        np.testing.assert_allclose((corners[0, 0], corners[-1, -1]), ((-1.25, -1.5), (1.25, 1.5)))
        self.assertEqual((axes.get_xlabel(), axes.get_ylabel()), ("$x$ (random)", "$y$ (random)"))

    def test_cells_without_values_are_holes(self) -> None:
        loss = INCLINED + 20
        loss[0, 1], loss[2, 3] = NAN, INF
        status = np.where(np.isfinite(loss), 1, 2).astype(np.uint8)
        status[1, 4] = 0  # whatever the number there says
        run = self.plane("run", loss, more={"status": status[np.newaxis]})
        figure = figures.surface(run, style="heat", log_y=False)
        axes, = panels_of(figure)
        expected = np.where(status == 1, loss, NAN)
        np.testing.assert_array_equal(drawn_values(axes, (3, 5)), expected)
        self.assertEqual(matplotlib.colors.to_hex(axes.get_facecolor()).upper(), surfaces.HOLE)
        self.assertIn("2 of 15 cells not finite", figure.caption)
        self.assertIn("1 of 15 cells not done", figure.caption)
        numbers, = figure.numbers
        self.assertEqual((numbers["non_finite"], numbers["not_done"], numbers["least"], numbers["largest"]), (2, 1, 9, 31))
        self.assertEqual((numbers["least_at"], numbers["largest_at"]), ([-1, -1], [1, 1]))
        for style in ("contour", "filled", "3d"):
            self.assertTrue(figures.surface(run, style=style).numbers)

    def test_one_scale_for_runs_side_by_side(self) -> None:
        runs = [self.plane("none", bowl(5, 7, 400)), self.plane("bn", bowl(3, 5, 4))]
        figure = figures.surface(runs, style="heat")
        norms = [cells(axes).norm for axes in panels_of(figure)]
        self.assertEqual([(norm.vmin, norm.vmax) for norm in norms], [(0.25, 800.25)] * 2)
        for style in ("heat", "filled", "contour", "3d"):
            figure = figures.surface(runs, style=style)
            bar, = (axes for axes in figure.axes if axes.get_label() == "beside")
            self.assertEqual((bar.get_xscale(), bar.get_xlim(), bar.get_xlabel()), ("log", (0.25, 800.25), "loss"))

    def test_logarithmic_colours_show_basin_and_walls(self) -> None:
        """Contour lines below the loss of chance and far above it; a single huge value does not stretch the scale."""
        loss = 0.1 * np.exp(10 * np.sqrt(bowl(21, 21, 1) - 0.25))
        scale = surfaces.scale_of([loss], None, None)
        self.assertTrue(scale.log)
        self.assertTrue(min(scale.levels) < 2.3 < 1e3 < max(scale.levels), scale.levels)
        loss[0, 0] = 1e90
        far = surfaces.scale_of([loss], None, None)
        self.assertLess(far.high, 1e8)
        run = self.plane("run", loss)
        self.assertIn("largest value 1e+90", figures.surface(run).caption)
        self.assertFalse(surfaces.scale_of([INCLINED], None, None).log, "there are values below 0")
        self.assertFalse(surfaces.scale_of([bowl(5, 5, 1)], None, None).log, "0.25 to 2.25")
        self.assertTrue(surfaces.scale_of([bowl(5, 5, 1)], True, None).log)
        asked = surfaces.scale_of([loss], None, (0.1, 10.0))
        self.assertEqual((asked.low, asked.high), (0.1, 10))

    def test_a_path_leaves_the_levels_alone(self) -> None:
        """Of tomgoldstein/loss-landscape's figures the ones with a path lost the level that was asked for."""
        loss, path = bowl(9, 9), [(5, -4), (0.9, 0.5), (0.4, 0.4), (0, 0)]
        for style in ("contour", "filled"):
            found = []
            for name, trajectory in (("alone", ()), ("path", path)):
                figure = figures.surface(self.plane(f"{style}-{name}", loss, trajectory=trajectory), style=style)
                axes, = panels_of(figure)
                lines = [[segment.shape for segment in part.get_segments()] if hasattr(part, "get_segments") else
                         [path.vertices.shape for path in part.get_paths()] for part in axes.collections]
                found.append((figure.axes[0].get_xlim(), lines, axes.get_xlim(), axes.get_ylim()))
            self.assertEqual(found[0], found[1], style)
            self.assertEqual(found[1][2:], ((-1, 1), (-1, 1)))
        self.assertIn("1 of 4 checkpoints of the path lie outside", figure.caption)
        self.assertIn("explained variance 70.0 %, 20.0 %", figure.caption)
        drawn = [line for line in axes.lines if len(line.get_xdata()) == 4]
        np.testing.assert_array_equal(drawn[0].get_xydata(), path)

    def test_in_three_dimensions_a_path_lies_on_its_own_quantity(self) -> None:
        """Of the accuracy, 19 to 80 %, at 25 %, whatever the loss there."""
        run = self.plane("run", bowl(5, 5, 2), trajectory=[(5, -4), (0.9, 0.5), (0, 0)])
        for variable, height in (("loss", 2), ("accuracy", 25)):
            line, = panels_of(figures.surface(run, style="3d", variable=variable, log_y=False))[0].lines
            np.testing.assert_array_equal(line.get_data_3d()[2], [NAN, height, height])

    def test_three_networks_are_marked(self) -> None:
        axes, = panels_of(figures.surface(self.plane("run", bowl(5, 5), labels="12,seed 2,mean")))
        marks = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines]
        self.assertEqual(marks, [(-0.75, -0.75), (0.75, -0.75), (0.75, 0.75)])
        self.assertEqual([text.get_text() for text in axes.texts], ["step 12", "seed 2", "mean"])

    def test_a_repeat_is_chosen(self) -> None:
        run = self.write_surface(self.run_directory("run"), np.stack([INCLINED, INCLINED + 100]), more={"repeat": [0, 7]})
        for asked, shift in ((None, 0), (0, 0), (7, 100)):
            figure = figures.surface(run, style="heat", repeat=asked)
            np.testing.assert_array_equal(drawn_values(panels_of(figure)[0], (3, 5)), INCLINED + shift)
        self.assertIn("repeat 7 of up to 2", figure.caption)
        path = self.write_surface(self.run_directory("path"), np.stack([INCLINED, INCLINED]), trajectory=[(0.1, 0.2), (0, 0)])
        found = [[line for line in panels_of(figures.surface(path, repeat=repeat))[0].lines if len(line.get_xdata()) == 2] for repeat in (0, 1)]
        self.assertTrue(found[0] and not found[1], "the path is that in the first repeat's plane")
        self.assert_error("surface", run, "--repeat", 1, "--json", expect=2, says=("--repeat", "no repeat 1; there are 0, 7"))

    def test_what_was_varied_is_told(self) -> None:
        run = self.plane("run", INCLINED)
        caption = figures.surface(run).caption
        for words in ("x: along random, y: along random", "normalised filter by filter", "not along biases and norms", "θ of step 20",
                      "batch norm: running statistics", "100 training images in batches of 50"):
            self.assertIn(words, caption)
        other = self.plane("other", INCLINED, batch_norm="batch")
        caption = figures.surface([run, other]).caption
        self.assertIn("batch norm: running statistics, 100 training images in batches of 50 (run)", caption)
        self.assertIn("batch norm: each batch's statistics, 100 training images in batches of 50 (other)", caption)

    def test_of_components_no_normalisation_is_told(self) -> None:
        """The file has the setting all the same."""
        caption = figures.surface(self.plane("run", INCLINED, x_direction="pca:1", y_direction="pca:2")).caption
        self.assertIn("x: along pca:1, y: along pca:2, θ of step 20", caption)
        caption = figures.surface(self.plane("plane", INCLINED, x_direction="through 1,2,b@3", y_direction="through 1,2,b@3")).caption
        self.assertIn("plane through 1, 2, b@3, batch norm: running statistics", caption)

    # --- lines ---

    def test_a_line_is_a_median_in_a_band_and_accuracy_beside(self) -> None:
        loss = np.array([[4, 1, 4.0], [2, 3, 2], [9, 2, 9]])
        run = self.write_surface(self.run_directory("run"), loss, x_direction="to:last", more={"barrier": [0.5, 1.5, 9]})
        figure = figures.surface(run, log_y=False)
        panel, = panels_of(figure)
        twin, = (axes for axes in figure.axes if axes.get_label() == "beside")
        train, test = (line for line in panel.lines if len(line.get_xdata()))
        np.testing.assert_array_equal(train.get_xydata(), [[-1, 4], [0, 2], [1, 4]])
        np.testing.assert_array_equal(test.get_ydata(), [5, 3, 5])
        self.assertEqual((train.get_linestyle(), test.get_linestyle()), ("-", "--"))
        edges = panel.collections[0].get_paths()[0].vertices
        self.assertEqual({(x, y) for x, y in edges.tolist()}, {(-1, 2), (0, 1), (1, 2), (-1, 9), (0, 3), (1, 9)})
        accuracy = [line for line in twin.lines if len(line.get_xdata())][0].get_ydata()
        np.testing.assert_allclose(accuracy, [20, 100 / 3, 20])
        self.assertEqual(twin.get_ylabel(), "accuracy, %")
        self.assertIn("of up to 3 repeats: the median, and in pale their range", figure.caption)
        self.assertIn("barrier 1.5", figure.caption)
        self.assertEqual(figure.numbers[0]["barrier"], 1.5)

    def test_a_line_has_gaps_where_no_repeat_is_finite(self) -> None:
        run = self.write_surface(self.run_directory("run"), [[NAN, 1, 2, 3], [INF, NAN, 4, 5]])
        figure = figures.surface(run, log_y=False)
        panel, = panels_of(figure)
        np.testing.assert_array_equal(panel.lines[0].get_ydata(), [NAN, 1, 3, 4])
        span, = panel.patches
        self.assertEqual(matplotlib.colors.to_hex(span.get_facecolor()).upper(), surfaces.HOLE)
        np.testing.assert_allclose((span.get_xy()[:, 0].min(), span.get_xy()[:, 0].max()), (-4 / 3, -2 / 3))
        self.assertIn("3 of 8 cells not finite", figure.caption)

    # --- what is refused ---

    def test_errors(self) -> None:
        plane = self.plane("plane", INCLINED)
        line = self.write_surface(self.run_directory("line"), [[1, 2, 3.0]])
        self.assert_error("surface", plane, line, "--json", says=("is a line and", "draw them apart"))
        self.assert_error("surface", plane, "--limits", "3:1", "--json", expect=2, says=("--limits: 3:1 is no range",))
        self.assert_error("surface", plane, "--variable", "grad_norm", "--json", says=("has no dataset grad_norm",))
        self.assert_error("surface", plane, "--name", "b", "--json", says=("has no surface-b.h5", "there is surface.h5: see --name"))
        for x in ([0, 0, 0, 1, 2.0], [4, 3, 2, 1, 0.0], [0, 1, NAN, 3, 4]):
            with h5py.File(plane / "surface.h5", "a") as file:
                file["x"][...] = x
            self.assert_error("surface", plane, "--json", says=("x is no ascending grid", "gradscape surface"))
        one = self.plane("one", [[1.0]])
        self.assert_error("surface", one, "--json", says=("ascending grid of two points or more",))

    def test_a_named_surface_and_json(self) -> None:
        run = self.write_surface(self.run_directory("run"), [INCLINED + 20], name="surface-fine.h5")
        done = self.command("surface", run, "--name", "fine", "--variable", "accuracy", "--json")
        numbers, = json.loads(done.stdout)["numbers"]
        self.assertEqual((numbers["run"], numbers["cells"], numbers["centre"]), ("run", 15, 75))
        self.assertAlmostEqual(numbers["largest"], 100 / 10)
        self.assertEqual(done.stderr, "")
        self.assertEqual(figures.surface(run / "surface-fine.h5").numbers[0]["run"], "run")

    def test_names_of_files(self) -> None:
        """Of two surfaces of a run the files tell them apart; an imported one has a name of its own."""
        run = self.write_surface(self.run_directory("study/run"), [INCLINED], name="surface-a.h5")
        self.write_surface(run, [INCLINED], name="surface-b.h5")
        (self.place / "elsewhere").mkdir()
        other = self.write_surface(self.place / "elsewhere", [INCLINED], name="surface-resnet56.h5")
        figure = figures.surface([run / "surface-a.h5", run / "surface-b.h5", other / "surface-resnet56.h5"])
        self.assertEqual([entry["run"] for entry in figure.numbers], ["study/run, surface-a", "study/run, surface-b", "resnet56"])


if __name__ == "__main__":
    unittest.main()
