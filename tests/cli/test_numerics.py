#!/usr/bin/python3
"""The verb numerics: relative errors of one evaluation against double with the direct engine."""

from __future__ import annotations

import json
import re
from pathlib import Path

import h5py
import numpy as np

from support import FULL, PLAIN, Case, gradscape, h5_files, main, write_cifar

VARIANTS = """
[[variant]]
name = "plain"

[[variant]]
name = "with bn, é"
model.norm = "batch"
train.engine = "direct"

[[variant]]
name = "double"
train.precision = "double"
"""


class Numerics(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.config = cls.write_config(PLAIN, tail=VARIANTS)
        cls.run_directory = cls.make("run", FULL, cls.shared / "run")

    def report(self, *arguments: object) -> list[dict]:
        return json.loads(gradscape("numerics", *arguments, "--json").stdout)["runs"]

    def assert_sizes(self, report: dict, checkpoint: Path) -> None:
        with h5py.File(checkpoint) as file:
            sizes = {name: value.size for name, value in file["parameters"].items()}
        self.assertEqual({name: tensor["size"] for name, tensor in report["tensors"].items()}, sizes)
        self.assertEqual(report["gradient"]["size"], sum(sizes.values()))
        self.assertEqual((report["loss"]["size"], report["logits"]["size"]), (1, 10 * report["batch_size"]))

    def test_configuration(self) -> None:
        """All variants, at the initial weights, on the first batch."""
        reports = self.report(self.config)
        self.assertEqual([(r["variant"], r["precision"], r["engine"]) for r in reports],
                         [("plain", "float", "winograd"), ("with bn, é", "float", "direct"),
                          ("double", "double", "direct")])
        for report in reports:
            self.assertEqual((report["name"], report["step"], report["batch_size"]), ("small", 0, 32))
        for report in reports[:2]:
            # A unit that flips between the precisions takes its whole share of the gradient with it.
            self.assertTrue(1e-9 < report["gradient"]["relative_error"] < 1e-2, report["gradient"])
            self.assertTrue(1e-9 < report["logits"]["relative_error"] < 1e-3, report["logits"])
            self.assertLess(report["loss"]["relative_error"], 1e-4)
        exact = [reports[2][name]["relative_error"] for name in ("loss", "logits", "gradient")]
        exact += [tensor["relative_error"] for tensor in reports[2]["tensors"].values()]
        self.assertEqual(set(exact), {0}, "the reference itself")
        self.assertEqual(self.report(self.config, "--variant", "double"), reports[2:])

    def test_flags_override_the_configuration(self) -> None:
        report, = self.report(self.config, "--variant", "plain", "--train.engine", "direct", "--train.batch_size", 7)
        self.assertEqual((report["engine"], report["batch_size"], report["logits"]["size"]), ("direct", 7, 70))

    def test_run_directory(self) -> None:
        """The last checkpoint, or another, on the batch that comes next: what the sweep found at these steps."""
        before = {name: (self.run_directory / name).read_bytes() for name in h5_files(self.run_directory)}
        with h5py.File(self.run_directory / "landscape.h5") as file:
            floor, batches = file["noise_floor"][()], (file["batch_index"][()] >= 0).sum(axis=1)
        for more, step in (((), 10), (("--step", 0), 0), (("--step", 4), 4), (("--step", 8), 8)):
            report, = self.report(self.run_directory, *more)
            self.assertEqual((report["step"], report["batch_size"]), (step, batches[step]))
            self.assert_sizes(report, self.run_directory / f"checkpoints/step-{step:08}.h5")
            if not step % 4:
                self.assertEqual(report["gradient"]["relative_error"], floor[step])
        self.assertEqual(before, {name: (self.run_directory / name).read_bytes()
                                  for name in h5_files(self.run_directory)})

    def test_whole_is_made_of_its_tensors(self) -> None:
        """The square of the whole's error is a weighted mean of the squares of the tensors' errors."""
        report, = self.report(self.config, "--variant", "plain")
        errors = [tensor["relative_error"] for tensor in report["tensors"].values()]
        whole = report["gradient"]["relative_error"]
        self.assertTrue(min(errors) <= whole <= max(errors), (whole, errors))

    def test_text_says_what_json_says(self) -> None:
        text = gradscape("numerics", self.config).stdout
        blocks = text.strip().split("\n\n")
        reports = self.report(self.config)
        self.assertEqual(len(blocks), len(reports))
        for block, report in zip(blocks, reports):
            heading, columns, *rows = block.splitlines()
            for words in (f'variant "{report["variant"]}"', "step 0, batch of 32",
                          f'{report["precision"]} with the {report["engine"]} engine against double'):
                self.assertIn(words, heading)
            self.assertEqual(columns.split(), ["size", "relative", "error"])
            expected = [(name, report[name]) for name in ("loss", "logits", "gradient")] + [*report["tensors"].items()]
            if any(tensor.get("zero_by_definition") for tensor in report["tensors"].values()):
                self.assertTrue(rows.pop().startswith("  * "), "the footnote")
            self.assertEqual(len(rows), len(expected))
            for row, (name, tensor) in zip(rows, expected):
                shown, size, *error = row.split()
                self.assertEqual((shown, int(size)), (name, tensor["size"]))
                if tensor.get("zero_by_definition"):
                    self.assertEqual(error, ["-", "*"])
                else:
                    np.testing.assert_allclose(float(*error), tensor["relative_error"], rtol=1e-3)

    def test_gradients_that_are_zero_by_definition(self) -> None:
        """Batch norm takes a bias before it out with the mean; the norm's own biases and the last one count."""
        for report in self.report(self.config):
            zero = [name for name, tensor in report["tensors"].items() if tensor.get("zero_by_definition")]
            expected = [f"features.{i}.bias" for i in (0, 4, 8, 11, 15, 18, 22, 25)]
            self.assertEqual(zero, expected if report["variant"].startswith("with bn") else [])
            text = gradscape("numerics", self.config, "--variant", report["variant"]).stdout
            self.assertEqual(text.count(" - *\n"), len(zero))
            self.assertEqual("its gradient is 0 by definition" in text, bool(zero))

    def test_does_not_depend_on_threads(self) -> None:
        outputs = {gradscape("numerics", self.run_directory, "--json", "--threads", n).stdout for n in (1, 2, 3)}
        self.assertEqual(len(outputs), 1)

    def test_study_directory(self) -> None:
        study = self.place / "study"
        gradscape("train", self.config, "--out", study, "--quiet", "--train.steps", 1)
        self.assertEqual([r["variant"] for r in self.report(study)], ["double", "plain", "with bn, é"])

    def test_gradients_that_are_not_finite(self) -> None:
        run = self.make("train", PLAIN | {"train.lr": 1e12, "train.steps": 4}, self.place / "wild")
        report, = self.report(run)
        self.assertIsNone(report["gradient"]["relative_error"])
        self.assertRegex(gradscape("numerics", run).stdout, r"(?m)^  gradient +\d+ +nan$")

    def test_refusals(self) -> None:
        for arguments, code, words in (
                ((self.run_directory, "--step", 5), 2, ("--step", "no checkpoint of step 5", "0, 4, 8, 10")),
                ((self.run_directory, "--step", "x"), 2, ("--step",)),
                ((self.run_directory, "--variant", "bn"), 2, ("--variant", "configuration file only")),
                ((self.run_directory, "--train.seed", "1"), 2, ("--train.seed", "run directory")),
                ((self.config, "--train.lr", "1"), 2, ("--train.lr", "has no effect on numerics")),
                ((self.config, "--step", 0), 2, ("--step", "run directory only")),
                ((self.config, "--variant", "plian"), 2, ("plian", "did you mean \"plain\"?")),
                ((self.config, "--train.engine", "winogard"), 2, ("winogard", "did you mean \"winograd\"?")),
                ((self.place / "none.toml",), 2, ("none.toml", "cannot be read")),
                ((self.place,), 2, ("holds no run",)),
                ((), 2, ("PATH",))):
            gradscape("numerics", *arguments, expect=code, says=words)

    def test_moved_data(self) -> None:
        write_cifar(self.place / "data")
        run = self.make("train", PLAIN | {"data.source": "cifar10", "data.path": str(self.place / "data"),
                                          "train.steps": 1}, self.place / "run")
        (self.place / "data").rename(self.place / "moved")
        gradscape("numerics", run, expect=1, says=("data", "does not exist"))
        self.assertEqual(self.report(run, "--data.path", self.place / "moved")[0]["step"], 1)

    def test_help(self) -> None:
        text = gradscape("numerics", "--help-all").stdout
        for words in ("CONFIG", "RUN_DIR", "--step", "--variant", "--json", "--isa", "--train.engine",
                      "Relative errors", "noise floor"):
            self.assertIn(words, re.sub(r"\s+", " ", text))


if __name__ == "__main__":
    main()
