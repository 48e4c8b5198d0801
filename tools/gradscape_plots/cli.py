"""The command line of the figures: plot.py FIGURE PLACE... -o FILE."""

from __future__ import annotations

import argparse
import inspect
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from .analyses import drift, layers, moments, shift, step_sizes, theorem
from .grids import Error, to_json
from .histograms import ridgelines, weights
from .landscape_figure import main as landscape_main
from .style import METADATA, checked, save_figure, styled
from .training import accuracy, cross_run

FIGURES: tuple[Callable[..., Figure], ...] = (accuracy, cross_run, step_sizes, shift, ridgelines, moments, drift, weights,
                                              theorem, layers)


def words(text: str) -> list[str]:
    return text.split(",")


INTEGER = checked(r"[1-9]\d{0,5}", int, "a whole number from 1 to 999999")
OPTIONS = {  # parameter → flag
    "layers": dict(type=words, metavar="A,B", help="layers by number (from 1) or name (default: some, spread over the depth)"),
    "steps": dict(metavar="0,100,…", help="training steps to draw (default: some, spread over training)",
                  type=checked(r"\d{1,18}(,\d{1,18})*", lambda text: list(map(int, text.split(","))), "a list such as 0,100")),
    "what": dict(choices=("activation", "weight"), help="whose distribution (default: activation)"),
    "value": dict(choices=("accuracy", "loss"), help="what to draw (default: accuracy)"),
    "smooth": dict(type=INTEGER, metavar="N", help="draw moving averages over N records"),
    "log_x": dict(action="store_true", help="logarithmic step axis; step 0 stays visible"),
    "log_y": dict(action="store_true", help="logarithmic value axis"),
    "labels": dict(type=words, metavar="A,B", help="names for the legend, in the order of the runs"),
    "title": dict(help="title above the panels"),
    "size": dict(metavar="WxH", help="size in inches",
                 type=checked(r"[1-9]\d?(\.\d+)?x[1-9]\d?(\.\d+)?", lambda text: tuple(map(float, text.split("x"))),
                              "a size such as 8x3, in inches from 1 to 99")),
}


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="plot.py", description="Draws gradscape's figures.", epilog="plot.py FIGURE --help "
                                     "lists the options of a figure. Every figure is a function of the Python package "
                                     "tools/gradscape_plots too.")
    figures = parser.add_subparsers(dest="figure", metavar="FIGURE", required=True)
    figures.add_parser("landscape", add_help=False, help="loss, gradient difference and beta along the gradient")
    for function in FIGURES:
        text = " ".join(inspect.getdoc(function).split()).replace("%", "%%")
        command = figures.add_parser(function.__name__, description=text, help=text.split(". ")[0].split(" (S")[0])
        command.add_argument("places", nargs="+", metavar="RUN_DIR", help="run directory, or directory of variants")
        command.add_argument("-o", "--output", type=Path, metavar="FILE", help="figure to write: .png, .pdf or .svg")
        command.add_argument("--dpi", type=INTEGER, default=200, help="pixels per inch of a png (default: 200)")
        command.add_argument("--json", action="store_true", help="print the numbers behind the figure")
        for name in inspect.signature(function).parameters:
            if name in OPTIONS:
                command.add_argument("--" + name.replace("_", "-"), default=argparse.SUPPRESS, **OPTIONS[name])
        command.set_defaults(function=function)
    options = parser.parse_args(arguments)
    if not (options.output or options.json):
        parser.error("nothing to do: give -o FILE for a figure, or --json for the numbers")
    return options


def run_program(options: argparse.Namespace) -> None:
    if options.output and options.output.suffix.lower() not in METADATA:
        raise Error(f"{options.output}: unknown kind of figure; name it .png, .pdf or .svg")
    taken = {name: getattr(options, name) for name in OPTIONS if hasattr(options, name)}
    figure = options.function(options.places, **taken)
    if options.output:
        styled(lambda: save_figure(figure, options.output, options.dpi))
    if options.json:
        print(to_json({"figure": options.figure, "numbers": figure.numbers}))
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["landscape"]:
        return landscape_main(arguments[1:], "plot.py landscape")
    options = parse_arguments(arguments)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # means of nothing, enormous values and missing glyphs are no news to the user
            run_program(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of the numbers has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (Error, OSError) as failure:
        print(f"plot: {failure}", file=sys.stderr)
        return 1
    return 0
