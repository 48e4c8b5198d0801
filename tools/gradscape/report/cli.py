"""The command line of the report: report.py RUN_DIR... -o report.html."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from ..figures.cli import Parser, cut, run_safely
from ..figures.files import UsageError, warn
from . import write


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = Parser(prog="report.py", description="Writes a report of runs: one HTML file to look at in any browser, without a network. It shows "
                    "whatever the run directories hold, and says what is missing or damaged.")
    parser.add_argument("places", nargs="+", metavar="RUN_DIR", help="run directory, or directory of variants (all are shown)")
    parser.add_argument("-o", "--output", type=Path, default=Path("report.html"), metavar="FILE", help="page to write (default: report.html)")
    parser.add_argument("--title", help="its heading (default: the experiments' names)")
    parser.set_defaults(figure="a report", parser=parser)
    return parser.parse_args(arguments)


def run_program(options: argparse.Namespace) -> None:
    begun = time.monotonic()
    if options.output.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{options.output}: name it .html")
    report = write(options.places, options.output, options.title)
    for problem in report.problems:
        warn(cut(problem))
    print(f"{options.output}: {len(report.figures)} figures, {options.output.stat().st_size / 1e6:.1f} MB, {time.monotonic() - begun:.1f} s", flush=True)


def main(arguments: list[str] | None = None) -> int:
    return run_safely("report", parse_arguments, run_program, arguments)
