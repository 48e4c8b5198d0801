"""Figures of training itself: accuracy and loss over steps, and the band across runs with several learning rates."""

from __future__ import annotations

import numpy as np

from .files import read_file
from .layout import Cell, compose
from .options import figure
from .panels import Curves
from .series import Places, gather, load_trace, stacked
from .style import Plot, StepLook


@figure
def accuracy(places: Places, look: StepLook, value: str = "accuracy") -> Plot:
    """Training and test accuracy over training steps, or with value="loss" the losses (Santurkar et al. 2018, figures 1, 2, 12;
    the course's figures 1 and 2). x: training step; y: accuracy on the step's batch in percent (moving average over `smooth`
    steps), and on the whole test set; or the mean loss per sample. Without test images one panel. figure.numbers: steps
    trained, mean training value of the last 100 steps and last test value, of each seed."""
    groups = gather(places, look, "", lambda run, file: load_trace(run, file, value))
    files = [file for group in groups for file in group.files]
    tested = any(np.isfinite(file[f"test_{value}"]).any() for file in files)
    records = look.smooth or max(1, max(file["step"].size for file in files) // 100)
    scale, unit = (100, "accuracy, %") if value == "accuracy" else (1, "loss")
    limits = (0.0, 102.0) if value == "accuracy" else None
    averaged = f"moving average over {records} steps" if records > 1 else ""
    train = Curves(look, "training", f"training {unit}", limits=limits, records=records, note=averaged)
    test = Curves(look, "test", f"test {unit}", column=1, limits=limits, records=1)
    numbers = []
    for group in groups:
        steps, values = stacked(group.files, value)
        train.line(group, steps, scale * values)
        numbers.append({"run": group.label, "steps": int(steps[-1]) + 1,
                        f"train_{value}": [float(np.mean(file[value][0, -100:])) for file in group.files]})
        if tested:
            steps, values = stacked(group.files, f"test_{value}", "test_step")
            test.line(group, steps, scale * values)
            numbers[-1][f"test_{value}"] = [float(file[f"test_{value}"][0, -1]) if file["test_step"].size else float("nan")
                                            for file in group.files]
    plot = compose([train, test] if tested else [train], groups, look, [], Cell(4.2, 2.6, 2.6),
                   look.facet == "variant")
    plot.numbers = numbers
    return plot


@figure
def cross_run(places: Places, look: StepLook) -> Plot:
    """The course exercise's band: least and largest training loss at each step across runs with several learning rates, with
    and without batch norm in one figure. Reads runs.h5 of each variant. x: training step; y: loss on the step's batch, from
    the least to the largest of the rates. figure.numbers: mean widths, and the last test accuracy of each rate."""
    schema = {"step": ("step",), "lr": ("lr",), "loss_min": ("step",), "loss_max": ("step",)}
    tests = {"test_step": ("test_step",), "test_accuracy": ("lr", "test_step")}
    groups = gather(places, look, "runs.h5", lambda run, file: read_file(
        file, schema, f"write it again with: gradscape merge {run}", tests), runs=False)
    panel = Curves(look, "band across runs", "training loss")
    numbers, rates = [], {}
    for group in groups:
        file, = group.files
        low, high = file["loss_min"][0], file["loss_max"][0]
        panel.band(group, file["step"], low, high, alpha=0.4, edges=True)
        width = (high - low)[np.isfinite(high - low)]
        test = file["test_accuracy"][0] if "test_accuracy" in file else np.zeros((file["lr"].size, 0))
        numbers.append({"run": group.label, "lr": file["lr"].tolist(), "mean_width": float(np.mean(width)) if width.size else np.nan,
                        "test_accuracy": test[:, -1].tolist() if test.shape[1] else []})
        rates.setdefault(", ".join(f"{rate:g}" for rate in file["lr"]), []).append(group.label)
    notes = [f"range over runs with learning rates {text}" + (f" ({', '.join(labels)})" if len(rates) > 1 else "")
             for text, labels in rates.items()]
    averaged = [f"moving averages over {look.records()} records"] if look.records() > 1 else []
    facet = look.facet == "variant" or (look.facet is None and len(groups) > 3)
    plot = compose([panel], groups, look, notes + averaged, Cell(5.9, 3.2, 1.6 if facet else 2.6), facet)
    plot.numbers = numbers
    return plot
