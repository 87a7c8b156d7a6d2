r"""Exact finite-width moments of one input's tangent kernel and output, for piecewise linear networks without biases.

Let q_0 = |x|^2 / n_0. A hidden layer of n neurons has k active ones, whose pre-activations give C = chi^2_k, so that
|a_l|^2 / n_l = q_{l-1} C / n. Backward, W^T delta has two independent parts on the k active neurons: along a_l it is
fixed by the forward pass (Euler: h . delta = f at every layer), and orthogonal to it there is C' = chi^2_{k-1} of new
noise, independent of C given k. From the output down, with Z ~ N(0, 1) and F = Z^2, B = T = 1 at the start, a hidden
layer takes

    B <- (F + C' B) / n   (0 where k = 0) ,     T <- B + (C/n) T   (with the new B) ,     F <- (C/n) F ,

and at the input Theta(x, x) = q_0 T and f(x)^2 = q_0 F. The step is linear in (F, B, T), and layers are independent:
second moments obey a linear recursion. A factor w_std of the weights multiplies T and F by w_std^(2 L). For relu
k ~ Binomial(n, 1/2); for abs and identity k = n.

Hanin and Nica (2019, arXiv:1909.05989) prove the order exp(const sum 1/n_l) of the ratio that is exact here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ntk_core.architecture import Architecture

Floats = NDArray[np.float64]
ACTIVE = {"relu": 0.5, "abs": 1.0, "identity": 1.0}  # share of neurons on whose side the function has slope +-1


@dataclass(frozen=True)
class Moments:
    """Exact moments over the draw of the weights at one input.

    Attributes:
        mean: E[Theta(x, x)]; the limit's value, at every width.
        relative_variance: Var[Theta(x, x)] / E[Theta(x, x)]^2.
        kurtosis: E[f^4] / E[f^2]^2 - 3, how far the output is from Gaussian (0).
        output_correlation: correlation of the squares of two outputs, 0 where they are independent.
    """

    mean: float
    relative_variance: float
    kurtosis: float
    output_correlation: float


def exact_moments(arch: Architecture, square_norm: float = 1.0) -> Moments:
    """Moments of Theta(x, x) of one output, and of f(x), at an input with |x|^2 / n_0 = square_norm.

    Raises:
        ValueError: biases, or an activation other than relu, abs and identity: no such recursion is known for them.
    """
    share = _share(arch)
    F = B = T = 1.0  # first moments, q_0 left out
    FF, FB, FT, BB, BT, TT = 3.0, 1.0, 1.0, 1.0, 1.0, 1.0
    spread = 1.0  # E[q^2] / E[q]^2 of the last hidden layer's q = |a|^2 / n
    for n in reversed(arch.widths[1:-1]):
        m = _LayerMoments.of(n, share)
        spread *= m.CC / m.C**2
        F, B, T = _first(m, F, B, T)
        FF, FB, FT, BB, BT, TT = _second(m, FF, FB, FT, BB, BT, TT)
    variance = max(0.0, TT / T**2 - 1.0)
    excess = spread - 1.0
    return Moments(_scale(arch, square_norm) * T, variance, 3.0 * excess, excess / (2.0 + 3.0 * excess))


def leading_constant(depth: int, activation: str = "relu") -> float:
    """c with Var[Theta(x, x)] / E^2 = c (L - 1) / n + O(1/n^2) without biases, L = depth.

    11/3 - 4/(3 L) for relu, 4/3 - 2/(3 L) for abs and identity: the recursion's first order in 1/n. Hanin and Nica's
    exponent has 5 where relu has at most 11/3.

    Raises:
        ValueError: another activation.
    """
    if activation not in ACTIVE:
        raise ValueError(f"activation: exact moments are known for {', '.join(ACTIVE)}, got {activation!r}")
    return 11 / 3 - 4 / (3 * depth) if activation == "relu" else 4 / 3 - 2 / (3 * depth)


def draw_kernels(arch: Architecture, count: int, seed: int = 0, square_norm: float = 1.0) -> tuple[Floats, Floats]:
    """Exact draws of (Theta(x, x), f(x)) over networks that are never built: (count,) each, at any width.

    Raises:
        ValueError: as `exact_moments`.
    """
    share = _share(arch)
    source = np.random.default_rng(seed)
    z = source.standard_normal(count)
    F, B, T = z**2, np.ones(count), np.ones(count)
    for n in reversed(arch.widths[1:-1]):
        k = source.binomial(n, share, count) if share < 1 else np.full(count, n)
        C = np.where(k > 0, source.chisquare(np.maximum(k, 1)), 0.0)
        rest = np.where(k > 1, source.chisquare(np.maximum(k - 1, 1)), 0.0)
        B = np.where(k > 0, (F + rest * B) / n, 0.0)
        T = B + C / n * T
        F = C / n * F
    scale = _scale(arch, square_norm)
    return scale * T, np.sign(z) * np.sqrt(scale * F)


def _scale(arch: Architecture, square_norm: float) -> float:
    """What f^2 and every term of the kernel have as a factor: q_0, and w_std^2 of each of the L matrices."""
    return square_norm * arch.w_std ** (2 * arch.depth)


def _share(arch: Architecture) -> float:
    if arch.beta != 0:
        raise ValueError(f"beta: exact moments are known without biases only, got beta = {arch.beta:g}")
    name = arch.activation if isinstance(arch.activation, str) else arch.activation.name
    if name not in ACTIVE:
        raise ValueError(f"activation: exact moments are known for {', '.join(ACTIVE)}, got {name!r}")
    return ACTIVE[name]


@dataclass(frozen=True)
class _LayerMoments:
    """Of one layer: p = P(k > 0), and moments of C / n and C' / n, the latter where k > 0."""

    p: float
    C: float
    D: float  # E[C'] / n
    CC: float
    CD: float
    DD: float
    n: int

    @classmethod
    def of(cls, n: int, share: float) -> _LayerMoments:
        k, kk = n * share, n * share * (1 - share) + (n * share) ** 2
        p = 1.0 - (1.0 - share) ** n
        # E[chi^2_k] = k, E[(chi^2_k)^2] = k^2 + 2k; C and C' are independent given k.
        return cls(p, k / n, (k - p) / n, (kk + 2 * k) / n**2, (kk - k) / n**2, (kk - p) / n**2, n)


def _first(m: _LayerMoments, F: float, B: float, T: float) -> tuple[float, float, float]:
    B = m.p * F / m.n + m.D * B
    return m.C * F, B, B + m.C * T


def _second(m: _LayerMoments, FF: float, FB: float, FT: float, BB: float, BT: float, TT: float) -> tuple[float, ...]:
    """E of the products of the new (F, B, T), from those of the old."""
    bb = m.p * FF / m.n**2 + 2 * m.D * FB / m.n + m.DD * BB
    fb = m.C * FF / m.n + m.CD * FB
    bt = m.C * FT / m.n + m.CD * BT  # new B, old T, times C / n
    return m.CC * FF, fb, fb + m.CC * FT, bb, bb + bt, bb + 2 * bt + m.CC * TT
