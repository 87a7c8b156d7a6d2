"""The seconds that a person is told before a run: the counts of `ntk_core.runs.counts`, weighed as runs were measured.

What is chosen for a spec (steps or leaps, stored or sampled weights, batches) follows from counts and fixed speeds, so
that a spec is trained the same way for ever; what is told may get better. The weights below are fits to 304 and, of
the passes of leaps, to 211 more runs on two cores of specs drawn from the controls' ranges (the benchmarks' row
`predicted-times` draws others).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ntk_core.runs import machine
from ntk_core.runs.counts import EIGEN_SECONDS, OPERATIONS, TrainingCost
from ntk_core.runs.expected_sampled import expected_of_sampled
from ntk_core.runs.method import HEAVY_PASSES, has_sharp_kinks

if TYPE_CHECKING:
    from ntk_core.runs.machine import Speeds

# Passes of leaps without sharp kinks: over the root of their tolerance, and for each output time; and how many times as
# many it is worth that narrow and shallow networks walk part of the way, at width 200 and depth 5.
PASSES, PASSES_A_TIME = 1.57, 0.68
WALKED, WALKED_WIDTH, WALKED_DEPTH = 1.2, -0.12, -0.1
START_SECONDS = 0.06  # of the networks of one width: until their first pass, and after their last
PRODUCTS, TRAFFIC, DECOMPOSED, SMALL = 1.65, 0.4, 1.5, 1.6  # times what the counts say at the machine's rates
ACTIVATED, MOVED = 1.2, 70.0  # times an activation and its slope are worked out, and numbers moved, for one value
# Of leaps of a heavy ball: times the rest, and a layer's velocity, for each value and point, and for its rows cubed.
HEAVY, VELOCITY, VELOCITY_ROWS = 1.2, 6.8e-9, 0.75e-9
LEAP_TOGETHER, LEAP, LEAP_LAYER = 520, 15, 30  # small operations of a leap's pass: of all seeds, of one, of its layers
SHARED = 1 << 16  # numbers from which torch shares an activation among its threads


def expected_seconds(cost: TrainingCost, speeds: Speeds) -> float:
    """Predicted seconds of one seed, its share of the start included."""
    if not cost.device.startswith("cpu"):
        return cost.seconds(speeds)
    if cost.weights == "sampled":
        return expected_of_sampled(cost, speeds)
    spec, n, looks = cost.spec, cost.width, len(cost.spec.times)
    passes = _passes(cost)
    leaps = passes if cost.method == "leaps" else 0.0
    matrices = cost.hidden * n * n
    values = n * (spec.depth - 1) * (passes * cost.n_train + looks * cost.n_eval)
    bytes_moved = cost.itemsize * (TRAFFIC * (5 * passes + 2 * looks) * matrices + MOVED * values)
    activated = ACTIVATED * values * machine.activation_operations(spec.activation, spec.precision) * speeds.overhead
    small = SMALL * (passes + looks) * OPERATIONS["dense"] / cost.batch * spec.depth
    small += leaps * (LEAP_TOGETHER / cost.batch + LEAP + LEAP_LAYER * spec.depth)
    cores = machine.cores()
    shared = not cost.small and cost.batch * n * cost.n_train >= SHARED
    heavy = bool(leaps) and spec.rule == "momentum"
    return (
        START_SECONDS / spec.seeds
        + (_velocity(cost, leaps) if heavy else 0.0)
        + (HEAVY if heavy else 1.0)
        * (
            PRODUCTS * cost.flops(passes) / speeds.flops(spec.precision) * (cores if cost.small else 1)
            + activated / (cores if shared else 1)
            + bytes_moved / speeds.bandwidth
            + small * speeds.overhead
            + DECOMPOSED * EIGEN_SECONDS * cost.decomposed(passes)
        )
    )


def _passes(cost: TrainingCost) -> float:
    """Forward and backward passes, or what takes as long."""
    spec = cost.spec
    if cost.method == "steps" or spec.rule == "momentum" or has_sharp_kinks(spec.activation):
        return cost.likely_passes
    passes = PASSES / math.sqrt(spec.tolerance) + PASSES_A_TIME * (len(spec.times) - 1)
    if spec.rule == "gradient_flow" or spec.activation == "identity":
        return passes
    return passes * WALKED * (cost.width / 200) ** WALKED_WIDTH * (spec.depth / 5) ** WALKED_DEPTH


def _velocity(cost: TrainingCost, passes: float) -> float:
    """Seconds for which a heavy ball's velocity is kept at its rank."""
    slower = 1.0 if cost.itemsize == 4 else 1.6
    rows = min(4 * cost.n_train * cost.n_out, cost.width)
    a_layer = VELOCITY * cost.width * (cost.n_train * cost.n_out) ** 2 + VELOCITY_ROWS * rows**3
    return slower * passes / HEAVY_PASSES * (cost.spec.depth - 1) * a_layer
