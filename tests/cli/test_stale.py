#!/usr/bin/python3
"""Derived files say what they were made of: once that has changed, `status` and `info` call them stale and name the
command that renews them, `verify` fails, and that command mends it."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np

from support import PLAIN, Case, attributes, gradscape, main

SETTINGS = PLAIN | {"model.arch": "mlp", "model.hidden": [16], "train.steps": 8, "train.test_every": 0}


class Stale(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.config = cls.write_config(SETTINGS)
        cls.whole = cls.make("run", SETTINGS, cls.shared / "run")
        for verb in ("shift", "distributions"):
            gradscape(verb, cls.whole, "--quiet")

    def assert_stale(self, place: Path, *files: str) -> None:
        """Exactly these; and that what status names renews them."""
        names = [str(place / file) for file in files]
        done = gradscape("status", place, "--json", expect=1)
        document = json.loads(done.stdout)
        found = document["stale"] + [file for run in document["runs"] for file in run["stale"]]
        self.assertEqual(sorted(file["file"] for file in found), sorted(names))
        text = gradscape("status", place, expect=1).stdout
        told = gradscape("verify", place, "--cells", 0, expect=1).stderr
        for name in names:
            self.assertRegex(text, rf"stale +{name}: ")
            self.assertIn(f"{name}: is stale", told)
        for file in found:
            gradscape(*file["renewed_by"].split()[1:], "--quiet")
        gradscape("status", place)
        gradscape("verify", place, "--cells", 0)

    def test_fresh(self) -> None:
        gradscape("status", self.whole)
        gradscape("verify", self.whole, "--cells", 0)
        root = attributes(self.whole / "landscape.h5")
        self.assertEqual((root["sources"], root["sources_count"]), ("sweep/main/segment-*.h5", 3))
        hashes = [int(attributes(path)["content_hash"]) for path in (self.whole / "sweep/main").glob("*.h5")]
        self.assertEqual(int(root["sources_hash"]), sum(hashes) % 2**64)
        self.assertEqual(attributes(self.whole / "shift.h5")["sources"], "shift/main/segment-*.h5")

    def test_a_run_that_was_extended(self) -> None:
        run = self.copy(self.whole)
        gradscape("train", self.config, "--out", run, "--resume", "--train.steps", 12, "--quiet")
        self.assertRegex(gradscape("status", run, expect=1).stdout, r"shift +\d+ done, \d+ missing of")
        for verb in ("sweep", "shift", "distributions"):
            gradscape(verb, run, "--quiet", "--task", "0/1")
        self.assertIn("stale", gradscape("info", run).stdout)
        self.assert_stale(run, "landscape.h5", "shift.h5", "distributions.h5")

    def test_a_partial_merge_that_is_complete_now(self) -> None:
        run = self.copy(self.whole)
        shard = run / "sweep/main/segment-00000004-00000008.h5"
        shard.unlink()
        gradscape("merge", run, "--partial", "--quiet")
        gradscape("sweep", run, "--quiet")
        self.assert_stale(run, "landscape.h5")

    def test_a_shard_that_was_made_again_differently(self) -> None:
        """The same steps with other numbers, as another program would leave them."""
        run = self.copy(self.whole)
        other = self.make("run", SETTINGS | {"train.seed": 8}, self.place / "other")
        name = "sweep/main/segment-00000004-00000008.h5"
        (run / name).write_bytes((other / name).read_bytes())
        self.assertIn("changed since", gradscape("status", run, expect=1).stdout)

    def test_unions(self) -> None:
        seeds = self.write_config(SETTINGS | {"experiment.seeds": [1, 2]}, self.place / "seeds.toml")
        out = self.place / "seeds"
        gradscape("run", seeds, "--out", out, "--quiet")
        gradscape("status", out)
        self.make("run", SETTINGS | {"train.seed": 3}, out / "seed-3")
        self.assert_stale(out, "landscape.h5")
        rates = self.write_config(SETTINGS | {"experiment.learning_rates": [0.1, 0.2], "sweep.kind": "runs"},
                                  self.place / "rates.toml")
        out = self.place / "rates"
        gradscape("run", rates, "--out", out, "--quiet")
        extended = self.write_config(SETTINGS | {"experiment.learning_rates": [0.1, 0.2], "sweep.kind": "runs",
                                                 "train.steps": 9}, self.place / "longer.toml")
        gradscape("train", extended, "--out", out, "--resume", "--quiet")
        self.assertRegex(gradscape("status", out, expect=1).stdout, rf"stale +{out}/runs.h5: .*renew it with: gradscape merge {out}")

    def test_files_of_programs_that_name_no_sources(self) -> None:
        run = self.copy(self.whole)
        for name in ("landscape.h5", "shift.h5"):
            with h5py.File(run / name, "a") as file:
                for attribute in ("sources", "sources_count", "sources_hash", "content_hash"):
                    del file.attrs[attribute]
                for item in file.values():
                    item.attrs.pop("xxh3", None)
                file.attrs.create("format_version", 1, dtype=np.int64)
        gradscape("train", self.config, "--out", run, "--resume", "--train.steps", 9, "--quiet")
        for verb in ("sweep", "shift", "distributions"):
            gradscape(verb, run, "--quiet", "--task", "0/1")
        document = json.loads(gradscape("status", run, "--json", expect=1).stdout)
        self.assertEqual([Path(file["file"]).name for file in document["runs"][0]["stale"]], ["distributions.h5"])


if __name__ == "__main__":
    main()
