"""What drives the networks and the limit of the experiment on any cost and any direction, and what is seen of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ntk_core import costs
from ntk_core.costs import Cost
from ntk_core.directions import Direction, Formula, TwoPlayers
from ntk_core.finite.movement import kernel_movement

if TYPE_CHECKING:
    from ntk_core.experiments._any_cost_spec import Spec


def cost_of(spec: Spec) -> Cost:
    """The cost that is watched."""
    return costs.Huber(spec.delta) if spec.drive == "huber" else costs.get(spec.cost_name)


def direction_of(spec: Spec) -> Direction | None:
    """The direction that drives, None where a cost does."""
    if spec.drive == "players":
        return TwoPlayers(spec.penalty)
    return Formula(spec.direction) if spec.drive == "direction" else None


def directed(spec: Spec, f: Tensor, y: Tensor, X: Any, t: float) -> Tensor:
    """d_t at outputs f (..., N, n_out); NaN for networks that have left the finite numbers."""
    direction = direction_of(spec)
    if direction is None:
        return cost_of(spec).derivative(f, y)
    alive = torch.isfinite(f)
    found = direction(torch.where(alive, f, 0.0), y, torch.as_tensor(X, dtype=f.dtype, device=f.device), t)
    return torch.where(alive, found, torch.nan)


def cost(spec: Spec, f: Tensor, y: Tensor) -> Tensor:
    """The cost that is watched (...,): of two players the player's alone."""
    return cost_of(spec).value(*((f[..., :1], y[..., :1]) if spec.drive == "players" else (f, y)))


def power(spec: Spec, kernel: Tensor, f: Tensor, y: Tensor, d: Tensor) -> Tensor:
    """-dC/dt = C'^T Theta d / N^2 (...,), which is |d|_K^2 where d is the gradient of C.

    Args:
        spec: says which cost.
        kernel: Theta (..., N n_out, N n_out), points outside, outputs inside.
        f, y, d: outputs, targets and direction (..., N, n_out).
    """
    slope = cost_of(spec).derivative(f, y)
    if spec.drive == "players":
        slope = torch.cat([slope[..., :1], torch.zeros_like(slope[..., 1:])], -1)
    pushed = kernel @ d.flatten(-2)[..., None]
    return (slope.flatten(-2) * pushed[..., 0]).sum(-1) / f.shape[-2] ** 2


def shown(spec: Spec, f: Tensor) -> Tensor:
    """What is drawn of outputs f (..., n_out): the first, or the log-odds of the first of several classes."""
    return f[..., 0] - torch.logsumexp(f[..., 1:], -1) if spec.drive == "cross_entropy" else f[..., 0]


@dataclass
class Watched:
    """What must be remembered of a group of networks: its first kernels, and |d_t| as far as it has been added up."""

    spec: Spec
    start: Tensor | None = None
    last: tuple[float, Tensor] | None = None
    length: Tensor = field(default_factory=lambda: torch.zeros(()))

    def look(self, kernel: Tensor, f: Tensor, y: Tensor, X: Any, t: float) -> dict[str, Tensor]:
        """What a group with kernels (S, N n_out, N n_out) and outputs f (S, N, n_out) shows at time t, (S,) each."""
        d = directed(self.spec, f, y, X, t)
        size = d.square().sum(-1).mean(-1).sqrt()
        before, earlier = self.last or (t, size)
        self.length = self.length + (t - before) * (size + earlier) / 2
        self.start, self.last = kernel if self.start is None else self.start, (t, size)
        return {
            "cost": cost(self.spec, f, y),
            "power": power(self.spec, kernel, f, y, d),
            "size": size,
            "length": self.length,
            "movement": kernel_movement(self.start, kernel),
        }
