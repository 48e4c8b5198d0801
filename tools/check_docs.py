#!/usr/bin/python3
"""Fails on a line of README, SECURITY or docs that is longer than 160 characters (diffs and terminals show whole lines), and on a
link to a file that is not there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 160


def documents() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "tools").rglob("*.md")])


def problems_of(document: Path) -> list[str]:
    found = []
    for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), 1):
        place = f"{document.relative_to(ROOT)}:{number}"
        if len(line) > WIDTH:
            found.append(f"{place}: {len(line)} characters, at most {WIDTH}")
        for target in re.findall(r"\]\(([^)\s#]+)[^)]*\)", line):
            if "://" not in target and not (document.parent / target).exists():
                found.append(f"{place}: links to {target}, which is not there")
    return found


def main() -> int:
    found = documents()
    problems = [problem for path in found for problem in problems_of(path)]
    print("\n".join(problems) or f"{len(found)} documents, no line longer than {WIDTH} characters, every link to a file leads somewhere")
    return 1 if problems or not found else 0


if __name__ == "__main__":
    sys.exit(main())
