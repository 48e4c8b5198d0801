#!/usr/bin/python3
"""Weight decay beside the loss (train.weight_decay) and inside of it (model.loss_decay)."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np

from support import PLAIN, Case, datasets, gradscape, main, whole_trace

SETTINGS = PLAIN | {"model.arch": "mlp", "model.hidden": [8], "train.precision": "double", "train.momentum": 0.9,
                    "sweep.on": "test", "sweep.mode": "evaluation", "sweep.on_gradients": True}
DECAY = 0.03


class LossDecay(Case):
    def half_squares(self, run: Path, step: int) -> float:
        with h5py.File(run / f"checkpoints/step-{step:08}.h5") as file:
            return sum(float(np.sum(part[()] ** 2)) for part in file["parameters"].values()) / 2

    def test_inside_and_beside(self) -> None:
        plain = self.make("run", SETTINGS, self.place / "plain")
        beside = self.make("run", SETTINGS | {"train.weight_decay": DECAY}, self.place / "beside")
        inside = self.make("run", SETTINGS | {"model.loss_decay": DECAY}, self.place / "inside")

        # At the initial weights, which all share: the loss is that of the run without decay, and the penalty where it is inside.
        losses = {run: whole_trace(run)["loss"] for run in (plain, beside, inside)}
        penalty = DECAY * self.half_squares(plain, 0)
        self.assertGreater(penalty, 0.1)
        self.assertEqual(losses[beside][0], losses[plain][0])
        np.testing.assert_allclose(losses[inside][0] - losses[plain][0], penalty, rtol=1e-12)

        # SGD moves alike in both, so that at every checkpoint the losses differ by the penalty.
        for step in (4, 8):
            np.testing.assert_allclose(losses[inside][step] - losses[beside][step], DECAY * self.half_squares(beside, step),
                                       rtol=1e-10)
        # The landscape: of the run's own loss. Along its own gradient the penalty follows from weights and gradient.
        grids = {run: datasets(run / "landscape.h5") for run in (plain, beside, inside)}
        np.testing.assert_array_equal(grids[beside]["train_grad_norm"][0], grids[plain]["train_grad_norm"][0])
        self.assertNotEqual(grids[inside]["train_grad_norm"][0], grids[plain]["train_grad_norm"][0])
        np.testing.assert_allclose(grids[inside]["train_loss"][0] - grids[plain]["train_loss"][0], penalty, rtol=1e-12)
        np.testing.assert_allclose(grids[inside]["set_loss_at_theta"][0] - grids[plain]["set_loss_at_theta"][0], penalty, rtol=1e-12)

        for run, words, decay in ((beside, "not in the loss", DECAY), (inside, "part of the loss", DECAY)):
            said = re.search(rf"weight decay +(\S+) at step 9 .*, {words}\n", gradscape("info", run).stdout)
            self.assertIsNotNone(said, words)
            norm = whole_trace(run)["theta_norm"][9]
            np.testing.assert_allclose(float(said[1]), decay / 2 * norm**2, rtol=1e-5)
        self.assertNotIn("weight decay", gradscape("info", plain).stdout)

    def test_the_run_is_another_one(self) -> None:
        run = self.make("train", SETTINGS, self.place / "run")
        gradscape("train", self.write_config(SETTINGS | {"model.loss_decay": DECAY}), "--out", run, "--resume", expect=1,
                  says=("belongs to a different run", "model.loss_decay"))


if __name__ == "__main__":
    main()
