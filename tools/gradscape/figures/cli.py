"""The command line of the figures: plot.py FIGURE PLACE... -o FILE."""

from __future__ import annotations

import argparse
import contextlib
import inspect
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from .analyses import drift, layers, moments, shift, step_sizes, theorem
from .files import MOST, Error, UsageError, shown, tell
from .grids import format_records, format_summaries, record_at, to_json
from .histograms import ridgelines, weights
from .landscape_figure import landscape
from .options import INTEGER, OPTIONS, STEPS
from .style import METADATA, Plot, save_figure
from .surfaces import surface
from .training import accuracy, cross_run

FIGURES: tuple[Callable[..., Plot], ...] = (landscape, accuracy, cross_run, step_sizes, shift, ridgelines, moments, drift,
                                            weights, theorem, layers, surface)
EXAMPLES = """examples:
  plot.py landscape runs/bn-vs-none -o figure.png                 all variants of an experiment
  plot.py landscape runs/a runs/b --labels "lr 0.1,lr 0.5" --smooth 5 -o figure.pdf
  plot.py landscape runs/bn-vs-none --table 0,100,1000            numbers only
  plot.py landscape runs/bn-vs-none --paper column --panel a -o loss.pdf"""


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        super().error(cut(message))


def cut(message: str) -> str:
    """A message in which no word is longer than what is to be quoted."""
    return re.sub(rf"\S{{{MOST + 1},}}", lambda word: shown(word[0]), message)


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = Parser(prog="plot.py", description="Draws gradscape's figures.", epilog="plot.py FIGURE --help lists the options of "
                    "a figure. Every figure is a function of the Python package gradscape.figures (folder tools) too.")
    figures = parser.add_subparsers(dest="figure", metavar="FIGURE", required=True)
    for function in FIGURES:
        text = " ".join(inspect.getdoc(function).split()).replace("%", "%%")
        is_landscape = function is landscape
        command = figures.add_parser(function.__name__, description=text, help=re.split(r"\. | \([A-Z]", text)[0],
                                     epilog=EXAMPLES if is_landscape else None,
                                     formatter_class=Help if is_landscape else argparse.HelpFormatter)
        add = command.add_argument
        add("places", nargs="+", metavar="RUN_DIR", help="run directory, directory of variants (all are drawn), or a file of a run")
        add("-o", "--output", type=Path, metavar="FILE", help="figure to write: .png, .pdf or .svg")
        for name in inspect.signature(function).parameters:
            if name in OPTIONS:
                add("--" + name.replace("_", "-"), default=argparse.SUPPRESS, **OPTIONS[name])
        add("--dpi", type=INTEGER, default=200, help="pixels per inch of a png (default: 200)")
        if is_landscape:
            add("--table", default=[], type=STEPS, metavar="0,100,…", help="print the bands at these steps too")
        add("--json", action="store_true", help="print the numbers behind the figure as JSON")
        command.set_defaults(function=function, parser=command, table=[])
    options = parser.parse_args(arguments)
    if not (options.output or options.json or options.table):
        options.parser.error("nothing to do: give -o FILE for a figure, or --json for the numbers"
                             + (", or --table" if options.function is landscape else ""))
    if options.output and options.output.suffix.lower() not in METADATA:
        options.parser.error(f"{options.output}: unknown kind of figure; name it .png, .pdf or .svg")
    return options


class Help(argparse.HelpFormatter):
    """Wraps the description, and leaves the examples as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text == EXAMPLES else super()._fill_text(text, width, indent)


def run_program(options: argparse.Namespace) -> None:
    taken = {name: getattr(options, name) for name in OPTIONS if hasattr(options, name)}
    figure = options.function(options.places, **taken)
    made = []
    if options.output:
        save_figure(figure, options.output, options.dpi)
        made.append(options.output)
        if taken.get("paper"):
            made.append(options.output.with_suffix(".caption.txt"))
            made[-1].write_text(figure.caption + "\n", encoding="utf-8")
    if options.json and options.function is landscape:
        records = [record_at(run, step) for step in options.table for run in figure.runs]
        print(to_json({"runs": figure.numbers, "records": records}))
    elif options.json:
        print(to_json({"figure": options.figure, "numbers": figure.numbers}))
    elif options.function is landscape:
        print(format_summaries(figure.runs))
        if options.table:
            print("\n" + format_records(figure.runs, options.table))
    for path in made:
        tell(str(path)) if options.json else print(path)
    if sys.stdout is not None:
        sys.stdout.flush()
    elif options.json or options.table:
        raise Error("standard output is closed: the numbers cannot be written")


def leave_output() -> None:
    """What is still in the buffer of standard output is dropped: it cannot be written."""
    with contextlib.suppress(OSError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run_safely(program: str, parse: Callable[[list[str] | None], argparse.Namespace], work: Callable[[argparse.Namespace], None],
               arguments: list[str] | None) -> int:
    """The exit code of work(parse(arguments)), with one line on stderr of what is wrong. What is parsed holds its `parser`, the
    `places`, and the `figure` that is made of them."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # names of any bytes, on any terminal
    options = parse(arguments)
    try:
        work(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of the numbers has seen enough
        leave_output()
    except UsageError as failure:
        options.parser.error(str(failure))
    except (Error, OSError) as failure:
        told = f"{failure.filename or 'standard output'}: {failure.strerror}" if isinstance(failure, OSError) else str(failure)
        tell(f"{program}: {cut(told)}")
        leave_output()
        return 1
    except Exception as failure:
        tell(f"{program}: {options.figure} of {cut(' '.join(options.places))} cannot be drawn: {type(failure).__name__}, "
             f"{shown(failure)}; this is a fault of {program}.py")
        return 1
    return 0


def main(arguments: list[str] | None = None) -> int:
    return run_safely("plot", parse_arguments, run_program, arguments)
