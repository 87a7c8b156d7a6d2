"""All finite networks of a spec side by side: every width and seed reaches an output time before any goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ntk_core import budget
from ntk_core.architecture import Architecture
from ntk_core.network import Network
from ntk_core.progress import checkpoint
from ntk_core.training import GradientDescent, GradientFlow, Momentum, Rule, State, check_targets, train

if TYPE_CHECKING:
    from ntk_core.spec import TrainingSpec

Target = Any  # array (N,) or (N, n_out), or a function of the untrained network that returns (S, N, n_out)


@dataclass(frozen=True)
class Update:
    """One group of networks (one width, a batch of its seeds) has reached an output time.

    Attributes:
        index, time: which output time.
        width_index: which of the spec's widths.
        seeds: which of its seeds, a slice of range(spec.seeds).
        network: the group, moved to this time; asking it anything leaves its training as it was only inside
            `network.looking()`.
        targets: y, (S, N, n_out).
        outputs: f on the training inputs, (S, N, n_out); NaN where a seed has diverged.
        complete: every group has now reached this time.
        progress: share of the whole run's predicted work, 0 to 1.
        diverged: which seeds left the finite numbers, (S,).
        info: facts for a status line.
    """

    index: int
    time: float
    width_index: int
    seeds: slice
    network: Network
    targets: Tensor
    outputs: Tensor
    complete: bool
    progress: float
    diverged: Tensor
    info: dict[str, Any] = field(default_factory=dict)


@dataclass
class _Group:
    plan: budget.GroupPlan
    width_index: int
    seeds: slice
    network: Network
    targets: Tensor
    states: Iterator[State]
    state: State | None = None


def rule_of(spec: TrainingSpec) -> Rule:
    """The spec's update rule."""
    if spec.rule == "gradient_flow":
        return GradientFlow()
    if spec.rule == "momentum":
        return Momentum(spec.learning_rate, spec.momentum)
    return GradientDescent(spec.learning_rate)


def train_together(
    spec: TrainingSpec, X: Any, target: Target, *, n_in: int, points: Any = None, plan: budget.Plan | None = None
) -> Iterator[Update]:
    """Trains every width and seed of the spec and yields an update whenever a group reaches an output time.

    Args:
        spec: what to train.
        X: (N, n_in) training inputs.
        target: (N,) or (N, n_out), or a function network -> (S, N, n_out) when the goal depends on f_0.
        n_in: dimension of the inputs.
        points: (M, n_in) further inputs the caller will ask about.
        plan: how to do it; by default `budget.plan_training`.

    Raises:
        ValueError: the plan refuses the run (its predicted size and what to lower).
    """
    X = np.asarray(X, dtype=np.float64)
    points = np.zeros((0, n_in)) if points is None else np.asarray(points, dtype=np.float64)
    plan = budget.plan_training(spec, len(X), len(points), n_in) if plan is None else plan
    if plan.refusal:
        raise ValueError(plan.refusal)
    groups = [g for group_plan in plan.groups for g in _groups_of(spec, plan, group_plan, X, target, points, n_in)]
    work = sum(g.plan.seconds * _size(g) for g in groups)
    done = 0.0
    for index, time in enumerate(spec.times):
        for place, group in enumerate(groups):
            state = group.state = _advance(group, index)
            done += group.plan.seconds * _size(group) / len(spec.times)
            yield Update(
                index,
                time,
                group.width_index,
                group.seeds,
                group.network,
                group.targets,
                state.outputs,
                complete=place == len(groups) - 1,
                progress=min(1.0, done / work) if work else 1.0,
                diverged=state.diverged,
                info=_info(spec, plan, groups),
            )


def _groups_of(
    spec: TrainingSpec, plan: budget.Plan, group: budget.GroupPlan, X: Any, target: Target, points: Any, n_in: int
) -> Iterator[_Group]:
    arch = Architecture(spec.depth, group.width, spec.activation, spec.beta, n_in)
    everything = np.concatenate([X, points])
    for first in range(0, spec.seeds, group.batch):
        seeds = slice(first, min(first + group.batch, spec.seeds))
        network = Network.init(
            arch,
            [spec.seed + k for k in range(seeds.start, seeds.stop)],
            device=plan.device,
            dtype=getattr(torch, spec.precision),
            weights=group.weights,
            tolerance=budget.sampling_tolerance(spec, len(X)),
            points=everything,
        )
        checkpoint()
        y = target(network) if callable(target) else target
        targets = check_targets(y, network, len(X))
        states = train(
            network,
            X,
            targets,
            spec.times,
            rule=rule_of(spec),
            method=group.method,
            tolerance=spec.tolerance,
        )
        yield _Group(group, spec.widths.index(group.width), seeds, network, targets, states)


def _advance(group: _Group, index: int) -> State:
    for state in group.states:
        if state.output == index:
            return state
    raise RuntimeError(f"training ended before output {index}")


def _size(group: _Group) -> int:
    return group.seeds.stop - group.seeds.start


def _info(spec: TrainingSpec, plan: budget.Plan, groups: list[_Group]) -> dict[str, Any]:
    """One entry a width: how its networks are held and trained, and how far the leaps' error has grown."""
    widths = []
    for group_plan in plan.groups:
        states = [g.state for g in groups if g.plan is group_plan and g.state is not None]
        widths.append(
            {
                "width": group_plan.width,
                "weights": group_plan.weights,
                "method": group_plan.method,
                "leaps": max((s.leaps for s in states), default=0),
                "error": max((s.error for s in states), default=0.0),
                "diverged": sum(int(s.diverged.sum()) for s in states),
            }
        )
    return {"device": plan.device, "precision": spec.precision, "rule": spec.rule, "widths": widths}
