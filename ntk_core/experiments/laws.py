"""Laws in width and depth (theorems 1 and 2, proposition 1): what of a finite network shrinks with its width, and how.

A sweep over widths, depths and seeds; every few seeds of one width and depth are a part of the run. Inputs are on the
circle: x0 = (1, 0), and for training the four points of the paper's figure 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ntk_core.experiments._laws_spec import ANGLES, Spec
from ntk_core.runs.arrays import Labelled, labelled
from ntk_core.runs.result import Increment, Schema, Variable
from ntk_core.runs.theory import Theory

if TYPE_CHECKING:
    from ntk_core.runs.parts import Part
    from ntk_core.runs.plan import Plan

CELLS = ("width", "depth", "seed")
FEW, FEW_TRAINED = 20, 4  # networks of a width and depth that are shown unasked
SKETCH_SECONDS = 2.0  # expected of them, at most


def theory(spec: Spec) -> Theory:
    """The limit's kernels at x0 by depth, and what the measure's law is known to be."""
    from ntk_core.experiments import _laws_theory as known

    return known.theory(spec)


def plan(spec: Spec) -> Plan:
    """Predicted cost of the sweep; refuses what does not fit."""
    from ntk_core.experiments import _laws_pieces

    return _laws_pieces.plan(spec)


_LOOK = {
    "spread": {"kernel": "tangent kernel Theta_0(x0, x0) over its limit"},
    "training": {
        "kernel_change": "|Theta_t - Theta_0| / |Theta_0| on the circle, Frobenius norm",
        "distance": "largest |f - f_lin| over the circle and the moments looked at",
        "hidden_weights": "root mean square change of the weights between hidden layers",
        "outer_weights": "root mean square change of the first and the last layer's weights",
        "activations": "root mean square change of the hidden activations",
        "cost": "cost 1/2 mean (f - f*)^2 at the end",
    },
    "outputs": {
        "f": "outputs f_0(x0) over their limiting standard deviation",
        "mixed": "root mean square of Theta_0(x0, x0) between different outputs, over the limit's diagonal",
    },
    "depth": {"correlation": "Sigma_l(x0, x) / sqrt(Sigma_l(x0, x0) Sigma_l(x, x)), layer by layer"},
}  # fmt: skip
_MORE_DIMS = {"f": ("output",), "correlation": ("layer", "angle")}


def schema(spec: Spec) -> Schema:
    """The numbers of every network, by width, depth and seed; which ones depends on the measure."""
    coords = labelled(
        width=(("width",), spec.widths, "neurons in a hidden layer", "1"),
        depth=(("depth",), spec.swept_depths, "weight matrices", "1"),
        seed=(("seed",), [spec.seed + k for k in range(spec.networks)], "seed of the network", "1"),
    )
    variables = {
        name: Variable((*CELLS, *_MORE_DIMS.get(name, ())), words) for name, words in _LOOK[spec.measure].items()
    }
    return Schema(coords | _more_coords(spec), variables, CELLS)


def _more_coords(spec: Spec) -> dict[str, Labelled]:
    if spec.measure == "outputs":
        return labelled(output=(("output",), np.arange(spec.outputs), "which output", "1"))
    if spec.measure == "depth":
        return labelled(
            layer=(("layer",), np.arange(1, spec.layers + 1), "number of weight matrices passed", "1"),
            angle=(("angle",), np.pi * np.array(ANGLES), "angle between x0 and x", "rad"),
        )
    return {}


def sketch(spec: Spec) -> Spec | None:
    """The first few networks of every width and depth; none where they take long, or are most of the sweep's."""
    from ntk_core.experiments import _laws_pieces

    name, few = ("trained", FEW_TRAINED) if spec.measure == "training" else ("seeds", FEW)
    first = spec.model_copy(update={name: min(few, spec.networks // 2), "piece": FEW})
    if first.networks < 2 or _laws_pieces.total_seconds(first) > SKETCH_SECONDS:
        return None
    return first


def parts(spec: Spec, plan: Plan, workers: int) -> tuple[Part, ...]:
    """A part for every few networks of one width and depth, the cheapest first; the same for any number of workers."""
    from ntk_core.experiments import _laws_pieces

    return _laws_pieces.parts(spec, plan)


def run(spec: Spec, part: Part | None = None) -> Iterator[Increment]:
    """Draws the networks of a part (by default all), and looks at them, trained or not."""
    from ntk_core.experiments import _laws_sweep

    return _laws_sweep.run(spec, part)
