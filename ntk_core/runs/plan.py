"""What a run will cost, before it starts: passes, bytes and seconds; and the choice that follows from it.

The choice between dense and sampled weights, and of the batch, comes from counts and nominal speeds alone, so the
same spec is run the same way on a busy machine as on a quiet one. The seconds shown come from measured speeds.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from ntk_core.runs import machine
from ntk_core.runs.counts import TrainingCost
from ntk_core.runs.expected import expected_seconds
from ntk_core.runs.machine import Speeds

if TYPE_CHECKING:
    from ntk_core.runs.spec import TrainingSpec

NOMINAL = {
    "cpu": Speeds(flops32=1.5e11, flops64=7e10, bandwidth=2e10, overhead=8e-6),
    "cuda": Speeds(flops32=3e13, flops64=2e13, bandwidth=2e12, overhead=1e-5),
}
FEW_POINTS = 32
ROUND_WIDTHS = tuple(digit * 10**power for power in range(5, 0, -1) for digit in (8, 5, 3, 2, 1))  # to suggest
PIECES = 8  # into which a run is cut, if it is worth it, so that several workers can share it
WORTH_SECONDS = 2.0  # a run of less stays whole
CUTTING_COST = 1.1  # how much longer a seed may take when fewer train together


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
    nominal = NOMINAL[device.partition(":")[0]]
    costs = []
    for width in spec.widths:
        options = [
            TrainingCost(spec, width, weights, device, n_train, n_eval, n_in, n_out) for weights in _kinds(spec, width)
        ]
        costs.append(min(options, key=lambda cost: cost.seconds(nominal)))
    costs = _cut(costs, spec.seeds, nominal)
    speeds = machine.speeds(device)
    groups = [_group(cost, speeds) for cost in costs]
    transient = max(cost.transient_bytes() * cost.batch for cost in costs)
    total = sum(g.bytes for g in groups) + transient
    plan = Plan(tuple(groups), total, sum(g.seconds * spec.seeds for g in groups), device)
    return replace(plan, refusal=_refusal(plan, costs, machine.free_memory(device)))


def _cut(costs: list[TrainingCost], seeds: int, nominal: Speeds) -> list[TrainingCost]:
    """The same with smaller batches where a run is long and its seeds lose little by training in smaller company."""
    spent = [seeds * cost.seconds(nominal) for cost in costs]
    total = sum(spent)
    if total < WORTH_SECONDS:
        return costs
    return [
        _in_batches(cost, seeds, math.ceil(PIECES * seconds / total), nominal)
        for cost, seconds in zip(costs, spent, strict=True)
    ]


def _in_batches(cost: TrainingCost, seeds: int, pieces: int, nominal: Speeds) -> TrainingCost:
    allowed = CUTTING_COST * cost.seconds(nominal)
    sizes = range(max(1, math.ceil(seeds / pieces)), cost.batch)
    smaller = (replace(cost, together=size) for size in sizes)
    return next((cut for cut in smaller if cut.seconds(nominal) <= allowed), cost)


def _group(cost: TrainingCost, speeds: Speeds) -> GroupPlan:
    size = cost.persistent_bytes() * cost.spec.seeds
    return GroupPlan(cost.width, cost.method, cost.weights, cost.batch, size, expected_seconds(cost, speeds))


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


def _refusal(plan: Plan, costs: list[TrainingCost], free: int) -> str | None:
    if plan.bytes <= free:
        return None
    largest = max(plan.groups, key=lambda g: g.bytes)
    fewer = " or the number of seeds" if costs[0].spec.seeds > 1 else ""
    return (
        f"widths: this run would need about {plan.bytes / 1e9:,.1f} GB and {free / 1e9:,.1f} GB may be used; "
        f"lower the width {largest.width:,}{fewer}{_would_fit(costs, free)}"
        + (", or let weights be sampled" if largest.weights == "dense" and largest.width > 2000 else "")
    )


def _would_fit(costs: list[TrainingCost], free: int) -> str:
    """ ": ... would fit", of fewer seeds, or of one seed at a smaller largest width; "" where neither does."""

    def fits(seeds: int, changed: dict[int, int]) -> bool:
        fewer = [
            replace(
                cost, spec=cost.spec.model_copy(update={"seeds": seeds}), width=changed.get(cost.width, cost.width),
                together=None,
            )
            for cost in costs
        ]  # fmt: skip
        transient = max(cost.transient_bytes() * cost.batch for cost in fewer)
        return sum(cost.persistent_bytes() * seeds for cost in fewer) + transient <= free

    for seeds in range(costs[0].spec.seeds - 1, 0, -1):
        if fits(seeds, {}):
            return f": {seeds} of each width would fit"
    largest = max(cost.width for cost in costs)
    for width in ROUND_WIDTHS:
        if width < largest and fits(1, {largest: width}):
            return f": one seed of width {width:,} would fit"
    return ""
