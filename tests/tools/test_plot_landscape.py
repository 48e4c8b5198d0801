#!/usr/bin/python3
"""Tests of tools/plot_landscape.py, on small grid files of which every number is known by hand."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import NamedTuple

import h5py
import matplotlib.image
import numpy as np

TOOLS = Path(__file__).resolve().parents[2] / "tools"
PROGRAM = TOOLS / "plot_landscape.py"
sys.path.insert(0, str(TOOLS))

from gradscape_plots import grids, landscape_figure as landscape, style  # noqa: E402

NAN, INF = float("nan"), float("inf")


def write_grid(path: Path, loss, grad_diff, beta, *, every=10, lr=0.1, alpha=(0.5, 1.0), leave_out=(), noise=(),
               floor=1e-7, **attributes):
    """A merged grid file with the given bands: `loss` and `grad_diff` are lists of (min, max), `beta` a list of maxima.
    The cells at the first and last multiplier hold the band's edges. All cells of the records `noise` are below the
    noise floor, and their bands NaN. The gradient's norm is 1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    records, shape = len(beta), (len(beta), len(alpha))
    loss, grad_diff = np.array(loss).reshape(records, 2), np.array(grad_diff).reshape(records, 2)
    cells = {"loss": loss, "grad_diff": grad_diff, "beta": np.array(beta).reshape(records, 1).repeat(2, axis=1)}
    data = {name: edges[:, np.linspace(0, 1, len(alpha)).round().astype(int)] for name, edges in cells.items()}
    finite = np.all([np.isfinite(values) for values in data.values()], axis=0)
    data |= {name: np.ones(shape) for name in ("accuracy", "grad_norm", "grad_cos", "distance")}
    data |= {"step": every * np.arange(records), "alpha": np.array(alpha),
             "status": np.where(finite, 1, 2).astype(np.uint8), "lr": np.full(records, lr),
             "train_loss": loss[:, 0] - 0.1, "train_grad_norm": np.ones(records), "loss_min": loss[:, 0],
             "loss_max": loss[:, 1], "grad_diff_min": grad_diff[:, 0], "grad_diff_max": grad_diff[:, 1],
             "beta_max": np.array(beta, dtype=float), "noise_floor": np.full(records, floor)}
    data["status"][list(noise)] = 3
    for name in ("loss_min", "loss_max", "grad_diff_min", "grad_diff_max", "beta_max"):
        data[name] = np.array(data[name], dtype=float)
        data[name][list(noise)] = NAN
    with h5py.File(path, "w") as file:
        for name, values in data.items():
            if name not in leave_out:
                file[name] = values
        file.attrs.update({"name": "example", "complete": np.uint8(1), "direction": "gradient"} | attributes)


class Result(NamedTuple):
    stdout: str
    stderr: str


class PlotLandscape(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.place = Path(self.folder.name)

    def write_pair(self) -> Path:
        """Variants bn and none of three records each: mean loss widths (1 + 0.5 + 0)/3 and (1 + 2 + 6)/3, …"""
        write_grid(self.place / "pair/bn/landscape.h5", [(2, 3), (1.5, 2), (1, 1)], [(100, 140), (8, 10), (4, 10)],
                   [25, 20, 19], variant="bn")
        write_grid(self.place / "pair/none/landscape.h5", [(2, 3), (2, 4), (1, 7)], [(1, 2), (5, 45), (10, 110)],
                   [11, 22, 20], variant="none")
        return self.place / "pair"

    def run_program(self, *arguments: object, expect: int = 0) -> Result:
        """Runs main() in this process, which saves a start of Python per call."""
        out, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            try:
                code = landscape.main([str(argument) for argument in arguments])
            except SystemExit as leave:  # argparse
                code = leave.code
        self.assertEqual(code or 0, expect, out.getvalue() + errors.getvalue())
        return Result(out.getvalue(), errors.getvalue())

    def assert_error(self, *arguments: object, says: tuple[str, ...]) -> None:
        """Exit code 1 and one line that holds all the words."""
        done = self.run_program(*arguments, expect=1)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        for words in says:
            self.assertIn(words, done.stderr)

    def assert_drawn(self, *arguments: object) -> np.ndarray:
        """The figure as pixels; it must hold more than a background."""
        figure = self.place / "figure.png"
        done = self.run_program("--dpi", 80, *arguments, "-o", figure)
        self.assertEqual(done.stderr, "")
        pixels = matplotlib.image.imread(figure)
        self.assertGreater(len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)), 50)
        return pixels

    def start(self, *command: object, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env=os.environ | {"MPLCONFIGDIR": self.folder.name} | environment)

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
        def dotted(**options: object) -> list[np.ndarray]:
            write_grid(self.place / "n.h5", [(1, 2)] * 3, [(1, 2)] * 3, [1] * 3, **options)
            run = grids.load_run(self.place / "n.h5")
            panels = landscape.draw_figure([run], log_y=True).axes
            lines = [[line for line in panel.lines if line.get_linestyle() == ":"] for panel in panels]
            self.assertFalse(lines[0] + lines[2])
            for line in lines[1]:
                low, high = panels[1].get_ylim()
                self.assertTrue(low < line.get_ydata().min() and line.get_ydata().max() < high, "inside of the panel")
            return [line.get_ydata() for line in lines[1]]

        line, = dotted(floor=1e-4)
        np.testing.assert_allclose(line, 1e-3)
        self.assertEqual(dotted(floor=0.0), [])
        self.assertEqual(dotted(floor=NAN), [])
        self.assertEqual(dotted(leave_out=("noise_floor",)), [], "an older file")
        self.run_program(self.place / "n.h5", "-o", self.place / "old.svg")
        self.assertNotIn("noise floor", (self.place / "old.svg").read_text())
        self.run_program(self.write_pair(), "-o", self.place / "pair.svg")
        self.assertIn("dotted in (b): 10 × noise floor × ‖g‖", (self.place / "pair.svg").read_text())

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

    def test_direction_of_the_update(self) -> None:
        write_grid(self.place / "update.h5", [(2, 3), (1, 2)], [(1, 2), (1, 2)], [11, 12], direction="update")
        self.run_program(self.place / "update.h5", "-o", self.place / "figure.svg")
        self.assertIn("optimiser's update", (self.place / "figure.svg").read_text())

    def test_one_multiplier(self) -> None:
        write_grid(self.place / "one.h5", [(2, 2), (1, 1)], [(3, 3), (4, 4)], [11, 12], alpha=(1.0,))
        self.assert_drawn(self.place / "one.h5")

    def test_seven_runs(self) -> None:
        for number in range(7):
            path = self.place / f"many/lr{number}/landscape.h5"
            write_grid(path, [(2, 3), (1, 2 + number)], [(1, 2)] * 2, [9, 9 + number])
        self.assert_drawn(self.place / "many")

    # --- numbers ---

    def test_json_against_hand_computed_numbers(self) -> None:
        document = json.loads(self.run_program(self.write_pair(), "--json", "--table", "10,15").stdout)
        bn, none = document["runs"]
        self.assertEqual((bn["run"], none["run"], bn["records"], bn["last_step"]), ("bn", "none", 3, 20))
        self.assertEqual(bn["mean_loss_width"], 0.5)
        self.assertEqual(none["mean_loss_width"], 3)
        self.assertEqual(bn["mean_grad_diff_width"], 16)  # (40 + 2 + 6)/3
        self.assertEqual(none["mean_grad_diff_width"], 47)  # (1 + 40 + 100)/3
        self.assertEqual((bn["beta_median"], bn["beta_max"]), (20, 25))
        self.assertEqual((none["beta_median"], none["beta_max"]), (20, 22))
        at_10, missing = document["records"][1], document["records"][3]
        self.assertEqual(at_10, {"run": "none", "step": 10, "loss_min": 2, "loss_max": 4, "grad_diff_min": 5,
                                 "grad_diff_max": 45, "beta_max": 22})
        self.assertEqual(missing, {"run": "none", "step": 15, "nearest": [10, 20]})

    def test_records_with_non_finite_values_are_left_out_and_counted(self) -> None:
        write_grid(self.place / "none.h5", [(1, 2), (1, INF), (1, 4), (NAN, NAN)],
                   [(1, 3), (1, 2), (1, NAN), (NAN, NAN)], [20, 10, INF, NAN], variant="none")
        run, = json.loads(self.run_program(self.place / "none.h5", "--json").stdout)["runs"]
        self.assertEqual((run["mean_loss_width"], run["loss_left_out"]), (2, 2))
        self.assertEqual((run["mean_grad_diff_width"], run["grad_diff_left_out"]), (1.5, 2))
        self.assertEqual((run["beta_median"], run["beta_max"], run["beta_left_out"]), (15, 20, 2))
        self.assertEqual(run["non_finite_records"], 3)
        self.assertIn("2 (2 left out)", self.run_program(self.place / "none.h5", "--table", "0").stdout)
        records = json.loads(self.run_program(self.place / "none.h5", "--json", "--table", "10,30").stdout)["records"]
        self.assertEqual((records[0]["loss_max"], records[1]["loss_max"]), ("inf", None))

    def test_text_table(self) -> None:
        lines = self.run_program(self.write_pair(), "--table", "0,15").stdout.splitlines()
        self.assertEqual(lines[1].split(), ["bn", "3", "0..20", "0.5", "16", "20", "25"])
        self.assertEqual(lines[2].split(), ["none", "3", "0..20", "3", "47", "20", "22"])
        self.assertEqual(lines[5].split(), ["0", "bn", "2..3", "100..140", "25"])
        self.assertIn("no record (nearest: 10, 20)", lines[7])

    def test_records_are_put_in_the_order_of_steps(self) -> None:
        path = self.place / "mixed.h5"
        write_grid(path, [(3, 4), (1, 2)], [(1, 2)] * 2, [1, 2], every=-10)  # steps 0, -10
        run = grids.load_run(path)
        self.assertEqual(run.step.tolist(), [-10, 0])
        self.assertEqual(run["loss_min"].tolist(), [1, 3])

    def test_limits_show_the_first_step_but_not_an_explosion(self) -> None:
        early = np.array([145.0] + [6.0] * 50)  # batch norm at step 0: worth seeing
        low, high, top = style.robust_limits([early], log=False)
        self.assertTrue(low <= 6 and 145 <= high <= 160 and top == 145)
        low, high, top = style.robust_limits([np.array([1.0, 2, 3, 2, 1, 2, 6e14, NAN, INF])], log=False)
        self.assertTrue(low <= 1 and 3 <= high < 5 and top == 6e14)
        low, high, top = style.robust_limits([np.array([0.0, 1, 2, 6e14])], log=True)
        self.assertTrue(0.5 < low <= 1 and 6e14 <= high < 1e15)

    def test_smoothing_skips_gaps(self) -> None:
        values = np.array([1.0, 2.0, NAN, 4.0, INF, 9.0])
        np.testing.assert_array_equal(style.smooth(values, 1), [1, 2, NAN, 4, NAN, 9])
        np.testing.assert_array_equal(style.smooth(values, 3), [1.5, 1.5, NAN, 4, NAN, 9])
        np.testing.assert_array_equal(style.smooth(np.array([1.0, 3.0]), 100), [2, 2])

    def test_reference_lines(self) -> None:
        def lines(**options: object) -> dict[str, list[str]]:
            write_grid(self.place / "r.h5", [(1, 2)] * 2, [(1, 2)] * 2, [1, 1], **options)
            return landscape.reference_lines([grids.load_run(self.place / "r.h5")])

        self.assertEqual(list(lines(alpha=(0.25, 1.0))), ["20", "40"])  # 2/0.1 and 1/(0.25·0.1)
        self.assertEqual(list(lines(alpha=(0.5, 1.0))), ["20"])  # both at once
        self.assertEqual(lines(lr=[0.1, 0.05]), {})
        self.assertEqual(lines(direction="update"), {})

    def test_kinds_of_runs(self) -> None:
        kinds = {"bn": "batch norm", "batch": "batch norm", "VGG-BN": "batch norm", "none": "plain", "no-bn": "plain",
                 "without_batchnorm": "plain", "plain": "plain", "lr0.1": "", "batch-size-64": "", "bn-vs-none": ""}
        self.assertEqual({name: style.kind_of(name) for name in kinds}, kinds)

    # --- places and labels ---

    def test_run_directory_parent_and_file(self) -> None:
        pair = self.write_pair()
        runs = grids.load_runs([str(pair), str(pair / "bn"), str(pair / "none/landscape.h5")])
        self.assertEqual([run.label for run in runs], ["pair/bn", "pair/none", "pair/bn", "pair/none"])
        self.assertEqual([run.label for run in grids.load_runs([str(pair / "bn")])], ["bn"])

    def test_named_sweep(self) -> None:
        write_grid(self.place / "run/landscape-fine.h5", [(2, 3)], [(1, 2)], [11])
        self.assert_drawn(self.place / "run", "--name", "fine")
        self.assert_error(self.place / "run", "--json", says=("no landscape.h5", "landscape-fine.h5", "--name"))

    def test_variant_without_a_grid_is_named(self) -> None:
        pair = self.write_pair()
        (pair / "noisy/checkpoints").mkdir(parents=True)
        self.assertIn(f"gradscape merge {pair}/noisy", self.run_program(pair, "--json").stderr)

    # --- errors ---

    def test_missing_places_and_files(self) -> None:
        self.assert_error(self.place / "nowhere", "-o", "f.png", says=("nowhere", "does not exist"))
        self.assert_error(self.place, "-o", "f.png", says=("no landscape.h5", f"gradscape merge {self.place}"))
        self.assert_error(self.place, "--json", "--name", "x", says=("landscape-x.h5", "gradscape merge", "--name x"))

    def test_broken_files(self) -> None:
        path = self.place / "run/landscape.h5"
        write_grid(path, [(1, 2)], [(1, 2)], [1], leave_out=("loss_min", "lr"))
        self.assert_error(path, "--json", says=(str(path), "no dataset lr, loss_min", "gradscape merge"))
        write_grid(path, [], [], [])
        self.assert_error(path, "--json", says=("no records", "gradscape sweep"))
        write_grid(path, [(1, 2)], [(1, 2)], [1])
        with h5py.File(path, "a") as file:
            del file["loss_min"]
            file["loss_min"] = np.ones(7)
        self.assert_error(path, "--json", says=("loss_min", "(7,)", "(1,)"))
        path.write_bytes(path.read_bytes()[:300])
        self.assert_error(path, "--json", says=(str(path), "cannot be read", "gradscape merge"))
        path.write_text("no HDF5")
        self.assert_error(path, "--json", says=(str(path), "cannot be read"))

    def test_incomplete_file_is_used_with_a_warning(self) -> None:
        write_grid(self.place / "a.h5", [(1, 2)], [(1, 2)], [1], complete=np.uint8(0))
        self.assertIn("not complete", self.run_program(self.place / "a.h5", "--json").stderr)

    def test_output_that_cannot_be_written(self) -> None:
        pair = self.write_pair()
        self.assert_error(pair, "-o", "figure.jpg", says=("figure.jpg", ".png, .pdf or .svg"))
        self.assert_error(pair, "-o", self.place / "no/figure.png", says=("no/figure.png", "cannot be written"))
        self.assert_error(pair, "-o", self.place / "f.png", "--size", "99x99", "--dpi", 9999, says=("--dpi",))
        (self.place / "taken.png").mkdir()
        self.assert_error(pair, "-o", self.place / "taken.png", says=("taken.png", "cannot be written"))
        self.assertEqual([path.name for path in self.place.glob(".*")], [], "temporary files left behind")

    def test_usage_errors(self) -> None:
        pair = self.write_pair()
        for arguments in ([], [pair], [pair, "--smooth", "0", "--json"], [pair, "--size", "big", "--json"],
                          [pair, "--dpi", "-1", "--json"], [pair, "--table", "1,x"],
                          [pair, "--labels", "one", "--json"], [pair, "--unknown"]):
            self.assertIn("usage:", self.run_program(*arguments, expect=2).stderr)

    def test_help_names_every_option(self) -> None:
        text = self.run_program("--help").stdout
        for option in ("-o", "--name", "--labels", "--title", "--smooth", "--log-x", "--log-y", "--size", "--dpi",
                       "--table", "--json", "examples:"):
            self.assertIn(option, text)

    def test_missing_module_is_named_with_its_package(self) -> None:
        (self.place / "h5py.py").write_text("raise ModuleNotFoundError('gone', name='h5py')\n")
        program = self.start(PROGRAM, "--help", PYTHONPATH=self.folder.name)
        _, errors = program.communicate(timeout=60)
        self.assertEqual((program.returncode, errors.count("\n")), (1, 1), errors)
        self.assertIn("apt install python3-h5py", errors)

    def test_interrupt(self) -> None:
        script = self.place / "waits.py"
        script.write_text(f"""import sys, time
sys.path.insert(0, {str(TOOLS)!r})
from gradscape_plots import landscape_figure as landscape
def wait(*_):
    print("waiting", flush=True)
    time.sleep(60)
landscape.load_runs = wait
sys.exit(landscape.main(["run", "--json"]))
""")
        program = self.start(sys.executable, script)
        self.assertEqual(program.stdout.readline(), "waiting\n")
        program.send_signal(signal.SIGINT)
        _, errors = program.communicate(timeout=60)
        self.assertEqual((program.returncode, errors), (130, ""))


if __name__ == "__main__":
    unittest.main()
