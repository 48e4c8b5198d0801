#!/usr/bin/python3
"""Writes a report of runs, one HTML file: report.py RUN_DIR... -o report.html."""

import sys

try:
    from gradscape.report.cli import main
except ImportError as failure:
    module = (failure.name or "numpy").split(".")[0]
    sys.exit(f"report: no Python module {module}: apt install python3-{module}, and run with /usr/bin/python3")
except KeyboardInterrupt:
    sys.exit(130)

if __name__ == "__main__":
    sys.exit(main())
