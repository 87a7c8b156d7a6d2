"""The infinite-width limit in closed form: the ensemble's Gaussian at every time (paper, section 5).

With K = Theta(X, X)/N = U diag(lambda) U^T on the training points and f_0 ~ GP(0, Sigma),

    f_t(x) = f_0(x) - A_t(x) (f_0(X) - y) ,    A_t(x) = Theta(x, X)/N U diag(E_t(lambda)) U^T ,

where E_t(lambda) = (1 - e^(-t lambda)) / lambda for gradient flow; another linear update rule has its own E_t.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from ntk_core.architecture import Architecture
from ntk_core.data.synthetic import table
from ntk_core.limit.kernels import limiting_kernels
from ntk_core.rules import GradientFlow, Momentum, Rule, check_whole_steps, remaining

TILE = 4_000_000  # numbers held at once while many times are evaluated


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian over functions at M points; several outputs are independent and share their covariance.

    Attributes:
        mean: (M,), or (M, n_out) when the targets had that shape.
        cov: (M, M) float64, of each output.
    """

    mean: Tensor
    cov: Tensor

    @property
    def std(self) -> Tensor:
        """Standard deviation (M,); rounding below zero counts as zero."""
        return self.cov.diagonal().clamp_min(0.0).sqrt()

    def percentile(self, q: float | Sequence[float]) -> Tensor:
        """The q-th percentile, 0 < q < 100, shaped like the mean; several q stack in front.

        Raises:
            ValueError: a q outside (0, 100).
        """
        quantiles = np.asarray(q, dtype=np.float64)
        if not ((quantiles > 0) & (quantiles < 100)).all():
            raise ValueError(f"q: percentiles must be above 0 and below 100, got {q}")
        z = torch.as_tensor(ndtri(quantiles / 100)).reshape(quantiles.shape + (1,) * self.mean.ndim)
        std = self.std if self.mean.ndim == 1 else self.std[:, None]
        return self.mean + z * std


class InfiniteEnsemble:
    """Infinitely wide networks trained on (X_train, y_train) with C(f) = (1/2) mean |f - y|^2.

    One eigendecomposition, at construction, serves every time and all test points.

    Args:
        arch: its depth, activation, beta and w_std define the limit; its width plays no part.
        X_train: (N, n_in) array or tensor.
        y_train: (N,) or (N, n_out); with n_out = 1, each of several columns is a task of its own.
        rule: gradient flow (rate 1), or another rule of `ntk_core.rules`, whose time is steps x rate.

    Raises:
        ValueError: shapes that do not fit, or numbers that are not finite.
    """

    def __init__(self, arch: Architecture, X_train: Any, y_train: Any, rule: Rule | None = None):
        inputs, targets = table(_numpy(X_train), _numpy(y_train))
        self.arch, self.rule = arch, rule or GradientFlow()
        self.X, self.y = torch.from_numpy(inputs), torch.from_numpy(targets)
        self.ntk, self.nngp = _kernels(arch, inputs)  # (N, N)
        values, self.modes = torch.linalg.eigh(self.ntk / len(inputs))
        # Theta is positive semi-definite: what eigh finds below its own rounding is the null space.
        rounding = len(inputs) * torch.finfo(values.dtype).eps * float(values[-1].clamp_min(0.0))
        self.values = torch.where(values > rounding, values, 0.0)  # (N,) ascending
        if self.y.ndim == 2 and arch.n_out not in (1, self.y.shape[1]):
            columns = self.y.shape[1]
            raise ValueError(f"y_train: {arch.n_out} outputs need {arch.n_out} columns of targets, got {columns}")
        self._y = self.modes.mT @ self.y.reshape(len(inputs), -1)  # U^T y, (N, n_out)
        self._S = self.modes.mT @ self.nngp @ self.modes  # U^T Sigma U
        self._last: Predictions | None = None

    @property
    def stable_rate(self) -> float:
        """2 / lambda_max: gradient descent with a larger rate diverges (infinite where the kernel vanishes).

        Momentum mu, where that is the rule, allows 1 + mu times as much.
        """
        largest = float(self.values[-1])
        slack = 1.0 + (self.rule.momentum if isinstance(self.rule, Momentum) else 0.0)
        return 2.0 * slack / largest if largest > 0 else math.inf

    def gain(self, t: float) -> Tensor:
        """E_t(lambda) (N,): t where lambda = 0, and the pseudo-inverse 1/lambda at t = inf.

        A null direction of Theta(X, X) is one of Theta(x, X) too, so that at infinity it may count as zero.

        Raises:
            ValueError: t is negative or between two steps of the rule, or infinite where the rule diverges.
        """
        self._check_time(t)
        if math.isinf(t):
            return self._inverse()
        return self.rule.respond(self.values, t).moved_r

    def decay(self, t: float) -> Tensor:
        """What is left of a residual along each eigendirection (N,): e^(-t lambda) for the flow, 1 where lambda = 0."""
        if math.isinf(t):
            return 1.0 - self.values * self.gain(t)
        self._check_time(t)
        return remaining(self.rule, self.values, t)

    def _inverse(self) -> Tensor:
        """The pseudo-inverse 1/lambda (N,)."""
        return torch.where(self.values > 0, 1.0 / self.values, 0.0)

    def _check_time(self, t: float) -> None:
        if not t >= 0:
            raise ValueError(f"t: a time must be >= 0 (math.inf is allowed), got {t}")
        check_whole_steps("t", t, self.rule)
        if math.isinf(t) and not self.rule.stable(float(self.values[-1])):
            raise ValueError(
                f"t: nothing is reached at infinity, since the rule diverges on this kernel: "
                f"its rate {self.rule.unit:g} must be below {self.stable_rate:.6g}"
            )

    def under(self, rule: Rule) -> InfiniteEnsemble:
        """The same ensemble trained by another rule; shares the eigendecomposition."""
        other = copy.copy(self)
        other.rule, other._last = rule, None
        return other

    def on(self, X_test: Any) -> Predictions:
        """The limit seen from X_test (M, n_in): computes the cross kernels once, for all times."""
        X = torch.as_tensor(X_test, dtype=torch.float64)
        if X.ndim != 2 or X.shape[1] != self.arch.n_in:
            raise ValueError(f"X_test: shape (M, {self.arch.n_in}) is needed, got {tuple(X.shape)}")
        if self._last is None or not torch.equal(self._last.X, X):
            self._last = Predictions(self, X.clone())
        return self._last

    def at(self, t: float, X_test: Any) -> Gaussian:
        """Distribution of f_t at X_test, for 0 <= t <= math.inf."""
        return self.on(X_test).at(t)

    def expected_cost(self, t: float) -> float:
        """E[C(f_t)] over the ensemble, on the training points."""
        decay = self.decay(t).square()
        energy = self._S.diagonal() * self._y.shape[1] + self._y.square().sum(1)
        return float(decay @ energy) / (2 * len(self.y))

    def evolve(self, f_train: Tensor, t: float, X_test: Any = None, f_test: Tensor | None = None) -> Tensor:
        """Where the limit takes one given initial function.

        Args:
            f_train: f_0 on the training points, (N,) or (N, n_out).
            t: time.
            X_test, f_test: other points (M, n_in) and f_0 there (M,) or (M, n_out); default: the training points.

        Returns:
            f_t, shaped like the initial function.

        Raises:
            ValueError: one of X_test and f_test is given without the other, or they do not fit.
        """
        if (X_test is None) != (f_test is None):
            raise ValueError("X_test, f_test: other points need both, the points and f_0 there")
        residual = self.modes.mT @ (f_train - self.y).reshape(len(self.y), -1)
        if X_test is None or f_test is None:
            f = self.y.reshape(len(self.y), -1) + self.modes @ (self.decay(t)[:, None] * residual)
            return f.reshape(f_train.shape)
        moved = self.on(X_test).cross @ (self.gain(t)[:, None] * residual)
        return f_test - moved.reshape(f_test.shape)

    def ntk_posterior(self, X_test: Any) -> Gaussian:
        """Bayes' answer to another question: the posterior of a Gaussian process whose prior covariance is the NTK.

        Its mean is the trained ensemble's at t = inf, its covariance is not (the networks start from Sigma).
        """
        view = self.on(X_test)
        solve = self._inverse() / len(self.y)
        B = view.cross * len(self.y)  # Theta(x, X) U
        cov = view.own.ntk - (B * solve) @ B.mT
        return Gaussian(view._shaped((B * solve) @ self._y), cov)


class Predictions:
    """An `InfiniteEnsemble` seen from test points X (M, n_in), in the eigenbasis of the training kernel."""

    def __init__(self, ensemble: InfiniteEnsemble, X: Tensor):
        self.ensemble, self.X = ensemble, X
        kernels = limiting_kernels(ensemble.arch, X, ensemble.X)
        self.cross = kernels.ntk @ ensemble.modes / len(ensemble.y)  # Theta(x, X)/N U, (M, N)
        self.initial = kernels.nngp @ ensemble.modes  # Sigma(x, X) U, (M, N)
        self.own = limiting_kernels(ensemble.arch, X)  # (M, M) each

    def at(self, t: float) -> Gaussian:
        """Mean and full covariance at time t."""
        A = self.cross * self.ensemble.gain(t)  # A_t U
        half = self.initial @ A.mT
        cov = self.own.nngp - half - half.mT + A @ self.ensemble._S @ A.mT
        return Gaussian(self._shaped(A @ self.ensemble._y), cov)

    def marginals(self, times: Sequence[float]) -> tuple[Tensor, Tensor]:
        """Mean (T, M) or (T, M, n_out) and standard deviation (T, M) at T times, without the covariances."""
        gains = torch.stack([self.ensemble.gain(t) for t in times])
        means, variances = [], []
        for some in gains.split(max(1, TILE // self.cross.numel())):
            A = self.cross * some[:, None]  # (times, M, N)
            means.append(A @ self.ensemble._y)
            variances.append(self.own.nngp.diagonal() - (A * (2 * self.initial - A @ self.ensemble._S)).sum(-1))
        return self._shaped(torch.cat(means)), torch.cat(variances).clamp_min(0.0).sqrt()

    def _shaped(self, mean: Tensor) -> Tensor:
        """(..., M, n_out), without the last dimension if the targets had none."""
        return mean if self.ensemble.y.ndim == 2 else mean[..., 0]


def _kernels(arch: Architecture, X: np.ndarray) -> tuple[Tensor, Tensor]:
    """NTK and NNGP of X (N, n_in), (N, N) each, with equal rows for equal inputs.

    Near coincidence a relu kernel is only good to about 1e-8 (its angle is an arc cosine near 1). Rounding of that
    size would turn the null directions of repeated inputs into slow ones, so each distinct input is computed once.
    """
    distinct, rows = np.unique(X + 0.0, axis=0, return_inverse=True)  # + 0.0 turns -0.0 into 0.0
    if len(distinct) == len(X):
        kernels = limiting_kernels(arch, X)
        return kernels.ntk, kernels.nngp
    kernels, index = limiting_kernels(arch, distinct), torch.from_numpy(rows.ravel())
    return kernels.ntk[index][:, index], kernels.nngp[index][:, index]


def _numpy(values: Any) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
