"""The infinite-width limit: the recursion of the two kernels, tile by tile (paper, section 4.1).

Sigma_1 = x.x' / n_0 + beta^2                    Theta_1 = Sigma_1
Sigma_{l+1} = E[s(u) s(v)] + beta^2              Theta_{l+1} = Theta_l E[s'(u) s'(v)] + Sigma_{l+1}
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ntk_core.architecture import Architecture


class Kernels(NamedTuple):
    """Limiting kernels (N, M), float64: of the outputs at initialization, and of training."""

    nngp: Tensor
    ntk: Tensor


def limiting_kernels(arch: Architecture, X: Any, X2: Any = None) -> Kernels:
    """Sigma_L and Theta_inf between X (N, n_in) and X2 (M, n_in), X itself if not given.

    Raises:
        ValueError: shape does not fit n_in, no points, or a value that is not finite.
    """
    X = checked_inputs(arch, X, "X")
    X2 = X if X2 is None else checked_inputs(arch, X2, "X2")
    same = X2 is X
    cov = X @ X2.T / arch.n_in + arch.beta**2
    q_u, q_v = (np.square(Z).sum(1) / arch.n_in + arch.beta**2 for Z in (X, X2))
    if same:
        q_v = q_u
    ntk = cov.copy()
    diagonal = q_u.copy()
    every = slice(None)
    duals = arch.sigma.duals
    for _ in range(arch.depth - 1):
        if same:
            np.fill_diagonal(cov, 0.0)
        value, slope = duals.layer(q_u, q_v)(every, every, cov)
        cov = value + arch.beta**2
        ntk = ntk * slope + cov
        d_u = duals.diagonal(q_u)
        q_v = q_u = d_u[0] + arch.beta**2 if same else q_v
        if not same:
            q_u, q_v = d_u[0] + arch.beta**2, duals.diagonal(q_v)[0] + arch.beta**2
        diagonal = diagonal * d_u[1] + q_u
    if same:
        np.fill_diagonal(cov, q_u)
        np.fill_diagonal(ntk, diagonal)
    return Kernels(torch.from_numpy(cov), torch.from_numpy(ntk))


def checked_inputs(arch: Architecture, X: Any, field: str) -> np.ndarray:
    """Points as float64 (N, n_in), or a ValueError that names the field."""
    points = np.asarray(X.detach().cpu() if isinstance(X, Tensor) else X, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != arch.n_in or not len(points):
        raise ValueError(f"{field}: inputs of shape (N, {arch.n_in}) are needed, got {points.shape}")
    if not np.isfinite(points).all():
        raise ValueError(f"{field}: every input must be a finite number")
    return points
