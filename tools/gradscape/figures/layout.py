"""Puts panels together to a figure of any size: nothing overlaps, and nothing lies outside."""

from __future__ import annotations

import dataclasses
import math
import string

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import Colormap
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import Bbox

from .axes import set_ticks, text_width, wrapped
from .files import UsageError
from .panels import Curves, Panel, over_steps
from .series import Group
from .style import GREY, NARROW, SMALL, Look, Plot, StepLook, escape, styled

MARGIN = 0.06  # inches around everything, and between panels
SMALLEST = (0.35, 0.3)  # width and height of an axis


@dataclasses.dataclass
class Bar:
    """What the colours of all panels mean."""

    label: str
    low: float
    high: float
    log: bool
    colours: Colormap


@dataclasses.dataclass
class Cell:
    """What a panel with its labels takes, in inches."""

    width: float  # by default
    height: float
    least: float = 2.0  # width; a narrower figure has fewer panels side by side


def compose(panels: list[Panel], groups: list[Group], look: Look, notes: list[str], cell: Cell, facet: bool = False,
            legend: list[tuple[object, str]] | None = None, bar: Bar | None = None) -> Plot:
    """The panels with letters, the bar of colours and a legend below (of the groups, or the entries given), and below that the
    notes. With `facet` a column of panels for each group, which must be Curves."""
    for letter, panel in zip(string.ascii_lowercase, panels if len(panels) > 1 else []):
        panel.letter = letter
    if look.panel:
        known = [panel.letter for panel in panels if panel.letter]
        unknown = [letter for letter in look.panel if letter not in known]
        if unknown:
            raise UsageError(f"--panel: no panel {unknown[0][:20]}; there are {', '.join(known) or 'no letters: it is only one'}")
        panels = compacted([panel for panel in panels if panel.letter in look.panel])
    of_panels = [lettered(panel, panel.note) for panel in panels if panel.note]
    notes = list(dict.fromkeys([*of_panels, *notes, *remarks(panels, groups)]))
    handles = legend if legend is not None else legend_of(panels, groups)
    titles = [lettered(panel, f"{panel.title}: {panel.ylabel}") for panel in panels]
    if facet:
        panels = faceted(panels, groups)
    columns = 1 + max(panel.column for panel in panels)
    width = look.width() or min(11.0, max(4.5, cell.width * columns + 0.6))

    def draw() -> Plot:
        figure = build(panels, handles, look, [] if look.paper else notes, cell, width, bar)
        figure.caption = ". ".join([*([look.title] if look.title else []), "; ".join(titles), "; ".join(notes)])
        return figure

    return styled(draw, small=look.paper is not None or width < NARROW)


def lettered(panel: Panel, text: str) -> str:
    return f"({panel.letter}) {text}" if panel.letter else text


def compacted(panels: list[Panel]) -> list[Panel]:
    """Without the rows and columns that are empty."""
    rows, columns = (sorted({getattr(panel, name) for panel in panels}) for name in ("row", "column"))
    for panel in panels:
        panel.row, panel.column = rows.index(panel.row), columns.index(panel.column)
    return panels


def faceted(panels: list[Panel], groups: list[Group]) -> list[Panel]:
    """A row for each panel, a column for each group."""
    result = []
    for row, panel in enumerate(panels):
        assert isinstance(panel, Curves)
        for column, group in enumerate(groups):
            part = panel.of(group, row, column)
            part.ylabel = lettered(panel, panel.ylabel if panel.title in panel.ylabel else f"{panel.title}\n{panel.ylabel}") \
                if column == 0 else ""
            part.title, part.letter, part.colour = (escape(group.label) if row == 0 else ""), "", group.style["color"]
            result.append(part)
    return result


def remarks(panels: list[Panel], groups: list[Group]) -> list[str]:
    stale = [group.label for group in groups if "stale" in group.remarks]
    seeds = max((group.seeds for group in groups), default=1)
    return ([f"made before its sources changed (stale): {escape(', '.join(stale))}"] if stale else []) + \
        ([f"of up to {seeds} seeds: the mean, and in pale their range"]
         if any(isinstance(panel, Curves) and panel.pale for panel in panels) else [])


def legend_of(panels: list[Panel], groups: list[Group]) -> list[tuple[object, str]]:
    """A line, a patch, or both, as the panels draw the group."""
    marks = [mark for panel in panels for mark in panel.marks()]
    entries = []
    for group in groups:
        band, line = ((group, kind) in marks for kind in ("band", "line"))
        patch = Patch(facecolor=group.style["color"], alpha=0.35, linewidth=0)
        stroke = Line2D([], [], linewidth=1.4, **group.style)
        handle = (patch, stroke) if band and line else stroke if line else patch
        words = ", ".join(remark for remark in group.remarks)
        entries.append((handle, escape(group.label) + (f" ({words})" if words else "")))
    return entries


def build(panels: list[Panel], handles: list[tuple[object, str]], look: Look, notes: list[str], cell: Cell, width: float,
          bar: Bar | None) -> Plot:
    figure = Plot((width, 1.0))
    renderer = figure.canvas.get_renderer()
    title = wrapped(renderer, escape(look.title or ""), rcParams["figure.titlesize"], width - 2 * MARGIN)
    note = wrapped(renderer, "; ".join(notes), rcParams["xtick.labelsize"] - 0.5 * (width >= NARROW), width - 2 * MARGIN)
    legend, legend_height = add_legend(figure, renderer, handles, width)
    above = MARGIN + lines_height(title, rcParams["figure.titlesize"])
    note_height = lines_height(note, rcParams["xtick.labelsize"])
    below = MARGIN + note_height + legend_height + bar_height(bar)
    height, across = arrangement(look.dimensions()[1], width, panels, cell, above + below)
    figure.set_size_inches(width, height)
    if title:
        figure.text(0.5, 1 - 0.5 * MARGIN / height, title, ha="center", va="top", fontsize=rcParams["figure.titlesize"])
    if note:
        figure.text(0.5, 0.5 * MARGIN / height, note, ha="center", va="bottom", color=GREY,
                    fontsize=rcParams["xtick.labelsize"] - 0.5 * (width >= NARROW))
    if legend:
        legend.set_bbox_to_anchor((0.5, (0.5 * MARGIN + note_height) / height))
    if bar:
        add_bar(figure, renderer, bar, MARGIN + note_height + legend_height)
    axes = place_axes(figure, panels, across)
    share_steps(axes, panels, look)
    for panel, axis in zip(panels, axes):
        panel.draw(axis)
    fit(figure, axes, panels, (above, below), renderer)
    if not all(box.width * width >= SMALLEST[0] and box.height * height >= SMALLEST[1] for box in (axis.get_position() for axis in axes)):
        needed, _ = arrangement(None, width, panels, cell, above + below)
        raise UsageError(f"--size: {len(panels)} panels with their labels do not fit into {width:g}x{height:g} inches; give "
                         f"{width:g}x{math.ceil(10 * needed) / 10:g} or more, or draw one alone with --panel a")
    return figure


def lines_height(text: str, size: float) -> float:
    return (text.count("\n") + 1) * 1.25 * size / 72 + 0.04 if text else 0.0


def bar_height(bar: Bar | None) -> float:
    """Inches."""
    return 0.2 + 1.35 * (rcParams["xtick.labelsize"] + rcParams["axes.labelsize"]) / 72 + 0.08 if bar else 0.0


def add_bar(figure: Plot, renderer: RendererAgg, bar: Bar, bottom: float) -> None:
    """Above `bottom` inches. Its axis has the label "beside", as all that are no panel's."""
    width, height = figure.get_size_inches()
    length = min(0.72 * width, 4.5)
    axes = figure.add_axes(((width - length) / 2 / width, (bottom + bar_height(bar) - 0.2) / height, length / width, 0.1 / height),
                           label="beside")
    edges = (np.geomspace if bar.log else np.linspace)(bar.low, bar.high, 129)
    axes.pcolormesh(edges, [0, 1], np.arange(128)[np.newaxis], cmap=bar.colours, rasterized=True)
    axes.set_xscale("log" if bar.log else "linear")
    axes.set_xlim(bar.low, bar.high)
    axes.set_yticks([])
    axes.set_xlabel(bar.label)
    set_ticks(axes, "x", renderer)


def add_legend(figure: Plot, renderer: RendererAgg, handles: list[tuple[object, str]], width: float) -> tuple[object, float]:
    """The legend in as many columns as fit, and its height in inches."""
    if not handles:
        return None, 0.0
    size = rcParams["legend.fontsize"]
    labels = [wrapped(renderer, label, size, width - 0.7) for _, label in handles]
    for columns in range(min(len(handles), 8), 0, -1):
        legend = figure.legend([handle for handle, _ in handles], labels, loc="lower center", ncol=columns, frameon=False,
                               borderaxespad=0.0, borderpad=0.15, columnspacing=1.2, bbox_to_anchor=(0.5, 0.0))
        box = legend.get_window_extent(renderer)
        if box.width / renderer.dpi <= width - 2 * MARGIN or columns == 1:
            return legend, box.height / renderer.dpi
        legend.remove()


def slots(panels: list[Panel], across: int) -> list[tuple[int, int]]:
    """(row, column) of each panel where only so many are side by side: a grid too wide is cut into blocks of columns, one below
    the other, and the panels of a last block that is not full follow each other, unless their value axes are one."""
    rows, columns = 1 + max(panel.row for panel in panels), 1 + max(panel.column for panel in panels)
    full = columns // across if not any(isinstance(panel, Curves) and panel.shared for panel in panels) else columns
    last = sorted((panel.row, panel.column) for panel in panels if panel.column // across >= full)
    found = []
    for panel in panels:
        block, column = divmod(panel.column, across)
        at = last.index((panel.row, panel.column)) if block >= full else 0
        found.append((full * rows + at // across, at % across) if block >= full else (block * rows + panel.row, column))
    return found


def arrangement(height: float | None, width: float, panels: list[Panel], cell: Cell, extra: float) -> tuple[float, int]:
    """(height of the figure in inches, panels side by side); `extra` inches are taken by what is not panels."""
    columns = 1 + max(panel.column for panel in panels)
    least = cell.least * (1.0 if rcParams["font.size"] > SMALL["font.size"] else 0.8)

    def rows(across: int) -> int:
        return 1 + max(row for row, _ in slots(panels, across))

    def share(across: int) -> float:  # how near the cells are to what they should have
        return min(width / across / least, ((height or 0) - extra) / rows(across) / min(cell.height, 1.3))

    if height is not None:
        return height, max(range(columns, 0, -1), key=share)
    blocks = -(-columns // min(columns, max(1, int(width / least))))
    across = -(-columns // blocks)
    tall = min(cell.height, max(1.4, (0.85 if blocks == 1 else 0.6) * width / across))
    return rows(across) * tall + extra, across


def place_axes(figure: Plot, panels: list[Panel], across: int) -> list[Axes]:
    for panel, (row, column) in zip(panels, slots(panels, across)):
        panel.row, panel.column = row, column
    for panel in panels:
        panel.rightmost = panel.column == max(other.column for other in panels if other.row == panel.row)
    grid = figure.add_gridspec(1 + max(panel.row for panel in panels), across)
    return [figure.add_subplot(grid[panel.row, panel.column], projection=panel.projection) for panel in panels]


def share_steps(axes: list[Axes], panels: list[Panel], look: Look) -> None:
    """One step axis for all panels over steps, from step 0 on where that is not far."""
    steps = [panel.steps() for panel in panels if isinstance(panel, Curves)]
    steps = np.unique(np.concatenate(steps or [np.zeros(0)]).astype(float))
    if not steps.size:
        return
    first, last = (min(0.0, steps[0]) if steps[0] < 0.3 * steps[-1] else steps[0]), steps[-1]
    log = isinstance(look, StepLook) and look.log_x and last > 0
    for axis, panel in zip(axes, panels):
        if isinstance(panel, Curves):
            over_steps(axis, first, last, float(steps[steps > 0][0]) if log else None)


def fit(figure: Plot, axes: list[Axes], panels: list[Panel], outside: tuple[float, float], renderer: RendererAgg) -> None:
    """Labels, titles and ticks that fit, and the places of the axes beside them. `outside`: inches above and below."""
    lowest = {panel.column: max(other.row for other in panels if other.column == panel.column) for panel in panels}
    firsts = {panel.row: min(other.column for other in panels if other.row == panel.row) for panel in panels}
    for axis, panel in zip(axes, panels):
        below = [other for other in panels if other.column == panel.column and other.row == lowest[panel.column]]
        if panel.row == lowest[panel.column] or below[0].xlabel != panel.xlabel:
            axis.set_xlabel(panel.xlabel)
        if panel.ylabel and (panel.column == firsts[panel.row] or panel.ylabel != label_left_of(panel, panels)):
            axis.set_ylabel(panel.ylabel)
    for _ in range(2):  # each pass changes the panels' sizes, and with them the ticks and the lines of the titles
        place(figure, axes, panels, outside, renderer)
        for axis, panel in zip(axes, panels):
            shared = isinstance(panel, Curves) and panel.shared is not None and panel.column != firsts[panel.row]
            if not panel.projection:
                set_ticks(axis, "x", renderer, panel.x_ticks, isinstance(panel, Curves))
                set_ticks(axis, "y", renderer, panel.y_ticks)
            axis.tick_params(labelleft=not shared)
            if panel.twin:
                set_ticks(panel.twin, "y", renderer)
            room = axis.get_window_extent(renderer).width / renderer.dpi
            heading = wrapped(renderer, lettered(panel, panel.title).strip(), rcParams["axes.titlesize"], max(room, 0.5))
            axis.set_title(heading, loc="left", pad=max(panel.lift, rcParams["axes.titlepad"]), color=panel.colour)
        shorten_labels(axes + [panel.twin for panel in panels if panel.twin], renderer)
    place(figure, axes, panels, outside, renderer)


def label_left_of(panel: Panel, panels: list[Panel]) -> str:
    return next((other.ylabel for other in panels if (other.row, other.column) == (panel.row, panel.column - 1)), "")


def shorten_labels(axes: list[Axes], renderer: RendererAgg) -> None:
    """Labels of the value axes in lines, and then all in one size, for which their heights have room."""
    size, ratio = rcParams["axes.labelsize"], 1.0
    for axis in axes:
        room = axis.get_window_extent(renderer).height / renderer.dpi + 0.2
        axis.set_ylabel("\n".join(wrapped(renderer, line, size, room) for line in axis.get_ylabel().split("\n")))
        ratio = min([ratio, *(room / max(text_width(renderer, line, size), 0.01) for line in axis.get_ylabel().split("\n"))])
    for axis in axes:
        axis.yaxis.label.set_size(max(5.5, size * ratio))


def place(figure: Plot, axes: list[Axes], panels: list[Panel], outside: tuple[float, float], renderer: RendererAgg) -> None:
    """Axes of one size, with what stands around them side by side and one above the other."""
    width, height = figure.get_size_inches()
    rows, columns = 1 + max(panel.row for panel in panels), 1 + max(panel.column for panel in panels)
    left, right, low, high = np.zeros(columns), np.zeros(columns), np.zeros(rows), np.zeros(rows)
    for axis, panel in zip(axes, panels):
        inner = axis.get_window_extent(renderer)
        # In three dimensions labels lie inside of the axes; where exactly, matplotlib knows only as it draws.
        outer = Bbox.union([inner, axis._left_title.get_window_extent(renderer)]) if panel.projection else axis.get_tightbbox(renderer)
        if panel.twin:
            outer = Bbox.union([outer, panel.twin.get_tightbbox(renderer)])
        for sides, at, reach in ((left, panel.column, inner.x0 - outer.x0), (right, panel.column, outer.x1 - inner.x1),
                                 (low, panel.row, inner.y0 - outer.y0), (high, panel.row, outer.y1 - inner.y1)):
            sides[at] = max(sides[at], reach / renderer.dpi)
    above, below = outside
    wide = max((width - MARGIN * (columns + 1) - left.sum() - right.sum()) / columns, 0.1)
    tall = max((height - above - below - MARGIN * rows - low.sum() - high.sum()) / rows, 0.1)
    for axis, panel in zip(axes, panels):
        x = MARGIN + left[:panel.column + 1].sum() + right[:panel.column].sum() + panel.column * (wide + MARGIN)
        y = height - above - high[:panel.row + 1].sum() - low[:panel.row].sum() - panel.row * (tall + MARGIN) - tall
        axis.set_position((x / width, y / height, wide / width, tall / height))
