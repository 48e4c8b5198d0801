"""Lines and planes through weights (Li et al. 2018), from gradscape's surface files."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from .axes import HUGE, alone, linear_ticks, log_ticks
from .files import Array, Error, File, UsageError, named, read_file, shown, wanted_file
from .layout import Bar, Cell, compose
from .options import figure
from .panels import Panel
from .series import Group, Places, absent, gather
from .style import GREY, Look, Plot, escape

CELLS = ("repeat", "y?", "x")
LABELS = {"loss": "loss", "accuracy": "accuracy, %", "test_loss": "test loss", "test_accuracy": "test accuracy, %",
          "grad_norm": "gradient norm"}
TRAJECTORY = ("trajectory_x", "trajectory_y", *(f"trajectory_plane_{name}" for name in LABELS))
NUMBERS = ("barrier", "error_barrier", "test_barrier", "test_error_barrier", "monotonicity")  # of lines between two weights
NORMALISED = {"filter": "normalised filter by filter", "layer": "normalised layer by layer", "weight": "multiplied with the weights",
              "dfilter": "filters of norm 1", "dlayer": "layers of norm 1", "none": "not normalised"}
STATISTICS = {"batch": "each batch's statistics", "running": "running statistics", "reestimate": "statistics averaged anew at each point",
              "moved": "running statistics moved along"}
OK, NOT_DONE = 1, 0  # statuses of cells; of all but OK nothing is drawn
HOLE = "#B4B4B4"
LONGEST = 16  # letters of a point's name
COLOURS = colormaps["viridis"]


def wanted_surface(name: str) -> str:
    return wanted_file("surface", name)


def load_surface(run: Path, file: Path | None, name: str, variable: str) -> File:
    if file is None:
        raise absent(run, "surface", name, f"make it with: gradscape surface {named(run, name)}")
    mend = f"make it again with: gradscape surface {named(run, name)}"
    numbers = ("x_norm", "y_norm", "cosine", *(f"centre_{name}" for name in LABELS), *NUMBERS)
    read = read_file(file, {"repeat": ("repeat",), "x": ("x",), "status": CELLS, variable: CELLS}, mend, {
        "y": ("y",), "checkpoint": ("checkpoint",), "point": ("point",), "component": ("component",),
        **{name: CELLS for name in LABELS if name != variable}, **{name: ("repeat",) for name in numbers},
        **{name: ("checkpoint",) for name in TRAJECTORY}, "explained_variance_ratio": ("component",),
        "point_x": ("point",), "point_y": ("point",)})
    for axis in ("x", "y"):
        if axis in read and not (read[axis].size > 1 and (np.abs(read[axis]) < HUGE).all() and (np.diff(read[axis]) > 0).all()):
            raise Error(f"{file}: {axis} is no ascending grid of two points or more; {mend}")
    return read


class Surface:
    """A file's values, NaN where a cell is not done or not finite, accuracies in percent."""

    def __init__(self, group: Group):
        self.group, self.file = group, group.files[0]
        self.x, self.y = self.file["x"], self.file.data.get("y")  # y: None of a line
        self.repeats: list[int] = self.file["repeat"].tolist()
        self.drawn = 0  # the place of the repeat that is drawn of a plane
        self.status = self.file["status"][0]

    def has(self, variable: str) -> bool:
        return variable in self.file and bool(np.isfinite(self.values(variable)).any())

    def values(self, variable: str) -> Array:
        """float64 [repeat, y, x], of a line [repeat, x]."""
        values = np.where(self.status == OK, self.file[variable][0], np.nan) * (100 if "accuracy" in variable else 1)
        return np.where(np.isfinite(values), np.clip(values, -HUGE, HUGE), np.nan)

    def at(self, repeat: int | None) -> int:
        """The place of a repeat; of the first where none is asked for."""
        if repeat is not None and repeat not in self.repeats:
            raise UsageError(f"--repeat: {self.file.path} has no repeat {repeat}; there are {', '.join(map(str, self.repeats[:20]))}")
        return 0 if repeat is None else self.repeats.index(repeat)

    def trajectory(self, variable: str = "loss") -> tuple[Array, Array, Array] | None:
        """x, y and the variable's value in the plane of each checkpoint, NaN where there is none. It is the first repeat's plane."""
        if self.drawn != 0 or not all(name in self.file for name in ("trajectory_x", "trajectory_y")):
            return None
        x, y = self.file["trajectory_x"][0], self.file["trajectory_y"][0]
        name = f"trajectory_plane_{variable}"
        values = self.file[name][0] if name in self.file else np.full(x.shape, np.nan)
        return x, y, values * (100 if "accuracy" in variable else 1)

    def points(self) -> list[tuple[float, float, str]]:
        """The weights that a plane goes through."""
        if not all(name in self.file for name in ("point_x", "point_y")):
            return []
        return [(x, y, f"step {label}" if label.isdecimal() else label) for x, y, label in zip(self.file["point_x"][0].tolist(), self.file["point_y"][0].tolist(),
                                                     self.file.labels) if math.isfinite(x) and math.isfinite(y)]

    def inside(self, x: Array, y: Array) -> Array:
        return (x >= self.x[0]) & (x <= self.x[-1]) & (y >= self.y[0]) & (y <= self.y[-1])


@dataclasses.dataclass
class Scale:
    """One for all panels. Levels: of contour lines, round numbers between the ends."""

    log: bool
    low: float
    high: float
    levels: list[float]

    def norm(self) -> Normalize:
        return (LogNorm if self.log else Normalize)(self.low, self.high, clip=True)

    def steps(self, count: int) -> Array:
        return (np.geomspace if self.log else np.linspace)(self.low, self.high, count)


def scale_of(values: list[Array], log: bool | None, limits: tuple[float, float] | None) -> Scale:
    """Of surfaces: logarithmic where the largest exceeds the least thirtyfold, so that it shows the basin and the walls. A few
    values far from the others do not stretch it. What else is drawn on them has no part in it."""
    finite = np.concatenate([each[np.isfinite(each)] for each in values] or [np.zeros(0)])
    positive = finite[finite > 0]
    if log is None:
        log = bool(positive.size and finite.min() >= 0 and positive.max() > 30 * positive.min())
    log = log and bool(positive.size if limits is None else limits[0] > 0)
    usable = positive if log else finite
    if limits is not None:
        low, high = limits
    elif not usable.size:
        low, high = 0.0, 1.0
    elif log:
        least, largest = np.percentile(usable, (10, 90))
        low, high = max(usable.min(), least / 1e3), min(usable.max(), largest * 1e3)
    else:
        low, high = usable.min(), usable.max()
    if not high > low:
        pad = 0.06 * abs(low) or 0.5
        low, high = (low / 1.3, low * 1.3) if log else (low - pad, low + pad)
    return Scale(log, float(low), float(high), levels_between(float(low), float(high), log))


def levels_between(low: float, high: float, log: bool) -> list[float]:
    if not log or high < 3 * low:
        found = MaxNLocator(nbins=10, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    else:
        decades = math.log10(high / low)
        parts, every = ((1, 2, 3, 5), 1) if decades < 3 else ((1, 3), 1) if decades < 6 else ((1,), math.ceil(decades / 12))
        found = [part * 10.0**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1, every)
                 for part in parts]
    return [float(value) for value in found if low < value < high]


@figure
def surface(places: Places, look: Look, style: str = "filled", variable: str = "loss", repeat: int | None = None,
            log_y: bool | None = None, limits: tuple[float, float] | None = None) -> Plot:
    """Lines and planes through weights (Li et al. 2018), of gradscape surface and import-surface: a panel for each run, all with one
    scale. x: multiples of the first direction; y: multiples of the second, and as colours (or heights) the loss; of a line, y: the
    loss and on the right the accuracy, of several repeats their median and in pale their range. Paths of training and the weights
    that a plane goes through are marked; grey: not finite, or not done. figure.numbers: extremes, the centre, barriers."""
    if limits is not None and not limits[0] < limits[1]:
        raise UsageError(f"--limits: {limits[0]:g}:{limits[1]:g} is no range; give the lower end first")
    groups = gather(places, look, wanted_surface(look.name), lambda run, file: load_surface(run, file, look.name, variable))
    found = [Surface(group) for group in groups]
    for each in found:
        each.drawn = each.at(repeat)
    flat = [each for each in found if each.y is not None]
    if flat and len(flat) < len(found):
        raise Error(f"{next(each for each in found if each.y is None).file.path} is a line and {flat[0].file.path} a plane; "
                    "draw them apart")
    plot = planes(found, look, style, variable, repeat, log_y, limits) if flat else lines(found, look, variable, log_y, limits)
    plot.numbers = [numbers_of(each, variable, each.at(repeat)) for each in found]
    return plot


# --- planes ---

def planes(surfaces: list[Surface], look: Look, style: str, variable: str, repeat: int | None, log: bool | None,
           limits: tuple[float, float] | None) -> Plot:
    values = [each.values(variable)[each.at(repeat)] for each in surfaces]
    scale = scale_of(values, log, limits)
    panels = []
    for column, (each, own) in enumerate(zip(surfaces, values)):
        draw = draw_relief(each, own, variable, scale) if style == "3d" else draw_plane(each, own, scale, style)
        names = [f"${axis}$" if style == "3d" else axis_label(axis, each.file.attributes[f"{axis}_direction"]) for axis in "xy"]
        panels.append(Panel(escape(each.group.label), *names, draw, column=column, colour=each.group.style["color"],
                            projection="3d" if style == "3d" else None))
    notes = [*described(surfaces), *remarks(surfaces, values, repeat), *scale_notes(values, scale)]
    bar = Bar(LABELS[variable], scale.low, scale.high, scale.log, COLOURS)
    cell = Cell(3.4, 2.9, 3.2) if style == "3d" else Cell(3.2, 3.0)
    return compose(panels, [each.group for each in surfaces], look, notes, cell, legend=legend_of(surfaces, style), bar=bar)


def axis_label(letter: str, direction: str) -> str:
    return f"${letter}$ ({escape(direction)})" if 0 < len(direction) <= 12 else f"${letter}$"


def draw_plane(surface: Surface, values: Array, scale: Scale, style: str) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        x, y = surface.x, surface.y
        axes.set_facecolor(HOLE if np.isnan(values).any() else "white")
        shown_values = np.ma.masked_invalid(np.clip(values, scale.low, scale.high))
        lines = np.ma.masked_invalid(np.maximum(values, scale.low * (1 - 1e-9)) if scale.log else values)
        if style == "heat":
            axes.pcolormesh(edges(x), edges(y), shown_values, cmap=COLOURS, norm=scale.norm(), rasterized=True)
        elif style == "filled" and shown_values.count():
            areas = axes.contourf(x, y, shown_values, scale.steps(31), cmap=COLOURS, norm=scale.norm())
            for part in getattr(areas, "collections", [areas]):  # no seams between the areas in a PDF
                part.set_edgecolor("face")
                part.set_linewidth(0.2)
        if style != "heat" and scale.levels and shown_values.count():
            if style == "contour":
                axes.contourf(x, y, np.ma.array(np.zeros(values.shape), mask=np.isnan(values)), [-1, 1], colors="white")
                axes.contour(x, y, lines, scale.levels, cmap=COLOURS, norm=scale.norm(), linewidths=1.1)
            else:
                axes.contour(x, y, lines, scale.levels, colors="white", linewidths=0.5, alpha=0.6)
        mark(axes, surface)
        frame = (edges(x), edges(y)) if style == "heat" else (x, y)
        axes.set_xlim(frame[0][0], frame[0][-1])
        axes.set_ylim(frame[1][0], frame[1][-1])
    return draw


def edges(centres: Array) -> Array:
    """Of cells around the points of a grid."""
    middles = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middles[0]], middles, [2 * centres[-1] - middles[-1]]])


def mark(axes: Axes, surface: Surface) -> None:
    """The path of training, the points that the plane goes through, and otherwise its centre."""
    path, points = surface.trajectory(), surface.points()
    if path is not None:
        x, y, _ = path
        for width, colour in ((2.6, "white"), (1.2, "black")):
            axes.plot(x, y, "-", linewidth=width, color=colour, zorder=3)
        axes.plot(x, y, "o", markersize=3, color="black", markeredgecolor="white", markeredgewidth=0.4, zorder=3)
    for x, y, label in numbered(points):
        axes.plot([x], [y], "o", markersize=5, color="black", markeredgecolor="white", zorder=4)
        right = x > (surface.x[0] + surface.x[-1]) / 2
        axes.annotate(escape(label), (x, y), (-5 if right else 5, 4), textcoords="offset points", ha="right" if right else "left",
                      fontsize=7, zorder=5, clip_on=True, annotation_clip=True,
                      bbox={"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.8})
    if not points and bool(surface.inside(np.zeros(1), np.zeros(1))[0]):
        axes.plot([0], [0], "x", markersize=5, color="black", markeredgewidth=1.2, zorder=4)


def numbered(points: list[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    """Numbers in the place of names too long for a panel."""
    if all(len(label) <= LONGEST for _, _, label in points):
        return points
    return [(x, y, str(number)) for number, (x, y, _) in enumerate(points, 1)]


def draw_relief(surface: Surface, values: Array, variable: str, scale: Scale) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        height = (lambda value: np.log10(value)) if scale.log else (lambda value: value)
        heights = height(np.clip(values, scale.low, scale.high))
        x, y = np.meshgrid(surface.x, surface.y)
        faces = (heights[1:, 1:] + heights[1:, :-1] + heights[:-1, 1:] + heights[:-1, :-1]) / 4
        faces = np.pad(np.nan_to_num(faces, nan=height(scale.low)), (0, 1))  # matplotlib takes as many as points
        colours = COLOURS(Normalize(height(scale.low), height(scale.high))(faces))
        axes.plot_surface(x, y, heights, rstride=1, cstride=1, facecolors=colours, linewidth=0, antialiased=False, shade=False)
        path = surface.trajectory(variable)
        if path is not None:
            x, y, own = path
            own = np.where(surface.inside(x, y) & np.isfinite(own), np.clip(own, scale.low, scale.high), np.nan)
            axes.plot(x, y, height(own), "o-", markersize=2.5, linewidth=1.1, color="black", zorder=10)
        axes.set_zlim(height(scale.low), height(scale.high))
        for which, low, high in (("x", surface.x[0], surface.x[-1]), ("y", surface.y[0], surface.y[-1])):
            ticks = linear_ticks(low, high, 3)
            getattr(axes, f"set_{which}lim")(low, high)
            getattr(axes, f"set_{which}ticks")(list(ticks), list(ticks.values()))
        ticks = (log_ticks if scale.log else linear_ticks)(scale.low, scale.high, 4)
        axes.set_zticks([height(value) for value in ticks], list(ticks.values()))
        axes.tick_params(pad=-1)
        for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
            axis.labelpad = -5
            axis.set_pane_color((1, 1, 1, 0))
    return draw


def legend_of(surfaces: list[Surface], style: str) -> list[tuple[object, str]]:
    path = any(each.trajectory() is not None for each in surfaces)
    centre = style != "3d" and any(not each.points() for each in surfaces)
    entries: list[tuple[object, str]] = []
    if path:
        entries.append((Line2D([], [], color="black", marker="o", markersize=3, linewidth=1.2), "path of training"))
    if centre:
        entries.append((Line2D([], [], color="black", marker="x", markersize=5, linestyle=""), "centre"))
    if style != "3d" and any(np.isnan(each.values("loss")).any() for each in surfaces if "loss" in each.file):
        entries.append((Patch(facecolor=HOLE), "no value"))
    return entries


# --- lines ---

def lines(surfaces: list[Surface], look: Look, variable: str, log: bool | None, limits: tuple[float, float] | None) -> Plot:
    """The values of training and, dashed, of test images; of a loss with the accuracies on the right."""
    left = [name for name in dict.fromkeys((variable, f"test_{variable}")) if any(each.has(name) for each in surfaces)] or [variable]
    right = [name for name in ("accuracy", "test_accuracy") if any(each.has(name) for each in surfaces)] if variable == "loss" else []
    values = [each.values(name) for each in surfaces for name in left if name in each.file]
    scale = scale_of(values, log, limits)
    pad = 0 if limits or scale.log else 0.06 * (scale.high - scale.low)
    panels = []
    for column, each in enumerate(surfaces):
        panel = Panel(escape(each.group.label), axis_label("x", each.file.attributes["x_direction"]), LABELS[variable],
                      column=column, colour=each.group.style["color"])
        panel.draw = draw_lines(panel, each, left, right, scale, pad)
        panels.append(panel)
    entries = [(Line2D([], [], color="black", linestyle=dash_of(name), linewidth=1.4), LABELS[name].split(",")[0]) for name in left]
    entries += [(Line2D([], [], color=GREY, linestyle=dash_of(name), linewidth=1.2), LABELS[name].split(",")[0]) for name in right]
    if any(np.isnan(each).all(0).any() for each in values):
        entries.append((Patch(facecolor=HOLE), "no value"))
    notes = [*described(surfaces), *remarks(surfaces, [each.values(variable) for each in surfaces], None),
             *scale_notes(values, scale)]
    return compose(panels, [each.group for each in surfaces], look, notes, Cell(3.4, 2.3), legend=entries)


def dash_of(name: str) -> str:
    return "--" if name.startswith("test_") else "-"


def draw_lines(panel: Panel, surface: Surface, left: list[str], right: list[str], scale: Scale, pad: float) -> Callable[[Axes], None]:
    def put(axes: Axes, name: str, colour: str, width: float) -> None:
        values = surface.values(name)
        low, middle, high = np.nanmin(values, 0), np.nanmedian(values, 0), np.nanmax(values, 0)
        if len(values) > 1:
            axes.fill_between(surface.x, low, high, np.isfinite(low), color=colour, alpha=0.22, linewidth=0)
        axes.plot(surface.x, middle, dash_of(name), color=colour, linewidth=width)
        single = alone(middle)
        axes.plot(surface.x[single], middle[single], "o", markersize=3, color=colour)

    def draw(axes: Axes) -> None:
        axes.set_yscale("log" if scale.log else "linear")
        axes.set_ylim(*((scale.low / 1.2, scale.high * 1.2) if scale.log else (scale.low - pad, scale.high + pad)))
        axes.set_xlim(surface.x[0], surface.x[-1])
        borders = edges(surface.x)
        for at in np.flatnonzero(np.isnan(surface.values(left[0])).all(0)):
            axes.axvspan(borders[at], borders[at + 1], color=HOLE, linewidth=0, zorder=0)
        for name in left:
            if name in surface.file:
                put(axes, name, surface.group.style["color"], 1.4)
        if right:
            panel.twin = axes.twinx()
            panel.twin.set_label("beside")
            panel.twin.set_ylim(-3, 103)
            panel.twin.spines["right"].set_visible(True)
            for name in right:
                if name in surface.file:
                    put(panel.twin, name, GREY, 1.0)
            if panel.rightmost:
                panel.twin.set_ylabel("accuracy, %", color=GREY)
    return draw


# --- in words and numbers ---

def described(surfaces: list[Surface]) -> list[str]:
    """What was varied, of which weights, on which images; runs of which that differs are named."""
    told: dict[str, list[str]] = {}
    for each in surfaces:
        told.setdefault(about(each), []).append(escape(each.group.label))
    return [text + (f" ({', '.join(labels)})" if len(told) > 1 else "") for text, labels in told.items() if text]


def about(surface: Surface) -> str:
    has = {name: escape(shown(text)) for name, text in surface.file.attributes.items() if text}
    directions = {axis: has[f"{axis}_direction"] for axis in "xy" if f"{axis}_direction" in has and axis in surface.file}
    if has.get("x_direction", "").startswith("through "):
        words = ["plane " + has["x_direction"].replace(",", ", ")]
    else:
        words = [", ".join(f"{axis}: along {direction}" for axis, direction in directions.items())]
    if "random" in directions.values():  # of others these are not said
        words += [NORMALISED.get(has.get("normalise", ""), "")] + (["not along biases and norms"] if has.get("ignore") == "biasbn" else [])
    ratios = surface.file["explained_variance_ratio"][0] if "explained_variance_ratio" in surface.file else np.zeros(0)
    if ratios.size:
        words.append("explained variance " + ", ".join(f"{100 * ratio:.1f} %" for ratio in ratios[:2]))
    if "step" in has and not words[0].startswith("plane"):
        words.append(f"θ of step {has['step']}")
    words += [f"batch norm: {STATISTICS.get(has['batch_norm'], has['batch_norm'])}"] if "batch_norm" in has else []
    images = has.get("images", "")
    if images:
        words.append(f"{images} training images" + (f" in batches of {has['batch_size']}" if "batch_size" in has else ""))
    for name in NUMBERS[:1]:
        if name in surface.file and np.isfinite(surface.file[name]).any():
            words.append(f"{name} {np.nanmedian(surface.file[name]):.3g}")
    return ", ".join(word for word in words if word)


def remarks(surfaces: list[Surface], values: list[Array], repeat: int | None) -> list[str]:
    """On cells without a value, repeats, and checkpoints outside of the plane."""
    result = []
    for each, own in zip(surfaces, values):
        name = f" ({escape(each.group.label)})" if len(surfaces) > 1 else ""
        status = each.status if own.shape == each.status.shape else each.status[each.at(repeat)]
        undone = int((status == NOT_DONE).sum())
        for count, words in ((int(np.isnan(own).sum()) - undone, "not finite"), (undone, "not done")):
            if count > 0:
                result.append(f"{count} of {own.size} cells {words}{name}")
        if numbered(each.points()) != each.points():
            result.append(", ".join(f"{number}: {escape(shown(label))}" for number, (_, _, label) in enumerate(each.points(), 1)) + name)
        path = each.trajectory()
        outside = int((~each.inside(*path[:2])).sum()) if path is not None and each.y is not None else 0
        if outside:
            result.append(f"{outside} of {path[0].size} checkpoints of the path lie outside{name}")
    most = max(len(each.repeats) for each in surfaces)
    if most > 1:
        result.append(f"repeat {repeat if repeat is not None else surfaces[0].repeats[0]} of up to {most}" if surfaces[0].y is not None
                      else f"of up to {most} repeats: the median, and in pale their range")
    return result


def scale_notes(values: list[Array], scale: Scale) -> list[str]:
    low = min((np.nanmin(each) for each in values if np.isfinite(each).any()), default=np.nan)
    high = max((np.nanmax(each) for each in values if np.isfinite(each).any()), default=np.nan)
    return ([f"least value {low:.3g}"] if low < scale.low * (1 - 1e-9 * np.sign(scale.low)) else []) + \
        ([f"largest value {high:.3g}"] if high > scale.high * (1 + 1e-9 * np.sign(scale.high)) else [])


def numbers_of(surface: Surface, variable: str, at: int) -> dict[str, object]:
    """Of a plane those of the repeat drawn, of a line of all repeats together; barriers are medians over repeats."""
    file, values = surface.file, surface.values(variable)
    status = surface.status
    if surface.y is not None:
        values, status = values[at], status[at]
    finite = np.isfinite(values)
    result: dict[str, object] = {"run": surface.group.label, "file": str(file.path), "variable": variable, "cells": int(values.size),
                                 "not_done": int((status == NOT_DONE).sum())}
    result["non_finite"] = int(values.size - finite.sum()) - int(result["not_done"])
    for name, of, where in (("least", np.nanmin, np.nanargmin), ("largest", np.nanmax, np.nanargmax)):
        place = np.unravel_index(where(values), values.shape) if finite.any() else None
        result[name] = float(of(values)) if finite.any() else float("nan")
        result[f"{name}_at"] = [] if place is None else [float(surface.x[place[-1]])] + (
            [float(surface.y[place[0]])] if surface.y is not None else [])
    centre = f"centre_{variable}"
    if centre in file:
        result["centre"] = float(file[centre][0, at]) * (100 if "accuracy" in variable else 1)
    for name in NUMBERS:
        if name in file:
            result[name] = float(np.nanmedian(file[name]))
    return result
