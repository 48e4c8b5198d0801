#!/usr/bin/python3
"""Whose a folder and its files are: the program writes and deletes only what it can show to be its own, and a run is known
by its marker, not by a name that anybody uses."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py

from support import PLAIN, Case, gradscape, h5_files, main, toml_text

STUDY = '[[variant]]\nname = "none"\n[[variant]]\nname = "bn"\nmodel.norm = "batch"\n'


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Ownership(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.settings = PLAIN | {"train.steps": 8}
        cls.config = cls.write_config(cls.settings)
        cls.run_directory = cls.make("run", cls.settings, cls.shared / "run")
        gradscape("shift", cls.run_directory, "--quiet")

    def assert_untouched(self, folder: Path, *arguments: object, expect: int | tuple[int, ...], says: tuple[str, ...],
                         **options: object) -> None:
        before = contents(folder)
        gradscape(*arguments, expect=expect, says=says, **options)
        self.assertEqual(before, contents(folder))

    def test_the_users_own_configuration(self) -> None:
        """`--out .` beside a configuration named config.toml."""
        mine = self.place / "config.toml"
        mine.write_text("# mine\n" + toml_text(self.settings))
        for verb in ("run", "train"):
            for more in ((), ("--resume",), ("--force",)):
                self.assert_untouched(self.place, verb, "config.toml", "--out", ".", *more, expect=2,
                                      says=("config.toml", "--out"), cwd=self.place)
        self.assertTrue(mine.read_text().startswith("# mine"))

    def test_another_projects_folder(self) -> None:
        """A site generator's or trainer's folder with config.toml, checkpoints/, trace/ and grids of its own."""
        for name in ("config.toml", "checkpoints/best.pt", "checkpoints/step-00000004.h5", "trace/log.txt",
                     "landscape.h5", "sweep/notes.md"):
            path = self.place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("not gradscape's")
        with h5py.File(self.place / "landscape.h5", "w") as file:
            file["land"] = 1
        for verb in ("run", "train"):
            for more in ((), ("--resume",), ("--force",)):
                self.assert_untouched(self.place, verb, self.config, "--out", self.place, *more, expect=(1, 2),
                                      says=(str(self.place),))
        for verb in ("info", "sweep", "merge", "verify", "status", "shift"):
            self.assert_untouched(self.place, verb, self.place, expect=2, says=("holds no run",))

    def test_force_leaves_what_is_not_its_own(self) -> None:
        run = self.copy(self.run_directory)
        others = {"notes.txt": "a", "checkpoints/best.pt": "b", "trace/segment.csv": "c", "sweep/main/figure.png": "d",
                  "landscape.png": "e", "other/config.toml": "f"}
        for name, text in others.items():
            (run / name).parent.mkdir(exist_ok=True)
            (run / name).write_text(text)
        gradscape("train", self.config, "--out", run, "--force", "--train.steps", 4, "--quiet")
        self.assertEqual({name: (run / name).read_text() for name in others}, others)
        self.assertEqual(h5_files(run), ["checkpoints/step-00000000.h5", "checkpoints/step-00000004.h5",
                                         "trace/segment-00000000-00000004.h5"], "nothing else of the old run is left")

    def test_force_refuses_another_programs_file_under_a_runs_name(self) -> None:
        run = self.copy(self.run_directory)
        (run / "checkpoints/step-00000004.h5").unlink()
        with h5py.File(run / "checkpoints/step-00000004.h5", "w") as file:
            file["weights"] = 1
        self.assert_untouched(run, "train", self.config, "--out", run, "--force", expect=1,
                              says=("step-00000004.h5", "another program's"))

    def test_force_follows_no_links(self) -> None:
        """A checkpoints folder that was moved elsewhere by a link loses its checkpoints, and nothing beside them."""
        run = self.copy(self.run_directory)
        shutil.move(run / "checkpoints", self.place / "disk")
        (run / "checkpoints").symlink_to(self.place / "disk")
        (self.place / "disk/keep.txt").write_text("keep")
        gradscape("train", self.config, "--out", run, "--force", "--train.steps", 4, "--quiet")
        self.assertTrue((run / "checkpoints").is_symlink())
        self.assertEqual(sorted(path.name for path in (self.place / "disk").iterdir()),
                         ["keep.txt", "step-00000000.h5", "step-00000004.h5"])

    def test_a_study_file_beside_its_runs(self) -> None:
        """runs/NAME/config.toml, the study's own: every verb goes on to the runs below it."""
        study = self.place / "config.toml"
        study.write_text(toml_text(self.settings) + STUDY)
        gradscape("run", study, "--out", self.place, "--quiet")
        for verb in ("info", "status", "verify", "merge", "sweep"):
            gradscape(verb, self.place)
        self.assertEqual(study.read_text(), toml_text(self.settings) + STUDY)

    def test_a_run_of_a_program_before_markers(self) -> None:
        run = self.copy(self.run_directory)
        (run / "gradscape-run").unlink()
        for verb in ("info", "status", "verify", "merge", "sweep"):
            gradscape(verb, run)
        gradscape("run", self.config, "--out", run, "--resume", "--train.steps", 9, "--quiet")
        self.assertTrue((run / "gradscape-run").is_file(), "a run that goes on is marked")

    def test_force_takes_all_that_was_derived(self) -> None:
        """Also where only the number of steps shrinks, which makes it the same run."""
        config = self.write_config(self.settings | {"experiment.seeds": [1, 2]}, self.place / "seeds.toml")
        out = self.place / "out"
        gradscape("run", config, "--out", out, "--quiet")
        for verb in ("shift", "distributions"):
            gradscape(verb, out, "--quiet")
        self.assertIn("landscape.h5", h5_files(out))
        gradscape("train", config, "--out", out, "--force", "--train.steps", 4, "--quiet")
        for name in h5_files(out):
            self.assertRegex(name, r"seed-\d/(checkpoints|trace)/")


if __name__ == "__main__":
    main()
