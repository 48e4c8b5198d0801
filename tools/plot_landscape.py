#!/usr/bin/python3
"""The landscape figure and its numbers: the same as `plot.py landscape`."""

import sys

try:
    from gradscape.figures.cli import main
except ImportError as failure:
    module = (failure.name or "numpy").split(".")[0]
    sys.exit(f"plot_landscape: no Python module {module}: apt install python3-{module}, and run with /usr/bin/python3")
except KeyboardInterrupt:
    sys.exit(130)

if __name__ == "__main__":
    sys.exit(main(["landscape", *sys.argv[1:]]))
