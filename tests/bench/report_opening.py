#!/usr/bin/python3
"""How long a report takes to be made, how large it is, and how long Chromium takes from its address to the figures in sight:
report_opening.py RUN_DIR... [--rounds 5]. Each opening is the first one of a new browser with an empty profile."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/tools"))

from browser import CHROMIUM, Browser  # noqa: E402


def opening(page: Path) -> tuple[float, float]:
    """Seconds on the clock, and of processor time in the page's main thread."""
    browser = Browser()
    try:
        browser.look(1280, 900)
        browser.call("Performance.enable", timeDomain="threadTicks")
        browser.open(page)
        spent = {each["name"]: each["value"] for each in browser.call("Performance.getMetrics")["metrics"]}
        return float(browser.value("document.documentElement.dataset.ready")) / 1000, spent["TaskDuration"]
    finally:
        browser.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("places", nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if not CHROMIUM:
        sys.exit("report_opening: chromium is not installed")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        begun = time.monotonic()
        subprocess.run([ROOT / "tools/report.py", *options.places, "-o", page], check=True)
        print(f"made in {time.monotonic() - begun:.1f} s, {page.stat().st_size / 1e6:.2f} MB; load {os.getloadavg()[0]:.1f}")
        rounds = [opening(page) for _ in range(options.rounds)]
    for words, values in zip(("on the clock", "of processor time in the page's main thread"), zip(*rounds)):
        print(f"opened in {statistics.median(values):.2f} s ({min(values):.2f} to {max(values):.2f}) {words}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
