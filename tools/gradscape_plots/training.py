"""Figures of training itself: accuracy and loss over steps, and the band across runs with several learning rates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from .grids import Error
from .panels import Panel, finish, grid_of_axes
from .series import Group, each, find_groups, load_trace, read_file, stacked
from .style import styled, styles_of

Places = list[str | Path]
Size = tuple[float, float] | None


def accuracy(places: Places, value: str = "accuracy", smooth: int | None = None, log_x: bool = False, log_y: bool = False,
             labels: list[str] | None = None, title: str | None = None, size: Size = None) -> Figure:
    """Training (moving average over `smooth` steps) and test accuracy over steps, or with value="loss" the losses
    (Santurkar et al. 2018, figures 1, 2, 12; the course's figures 1 and 2). Without test images one panel.
    figure.numbers: the last values."""
    groups = find_groups(places, labels)
    return styled(lambda: draw_training(groups, value, smooth, log_x, log_y, title, size))


def draw_training(groups: list[Group], value: str, smooth: int | None, log_x: bool, log_y: bool, title: str | None,
                  size: Size) -> Figure:
    traces = [each(group, load_trace) for group in groups]
    tested = any(np.isfinite(run["test_" + value]).any() for runs in traces for run in runs)
    longest = max(run["step"].size for runs in traces for run in runs)
    records = smooth or max(1, longest // 100)
    figure, axes = grid_of_axes(1, 1 + tested, size, (4.2, 2.7))
    scale = 100 if value == "accuracy" else 1
    unit = "accuracy, %" if value == "accuracy" else "loss"
    train = Panel(axes[0, 0], log_x, log_y, records)
    test = Panel(axes[0, 1], log_x, log_y) if tested else None
    figure.numbers = []
    for group, runs in zip(groups, traces):
        steps, values = stacked(runs, value)
        train.add(steps, scale * values, group)
        last = {"run": group.label, "steps": int(steps[-1]) + 1 if steps.size else 0,
                f"train_{value}": [float(np.mean(row[-100:])) for row in values]}
        if test is not None:
            steps, values = stacked(runs, "test_" + value, "test_step")
            test.add(steps, scale * values, group)
            last[f"test_{value}"] = [float(row[-1]) for row in values]
        figure.numbers.append(last)
    for panel, kind in ((train, "training"), (test, "test")):
        if panel is not None:
            panel.finish((0, 102) if value == "accuracy" and not log_y else None)
            panel.axes.set_title(kind, loc="left")
            panel.axes.set_ylabel(f"{kind} {unit}")
    return finish(figure, groups, title, f"training: moving average over {records} steps" if records > 1 else "")


def cross_run(places: Places, smooth: int = 1, log_x: bool = False, log_y: bool = False, labels: list[str] | None = None,
              title: str | None = None, size: Size = None) -> Figure:
    """The course exercise's band: least and largest training loss at each step across runs with several learning rates,
    with and without batch norm in one figure. Reads runs.h5 of each variant. figure.numbers: mean widths, and the test
    accuracy of each rate."""
    files = [path for place in map(Path, places) for path in find_bands(place)]
    found = [(path.parent.name, *read_band(path)) for path in files]
    if labels is not None and len(labels) != len(found):
        raise Error(f"--labels: {len(labels)} names for {len(found)} variants; give one for each")
    styles = styles_of([(name, name, config) for name, _, config in found])
    groups = [Group(label, [path.parent], config, style)
              for label, path, (_, _, config), style in zip(labels or [name for name, *_ in found], files, found, styles)]

    def draw() -> Figure:
        figure, axes = grid_of_axes(1, 1, size or (6.5, 3.8), (6, 3))
        panel = Panel(axes[0, 0], log_x, log_y, smooth)
        figure.numbers = []
        for group, (_, data, _) in zip(groups, found):
            panel.add_band(data["step"], data["loss_min"], data["loss_max"], group, 0.4)
            width = data["loss_max"] - data["loss_min"]
            figure.numbers.append({"run": group.label, "lr": data["lr"].tolist(),
                                   "mean_width": float(np.mean(width[np.isfinite(width)])),
                                   "test_accuracy": data["test_accuracy"][:, -1].tolist()})
        panel.finish()
        panel.axes.set_ylabel("training loss")
        rates = ", ".join(f"{rate:g}" for rate in found[0][1]["lr"])
        return finish(figure, groups, title, f"range over runs with learning rates {rates}")

    return styled(draw)


def find_bands(place: Path) -> list[Path]:
    if (place / "runs.h5").is_file():
        return [place / "runs.h5"]
    found = sorted(place.glob("*/runs.h5"), key=lambda path: (path.parent.name != "none", path.parent.name))
    if not found:
        raise Error(f"{place}: no runs.h5 here or in a subdirectory; make it with: gradscape merge {place} (runs of a "
                    "configuration with sweep.kind = \"runs\")")
    return found


def read_band(path: Path) -> tuple[dict, str]:
    mend = f"write it again with: gradscape merge {path.parent}"
    data, _ = read_file(path, mend)
    missing = [name for name in ("lr", "step", "loss_min", "loss_max", "test_accuracy") if name not in data]
    if missing:
        raise Error(f"{path}: no dataset {', '.join(missing)}; {mend}")
    configs = sorted(path.parent.glob("*/config.toml"))
    return data, configs[0].read_text(errors="replace") if configs else ""


