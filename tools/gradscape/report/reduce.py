"""Fewer numbers for a page, of which none is made up: every row kept is a row recorded."""

from __future__ import annotations

import numpy as np

from ..figures.files import Array

BUCKETS = 300  # about as many as a figure has pixels to tell them apart by
STEPS = 160  # places of a slider


def extreme_places(values: Array) -> list[int]:
    """Of the least and the largest finite value; none where there is no such value."""
    finite = np.isfinite(values)
    if not finite.any():
        return []
    return [int(np.argmin(np.where(finite, values, np.inf))), int(np.argmax(np.where(finite, values, -np.inf)))]


def kept_rows(columns: list[Array], buckets: int = BUCKETS) -> Array:
    """int64, ascending: which of T rows to keep of columns float64 [T]. Of each of `buckets` stretches of equal length those
    kept are the first row, the least and the largest value of each column, and the first row that has no value; the last row
    too. So a column's extremes are exact, and its holes stay holes."""
    count = columns[0].size
    if count <= 4 * buckets:
        return np.arange(count)
    kept = {0, count - 1}
    edges = np.linspace(0, count, buckets + 1).astype(int).tolist()
    for first, last in zip(edges, edges[1:]):
        kept.add(first)
        for column in columns:
            part = column[first:last]
            kept.update(first + place for place in extreme_places(part))
            finite = np.isfinite(part)
            if not finite.all():
                kept.add(first + int(np.argmin(finite)))
    return np.array(sorted(kept))


def slider_steps(steps: list[Array], extremes: list[int], most: int = STEPS) -> list[int]:
    """Of the steps int64 [T] of several runs at most `most`, evenly among those that any run has, the first and last too; and
    beside them the `extremes`."""
    known = np.unique(np.concatenate(steps))
    if known.size > most:
        known = known[np.unique(np.linspace(0, known.size - 1, most).round().astype(int))]
    return sorted({*known.tolist(), *extremes})


def nearest_rows(own: Array, wanted: list[int]) -> Array:
    """int64, ascending: the rows of a run with steps `own` that lie nearest to the steps wanted."""
    at = np.clip(np.searchsorted(own, wanted), 0, own.size - 1)
    before = np.clip(at - 1, 0, own.size - 1)
    closer = np.abs(own[before] - wanted) < np.abs(own[at] - wanted)
    return np.unique(np.where(closer, before, at))


def holes(steps: Array, values: list[Array], why: Array) -> list[dict[str, object]]:
    """Stretches of records without a value: where values float64 [T] are not all finite, with the reason given by `why`, text
    [T]. first, last: their steps; from, to: the steps of the records around them, between which nothing can be drawn."""
    bad = ~np.isfinite(values).all(axis=0)
    found: list[dict[str, object]] = []
    for at in np.flatnonzero(bad).tolist():
        after = int(steps[min(at + 1, steps.size - 1)])
        if found and found[-1]["end"] == at - 1 and found[-1]["why"] == str(why[at]):
            found[-1] |= {"last": int(steps[at]), "to": after, "end": at}
        else:
            found.append({"first": int(steps[at]), "last": int(steps[at]), "why": str(why[at]), "from": int(steps[max(at - 1, 0)]),
                          "to": after, "end": at})
    return [{name: value for name, value in hole.items() if name != "end"} for hole in found]
