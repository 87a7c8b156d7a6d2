"""Linear update rules as spectral filters: what k steps do along each eigendirection of the tangent kernel.

With the kernel frozen, a residual r obeys a linear recursion, so many steps are one function of the kernel's
eigenvalues. Along an eigenvalue lambda, a rule answers with the accumulated signal E, such that the parameters move
by -J^T E / N and the outputs by -lambda E.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Response:
    """Filters on eigenvalues (same shape): signals that come of the residual r and of the moving part p = J v.

    Attributes:
        moved_r, moved_p: E = moved_r r + moved_p p.
        halfway: the part of moved_r at whose parameters a mode's movement, weighted by its residual, is centred;
            taking J there makes a leap second order.
        velocity_r, velocity_p: as moved_r and moved_p, for the final velocity.
        carried, kept: how much of the old velocity went into the movement, and how much of it is left.
    """

    moved_r: Tensor
    halfway: Tensor
    moved_p: Tensor | None = None
    velocity_r: Tensor | None = None
    velocity_p: Tensor | None = None
    carried: float | Tensor = 0.0
    kept: float | Tensor = 0.0


class Rule(Protocol):
    """An update rule."""

    @property
    def unit(self) -> float:
        """Time of one step, the smallest leap (0: any time is allowed)."""

    def respond(self, values: Tensor, time: float | Tensor) -> Response:
        """The filters that stand for `time`, which may be one a seed (it broadcasts against the eigenvalues)."""

    def stable(self, largest: float) -> bool:
        """Whether no eigendirection grows, for the largest eigenvalue of Theta/N."""

    def largest_rate(self, largest: float) -> float:
        """The rate from which on it is not stable; infinite where no rate is too large."""


@dataclass(frozen=True)
class GradientFlow:
    """d theta/dt = -gradient: r decays like exp(-lambda t)."""

    @property
    def unit(self) -> float:
        """Any time is allowed."""
        return 0.0

    def respond(self, values: Tensor, time: float | Tensor) -> Response:
        """E = (1 - e^(-lambda t)) / lambda, and t where lambda -> 0."""
        x = values * time
        small = x.abs() < 1e-12
        moved = torch.where(small, time, -torch.expm1(-x) / torch.where(small, 1.0, values))
        return Response(moved, moved / 2)

    def stable(self, largest: float) -> bool:
        """Always: the flow only decays."""
        return True

    def largest_rate(self, largest: float) -> float:
        """No rate is too large where there are no steps."""
        return math.inf


@dataclass(frozen=True)
class GradientDescent:
    """k steps of rate eta in the time k eta: r decays like (1 - eta lambda)^k.

    Raises:
        ValueError: rate is not a finite number > 0.
    """

    rate: float = 1.0

    def __post_init__(self) -> None:
        check_rate(self.rate)

    @property
    def unit(self) -> float:
        """One step."""
        return float(self.rate)

    def respond(self, values: Tensor, time: float | Tensor) -> Response:
        """E = (1 - (1 - eta lambda)^k) / lambda, and eta k where lambda -> 0."""
        k = _whole(time, self.rate)
        x = self.rate * values
        small = x.abs() * k < 1e-12
        # log1p keeps the digits where eta lambda is small; above 1 the factor alternates in sign and needs a power.
        gone = torch.where(x < 0.5, -torch.expm1(k * torch.log1p(-x.clamp_max(0.5))), 1 - (1 - x) ** k)
        moved = torch.where(small, self.rate * k, gone / torch.where(small, 1.0, values))
        # Step j is taken at the parameters after j steps: sum_j rho^j (1 - rho^j) / sum_j rho^j with rho = 1 - x.
        # It is (rho - rho^k) / (1 + rho) / lambda: nothing for one step, half of the movement for many small ones.
        halfway = torch.where(x < 1.999, (moved - self.rate) / (2 - x).clamp_min(1e-3), 0.0)
        return Response(moved, torch.where(torch.as_tensor(k, device=x.device) > 0, halfway, 0.0))

    def stable(self, largest: float) -> bool:
        """eta < 2 / lambda."""
        return self.rate * largest < 2.0

    def largest_rate(self, largest: float) -> float:
        """2 / lambda."""
        return 2.0 / largest if largest > 0 else math.inf


@dataclass(frozen=True)
class Momentum:
    """Heavy ball: v <- mu v - eta gradient, theta <- theta + v. Time is k eta.

    Raises:
        ValueError: rate is not a finite number > 0, or momentum is outside [0, 1).
    """

    rate: float = 1.0
    momentum: float = 0.9

    def __post_init__(self) -> None:
        check_rate(self.rate)
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum: must be >= 0 and below 1, got {self.momentum}")

    @property
    def unit(self) -> float:
        """One step."""
        return float(self.rate)

    def respond(self, values: Tensor, time: float | Tensor) -> Response:
        """Powers of the 4 x 4 recursion of (r, p, e, E), where v = mu^k v_0 - J^T e / N and E sums the e's."""
        k = _whole(time, self.rate)
        mu, eta = self.momentum, self.rate
        one = torch.ones_like(values)
        zero = torch.zeros_like(values)
        rows = [
            [one - eta * values, mu * one, zero, zero],
            [-eta * values, mu * one, zero, zero],
            [eta * one, zero, mu * one, zero],
            [eta * one, zero, mu * one, one],
        ]
        step = torch.stack([torch.stack(row, -1) for row in rows], -2)
        power = powers(step, torch.as_tensor(k, device=values.device).expand(values.shape))
        kept = mu**k
        half = max(k - 1, 0) / max(2 * k, 1) if isinstance(k, int) else (k - 1).clamp_min(0) / (2 * k).clamp_min(1)
        return Response(
            moved_r=power[..., 3, 0],
            halfway=power[..., 3, 0] * half,
            moved_p=power[..., 3, 1],
            velocity_r=power[..., 2, 0],
            velocity_p=power[..., 2, 1],
            carried=mu * (1 - kept) / (1 - mu),
            kept=kept,
        )

    def stable(self, largest: float) -> bool:
        """eta < 2 (1 + mu) / lambda."""
        return self.rate * largest < 2.0 * (1.0 + self.momentum)

    def largest_rate(self, largest: float) -> float:
        """2 (1 + mu) / lambda."""
        return 2.0 * (1.0 + self.momentum) / largest if largest > 0 else math.inf


def descending(rule: Rule) -> Rule:
    """The rule, or in place of one without steps the gradient descent that follows it."""
    return rule if rule.unit else GradientDescent()


def remaining(rule: Rule, values: Tensor, time: float | Tensor) -> Tensor:
    """What is left of a residual along eigenvalues of Theta/N, after a finite time: e^(-lambda t) for the flow."""
    if isinstance(rule, GradientFlow):
        return torch.exp(-time * values)
    return 1.0 - values * rule.respond(values, time).moved_r


def _whole(time: float | Tensor, rate: float) -> Any:
    """The number of steps of that rate in a time, or in each of several."""
    return torch.round(time / rate) if isinstance(time, Tensor) else round(time / rate)


def powers(matrices: Tensor, k: Tensor) -> Tensor:
    """Every matrix (..., n, n) to its own power k (...) >= 0, by squaring."""
    k = k.long()
    power = torch.eye(matrices.shape[-1], dtype=matrices.dtype, device=matrices.device).expand_as(matrices)
    while bool((k > 0).any()):
        power = torch.where((k % 2 == 1)[..., None, None], power @ matrices, power)
        k = k // 2
        if bool((k > 0).any()):  # one more square could overflow for nothing
            matrices = torch.where((k > 0)[..., None, None], matrices @ matrices, matrices)
    return power


def check_rate(rate: float) -> None:
    """Raises a ValueError unless rate is a finite number > 0."""
    if not (math.isfinite(rate) and rate > 0):
        raise ValueError(f"learning_rate: must be a finite number > 0, got {rate}")


def check_whole_steps(name: str, t: float, rule: Rule) -> None:
    """Raises a ValueError unless the rule lands on the time t: it has no steps, or t is a whole number of them."""
    if rule.unit and math.isfinite(t):
        steps = t / rule.unit
        if abs(steps - round(steps)) > 1e-6 * max(1.0, steps):
            raise ValueError(f"{name}: {t:g} is not a whole number of steps of {rule.unit:g}")
