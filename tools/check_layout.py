#!/usr/bin/python3
"""Reads every include of the sources and fails on one that goes upward, or on a circle of headers. The floors are the rows
of the first table of docs/design.md, from the top down; a folder includes its own files and those of floors below it. Fails, too,
on a file of over a megabyte that git keeps: data and results are none of the sources."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INCLUDE = re.compile(r'^#include "gradscape/(\w+)/(\w+)\.hpp"', re.MULTILINE)


def floors() -> dict[str, int]:
    """Height of each folder; folders of one row stand side by side and do not include each other."""
    rows = re.findall(r"^\| `(\w+/`(?:, `\w+/`)*) \|", (ROOT / "docs/design.md").read_text(), re.MULTILINE)
    return {name: len(rows) - i for i, row in enumerate(rows) for name in re.findall(r"\w+", row)}


def includes() -> dict[str, list[str]]:
    """"folder/name" of each header and source with those that it includes."""
    found: dict[str, list[str]] = {}
    for path in [*(ROOT / "include/gradscape").glob("*/*.hpp"), *(ROOT / "src").glob("*/*.cpp")]:
        names = [f"{folder}/{name}" for folder, name in INCLUDE.findall(path.read_text())]
        found[str(path.relative_to(ROOT))] = names
    return found


def circle(graph: dict[str, list[str]]) -> list[str]:
    done: set[str] = set()

    def walk(node: str, way: list[str]) -> list[str]:
        if node in way:
            return way[way.index(node):] + [node]
        if node in done:
            return []
        for other in graph.get(node, []):
            if found := walk(other, way + [node]):
                return found
        done.add(node)
        return []

    return next((found for node in graph if (found := walk(node, []))), [])


def large_files() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)  # nothing in a tarball
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file() and (ROOT / name).stat().st_size > 1e6]


def main() -> int:
    height = floors()
    problems = []
    graph: dict[str, list[str]] = {}
    for path, names in includes().items():
        folder = Path(path).parent.name
        if folder not in height:
            problems.append(f"{path}: docs/design.md has no floor for {folder}/")
            continue
        if path.startswith("include/"):
            graph[f"{folder}/{Path(path).stem}"] = names
        for name in names:
            other = name.split("/")[0]
            if other not in height or (other != folder and height[other] >= height[folder]):
                problems.append(f"{path}: includes {name}, which is not below {folder}/")
    problems += [f"{name}: over a megabyte, and kept by git" for name in large_files()]
    if way := circle(graph):
        problems.append("headers include each other in a circle: " + " -> ".join(way))
    print("\n".join(problems) or f"{len(height)} floors, no include goes upward")
    return 1 if problems or not height else 0


if __name__ == "__main__":
    sys.exit(main())
