#!/usr/bin/python3
"""A processor without AVX2 and FMA is refused in words with code 1; qemu plays the processors."""

from __future__ import annotations

import os
import shutil
import subprocess
import unittest

from support import BINARY, SLOW, Case, environment, main

QEMU = shutil.which("qemu-x86_64") or shutil.which("qemu-x86_64-static")


def run_on(cpu: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([QEMU, "-cpu", cpu, BINARY, *arguments], capture_output=True, text=True, timeout=600,
                          env=environment())


@unittest.skipUnless(SLOW, "slow: GRADSCAPE_SLOW=1 runs it")
@unittest.skipUnless(QEMU, "qemu-x86_64 is not installed (Debian package qemu-user)")
class OldCpu(Case):
    def test_without_avx2(self) -> None:
        # Westmere (2010) has no AVX, IvyBridge (2012) AVX without AVX2 and FMA, Haswell without FMA is made up.
        for cpu, lacks in (("Westmere", "no AVX AVX2 FMA"), ("IvyBridge", "no AVX2 FMA"), ("qemu64", "no AVX AVX2 FMA"),
                           ("max,fma=off", "no FMA\n"), ("max,avx2=off", "no AVX2\n")):
            for arguments in (("--version",), ("info", str(self.place)), ()):
                done = run_on(cpu, *arguments)
                self.assertEqual(done.returncode, 1, f"{cpu} {arguments}: {done}")
                self.assertEqual(done.stdout, "")
                self.assertRegex(done.stderr, r"\A(qemu.*\n)*gradscape: this processor cannot run the program.*x86-64-v3")
                self.assertIn(lacks, done.stderr)
                self.assertIn("hint: ", done.stderr)

    def test_with_avx2(self) -> None:
        done = run_on("max", "--version")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("gradscape ", done.stdout)

    def test_stderr_may_be_closed(self) -> None:
        closed = os.open(os.devnull, os.O_RDONLY)
        self.addCleanup(os.close, closed)
        done = subprocess.run([QEMU, "-cpu", "Westmere", BINARY, "--version"], stderr=closed, timeout=600)
        self.assertEqual(done.returncode, 1)


if __name__ == "__main__":
    main()
