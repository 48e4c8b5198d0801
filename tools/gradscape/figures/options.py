"""The one signature of all figure functions, and how the command line names its parts."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import inspect
import re
import typing
from collections.abc import Callable

from .files import UsageError, shown
from .style import PAPER, Plot, styled


def checked(pattern: str, convert: Callable[[str], object], what: str) -> Callable[[str], object]:
    """A type for argparse: texts that match `pattern`, converted."""
    def parse(text: str) -> object:
        if not re.fullmatch(pattern, text, re.ASCII):
            raise argparse.ArgumentTypeError(f"'{shown(text)}' is not {what}")
        return convert(text)
    return parse


def words(text: str) -> list[str]:
    return text.split(",")


def numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def inches(text: str) -> float | tuple[float, ...]:
    sides = tuple(map(float, text.split("x")))
    return sides if len(sides) > 1 else sides[0]


def span(text: str) -> tuple[float, ...]:
    return tuple(map(float, text.split(":")))


INTEGER = checked(r"[1-9]\d{0,5}", int, "a whole number from 1 to 999999")
NUMBER = r"-?\d+(?:\.\d*)?(?:e[+-]?\d{1,3})?"
STEPS = checked(r"\d{1,18}(,\d{1,18})*", numbers, "a list such as 0,100")
OPTIONS: dict[str, dict] = {  # parameter → how the command line takes it
    "layers": dict(type=words, metavar="A,B", help="layers by number (from 1) or name (default: some, spread over the depth)"),
    "steps": dict(type=STEPS, metavar="0,100,…", help="training steps to draw (default: some, spread over training)"),
    "what": dict(choices=("activation", "weight"), help="whose distribution (default: activation)"),
    "value": dict(choices=("accuracy", "loss"), help="what to draw (default: accuracy)"),
    "style": dict(choices=("contour", "filled", "heat", "3d"), help="how a plane is drawn: contour lines, filled contours, cells, or a "
                  "surface in three dimensions (default: filled)"),
    "variable": dict(choices=("loss", "accuracy", "test_loss", "test_accuracy", "grad_norm"),
                     help="of which the surface is (default: loss)"),
    "repeat": dict(type=checked(r"\d{1,9}", int, "a whole number"), metavar="N",
                   help="which draw of the directions a plane shows (default: the first)"),
    "limits": dict(type=checked(f"{NUMBER}:{NUMBER}", span, "a range such as 0.1:10"), metavar="LOW:HIGH",
                   help="ends of the colours, or of the value axis (default: those of all values)"),
    "panels": dict(type=words, metavar="A,B", help="which panels: loss, grad_norm, grad_diff, beta (default: all)"),
    "share_x": dict(action="store_true", help="the same value axis for the rows of a column"),
    "smooth": dict(type=INTEGER, metavar="N", help="draw moving averages over N records"),
    "log_x": dict(action="store_true", help="logarithmic step axis; step 0 stays visible"),
    "log_y": dict(action=argparse.BooleanOptionalAction, help="logarithmic value axes, or linear ones (default: logarithmic "
                  "where the largest value exceeds the median a hundredfold)"),
    "facet": dict(choices=("variant", "none"), help="variant: a column for each run; none: all in one"),
    "name": dict(metavar="NAME", help="which sweep, surface or analysis: NAME reads landscape-NAME.h5, shift-NAME.h5 … "
                 "(default: main, landscape.h5 …)"),
    "labels": dict(type=words, metavar="A,B", help="names for the legend, one for each run, in the order drawn"),
    "order": dict(type=words, metavar="A,B", help="draw the runs of these names first, in this order"),
    "colours": dict(type=words, metavar="A,B", help="one for each run, as teal or #0072B2"),
    "title": dict(help="title above the panels"),
    "size": dict(type=checked(r"[1-9]\d?(\.\d{1,4})?(x[1-9]\d?(\.\d{1,4})?)?", inches,
                              "a width or a size such as 5.5 or 8x3, in inches from 1 to 99"),
                 metavar="W[xH]", help="size in inches; without H as high as the panels need"),
    "paper": dict(choices=tuple(PAPER), help="for print: 3.25, 5.5 or 7 inches wide, fonts of 7 to 8 points, and the note in a "
                  "file FIGURE.caption.txt"),
    "panel": dict(type=words, metavar="A", help="only the panels of these letters"),
}


def figure(draw: Callable[..., Plot]) -> Callable[..., Plot]:
    """A figure function of draw(places, look, …): its keywords are those of draw behind `look`, and the fields of `look`.
    Lists may be texts joined by commas, as on the command line."""
    own = list(inspect.signature(draw).parameters.values())[2:]
    look = typing.get_type_hints(draw)["look"]
    fields = [inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type)
              for field in dataclasses.fields(look) if field.name != "figure"]
    places = inspect.Parameter("places", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation="Places")
    keywords = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + fields
    signature = inspect.Signature([places, *keywords], return_annotation="Plot")

    @functools.wraps(draw)
    def function(*arguments: object, **options: object) -> Plot:
        bound = signature.bind(*arguments, **options)
        given = {name: as_asked(name, value) for name, value in bound.arguments.items() if name != "places"}
        names = [parameter.name for parameter in own]
        asked = look(figure=draw.__name__, **{name: value for name, value in given.items() if name not in names})
        return styled(lambda: draw(bound.arguments["places"], asked, **{name: given[name] for name in names if name in given}))

    function.__signature__ = signature
    return function


def as_asked(name: str, value: object) -> object:
    """Texts are read as on the command line, values that it has no choice for are refused."""
    option = OPTIONS[name]
    if "choices" in option and value is not None and value not in option["choices"]:
        raise UsageError(f"{name}: '{shown(value)}' is none of {', '.join(option['choices'])}")
    if isinstance(value, str) and "type" in option:
        try:
            return option["type"](value)
        except argparse.ArgumentTypeError as failure:
            raise UsageError(f"{name}: {failure}") from None
    return [value] if isinstance(value, int) and option.get("type") in (words, STEPS) else value
