"""All finite networks of a spec side by side: every width and seed reaches an output time before any goes on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ntk_core import costs
from ntk_core.architecture import Architecture
from ntk_core.costs import Cost
from ntk_core.directions import Direction
from ntk_core.eigen import eigvalsh
from ntk_core.finite.network import Network
from ntk_core.finite.tangent import Features
from ntk_core.progress import checkpoint
from ntk_core.rules import GradientDescent, GradientFlow, Momentum, Rule
from ntk_core.runs import plan as budget
from ntk_core.runs.counts import is_small
from ntk_core.runs.parts import Unit, units
from ntk_core.threads import at_most
from ntk_core.training.driven import train_along
from ntk_core.training.linear_part import matrix
from ntk_core.training.resolution import resolve
from ntk_core.training.state import State
from ntk_core.training.train import check_targets, train

if TYPE_CHECKING:
    from ntk_core.runs.parts import Part
    from ntk_core.runs.spec import TrainingSpec

MOST_JUDGED = 600  # outputs on the training points, of the kernels whose eigenvalues tell what rate is stable
Target = Any  # array (N,) or (N, n_out), or a function of the untrained network that returns (S, N, n_out)


@dataclass(frozen=True)
class Update:
    """One group of networks (one width, a batch of its seeds) has reached an output time.

    Attributes:
        index, time: which output time.
        unit: which width, and which of its seeds.
        network: the group, moved to this time; asking it anything leaves its training as it was only inside
            `network.looking()`.
        targets: y, (S, N, n_out).
        outputs: f on the training inputs, (S, N, n_out); NaN where a seed has diverged.
        state: where its training is: leaps, estimated errors, which seeds diverged.
        eigenvalues: of Theta_0(X, X)/N of every network's own kernel, ascending, (S, N n_out); of their place one NaN
            each, (S, 1), where more than `MOST_JUDGED` outputs on the training points are, or where nothing is trained
            and nobody asked for them.
        progress: share of the predicted work of all groups, 0 to 1.
    """

    index: int
    time: float
    unit: Unit
    network: Network
    targets: Tensor
    outputs: Tensor
    state: State
    eigenvalues: Tensor
    progress: float


@dataclass
class _Group:
    """Networks that train together; drawn when their turn first comes, so that the first picture need not wait."""

    plan: budget.GroupPlan
    unit: Unit
    network: Network | None = None
    targets: Tensor | None = None
    states: Iterator[State] = field(default_factory=lambda: iter(()))
    eigenvalues: Tensor | None = None


class _Drive(NamedTuple):
    """What moves the networks, and whether the eigenvalues of their own kernels are worked out before."""

    cost: str | Cost
    direction: Direction | None
    n_out: int
    judged: bool


def rule_of(spec: TrainingSpec) -> Rule:
    """The spec's update rule."""
    if spec.rule == "gradient_flow":
        return GradientFlow()
    if spec.rule == "momentum":
        return Momentum(spec.learning_rate, spec.momentum)
    return GradientDescent(spec.learning_rate)


def train_together(
    spec: TrainingSpec,
    X: Any,
    target: Target,
    *,
    n_in: int,
    points: Any = None,
    plan: budget.Plan | None = None,
    part: Part | None = None,
    n_out: int = 1,
    cost: str | Cost = "squared",
    direction: Direction | None = None,
    own_kernels: bool = False,
) -> Iterator[Update]:
    """Trains every width and seed of the spec and yields an update whenever a group reaches an output time.

    Args:
        spec: what to train.
        X: (N, n_in) training inputs.
        target: (N,) or (N, n_out), or a function network -> (S, N, n_out) when the goal depends on f_0.
        n_in: dimension of the inputs.
        points: (M, n_in) further inputs the caller will ask about.
        plan: how to do it; by default `budget.plan_training`.
        part: trains only the networks of this part.
        n_out: number of outputs.
        cost: what the networks minimize, a name from `ntk_core.costs` or a `Cost`.
        direction: drives the networks instead of a cost's gradient, step by step at the spec's learning rate.
        own_kernels: the networks' own eigenvalues are wanted also where nothing is trained.

    Raises:
        ValueError: the plan refuses the run (its predicted size and what to lower).
    """
    X = np.asarray(X, dtype=np.float64)
    points = np.zeros((0, n_in)) if points is None else np.asarray(points, dtype=np.float64)
    plan = budget.plan_training(spec, len(X), len(points), n_in, n_out) if plan is None else plan
    if plan.refusal:
        raise ValueError(plan.refusal)
    groups = [_Group(plan.groups[unit.width_index], unit) for unit in _units_of(spec, plan, part)]
    work = max(sum(group.unit.seconds for group in groups), 1e-300)
    # Before any training no rate is too large.
    judged = (spec.time > 0 or own_kernels) and len(X) * n_out <= MOST_JUDGED
    drive = _Drive(cost, direction, n_out, judged)
    done = 0.0
    for index, time in enumerate(spec.times):
        for group in groups:
            if index == 0:
                _draw(group, spec, plan, X, target, points, n_in, drive)
            assert group.network is not None
            assert group.targets is not None
            assert group.eigenvalues is not None
            share = group.unit.seconds / len(spec.times)
            seeds = group.unit.last - group.unit.first
            # A second thread would take from others what it wastes.
            with at_most(1 if is_small(seeds, group.plan.width, len(X)) else sys.maxsize):
                state = _advance(group, index, spec.times, done / work, share / work)
            done += share
            yield Update(
                index,
                time,
                group.unit,
                group.network,
                group.targets,
                state.outputs,
                state,
                group.eigenvalues,
                progress=min(1.0, done / work),
            )


def _units_of(spec: TrainingSpec, plan: budget.Plan, part: Part | None) -> list[Unit]:
    """The units of a part, the shortest first: what can be seen soon is seen soon."""
    everything = units(spec, plan)
    if part is not None and part.places != ({},):
        everything = [unit for unit in everything if unit.place in part.places]
    return sorted(everything, key=lambda unit: unit.seconds)


def _draw(
    group: _Group, spec: TrainingSpec, plan: budget.Plan, X: Any, target: Target, points: Any, n_in: int, drive: _Drive
) -> None:
    """Draws a group's networks and sets up their training."""
    checkpoint()
    group.network = Network.init(
        Architecture(spec.depth, group.plan.width, spec.activation, spec.beta, n_in, drive.n_out, w_std=spec.w_std),
        [spec.seed + k for k in range(group.unit.first, group.unit.last)],
        device=plan.device,
        dtype=getattr(torch, spec.precision),
        weights=group.plan.weights,
        tolerance=budget.sampling_tolerance(spec, len(X)),
        points=np.concatenate([X, points]),
    )
    group.targets = _targets(group.network, target, X)
    cost = costs.get(drive.cost)
    inputs = group.network.inputs(X)
    if drive.direction is None and resolve(
        group.network, inputs, group.targets, rule_of(spec), cost, spec.time, spec.tolerance
    ):
        group.targets = _targets(group.network, target, X)  # which may depend on f_0
    group.eigenvalues = torch.full((group.network.size, 1), torch.nan, dtype=torch.float64)
    features = None
    if drive.judged:
        with group.network.looking():
            features = group.network.features(X)
        group.eigenvalues = _eigenvalues(features)
    if group.plan.weights != "dense":
        features = None  # what a look saw of sampled weights is forgotten
    group.states = _training(group.network, group.targets, X, spec, group.plan.method, drive, features)


def _targets(network: Network, target: Target, X: Any) -> Tensor:
    return check_targets(target(network) if callable(target) else target, network, len(X))


def _eigenvalues(features: Features) -> Tensor:
    """Ascending eigenvalues of every network's own kernel over N, (S, N n_out)."""
    return eigvalsh(matrix(features).cpu().nan_to_num(posinf=0.0, neginf=0.0))


def _training(
    network: Network,
    targets: Tensor,
    X: Any,
    spec: TrainingSpec,
    method: str,
    drive: _Drive,
    features: Features | None,
) -> Iterator[State]:
    """The states of a group's training, along its cost or its direction."""
    if drive.direction is not None:
        return train_along(network, X, targets, spec.times, drive.direction, rate=spec.learning_rate)
    return train(
        network,
        X,
        targets,
        spec.times,
        rule=rule_of(spec),
        method=method,
        tolerance=spec.tolerance,
        kernel_tolerance=spec.kernel_tolerance,
        cost=drive.cost,
        features=features,
    )


def _advance(group: _Group, index: int, times: tuple[float, ...], done: float, share: float) -> State:
    """Trains a group to an output time; its part of the whole work grows from `done` by `share` meanwhile."""
    start = times[index - 1] if index else 0.0
    for state in group.states:
        if state.output == index:
            return state
        checkpoint(done + share * (state.time - start) / max(times[index] - start, 1e-300))
    raise RuntimeError(f"training ended before output {index}")
