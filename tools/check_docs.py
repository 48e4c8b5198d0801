#!/usr/bin/python3
"""Fails on a line of any document (*.md of the top folder, of docs/ and of tools/) that is longer than 160 characters (diffs and
terminals show whole lines), and on a link to a file or a heading that is not there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 160


def documents() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "tools").rglob("*.md")])


def headings(document: Path) -> set[str]:
    """As links name them: lower case, dashes for spaces, no punctuation."""
    prose = re.sub(r"(?ms)^```.*?^```$", "", document.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-") for heading in re.findall(r"(?m)^#+ (.*)$", prose)}


def problems_of(document: Path) -> list[str]:
    found = []
    for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), 1):
        place = f"{document.relative_to(ROOT)}:{number}"
        if len(line) > WIDTH:
            found.append(f"{place}: {len(line)} characters, at most {WIDTH}")
        for target, heading in re.findall(r"\]\(([^)\s#]*)#?([^)\s]*)\)", line):
            if "://" in target:
                continue
            file = document.parent / target if target else document
            if not file.exists():
                found.append(f"{place}: links to {target}, which is not there")
            elif heading and file.suffix == ".md" and heading not in headings(file):
                found.append(f"{place}: links to the heading {heading} of {file.name}, which is not there")
    return found


def main() -> int:
    found = documents()
    problems = [problem for path in found for problem in problems_of(path)]
    print("\n".join(problems) or f"{len(found)} documents, no line longer than {WIDTH} characters, every link to a file or heading leads somewhere")
    return 1 if problems or not found else 0


if __name__ == "__main__":
    sys.exit(main())
