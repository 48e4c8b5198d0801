#!/usr/bin/python3
"""Seeds as an axis: a run for each, as if it were alone, and files that unite them with a leading dimension."""

from __future__ import annotations

import json
import shutil
import subprocess

import h5py
import numpy as np

from support import FULL, ROOT, Case, datasets, environment, gradscape, h5_files, main

SETTINGS = FULL | {"model.arch": "mlp", "model.hidden": [12, 8], "train.steps": 20, "train.checkpoint_every": 3,
                   "sweep.every": 2, "sweep.multipliers": [0.5, 1.0, 3.0]}
VARIANTS = '[[variant]]\nname = "none"\nmodel.norm = "none"\n[[variant]]\nname = "bn"\nmodel.norm = "batch"\n'
SEEDS = (2, 11)  # by name they come in the other order


class Seeds(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.config = cls.write_config(SETTINGS | {"experiment.seeds": list(SEEDS)}, tail=VARIANTS)
        cls.study = cls.shared / "study"
        gradscape("run", cls.config, "--out", cls.study, "--quiet")

    def test_each_is_the_run_of_its_seed(self) -> None:
        for seed in SEEDS:
            out = self.place / str(seed)
            gradscape("run", self.write_config(SETTINGS | {"train.seed": seed}, tail=VARIANTS), "--out", out, "--quiet")
            for variant in ("bn", "none"):
                self.assert_same_files(out / variant, self.study / variant / f"seed-{seed}")

    def test_united(self) -> None:
        for variant in ("bn", "none"):
            united = datasets(self.study / variant / "landscape.h5")
            self.assertEqual(united["seed"].tolist(), list(SEEDS))
            for i, seed in enumerate(SEEDS):
                alone = datasets(self.study / variant / f"seed-{seed}/landscape.h5")
                self.assertEqual(united.keys() - {"seed"}, alone.keys())
                for name, values in alone.items():
                    here = united[name] if name in ("step", "alpha", "sample") else united[name][i]
                    self.assertEqual((here.dtype, here.tobytes()), (values.dtype, values.tobytes()), name)
        with h5py.File(self.study / "bn/landscape.h5") as file:
            scales = [dimension[0].name for dimension in file["loss"].dims]
        self.assertEqual(scales, ["/seed", "/step", "/alpha"])
        self.assertIn("2 variants, 2 seeds\n", gradscape("info", self.config).stdout)
        self.assertIn("seeds          2, 11", gradscape("info", self.study / "bn/landscape.h5").stdout)

    def test_in_tasks(self) -> None:
        out = self.place / "out"
        for task in (3, 0, 2, 1):
            gradscape("train", self.config, "--out", out, "--task", f"{task}/4", "--quiet")
        listed = gradscape("train", self.config, "--out", out, "--list").stdout
        self.assertEqual(listed.count("trained\t"), 4)
        for task in (1, 4, 0, 3, 2):
            gradscape("sweep", out, "--task", f"{task}/5", "--quiet")
        status = json.loads(gradscape("status", self.config, "--out", out, "--json").stdout)
        self.assertEqual(sorted((run["variant"], run["seed"]) for run in status["runs"]),
                         [("bn", 2), ("bn", 11), ("none", 2), ("none", 11)])
        made = gradscape("merge", out).stdout.splitlines()
        self.assertEqual(made[-2:], [f"{out}/bn/landscape.h5", f"{out}/none/landscape.h5"])
        self.assert_same_files(self.study, out)
        self.assertIn("all right", gradscape("verify", out, "--cells", 1).stdout)

    def test_another_seed_later(self) -> None:
        out = self.copy(self.study)
        gradscape("run", self.config, "--out", out, "--experiment.seeds", 5, "--variant", "bn", "--quiet")
        self.assertEqual(datasets(out / "bn/landscape.h5")["seed"].tolist(), [2, 5, 11])

    def test_holes(self) -> None:
        out = self.copy(self.study)
        (out / "bn/seed-11/sweep/main/segment-00000003-00000006.h5").unlink()
        gradscape("merge", out / "bn", expect=1, says=("seed-11: sweep \"main\" is not complete", ": 4\n"))
        gradscape("merge", out / "bn", "--partial")
        status = datasets(out / "bn/landscape.h5")["status"]
        self.assertEqual(np.argwhere(status == 0).tolist(), [[1, 2, 0], [1, 2, 1], [1, 2, 2]])

    def test_runs_that_differ_otherwise_are_not_united(self) -> None:
        out = self.copy(self.study)
        shutil.rmtree(out / "bn/seed-11")
        self.make("run", SETTINGS | {"train.lr": 0.01, "train.seed": 11}, out / "bn/seed-11")  # alone it is in order
        gradscape("merge", out / "bn", expect=1, says=("is no other seed of", "train.lr is "))
        shutil.rmtree(out / "bn/seed-11")
        gradscape("run", self.config, "--out", out, "--variant", "bn", "--experiment.seeds", 11, "--train.epochs", 0,
                  "--train.schedule", "constant", "--train.steps", 18, expect=1, says=("is no other seed of",))

    def test_figure(self) -> None:
        """Means over the seeds; in pale their range."""
        command = [ROOT / "tools/plot_landscape.py", self.study, "--json", "--table", "4", "-o", self.place / "f.png"]
        done = subprocess.run(list(map(str, command)), env=environment(), capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        document = json.loads(done.stdout)
        self.assertEqual([run["seeds"] for run in document["runs"]], [list(SEEDS)] * 2)
        alone = [datasets(self.study / f"bn/seed-{seed}/landscape.h5") for seed in SEEDS]
        width = np.nanmean(np.mean([run["loss_max"] - run["loss_min"] for run in alone], axis=0))  # at lr 0: NaN
        found, record = (next(one for one in document[kind] if one["run"] == "bn") for kind in ("runs", "records"))
        self.assertAlmostEqual(found["mean_loss_width"] / width, 1, 10)
        self.assertAlmostEqual(record["loss_max"] / np.mean([run["loss_max"][2] for run in alone]), 1, 10)
        self.assertGreater((self.place / "f.png").stat().st_size, 10000)

    def test_bad_input(self) -> None:
        gradscape("train", self.config, "--train.seed", 4, expect=2, says=("--train.seed", "--experiment.seeds 4"))
        gradscape("train", self.config, "--experiment.seeds", "3,4,3", expect=2, says=("holds 3 more than once",))
        gradscape("train", self.config, "--experiment.seeds", "-1", expect=2, says=("--experiment.seeds", ">= 0"))
        mixed = self.write_config(SETTINGS, tail=VARIANTS + "experiment.seeds = [1]\n")
        gradscape("train", mixed, expect=2, says=("different experiment.seeds", "common part"))
        self.assertEqual([path for path in h5_files(self.place)], [])


if __name__ == "__main__":
    main()
