#!/usr/bin/python3
"""Fails on a line of README, SECURITY or docs that is longer than 160 characters: diffs and terminals show whole lines."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 160


def documents() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "tools").rglob("*.md")])


def main() -> int:
    found = documents()
    problems = [f"{path.relative_to(ROOT)}:{number}: {len(line)} characters, at most {WIDTH}"
                for path in found
                for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if len(line) > WIDTH]
    print("\n".join(problems) or f"{len(found)} documents, no line longer than {WIDTH} characters")
    return 1 if problems or not found else 0


if __name__ == "__main__":
    sys.exit(main())
