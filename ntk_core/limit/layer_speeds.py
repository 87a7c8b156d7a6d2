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
from ntk_core.limit.recursion import Recursion

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
    both = Recursion(arch, left, right)
    w2, b2 = arch.w_std**2, arch.beta**2
    everything = slice(0, len(left)), slice(0, len(right))
    # Nearer pairs are one point: a correlation of 1 but for rounding costs kinks half of their digits.
    same = np.abs(left[:, None] - right[None]).max(2) <= COINCIDENT
    sigma = both.left @ both.right.T
    theta = table[0, 0] * (sigma - b2) + table[0, 1] * b2
    for tile, (side, _), (weights, biases) in zip(both.layers, both.sides, table[1:], strict=True):
        value, slope = tile(*everything, np.where(same, 0.0, sigma))
        own_value, own_slope = (part[:, None] for part in side.diagonal)
        value = w2 * np.where(same, own_value, value)
        theta = w2 * theta * np.where(same, own_slope, slope) + weights * value + biases * b2
        sigma = value + b2
    return theta
