r"""The limiting kernel of networks whose layers learn at speeds of their own: other learning rates than the paper's.

With speeds w_l of a layer's weights and b_l of its biases, relative to the paper's (1 and 1),

    Theta_1 = w_1 w^2 x.x' / n_0 + b_1 beta^2
    Theta_{l+1} = w^2 Theta_l E[s'(u) s'(v)] + w_{l+1} w^2 E[s(u) s(v)] + b_{l+1} beta^2 ,

the proof of theorem 1 layer by layer. Sigma is what it was: speeds change training, not the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ntk_core.architecture import Architecture
from ntk_core.duals.closed_forms import Floats
from ntk_core.limit.kernels import checked_inputs

COINCIDENT = 1e-12  # largest difference of coordinates


def kernel_with_speeds(arch: Architecture, speeds: Sequence[tuple[float, float]], X: Any, X2: Any = None) -> Floats:
    """Theta between X (N, n_in) and X2 (M, n_in), or X itself: float64 (N, M).

    Args:
        arch: depth, activation, beta, w_std and n_in matter; widths do not.
        speeds: (weights, biases) of each of the L layers, >= 0.
        X: (N, n_in) points.
        X2: (M, n_in) points.

    Raises:
        ValueError: as `limiting_kernels`; or speeds that do not fit the depth, or are negative.
    """
    table = np.asarray(speeds, dtype=np.float64)
    if table.shape != (arch.depth, 2) or not (np.isfinite(table) & (table >= 0)).all():
        raise ValueError(f"speeds: a pair of numbers >= 0 is needed for each of {arch.depth} layers")
    left = checked_inputs(arch, X, "X")
    right = left if X2 is None else checked_inputs(arch, X2, "X2")
    w2, b2, duals = arch.w_std**2, arch.beta**2, arch.sigma.duals
    # Nearer pairs are one point: a correlation of 1 but for rounding costs kinks half of their digits.
    same = np.abs(left[:, None] - right[None]).max(2) <= COINCIDENT
    q_u, q_v = (w2 * np.einsum("ij,ij->i", side, side) / arch.n_in + b2 for side in (left, right))
    products = w2 * left @ right.T / arch.n_in
    sigma, theta = products + b2, table[0, 0] * products + table[0, 1] * b2
    for weights, biases in table[1:]:
        rows, columns = (q.ravel() for q in np.broadcast_arrays(q_u[:, None], q_v[None]))
        value, slope = (part.reshape(sigma.shape) for part in duals.both(rows, columns, sigma.ravel()))
        (own_u, own_slope), (own_v, _) = duals.diagonal(q_u), duals.diagonal(q_v)
        value = w2 * np.where(same, own_u[:, None], value)
        theta = w2 * theta * np.where(same, own_slope[:, None], slope) + weights * value + biases * b2
        sigma, q_u, q_v = value + b2, w2 * own_u + b2, w2 * own_v + b2
    return theta
