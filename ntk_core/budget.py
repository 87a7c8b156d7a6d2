"""What a run will cost, before it starts: passes, bytes and seconds; and the choice that follows from it.

The choice between dense and sampled weights, and of the batch, comes from counts and nominal speeds alone, so the
same spec is run the same way on a busy machine as on a quiet one. The seconds shown come from measured speeds.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from ntk_core import machine
from ntk_core.machine import Speeds

if TYPE_CHECKING:
    from ntk_core.spec import TrainingSpec

NOMINAL = {
    "cpu": Speeds(flops32=1.5e11, flops64=7e10, bandwidth=2e10, overhead=8e-6),
    "cuda": Speeds(flops32=3e13, flops64=2e13, bandwidth=2e12, overhead=1e-5),
}
BATCH_BYTES = {"cpu": 1 << 28, "cuda": 1 << 31}  # of networks trained together: they share the cost of small steps
OPERATIONS = {"dense": 30, "sampled": 120}  # small operations a layer and pass
DRAWS_PER_SECOND = 1.5e8
EIGEN_SECONDS = 1.2e-9  # of N x N in float64, times N^3
FEW_POINTS = 32


@dataclass(frozen=True)
class GroupPlan:
    """How the networks of one width will be trained."""

    width: int
    method: str  # "steps" or "leaps"
    weights: str  # "dense" or "sampled"
    batch: int  # seeds trained together
    bytes: int  # memory of all its seeds
    seconds: float  # predicted, for one seed


@dataclass(frozen=True)
class Plan:
    """Predicted cost of a run; `refusal` is a sentence if it must not start (what is too large, what to lower)."""

    groups: tuple[GroupPlan, ...]
    bytes: int
    seconds: float
    device: str = "cpu"
    refusal: str | None = None
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data for the wire."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Plan:
        """The inverse of `to_json`."""
        groups = tuple(GroupPlan(**g) for g in data["groups"])
        return cls(**{**data, "groups": groups, "warnings": tuple(data["warnings"])})


def sampling_tolerance(spec: TrainingSpec, n_train: int) -> float:
    """Relative part of a query that sampled weights may leave out, from the error allowed to leaps.

    Few points are followed exactly for little; many points forgive more, their leftovers being independent.
    """
    share = 0.02 if n_train <= FEW_POINTS else 0.15
    return min(share * (spec.tolerance if spec.method != "steps" else 0.01), 0.05)


def plan_training(spec: TrainingSpec, n_train: int, n_eval: int, n_in: int, n_out: int = 1) -> Plan:
    """Predicts a spec's cost and chooses how to run it; trains nothing.

    Args:
        spec: what to train.
        n_train: training inputs N.
        n_eval: inputs evaluated at every output time, forward and backward.
        n_in: dimension of the inputs.
        n_out: number of outputs.
    """
    device = _device(spec.device)
    groups = []
    transient = 0
    for width in spec.widths:
        options = [_Work(spec, width, weights, device, n_train, n_eval, n_in, n_out) for weights in _kinds(spec, width)]
        work = min(options, key=lambda w: w.seconds(NOMINAL[device.partition(":")[0]]))
        groups.append(work.plan(machine.speeds(device)))
        transient = max(transient, work.transient_bytes() * groups[-1].batch)
    total = sum(g.bytes for g in groups) + transient
    plan = Plan(tuple(groups), total, sum(g.seconds * spec.seeds for g in groups), device)
    return replace(plan, refusal=_refusal(plan, spec, machine.free_memory(device)))


def _device(device: str) -> str:
    if device == "cpu":
        return "cpu"
    from ntk_core.device import resolve_device

    return str(resolve_device(device))


def _kinds(spec: TrainingSpec, width: int) -> tuple[str, ...]:
    if spec.depth < 3:
        return ("dense",)  # no hidden matrix is square: there is nothing to sample
    if spec.weights != "auto":
        return (spec.weights,)
    if spec.rule == "momentum" and spec.method == "steps":
        return ("dense",)
    return ("dense", "sampled")


def _refusal(plan: Plan, spec: TrainingSpec, free: int) -> str | None:
    if plan.bytes <= free:
        return None
    largest = max(plan.groups, key=lambda g: g.bytes)
    fewer = " or the number of seeds" if spec.seeds > 1 else ""
    return (
        f"widths: this run would need about {plan.bytes / 1e9:,.1f} GB and {free / 1e9:,.1f} GB may be used; "
        f"lower the width {largest.width:,}{fewer}"
        + (", or let weights be sampled" if largest.weights == "dense" and largest.width > 2000 else "")
    )


@dataclass(frozen=True)
class _Work:
    """Counts of one seed's training: what it computes, moves and holds."""

    spec: TrainingSpec
    width: int
    weights: str
    device: str
    n_train: int
    n_eval: int
    n_in: int
    n_out: int

    @property
    def method(self) -> str:
        if self.spec.method != "auto":
            return self.spec.method
        # A leap costs a kernel besides its pass: for a handful of steps plain descent is as good, and exact.
        return "steps" if self.spec.rule != "gradient_flow" and self.spec.steps <= 2 * len(self.spec.times) else "leaps"

    @property
    def passes(self) -> float:
        """Forward and backward passes over the training points."""
        if self.method == "steps":
            return float(self.spec.steps)
        return 1.7 * (1.2 / math.sqrt(self.spec.tolerance) + len(self.spec.times) - 1)

    @property
    def hidden(self) -> int:
        """Matrices between hidden layers."""
        return max(self.spec.depth - 2, 0)

    @property
    def itemsize(self) -> int:
        return 4 if self.spec.precision == "float32" else 8

    @property
    def ranks(self) -> float:
        """Forward plus backward directions of a sampled matrix at the end, measured on Gaussian and circle data."""
        from ntk_core.activations import get

        smooth = get(self.spec.activation).smooth
        growth = (0.2 if smooth else 0.6) * min(self.passes, 30.0)
        known = 2.0 * self.n_train + 1.0 * self.n_eval + growth * self.n_train * self.n_out
        return min(known, 2.0 * self.width)

    def flops(self) -> float:
        """Of all passes, evaluations and kernels."""
        n, L = self.width, self.spec.depth
        points, looks = self.n_train, self.n_eval * len(self.spec.times)
        thin = 2.0 * n * (self.n_in + self.n_out)
        if self.weights == "dense":
            each = 2.0 * self.hidden * n * n + thin
        else:
            each = 2.0 * self.hidden * n * 1.5 * self.ranks + thin
        kernels = 4.0 * points**2 * n * L if self.method == "leaps" else 0.0
        return self.passes * (3.5 * each * points + kernels) + 2.0 * each * looks

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
        decompositions = 40 if self.method == "leaps" else 0
        return rounds * (OPERATIONS[self.weights] * self.spec.depth + decompositions) / self.batch

    def decomposed(self) -> float:
        """Sum of N^3 over symmetric eigenproblems: one a leap, and one wherever a sampled matrix explores."""
        leaps = self.passes * min((self.n_train * self.n_out) ** 3, 600.0**3) if self.method == "leaps" else 0.0
        if self.weights == "dense":
            return leaps
        looks = len(self.spec.times) * self.n_eval**3
        return leaps + 4.0 * self.hidden * (self.passes * self.n_train**3 + looks)

    @property
    def batch(self) -> int:
        kind = self.device.partition(":")[0]
        each = self.persistent_bytes() + self.transient_bytes()
        return max(1, min(self.spec.seeds, BATCH_BYTES[kind] // max(each, 1)))

    def persistent_bytes(self) -> int:
        """Of one seed's parameters."""
        n = self.width
        square = n * n if self.weights == "dense" else 1.5 * 2 * n * self.ranks
        return int(self.itemsize * (self.hidden * square + n * (self.n_in + self.n_out + self.spec.depth)))

    def transient_bytes(self) -> int:
        """Of one seed's passes: activations, slopes, signals and their products."""
        points = 2 * self.n_train + self.n_eval
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

    def plan(self, speeds: Speeds) -> GroupPlan:
        size = self.persistent_bytes() * self.spec.seeds
        return GroupPlan(self.width, self.method, self.weights, self.batch, size, self.seconds(speeds))
