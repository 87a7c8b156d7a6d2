r"""The part of an activation that bends at 0, kappa(z) = sum_j c_j z_+^j / j!, and its duals in closed form.

Mehler's series of a function whose j-th derivative jumps falls off only like k^{-j - 1/2}. Taking kappa away from the
function leaves a remainder that is smooth to one order more than kappa has terms; kappa with itself needs no series.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ntk_core.duals import Floats, correlation, inverse_root


def kappa(jumps: Sequence[float], z: Floats) -> Floats:
    """sum_j jumps[j] z_+^j / j!, the function with these one-sided derivatives to the right of 0 and 0 to the left."""
    positive = np.maximum(z, 0.0)
    out = np.zeros_like(z)
    for j in range(len(jumps) - 1, 0, -1):
        out += jumps[j]
        out *= positive
        out /= j
    return out + jumps[0] * (z > 0) if jumps else out


def half_moment(j: int) -> float:
    """E[z_+^j] / j! for z ~ N(0, 1)."""
    return 2 ** (j / 2 - 1) * math.gamma((j + 1) / 2) / math.sqrt(math.pi) / math.factorial(j)


def moment(j: int, variance: float) -> float:
    """E[(u^j / j!)^2] for u ~ N(0, variance)."""
    return variance**j * math.prod(range(1, 2 * j, 2)) / math.factorial(j) ** 2


def coefficients(jumps: Sequence[float], q: Floats, terms: int) -> Floats:
    """Hermite coefficients E[kappa(sqrt(q) z) h_k(z)], shape (terms, Q).

    Integration by parts: E[z_+^j/j! h_k] = E[z_+^{j-1}/(j-1)! h_{k-1}] / sqrt(k), down to h_{k-1}(0) phi(0) / sqrt(k)
    of the step.
    """
    at_zero = np.zeros(terms + 1)
    at_zero[0] = 1.0
    for k in range(2, terms + 1, 2):
        at_zero[k] = -math.sqrt((k - 1) / k) * at_zero[k - 2]
    roots = np.sqrt(np.arange(1, terms))
    moments = np.concatenate([[0.5], at_zero[: terms - 1] / math.sqrt(2 * math.pi) / roots])
    out = np.zeros((terms, len(q)))
    for j, jump in enumerate(jumps):
        if j:
            moments = np.concatenate([[half_moment(j)], moments[:-1] / roots])
        out += jump * moments[:, None] * q ** (j / 2)
    return out


def products(jumps: Sequence[float], q_u: Any, q_v: Any, cov: Any) -> tuple[Floats, Floats]:
    r"""E[kappa(u) kappa(v)] and E[kappa'(u) kappa'(v)] from I_ij = E[u_+^i v_+^j] / (i! j!).

    Gaussian integration by parts gives i I_ij = q_u I_{i-2,j} + cov I_{i-1,j-1}, where the index -1 stands for a delta
    function: I_{-1,j} = E[delta(u) v_+^j / j!], a half moment of v given u = 0.
    """
    rho = correlation(q_u, q_v, cov)
    value, slope = np.zeros_like(rho), np.zeros_like(rho)
    if not any(jumps):
        return value, slope
    order = max(j for j, jump in enumerate(jumps) if jump)
    sine2 = (1 - rho) * (1 + rho)
    table: dict[tuple[int, int], Floats] = {(0, 0): 0.25 + np.arcsin(rho) / (2 * np.pi)}
    for j in range(order + 1):
        moment = half_moment(j) / math.sqrt(2 * math.pi)
        table[-1, j] = moment * inverse_root(q_u) * (q_v * sine2) ** (j / 2)
        table[j, -1] = moment * inverse_root(q_v) * (q_u * sine2) ** (j / 2)
    for i in range(order + 1):
        for j in range(order + 1):
            if i >= 1:
                table[i, j] = (q_u * table[i - 2, j] + cov * table[i - 1, j - 1]) / i
            elif j >= 1:
                table[i, j] = (q_v * table[i, j - 2] + cov * table[i - 1, j - 1]) / j
            if jumps[i] * jumps[j]:
                value += jumps[i] * jumps[j] * table[i, j]
                if i and j:
                    slope += jumps[i] * jumps[j] * table[i - 1, j - 1]
    return value, slope
