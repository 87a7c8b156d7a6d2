"""The infinite ensemble at test points, and the two kernels that it takes: of the dynamics and of f_0."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ntk_core.eigen import seen_along
from ntk_core.limit.gaussian import Gaussian
from ntk_core.limit.kernel_functions import NNGP, NTK, Kernel
from ntk_core.limit.kernels import limiting_kernels
from ntk_core.limit.semidefinite import symmetric

TILE = 4_000_000  # numbers held at once while many times are evaluated


class Trained(Protocol):
    """What predictions take from an `InfiniteEnsemble`; its attributes are described there."""

    kernel: Kernel
    prior: Kernel | None
    X: Tensor
    y: Tensor
    values: Tensor
    modes: Tensor
    coefficients: Tensor
    rotated: Tensor

    def gain(self, t: float) -> Tensor:
        """E_t along each eigendirection, (N,)."""

    def gains(self, times: Sequence[float]) -> Tensor:
        """The same at T times, (T, N)."""


class Predictions:
    """An `InfiniteEnsemble` seen from test points X (M, n_in), in the eigenbasis of the training kernel."""

    def __init__(self, ensemble: Trained, X: Tensor):
        self.ensemble, self.X = ensemble, X
        K, S = cross(ensemble.kernel, ensemble.prior, X, ensemble.X)
        self.cross = seen_along(K, ensemble.values, ensemble.modes) / len(ensemble.y)  # K(x, X)/N U, (M, N)
        self.initial = S @ ensemble.modes  # Sigma(x, X) U, (M, N)

    @cached_property
    def prior(self) -> Tensor:
        """Covariance of f_0, (M, M): computed where a whole covariance is asked for."""
        return covariance(self.ensemble.prior, self.X, self.X)

    @cached_property
    def prior_variance(self) -> Tensor:
        """Variances of f_0, (M,)."""
        prior = self.ensemble.prior
        return self.X.new_zeros(len(self.X)) if prior is None else prior.diagonal(self.X)

    def at(self, t: float) -> Gaussian:
        """Mean and full covariance at time t."""
        A = self.cross * self.ensemble.gain(t)  # A_t U
        half = self.initial @ A.mT
        cov = self.prior - half - half.mT + A @ self.ensemble.rotated @ A.mT
        return Gaussian(self.shaped(A @ self.ensemble.coefficients), cov)

    def marginals(self, times: Sequence[float]) -> tuple[Tensor, Tensor]:
        """Mean (T, M) or (T, M, n_out) and standard deviation (T, M) at T times, without the covariances."""
        gains = self.ensemble.gains(times)
        means, variances = [], []
        for some in gains.split(max(1, TILE // self.cross.numel())):
            A = self.cross * some[:, None]  # (times, M, N)
            means.append(A @ self.ensemble.coefficients)
            variances.append(self.prior_variance - (A * (2 * self.initial - A @ self.ensemble.rotated)).sum(-1))
        return self.shaped(torch.cat(means)), torch.cat(variances).clamp_min(0.0).sqrt()

    def means(self, times: Sequence[float]) -> Tensor:
        """Mean (T, M) or (T, M, n_out) alone."""
        return self.filtered(self.ensemble.gains(times))

    def filtered(self, gains: Tensor) -> Tensor:
        """What any T spectral filters (T, N) make of the targets, in one product: (T, M) or (T, M, n_out).

        A filter has a gain for each eigendirection, as `InfiniteEnsemble.gain`; ridge's is 1 / (lambda + penalty).
        """
        y, (T, N) = self.ensemble.coefficients, gains.shape
        shrunk = (gains.mT[:, :, None] * y[:, None, :]).reshape(N, T * y.shape[1])
        return self.shaped((self.cross @ shrunk).reshape(len(self.cross), T, y.shape[1]).transpose(0, 1))

    def shaped(self, mean: Tensor) -> Tensor:
        """(..., M, n_out), without the last dimension if the targets had none."""
        return mean if self.ensemble.y.ndim == 2 else mean[..., 0]


def covariance(prior: Kernel | None, X: Tensor, X2: Tensor) -> Tensor:
    """Covariance of f_0 between X (N, n_in) and X2 (M, n_in): zero where f_0 = 0."""
    if prior is None:
        return X.new_zeros(len(X), len(X2))
    return prior(X, None if X2 is X else X2)


def cross(kernel: Kernel, prior: Kernel | None, X: Tensor, X2: Tensor) -> tuple[Tensor, Tensor]:
    """Both kernels; an architecture's two come from one recursion."""
    if type(kernel) is NTK and type(prior) is NNGP and kernel.arch is prior.arch:
        both = limiting_kernels(kernel.arch, X, None if X2 is X else X2)
        return both.ntk, both.nngp
    return kernel(X, None if X2 is X else X2), covariance(prior, X, X2)


def kernels(kernel: Kernel, prior: Kernel | None, X: Tensor) -> tuple[Tensor, Tensor]:
    """The kernel and the covariance of f_0 on X (N, n_in), (N, N) each, with equal rows for equal inputs.

    Near coincidence a relu kernel is only good to about 1e-8 (its angle is an arc cosine near 1). Rounding of that
    size would turn the null directions of repeated inputs into slow ones, so each distinct input is computed once.
    """
    distinct, rows = np.unique(X.numpy() + 0.0, axis=0, return_inverse=True)  # + 0.0 turns -0.0 into 0.0
    if len(distinct) == len(X):
        K, S = cross(kernel, prior, X, X)
        return symmetric(K), symmetric(S, "prior")
    points, index = torch.from_numpy(distinct), torch.from_numpy(rows.ravel())
    K, S = cross(kernel, prior, points, points)
    return symmetric(K)[index][:, index], symmetric(S, "prior")[index][:, index]
