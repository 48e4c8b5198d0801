"""The HTML of a report: one file that needs nothing else, neither a network nor a folder beside it."""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import html
import importlib.util
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..figures.files import Error
from .sections import Report, differences
from .words import plain

DEBIAN = Path("/usr/share/python3-plotly/plotly.js")
HERE = Path(__file__).parent
# Nothing is fetched, whatever is written in a run; plotly.js compiles its shaders' code, which asks for unsafe-eval.
POLICY = ("default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; "
          "base-uri 'none'; form-action 'none'")


def plotly_source() -> Path:
    """plotly.js as Debian's python3-plotly has it, or the plotly of pip."""
    found = importlib.util.find_spec("plotly")
    packaged = [Path(place) / "package_data/plotly.min.js" for place in (found.submodule_search_locations or [])] if found else []
    for path in (DEBIAN, *packaged):
        if path.is_file():
            return path
    raise Error("plotly.js is not installed, which draws a report; apt install python3-plotly")


def packed(text: bytes) -> str:
    """Base64 of gzip, without a time: the same page for the same runs."""
    return base64.b64encode(gzip.compress(text, 6, mtime=0)).decode()


@functools.cache
def packed_plotly() -> tuple[str, str]:
    """plotly.js for the page, and its sha256."""
    source = plotly_source().read_bytes()
    return packed(source), hashlib.sha256(source).hexdigest()


def bare(value: object) -> object:
    """For JSON, which has no word for them: NaN becomes null, an infinity the text "inf" or "-inf". All digits are kept."""
    if isinstance(value, np.ndarray):
        return bare(value.tolist())
    if isinstance(value, dict):
        return {str(name): bare(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [bare(each) for each in value]
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return None if np.isnan(value) else float(value) if np.isfinite(value) else "inf" if value > 0 else "-inf"
    return plain(value) if isinstance(value, str) else value


def escaped(text: object) -> str:
    return html.escape(plain(str(text)))


def element(name: str, content: str, **attributes: str) -> str:
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{html.escape(value)}"' for key, value in attributes.items())
    return f"<{name}{given}>{content}</{name}>"


def as_table(head: list[str], rows: Iterable[tuple[str, list[str]]], label: str, marked: bool = False) -> str:
    """A table whose rows have a heading; wide ones can be scrolled, by keys too."""
    top = "".join(element("th", escaped(text), scope="col") for text in head)
    body = "".join(element("tr", element("th", escaped(name), scope="row") + "".join(
        element("td", element("mark", escaped(cell)) if marked else escaped(cell)) for cell in cells)) for name, cells in rows)
    return element("div", element("table", element("thead", element("tr", top)) + element("tbody", body)), class_="scroll", tabindex="0",
                   role="region", aria_label=label)


def runs_part(report: Report) -> str:
    labels = [plain(label) for label in report.groups]
    differing, equal = differences([group.config for group in report.groups.values()])
    parts = []
    if differing:
        parts.append(element("p", f"What differs between the runs ({len(differing)} of {len(differing) + len(equal)} settings):"))
        parts.append(as_table(["setting", *labels], differing, "settings that differ", marked=True))
    elif len(labels) > 1:
        parts.append(element("p", "The runs have the same settings."))
    shared = as_table(["setting", "all runs" if len(labels) > 1 else labels[0]], [(name, [value]) for name, value in equal], "settings in common")
    parts.append(element("details", element("summary", f"{len(equal)} settings {'in common' if len(labels) > 1 else 'of the run'}") + shared))
    return "".join(parts)


NUMBERS = {"records": "probed steps", "mean_loss_width": "mean width of the loss band", "mean_grad_diff_width": "mean width of the gradient difference",
           "beta_median": "median of the largest β", "beta_max": "largest β", "noise_floor_max": "largest noise floor",
           "non_finite_records": "steps with cells that are not finite", "below_noise_records": "steps with cells below noise",
           "not_done_records": "steps with cells not done"}


def numbers_part(report: Report) -> str:
    if not report.numbers:
        return ""
    rows = [(words, [f"{each[name]:.4g}" for each in report.numbers]) for name, words in NUMBERS.items()]
    files = [Path(str(each["file"])).name for each in report.numbers]
    several = len(set(files)) > 1
    head = [str(each["run"]) + (f", {file}" if several else "") for each, file in zip(report.numbers, files)]
    return element("h2", "Numbers", id="numbers") + as_table(["over the probed steps", *head], rows, "numbers")


def figure_part(number: int, figure: dict, labels: list[str]) -> str:
    """The frame; page.js puts controls and the figure into it."""
    title = escaped(figure["title"])
    notes = "".join(element("li", escaped(note)) for note in [*figure["notes"], *hole_notes(figure, labels)])
    return element("section", element("h2", title, id=f"title-{number}") + element("p", escaped(figure["about"])) + element(
        "p", escaped(figure["caution"]), class_="caution") + '<div class="controls"></div><div class="plot"></div>'
        '<p class="readout"></p>' + (element("ul", notes, class_="notes") if notes else ""),
        id=f"figure-{number}", aria_labelledby=f"title-{number}")


def hole_notes(figure: dict, labels: list[str]) -> list[str]:
    """In words where a run has no values."""
    notes: dict[str, None] = {}
    for table in figure["tables"]:
        gaps = table.get("holes", [])
        if gaps:
            named = ", ".join(f"{gap['first']}" if gap["first"] == gap["last"] else f"{gap['first']} to {gap['last']}" for gap in gaps[:4])
            more = f" and {table['hole_count'] - 4} more stretches" if table["hole_count"] > 4 else ""
            why = " or ".join(dict.fromkeys(gap["why"] for gap in gaps))
            notes[f"Grey, {labels[table['run']]}: no value at step {named}{more} ({why})."] = None
        if table.get("empty"):
            notes[f"{labels[table['run']]}: {table['empty']} cells without a value."] = None
    return list(notes)


def render(report: Report, title: str, provenance: list[tuple[str, list[str]]]) -> str:
    labels = [plain(label) for label in report.groups]
    document = bare({"runs": [{"label": label, "colour": group.style.get("color", "#0072B2"), "dash": group.style.get("linestyle", "-")}
                              for label, group in zip(labels, report.groups.values())],
                     "figures": [figure.document() for figure in report.figures]})
    figures = "".join(figure_part(number, figure, labels) for number, figure in enumerate(document["figures"]))
    for figure in document["figures"]:  # said in the page already
        for name in ("about", "caution", "notes", "words"):
            del figure[name]
    links = [("runs", "What was run"), *([("numbers", "Numbers")] if report.numbers else []),
             *((f"figure-{number}", figure.title) for number, figure in enumerate(report.figures)), ("provenance", "Provenance")]
    contents = element("nav", element("ol", "".join(element("li", element("a", escaped(text), href=f"#{name}")) for name, text in links)),
                       aria_label="contents")
    problems = element("section", element("h2", "What is missing or damaged") + element("ul", "".join(
        element("li", escaped(problem)) for problem in report.problems)), class_="problems") if report.problems else ""
    origin = element("section", element("h2", "Provenance", id="provenance") + as_table(["", *labels], provenance, "provenance"))
    style, script = (HERE.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    library, checksum = packed_plotly()
    data = packed(json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode())
    blocks = "".join(f'<script type="application/octet-stream" id="{name}">{content}</script>\n' for name, content in (("plotly", library), ("data", data)))
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<title>{escaped(title)}</title><style>
{style}</style></head>
<body><a class="skip" href="#main">Skip to the report</a>
<header><h1>{escaped(title)}</h1>{contents}</header>
<main id="main">
<noscript><p class="problems">The figures need JavaScript; tables and words are here without it.</p></noscript>
<p id="failure" class="problems" role="alert" hidden></p>
{problems}<section><h2 id="runs">What was run</h2>{runs_part(report)}</section>
<section>{numbers_part(report)}</section>
{figures}{origin}
<footer><p>Made by gradscape's report. Figures: plotly.js (MIT), sha256 {checksum}.</p></footer>
</main>
{blocks}<script>
{script}</script></body></html>
"""
