"""Figures of gradscape's runs, one function each. Every function takes a place or a list of places (run directories,
directories of variants, or files of a run) and keywords, and returns a matplotlib Figure, whose attribute `numbers` holds
what was drawn in numbers and `caption` what a caption should say.

    import sys; sys.path.append("tools")        # of the checkout
    from gradscape.figures import landscape, shift
    landscape("runs/fig4", smooth=5)             # shown by Jupyter

Keywords of all: labels, order, colours (one for each run), name (of the sweep), title, size (width, or (width, height), in
inches), paper ("column", "text", "page"), panel (letters). Of those over training steps also: smooth (records), log_x,
log_y, facet ("variant", "none").
"""

from .analyses import drift, layers, moments, shift, step_sizes, theorem
from .files import Error, UsageError
from .histograms import ridgelines, weights
from .landscape_figure import landscape
from .surfaces import surface
from .training import accuracy, cross_run

__all__ = ["Error", "UsageError", "accuracy", "cross_run", "drift", "landscape", "layers", "moments", "ridgelines", "shift",
           "step_sizes", "surface", "theorem", "weights"]
