"""Limiting kernels of an analytic activation by two-dimensional quadrature: slow, and independent of the library."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Function = Callable[[Floats], Floats]

# The trapezoid rule converges exponentially for analytic integrands: these nodes are good to rounding for tanh at
# the variances met here (poles more than one unit away from the real axis).
NODES = np.arange(-9.0, 9.0 + 1e-9, 0.15)
WEIGHTS = 0.15 * np.exp(-(NODES**2) / 2) / np.sqrt(2 * np.pi)


def tanh_slope(z: Floats) -> Floats:
    """Derivative of tanh."""
    return 1 / np.cosh(z) ** 2


def expectation(f: Function, q_u: Floats, q_v: Floats, cov: Floats) -> Floats:
    """E[f(u) f(v)] for pairs (P,) with variances q_u, q_v and covariance cov."""
    rho = np.clip(cov / np.sqrt(q_u * q_v), -1, 1)[:, None, None]
    z1, z2 = NODES[None, :, None], NODES[None, None, :]
    u = np.sqrt(q_u)[:, None, None] * z1
    v = np.sqrt(q_v)[:, None, None] * (rho * z1 + np.sqrt(1 - rho**2) * z2)
    return np.einsum("pij,pij,i,j->p", np.broadcast_to(f(u), v.shape), f(v), WEIGHTS, WEIGHTS)


def ntk_pairs(f: Function, slope: Function, depth: int, beta: float, X: Floats, X2: Floats) -> Floats:
    """Theta_inf between row p of X and row p of X2, (P,)."""
    cov, q_u, q_v = (np.einsum("pi,pi->p", a, b) / X.shape[1] + beta**2 for a, b in ((X, X2), (X, X), (X2, X2)))
    ntk = cov
    for _ in range(depth - 1):
        slopes = expectation(slope, q_u, q_v, cov)
        cov, q_u, q_v = (
            expectation(f, *args) + beta**2 for args in ((q_u, q_v, cov), (q_u, q_u, q_u), (q_v, q_v, q_v))
        )
        ntk = ntk * slopes + cov
    return ntk
