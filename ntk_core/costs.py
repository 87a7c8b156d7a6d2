"""Functional costs C(f) = (1/N) sum_i c(f(x_i), y_i), convex in f (paper, section 3).

Each cost knows c and its first two derivatives in f; one whose outputs see each other says so (`coupled`). All take
tensors f and y of shape (..., N, n_out) that broadcast, or (N,) for one output; outputs are summed, points averaged.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional


class Cost(ABC):
    """One convex cost per point; a subclass states c, c' and c''."""

    name: ClassVar[str]
    coupled: ClassVar[bool] = False  # whether the derivative in one output depends on the others

    @abstractmethod
    def point(self, f: Tensor, y: Tensor) -> Tensor:
        """c(f, y), elementwise; of a coupled cost the shares that add up to it."""

    @abstractmethod
    def derivative(self, f: Tensor, y: Tensor) -> Tensor:
        """dc/df, elementwise: the dual element d of section 3, without the 1/N."""

    @abstractmethod
    def second_derivative(self, f: Tensor, y: Tensor) -> Tensor:
        """d2c/df2, elementwise, >= 0; of a coupled cost the diagonal."""

    def hessian_product(self, f: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """The second derivative at (f, y) times v, shaped like f."""
        return self.second_derivative(f, y) * v

    def value(self, f: Tensor, y: Tensor) -> Tensor:
        """C(f): c summed over outputs and averaged over points, shape (...)."""
        c = self.point(f, y)
        return c.mean() if c.ndim == 1 else c.sum(-1).mean(-1)

    def check_targets(self, y: Tensor) -> None:
        """Raises a ValueError where the cost makes no sense for these targets."""
        if not bool(torch.isfinite(y).all()):
            raise ValueError("y_train: every target must be a finite number")


@dataclass(frozen=True)
class Squared(Cost):
    """Least squares, c = (f - y)^2 / 2 (section 5)."""

    name = "squared"

    def point(self, f: Tensor, y: Tensor) -> Tensor:
        """(f - y)^2 / 2."""
        return (f - y).square() / 2

    def derivative(self, f: Tensor, y: Tensor) -> Tensor:
        """The residual f - y."""
        return f - y

    def second_derivative(self, f: Tensor, y: Tensor) -> Tensor:
        """One."""
        return torch.ones_like(f - y)


@dataclass(frozen=True)
class Logistic(Cost):
    """Cross-entropy of the logit f, c = log(1 + e^f) - p f with p = (1 + y) / 2.

    Targets y in [-1, 1]: labels y = -1, +1 give log(1 + e^(-y f)); values between are probabilities p.
    """

    name = "logistic"

    def point(self, f: Tensor, y: Tensor) -> Tensor:
        """p log(1 + e^-f) + (1 - p) log(1 + e^f): the same number without cancellation at large |f|."""
        p = (1 + y) / 2
        return p * functional.softplus(-f) + (1 - p) * functional.softplus(f)

    def derivative(self, f: Tensor, y: Tensor) -> Tensor:
        """sigmoid(f) - p, between sigmoid(f) at p = 0 and -sigmoid(-f) at p = 1: nothing cancels at either."""
        return torch.lerp(-torch.sigmoid(-f), torch.sigmoid(f), (0.5 - 0.5 * y).to(f.dtype))

    def second_derivative(self, f: Tensor, y: Tensor) -> Tensor:
        """sigmoid(f) sigmoid(-f)."""
        return (torch.sigmoid(f) * torch.sigmoid(-f)).expand(torch.broadcast_shapes(f.shape, y.shape))

    def check_targets(self, y: Tensor) -> None:
        """Targets must lie in [-1, 1]."""
        super().check_targets(y)
        if bool((y.abs() > 1).any()):
            raise ValueError(
                f"y_train: the logistic cost needs targets between -1 and 1, "
                f"got {float(y.min()):g} to {float(y.max()):g}"
            )


@dataclass(frozen=True)
class Huber(Cost):
    """Squared near the target, linear beyond `delta`: c = r^2 / 2 if |r| <= delta, else delta (|r| - delta / 2)."""

    delta: float = 0.1
    name = "huber"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.delta) and self.delta > 0):
            raise ValueError(f"delta: must be a finite number > 0, got {self.delta!r}")

    def point(self, f: Tensor, y: Tensor) -> Tensor:
        """Quadratic inside, linear outside."""
        r = (f - y).abs()
        return torch.where(r <= self.delta, r.square() / 2, self.delta * (r - self.delta / 2))

    def derivative(self, f: Tensor, y: Tensor) -> Tensor:
        """The residual clipped to [-delta, delta]."""
        return (f - y).clamp(-self.delta, self.delta)

    def second_derivative(self, f: Tensor, y: Tensor) -> Tensor:
        """One inside, zero outside."""
        r = f - y
        return (r.abs() <= self.delta).to(r.dtype)


@dataclass(frozen=True)
class CrossEntropy(Cost):
    """Cross-entropy of softmax over several outputs, c = -sum_k y_k log softmax(f)_k; y: probabilities."""

    name = "cross_entropy"
    coupled = True

    def point(self, f: Tensor, y: Tensor) -> Tensor:
        """-y_k log softmax(f)_k, each output's share."""
        return -y * functional.log_softmax(f, -1)

    def derivative(self, f: Tensor, y: Tensor) -> Tensor:
        """softmax(f) sum(y) - y."""
        return functional.softmax(f, -1) * y.sum(-1, keepdim=True) - y

    def second_derivative(self, f: Tensor, y: Tensor) -> Tensor:
        """p (1 - p) sum(y) with p = softmax(f), the diagonal."""
        p = functional.softmax(f, -1)
        return p * (1 - p) * y.sum(-1, keepdim=True)

    def hessian_product(self, f: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """(p v - p (p . v)) sum(y)."""
        p = functional.softmax(f, -1)
        return (p * v - p * (p * v).sum(-1, keepdim=True)) * y.sum(-1, keepdim=True)

    def check_targets(self, y: Tensor) -> None:
        """Rows must be probabilities of two or more classes."""
        super().check_targets(y)
        if y.ndim < 2 or y.shape[-1] < 2:
            raise ValueError(f"y_train: cross-entropy needs two or more classes, got shape {tuple(y.shape)}")
        if bool((y < 0).any()) or bool(((y.sum(-1) - 1).abs() > 1e-6).any()):
            raise ValueError("y_train: cross-entropy needs rows of probabilities, >= 0 and adding up to 1")


_COSTS: dict[str, type[Cost]] = {cost.name: cost for cost in (Squared, Logistic, Huber, CrossEntropy)}


def names() -> tuple[str, ...]:
    """Names that `get` knows."""
    return tuple(_COSTS)


def get(cost: str | Cost) -> Cost:
    """The cost of that name (or the cost itself), or a ValueError that lists the names there are."""
    if isinstance(cost, Cost):
        return cost
    if not isinstance(cost, str) or cost not in _COSTS:
        raise ValueError(f"cost: {str(cost)[:40]!r} is not known; choose one of {', '.join(_COSTS)}")
    return _COSTS[cost]()
