#!/usr/bin/python3
"""What the executable's ELF headers say: position-independent, relocations read-only and resolved at start, stack
protector, checked string functions, a stack that is not executable, no folder to look for libraries in; as built and
as installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import unittest
from pathlib import Path

from support import BINARY, Case, main

CACHE = Path(BINARY).parent / "CMakeCache.txt"


def sanitized() -> bool:
    """The sanitizers' builds have checks of their own."""
    return CACHE.exists() and re.search(r"(?m)^GRADSCAPE_SANITIZE:\w+=.", CACHE.read_text()) is not None


def readelf(path: Path | str, *options: str) -> str:
    return subprocess.run(["readelf", "--wide", *options, path], check=True, capture_output=True, text=True).stdout


@unittest.skipIf(sanitized(), "built with sanitizers")
@unittest.skipUnless(shutil.which("readelf"), "readelf is not installed (Debian package binutils)")
class Hardening(Case):
    def assert_hardened(self, path: Path | str) -> None:
        self.assertRegex(readelf(path, "--file-header"), r"Type: +DYN", "position-independent")
        dynamic = readelf(path, "--dynamic")
        self.assertRegex(dynamic, r"\(FLAGS_1\) .*\bPIE\b")
        self.assertRegex(dynamic, r"\bBIND_NOW\b|\(FLAGS_1\) .*\bNOW\b")
        self.assertNotRegex(dynamic, r"\((RPATH|RUNPATH|TEXTREL)\)")
        segments = readelf(path, "--program-headers")
        self.assertRegex(segments, r"\n +GNU_RELRO ")
        self.assertRegex(segments, r"\n +GNU_STACK .* RW +0x")
        self.assertNotRegex(segments, r"\n +LOAD .* RWE ")
        symbols = readelf(path, "--dyn-syms")
        self.assertIn(" __stack_chk_fail@", symbols)
        self.assertRegex(symbols, r" __\w+_chk@")

    def test_as_built(self) -> None:
        self.assert_hardened(BINARY)

    @unittest.skipUnless(CACHE.exists() and shutil.which("cmake"), "not beside a build")
    def test_as_installed(self) -> None:
        subprocess.run(["cmake", "--install", CACHE.parent, "--prefix", self.place], check=True, capture_output=True)
        self.assert_hardened(self.place / "bin/gradscape")
        self.assertTrue((self.place / "SECURITY.md").exists())
        for path in self.place.rglob("*"):
            if path.is_file() and path.read_bytes()[:4] == b"\x7fELF":
                self.assertNotRegex(readelf(path, "--dynamic"), r"\((RPATH|RUNPATH)\)", path)


if __name__ == "__main__":
    main()
