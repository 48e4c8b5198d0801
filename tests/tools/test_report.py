#!/usr/bin/python3
"""Tests of the report: what it shows of runs of which every number is known, and of runs that are damaged, partial, foreign or
strangely named. test_report_page.py looks at it in a browser."""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import unittest
from html.parser import HTMLParser
from pathlib import Path
from unittest import mock

import h5py
import numpy as np

from support import INF, NAN, SLOW, TOOLS, Case, bowl, write_grid
from test_plot_damage import Mutator, written_as_gradscape_does

from gradscape import report
from gradscape.figures import series
from gradscape.report import cli, reduce, sections

STRANGE = ("<script>alert(1)</script>", "\"quoted\" & 'single'", "ünïcødé 日本 €", "</title><img src=x onerror=alert(1)>", "%{x} $a$ <b>bold</b>")


class Tags(HTMLParser):
    """The tags, ids and texts of a page."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.skipped = False
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.skipped = tag in ("script", "style")
        self.addresses += [value or "" for name, value in attributes if name in ("src", "href", "action", "data", "srcset")]

    def handle_endtag(self, tag: str) -> None:
        self.skipped = False

    def handle_data(self, data: str) -> None:
        if not self.skipped:
            self.words.append(data)


class ReportCase(Case):
    main = staticmethod(cli.main)

    def page(self, *places: object, warns: bool = False) -> str:
        path = self.place / "report.html"
        done = self.command(*places, "-o", path)
        self.assertEqual(bool(done.stderr), warns, done.stderr)
        return path.read_text(encoding="utf-8")

    @staticmethod
    def data(page: str) -> dict:
        packed = page.split('id="data">')[1].split("<")[0]
        return json.loads(gzip.decompress(base64.b64decode(packed)))

    def tables(self, page: str, title: str, *choice: int) -> dict[str, dict]:
        """Of a figure's tables those of a choice, by their run."""
        data = self.data(page)
        figure = next(figure for figure in data["figures"] if figure["title"] == title)
        return {data["runs"][table["run"]]["label"] if table["run"] is not None else "all": table for table in figure["tables"]
                if table["choice"] == list(choice) and table.get("name") != "test"}


class Shown(ReportCase):
    def test_every_kind_of_file_has_its_figure(self) -> None:
        page = self.page(self.write_study())
        self.assertEqual([figure["title"] for figure in self.data(page)["figures"]], [
            "Bands of loss and gradient", "Gradient difference against step size", "Effective β-smoothness", "Training and tests",
            "Band across learning rates", "What single layers contribute", "Surface", "Distributions of activations and weights",
            "Internal covariate shift", "Drift of the activations", "Theorem 4.1: what batch norm does to gradients"])
        self.assertEqual([run["label"] for run in self.data(page)["runs"]], ["none", "bn"])

    def test_numbers_are_the_recorded_ones(self) -> None:
        page = self.page(self.write_study())
        bands = self.tables(page, "Bands of loss and gradient", 0)["bn"]["columns"]
        self.assertEqual(bands, {"step": [0, 10, 20], "loss_min": [2, 2, 1], "loss_max": [3, 4, 7]})
        beta = self.tables(page, "Effective β-smoothness", 0)
        self.assertEqual(beta["bn"]["columns"]["beta_max"], [11, 22, 20])
        # lr is 0.1, 0.1, 0.01, the smallest multiplier 0.5; the same of both runs
        np.testing.assert_allclose(beta["all"]["columns"]["saturation"], [20, 20, 200])
        np.testing.assert_allclose(beta["all"]["columns"]["edge_of_stability"], [20, 20, 200])
        curves = self.tables(page, "Gradient difference against step size", 0)["none"]
        np.testing.assert_allclose(curves["size"][2], [0.005, 0.02])
        self.assertEqual(curves["grad_diff"], [[1, 2], [3, 4], [5, None]])
        shift = self.tables(page, "Internal covariate shift", 0, 0)["bn"]["columns"]
        self.assertEqual(shift["shift_cos"], [1, 0.5, -0.5], "of layer 2: layer 1 has no shift")
        surface = self.tables(page, "Surface", 0, 0)["none"]
        self.assertEqual((surface["z"], surface["trajectory"]["z"]), (bowl(7, 9).tolist(), [2, 2, 2]))
        self.assertEqual(self.tables(page, "Surface", 0, 1)["none"]["trajectory"]["z"], [25, 25, 25], "accuracy, in percent")
        training = self.tables(page, "Training and tests", 1)["none"]["columns"]
        np.testing.assert_allclose(training["accuracy"], [40, 20, 60, 30])

    def test_points_of_a_plane_lie_on_it(self) -> None:
        """Of a loss that is linear along each axis, so that what is between four cells is known."""
        x, y = np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-1, 1, 7))
        run = self.write_surface(self.run_directory("run"), (5 + x + 2 * y + x * y)[np.newaxis], labels="a,b,c,d",
                                 more={"point_x": [-0.75, 0.75, 1.0, 2.0], "point_y": [-0.75, -0.5, 1.0, 0.0]}.items())
        points = self.tables(self.page(run), "Surface", 0, 0)["run"]["points"]
        self.assertEqual([point[2] for point in points], ["a", "b", "c", "d"])
        np.testing.assert_allclose([point[3] for point in points[:3]], [5 - 0.75 - 1.5 + 0.5625, 5 + 0.75 - 1 - 0.375, 9], rtol=1e-12)
        self.assertIsNone(points[3][3], "outside of the plane")

    def test_differences_are_marked(self) -> None:
        page = self.page(self.write_study())
        self.assertIn('<th scope="row">model.norm</th><td><mark>none</mark></td><td><mark>batch</mark></td>', page)
        self.assertEqual(page.count("<mark>"), 2, "what is equal is not marked")

    def test_seeds_are_a_mean_and_a_range(self) -> None:
        for seed, low in ((1, 1.0), (2, 3.0)):
            write_grid(self.run_directory(f"s/bn/seed-{seed}", "batch") / "landscape.h5", [(low, low + 1)] * 2, [(1, 2)] * 2, [1, 2])
        table = self.tables(self.page(self.place / "s"), "Bands of loss and gradient", 0)["bn"]
        self.assertEqual(table["columns"], {"step": [0, 10], "loss_min": [2, 2], "loss_max": [3, 3], "loss_min_least": [1, 1],
                                            "loss_max_largest": [4, 4]})

    def test_other_files_are_shown_over_steps(self) -> None:
        run = self.write_landscape(self.run_directory("run"))
        self.write(run / "curvature.h5", step=[0, 5], sharpness=[2.0, 3.0], spectrum=np.ones((2, 4)))
        with h5py.File(run / "curvature.h5", "a") as file:
            file["sharpness"].attrs["units"] = "loss/weight^2"
        page = self.page(run)
        self.assertEqual(self.tables(page, "File curvature.h5", 0)["run"]["columns"], {"step": [0, 5], "sharpness": [2, 3]})
        figure = next(figure for figure in self.data(page)["figures"] if figure["title"] == "File curvature.h5")
        self.assertEqual(figure["choices"], [["variable", [{"name": "sharpness", "y": "sharpness, loss/weight^2", "log": False}]]])

    def test_analyses_of_another_name_have_their_figures(self) -> None:
        """As those of `--name fine`; with the name where main is there too, and where it is not."""
        run = self.write_all(self.run_directory("run"))
        for kind in ("shift", "distributions"):
            shutil.copy(run / f"{kind}.h5", run / f"{kind}-fine.h5")
        (run / "theorem.h5").rename(run / "theorem-<b>[1].h5")
        with h5py.File(run / "shift-fine.h5", "a") as file:
            file["shift_cos"][:, 1] = [1, 0.25, 0.125]
        page = self.page(run)
        titles = [figure["title"] for figure in self.data(page)["figures"]]
        self.assertEqual(titles[-7:], [
            "Distributions of activations and weights", "Distributions of activations and weights, fine", "Internal covariate shift",
            "Internal covariate shift, fine", "Drift of the activations", "Drift of the activations, fine",
            "Theorem 4.1: what batch norm does to gradients, <b>[1]"])
        for title, cosines in (("Internal covariate shift", [1, 0.5, -0.5]), ("Internal covariate shift, fine", [1, 0.25, 0.125])):
            self.assertEqual(self.tables(page, title, 0, 0)["run"]["columns"]["shift_cos"], cosines)
        (run / "shift-fine.h5").write_bytes(b"nonsense")
        self.assertIn(f"{run / 'shift-fine.h5'}: cannot be read", " ".join(Tags(self.page(run, warns=True)).words))

    def test_two_reports_are_equal(self) -> None:
        study = self.write_study()
        self.assertEqual(self.page(study), self.page(study))

    def test_it_names_no_address_outside(self) -> None:
        page = Tags(self.page(self.write_study()))
        self.assertTrue(all(address.startswith("#") for address in page.addresses), page.addresses)
        self.assertEqual([tag for tag in page.tags if tag in ("link", "iframe", "object", "img", "form", "base")], [])

    def test_each_figure_says_what_may_not_be_concluded(self) -> None:
        page = self.page(self.write_study())
        self.assertEqual(page.count('class="caution"'), len(self.data(page)["figures"]))


class Reduced(ReportCase):
    def test_extremes_and_holes_are_kept(self) -> None:
        random = np.random.default_rng(3)
        columns = [random.standard_normal(15000), random.standard_normal(15000)]
        columns[0][[17, 14000]] = 50, -60
        columns[1][7003] = 1e30
        columns[0][6000:6400] = NAN
        rows = reduce.kept_rows(columns)
        self.assertLess(rows.size, 2000)
        for column in columns:
            for of in (np.nanmin, np.nanmax):
                self.assertEqual(of(column[rows]), of(column))
            for first in range(0, 15000, 50):  # of every bucket too
                part, kept = column[first:first + 50], column[rows[(rows >= first) & (rows < first + 50)]]
                if np.isfinite(part).any():
                    self.assertEqual((np.nanmin(kept), np.nanmax(kept)), (np.nanmin(part), np.nanmax(part)))
        inside = rows[(rows >= 6000) & (rows < 6400)]
        self.assertGreaterEqual(inside.size, 8)
        self.assertTrue(np.isnan(columns[0][inside]).all())

    def test_holes_have_their_steps_and_reasons(self) -> None:
        values = np.array([1, NAN, NAN, 4, INF, 6.0])
        found = reduce.holes(np.arange(0, 60, 10), [values], np.array(["", "not done", "not done", "", "not finite", ""]))
        self.assertEqual(found, [{"first": 10, "last": 20, "why": "not done", "from": 0, "to": 30},
                                 {"first": 40, "last": 40, "why": "not finite", "from": 30, "to": 50}])

    def test_slider_steps_hold_the_extremes(self) -> None:
        steps = reduce.slider_steps([np.arange(15000), np.arange(0, 20000, 7)], [4321])
        self.assertLessEqual(len(steps), reduce.STEPS + 1)
        self.assertTrue({0, 4321, 19999 // 7 * 7} <= set(steps))
        self.assertEqual(reduce.nearest_rows(np.array([0, 10, 20]), [0, 4, 6, 99]).tolist(), [0, 1, 2])

    def test_a_long_study_stays_small(self) -> None:
        """15,000 steps of two variants and three seeds: under 8 MB, and the largest loss is in it to the last digit."""
        random = np.random.default_rng(5)
        steps = 15000
        for variant in ("none", "bn"):
            for seed in (1, 2, 3):
                low = random.random(steps)
                high = low + random.random(steps)
                high[1234 * seed] = 7 / 3 * 10
                write_grid(self.run_directory(f"long/{variant}/seed-{seed}", "none" if variant == "none" else "batch") / "landscape.h5",
                           np.stack([low, high], 1), np.stack([low, 2 * high], 1), high, every=1, alpha=(0.5, 1, 2, 4))
        page = self.page(self.place / "long")
        self.assertLess(len(page.encode()), 8e6)
        table = self.tables(page, "Bands of loss and gradient", 0)["bn"]
        self.assertEqual((table["records"], max(table["columns"]["loss_max_largest"])), (steps, 7 / 3 * 10))
        slider = next(figure for figure in self.data(page)["figures"] if figure["kind"] == "slices")["steps"]
        self.assertTrue({0, 1234, steps - 1} <= set(slider) or {0, 2468, steps - 1} <= set(slider))

    def test_a_large_plane_is_thinned(self) -> None:
        run = self.write_surface(self.run_directory("run"), bowl(301, 201)[np.newaxis])
        page = self.page(run)
        table = self.tables(page, "Surface", 0, 0)["run"]
        self.assertEqual((len(table["z"]), len(table["z"][0]), len(table["y"]), len(table["x"])), (151, 101, 151, 101))
        self.assertEqual(table["z"], bowl(301, 201)[::2, ::2].tolist())
        self.assertIn("run, loss: every 2. value along x and y is shown; of all, 0.25 is the least and 200.25 the largest.", page)


class Bad(ReportCase):
    def refused(self, *arguments: object, says: str, code: int = 1) -> None:
        errors = self.command(*arguments, "-o", self.place / "report.html", expect=code).stderr
        if code == 1:
            self.assertEqual(errors.count("\n"), 1, errors)
        self.assertIn(says, errors)
        self.assertFalse((self.place / "report.html").exists(), "nothing half-made is left")

    def test_no_run(self) -> None:
        (self.place / "empty").mkdir()
        (self.place / "foreign").mkdir()
        (self.place / "foreign/config.toml").write_text("[tool]\nx = 1\n")
        (self.place / "foreign/notes.h5").write_bytes(b"hello")
        self.refused(self.place / "empty", says="holds no run")
        self.refused(self.place / "foreign", says="holds no run")
        self.refused(self.place / "absent", says="does not exist")
        self.refused(self.place / "foreign/notes.h5", says="give the run directory", code=2)
        self.refused(self.run_directory("new"), says="nothing to show yet")

    def test_where_it_cannot_be_written(self) -> None:
        study = self.write_study()
        self.assertIn("name it .html", self.command(study, "-o", self.place / "report.png", expect=2).stderr)
        (self.place / "file").touch()
        for folder, words in (("no", "No such file or directory"), ("file", "Not a directory")):
            path = self.place / folder / "report.html"
            self.assertEqual(self.command(study, "-o", path, expect=1).stderr, f"report: {path}: cannot be written ({words}); choose another place\n")

    def test_an_output_that_is_full_is_one_line(self) -> None:
        run = self.write_landscape(self.run_directory("run"))
        with open("/dev/full", "w") as full:
            done = subprocess.run([sys.executable, TOOLS / "report.py", run, "-o", self.place / "r.html"], stdout=full, stderr=subprocess.PIPE, text=True)
        self.assertEqual((done.returncode, done.stderr), (1, "report: standard output: No space left on device\n"))

    def test_a_fault_of_its_own_is_one_line(self) -> None:
        with mock.patch.object(cli, "write", side_effect=ZeroDivisionError("of nothing")):
            self.refused(self.place, says=f"report: a report of {self.place} cannot be drawn: ZeroDivisionError, of nothing; this is a fault of report.py")

    def test_a_damaged_file_is_told_and_the_rest_shown(self) -> None:
        study = self.write_study()
        (study / "bn/shift.h5").write_bytes((study / "bn/shift.h5").read_bytes()[:900])
        (study / "none/surface.h5").write_bytes(b"\x89HDF nonsense")
        page = self.page(study, warns=True)
        words = " ".join(Tags(page).words)
        self.assertIn("What is missing or damaged", words)
        for file in ("bn/shift.h5", "none/surface.h5"):
            self.assertIn(f"{study / file}: cannot be read", words)
        self.assertEqual(list(self.tables(page, "Internal covariate shift", 0, 0)), ["none"])
        for path in study.rglob("*.h5"):
            path.write_bytes(b"nonsense")
        (self.place / "report.html").unlink()
        self.assertIn("cannot be read", self.command(study, "-o", self.place / "report.html", expect=1).stderr)

    def test_a_damaged_file_is_told_where_all_other_runs_lack_it(self) -> None:
        study = self.write_study()
        (study / "none/shift.h5").unlink()
        (study / "bn/shift.h5").write_bytes(b"nonsense")
        problem, = report.write(study, self.place / "r.html").problems
        self.assertTrue(problem.startswith(f"{study / 'bn/shift.h5'}: cannot be read"), problem)

    def test_holes_are_holes(self) -> None:
        """Cells that are not done, as of merge --partial; steps that the trace lacks; steps still to train."""
        run = self.run_directory("run", steps=10)
        write_grid(run / "landscape.h5", [(1, 2), (NAN, NAN), (NAN, NAN), (1, 2)], [(1, 2)] * 4, [1, NAN, NAN, 2])
        with h5py.File(run / "landscape.h5", "a") as file:
            file["status"][1:3] = 0
        self.write(run / "trace/segment-00000000-00000002.h5", step=[0, 1], loss=[3, 2.0])
        self.write(run / "trace/segment-00000005-00000007.h5", step=[5, 6], loss=[3, 2.0])
        page = self.page(run, warns=True)
        table = self.tables(page, "Bands of loss and gradient", 0)["run"]
        self.assertEqual(table["columns"]["loss_min"], [1, None, None, 1])
        self.assertEqual(table["holes"], [{"first": 10, "last": 20, "why": "not done", "from": 0, "to": 30}])
        table = self.tables(page, "Training and tests", 0)["run"]
        self.assertEqual([(hole["first"], hole["last"], hole["why"]) for hole in table["holes"]], [(2, 4, "missing"), (7, 9, "not trained yet")])
        words = " ".join(Tags(page).words)
        self.assertIn("Grey, run: no value at step 10 to 20 (not done).", words)
        self.assertIn("Grey, run: no value at step 2 to 4, 7 to 9 (missing or not trained yet).", words)

    def test_a_trace_is_opened_once(self) -> None:
        """For all of its quantities; what a segment lacks, as the accuracy here, is missing there and nowhere else."""
        run = self.write_trace(self.run_directory("run"), [4, 2, 6, 3])
        with h5py.File(run / "trace/segment-00000001-00000004.h5", "a") as file:
            file["theta_norm"] = [7, 8, 9.0]
            del file["accuracy"]
        with mock.patch.object(series, "read_file", side_effect=series.read_file) as read:
            page = self.page(run)
        self.assertEqual([call.args[0].name for call in read.call_args_list], ["segment-00000000-00000001.h5", "segment-00000001-00000004.h5"])
        for place, (name, values) in enumerate((("loss", [4, 2, 6, 3]), ("accuracy", [40, None, None, None]), ("theta_norm", [None, 7, 8, 9]))):
            table = self.tables(page, "Training and tests", place)["run"]
            self.assertEqual(table["columns"], {"step": [0, 1, 2, 3], name: values})
            self.assertEqual({hole["why"] for hole in table["holes"]}, {"missing"} if None in values else set())

    def test_only_figures_of_several_seeds_say_so(self) -> None:
        """Here the landscape, of two seeds; the trace is of one, in a place of its own."""
        for seed in (1, 2):
            self.write_landscape(self.run_directory(f"s/bn/seed-{seed}"))
        self.write_trace(self.run_directory("single"), [4, 2, 6, 3])
        made = report.write([self.place / "s", self.place / "single"], self.place / "r.html")
        self.assertEqual({figure.title: any("several seeds" in note for note in figure.notes) for figure in made.figures if figure.kind == "series"},
                         {"Bands of loss and gradient": True, "Effective β-smoothness": True, "Training and tests": False,
                          "What single layers contribute": True})

    def test_a_sweep_that_is_not_merged_is_told(self) -> None:
        study = self.write_study()
        for path in study.glob("*/landscape.h5"):
            (path.parent / "sweep/main").mkdir(parents=True)
            path.unlink()
        self.assertIn(f"gradscape merge {study / 'bn'}", " ".join(Tags(self.page(study, warns=True)).words))

    def test_a_named_sweep_that_is_not_merged_is_told(self) -> None:
        """Though main is merged; in the run itself, and above the seeds for all of them."""
        run = self.write_landscape(self.run_directory("run"))
        for name in ("main", "fine", "done"):
            (run / f"sweep/{name}").mkdir(parents=True)
        self.write_landscape(run, "landscape-done.h5")
        self.assertEqual(report.write(run, self.place / "r.html").problems,
                         [f"{run}: its sweep fine is not merged, and not shown; gradscape merge {run} --name fine"])
        seed = self.run_directory("s/bn/seed-1")
        (seed / "sweep/main").mkdir(parents=True)
        self.write_landscape(seed.parent)
        self.assertEqual(report.write(self.place / "s", self.place / "r.html").problems, [])

    def test_different_grids(self) -> None:
        write_grid(self.run_directory("g/a") / "landscape.h5", [(1, 2)] * 4, [(1, 2)] * 4, [1] * 4, every=7)
        write_grid(self.run_directory("g/b") / "landscape.h5", [(1, 2)] * 3, [(1, 2)] * 3, [1] * 3, every=10, alpha=(0.25, 1, 8), lr=0.5)
        page = self.page(self.place / "g")
        curves = self.tables(page, "Gradient difference against step size", 0)
        self.assertEqual((curves["a"]["step"], curves["b"]["step"]), ([0, 7, 14, 21], [0, 10, 20]))
        np.testing.assert_allclose(curves["b"]["size"][0], [0.125, 0.5, 4])
        thresholds = [table for figure in self.data(page)["figures"] for table in figure["tables"] if table.get("name") == "threshold"]
        self.assertEqual([table["run"] for table in thresholds], [0, 1], "each its own")

    def test_one_step(self) -> None:
        run = self.run_directory("run")
        write_grid(run / "landscape.h5", [(1, 2)], [(1, 2)], [3])
        self.assertEqual(self.tables(self.page(run), "Bands of loss and gradient", 0)["run"]["columns"]["loss_max"], [2])

    def test_what_is_still_to_train_is_of_training_only(self) -> None:
        """Not of a line through the surface that ends below x = −1; a series of nothing is shown as that."""
        run = self.write_surface(self.run_directory("run"), [[3, 2, 1.0]])
        with h5py.File(run / "surface.h5", "a") as file:
            file["x"][:] = [-4, -3, -2]
        self.assertEqual(self.tables(self.page(run), "Surface", 0)["run"]["holes"], [])
        nothing = sections.table(0, [0], "step", {"step": np.zeros(0, int), "loss": np.zeros(0)}, [sections.line("loss")], whole=10)
        self.assertEqual((nothing["holes"], nothing["records"]), ([], 0))

    def test_nothing_finite(self) -> None:
        run = self.run_directory("run")
        write_grid(run / "landscape.h5", [(NAN, NAN), (INF, INF)], [(NAN, NAN)] * 2, [NAN, INF])
        self.write_surface(run, np.full((1, 3, 3), NAN))
        self.write_shift(run, [[NAN, NAN]] * 2, [[NAN, NAN]] * 2)
        page = self.page(run)
        table = self.tables(page, "Bands of loss and gradient", 0)["run"]
        self.assertEqual(table["columns"]["loss_max"], [None, "inf"])
        self.assertEqual(self.tables(page, "Surface", 0, 0)["run"]["empty"], 9)

    def test_names_are_texts(self) -> None:
        for at, name in enumerate(STRANGE):
            run = self.run_directory(f"study/{name.replace('/', '∕')}", lr=0.1 * (at + 1))
            self.write_landscape(run)
        page = self.page(self.place / "study")
        tags = Tags(page)
        self.assertEqual((tags.tags.count("script"), tags.tags.count("img"), tags.tags.count("title"), tags.tags.count("b")), (3, 0, 1, 0))
        words = "\n".join(tags.words)
        for name in STRANGE:
            self.assertIn(name.replace("/", "∕"), words)
        self.assertEqual({run["label"] for run in self.data(page)["runs"]}, {name.replace("/", "∕") for name in STRANGE})

    def test_a_name_that_is_no_utf_8(self) -> None:
        os.mkdir(os.fsencode(self.place / "study"))
        run = Path(os.fsdecode(os.fsencode(self.place / "study") + b"/a\xff"))
        run.mkdir()
        (run / "gradscape-run").touch()
        (run / "config.toml").write_text("[model]\n")
        self.write_landscape(run)
        self.assertEqual(self.data(self.page(self.place / "study"))["runs"][0]["label"], "a\ufffd")

    def test_damage_of_any_kind_is_a_message(self) -> None:
        study = self.write_study()
        files = sorted((study / "bn").rglob("*.h5"))
        for path in files:
            written_as_gradscape_does(path)
        for seed in range(200 if SLOW else 15):
            path = files[seed % len(files)]
            whole, mutator = path.read_bytes(), Mutator(seed)
            with contextlib.suppress(OSError, ValueError, TypeError):  # a change that cannot be made
                mutator.change(path)
            with self.subTest(seed=seed, file=path.name, change=mutator.told), contextlib.redirect_stderr(io.StringIO()):
                made = report.write(study, self.place / "r.html")
                self.assertGreaterEqual(len(made.figures), 10)
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
            path.write_bytes(whole)

    def test_python_has_the_same(self) -> None:
        made = report.write(self.write_study(), self.place / "r.html", "A title")
        self.assertIn("<h1>A title</h1>", (self.place / "r.html").read_text())
        self.assertEqual((len(made.figures), made.problems), (11, []))


class WithoutPlotly(ReportCase):
    def test_it_says_what_to_install(self) -> None:
        """Where neither Debian's nor pip's is there; what was read of one before is forgotten."""
        page = report.page
        page.packed_plotly.cache_clear()
        self.addCleanup(page.packed_plotly.cache_clear)
        with mock.patch.object(page, "DEBIAN", self.place / "none.js"), mock.patch.object(page.importlib.util, "find_spec", return_value=None):
            said = self.command(self.write_study(), "-o", self.place / "r.html", expect=1).stderr
        self.assertIn("apt install python3-plotly", said)


if __name__ == "__main__":
    unittest.main()
