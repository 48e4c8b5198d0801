#!/usr/bin/python3
"""CITATION.cff is YAML of the Citation File Format 1.2.0, and names the version that CMakeLists.txt builds."""

from __future__ import annotations

import datetime
import re
import tomllib
import unittest
from pathlib import Path

try:
    import yaml
except ImportError:
    yaml = None

ROOT = Path(__file__).resolve().parents[2]
# The format's schema, version 1.2.0: what must be there, and the keys used here of those that may be.
REQUIRED = {"cff-version", "message", "title", "authors"}
ALLOWED = REQUIRED | {"type", "version", "date-released", "license", "abstract", "keywords", "references", "url", "repository-code", "identifiers", "doi"}


@unittest.skipIf(yaml is None, "python3-yaml is not installed")
class Citation(unittest.TestCase):
    def setUp(self) -> None:
        self.citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))

    def test_it_has_the_keys_of_the_format(self) -> None:
        self.assertEqual(self.citation["cff-version"], "1.2.0")
        self.assertLessEqual(REQUIRED, set(self.citation))
        self.assertLessEqual(set(self.citation), ALLOWED)
        self.assertEqual(self.citation["type"], "software")
        self.assertIsInstance(self.citation.get("date-released", datetime.date.today()), datetime.date)  # none before a release
        self.assertEqual(self.citation["authors"], [{"name": "The gradscape developers"}])

    def test_its_version_is_the_program_s(self) -> None:
        built = re.search(r"project\(gradscape VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
        self.assertEqual(self.citation["version"], built)
        self.assertEqual(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"], built)

    def test_its_license_is_the_project_s(self) -> None:
        self.assertTrue((ROOT / "LICENSE").read_text().startswith(f"{self.citation['license']} License"))

    def test_references_are_complete(self) -> None:
        first = {}
        for paper in self.citation["references"]:
            self.assertLessEqual({"type", "title", "authors", "year", "collection-title", "url"}, set(paper))
            for author in paper["authors"]:
                self.assertEqual(set(author), {"family-names", "given-names"})
            first[paper["authors"][0]["family-names"]] = (paper["year"], len(paper["authors"]))
        self.assertEqual(first, {"Santurkar": (2018, 4), "Li": (2018, 5)})


if __name__ == "__main__":
    unittest.main()
