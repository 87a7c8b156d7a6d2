"""The seconds that a person is told before a run: the counts of `ntk_core.runs.counts`, weighed as runs were measured.

What is chosen for a spec (steps or leaps, stored or sampled weights, batches) follows from the counts alone, so that a
spec is trained the same way for ever; what is told may get better. The weights below are a fit to 118 runs on a
processor of specs drawn from the controls' ranges (the benchmarks' row `predicted-times` draws others).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ntk_core.runs.counts import EIGEN_SECONDS, OPERATIONS, TrainingCost

if TYPE_CHECKING:
    from ntk_core.runs.machine import Speeds

START_SECONDS = 0.2  # of the networks of one width: until their first pass, and after their last
PRODUCTS, TRAFFIC, DECOMPOSED, SMALL = 1.1, 3.2, 0.8, 0.8  # times what the counts say at the machine's best rates
ELEMENTWISE = {"straight": 24.0, "curved": 46.0}  # numbers moved for an activation with its slopes, exponentials in it
STRAIGHT = ("relu", "leaky_relu", "abs", "step", "identity")
SAMPLED = 1.4  # times the counts: how the ranks grow is known too roughly for more
KINKED, HEAVY = 1.3, 1.5  # how many times as many leaps an activation with a kink takes, and a heavy ball
LEAP_OPERATIONS = 115  # small operations a layer, for a leap of one seed


def expected_seconds(cost: TrainingCost, speeds: Speeds) -> float:
    """Predicted seconds of one seed, its share of the start included."""
    if not cost.device.startswith("cpu"):
        return cost.seconds(speeds)
    if cost.weights == "sampled":
        return SAMPLED * cost.seconds(speeds)
    from ntk_core.activations.table import get

    spec, n, passes, looks = cost.spec, cost.width, cost.passes, len(cost.spec.times)
    leaps = passes if cost.method == "leaps" else 0.0
    matrices = cost.hidden * n * n
    activations = ELEMENTWISE["straight" if spec.activation in STRAIGHT else "curved"] * n * spec.depth
    moved = TRAFFIC * (5 * passes + 2 * looks) * matrices + activations * (passes * cost.n_train + looks * cost.n_eval)
    small = SMALL * (passes + looks) * OPERATIONS["dense"] / cost.batch + LEAP_OPERATIONS * leaps
    more = (1.0 if get(spec.activation).smooth else KINKED) * (HEAVY if spec.rule == "momentum" else 1.0)
    return START_SECONDS / spec.seeds + (more if leaps else 1.0) * (
        PRODUCTS * cost.flops() / speeds.flops(spec.precision)
        + cost.itemsize * moved / speeds.bandwidth
        + small * spec.depth * speeds.overhead
        + DECOMPOSED * EIGEN_SECONDS * cost.decomposed()
    )
