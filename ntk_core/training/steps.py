"""Plain gradient descent, one step after the other: the reference for everything faster."""

from __future__ import annotations

import time as clock
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ntk_core.finite.network import Network
from ntk_core.finite.passes import ParameterDirection
from ntk_core.finite.per_seed import PerSeed
from ntk_core.finite.weights import Dense
from ntk_core.progress import checkpoint
from ntk_core.rules import Momentum, Rule
from ntk_core.training.state import State

SECONDS_BETWEEN_STATES = 0.25
BLOWN_UP = 1e6  # a residual this many times its first size has diverged


def take_steps(network: Network, X: Tensor, y: Tensor, goals: list[float], rule: Rule, cost: Any) -> Iterator[State]:
    """Yields a state at every goal, and a few a second between them. Arguments as checked by `training.train`."""
    velocity = Velocity(network, rule.momentum) if isinstance(rule, Momentum) else None
    steps, told = 0, clock.monotonic()
    outputs = network.forward(X).outputs
    watch = Divergence(outputs, y)
    for index, goal in enumerate(goals):
        last = round(goal / rule.unit)
        while steps < last and not watch.all_diverged:
            direction, outputs = descent(network, X, y, cost)
            watch.silence(direction, outputs)
            if velocity is None:
                network.shift((-rule.unit, direction))
            else:
                velocity.step(direction, -rule.unit)
            steps += 1
            checkpoint()
            if clock.monotonic() - told > SECONDS_BETWEEN_STATES and steps < last:
                told = clock.monotonic()
                yield _state(steps * rule.unit, None, outputs, steps, watch)
        steps = last
        outputs = network.forward(X).outputs
        watch.look(outputs)
        yield _state(goal, index, outputs, steps, watch)


def walk(network: Network, X: Tensor, y: Tensor, rate: float, cost: Any, counts: Tensor, watch: Divergence) -> None:
    """Takes as many plain steps as each seed is told, in place; `watch` takes out those that diverge.

    Args:
        network, X, y, cost: as of `take_steps`.
        rate: of the steps.
        counts: whole numbers (S,); a seed of 0 stays where it is.
        watch: of the same seeds.
    """
    for step in range(int(counts.max())):
        direction, outputs = descent(network, X, y, cost)
        watch.silence(direction, outputs, counts <= step)
        if watch.all_diverged:
            return
        network.shift((-rate, direction))
        checkpoint()


def _state(t: float, output: int | None, outputs: Tensor, steps: int, watch: Divergence) -> State:
    none = torch.zeros(outputs.shape[0], dtype=torch.long)
    exact = none.double()
    return State(t, output, watch.shown(outputs), steps, none, none, none + steps, exact, exact, watch.diverged)


def descent(network: Network, X: Tensor, y: Tensor, cost: Any) -> tuple[ParameterDirection, Tensor]:
    """The gradient of the cost (mean over the points) as a direction, and the outputs f before the step."""
    done = network.forward(X)
    signal = cost.derivative(done.outputs, y) / X.shape[1]
    deltas = network.backward(done, signal[:, None])
    return network.direction(done, deltas, torch.ones_like(signal[:, None, :, 0])), done.outputs


class Divergence(PerSeed):
    """Notices seeds that left the finite numbers and takes them out of the training, so that the others go on."""

    def __init__(self, outputs: Tensor, y: Tensor):
        self.y = y
        self.limit = BLOWN_UP * (outputs - y).square().mean((1, 2)).sqrt().clamp_min(1e-3)
        self.diverged = torch.zeros(outputs.shape[0], dtype=torch.bool, device=outputs.device)

    @property
    def all_diverged(self) -> bool:
        """Nothing is left to train."""
        return bool(self.diverged.all())

    def look(self, outputs: Tensor, kernel: Tensor | None = None) -> None:
        """Marks the seeds whose residual, or kernel, is no longer finite, or whose residual has grown a millionfold."""
        size = (outputs - self.y).square().mean((1, 2)).sqrt()
        self.diverged = self.diverged | ~(size < self.limit)
        if kernel is not None:
            self.diverged = self.diverged | ~finite(kernel)

    def silence(self, direction: ParameterDirection, outputs: Tensor, resting: Tensor | None = None) -> None:
        """Marks diverged seeds and removes their part of a direction, and that of the seeds that rest (S,)."""
        self.look(outputs)
        silent = self.diverged if resting is None else self.diverged | resting
        if bool(silent.any()):
            for signal in direction.signals:
                signal[silent] = 0.0

    def shown(self, outputs: Tensor) -> Tensor:
        """Outputs with NaN where a seed has diverged: a person sees a gap, not a made-up number."""
        return outputs.masked_fill(self.diverged[:, None, None], torch.nan) if bool(self.diverged.any()) else outputs


def finite(values: Tensor) -> Tensor:
    """Which seeds' values (S, ...) are all finite, (S,)."""
    return torch.isfinite(values).flatten(1).all(-1)


class Velocity:
    """Heavy-ball velocity of stored weights: one buffer the size of each matrix.

    Raises:
        ValueError: the weights are sampled; momentum then needs leaps, which keep the velocity as factors.
    """

    def __init__(self, network: Network, momentum: float):
        self.network, self.momentum = network, momentum
        if not all(isinstance(layer, Dense) for layer in network.layers):
            raise ValueError("method: momentum step by step needs dense weights; choose leaps, or dense weights")
        self.matrices = [Dense(torch.zeros_like(layer.W)) for layer in network.layers if isinstance(layer, Dense)]
        self.biases = [torch.zeros_like(b) for b in network.biases]
        self._mirror = Network(network.arch, list(self.matrices), self.biases)

    def step(self, direction: ParameterDirection, factor: float) -> None:
        """v <- mu v + factor x direction, theta <- theta + v."""
        for buffer in [m.W for m in self.matrices] + self.biases:
            buffer.mul_(self.momentum)
        self._mirror.shift((factor, direction))
        for layer, matrix in zip(self.network.layers, self.matrices, strict=True):
            assert isinstance(layer, Dense)
            layer.W.add_(matrix.W)
        for bias, moved in zip(self.network.biases, self.biases, strict=True):
            bias.add_(moved)
