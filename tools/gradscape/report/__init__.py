"""A report of runs to look at: one HTML file with interactive figures, that opens without a network."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import h5py

from ..figures.files import Error, UsageError, text_of
from ..figures.series import Group, Places
from ..figures.style import settings_of, styles_of
from .page import render
from .sections import Report, collect
from .words import plain

__all__ = ["Error", "UsageError", "write"]
ORIGIN = {"program_version": "program", "git_revision": "revision", "compiler": "compiler", "compiler_flags": "compiler's flags",
          "libraries": "libraries", "data_name": "data", "data_fingerprint": "data's fingerprint", "content_hash": "hash of the file"}


def write(places: Places, output: str | Path = "report.html", title: str | None = None) -> Report:
    """Writes the report of the runs at `places` (run directories, or directories of variants) and returns what it shows:
    `figures`, `numbers` (of each sweep), and `problems`, texts on what is missing or damaged.

    Over many steps a figure shows some of them, the least and the largest value of every stretch among them; their numbers are
    kept to the last digit. Error, whose text says what to do, where there is no run, or nothing of it can be shown.
    """
    report = collect(directories(places))
    if not report.figures:
        raise Error("; ".join(report.problems[:3]) or f"{', '.join(map(str, report.places))}: holds nothing to show yet; make some with: gradscape run")
    for group, style in zip(report.groups.values(), styles_of([(group.label, group.config) for group in report.groups.values()])):
        group.style = style
    path = Path(output)
    text = render(report, title or title_of(list(report.groups.values())), provenance(list(report.groups.values())))
    temporary = path.with_name(f".{path.name[:100]}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError as failure:
        raise Error(f"{path}: cannot be written ({failure.strerror}); choose another place") from failure
    finally:
        with contextlib.suppress(OSError):  # what could not be begun cannot be removed: the first error counts
            temporary.unlink()
    return report


def directories(places: Places) -> list[str | Path]:
    listed = [places] if isinstance(places, str | Path) else list(places)
    for place in listed:
        if Path(place).is_file():
            raise UsageError(f"{place}: is a file; give the run directory that it is in")
    return listed


def title_of(groups: list[Group]) -> str:
    names = dict.fromkeys(str(settings_of(group.config).get("experiment.name") or group.label) for group in groups)
    return plain(", ".join(names)) or "Report"


def provenance(groups: list[Group]) -> list[tuple[str, list[str]]]:
    """Of each group what the first of its files says of where it is from."""
    found = [origin(group) for group in groups]
    return [("folder", [", ".join(plain(run) for run in group.runs) for group in groups]),
            *((words, [each.get(name, "") for each in found]) for name, words in ORIGIN.items() if any(name in each for each in found)),
            ("file", [each["file"] for each in found])]


def origin(group: Group) -> dict[str, str]:
    paths = [file.path for file in group.files]
    for path in paths:
        try:
            with h5py.File(path, "r", locking=False) as file:
                return {"file": plain(path.name)} | {name: plain(text_of(file.attrs[name]) or str(file.attrs[name])) for name in ORIGIN if name in file.attrs}
        except Exception:  # of a damaged file; that it is, is told where it is drawn
            continue
    return {"file": ""}
