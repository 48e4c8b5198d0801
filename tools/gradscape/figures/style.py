"""Colours, line styles, fonts, and what the user asks of a figure's looks."""

from __future__ import annotations

import dataclasses
import io
import os
import re
import tomllib
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import colors
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .files import Error, UsageError, shown

Style = dict[str, str]
METADATA = {".png": {"Software": None}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}  # no dates: same bytes
PAPER = {"column": 3.25, "text": 5.5, "page": 7.0}  # widths in inches: a column of two, a single column, the page of two
NARROW = 7.0  # inches: figures below have a paper's small fonts

# Okabe and Ito's colours, which stay apart for colour-blind readers, and two of Tol's. As in the paper batch norm is the
# reddish one.
BATCH_NORM, PLAIN, OTHERS = "#D55E00", "#0072B2", ("#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D", "#882255")
COLOURS = {"batch norm": BATCH_NORM, "plain": PLAIN, "batch norm, noise": "#CC79A7", "plain, noise": "#56B4E9",
           "l1": "#009E73", "l2": "#E69F00", "linf": "#4D4D4D", "layer": "#882255", "group": "#117733"}
LINE_STYLES = ("-", "--", ":", "-.")  # of runs that share a norm
GREY = "#6E6E6E"
STYLE = {"font.size": 9, "axes.titlesize": 9.5, "figure.titlesize": 11, "axes.labelsize": 9, "xtick.labelsize": 8,
         "ytick.labelsize": 8, "legend.fontsize": 9, "axes.spines.top": False, "axes.spines.right": False,
         "axes.linewidth": 0.7, "xtick.major.width": 0.7, "ytick.major.width": 0.7, "pdf.fonttype": 42,
         "svg.hashsalt": "gradscape"}
SMALL = {"font.size": 8, "axes.titlesize": 8, "figure.titlesize": 8, "axes.labelsize": 8, "xtick.labelsize": 7,
         "ytick.labelsize": 7, "legend.fontsize": 7.5, "axes.titlepad": 4, "axes.labelpad": 2, "xtick.major.pad": 2,
         "ytick.major.pad": 2, "xtick.major.size": 2.5, "ytick.major.size": 2.5}


@dataclasses.dataclass
class Look:
    """What every figure can be asked for; one field is one keyword of every figure function."""

    labels: list[str] | None = None  # one for each run drawn, or for each found
    name: str = "main"  # of the sweep, surface or analysis
    order: list[str] | None = None  # names of runs; those not named follow
    colours: list[str] | None = None  # one for each run drawn
    title: str | None = None
    size: float | tuple[float, float] | None = None  # inches: width, or width and height
    paper: str | None = None  # column, text or page
    panel: list[str] | None = None  # letters
    figure: str = ""  # its function's name

    def width(self) -> float | None:
        """Inches; None where the figure itself shall say."""
        return self.dimensions()[0] or (PAPER[self.paper] if self.paper else None)

    def dimensions(self) -> tuple[float | None, float | None]:
        sides = self.size if isinstance(self.size, tuple | list) else (self.size, None)
        if len(sides) != 2 or not all(side is None or 1 <= side < 100 for side in sides):
            raise UsageError(f"--size: {shown(self.size)} is no width, or width and height, in inches from 1 to 99")
        return sides[0], sides[1]


@dataclasses.dataclass
class StepLook(Look):
    """Also of figures over training steps."""

    smooth: int | None = None  # records of a moving average
    log_x: bool = False
    log_y: bool | None = None  # None: as the values ask for
    facet: str | None = None  # "variant": a column for each run; "none": all in one; None: as the figure thinks best

    def records(self) -> int:
        return max(1, self.smooth or 1)


class Plot(Figure):
    """A figure with the numbers behind it, and what a caption should say; notebooks show it without pyplot."""

    def __init__(self, size: tuple[float, float]):
        super().__init__(figsize=size)
        FigureCanvasAgg(self)
        self.numbers: list[dict[str, object]] = []
        self.caption = ""

    def _repr_png_(self) -> bytes:
        image = io.BytesIO()
        styled(lambda: self.savefig(image, format="png", dpi=100))
        return image.getvalue()


def settings_of(config: str) -> dict[str, object]:
    """A run's configuration as {"train.lr": 0.1, …}; nothing where it cannot be read."""
    try:
        sections = tomllib.loads(config)
    except Exception:  # TOMLDecodeError, and RecursionError or ValueError on hostile texts
        return {}
    return {f"{section}.{key}": value for section, fields in sections.items() if isinstance(fields, dict)
            for key, value in fields.items()}


def kind_of(name: str) -> str:
    """"batch norm", "plain", or "" from the name of a run."""
    rest, plain = re.subn(r"none|plain|vanilla|(no|without)[-_ ]?(bn|batch\w*|norm\w*)", "", name.lower())
    batch_norm = re.search(r"bn|batch(?!.?(size|\d))", rest) is not None
    return "" if batch_norm == bool(plain) else "batch norm" if batch_norm else "plain"


def kind_by_settings(settings: dict[str, object]) -> str:
    """The same from a run's configuration: its norm, and whether there is noise behind it; "" where it is unknown."""
    norm = settings.get("model.norm")
    if not isinstance(norm, str):
        return ""
    return {"none": "plain", "batch": "batch norm"}.get(norm, norm) + (", noise" if settings.get("model.noise") else "")


def shade(colour: str, at: int, of: int) -> str:
    """Number `at` of `of` shades: the colour itself, then lighter and darker ones in turn."""
    if at == 0:
        return colour
    share = (at + 1) // 2 * 1.1 / max(of, 2)
    other = np.array([1.0, 1, 1]) if at % 2 else np.zeros(3)
    return colors.to_hex((1 - share) * np.array(colors.to_rgb(colour)) + share * other)


def styles_of(runs: list[tuple[str, str]]) -> list[Style]:
    """Colour and line style of each run, given as (label, configuration), by what differs between them. Where norms differ,
    each has its colour, the same in every figure, and runs that share a norm have shades of it and line styles of their
    own, the same for the same learning rate (or whatever else differs). Runs of one norm have colours of their own."""
    settings = [settings_of(config) for _, config in runs]
    kinds = [kind_by_settings(each) or kind_of(label.split("/")[-1]) or label for each, (label, _) in zip(settings, runs)]
    palette = list(dict.fromkeys([COLOURS.get(kinds[0], OTHERS[0]), *OTHERS]))
    if len(set(kinds)) == 1:
        return [{"color": palette[at % len(palette)], "linestyle": LINE_STYLES[at // len(palette) % len(LINE_STYLES)]}
                for at in range(len(runs))]
    names = {name for each in settings for name in each} - {"model.norm", "model.noise", "experiment.variant", "train.seed"}
    differing = sorted(name for name in names if len({repr(each.get(name)) for each in settings}) > 1)
    seen: Counter[tuple[str, str]] = Counter()
    rests = []  # what tells runs of a norm apart, and the number of those that nothing tells apart
    for kind, each in zip(kinds, settings):
        rest = repr([each.get(name) for name in differing])
        rests.append((rest, seen[kind, rest]))
        seen[kind, rest] += 1
    known, unnamed = list(dict.fromkeys(rests)), [kind for kind in dict.fromkeys(kinds) if kind not in COLOURS]
    styles = []
    for kind, rest in zip(kinds, rests):
        at = known.index(rest) if kinds.count(kind) > 1 else 0
        colour = COLOURS.get(kind) or OTHERS[unnamed.index(kind) % len(OTHERS)]
        styles.append({"color": shade(colour, at, len(known)), "linestyle": LINE_STYLES[at % len(LINE_STYLES)]})
    return styles


def colour_of(text: str) -> str:
    """A colour's name or number, as the user gave it, in #rrggbb."""
    try:
        return colors.to_hex(text)
    except ValueError:
        raise UsageError(f"--colours: '{shown(text)}' is no colour; give names as teal or C0, or numbers as #0072B2") from None


def escape(text: str) -> str:
    """A user's text for matplotlib, to which "$" starts a formula and a leading "_" hides a legend entry."""
    text = text.encode(errors="surrogateescape").decode(errors="replace")
    return re.sub(r"^_", " _", "".join(letter for letter in text if letter.isprintable()).replace("$", r"\$"))


def save_figure(figure: Plot, path: Path, dpi: int) -> None:
    """Writes under a temporary name and renames, so that no half-written figure is ever visible."""
    suffix = path.suffix.lower()
    temporary = path.with_name(f".{path.name[:100]}.{os.getpid()}.tmp")
    try:
        styled(lambda: figure.savefig(temporary, format=suffix[1:], dpi=dpi, metadata=METADATA[suffix]))
        os.replace(temporary, path)
    except OSError as failure:
        raise Error(f"{path}: cannot be written ({failure.strerror or failure}); choose another place") from failure
    except (ValueError, MemoryError) as failure:
        raise Error(f"{path}: cannot be drawn ({shown(failure)}); try a smaller --size or --dpi") from failure
    finally:
        temporary.unlink(missing_ok=True)


def styled(draw: Callable[[], object], small: bool = False) -> object:
    """Calls draw() with the project's style, whatever a matplotlibrc says. Means of nothing, enormous values and glyphs
    that a font lacks are no news to the user."""
    with matplotlib.rc_context(), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE | (SMALL if small else {}))
        return draw()
