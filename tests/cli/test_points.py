#!/usr/bin/python3
"""Where a step is probed, and on what: step sizes in place of multiples, points behind theta, fixed sets of images."""

from __future__ import annotations

import numpy as np
from support import FULL, PLAIN, Case, datasets, gradscape, main


class Points(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.run_directory = cls.make("run", PLAIN | {"train.lr": 0.125, "sweep.multipliers": [-1.0, 1.0, 2.0]},
                                     cls.shared / "run")

    def sweep(self, name: str, *more: object) -> dict[str, np.ndarray]:
        gradscape("sweep", self.run_directory, "--name", name, "--quiet", *more)
        gradscape("merge", self.run_directory, "--name", name)
        return datasets(self.run_directory / f"landscape-{name}.h5")

    def test_step_sizes_are_those_of_multiples(self) -> None:
        """m·0.125 is exact: the same cells, to the same bits."""
        by_multiple = datasets(self.run_directory / "landscape.h5")
        by_size = self.sweep("sizes", "--step-sizes=-0.125,0.125,0.25")
        for name, values in by_multiple.items():
            if name == "alpha":
                np.testing.assert_array_equal(by_size[name], [-0.125, 0.125, 0.25])
            else:
                np.testing.assert_array_equal(by_size[name], values, name)
        self.assertRegex(gradscape("info", self.run_directory / "landscape-sizes.h5").stdout,
                         r"step sizes +\[-0.125, 0.125, 0.25\] along gradient")

    def test_points_behind_theta_are_in_no_band(self) -> None:
        data = datasets(self.run_directory / "landscape.h5")
        self.assertTrue((data["loss"][:, 0] > data["train_loss"]).any(), "uphill")
        np.testing.assert_array_equal(data["loss_max"], data["loss"][:, 1:].max(axis=1))
        np.testing.assert_array_equal(data["distance"][:, 0], data["distance"][:, 1])
        self.assertTrue((data["beta"] > 0).all())

    def test_on_a_set(self) -> None:
        """The whole test set in evaluation mode at theta of the run's end is the run's own test."""
        data = self.sweep("test", "--on", "test", "--mode", "evaluation", "--on-images", 0)
        trace = datasets(sorted((self.run_directory / "trace").glob("*.h5"))[-1])
        self.assertEqual(data["step"][-1], trace["test_step"][-1])
        self.assertEqual(data["set_loss_at_theta"][-1], trace["test_loss"][-1])
        self.assertEqual(data["set_accuracy_at_theta"][-1], trace["test_accuracy"][-1])
        self.assertNotIn("set_grad_norm", data)
        done = gradscape("verify", self.run_directory, "--cells", 100)
        self.assertIn("all right", done.stdout)

    def test_bits_over_tasks_and_threads(self) -> None:
        run = self.make("train", FULL, self.place / "run")
        asked = ("--on", "train", "--on-images", 48, "--on-gradients", "true", "--multipliers=-0.5,1")
        gradscape("sweep", run, "--name", "whole", "--threads", 1, "--quiet", *asked)
        for i in (2, 0, 1):
            gradscape("sweep", run, "--name", "tasks", "--threads", 3, "--task", f"{i}/3", "--quiet", *asked)
        for name in ("whole", "tasks"):
            gradscape("merge", run, "--name", name)
        whole, tasks = (datasets(run / f"landscape-{name}.h5") for name in ("whole", "tasks"))
        self.assertIn("set_grad_cos", whole)
        for name, values in whole.items():
            self.assertEqual(values.tobytes(), tasks[name].tobytes(), name)

    def test_bad_input(self) -> None:
        for more, says in ((("--multipliers", "0,1"), ("--multipliers", "not 0")),
                           (("--step-sizes", "0.1,0.1"), ("sweep.step_sizes", "more than once")),
                           (("--step-sizes", "0.1", "--direction", "update"), ("step_sizes", "update")),
                           (("--step-sizes", "0.1", "--multipliers", "3"), ("sweep.step_sizes", "leave one")),
                           (("--on", "validation"), ("--on", "batch | train | test")),
                           (("--on-images", "5"), ("sweep.on",)),
                           (("--on", "test", "--on-images", "-5"), ("--on-images", ">= 0"))):
            gradscape("sweep", self.run_directory, "--name", "bad", *more, expect=2, says=says)
        self.assertFalse((self.run_directory / "sweep/bad").exists())


if __name__ == "__main__":
    main()
