"""The three panels of Santurkar et al. 2018, figure 4, from gradscape's grid files, and their band widths."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from .grids import Array, Error, Run, format_records, format_summaries, load_runs, record_at, summarise, to_json
from .style import (GREY, HUGE, METADATA, Style, checked, draw_band, draw_line, drawable, escape, robust_limits, save_figure,
                    set_step_axis, smooth, styled, styles_of)

PANELS = (  # (title, axis label, edges of the band or the one curve, thin line, dotted line)
    ("(a) loss landscape", r"$L(\theta - \eta g)$", ("loss_min", "loss_max"), "train_loss", None),
    ("(b) gradient predictiveness", r"$\Vert\nabla L(\theta - \eta g) - g\Vert_2$",
     ("grad_diff_min", "grad_diff_max"), None, "noise"),
    (r"(c) effective $\beta$-smoothness", r"$\max_\eta\ \beta(\eta)$", ("beta_max",), None, None))
DESCRIPTION = """Draws the three panels of Santurkar et al. 2018, figure 4, from gradscape's grid files, and prints their band widths.

Panels: the loss along the gradient (band over the step sizes; thin line: training loss), the distance of the gradient
found there from the gradient at the start (band), and the effective beta-smoothness (largest ratio of that distance to
the distance in weights)."""


def run_styles(runs: list[Run]) -> list[Style]:
    """Colour and line style per run."""
    return styles_of([(run.label, run.variant, run.config) for run in runs])


def draw_gaps(axes: Axes, runs: list[Run], styles: list[Style]) -> None:
    """Ticks above the panel at the records that have a gap, a row for each run that has any."""
    gaps = [(run.step[run.hidden()], style["color"]) for run, style in zip(runs, styles) if run.hidden().any()]
    for row, (step, color) in enumerate(gaps):
        marks, = axes.plot(step, np.full(step.size, 1.03 + 0.035 * row), "|", markersize=4, color=color, clip_on=False,
                           transform=axes.get_xaxis_transform())
        marks.set_in_layout(False)


def reference_lines(runs: list[Run]) -> dict[str, list[str]]:
    """beta → what it is: 2/lr, the edge of stability; 1/(smallest step size), where beta saturates."""
    lines: dict[str, list[str]] = {}
    for run in runs:
        lr, alpha = run["lr"][np.isfinite(run["lr"])], run.alpha[run.alpha > 0]
        if not (lr.size and lr[0] > 0 and np.ptp(lr) <= 1e-9 * lr[0] and alpha.size and run.direction == "gradient"):
            continue
        for value, label in ((2 / lr[0], r"$2/\mathrm{lr}$"), (1 / (alpha.min() * lr[0]), r"$1/\eta_{\min}$")):
            labels = lines.setdefault(f"{value:.4g}", [])
            labels += [label] if label not in labels else []
    return lines


def draw_reference_lines(axes: Axes, runs: list[Run]) -> None:
    """Those inside the axis or not far above it, for which it is extended."""
    low, high = axes.get_ylim()
    log = axes.get_yscale() == "log"
    for text, labels in reference_lines(runs).items():
        value = float(text)
        if low < value <= (3 if log else 1.3) * high:
            axes.axhline(value, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
            axes.annotate("\n".join([text, *("= " + label for label in labels)]), (1, value), (3, 0), va="center",
                          xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=7.5, color=GREY)
            axes.set_ylim(top=max(axes.get_ylim()[1], value * (1.5 if log else 1.06)))


def has_noise(run: Run) -> bool:
    """Whether a noise floor was measured; it is 0 where probes are in double themselves."""
    return bool((np.isfinite(run["noise"]) & (run["noise"] > 0)).any())


def draw_panel(axes: Axes, runs: list[Run], styles: list[Style], edges: tuple[str, ...], line: str | None,
               dotted: str | None = None, smoothing: int = 1, log: bool = False) -> None:
    """Per run a band between the two series `edges`, or the one curve, the thin line `line` and the line `dotted`;
    lowest in front."""
    bands = [[smooth(run[name], smoothing) for name in edges] for run in runs]
    lines = [smooth(run[line], smoothing) for run in runs] if line else [None] * len(runs)
    dots = [smooth(run[dotted], smoothing) if dotted and has_noise(run) else None for run in runs]
    spreads = [(smooth(run.spread[edges[0]][0], smoothing), smooth(run.spread[edges[-1]][1], smoothing))
               if run.spread else () for run in runs]
    curves = [curve for band, thin, dot, spread in zip(bands, lines, dots, spreads)
              for curve in (*band, thin, dot, *spread) if curve is not None]
    low, high, top = robust_limits(curves, log)
    axes.set_yscale("log" if log else "linear")
    axes.set_ylim(low, high)
    heights = [np.median(band[-1][np.isfinite(band[-1])]) if np.isfinite(band[-1]).any() else 0 for band in bands]
    for run, band, thin, dot, spread, style, height in zip(runs, bands, lines, dots, spreads, styles, heights):
        curves = [drawable(curve, axes) for curve in band]
        zorder = 2 + sum(height < other for other in heights) / len(heights)
        if spread:
            axes.fill_between(run.step, *(drawable(curve, axes) for curve in spread), color=style["color"], alpha=0.15,
                              linewidth=0, zorder=zorder)
        if len(curves) == 2:
            draw_band(axes, run.step, curves[0], curves[1], style, zorder)
        else:
            draw_line(axes, run.step, curves[0], style, 1.2, zorder)
        if thin is not None:
            draw_line(axes, run.step, drawable(thin, axes), style, 0.9, zorder + 1)
        if dot is not None:
            draw_line(axes, run.step, drawable(dot, axes), style | {"linestyle": ":"}, 0.9, zorder + 1)
    draw_gaps(axes, runs, styles)
    if top > high:
        axes.set_title(f"max: {top:.3g}", loc="right", fontsize=7.5, color=GREY)
    elif top <= -HUGE:
        axes.text(0.5, 0.5, "no values to show", transform=axes.transAxes, ha="center", color=GREY)


def along_update(runs: list[Run]) -> bool:
    return all(run.direction == "update" for run in runs)


def note(run: Run) -> str:
    """What the legend says of records that are not shown as they are."""
    counts = ((run.non_finite(), "non-finite"), (run.below_noise(), "below noise"), (run.not_done(), "not done"))
    words = ", ".join(f"{count} of {run.step.size} records {kind}" for count, kind in counts if count)
    seeds = f"{len(run.seeds)} seeds" if run.seeds else ""
    words = "; ".join(part for part in (seeds, words) if part)
    return f" ({words})" if words else ""


def draw_legend(figure: Figure, runs: list[Run], styles: list[Style], smoothing: int) -> float:
    """Legend and note below the panels; returns their height in inches."""
    handles = [(Patch(facecolor=style["color"], alpha=0.3, linewidth=0), Line2D([], [], linewidth=1.2, **style))
               for style in styles]
    notes = [note(run) for run in runs]
    columns = min(len(runs), 3 if any(notes) else 5)
    grids = {", ".join(f"{alpha:g}" for alpha in np.sort(run.alpha)) for run in runs}
    grid = "the step sizes" if len(grids) > 1 or len(min(grids)) > 48 else f"η/lr ∈ {{{min(grids)}}}"
    if along_update(runs):
        grid = "multiples m of the optimiser's update" + grid.replace("the step sizes", "").replace("η/lr ∈", ":")
    text = f"bands: range over {grid}; line in (a): training loss"
    text += "; dotted in (b): 10 × noise floor × ‖g‖, cells below are left out" if any(map(has_noise, runs)) else ""
    text += "; of several seeds: means, and in pale the range over all of them" if any(r.seeds for r in runs) else ""
    text += f"; moving averages of {smoothing} records" if smoothing > 1 else ""
    text += "; max: largest value, outside of the axis" if any(axes.get_title("right") for axes in figure.axes) else ""
    height = figure.get_figheight()
    figure.text(0.5, 0.06 / height, text, ha="center", va="bottom", fontsize=7.5, color=GREY)
    labels = [escape(run.label) + note for run, note in zip(runs, notes)]
    figure.legend(handles, labels, loc="lower center", ncol=columns, frameon=False, borderaxespad=0.2,
                  bbox_to_anchor=(0.5, 0.16 / height))
    return 0.25 + 0.2 * -(-len(runs) // columns)


def draw_figure(runs: list[Run], size: tuple[float, float] = (11.0, 3.2), smoothing: int = 1, log_x: bool = False,
                log_y: bool = False, title: str | None = None) -> Figure:
    """The three panels side by side, one legend below them; `size` in inches, `smoothing` in records."""
    figure = Figure(figsize=size)
    styles = run_styles(runs)
    lift = 6 + 7 * sum(run.hidden().any() for run in runs)  # titles stand above the gaps' ticks
    panels = figure.subplots(1, len(PANELS))
    for axes, (heading, label, edges, line, dotted) in zip(panels, PANELS):
        draw_panel(axes, runs, styles, edges, line, dotted, smoothing, log_y)
        set_step_axis(axes, np.concatenate([run.step for run in runs]), log_x)
        axes.set_title(heading, loc="left", pad=lift)
        if along_update(runs):
            label = label.replace(r"- \eta g", "+ m u").replace(r"\eta", "m")
        axes.set_ylabel(label)
    draw_reference_lines(panels[-1], runs)
    bottom = draw_legend(figure, runs, styles, smoothing) / size[1]
    if title:
        figure.text(0.5, 1 - 0.08 / size[1], escape(title), ha="center", va="top", fontsize=11)
    for _ in range(2):  # the first pass changes the panels' sizes, and with them the tick labels
        figure.tight_layout(rect=(0, bottom, 1, 1 - (0.25 / size[1] if title else 0)), pad=0.6, w_pad=1.2)
    return figure


def landscape(places: list[str | Path], name: str = "main", smooth: int = 1, log_x: bool = False, log_y: bool = False,
              title: str | None = None, size: tuple[float, float] = (11.0, 3.2)) -> Figure:
    """The three panels for run directories, directories of variants, or grid files; `smooth` in records."""
    runs = load_runs([str(place) for place in places], name)
    return styled(lambda: draw_figure(runs, size, smooth, log_x, log_y, title))


def parse_arguments(arguments: list[str] | None, program: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=program, description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter, epilog="""\
The dotted line in the middle panel is 10 times the noise floor: gradient differences below it are rounding, and their
cells are left out of the bands. Records with non-finite values are gaps in the bands, ticks above the panels, and counted in the legend. The table
printed holds, per run, the mean over its records of max - min for loss and gradient difference, and median and maximum
of the effective beta; records whose values are not finite are left out and counted. Runs named bn or batch are reddish,
none or plain blue. A file that unites the runs of several seeds is drawn as the means over them, with the range from
the least to the largest of all seeds behind in pale; its numbers are those of the means.

examples:
  {program} runs/bn-vs-none -o figure.png                      all variants of an experiment
  {program} runs/a runs/b --labels "lr 0.1,lr 0.5" --log-y --smooth 5 -o figure.pdf
  {program} runs/bn-vs-none --table 0,100,1000                 numbers only""".replace("{program}", program))
    add = parser.add_argument
    integer = checked(r"[1-9]\d{0,5}", int, "a whole number from 1 to 999999")
    add("runs", nargs="+", metavar="RUN_DIR", help="run directory, directory of variants (all are drawn), or grid file")
    add("-o", "--output", type=Path, metavar="FILE", help="figure to write: .png, .pdf or .svg")
    add("--name", default="main", help="which sweep: NAME reads landscape-NAME.h5 (default: landscape.h5)")
    add("--labels", metavar="A,B", help="names for the legend, one per run in the order of the table")
    add("--title", help="title above the panels")
    add("--smooth", type=integer, default=1, metavar="N", help="draw moving averages over N records")
    add("--log-x", action="store_true", help="logarithmic step axis; step 0 stays visible")
    add("--log-y", action="store_true", help="logarithmic value axes")
    add("--size", default=(11.0, 3.2), metavar="WxH", help="size in inches (default: 11x3.2)",
        type=checked(r"[1-9]\d?(\.\d+)?x[1-9]\d?(\.\d+)?", lambda text: tuple(map(float, text.split("x"))),
                     "a size such as 11x3.2, in inches from 1 to 99"))
    add("--dpi", type=integer, default=200, help="pixels per inch of a png (default: 200)")
    add("--table", default=[], metavar="0,100,...", help="print the bands at these steps too",
        type=checked(r"\d{1,18}(,\d{1,18})*", lambda text: list(map(int, text.split(","))), "a list such as 0,100"))
    add("--json", action="store_true", help="print the numbers as JSON instead of tables")
    options = parser.parse_args(arguments)
    if not (options.output or options.table or options.json):
        parser.error("nothing to do: give -o FILE for a figure, or --table or --json for the numbers only")
    options.usage_error = parser.error
    return options


def run_program(options: argparse.Namespace) -> None:
    if options.output and options.output.suffix.lower() not in METADATA:
        raise Error(f"{options.output}: unknown kind of figure; name it .png, .pdf or .svg")
    runs = load_runs(options.runs, options.name)
    labels = options.labels.split(",") if options.labels is not None else [run.label for run in runs]
    if len(labels) != len(runs):
        names = ", ".join(run.label for run in runs)
        options.usage_error(f"--labels gives {len(labels)} names, but there are {len(runs)} runs: {names}")
    for run, label in zip(runs, labels):
        run.label = label
    if options.output:
        def draw() -> None:
            figure = draw_figure(runs, options.size, options.smooth, options.log_x, options.log_y, options.title)
            save_figure(figure, options.output, options.dpi)

        styled(draw)
    if options.json:
        records = [record_at(run, step) for step in options.table for run in runs]
        print(to_json({"runs": [summarise(run) for run in runs], "records": records}))
    else:
        print(format_summaries(runs))
        if options.table:
            print("\n" + format_records(runs, options.table))
    sys.stdout.flush()


def main(arguments: list[str] | None = None, program: str = "plot_landscape.py") -> int:
    options = parse_arguments(arguments, program)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # enormous values and glyphs that a font lacks are no news to the user
            run_program(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of the table has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (Error, OSError) as failure:
        print(f"plot_landscape: {failure}", file=sys.stderr)
        return 1
    return 0
