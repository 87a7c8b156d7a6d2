"""Training of scaled networks, step by step: every parametrization, output scale and cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ntk_core import costs
from ntk_core.finite.scaled import ScaledNetwork
from ntk_core.progress import checkpoint
from ntk_core.rules import GradientDescent
from ntk_core.training.train import check_targets, check_times

BLOWN_UP = 1e6  # a residual this many times its first size has diverged


@dataclass(frozen=True)
class ScaledState:
    """Where training is; the network has been moved there.

    Attributes:
        time: t = steps x rate.
        output: index of the requested time.
        steps: steps taken.
        outputs: alpha (f - f_0) on the training points, (S, N, n_out), NaN for seeds that have diverged.
        diverged: which seeds have left the finite numbers, (S,).
    """

    time: float
    output: int
    steps: int
    outputs: Tensor
    diverged: Tensor


def train_scaled(
    model: ScaledNetwork, X: Any, y: Any, times: Sequence[float], *, rate: float = 1.0, cost: str = "squared"
) -> Iterator[ScaledState]:
    """Gradient descent in place; yields a state at every requested time.

    Args:
        model: a scaled network or an ensemble of S seeds.
        X: (N, n_in) training inputs.
        y: (N,), (N, n_out) or (S, N, n_out).
        times: increasing multiples of the rate; the first may be 0.
        rate: learning rate eta; each layer's own factor and 1 / alpha^2 come on top.
        cost: a name from `ntk_core.costs`.

    Raises:
        ValueError: the sentence names the argument.
    """
    rule = GradientDescent(rate)
    goals = check_times(times, rule)
    inputs = model.network.inputs(X)
    targets = check_targets(y, model.network, inputs.shape[1])
    loss = costs.get(cost)
    loss.check_targets(targets)
    return _steps(model, inputs, targets, goals, rate, loss)


def _steps(
    model: ScaledNetwork, X: Tensor, y: Tensor, goals: list[float], rate: float, cost: costs.Cost
) -> Iterator[ScaledState]:
    offset = None if model.start is None else model.start.forward(X).outputs
    first = _size(_outputs(model, X, offset) - y).clamp_min(1e-3)
    diverged = torch.zeros(len(first), dtype=torch.bool, device=first.device)
    steps = 0
    for index, goal in enumerate(goals):
        last = round(goal / rate)
        while steps < last and not bool(diverged.all()):
            outputs = model.step(X, y, offset, rate, cost)
            diverged = diverged | ~(_size(outputs - y) < BLOWN_UP * first)
            steps += 1
            checkpoint()
        steps = last
        outputs = _outputs(model, X, offset)
        diverged = diverged | ~(_size(outputs - y) < BLOWN_UP * first)
        yield ScaledState(goal, index, steps, outputs.masked_fill(diverged[:, None, None], torch.nan), diverged)


def _outputs(model: ScaledNetwork, X: Tensor, offset: Tensor | None) -> Tensor:
    f = model.network.forward(X).outputs
    return model.alpha * (f if offset is None else f - offset)


def _size(residual: Tensor) -> Tensor:
    return residual.square().mean((1, 2)).sqrt()
