#!/usr/bin/python3
"""Draws gradscape's figures: plot.py FIGURE PLACE... -o FILE. plot.py --help lists them."""

import sys

try:
    from gradscape.figures.cli import main
except ImportError as failure:
    module = (failure.name or "numpy").split(".")[0]
    sys.exit(f"plot: no Python module {module}: apt install python3-{module}, and run with /usr/bin/python3")
except KeyboardInterrupt:
    sys.exit(130)

if __name__ == "__main__":
    sys.exit(main())
