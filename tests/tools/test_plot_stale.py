#!/usr/bin/python3
"""Files that were made of other files than are there now are drawn with a warning."""

from __future__ import annotations

import unittest
from pathlib import Path

import h5py
import numpy as np

from support import Case, caught

from gradscape import figures
from gradscape.figures import cli
from gradscape.figures.files import matching

HASHES = (2**64 - 5, 7, 2**63)  # their sum is beyond 2^64


class Stale(Case):
    def write_source(self, path: Path, value: int | None) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            if value is not None:
                file.attrs["content_hash"] = np.uint64(value)
        return path

    def sources(self, *patterns: str, count: int = 3, total: int = sum(HASHES) % 2**64) -> dict[str, object]:
        return {"sources": np.bytes_("\n".join(patterns)), "sources_count": np.int64(count), "sources_hash": np.uint64(total)}

    def says(self, function, place: Path) -> tuple[str, str]:
        figure, errors = caught(lambda: function(place))
        return errors, figure.caption

    def assert_fresh(self, function, place: Path) -> None:
        errors, caption = self.says(function, place)
        self.assertEqual((errors, "stale" in caption), ("", False))

    def assert_stale(self, function, place: Path, file: str, mend: str) -> None:
        errors, caption = self.says(function, place)
        self.assertEqual(errors.count("\n"), 1, errors)
        self.assertIn(f"warning: {place / file}: stale", errors)
        self.assertIn(mend, errors)
        self.assertIn(f"made before its sources changed (stale): {place.name}", caption)

    def write_swept(self) -> tuple[Path, list[Path]]:
        run = self.run_directory("bn", "batch")
        self.write_landscape(run, **self.sources("sweep/main/segment-*.h5"))
        return run, [self.write_source(run / f"sweep/main/segment-{at}.h5", value) for at, value in enumerate(HASHES)]

    def test_a_grid(self) -> None:
        run, paths = self.write_swept()
        for function in (cli.landscape, cli.layers, cli.step_sizes):
            self.assert_fresh(function, run)
        self.write_source(run / "sweep/main/.segment-9.h5.12.tmp", 1)
        self.write_source(run / "sweep/main/partial/segment-9.h5", 1)
        self.write_source(run / "sweep/other/segment-9.h5", 1)
        self.assert_fresh(cli.landscape, run)
        changes = {"another content": lambda: self.write_source(paths[0], 1), "one more": lambda: self.write_source(
            run / "sweep/main/segment-3.h5", 0), "one fewer": lambda: paths[1].unlink(), "an older program's": lambda: self.write_source(
                paths[2], None), "damaged": lambda: paths[0].write_bytes(b"no HDF5")}
        for name, change in changes.items():
            with self.subTest(name):
                change()
                for function in (cli.landscape, cli.layers, cli.step_sizes):
                    self.assert_stale(function, run, "landscape.h5", f"gradscape merge {run}")
                (run / "sweep/main/segment-3.h5").unlink(missing_ok=True)
                for path, value in zip(paths, HASHES):
                    self.write_source(path, value)
        self.assert_fresh(cli.landscape, run)

    def test_every_kind(self) -> None:
        run = self.write_runs(self.write_all(self.run_directory("bn", "batch")))
        for path in (run / "trace").iterdir():
            with h5py.File(path, "a") as file:
                file.attrs["content_hash"] = np.uint64(3)
        for name, functions in (("shift", (cli.shift,)), ("theorem", (cli.theorem,)), ("distributions", (
                cli.drift, cli.moments, cli.ridgelines, cli.weights)), ("runs", (cli.cross_run,))):
            for function in functions:
                for total, check in ((6, self.assert_fresh), (5, None)):
                    with h5py.File(run / f"{name}.h5", "a") as file:
                        file.attrs.update(self.sources("trace/segment-*.h5", "lr-*/trace/segment-*.h5", count=2, total=total))
                    if check:
                        check(function, run)
                    else:
                        self.assert_stale(function, run, f"{name}.h5", "gradscape merge" if name == "runs" else f"gradscape {name}")

    def test_above_seeds(self) -> None:
        variant = self.place / "study/bn"
        for at, value in enumerate(HASHES):
            self.write_source(self.run_directory(f"study/bn/seed-{at}") / "sweep/main/segment-0.h5", value)
        self.write_landscape(variant, **self.sources("seed-*/sweep/main/segment-*.h5"))
        self.assert_fresh(cli.landscape, variant)
        self.write_source(variant / "seed-0/sweep/main/segment-1.h5", 0)
        self.assert_stale(cli.landscape, variant, "landscape.h5", "gradscape merge")
        self.assertIn("bn (stale", "".join(text.get_text() for text in figures.landscape(variant).legends[0].get_texts()))

    def test_an_older_programs_file_is_taken_as_fresh(self) -> None:
        run = self.write_landscape(self.run_directory("bn"))
        self.assert_fresh(cli.landscape, run)

    def test_what_matches(self) -> None:
        for name in ("a1.h5", "a2.h5", ".a3.h5", "b/a4.h5", ".c/a5.h5", "[a].h5", "d/e/a6.h5", "ah5"):
            self.write_source(self.place / name, None)

        def found(pattern: str) -> list[str]:
            return [str(path.relative_to(self.place)) for path in matching(self.place, pattern)]

        self.assertEqual(found("a*.h5"), ["a1.h5", "a2.h5"])
        self.assertEqual(found("*/a*.h5"), ["b/a4.h5"])
        self.assertEqual(found("d/*/a6.h5"), ["d/e/a6.h5"])
        self.assertEqual(found("[a].h5"), ["[a].h5"])
        self.assertEqual(found("a*5"), ["a1.h5", "a2.h5", "ah5"])
        for pattern in ("../*", "/etc/*", "..", "", "b/../a1.h5", "nowhere/*.h5", "b"):
            self.assertEqual(found(pattern), [], pattern)


if __name__ == "__main__":
    unittest.main()
