#!/usr/bin/python3
"""Tests of the landscape's figure, on small grid files of which every number is known by hand."""

from __future__ import annotations

import json
import unittest

import numpy as np

from support import INF, NAN, PROGRAM, LandscapeCase, write_grid

from gradscape.figures import landscape


class PlotLandscape(LandscapeCase):
    # --- figures ---

    def test_as_a_program(self) -> None:
        program = self.start(PROGRAM, self.write_pair(), "-o", self.place / "figure.png")
        out, errors = program.communicate(timeout=60)
        self.assertEqual((program.returncode, errors), (0, ""))
        self.assertIn("mean loss width", out)
        self.assertTrue((self.place / "figure.png").is_file())

    def test_png_has_both_runs_colours_and_the_size_asked_for(self) -> None:
        pixels = self.assert_drawn(self.write_pair(), "--size", "8x3", "--dpi", 100)
        self.assertEqual(pixels.shape[:2], (300, 800))
        colours = {tuple(colour) for colour in (pixels[..., :3] * 255).round().astype(int).reshape(-1, 3)}
        self.assertIn((0xD5, 0x5E, 0x00), colours)  # batch norm
        self.assertIn((0x00, 0x72, 0xB2), colours)  # none

    def test_pdf_and_svg(self) -> None:
        pair = self.write_pair()
        self.run_program(pair, "-o", self.place / "figure.pdf")
        self.run_program(pair, "-o", self.place / "figure.svg")
        self.assertTrue((self.place / "figure.pdf").read_bytes().startswith(b"%PDF"))
        self.assertGreater((self.place / "figure.pdf").stat().st_size, 5000)
        svg = (self.place / "figure.svg").read_text()
        self.assertIn("</svg>", svg)
        self.assertIn("#d55e00", svg)
        self.assertEqual([path.name for path in self.place.glob(".*")], [], "temporary files left behind")

    def test_the_same_input_gives_the_same_bytes(self) -> None:
        pair = self.write_pair()
        for suffix in (".png", ".pdf", ".svg"):
            paths = [self.place / f"{name}{suffix}" for name in ("first", "second")]
            for path in paths:
                self.run_program(pair, "-o", path)
            self.assertEqual(paths[0].read_bytes(), paths[1].read_bytes(), suffix)

    def test_every_option_at_once(self) -> None:
        self.assert_drawn(self.write_pair(), "--smooth", 2, "--log-x", "--log-y", "--title", "cost in $ & {x_",
                          "--labels", "_with $\\bad,without", "--dpi", 80)

    def test_non_finite_and_enormous_values(self) -> None:
        path = self.place / "wild.h5"
        write_grid(path, [(1, 2), (1, INF), (NAN, NAN), (1, 6e14), (1, 1e308), (-INF, 2), (1, 3)],
                   [(1, 2), (1, INF), (NAN, NAN), (1, 6e14), (1, 1.7e308), (1, 2), (1, 3)],
                   [20, INF, NAN, 6e14, 1.7e308, 0, 20])
        for options in ([], ["--log-y"], ["--log-x", "--smooth", 3], ["--log-y", "--smooth", 100]):
            self.assert_drawn(path, *options)

    def test_only_non_finite_values(self) -> None:
        write_grid(self.place / "nan.h5", [(NAN, NAN)] * 3, [(NAN, NAN)] * 3, [NAN] * 3)
        self.assert_drawn(self.place / "nan.h5")
        self.assert_drawn(self.place / "nan.h5", "--log-y")

    def test_all_values_enormous(self) -> None:
        write_grid(self.place / "far.h5", [(1e305, 1e308)] * 3, [(1e200, 1e201)] * 3, [1e308] * 3)
        self.assert_drawn(self.place / "far.h5")
        self.assert_drawn(self.place / "far.h5", "--log-y")

    def test_noise_floor(self) -> None:
        """A dotted line at 10 floors times the norm of the gradient, which is 1; none where there is no floor."""
        def dotted(**options: object) -> tuple[list[np.ndarray], str]:
            write_grid(self.place / "n.h5", [(1, 2)] * 3, [(1, 2)] * 3, [1] * 3, **options)
            figure = landscape(self.place / "n.h5", log_y=True)
            lines = [[line for line in panel.lines if line.get_linestyle() == ":"] for panel in figure.axes]
            self.assertEqual([bool(line) for line in lines], [False, False, bool(lines[2]), False])
            low, high = figure.axes[2].get_ylim()
            return [line.get_ydata() for line in lines[2] if low < line.get_ydata().min() <= line.get_ydata().max() < high], \
                figure.caption

        (line,), caption = dotted(floor=1e-2)
        np.testing.assert_allclose(line, 0.1)
        self.assertIn("(c) dotted: 10 × noise floor × ‖g‖", caption)
        lines, caption = dotted(floor=1e-9)
        self.assertEqual(lines, [], "far below the band, which would be squeezed")
        self.assertIn("below the axis (at most 1e-08): 10 × noise floor", caption)
        for options in ({"floor": 0.0}, {"floor": NAN}, {"leave_out": ("noise_floor",)}):
            lines, caption = dotted(**options)
            self.assertEqual((lines, "noise" in caption), ([], False), options)

    def test_gradient_norm(self) -> None:
        """Of an older file from its cells, without those below noise or not done; of a newer one as it is there."""
        status = np.array([[1, 1, 1], [1, 3, 1], [0, 2, 1], [1, 1, 1], [3, 3, 3]], dtype=np.uint8)
        norms = np.array([[3, 1, 2], [1, 9, 4], [8, INF, 5], [1, 2, 3], [1, 2, 3.0]])
        cells = {"status": status, "grad_norm": norms, "train_grad_norm": np.array([2, 2, 2, 0, 2.0])}
        bands = [(1, 2)] * 5
        write_grid(self.place / "old.h5", bands, bands, [1] * 5, alpha=(0.5, 1.0, 2.0), more=cells)
        run = self.run_of(self.place / "old.h5")
        np.testing.assert_array_equal(run["grad_norm_min"], [1, 1, 5, NAN, NAN])
        np.testing.assert_array_equal(run["grad_norm_max"], [3, 4, INF, NAN, NAN])
        np.testing.assert_array_equal(run["train_grad_norm"], [2, 2, 2, 0, 2])
        self.assertEqual(landscape(self.place / "old.h5").numbers[0]["mean_grad_norm_width"], 2.5)
        new = {"grad_norm_min": np.arange(5.0), "grad_norm_max": 10 + np.arange(5.0)}
        write_grid(self.place / "new.h5", bands, bands, [1] * 5, more=new)
        self.assertEqual(self.run_of(self.place / "new.h5")["grad_norm_max"].tolist(), [10, 11, 12, 13, 14])

    def test_panels(self) -> None:
        def titles(**options: object) -> list[str]:
            return [panel.get_title("left") for panel in landscape(self.write_pair(), **options).axes]

        self.assertEqual(titles(), ["(a) loss landscape", "(b) gradient norm", "(c) gradient predictiveness",
                                    "(d) effective β-smoothness"])
        self.assertEqual(titles(panels=["beta", "loss"]), ["(a) effective β-smoothness", "(b) loss landscape"])
        self.assertEqual(titles(panels="grad_norm"), ["gradient norm"])
        self.assertEqual(titles(panel="c"), ["(c) gradient predictiveness"])
        self.assertEqual(len(titles(size=(4, 3))), 3, "no room for all four")
        self.assert_error("landscape", self.place / "pair", "--json", "--panels", "loss,weight", expect=2,
                          says=("weight is none of loss, grad_norm, grad_diff, beta",))
        self.assert_error("landscape", self.place / "pair", "--json", "--panel", "e", expect=2, says=("no panel e", "a, b, c, d"))
        write_grid(self.place / "older.h5", [(1, 2)], [(1, 2)], [1], leave_out=("grad_norm",))
        self.assertEqual(len(landscape(self.place / "older.h5").axes), 3)

    def test_the_training_loss_outside_of_its_band_is_explained(self) -> None:
        write_grid(self.place / "out.h5", [(1, 2)] * 2, [(1, 2)] * 2, [1] * 2)  # the training loss is 0.1 below
        self.assertIn("(a) line: training loss, which may lie outside of its band", landscape(self.place / "out.h5").caption)
        write_grid(self.place / "in.h5", [(1, 2)] * 2, [(1, 2)] * 2, [1] * 2, more={"train_loss": np.array([1.5, 1.5])})
        self.assertIn("(a) line: training loss;", landscape(self.place / "in.h5").caption)

    def test_logarithmic_where_the_largest_exceeds_the_median_a_hundredfold(self) -> None:
        def scales(top: float, **options: object) -> list[str]:
            write_grid(self.place / "a.h5", [(1, 2)] * 4 + [(1, top)], [(1, 2)] * 5, [1] * 5)
            return [panel.get_yscale() for panel in landscape(self.place / "a.h5", **options).axes]

        self.assertEqual(scales(90), ["linear"] * 4)
        self.assertEqual(scales(300), ["log"] + ["linear"] * 3)
        self.assertEqual(scales(300, log_y=False), ["linear"] * 4)
        self.assertEqual(scales(90, log_y=True), ["log"] * 4)

    def test_loss_of_a_fixed_set(self) -> None:
        more = {"set_loss_min": [1.0, 2.0], "set_loss_max": [3.0, 5.0], "set_loss_at_theta": [1.5, 2.5]}
        write_grid(self.place / "bn.h5", [(1, 2)] * 2, [(1, 2)] * 2, [1, 2], more=more.items(), variant="bn",
                   config='[sweep]\non = "test"\nmode = "evaluation"\non_images = 500\n')
        write_grid(self.place / "none.h5", [(1, 2)] * 2, [(1, 2)] * 2, [1, 2], variant="none")
        figure = landscape([self.place / "bn.h5", self.place / "none.h5"])
        self.assertEqual([axes.get_ylabel() for axes in figure.axes][:2], [r"$L(\theta - \eta g)$", r"$L_S(\theta - \eta g)$"])
        self.assertIn("S: 500 test images, evaluation mode", figure.caption)
        self.assertEqual(figure.numbers[0]["mean_set_loss_width"], 2.5)
        self.assertNotIn("mean_set_loss_width", figure.numbers[1])
        self.assertEqual(len(landscape(self.place / "none.h5").axes), 4, "no panel where there is no set")

    def test_points_behind_theta_are_in_no_band(self) -> None:
        write_grid(self.place / "bn.h5", [(1, 2)], [(1, 2)], [1], alpha=(-1.0, 1.0))
        figure = landscape(self.place / "bn.h5")
        self.assertEqual(figure.numbers[0]["mean_grad_norm_width"], 0, "of the norms 1, behind, and 3")

    def test_small_multiples(self) -> None:
        for number in range(4):
            write_grid(self.place / f"many/lr{number}/landscape.h5", [(1, 2 + number)] * 2, [(1, 2)] * 2, [9, 9 + number])
        figure = landscape(self.place / "many")
        self.assertEqual(len(figure.axes), 16, "more than three bands are drawn apart")
        self.assertEqual([panel.get_title("left") for panel in figure.axes[:5]], ["lr0", "lr1", "lr2", "lr3", ""])
        self.assertEqual(len({panel.get_ylim() for panel in figure.axes[:4]}), 1, "of the same scale")
        self.assertEqual(len(landscape(self.place / "many", facet="none").axes), 4)
        self.assertEqual(len(landscape([self.place / "many/lr1", self.place / "many/lr2"], facet="variant", panel="a").axes), 2)

    def test_records_below_noise_are_not_called_non_finite(self) -> None:
        write_grid(self.place / "n.h5", [(1, 2), (1, 3), (1, INF)], [(1, 2)] * 3, [20, 10, 5], noise=(1,), floor=1.0)
        run, = json.loads(self.run_program(self.place / "n.h5", "--json").stdout)["runs"]
        self.assertEqual((run["below_noise_records"], run["non_finite_records"], run["loss_left_out"]), (1, 1, 2))
        self.assertEqual((run["mean_loss_width"], run["noise_floor_max"], run["beta_max"]), (1, 1, 20))
        self.run_program(self.place / "n.h5", "-o", self.place / "n.svg")
        self.assertIn("(1 of 3 records non-finite, 1 of 3 records below noise)", (self.place / "n.svg").read_text())

    def test_step_0_only(self) -> None:
        write_grid(self.place / "run/landscape.h5", [(2, 3)], [(1, 2)], [11])
        self.assert_drawn(self.place / "run")
        self.assert_drawn(self.place / "run", "--log-x", "--log-y")

    def test_directions(self) -> None:
        """Neither the optimiser's update nor a random direction is called the gradient."""
        def labels(*directions: str) -> tuple[list[str], str]:
            paths = [self.place / f"{direction}.h5" for direction in directions]
            for path in paths:
                write_grid(path, [(2, 3), (1, 2)], [(1, 2), (1, 2)], [11, 12], direction=path.stem)
            figure = landscape(paths)
            return [panel.get_ylabel() for panel in figure.axes], figure.caption

        for directions, point, words in ((("gradient",), r"(\theta - \eta g)", "step sizes η,"),
                                         (("update",), r"(\theta + m u)", "multiples m of the optimiser's update, m ∈ {0.5, 1}"),
                                         (("random",), r"(\theta - \eta r)", "r: a random (Gaussian) direction"),
                                         (("gradient", "random"), r"(\theta + d)", "along a random (Gaussian) direction with the "
                                          "gradient's norm (random)")):
            names, caption = labels(*directions)
            for name in names[:3]:
                self.assertIn(point, name)
            self.assertIn(words, caption)
            self.assertEqual("random" in caption, "random" in directions)

    def test_one_multiplier(self) -> None:
        write_grid(self.place / "one.h5", [(2, 2), (1, 1)], [(3, 3), (4, 4)], [11, 12], alpha=(1.0,))
        self.assert_drawn(self.place / "one.h5")

    def test_seven_runs(self) -> None:
        for number in range(7):
            path = self.place / f"many/lr{number}/landscape.h5"
            write_grid(path, [(2, 3), (1, 2 + number)], [(1, 2)] * 2, [9, 9 + number])
        self.assert_drawn(self.place / "many")


if __name__ == "__main__":
    unittest.main()
