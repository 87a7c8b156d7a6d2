"""Steps or leaps: which of the two is sooner done, told from a spec and a width alone.

Neither the machine nor the number of seeds has a say, see `training.worth`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ntk_core.training.worth import leap_seconds, step_seconds

if TYPE_CHECKING:
    from ntk_core.runs.spec import TrainingSpec

PASSES, HEAVY_PASSES = 2.9, 1.75  # forward and backward, of one leap
LINEAR = 0.65  # of a smooth network's passes
SHARP = 87.0  # passes of a network of width 100 and depth 5 with sharp kinks, at beta = 0.3 and up to t = 100


def steps_are_sooner(spec: TrainingSpec, width: int, unknowns: int, products: float, passes: float) -> bool:
    """Whether all plain steps of stored weights take no longer than the leaps in their place; they are exact besides.

    Gradient flow has no steps, and those of sampled weights cost more each time.

    Args:
        spec, width: what is trained.
        unknowns: outputs on the training points, N n_out.
        products: operations of the training points' way through all matrices.
        passes: forward and backward passes by leaps.
    """
    heavy = spec.rule == "momentum"
    itemsize = 4 if spec.precision == "float32" else 8
    leaps = passes / (HEAVY_PASSES if heavy else PASSES)
    leap = leap_seconds(spec.depth, products, itemsize, unknowns, width, heavy)
    return spec.steps * step_seconds(spec.depth, products, itemsize) <= leaps * leap


def likely_passes(spec: TrainingSpec, width: int, smooth: float) -> float:
    """Forward and backward passes by leaps, where a smooth network would take so many.

    Without any nonlinearity leaps need no midpoint. With sharp kinks, leaps of a narrow and deep network are many, and
    hang on its draw: of 299 such runs half were told within a factor 1.4 by this, and nine in ten within 2.6.
    """
    if spec.activation == "identity":
        return LINEAR * smooth
    if spec.rule == "momentum" or not has_sharp_kinks(spec.activation):
        return smooth
    n, beta, time = width / 100, max(spec.beta, 0.05) / 0.3, max(spec.time, 1.0) / 100
    return SHARP * n**-0.3 * (spec.depth / 5) ** 0.66 * beta**0.17 * time**0.2


def has_sharp_kinks(activation: str) -> bool:
    """Whether an activation is relu or of its kin, the identity apart."""
    from ntk_core.activations.table import get
    from ntk_core.duals.closed_forms import Homogeneous

    return activation != "identity" and isinstance(get(activation).duals, Homogeneous)
