#!/usr/bin/python3
"""Tests of what is read of grid files: numbers, places, damaged files, and the command line; every number is known by hand."""

from __future__ import annotations

import json
import signal
import sys
import unittest

import h5py
import numpy as np

from support import INF, NAN, PROGRAM, TOOLS, LandscapeCase, write_grid

from gradscape.figures import axes, landscape, landscape_figure, style


class Grids(LandscapeCase):
    # --- numbers ---

    def test_json_against_hand_computed_numbers(self) -> None:
        document = json.loads(self.run_program(self.write_pair(), "--json", "--table", "10,15").stdout)
        none, bn = document["runs"]
        self.assertEqual((bn["run"], none["run"], bn["records"], bn["last_step"]), ("bn", "none", 3, 20))
        self.assertEqual(bn["mean_loss_width"], 0.5)
        self.assertEqual(none["mean_loss_width"], 3)
        self.assertEqual(bn["mean_grad_norm_width"], 2)
        self.assertEqual(bn["mean_grad_diff_width"], 16)  # (40 + 2 + 6)/3
        self.assertEqual(none["mean_grad_diff_width"], 47)  # (1 + 40 + 100)/3
        self.assertEqual((bn["beta_median"], bn["beta_max"]), (20, 25))
        self.assertEqual((none["beta_median"], none["beta_max"]), (20, 22))
        at_10, missing = document["records"][0], document["records"][2]
        self.assertEqual(at_10, {"run": "none", "step": 10, "loss_min": 2, "loss_max": 4, "grad_norm_min": 1,
                                 "grad_norm_max": 3, "grad_diff_min": 5, "grad_diff_max": 45, "beta_max": 22})
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
        self.assertEqual(lines[1].split(), ["none", "3", "0..20", "3", "2", "47", "20", "22"])
        self.assertEqual(lines[2].split(), ["bn", "3", "0..20", "0.5", "2", "16", "20", "25"])
        self.assertEqual(lines[6].split(), ["0", "bn", "2..3", "1..3", "100..140", "25"])
        self.assertIn("no record (nearest: 10, 20)", lines[7])

    def test_records_are_put_in_the_order_of_steps(self) -> None:
        path = self.place / "mixed.h5"
        write_grid(path, [(3, 4), (1, 2)], [(1, 2)] * 2, [1, 2], every=-10)  # steps 0, -10
        run = self.run_of(path)
        self.assertEqual(run.step.tolist(), [-10, 0])
        self.assertEqual(run["loss_min"].tolist(), [1, 3])

    def test_limits_show_the_first_step_but_not_an_explosion(self) -> None:
        early = np.array([145.0] + [6.0] * 50)  # batch norm at step 0: worth seeing
        low, high, top = axes.robust_limits([early], log=False)
        self.assertTrue(low <= 6 and 145 <= high <= 160 and top == 145)
        low, high, top = axes.robust_limits([np.array([1.0, 2, 3, 2, 1, 2, 6e14, NAN, INF])], log=False)
        self.assertTrue(low <= 1 and 3 <= high < 5 and top == 6e14)
        low, high, top = axes.robust_limits([np.array([0.0, 1, 2, 6e14])], log=True)
        self.assertTrue(0.5 < low <= 1 and 6e14 <= high < 1e15)

    def test_smoothing_skips_gaps(self) -> None:
        values = np.array([1.0, 2.0, NAN, 4.0, INF, 9.0])
        np.testing.assert_array_equal(axes.smooth(values, 1), [1, 2, NAN, 4, NAN, 9])
        np.testing.assert_array_equal(axes.smooth(values, 3), [1.5, 1.5, NAN, 4, NAN, 9])
        np.testing.assert_array_equal(axes.smooth(np.array([1.0, 3.0]), 100), [2, 2])

    def test_reference_lines(self) -> None:
        def lines(**options: object) -> dict[float, str]:
            write_grid(self.place / "r.h5", [(1, 2)] * 2, [(1, 2)] * 2, [1, 1], **options)
            return landscape_figure.reference_lines(self.run_of(self.place / "r.h5"))

        self.assertEqual(list(lines(alpha=(0.25, 1.0))), [20, 40])  # 2/0.1 and 1/(0.25·0.1)
        self.assertEqual(lines(alpha=(0.5, 1.0)), {20: "20\n= $2/\\mathrm{lr}$\n= $1/\\eta_{\\min}$"})  # both at once
        self.assertEqual(lines(lr=[0.1, 0.05]), {})
        self.assertEqual(lines(direction="update"), {})

    def test_kinds_of_runs(self) -> None:
        kinds = {"bn": "batch norm", "batch": "batch norm", "VGG-BN": "batch norm", "none": "plain", "no-bn": "plain",
                 "without_batchnorm": "plain", "plain": "plain", "lr0.1": "", "batch-size-64": "", "bn-vs-none": ""}
        self.assertEqual({name: style.kind_of(name) for name in kinds}, kinds)

    # --- places and labels ---

    def test_run_directory_parent_and_file(self) -> None:
        pair = self.write_pair()
        runs = landscape([str(pair), pair / "bn", str(pair / "none/landscape.h5")]).numbers
        self.assertEqual([run["run"] for run in runs], ["pair/none", "pair/bn", "pair/bn", "pair/none"])
        self.assertEqual([run["run"] for run in landscape(pair / "bn").numbers], ["bn"])
        write_grid(self.place / "alone.h5", [(1, 2)], [(1, 2)], [1], variant="bn")
        self.assertEqual(landscape(self.place / "alone.h5").numbers[0]["run"], "alone")

    def test_seeds_without_a_file_that_unites_them(self) -> None:
        """Their own grids are united, at the steps that any of them has."""
        for seed, top in ((1, 3), (2, 5)):
            run = self.run_directory(f"study/bn/seed-{seed}")
            write_grid(run / "landscape.h5", [(1, top)] * (seed + 1), [(1, 2)] * (seed + 1), [top] * (seed + 1))
        run = self.run_of(self.place / "study")
        self.assertEqual((run.step.tolist(), run.seeds), ([0, 10, 20], 2))
        np.testing.assert_array_equal(run["loss_max"], [4, 4, 5])
        np.testing.assert_array_equal(run.spread["loss_max"][0], [3, 3, 5])
        self.assertIn("of up to 2 seeds", landscape(self.place / "study").caption)

    def test_learning_rates_below_a_variant(self) -> None:
        for rate in ("0.1", "0.01"):
            run = self.run_directory(f"study/bn/lr-{rate}", "batch", float(rate))
            write_grid(run / "landscape.h5", [(1, 2)], [(1, 2)], [1])
        self.assertEqual([run["run"] for run in landscape(self.place / "study").numbers], ["bn, lr 0.01", "bn, lr 0.1"])

    def test_named_sweep(self) -> None:
        write_grid(self.place / "run/landscape-fine.h5", [(2, 3)], [(1, 2)], [11])
        self.assert_drawn(self.place / "run", "--name", "fine")
        self.assert_refused(self.place / "run", "--json", says=("no landscape.h5", "landscape-fine.h5", "--name"))

    def test_variant_without_a_grid_is_named(self) -> None:
        pair = self.write_pair()
        self.run_directory("pair/noisy")
        self.assertIn(f"gradscape merge {pair}/noisy", self.run_program(pair, "--json").stderr)
        self.run_program(pair, "--json", "--labels", "a,b,c")  # of all that were found, or of those drawn
        self.run_program(pair, "--json", "--labels", "a,b")

    # --- errors ---

    def test_missing_places_and_files(self) -> None:
        self.assert_refused(self.place / "nowhere", "-o", "f.png", says=("nowhere", "does not exist"))
        self.assert_refused(self.place, "-o", "f.png", says=("no landscape.h5", f"gradscape run CONFIG --out {self.place}"))
        self.assert_refused(self.place, "--json", "--name", "x", says=("landscape-x.h5", "gradscape run"))
        run = self.run_directory("run")
        self.assert_refused(run, "--json", "--name", "x", says=("landscape-x.h5", f"gradscape merge {run} --name x"))

    def test_broken_files(self) -> None:
        path = self.place / "run/landscape.h5"
        write_grid(path, [(1, 2)], [(1, 2)], [1], leave_out=("loss_min", "lr"))
        self.assert_refused(path, "--json", says=(str(path), "no dataset lr, loss_min", "gradscape merge"))
        write_grid(path, [], [], [])
        self.assert_refused(path, "--json", says=("no records", "gradscape sweep"))
        write_grid(path, [(1, 2)], [(1, 2)], [1])
        with h5py.File(path, "a") as file:
            del file["loss_min"]
            file["loss_min"] = np.ones(7)
        self.assert_refused(path, "--json", says=("loss_min", "(7,)", "(1,)"))
        path.write_bytes(path.read_bytes()[:300])
        self.assert_refused(path, "--json", says=(str(path), "cannot be read", "gradscape merge"))
        path.write_text("no HDF5")
        self.assert_refused(path, "--json", says=(str(path), "cannot be read"))

    def test_incomplete_file_is_used_with_a_warning(self) -> None:
        write_grid(self.place / "a.h5", [(1, 2)], [(1, 2)], [1], complete=np.uint8(0))
        self.assertIn("not complete", self.run_program(self.place / "a.h5", "--json").stderr)

    def test_output_that_cannot_be_written(self) -> None:
        pair = self.write_pair()
        self.assert_error("landscape", pair, "-o", "figure.jpg", says=("figure.jpg", ".png, .pdf or .svg"), expect=2)
        self.assert_refused(pair, "-o", self.place / "no/figure.png", says=("no/figure.png", "cannot be written"))
        self.assert_refused(pair, "-o", self.place / "f.png", "--size", "99x99", "--dpi", 9999, says=("--dpi",))
        (self.place / "taken.png").mkdir()
        self.assert_refused(pair, "-o", self.place / "taken.png", says=("taken.png", "cannot be written"))
        self.assertEqual([path.name for path in self.place.glob(".*")], [], "temporary files left behind")

    def test_usage_errors(self) -> None:
        pair = self.write_pair()
        for arguments in ([], [pair], [pair, "--smooth", "0", "--json"], [pair, "--size", "big", "--json"],
                          [pair, "--dpi", "-1", "--json"], [pair, "--table", "1,x"],
                          [pair, "--labels", "one", "--json"], [pair, "--unknown"]):
            self.assertIn("usage:", self.run_program(*arguments, expect=2).stderr)

    def test_help_names_every_option(self) -> None:
        text = self.run_program("--help").stdout
        for option in ("-o", "--name", "--labels", "--order", "--colours", "--paper", "--panel", "--panels", "--facet", "--title", "--smooth", "--log-x", "--log-y", "--size", "--dpi",
                       "--table", "--json", "examples:"):
            self.assertIn(option, text)

    def test_missing_module_is_named_with_its_package(self) -> None:
        (self.place / "h5py.py").write_text("raise ModuleNotFoundError('gone', name='h5py')\n")
        program = self.start(PROGRAM, "--help", PYTHONPATH=str(self.place))
        _, errors = program.communicate(timeout=60)
        self.assertEqual((program.returncode, errors.count("\n")), (1, 1), errors)
        self.assertIn("apt install python3-h5py", errors)

    def test_interrupt(self) -> None:
        script = self.place / "waits.py"
        script.write_text(f"""import sys, time
sys.path.insert(0, {str(TOOLS)!r})
from gradscape.figures import cli
def wait(*_):
    print("waiting", flush=True)
    time.sleep(60)
cli.run_program = wait
sys.exit(cli.main(["landscape", "run", "--json"]))
""")
        program = self.start(sys.executable, script)
        self.assertEqual(program.stdout.readline(), "waiting\n")
        program.send_signal(signal.SIGINT)
        _, errors = program.communicate(timeout=60)
        self.assertEqual((program.returncode, errors), (130, ""))


if __name__ == "__main__":
    unittest.main()
