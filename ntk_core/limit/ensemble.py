"""The infinite-width limit in closed form: the ensemble's Gaussian at every time (paper, section 5).

With K = Theta(X, X)/N = U diag(lambda) U^T on the training points and f_0 ~ GP(0, Sigma),

    f_t(x) = f_0(x) - A_t(x) (f_0(X) - y) ,    A_t(x) = Theta(x, X)/N U diag(E_t(lambda)) U^T ,

where E_t(lambda) = (1 - e^(-t lambda)) / lambda for gradient flow; another linear update rule has its own E_t.

Any other kernel may take Theta's place. A ridge rho adds the penalty (rho/2) |f - f_0|_K^2 to the cost, which is weight
decay toward the initial parameters: the same formulas with E_t(lambda + rho).
"""

from __future__ import annotations

import copy
import math
import numbers
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ntk_core.architecture import Architecture
from ntk_core.data.synthetic import table
from ntk_core.eigen import eigh, eigvalsh, without_null
from ntk_core.limit.conditioning import Conditioning
from ntk_core.limit.gaussian import Gaussian
from ntk_core.limit.kernel_choice import as_kernel
from ntk_core.limit.kernel_functions import NNGP, NTK, Kernel
from ntk_core.limit.predictions import Predictions, kernels
from ntk_core.limit.semidefinite import check_semidefinite, null_level
from ntk_core.rules import GradientFlow, Rule, check_whole_steps, descending, remaining


class InfiniteEnsemble:
    """Infinitely wide networks trained on (X_train, y_train) with C(f) = (1/2) mean |f - y|^2.

    One eigendecomposition, at construction, serves every time and all test points.

    Args:
        arch: its depth, activation, beta and w_std define the limit; its width plays no part. May be None where
            neither the kernel nor the prior is an architecture's.
        X_train: (N, n_in) array or tensor.
        y_train: (N,) or (N, n_out); with n_out = 1, each of several columns is a task of its own.
        rule: gradient flow (rate 1), or another rule of `ntk_core.rules`, whose time is steps x rate.
        kernel: what drives the dynamics: a `Kernel`, "ntk" or "nngp" (of arch), or a function K(X, X2); the NTK if
            not given.
        ridge: rho >= 0 of the penalty (rho/2) |f - f_0|_K^2, in the units of K/N; N rho is the variance of the noise
            where the kernel is a prior.
        prior: covariance of f_0, a `Kernel`, a name, a function, or "zero" for f_0 = 0. If not given: the NNGP when the
            kernel is the NTK, as for networks; for any other kernel f_0 = 0, and all that is drawn is the mean.

    Attributes:
        K, S: the kernel and the prior covariance on the training points, (N, N).
        values, modes: eigenvalues (N,) ascending and eigenvectors (N, N) of K/N.
        coefficients, rotated: U^T y (N, n_out), U^T S U (N, N).

    Raises:
        ValueError: shapes that do not fit, numbers that are not finite, a kernel that is not positive semidefinite
            (with its smallest eigenvalue), a ridge that is negative.
    """

    def __init__(
        self,
        arch: Architecture | None,
        X_train: Any,
        y_train: Any,
        rule: Rule | None = None,
        *,
        kernel: Kernel | str | Callable[[Tensor, Tensor], Any] | None = None,
        ridge: float = 0.0,
        prior: Kernel | str | Callable[[Tensor, Tensor], Any] | None = None,
    ):
        inputs, targets = table(_numpy(X_train), _numpy(y_train))
        self.arch: Architecture = arch  # type: ignore[assignment]  # None only where nothing is an architecture's
        self.rule, self.ridge = rule or GradientFlow(), check_ridge(ridge)
        self.kernel = as_kernel("ntk" if kernel is None else kernel, arch)
        self.prior = _prior(prior, self.kernel, arch)
        self.X, self.y = torch.from_numpy(inputs), torch.from_numpy(targets)
        _check_outputs(arch, self.y)
        self.K, self.S = kernels(self.kernel, self.prior, self.X)
        values, self.modes = eigh(self.K / len(inputs))
        if not isinstance(self.kernel, NTK):  # the limit's kernels are known to be
            check_semidefinite(values * len(inputs), eps=self.kernel.eps)
        if not isinstance(self.prior, NTK):
            check_semidefinite(eigvalsh(self.S), "prior", getattr(self.prior, "eps", 0.0))
        self.values = without_null(values, self.kernel.eps)  # (N,) ascending
        self.coefficients = self.modes.mT @ self.y.reshape(len(inputs), -1)  # U^T y, (N, n_out)
        self.rotated = self.modes.mT @ self.S @ self.modes  # U^T Sigma U
        self._last: Predictions | None = None

    @property
    def ntk(self) -> Tensor:
        """The kernel of the dynamics on the training points, the NTK unless another was given: (N, N)."""
        return self.K

    @property
    def nngp(self) -> Tensor:
        """The covariance of f_0 on the training points, the NNGP unless another was given: (N, N)."""
        return self.S

    @property
    def conditioning(self) -> Conditioning:
        """How well the kernel on the training points can be inverted, which infinite time does (without the ridge)."""
        N, largest = len(self.y), float(self.values[-1])
        return Conditioning(N * float(self.values[0]), N * largest, null_level(N, N * largest, self.kernel.eps))

    @property
    def stable_rate(self) -> float:
        """2 / (lambda_max + ridge): gradient descent with a larger rate diverges (infinite where the kernel vanishes).

        Momentum mu, where that is the rule, allows 1 + mu times as much.
        """
        return descending(self.rule).largest_rate(float(self.values[-1]) + self.ridge)

    def gain(self, t: float) -> Tensor:
        """E_t(lambda + ridge) (N,): without a ridge, t where lambda = 0, and the pseudo-inverse 1/lambda at t = inf.

        A null direction of Theta(X, X) is one of Theta(x, X) too: seen from other points it counts as zero.

        Raises:
            ValueError: t is negative or between two steps of the rule, or infinite where the rule diverges.
        """
        return self.gains([t])[0]

    def gains(self, times: Sequence[float]) -> Tensor:
        """`gain` at T times, in one go: (T, N)."""
        return self._along(times, self._inverse(), lambda total, t: self.rule.respond(total, t).moved_r)

    def decay(self, t: float) -> Tensor:
        """What is left of a residual along each eigendirection (N,): e^(-t lambda) for the flow, 1 where lambda = 0."""
        return self.decays([t])[0]

    def decays(self, times: Sequence[float]) -> Tensor:
        """`decay` at T times, in one go: (T, N)."""
        total = self.values + self.ridge
        left = self._along(times, (total == 0).to(total.dtype), lambda total, t: remaining(self.rule, total, t))
        return left if self.ridge == 0 else (self.ridge + self.values * left) / total

    def _along(self, times: Sequence[float], at_infinity: Tensor, finite: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """(T, N): what holds at infinite times, and elsewhere a function of lambda + ridge (F, N) and t (F, N)."""
        if not len(times):
            raise ValueError("times: one or more times are needed, got none")
        for t in times:
            self._check_time(t)
        ends = torch.tensor([not math.isinf(t) for t in times])
        out = at_infinity.repeat(len(times), 1)
        some = torch.tensor([t for t in times if not math.isinf(t)], dtype=out.dtype)[:, None]
        out[ends] = finite((self.values + self.ridge).expand(len(some), -1), some.expand(-1, len(self.values)))
        return out

    def _inverse(self) -> Tensor:
        """The pseudo-inverse 1/(lambda + ridge) (N,)."""
        return torch.where(self.values + self.ridge > 0, 1.0 / (self.values + self.ridge), 0.0)

    def _check_time(self, t: float) -> None:
        if not t >= 0:
            raise ValueError(f"t: a time must be >= 0 (math.inf is allowed), got {t}")
        check_whole_steps("t", t, self.rule)
        if math.isinf(t) and not self.rule.stable(float(self.values[-1]) + self.ridge):
            raise ValueError(
                f"t: nothing is reached at infinity, since the rule diverges on this kernel: "
                f"its rate {self.rule.unit:g} must be below {self.stable_rate:.6g}"
            )

    def under(self, rule: Rule) -> InfiniteEnsemble:
        """The same ensemble trained by another rule; shares the eigendecomposition."""
        other = copy.copy(self)
        other.rule, other._last = rule, None
        return other

    def ridged(self, ridge: float) -> InfiniteEnsemble:
        """The same ensemble with another ridge; shares the eigendecomposition."""
        other = copy.copy(self)
        other.ridge, other._last = check_ridge(ridge), None
        return other

    def on(self, X_test: Any) -> Predictions:
        """The limit seen from X_test (M, n_in): computes the cross kernels once, for all times."""
        X = torch.as_tensor(X_test, dtype=torch.float64)
        if X.ndim != 2 or X.shape[1] != self.X.shape[1] or not len(X):
            raise ValueError(f"X_test: shape (M, {self.X.shape[1]}) is needed, got {tuple(X.shape)}")
        if self._last is None or not torch.equal(self._last.X, X):
            self._last = Predictions(self, X.clone())
        return self._last

    def at(self, t: float, X_test: Any) -> Gaussian:
        """Distribution of f_t at X_test, for 0 <= t <= math.inf."""
        return self.on(X_test).at(t)

    def samples(self, t: float, X_test: Any, n: int, seed: int = 0) -> Tensor:
        """n draws of f_t at X_test: (n, M), or (n, M, n_out); one trained network of the ensemble each."""
        return self.at(t, X_test).samples(n, seed)

    def expected_cost(self, t: float) -> float:
        """E[C(f_t)] over the ensemble, on the training points."""
        decay = self.decay(t).square()
        energy = self.rotated.diagonal() * self.coefficients.shape[1] + self.coefficients.square().sum(1)
        return float(decay @ energy) / (2 * len(self.y))

    def evolve(self, f_train: Any, t: float, X_test: Any = None, f_test: Any = None) -> Tensor:
        """Where the limit takes one given initial function.

        Args:
            f_train: f_0 on the training points, (N, n_out), or (N,) for one output.
            t: time.
            X_test, f_test: other points (M, n_in) and f_0 there, (M, n_out) or (M,); default: the training points.

        Returns:
            f_t, shaped like the initial function there.

        Raises:
            ValueError: one of X_test and f_test is given without the other, or shapes do not fit.
        """
        if (X_test is None) != (f_test is None):
            raise ValueError("X_test, f_test: other points need both, the points and f_0 there")
        y = self.y.reshape(len(self.y), -1)
        start = _outputs("f_train", f_train, y.shape)
        residual = self.modes.mT @ (start.reshape(y.shape) - y)
        if X_test is None:
            f = y + self.modes @ (self.decay(t)[:, None] * residual)
            return f.reshape(start.shape)
        cross = self.on(X_test).cross
        begun = _outputs("f_test", f_test, torch.Size((len(cross), y.shape[1])))
        return begun - (cross @ (self.gain(t)[:, None] * residual)).reshape(begun.shape)

    def posterior(self, X_test: Any) -> Gaussian:
        """Bayes' answer to another question: f ~ GP(0, K), targets seen with noise of variance N ridge.

        Its mean is that of the trained ensemble at t = inf, its covariance is not (networks start from Sigma, not K).
        """
        view = self.on(X_test)
        solve = self._inverse() / len(self.y)
        B = view.cross * len(self.y)  # K(x, X) U
        cov = self.kernel(view.X) - (B * solve) @ B.mT
        return Gaussian(view.shaped((B * solve) @ self.coefficients), cov)

    def ntk_posterior(self, X_test: Any) -> Gaussian:
        """`posterior`, by the name it has where the kernel is the NTK."""
        return self.posterior(X_test)

    def log_marginal_likelihood(self, noise: float | None = None) -> float:
        """log p(y) for y ~ N(0, K + noise I), outputs independent and summed.

        Args:
            noise: variance of the targets' noise; N ridge if not given. Other noises cost no new eigenproblem.

        Raises:
            ValueError: noise is negative, or zero where the kernel is singular.
        """
        N, columns = self.coefficients.shape
        noise = N * self.ridge if noise is None else noise
        if not (math.isfinite(noise) and noise >= 0):
            raise ValueError(f"noise: must be a finite number >= 0, got {noise!r}")
        variances = N * self.values + noise
        if float(variances[0]) == 0:
            raise ValueError(
                "noise: this kernel is singular on the training points (to rounding), so that without noise or ridge "
                "the targets have no density; choose noise > 0"
            )
        fit = (self.coefficients.square().sum(1) / variances).sum()
        return -0.5 * float(fit + columns * (variances.log().sum() + N * math.log(2 * math.pi)))


def check_ridge(ridge: float) -> float:
    """The ridge, or a ValueError unless it is a finite number >= 0."""
    if isinstance(ridge, bool) or not isinstance(ridge, numbers.Real) or not (math.isfinite(ridge) and ridge >= 0):
        raise ValueError(f"ridge: must be a finite number >= 0, got {ridge!r}")
    return float(ridge)


def _outputs(name: str, f: Any, shape: torch.Size) -> Tensor:
    """f as given, in float64; a ValueError unless its shape is the one of (points, outputs), or (points,) for one."""
    values = torch.as_tensor(f, dtype=torch.float64).detach().cpu()
    if values.shape != shape and (values.ndim != 1 or values[:, None].shape != shape):
        raise ValueError(f"{name}: f_0 of shape {tuple(shape)} is needed, got {tuple(values.shape)}")
    return values


def _prior(prior: Any, kernel: Kernel, arch: Architecture | None) -> Kernel | None:
    """The covariance of f_0; None stands for f_0 = 0."""
    if prior is None:
        return NNGP(kernel.arch) if type(kernel) is NTK else None
    return None if isinstance(prior, str) and prior == "zero" else as_kernel(prior, arch)


def _check_outputs(arch: Architecture | None, y: Tensor) -> None:
    if arch is not None and y.ndim == 2 and arch.n_out not in (1, y.shape[1]):
        raise ValueError(f"y_train: {arch.n_out} outputs need {arch.n_out} columns of targets, got {y.shape[1]}")


def _numpy(values: Any) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
