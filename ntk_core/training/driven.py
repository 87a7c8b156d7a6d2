"""Training along any direction d_t, not only a cost's gradient: dtheta_p/dt = -<df/dtheta_p, d_t> (section 4.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ntk_core import directions
from ntk_core.directions import Direction
from ntk_core.finite.network import Network
from ntk_core.rules import GradientDescent
from ntk_core.training.state import State
from ntk_core.training.steps import take_steps
from ntk_core.training.train import check_targets, check_times


def train_along(
    network: Network, X: Any, y: Any, times: Sequence[float], direction: str | Direction, *, rate: float = 1.0
) -> Iterator[State]:
    """Moves the network in place, step by step, and yields states as `train` does.

    Args:
        network: a network or an ensemble of S seeds.
        X: (N, n_in) training inputs.
        y: (N,), (N, n_out) or (S, N, n_out), handed to the direction.
        times: increasing multiples of the rate; the first may be 0.
        direction: a formula (`ntk_core.directions`), or a function d(f, y, x, t) shaped like f (S, N, n_out).
        rate: learning rate, t = steps x rate.

    Raises:
        ValueError: the sentence names the argument; while training, that the direction is not finite.
    """
    rule = GradientDescent(rate)
    goals = check_times(times, rule)
    inputs = network.inputs(X)
    targets = check_targets(y, network, inputs.shape[1])
    driven = _Driven(directions.get(direction), inputs[0], rate)
    return take_steps(network, inputs, targets, goals, rule, driven)


class _Driven:
    """A direction where single steps expect a cost; asked once a step, so that it knows the time by counting."""

    def __init__(self, direction: Direction, X: Tensor, rate: float):
        self.direction, self.X, self.rate = direction, X, rate
        self.steps = 0

    def derivative(self, f: Tensor, y: Tensor) -> Tensor:
        """d_t (S, N, n_out); zero for seeds that have left the finite numbers."""
        alive = torch.isfinite(f).all(dim=(1, 2))[:, None, None]
        t = self.steps * self.rate
        found = torch.as_tensor(self.direction(torch.where(alive, f, 0.0), y, self.X, t))
        self.steps += 1
        if found.shape != f.shape:
            raise ValueError(f"direction: shape {tuple(f.shape)} is needed, got {tuple(found.shape)}")
        return torch.where(alive, found.to(f.dtype), 0.0)
