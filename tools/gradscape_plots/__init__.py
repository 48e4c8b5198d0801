"""Figures of gradscape's runs, one function each; every function takes run directories or directories of variants, and
returns a matplotlib Figure, whose attribute `numbers` holds what was drawn in numbers.

    import sys; sys.path.append("tools")        # of the checkout
    from gradscape_plots import landscape, shift
    landscape(["runs/fig4"], smooth=5)           # shown by Jupyter
"""

from .analyses import drift, layers, moments, shift, step_sizes, theorem
from .grids import Error
from .histograms import ridgelines, weights
from .landscape_figure import landscape
from .training import accuracy, cross_run

__all__ = ["Error", "accuracy", "cross_run", "drift", "landscape", "layers", "moments", "ridgelines", "shift", "step_sizes",
           "theorem", "weights"]
