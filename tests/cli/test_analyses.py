#!/usr/bin/python3
"""`shift`, `distributions`, `theorem`: the same bits however a run is replayed, nothing computed twice, and words for what
cannot be; and the band across runs."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np

from support import (FULL, PLAIN, Case, attributes, datasets, falsified, flip_a_bit, gradscape, main, whole_trace)

SETTINGS = FULL | {"model.arch": "mlp", "model.hidden": [12, 8], "train.steps": 20, "train.checkpoint_every": 7,
                   "sweep.every": 3}
VERBS = ("shift", "distributions", "theorem")
DEEP_LINEAR = {"experiment.name": "linear", "data.source": "linear", "data.synthetic_train": 50, "data.synthetic_test": 0,
               "model.arch": "deep-linear", "model.depth": 4, "model.loss": "sse", "train.lr": 1e-4,
               "train.batch_size": 50, "train.steps": 8, "train.checkpoint_every": 4, "train.precision": "double"}


class Analyses(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.run_directory = cls.make("train", SETTINGS, cls.shared / "run")

    def test_bits_do_not_depend_on_the_way(self) -> None:
        """Threads, checkpoints left out, steps taken in parts: one and the same file."""
        for verb in VERBS:
            whole, parts = self.copy(self.run_directory, f"{verb}-whole"), self.copy(self.run_directory, f"{verb}-parts")
            told = gradscape(verb, whole, "--quiet").stdout
            self.assertEqual(told, f"{whole}/{verb}.h5\n")
            data = datasets(whole / f"{verb}.h5")
            self.assertEqual(data["step"].tolist(), [0, 3, 6, 9, 12, 15, 18])
            (parts / "checkpoints/step-00000007.h5").unlink()
            gradscape(verb, parts, "--steps", "3:9:6", "--threads", 2, "--quiet")
            self.assertEqual(datasets(parts / f"{verb}.h5")["step"].tolist(), [3, 9])
            gradscape(verb, parts, "--threads", 3, "--quiet")
            self.assert_same_data(whole / f"{verb}.h5", parts / f"{verb}.h5")
            self.assertEqual(attributes(whole / f"{verb}.h5")["file_type"], verb)

    def test_rows_that_are_there_are_taken_over(self) -> None:
        """What is there is not computed again: a value changed by hand stays; a damaged shard is made again."""
        run = self.copy(self.run_directory)
        shard = run / "shift/main/segment-00000000-00000007.h5"
        gradscape("shift", run, "--quiet")
        whole = datasets(run / "shift.h5")
        with falsified(shard) as file:
            file["shift_norm"][2, 1] = 77.0
        gradscape("shift", run, "--steps", "0:20:2", "--quiet")
        data = datasets(run / "shift.h5")
        self.assertEqual(data["step"].tolist(), sorted({*range(0, 21, 2), *range(0, 21, 3)}))
        self.assertEqual(data["shift_norm"][data["step"].tolist().index(6), 1], 77.0)
        flip_a_bit(shard, "shift_cos")
        gradscape("shift", run, says=(str(shard), "computed again"))
        data = datasets(run / "shift.h5")
        kept = [data["step"].tolist().index(step) for step in whole["step"]]
        self.assertEqual(data["shift_norm"][kept].tolist(), whole["shift_norm"].tolist())
        gradscape("shift", run, "--layers", "2", expect=2, says=("made with other settings", "layers.4", "--name"))
        gradscape("shift", run, "--layers", "2", "--name", "second", "--quiet")
        self.assertEqual(datasets(run / "shift-second.h5")["shift_norm"].tolist(), whole["shift_norm"][:, 1:2].tolist())
        gradscape("shift", run, "--name", "second", "--steps", "0:20:2", "--quiet")  # its own layers
        self.assertEqual(datasets(run / "shift-second.h5")["shift_norm"].shape[1], 1)

    def test_words_for_what_cannot_be(self) -> None:
        run = self.copy(self.run_directory)
        for verb in VERBS:
            gradscape(verb, run, "--layers", "layers.17", expect=2, says=("--layers", "layers.17", "layers.0, layers.4"))
            gradscape(verb, run, "--layers", "0", expect=2, says=("there is no layer \"0\"",))
            gradscape(verb, run, "--steps", "0:21:1", expect=2, says=("0 to 20",))
            gradscape(verb, run, "--steps", "1:2:3:4", expect=2, says=("--steps",))
            gradscape(verb, self.place / "none", expect=2, says=("does not exist",))
        gradscape("distributions", run, "--bins", 0, expect=2, says=("--bins", "1 or more"))
        gradscape("theorem", run, "--layers", "3", expect=2, says=("none of these layers has a batch norm",))
        plain = self.make("train", SETTINGS | {"model.norm": "none"}, self.place / "plain")
        gradscape("theorem", plain, expect=2, says=("batch norm", "no layer of this run has one behind it"))
        (run / "checkpoints/step-00000020.h5").unlink()
        (run / "trace/segment-00000014-00000020.h5").unlink()
        gradscape("shift", run, expect=1, says=("stands at step 14 of 20", "--resume"))
        gradscape("shift", run, "--steps", "0:13:1", "--name", "half", "--quiet")
        (run / "checkpoints/step-00000000.h5").unlink()
        gradscape("shift", run, expect=1, says=("step-00000000.h5",))

    def test_a_folder_of_variants(self) -> None:
        tail = '[[variant]]\nname = "none"\nmodel.norm = "none"\n[[variant]]\nname = "bn"\nmodel.norm = "batch"\n'
        out = self.place / "out"
        gradscape("train", self.write_config(SETTINGS, tail=tail), "--out", out, "--quiet")
        self.assertEqual(gradscape("theorem", out, says=("left out, as it has no batch norm",)).stdout,
                         f"{out}/bn/theorem.h5\n")
        self.assertEqual(gradscape("distributions", out).stdout, f"{out}/bn/distributions.h5\n{out}/none/distributions.h5\n")

    def test_files_are_netcdf(self) -> None:
        import xarray
        run = self.copy(self.run_directory)
        for verb in VERBS:
            gradscape(verb, run, "--quiet")
            with xarray.open_dataset(run / f"{verb}.h5", engine="h5netcdf") as file:
                for name, variable in file.variables.items():
                    self.assertTrue(variable.attrs["units"] and variable.attrs["long_name"], name)
                    self.assertTrue(set(variable.dims) <= {"step", "layer", "bin", "unit"}, name)
        self.assertEqual(attributes_of(run / "shift.h5", "layer")["labels"], "layers.0,layers.4,layers.8")
        told = gradscape("info", run / "shift.h5").stdout
        self.assertIn("7: 0, 3, 6, 9, 12, 15, 18", told)
        self.assertIn("1 layers.0, 2 layers.4, 3 layers.8", told)
        for verb in VERBS:
            self.assertRegex(gradscape("info", run).stdout, rf"{verb} main +3 shards, merged in {run}/{verb}.h5")

    def test_deep_linear(self) -> None:
        run = self.make("run", DEEP_LINEAR, self.place / "run")
        self.assertTrue(all(np.isnan(list(whole_trace(run)["accuracy"].values()))), "regression has no accuracy")
        self.assertNotIn("nan", gradscape("info", run).stdout)
        self.assertNotIn("warning", gradscape("train", self.write_config(DEEP_LINEAR), "--out", self.place / "x").stderr)
        gradscape("train", self.write_config(DEEP_LINEAR | {"train.precision": "float"}), "--out", self.place / "float",
                  says=("warning", "deep-linear in float", "double"))

    def test_layers_noise_and_random_directions_of_a_sweep(self) -> None:
        settings = SETTINGS | {"model.noise": True, "sweep.layers": True, "sweep.multipliers": [0.5, 2.0]}
        run = self.make("run", settings, self.place / "run")
        data = datasets(run / "landscape.h5")
        self.assertEqual(data["layer_grad_diff"].shape, (7, 2, 3))
        np.testing.assert_allclose(np.sqrt((data["layer_grad_diff"] ** 2).sum(2)), data["grad_diff"], rtol=1e-12)
        self.assertEqual(attributes_of(run / "landscape.h5", "layer_beta")["units"], "loss/weight^2")
        for name, flags in (("fresh", ("--noise", "fresh")), ("random", ("--direction", "random"))):
            gradscape("sweep", run, "--name", name, *flags, "--quiet")
            gradscape("merge", run, "--name", name, "--quiet")
            other = datasets(run / f"landscape-{name}.h5")
            self.assertEqual(other["train_loss"].tolist(), data["train_loss"].tolist())
            self.assertFalse(np.array_equal(other["loss"], data["loss"]))
            np.testing.assert_allclose(other["distance"], data["distance"], rtol=1e-6)
        gradscape("verify", run, "--cells", 6)
        gradscape("sweep", run, "--direction", "randm", "--name", "y", expect=2, says=("gradient | update | random",))


def attributes_of(path: Path, name: str) -> dict:
    with h5py.File(path) as file:
        return {key: value.decode() if isinstance(value, bytes) else value for key, value in file[name].attrs.items()}


class AcrossRuns(Case):
    """sweep.kind = "runs": one run for each learning rate, and the band across them."""

    RATES = [0.002, 0.05, 0.01]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        settings = PLAIN | {"experiment.learning_rates": cls.RATES, "sweep.kind": "runs", "model.arch": "mlp",
                            "model.hidden": [12]}
        cls.config = cls.write_config(settings, tail='[[variant]]\nname = "none"\n[[variant]]\nname = "bn"\nmodel.norm = "batch"\n')
        cls.study = cls.shared / "study"
        cls.told = gradscape("run", cls.config, "--out", cls.study, "--quiet").stdout

    def test_band(self) -> None:
        self.assertEqual(self.told, f"{self.study}/bn/runs.h5\n{self.study}/none/runs.h5\n")
        for variant in ("none", "bn"):
            data = datasets(self.study / variant / "runs.h5")
            self.assertEqual(data["lr"].tolist(), sorted(self.RATES))
            traces = [whole_trace(self.study / variant / f"lr-{rate:g}") for rate in sorted(self.RATES)]
            losses = np.array([[trace["loss"][step] for step in range(10)] for trace in traces])
            self.assertEqual(data["loss"].tolist(), losses.tolist())
            self.assertEqual(data["loss_min"].tolist(), losses.min(0).tolist())
            self.assertEqual(data["loss_max"].tolist(), losses.max(0).tolist())
            self.assertEqual(data["test_step"].tolist(), [3, 6, 9, 10])
            self.assertEqual(data["test_accuracy"].tolist(),
                             [[trace["test_accuracy"][step] for step in (3, 6, 9, 10)] for trace in traces])
            self.assertFalse(list((self.study / variant).rglob("sweep")), "nothing was probed")
            told = gradscape("info", self.study / variant / "runs.h5").stdout
            self.assertIn(f"last test accuracy {100 * data['test_accuracy'][0, -1]:.2f} %", told)

    def test_each_is_the_run_of_its_rate(self) -> None:
        alone = self.make("train", PLAIN | {"model.arch": "mlp", "model.hidden": [12], "train.lr": 0.01}, self.place / "alone")
        self.assert_same_files(alone, self.study / "none/lr-0.01")

    def test_status_merge_and_resume(self) -> None:
        out = self.copy(self.study)
        gradscape("status", self.config, "--out", out)
        (out / "bn/runs.h5").unlink()
        gradscape("merge", out, "--quiet")
        self.assert_same_data(self.study / "bn/runs.h5", out / "bn/runs.h5")
        gradscape("sweep", out, "--task", "1/3")  # there is nothing to probe, and no harm in asking
        (out / "bn/lr-0.01/checkpoints/step-00000010.h5").unlink()
        gradscape("merge", out, expect=1, says=("bn/lr-0.01", "trained to step 8 of 10", "--resume"))
        gradscape("run", self.config, "--out", out, "--resume", "--quiet")
        self.assert_same_data(self.study / "bn/runs.h5", out / "bn/runs.h5")

    def test_runs_that_differ_in_more_are_refused(self) -> None:
        out = self.copy(self.study)
        other = PLAIN | {"experiment.learning_rates": [0.05], "sweep.kind": "runs", "model.arch": "mlp",
                         "model.hidden": [12], "train.seed": 99}
        os.rename(out / "none/lr-0.05", self.place / "aside")
        gradscape("train", self.write_config(other), "--out", out / "none", "--quiet")
        gradscape("merge", out / "none", expect=1, says=("differs from", "train.seed"))


if __name__ == "__main__":
    main()
