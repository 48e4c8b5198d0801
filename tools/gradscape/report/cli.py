"""The command line of the report: report.py RUN_DIR... -o report.html."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from ..figures.cli import Parser, cut
from ..figures.files import Error, UsageError, shown, tell, warn
from . import write


def main(arguments: list[str] | None = None) -> int:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # names of any bytes, on any terminal
    parser = Parser(prog="report.py", description="Writes a report of runs: one HTML file to look at in any browser, without a network. It shows "
                    "whatever the run directories hold, and says what is missing or damaged.")
    parser.add_argument("places", nargs="+", metavar="RUN_DIR", help="run directory, or directory of variants (all are shown)")
    parser.add_argument("-o", "--output", type=Path, default=Path("report.html"), metavar="FILE", help="page to write (default: report.html)")
    parser.add_argument("--title", help="its heading (default: the experiments' names)")
    options = parser.parse_args(arguments)
    begun = time.monotonic()
    try:
        if options.output.suffix.lower() not in (".html", ".htm"):
            raise UsageError(f"{options.output}: name it .html")
        report = write(options.places, options.output, options.title)
        for problem in report.problems:
            warn(cut(problem))
        print(f"{options.output}: {len(report.figures)} figures, {options.output.stat().st_size / 1e6:.1f} MB, {time.monotonic() - begun:.1f} s", flush=True)
    except KeyboardInterrupt:
        return 130
    except UsageError as failure:
        parser.error(str(failure))
    except BrokenPipeError:
        return 0
    except (Error, OSError) as failure:
        tell(f"report: {cut(str(failure))}")
        return 1
    except Exception as failure:
        tell(f"report: {cut(' '.join(options.places))} cannot be shown: {type(failure).__name__}, {shown(failure)}; this is a fault of report.py")
        return 1
    return 0
