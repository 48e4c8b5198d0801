#!/usr/bin/python3
"""Damaged, partial and uneven runs: every figure draws what is there, or says in one line which file is wrong; it never ends in
an exception of a library, hangs, or follows a link out of a file."""

from __future__ import annotations

import os
import random
import shutil
import time
import unittest
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from support import INF, NAN, SLOW, Case, caught

from gradscape import figures
from gradscape.figures import cli, series
from gradscape.figures.style import settings_of

READS = {"trace/segment-00000001-00000004.h5": (cli.accuracy,), "shift.h5": (cli.shift,), "theorem.h5": (cli.theorem,),
         "runs.h5": (cli.cross_run,), "distributions.h5": (cli.ridgelines, cli.weights, cli.moments, cli.drift),
         "landscape.h5": (cli.landscape, cli.layers, cli.step_sizes), "surface.h5": (cli.surface,)}
HOSTILE = ("\x00", "[" * 5000, "[model]\nnorm = " + "9" * 5000, 'model = "x"', "\ud800", "[model]\nnorm = 3", "[[train]]\nlr = 1", "")


def written_as_gradscape_does(path: Path) -> None:
    """The same file in chunks with checksums, in the format of HDF5 1.10."""
    with h5py.File(path) as file:
        data = {name: item[()] for name, item in file.items()}
        attributes = dict(file.attrs)
        labels = file["layer"].attrs["labels"] if "layer" in file else None
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        for name, values in data.items():
            file.create_dataset(name, data=values, fletcher32=True, chunks=values.shape)
        file.attrs.update(attributes)
        if labels is not None:
            file["layer"].attrs["labels"] = labels


class Mutator:
    """Changes a file in one way; the same seed gives the same change."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.told = ""

    def change(self, path: Path) -> None:
        change = self.random.choice((self.bytes, self.bytes, self.bytes, self.zeros, self.truncation, self.absence, self.dataset,
                                     self.dataset, self.values, self.values, self.attribute, self.link))
        self.told = change.__name__
        change(path)

    def bytes(self, path: Path) -> None:
        content = bytearray(path.read_bytes())
        for _ in range(self.random.choice((1, 1, 2, 8, 64))):
            content[self.random.randrange(len(content))] = self.random.randrange(256)
        path.write_bytes(content)

    def zeros(self, path: Path) -> None:
        content = bytearray(path.read_bytes())
        first = self.random.randrange(len(content))
        length = min(self.random.choice((8, 512, 4096)), len(content) - first)
        content[first:first + length] = bytes(length)
        path.write_bytes(content)

    def truncation(self, path: Path) -> None:
        path.write_bytes(path.read_bytes()[:self.random.randrange(path.stat().st_size)])

    def absence(self, path: Path) -> None:
        path.unlink()
        kind = self.random.randrange(4)
        if kind == 1:
            path.mkdir()
        elif kind == 2:
            os.mkfifo(path)
        elif kind == 3:
            path.symlink_to("/dev/zero")

    def dataset(self, path: Path) -> None:
        """One is missing, or has another extent or type."""
        with h5py.File(path, "a") as file:
            name = self.random.choice(list(file))
            values = file[name][()]
            del file[name]
            others = (None, values[:0], values[:1], values[..., np.newaxis], values.reshape(-1)[:-1], np.float64(3), values.T,
                      np.repeat(values, 2, axis=0), values.astype(float) + 0.5, values.astype("S8"),
                      np.zeros(values.shape, [("a", "f8")]), np.full(values.shape, np.datetime64("2020").astype(int)), "text",
                      values.astype(np.uint64) + 2**63, values.astype(np.float16), values.astype(complex), h5py.Empty("f8"), "group")
            other = self.random.choice(others)
            self.told += f" {name} {getattr(other, 'shape', other)}"
            if isinstance(other, str) and other == "group":
                file.create_group(name)
            elif other is not None:
                file[name] = other

    def values(self, path: Path) -> None:
        """One has wild values."""
        with h5py.File(path, "a") as file:
            name = self.random.choice(list(file))
            values = file[name][()]
            whole = values.dtype.kind in "iu"
            wild = self.random.choice((0, -1, 7, 2**62, -2**62) if whole else (NAN, INF, -INF, 0.0, -1.0, 1e308, -1e308, 5e-324, 1e-300))
            chosen = np.random.default_rng(self.random.randrange(2**32)).random(values.shape) < self.random.choice((0.1, 0.5, 1.1))
            self.told += f" {name} {wild}"
            with np.errstate(all="ignore"):
                values[chosen] = np.array(wild).astype(values.dtype)
            del file[name]
            file[name] = values

    def attribute(self, path: Path) -> None:
        with h5py.File(path, "a") as file:
            place = file["layer"] if "layer" in file and self.random.randrange(2) else file
            for name in ("labels", "config", "direction", "variant", "complete", "sources", "sources_count", "sources_hash"):
                if self.random.randrange(2):
                    value = self.random.choice((np.arange(3.0), b"\xff\xfe", "x" * 1000, "", "a\nb/../../*", -1, 2**63, NAN,
                                                np.array(["a", "b"], dtype=object), h5py.Empty("f8"), "\u0000"[:0] + ",,,,"))
                    place.attrs[name] = value
                    self.told += f" {name}={str(value)[:20]}"

    def link(self, path: Path) -> None:
        with h5py.File(path, "a") as file:
            name = self.random.choice(list(file))
            file.move(name, "moved")
            kind = self.random.randrange(4)
            file[name] = (h5py.SoftLink("/moved"), h5py.ExternalLink("other.h5", "/x"), h5py.SoftLink(f"/{name}"),
                          h5py.ExternalLink(path.name, f"/{name}"))[kind]
            self.told += f" {name} {kind}"


class Damage(Case):
    def assert_draws_or_says(self, function: Callable, place: Path, told: str) -> str:
        """What it says."""
        started = time.process_time()
        try:
            figure, errors = caught(lambda: function(place))
            caught(lambda: figure.savefig(self.place / "figure.png", dpi=40))
        except figures.Error as failure:
            errors = str(failure)
            self.assertIn(str(place), errors, f"{told}: the file is not named")
            self.assertNotIn("\n", errors, told)
        except Exception as failure:
            raise AssertionError(f"{told}: {type(failure).__name__}: {failure}") from failure
        self.assertLess(time.process_time() - started, 5, f"{told}: took long")
        return errors

    def test_mutations(self) -> None:
        study = self.write_study()
        for path in study.glob("*/**/*.h5"):
            written_as_gradscape_does(path)
        kept = self.place / "kept"
        shutil.copytree(study, kept)
        first = int(os.environ.get("GRADSCAPE_MUTATION", "0"))
        for seed in range(first, first + (2000 if SLOW else 120)):
            mutator = Mutator(seed)
            name = mutator.random.choice(list(READS))
            path = study / mutator.random.choice(("none", "bn")) / name
            mutator.change(path)
            if mutator.random.randrange(3) == 0 and (path.parent / path.name).is_file():
                mutator.bytes(path)
            function = mutator.random.choice(READS[name])
            place = mutator.random.choice((study, path.parent if "trace" not in name else path.parent.parent))
            self.assert_draws_or_says(function, place, f"mutation {seed}, {function.__name__} of {path.parent.name}/{path.name}: {mutator.told}")
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink(missing_ok=True)
            shutil.copy(kept / path.relative_to(study), path)

    def test_configurations(self) -> None:
        study = self.write_study()
        for at, text in enumerate(HOSTILE):
            (study / "bn/config.toml").write_bytes(text.encode(errors="surrogatepass"))
            for path in study.glob("*/*.h5"):
                with h5py.File(path, "a") as file:
                    file.attrs["config"] = np.bytes_(text.encode(errors="surrogatepass")[:10000] + b"\xff")
            settings_of(text)
            self.assert_draws_or_says(cli.FIGURES[at % len(cli.FIGURES)], study, text[:20])

    def test_values_of_one_kind(self) -> None:
        """Files that are in order, of runs that are not: all NaN, all 0, infinities, one step, no tests."""
        for value in (NAN, 0.0, INF, -1e300):
            study = self.write_study(f"study{value}")
            for path in study.glob("*/**/*.h5"):
                with h5py.File(path, "a") as file:
                    for name, item in file.items():
                        if item.dtype.kind == "f" and name not in ("alpha", "x", "y"):
                            item[...] = value
            for function in cli.FIGURES:
                errors = self.assert_draws_or_says(function, study, f"{function.__name__} of {value}")
                self.assertEqual(errors, "", f"{function.__name__} of {value}: such values are drawn")

    def test_one_step(self) -> None:
        study = self.write_study()
        for path in study.glob("*/**/*.h5"):
            with h5py.File(path, "a") as file:
                records = file["step" if "step" in file else "repeat"].size
                for name in list(file):
                    values = file[name][()]
                    if values.shape and values.shape[0] == records and name not in ("layer", "alpha", "unit", "bin", "lr"):
                        del file[name]
                        file[name] = values[:1]
                    elif name == "lr" and "alpha" in file:
                        del file[name]
                        file[name] = values[:1]
        for function in cli.FIGURES:
            self.assert_draws_or_says(function, study, function.__name__)

    def test_uneven_seeds(self) -> None:
        """Of one variant: other steps, other layers, other multipliers, a damaged file, nothing at all."""
        study = self.place / "study"
        for seed in range(4):
            run = self.write_all(self.run_directory(f"study/bn/seed-{seed}", "batch"))
            if seed == 1:
                self.write_shift(run, [[0, 1.0, 2]] * 5, [[1, 1.0, 1]] * 5, layers=(1, 2, 3), labels="a,b,c", every=3)
                self.write_distributions(run, layers=(2,), labels="b")
                with h5py.File(run / "landscape.h5", "a") as file:
                    file["alpha"][...] = [3.0, 4.0]
                    file["step"][...] = [5, 6, 7]
            if seed == 2:
                for path in run.glob("**/*.h5"):
                    path.write_bytes(path.read_bytes()[:100])
        self.run_directory("study/bn/seed-9", "batch")
        for function in cli.FIGURES:
            if function is not cli.cross_run:
                errors = self.assert_draws_or_says(function, study, function.__name__)
                self.assertIn(f"{study}/bn/seed-2/", errors, function.__name__)
                self.assertIn(f"{study}/bn/seed-9", errors, function.__name__)

    def test_links_out_of_a_file_are_not_followed(self) -> None:
        run = self.write_shift(self.run_directory("bn"), [[0, 1.0]], [[1, 1.0]])
        other = self.write_shift(self.run_directory("other"), [[0, 5.0]], [[1, 1.0]])
        raw = self.place / "raw"
        raw.write_bytes(bytes(16))

        def replaced(put: Callable[[h5py.File], None]) -> str:
            self.write_shift(run, [[0, 1.0]], [[1, 1.0]])
            with h5py.File(run / "shift.h5", "a") as file:
                del file["shift_norm"]
                put(file)
            with self.assertRaises(figures.Error) as caught_error:
                figures.shift(run)
            return str(caught_error.exception)

        def put_link(file: h5py.File) -> None:
            file["shift_norm"] = h5py.ExternalLink(str(other / "shift.h5"), "/shift_norm")

        def put_external(file: h5py.File) -> None:
            file.create_dataset("shift_norm", (1, 2), "f8", external=[(str(raw), 0, 16)])

        def put_virtual(file: h5py.File) -> None:
            layout = h5py.VirtualLayout((1, 2), "f8")
            layout[...] = h5py.VirtualSource(str(other / "shift.h5"), "shift_norm", (1, 2))
            file.create_virtual_dataset("shift_norm", layout)

        self.assertIn("shift_norm is a link, which is not followed", replaced(put_link))
        self.assertIn("shift_norm lies in another file", replaced(put_external))
        self.assertIn("shift_norm lies in another file", replaced(put_virtual))

    def test_a_small_file_that_claims_to_be_large(self) -> None:
        run = self.write_shift(self.run_directory("bn"), [[0, 1.0]], [[1, 1.0]])
        with h5py.File(run / "shift.h5", "a") as file:
            del file["step"]
            file.create_dataset("step", (2**28,), "i8", chunks=(2**20,))
        with self.assertRaisesRegex(figures.Error, r"step claims 268435456 values in a file of \d+ bytes"):
            figures.shift(run)

    def test_names_of_any_bytes(self) -> None:
        study = self.place / os.fsdecode(b"\xe4-$_\n{")
        self.write_study(study.name)
        self.command("shift", study, "-o", self.place / "figure.svg")
        self.command("landscape", study / "bn", "--json", "--title", os.fsdecode(b"\xff"))

    def test_what_a_run_is(self) -> None:
        """A marker, or of older programs a checkpoint, beside the configuration; never the configuration alone."""
        run = self.run_directory("run")
        self.assertTrue(series.is_run(run))
        (run / "gradscape-run").unlink()
        self.assertFalse(series.is_run(run))
        self.assert_error("accuracy", run, "--json", says=("holds no run",))
        (run / "checkpoints").mkdir()
        (run / "checkpoints/step-00000000.h5").touch()
        self.assertTrue(series.is_run(run))
        (run / "config.toml").unlink()
        self.assertFalse(series.is_run(run))

    def test_a_fault_of_our_own_is_no_traceback(self) -> None:
        study = self.write_study()
        original = cli.run_program
        try:
            cli.run_program = lambda options: 1 / 0
            self.assert_error("shift", study, "--json", says=("plot: shift of", "ZeroDivisionError", "a fault of plot.py"))
        finally:
            cli.run_program = original


if __name__ == "__main__":
    unittest.main()
