"""The seconds that a person is told before a run of sampled weights.

How many directions are explored hangs on the activation and the points, and so does what a pass costs. The weights
below are a fit to 171 runs on two cores of specs drawn from the controls' ranges: of those, three in four were told
within a factor 1.5, and nine in ten within 2. Nothing is chosen by them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from ntk_core.runs import machine
from ntk_core.runs.counts import DRAWS_PER_SECOND
from ntk_core.runs.method import LINEAR

if TYPE_CHECKING:
    from ntk_core.runs.counts import TrainingCost
    from ntk_core.runs.machine import Speeds


class _Ranks(NamedTuple):
    """Directions explored, forward and backward: of some hundred points that are looked at, and for each trained on."""

    looked_at: float
    trained: float


SHARP, SMOOTH = _Ranks(267, 15.7), _Ranks(40, 4.3)
OTHERS = {
    "elu": _Ranks(122, 3.4),
    **dict.fromkeys(("sin", "cos", "gaussian"), _Ranks(53, 5.3)),
    **dict.fromkeys(("sigmoid", "softplus"), _Ranks(17, 2.0)),
    "identity": _Ranks(4, 0.85),
}
LOOKED_AT = 110  # points of the runs that were fitted
STRONG_BIAS = 1.8  # how many times as many directions at beta >= 1
HEAVY_LOOKED_AT, HEAVY = 1.9, 0.46  # of a heavy ball, with points that are looked at and without
PASSES = 3.1  # over the root of a leap's tolerance
# Times what the counts say at the machine's rates: products with what is known, its bytes, the values of activations.
PRODUCTS, TRAFFIC, MOVED, DRAWS, ACTIVATED = 2.5, 38.0, 66.0, 0.24, 0.7
SMALL = 570  # small operations a layer and pass
VELOCITY, VELOCITY_ROWS = 170.0, 50  # of a heavy ball, for each value of a point, and of as many points more


def expected_of_sampled(cost: TrainingCost, speeds: Speeds) -> float:
    """Predicted seconds of one seed with sampled weights, on a CPU."""
    spec, n, N = cost.spec, cost.width, cost.n_train
    passes = _passes(cost)
    looks = len(spec.times) if cost.n_eval else 0
    rows = passes * N + looks * (N + cost.n_eval)
    values = n * (spec.depth - 1) * rows
    known = cost.hidden * n * expected_ranks(cost)
    products = PRODUCTS * 2.0 * known * rows
    velocity = VELOCITY * passes * (spec.depth - 1) * n * N * (N + VELOCITY_ROWS) if spec.rule == "momentum" else 0.0
    activated = machine.activation_operations(spec.activation, spec.precision) * speeds.overhead
    return (
        products / speeds.flops(spec.precision)
        + velocity / speeds.flops("float64")
        + cost.itemsize * (TRAFFIC * known * (passes + looks) + MOVED * values) / speeds.bandwidth
        + DRAWS * cost.hidden * n * (rows + looks * (N + cost.n_eval)) / DRAWS_PER_SECOND
        + ACTIVATED * values * activated
        + SMALL * (passes + len(spec.times)) * spec.depth * speeds.overhead / cost.batch
    )


def expected_ranks(cost: TrainingCost) -> float:
    """Forward plus backward directions of a hidden matrix at the end of training, a factor 2 off in one run of ten."""
    from ntk_core.activations.table import get

    spec = cost.spec
    kind = OTHERS.get(spec.activation) or (SMOOTH if get(spec.activation).smooth else SHARP)
    share = cost.n_eval / LOOKED_AT
    found = kind.looked_at * (share if kind is SHARP else min(share, 1.0))  # kinks make every point a new direction
    found += kind.trained * cost.n_train * (STRONG_BIAS if spec.beta >= 1 else 1.0)
    if spec.rule == "momentum":
        found *= HEAVY_LOOKED_AT if cost.n_eval else HEAVY
    return min(found, 2.0 * cost.width)


def _passes(cost: TrainingCost) -> float:
    """Forward and backward passes; kinks hardly ask wide networks for more, nor do looks ask leaps."""
    spec = cost.spec
    if cost.method == "steps":
        return float(spec.steps)
    passes = cost.passes if spec.rule == "momentum" else PASSES / math.sqrt(spec.tolerance)
    passes *= LINEAR if spec.activation == "identity" else 1.0
    return min(passes, 1.7 * spec.steps) if spec.steps else passes
