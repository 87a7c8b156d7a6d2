"""What training one network computes, moves and holds, counted from its spec: the ground of `ntk_core.runs.plan`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ntk_core.runs.method import likely_passes, steps_are_sooner
from ntk_core.training.worth import MOST_UNKNOWNS

if TYPE_CHECKING:
    from ntk_core.runs.machine import Speeds
    from ntk_core.runs.spec import TrainingSpec

BATCH_BYTES = {"cpu": 1 << 28, "cuda": 1 << 31}  # of networks trained together: they share the cost of small steps
OPERATIONS = {"dense": 30, "sampled": 120}  # small operations a layer and pass
DECOMPOSITIONS, OF_VELOCITY = 40, 600  # small operations a leap: of the kernel, and of a heavy ball's velocity
SWING = 0.06  # of a leap's usual work for each step that a velocity lasts
SMALL_PRODUCT = 3e7  # operations of one layer's product: two cores take as long as one where others are busy, too
DRAWS_PER_SECOND = 1.5e8
EIGEN_SECONDS = 1.2e-9  # of N x N in float64, times N^3


def is_small(seeds: int, width: int, points: int) -> bool:
    """Whether the products of so many networks keep no second thread busy."""
    return 2.0 * seeds * width**2 * points < SMALL_PRODUCT


@dataclass(frozen=True)
class TrainingCost:
    """What the training of one seed costs with one kind of weights: operations, bytes moved, bytes held, seconds."""

    spec: TrainingSpec
    width: int
    weights: str
    device: str
    n_train: int
    n_eval: int
    n_in: int
    n_out: int
    together: int | None = None  # seeds trained together; by default as many as fit

    @property
    def method(self) -> str:
        """ "steps" or "leaps"."""
        if self.spec.method != "auto":
            return self.spec.method
        if self.spec.rule == "gradient_flow":
            return "leaps"
        if self.weights == "dense":
            passes = likely_passes(self.spec, self.width, self._leap_passes)
            sooner = steps_are_sooner(self.spec, self.width, self.n_train * self.n_out, self.products(), passes)
            return "steps" if sooner else "leaps"
        if self.spec.rule == "momentum":
            return "leaps"  # which keep a velocity as factors; step by step it would be a stored matrix
        return "steps" if self.spec.steps <= self._leap_passes else "leaps"

    @property
    def passes(self) -> float:
        """Forward and backward passes over the training points."""
        if self.method == "steps":
            return float(self.spec.steps)
        return self._leap_passes

    @property
    def likely_passes(self) -> float:
        """The same, with what sharp kinks ask for: so they are told, but decide neither on weights nor on batches."""
        if self.method == "steps":
            return self.passes
        return likely_passes(self.spec, self.width, self._leap_passes)

    @property
    def _leap_passes(self) -> float:
        """Passes by leaps, measured; a heavy ball swings 1 / (1 - mu) steps long, and leaps follow every swing.

        Leaps go past output times, where a forward pass tells the outputs; a heavy ball's end there.
        """
        leaps, looks = 1.2 / math.sqrt(self.spec.tolerance), len(self.spec.times) - 1
        if self.spec.rule != "momentum":
            return 1.7 * leaps + 0.5 * looks
        passes = 1.7 * (leaps + looks)
        return min(passes * max(1.0, SWING / (1 - self.spec.momentum)), 1.7 * self.spec.steps)

    @property
    def hidden(self) -> int:
        """Matrices between hidden layers."""
        return max(self.spec.depth - 2, 0)

    @property
    def itemsize(self) -> int:
        """Bytes of a number."""
        return 4 if self.spec.precision == "float32" else 8

    @property
    def ranks(self) -> float:
        """Forward plus backward directions of a sampled matrix at the end, measured on Gaussian and circle data."""
        from ntk_core.activations.table import get

        smooth = get(self.spec.activation).smooth
        growth = (0.2 if smooth else 0.6) * min(self.passes, 30.0)
        known = 2.0 * self.n_train + 1.0 * self.n_eval + growth * self.n_train * self.n_out
        return min(known, 2.0 * self.width)

    def products(self) -> float:
        """Operations of the training points' way through all matrices."""
        n = self.width
        square = n if self.weights == "dense" else 1.5 * self.ranks
        return 2.0 * n * (self.hidden * square + self.n_in + self.n_out) * self.n_train

    def flops(self, passes: float | None = None) -> float:
        """Of all passes (by default those counted), evaluations and kernels."""
        kernels = 4.0 * self.n_train**2 * self.width * self.spec.depth if self.method == "leaps" else 0.0
        looks = 2.0 * self.n_eval / self.n_train * len(self.spec.times)
        return (passes or self.passes) * (3.5 * self.products() + kernels) + looks * self.products()

    def traffic(self) -> float:
        """Bytes of weights and activations moved."""
        n = self.width
        held = self.hidden * n * (n if self.weights == "dense" else 2 * self.ranks) + n * (self.n_in + self.n_out)
        layers = 12.0 * n * self.spec.depth
        sweeps = 5.0 if self.weights == "dense" else 12.0  # over what is held, in a pass with its update
        passes = self.passes * (sweeps * held + layers * self.n_train)
        return self.itemsize * (passes + len(self.spec.times) * (0.4 * sweeps * held + layers * self.n_eval))

    def operations(self) -> float:
        """Small operations, whose cost is their number: shared by a batch of seeds."""
        rounds = self.passes + len(self.spec.times)
        decompositions = 0 if self.method == "steps" else DECOMPOSITIONS
        if decompositions and self.spec.rule == "momentum":
            decompositions += OF_VELOCITY
        return rounds * (OPERATIONS[self.weights] * self.spec.depth + decompositions) / self.batch

    def decomposed(self, passes: float | None = None) -> float:
        """Sum of N^3 over symmetric eigenproblems: one a leap, and one wherever a sampled matrix explores."""
        leaps = passes or self.passes
        leaps *= float(min(self.n_train * self.n_out, MOST_UNKNOWNS)) ** 3 if self.method == "leaps" else 0.0
        if self.weights == "dense":
            return leaps
        looks = len(self.spec.times) * self.n_eval**3
        return leaps + 4.0 * self.hidden * (self.passes * self.n_train**3 + looks)

    @property
    def batch(self) -> int:
        """Seeds trained together."""
        if self.together is not None:
            return self.together
        kind = self.device.partition(":")[0]
        each = self.persistent_bytes() + self.transient_bytes()
        return max(1, min(self.spec.seeds, BATCH_BYTES[kind] // max(each, 1)))

    @property
    def small(self) -> bool:
        """Whether a second thread would be waited for longer than it helps."""
        return is_small(self.batch, self.width, self.n_train)

    def persistent_bytes(self) -> int:
        """Of one seed's parameters."""
        n = self.width
        square = n * n if self.weights == "dense" else 1.5 * 2 * n * self.ranks
        return int(self.itemsize * (self.hidden * square + n * (self.n_in + self.n_out + self.spec.depth)))

    def transient_bytes(self) -> int:
        """Of one seed's passes: activations, slopes, signals and their products, and those of the last leap's."""
        points = 2.8 * self.n_train + self.n_eval
        kernel = 8 * 6 * (self.n_train * self.n_out) ** 2
        return int(self.itemsize * 5 * points * self.width * max(self.spec.depth - 1, 1) + kernel)

    def seconds(self, speeds: Speeds) -> float:
        """Of one seed."""
        drawn = self.n_in + self.n_out + (self.hidden * self.width if self.weights == "dense" else 0)
        return (
            self.flops() / speeds.flops(self.spec.precision)
            + self.traffic() / speeds.bandwidth
            + self.operations() * speeds.overhead
            + self.width * drawn / DRAWS_PER_SECOND
            + EIGEN_SECONDS * self.decomposed()
        )
