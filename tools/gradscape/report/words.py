"""What a report says of its figures: of each what the axis means, and what may not be concluded."""

from __future__ import annotations


def plain(text: str) -> str:
    """A user's text as one line of readable characters; bytes that are no UTF-8 are replaced."""
    text = str(text).encode(errors="surrogateescape").decode(errors="replace")
    return "".join(letter for letter in text if letter.isprintable())


# name → (what is shown, what may not be concluded), two sentences together
WORDS: dict[str, tuple[str, str]] = {
    "bands": (
        "At each training step the network is evaluated at several points along one direction, from the weights θ_t on, and the band spans the "
        "least and the largest value found there on the step's own batch.",
        "A narrow band says that this line, at these step sizes, is predictable; it says nothing of other directions, larger steps or test images, "
        "and runs with other step sizes or learning rates have bands over other distances."),
    "step_sizes": (
        "Across: how far the step goes; up: how much gradient (or loss) changes there, at the training step that the slider shows, each mark an "
        "evaluation of the network.",
        "Between the marks nothing was evaluated, and a single step is a single batch: compare curves over many steps before calling one smoother."),
    "beta": (
        "The largest ratio of gradient difference to distance over the step sizes of a training step: how fast the gradient turns along the line.",
        "It is a lower bound of the smoothness along one line, not the Hessian's largest eigenvalue, and close to the dotted line it is limited by the "
        "smallest step size rather than by the landscape."),
    "training": (
        "The loss and accuracy of each training step's batch, before the update, and of the test images now and then.",
        "Batches differ, so single steps jump without meaning; and a lower training loss of one variant does not by itself come from a smoother landscape."),
    "cross_run": (
        "The least and the largest training loss at the same step across runs that differ in their learning rate.",
        "These are different trainings at different weights: the band shows how sensitive training is to the rate, not how the loss varies around one point."),
    "shift": (
        "How far a layer's gradient changes when only the layers below it take their step: cosine 1 or distance 0 means not at all.",
        "Distances of networks with different gradient norms cannot be compared directly, and little shift does not show that shift is what matters for training."),
    "drift": (
        "The root mean square, over a layer's units, of the change of a unit's mean or variance in one training step, on the same batch.",
        "It is in the units of the activations, which normalisation rescales, so that levels of different networks are not comparable as they stand."),
    "distributions": (
        "The density of all activations (before the non-linearity) or weights of a layer at the training step that the slider shows.",
        "All units are taken together: a stable shape can hide units that move against each other, and a difference in width alone may be mere scale."),
    "theorem": (
        "Per layer, the factor γ²/σ² by which batch norm scales a unit's squared gradient, or the share that its two projections remove.",
        "The theorem compares a network with itself without the norm at the same values; it does not say that a network trained without norm has larger gradients."),
    "layers": (
        "The part of the gradient difference that lies in one layer's parameters, over the step sizes, and that divided by the layer's own distance.",
        "The step moves all layers at once, so a layer's part also holds what the other layers' movement did to it."),
    "plane": (
        "The loss (or accuracy) of a fixed set of training images over a plane through the weights, in multiples of its two directions.",
        "Two directions of very many are shown: a valley here may be a saddle elsewhere, sharpness depends on how the directions are scaled, and the "
        "path of training is projected onto the plane."),
    "line": (
        "The loss (or accuracy) of a fixed set of images on a straight line through the weights, in multiples of its direction.",
        "A barrier on the straight line does not rule out a curved way without one, and widths depend on how the direction is scaled."),
    "other": (
        "What a file holds that this report has no figure of its own for: its numbers over the training steps, in the unit beside the axis.",
        "What they mean, and what follows from them, is said in docs/format.md and docs/definitions.md rather than here."),
}
