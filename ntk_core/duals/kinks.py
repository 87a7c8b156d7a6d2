r"""The part of an activation that bends at 0, kappa(z) = sum_j c_j z_+^j / j!, and its duals in closed form.

Mehler's series of a function whose j-th derivative jumps falls off only like k^{-j - 1/2}. Taking kappa away from the
function leaves a remainder that is smooth to one order more than kappa has terms; kappa with itself needs no series.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch

from ntk_core.duals.closed_forms import Floats

ORDERS = 10  # more derivatives than are ever split off


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
    """E[(u^j / j!)^2] for u ~ N(0, variance); infinite where that is beyond all numbers."""
    with np.errstate(over="ignore"):
        power = float(np.float64(variance) ** j)
    return power * math.prod(range(1, 2 * j, 2)) / math.factorial(j) ** 2


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


@lru_cache
def _unit_products(order: int) -> Floats:
    r"""I_ij(rho) = E[u_+^i v_+^j] / (i! j!) at unit variances, as polynomials: (3, degree + 1, order + 1, order + 1).

    I_ij = angle P_ij(rho) + sin(theta) R_ij(rho) + S_ij(rho), with angle = 1/4 + arcsin(rho) / (2 pi). Gaussian
    integration by parts gives i I_ij = I_{i-2,j} + rho I_{i-1,j-1}, where the index -1 stands for a delta function:
    I_{-1,j} = E[delta(u) v_+^j / j!], a half moment of v given u = 0, whose standard deviation is sin(theta).
    """
    size = order + 2
    table = np.zeros((order + 2, order + 2, 3, size))  # indices shifted by one: [0] stands for -1
    table[1, 1, 0, 0] = 1.0
    for j in range(order + 1):
        sine = np.polynomial.polynomial.polypow([1, 0, -1], j // 2) * (half_moment(j) / math.sqrt(2 * math.pi))
        table[0, j + 1, 2 - j % 2, : len(sine)] = table[j + 1, 0, 2 - j % 2, : len(sine)] = sine
    for i in range(1, order + 1):
        for j in range(i + 1):
            entry = table[i - 1, j + 1].copy()
            entry[:, 1:] += table[i, j, :, :-1]
            table[i + 1, j + 1] = table[j + 1, i + 1] = entry / i
    return np.ascontiguousarray(table[1:, 1:].transpose(2, 3, 0, 1))


def _roots(jumps: Sequence[float], q: Floats) -> Floats:
    """c_i sqrt(q)^i, one row an order: (orders, Q)."""
    return np.asarray(jumps)[:, None] * np.sqrt(q) ** np.arange(len(jumps))[:, None]


def combined(sums: Floats, rho: Floats, sine: Floats | None = None) -> Floats:
    """angle P + sin(theta) R + S, from their values (3, ...) at rho; sin(theta) from rho if not given."""
    if sine is None:
        sine = np.sqrt((1 - rho) * (1 + rho))
    angle = 0.25 + np.arctan2(rho, sine) / (2 * np.pi)
    return angle * sums[0] + sine * sums[1] + sums[2]


def uniform_polynomials(jumps: Sequence[float], q: float) -> Floats:
    """P, R and S (3, degree + 1) of E[kappa(u) kappa(v)] where all points have the variance q."""
    roots = _roots(jumps, np.asarray([q]))[:, 0]
    return np.einsum("i,pkij,j->pk", roots, _unit_products(len(jumps) - 1), roots)


def product(jumps: Sequence[float], q_u: Floats, q_v: Floats, rho: Floats, sine: Floats | None = None) -> Floats:
    """E[kappa(u) kappa(v)]: for pairs (P,), or for a tile (h, w) of variances (h, 1) and (1, w)."""
    if not any(jumps):
        return np.zeros_like(rho)
    u, v = _roots(jumps, q_u.ravel()), _roots(jumps, q_v.ravel())
    unit = _unit_products(len(jumps) - 1)
    sums = np.zeros((3, *rho.shape))
    for part, polynomial in zip(sums, unit, strict=True):
        for matrix in polynomial[::-1]:  # Horner, highest power first
            part *= rho
            left = torch.from_numpy(u.T @ matrix)
            if rho.ndim == 2:
                part += torch.mm(left, torch.from_numpy(v)).numpy()
            else:
                part += np.einsum("pi,ip->p", left.numpy(), v)
    return combined(sums, rho, sine)
