"""The linear part of training: what a rule does while the tangent kernel stands still."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ntk_core.costs import Cost
from ntk_core.finite.network import Network
from ntk_core.finite.passes import Direction
from ntk_core.finite.tangent import Features, tangent_kernel
from ntk_core.rules import GradientFlow, Momentum, Response, Rule
from ntk_core.training.modes import Modes

FLATTEST = 1e-10  # second derivatives below this are lifted to it: the filter's limit there is a plain step
FORGOTTEN = 1e-7  # a velocity decayed to this share no longer moves anything


@dataclass
class Move:
    """A leap that has been worked out: where the parameters go, and what the linear part says about f."""

    direction: Direction
    time: float
    predicted: Tensor  # change of f by the linear part, (S, P)
    carried: float  # how much of the velocity goes into the movement
    velocity: list[tuple[float, Direction]]  # afterwards


class LinearPart:
    """The linear part of training at one set of parameters.

    Args:
        network: what trains.
        features: its tangent features on the N training points, at these parameters.
        y: targets, (S, N, n_out).
        rule: the update rule.
        cost: the cost, linearized here by its second derivative.
        velocity: terms (factor, direction) of the parameters' velocity.
        alive: which seeds still train, (S,).
        outputs: f where the leap starts, if that is not where the features were taken.
    """

    def __init__(
        self,
        network: Network,
        features: Features,
        y: Tensor,
        rule: Rule,
        cost: Cost,
        velocity: list[tuple[float, Direction]],
        alive: Tensor,
        outputs: Tensor | None = None,
    ):
        self.network, self.features, self.rule, self.velocity = network, features, rule, velocity
        outputs = features.done.outputs if outputs is None else outputs
        S, self.N, n_out = outputs.shape
        kernel = tangent_kernel(features, features)
        if n_out > 1:
            kernel = kernel.permute(0, 1, 3, 2, 4).reshape(S, self.N * n_out, -1)
        self.K = _clean(kernel.double() / self.N, alive)
        self.pushed = self._pushforward(alive)
        f, y = outputs.double().flatten(1), y.double().flatten(1)
        slope = _clean(cost.derivative(f, y), alive)
        self.root = cost.second_derivative(f, y).nan_to_num(1.0).clamp_min(FLATTEST).sqrt()
        limit = {"dense_up_to": self.K.shape[-1]} if self.pushed is not None else {}
        operator = self.root[:, :, None] * self.K * self.root[:, None, :]
        self.modes = Modes((operator + operator.mT) / 2, slope / self.root, **limit)

    @property
    def largest(self) -> float:
        """Largest eigenvalue of the linear dynamics, over the seeds."""
        return self.modes.largest

    def travel(self, times: Tensor) -> Tensor:
        """Length of the parameters' movement by gradient flow over each of the times (T,), worst seed: (T,)."""
        # Heavy ball moves 1 / (1 - mu) times as fast as plain descent, once under way.
        speed = 1 / (1 - self.rule.momentum) if isinstance(self.rule, Momentum) else 1.0
        return self.modes.travel(lambda values: GradientFlow().respond(values, times * speed).moved_r)

    def move(self, time: float, moved: str = "moved_r") -> Move:
        """The rule's movement over `time`, this linear part frozen."""
        kept: dict[str, float] = {"carried": 0.0, "kept": 0.0}

        def filtered(name: str) -> Any:
            def values(eigenvalues: Tensor) -> Tensor:
                response: Response = self.rule.respond(eigenvalues, time)
                kept.update(carried=response.carried, kept=response.kept)
                return getattr(response, name)

            return values

        signal = self.root * self.modes.act(filtered(moved))
        velocity: list[tuple[float, Direction]] = []
        if self.pushed is not None:
            drift = self.root * self.modes.act(filtered("moved_p"), self.root * self.pushed)
            signal = signal + (drift / 2 if moved == "halfway" else drift)
        if isinstance(self.rule, Momentum):
            final = self.root * self.modes.act(filtered("velocity_r"))
            if self.pushed is not None:
                final = final + self.root * self.modes.act(filtered("velocity_p"), self.root * self.pushed)
            old = [(f * kept["kept"], d) for f, d in self.velocity if abs(f * kept["kept"]) > FORGOTTEN]
            velocity = [*old, (1.0, self._direction(final))]
        carried = kept["carried"] * (0.5 if moved == "halfway" else 1.0)
        predicted = -(self.K @ signal[..., None])[..., 0]
        if self.pushed is not None:
            predicted = predicted + carried * self.pushed
        return Move(self._direction(signal), time, predicted, carried, velocity)

    def _direction(self, signal: Tensor) -> Direction:
        """-J^T signal / N as a direction."""
        S = signal.shape[0]
        coefficients = (-signal / self.N).reshape(S, self.N, -1).mT.to(self.network.dtype)
        return self.network.direction(self.features.done, self.features.deltas, coefficients)

    def _pushforward(self, alive: Tensor) -> Tensor | None:
        if not self.velocity:
            return None
        moved = self.network.pushforward(self.features.done, self.velocity)
        return _clean(moved.double().flatten(1), alive)


def _clean(values: Tensor, alive: Tensor) -> Tensor:
    """Values of the seeds still alive; zero for the others, so that they stand still."""
    mask = alive.reshape(-1, *([1] * (values.ndim - 1)))
    return torch.where(mask, values, torch.zeros((), dtype=values.dtype, device=values.device))
