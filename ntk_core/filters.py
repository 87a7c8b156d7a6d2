"""Linear update rules as spectral filters: what k steps do along each eigendirection of the tangent kernel.

With the kernel frozen, a residual r obeys a linear recursion, so many steps are one function of the kernel's
eigenvalues. Along an eigenvalue lambda, a rule answers with the accumulated signal E, such that the parameters move
by -J^T E / N and the outputs by -lambda E.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ntk_core.eigen import eigh

DENSE_UP_TO = 600  # unknowns; above, a Krylov space of the residual replaces the eigenvectors
KRYLOV_STEPS = 160
KRYLOV_TOLERANCE = 1e-13
KRYLOV_TRUNCATION = 1e-8


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
    carried: float = 0.0
    kept: float = 0.0


class Rule(Protocol):
    """An update rule."""

    @property
    def unit(self) -> float:
        """Time of one step, the smallest leap (0: any time is allowed)."""

    def respond(self, values: Tensor, time: float) -> Response:
        """The filters that stand for `time`."""

    def stable(self, largest: float) -> bool:
        """Whether no eigendirection grows, for the largest eigenvalue of Theta/N."""


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
        return self.rate

    def respond(self, values: Tensor, time: float) -> Response:
        """E = (1 - (1 - eta lambda)^k) / lambda, and eta k where lambda -> 0."""
        k = round(time / self.rate)
        x = self.rate * values
        small = x.abs() * k < 1e-12
        # log1p keeps the digits where eta lambda is small; above 1 the factor alternates in sign and needs a power.
        gone = torch.where(x < 0.5, -torch.expm1(k * torch.log1p(-x.clamp_max(0.5))), 1 - (1 - x) ** k)
        moved = torch.where(small, self.rate * k, gone / torch.where(small, 1.0, values))
        # Step j is taken at the parameters after j steps: sum_j rho^j (1 - rho^j) / sum_j rho^j with rho = 1 - x.
        # It is (rho - rho^k) / (1 + rho) / lambda: nothing for one step, half of the movement for many small ones.
        return Response(moved, torch.where(x < 1.999, (moved - self.rate) / (2 - x).clamp_min(1e-3), 0.0))

    def stable(self, largest: float) -> bool:
        """eta < 2 / lambda."""
        return self.rate * largest < 2.0


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
        return self.rate

    def respond(self, values: Tensor, time: float) -> Response:
        """Powers of the 4 x 4 recursion of (r, p, e, E), where v = mu^k v_0 - J^T e / N and E sums the e's."""
        k = round(time / self.rate)
        mu, eta = self.momentum, self.rate
        one = torch.ones_like(values)
        zero = torch.zeros_like(values)
        rows = [
            [one - eta * values, mu * one, zero, zero],
            [-eta * values, mu * one, zero, zero],
            [eta * one, zero, mu * one, zero],
            [eta * one, zero, mu * one, one],
        ]
        power = torch.linalg.matrix_power(torch.stack([torch.stack(row, -1) for row in rows], -2), k)
        return Response(
            moved_r=power[..., 3, 0],
            halfway=power[..., 3, 0] * (k - 1) / (2 * k),
            moved_p=power[..., 3, 1],
            velocity_r=power[..., 2, 0],
            velocity_p=power[..., 2, 1],
            carried=sum(mu**j for j in range(1, k + 1)),
            kept=mu**k,
        )

    def stable(self, largest: float) -> bool:
        """eta < 2 (1 + mu) / lambda."""
        return self.rate * largest < 2.0 * (1.0 + self.momentum)


def check_rate(rate: float) -> None:
    """Raises a ValueError unless rate is a finite number > 0."""
    if not (math.isfinite(rate) and rate > 0):
        raise ValueError(f"learning_rate: must be a finite number > 0, got {rate}")


class Modes:
    """Functions of a symmetric operator K (S, P, P) applied to a vector r (S, P), cheap where P is large.

    Up to `DENSE_UP_TO` unknowns K is diagonalized. Above, r's own Krylov space is: filters are smooth on the
    spectrum, so a hundred products with K give all digits that matter, where P x P eigenvectors would cost P^3. It is
    exact for the full kernel, several outputs included: no block is neglected. Where the filter turns out too sharp
    for that space, K is diagonalized after all.
    """

    def __init__(self, K: Tensor, r: Tensor, dense_up_to: int = DENSE_UP_TO):
        self.K, self.r = K, r
        self._last_row: Tensor | None = None
        if K.shape[-1] <= dense_up_to:
            self._diagonalize()
        else:
            values, self.basis, self._last_row = _krylov(K, r)
            self.values = values.clamp_min(0.0)

    @property
    def largest(self) -> float:
        """Largest eigenvalue over the seeds."""
        return float(self.values.max())

    def act(self, function: Callable[[Tensor], Tensor], v: Tensor | None = None) -> Tensor:
        """function(K) r, or function(K) v (which diagonalizes K: v need not lie in r's Krylov space)."""
        if v is not None and self._last_row is not None:
            self._diagonalize()
        coordinates = (self.basis.mT @ (self.r if v is None else v)[..., None])[..., 0] * function(self.values)
        if self._last_row is not None:
            left_out = (self._last_row * coordinates).sum(-1).abs()
            if bool((left_out > KRYLOV_TRUNCATION * torch.linalg.vector_norm(coordinates, dim=-1)).any()):
                self._diagonalize()
                return self.act(function)
        return (self.basis @ coordinates[..., None])[..., 0]

    def travel(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """sqrt(e^T K e) for e = function(K) r, for several functions at once: (S, k, 1) -> (S, k, T) gives (T,)."""
        coordinates = (self.basis.mT @ self.r[..., None]) * function(self.values[..., None])
        return (self.values[..., None] * coordinates.square()).sum(-2).sqrt().amax(0)

    def _diagonalize(self) -> None:
        values, self.basis = eigh(self.K)
        self.values = values.clamp_min(0.0)
        self._last_row = None


def _krylov(K: Tensor, r: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Lanczos in span{r, K r, K^2 r, ...}, fully reorthogonalized.

    Returns Ritz values (S, k), Ritz vectors (S, P, k), and the share (S, k) of each Ritz vector that lies along the
    last Krylov direction: a filtered vector that reaches there has not converged.
    """
    P = K.shape[-1]
    scale = K.diagonal(dim1=-2, dim2=-1).sum(-1)[:, None]
    q = r / torch.linalg.vector_norm(r, dim=-1, keepdim=True).clamp_min(torch.finfo(r.dtype).tiny)
    vectors = [q]
    alphas, betas = [], []
    for _ in range(min(P, KRYLOV_STEPS)):
        w = (K @ vectors[-1][..., None])[..., 0]
        alphas.append((w * vectors[-1]).sum(-1))
        Q = torch.stack(vectors, -1)
        for _ in range(2):
            w = w - (Q @ (Q.mT @ w[..., None]))[..., 0]
        beta = torch.linalg.vector_norm(w, dim=-1, keepdim=True)
        # Past the noise of the products a direction is arbitrary: stop all seeds when each has reached it.
        if bool((beta <= KRYLOV_TOLERANCE * scale).all()):
            break
        betas.append(beta[:, 0])
        vectors.append(w / beta.clamp_min(torch.finfo(r.dtype).tiny))
    k = len(alphas)
    T = torch.diag_embed(torch.stack(alphas, -1))
    if k > 1:
        off = torch.diag_embed(torch.stack(betas[: k - 1], -1), 1)
        T = T + off + off.mT
    values, inner = eigh(T)
    last = inner[:, -1, :] if k == KRYLOV_STEPS else torch.zeros_like(values)
    return values, torch.stack(vectors[:k], -1) @ inner, last
