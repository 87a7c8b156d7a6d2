r"""The linearized network: a finite network whose tangent kernel stands still from t = 0 on (paper, section 5).

With the network's own kernel at t = 0, Theta(X, X)/N = U diag(lambda) U^T on the training points,

    f_lin(x; t) = f_0(x) - Theta(x, X)/N U diag(E_t(lambda)) U^T (f_0(X) - y) ,

where E_t is the rule's filter (`ntk_core.rules`). What a trained network does beyond that is its kernel's movement.
"""

from __future__ import annotations

import copy
import math
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import Tensor

from ntk_core.architecture import Architecture
from ntk_core.device import as_tensor
from ntk_core.eigen import eigh, seen_along, without_null
from ntk_core.finite.layer_terms import as_matrix
from ntk_core.rules import GradientFlow, Rule, check_whole_steps, descending, remaining


class Model(Protocol):
    """What can be linearized: a `Network`, or a `ScaledNetwork`."""

    @property
    def arch(self) -> Architecture:
        """The network's shape."""

    @property
    def ensemble(self) -> bool:
        """Whether results carry a leading dimension S."""

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the parameters."""

    def __call__(self, X: Any) -> Tensor:
        """Outputs (N, n_out), or (S, N, n_out)."""

    def tangent_kernel(self, X: Any, X2: Any = None) -> Tensor:
        """The kernel that its outputs move by."""

    def looking(self) -> AbstractContextManager[None]:
        """Inside, questions leave no trace."""


class LinearizedNetwork:
    """A network, or an ensemble of S seeds, linearized where it is now; it stays there while the network trains on.

    The squared cost, (1/2) mean |f - y|^2. Keeps a copy of the parameters. With sampled weights, points to be looked at
    later should be among the `points` of `Network.init`: both copies then agree on them.

    Args:
        network: the network at t = 0.
        X: (N, n_in) training inputs.
        y: (N,), (N, n_out) or, one target a seed, (S, N, n_out).
        rule: gradient flow (rate 1), or another rule of `ntk_core.rules`, whose time is steps x rate.

    Raises:
        ValueError: shapes that do not fit, or numbers that are not finite.
    """

    def __init__(self, network: Model, X: Any, y: Any, rule: Rule | None = None):
        self.rule = rule or GradientFlow()
        self.arch, self.ensemble = network.arch, network.ensemble
        self.X = as_tensor(X).clone()
        self.kernel = as_matrix(network.tangent_kernel(self.X), self.ensemble)  # (S, P, P), P = N n_out
        self.f0 = self._three(network(self.X))  # (S, N, n_out)
        self.y = _targets(y, self.f0)
        self._network = copy.deepcopy(network)
        self.N = self.f0.shape[1]
        values, self.modes = eigh((self.kernel + self.kernel.mT) / (2 * self.N))
        # What is below the rounding of the network's own precision is the null space.
        self.values = without_null(values, torch.finfo(network.dtype).eps)  # (S, P) ascending
        self._last: tuple[Tensor, Tensor, Tensor] | None = None

    @property
    def stable_rate(self) -> float:
        """2 / lambda_max over the seeds (1 + mu times as much with momentum mu)."""
        return descending(self.rule).largest_rate(float(self.values[:, -1].max()))

    def at(self, t: float, X_test: Any = None) -> Tensor:
        """f_lin at time t, 0 <= t <= math.inf: float64 (M, n_out), with a leading S for an ensemble.

        Args:
            t: the time; at infinity, kernel regression of what f_0 leaves.
            X_test: (M, n_in); by default the training points.

        Raises:
            ValueError: t is negative, between two steps of the rule, or infinite where the rule diverges.
        """
        self._check_time(t)
        residual = self._along(self.f0 - self.y)
        if X_test is None:
            left = self._remaining(t)
            f = self.y + (self.modes @ (left * residual)[..., None]).reshape(self.f0.shape)
            return self._shaped(f)
        cross, start = self._seen_from(X_test)
        return self._shaped(start - self._moved(cross, self._gain(t) * residual))

    def kernel_regression(self, X_test: Any, ridge: float = 0.0) -> Tensor:
        """Regression on y with the network's own kernel at t = 0, without f_0: shaped as `at`.

        The minimum of (1/2) mean |f - y|^2 + (ridge / 2) |f|_Theta^2: Theta(x, X)/N (Theta/N + ridge)^-1 y.

        Raises:
            ValueError: ridge is not a finite number >= 0.
        """
        if not (math.isfinite(ridge) and ridge >= 0):
            raise ValueError(f"ridge: must be a finite number >= 0, got {ridge}")
        solve = torch.where(self.values + ridge > 0, 1.0 / (self.values + ridge), 0.0)
        cross, _ = self._seen_from(X_test)
        return self._shaped(self._moved(cross, solve * self._along(self.y)))

    def _check_time(self, t: float) -> None:
        if not t >= 0:
            raise ValueError(f"t: a time must be >= 0 (math.inf is allowed), got {t}")
        check_whole_steps("t", t, self.rule)
        if math.isinf(t) and not self.rule.stable(float(self.values.max())):
            raise ValueError(
                f"t: nothing is reached at infinity, since the rule diverges on this network's kernel: "
                f"its rate {self.rule.unit:g} must be below {self.stable_rate:.6g}"
            )

    def _gain(self, t: float) -> Tensor:
        """E_t(lambda) (S, P); at infinity the pseudo-inverse."""
        if math.isinf(t):
            return torch.where(self.values > 0, 1.0 / self.values, 0.0)
        return self.rule.respond(self.values, t).moved_r

    def _remaining(self, t: float) -> Tensor:
        if math.isinf(t):
            return torch.where(self.values > 0, 0.0, 1.0).double()
        return remaining(self.rule, self.values, t)

    def _along(self, f: Tensor) -> Tensor:
        """U^T f, (S, N, n_out) -> (S, P)."""
        return (self.modes.mT @ f.flatten(1)[..., None])[..., 0]

    def _seen_from(self, X_test: Any) -> tuple[Tensor, Tensor]:
        """Theta(x, X)/N U (S, M n_out, P) and f_0(x) (S, M, n_out); the last points asked about are kept."""
        X = as_tensor(X_test)
        if self._last is None or not torch.equal(self._last[0], X):
            with self._network.looking():
                start = self._three(self._network(X))
                cross = as_matrix(self._network.tangent_kernel(X, self.X), self.ensemble)
            self._last = (X.clone(), seen_along(cross, self.values, self.modes) / self.N, start)
        return self._last[1], self._last[2]

    def _moved(self, cross: Tensor, coordinates: Tensor) -> Tensor:
        return (cross @ coordinates[..., None]).reshape(len(cross), -1, self.arch.n_out)

    def _three(self, f: Tensor) -> Tensor:
        return f.double() if self.ensemble else f.double()[None]

    def _shaped(self, f: Tensor) -> Tensor:
        return f if self.ensemble else f[0]


def _targets(y: Any, like: Tensor) -> Tensor:
    """y as (S, N, n_out) float64; a ValueError that quotes the shapes if it does not fit."""
    y = as_tensor(y).to(like.device, torch.float64)
    y = y[:, None] if y.ndim == 1 else y
    y = y.expand(like.shape[0], *y.shape) if y.ndim == 2 else y
    if y.shape != like.shape:
        raise ValueError(f"y: targets of shape {tuple(like.shape[1:])} are needed, got {tuple(y.shape[-2:])}")
    if not bool(torch.isfinite(y).all()):
        raise ValueError("y: every target must be a finite number")
    return y
