"""Slow, obvious versions of the infinite limit: definitions on plain numbers, adaptive quadrature, pair by pair."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise

import mpmath
import numpy as np
from scipy import integrate

Scalar = Callable[[float], float]


def _sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z)) if z > 0 else math.exp(z) / (1 + math.exp(z))


def _softplus(z: float) -> float:
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))


def _sech(z: float) -> float:
    return 1 / math.cosh(min(abs(z), 300.0))


def _normal_cdf(z: float) -> float:
    return math.erfc(-z / math.sqrt(2)) / 2


_SCALE, _ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717

# Activations and their derivatives from the definitions, on plain numbers; and where they are not smooth.
SCALAR: dict[str, tuple[Scalar, Scalar, tuple[float, ...]]] = {
    "relu": (lambda z: max(z, 0.0), lambda z: float(z > 0), (0.0,)),
    "leaky_relu": (lambda z: z if z > 0 else 0.01 * z, lambda z: 1.0 if z > 0 else 0.01, (0.0,)),
    "abs": (abs, lambda z: math.copysign(1.0, z) if z else 0.0, (0.0,)),
    "step": (lambda z: float(z > 0), lambda z: 0.0, (0.0,)),
    "erf": (math.erf, lambda z: 2 / math.sqrt(math.pi) * math.exp(-z * z), ()),
    "gelu": (
        lambda z: z * _normal_cdf(z),
        lambda z: _normal_cdf(z) + z * math.exp(-z * z / 2) / math.sqrt(2 * math.pi),
        (),
    ),
    "sin": (math.sin, math.cos, ()),
    "cos": (math.cos, lambda z: -math.sin(z), ()),
    "gaussian": (lambda z: math.exp(-z * z), lambda z: -2 * z * math.exp(-z * z), ()),
    "identity": (lambda z: z, lambda z: 1.0, ()),
    "tanh": (math.tanh, lambda z: _sech(z) ** 2, ()),
    "sigmoid": (_sigmoid, lambda z: _sigmoid(z) * _sigmoid(-z), ()),
    "softplus": (_softplus, _sigmoid, ()),
    "silu": (lambda z: z * _sigmoid(z), lambda z: _sigmoid(z) * (1 + z * _sigmoid(-z)), ()),
    "mish": (
        lambda z: z * math.tanh(_softplus(z)),
        lambda z: math.tanh(_softplus(z)) + z * _sigmoid(z) * _sech(_softplus(z)) ** 2,
        (),
    ),
    "elu": (lambda z: z if z > 0 else math.expm1(z), lambda z: 1.0 if z > 0 else math.exp(z), (0.0,)),
    "selu": (
        lambda z: _SCALE * (z if z > 0 else _ALPHA * math.expm1(z)),
        lambda z: _SCALE * (1.0 if z > 0 else _ALPHA * math.exp(z)),
        (0.0,),
    ),
}


def gaussian_expectation(f: Scalar, kinks: Sequence[float], q_u: float, q_v: float, rho: float) -> float:
    """E[f(u) f(v)] for variances q_u, q_v and correlation rho, by adaptive quadrature over u and then v given u."""
    root_u, root_v, width = math.sqrt(q_u), math.sqrt(q_v), math.sqrt((1 - rho) * (1 + rho))
    outer_breaks = {k / root_u for k in kinks} | ({k / (root_v * rho) for k in kinks} if rho else set())

    def inner(x: float) -> float:
        mean = root_v * rho * x
        if width == 0:
            return f(mean)
        breaks = [(k - mean) / (root_v * width) for k in kinks]
        return _normal_integral(lambda y: f(mean + root_v * width * y), breaks, 1e-13)

    return _normal_integral(lambda x: f(root_u * x) * inner(x), sorted(outer_breaks), 1e-12)


def _normal_integral(g: Scalar, breaks: Sequence[float], tolerance: float) -> float:
    """E[g(z)], z ~ N(0, 1), piece by piece between the breaks."""
    edges = [-9.0, *(b for b in breaks if -9 < b < 9), 9.0]
    total = 0.0
    for low, high in pairwise(edges):
        # With full_output a piece that is all rounding error raises no warning; the error it reports is not needed.
        total += integrate.quad(
            lambda z: g(z) * math.exp(-z * z / 2),
            low,
            high,
            epsabs=tolerance,
            epsrel=tolerance,
            limit=400,
            full_output=1,
        )[0]
    return total / math.sqrt(2 * math.pi)


def limiting_kernels_by_definition(
    dual: Callable[[float, float, float], float],
    dual_derivative: Callable[[float, float, float], float],
    x: Sequence[float],
    y: Sequence[float],
    depth: int,
    beta: float,
    w_std: float = 1.0,
) -> tuple[float, float]:
    """Sigma_L and Theta_L for one pair of points: the paper's recursion on three numbers, nothing shared."""
    n, w2 = len(x), w_std**2
    q_u, q_v, cov = (w2 * float(np.dot(a, b)) / n + beta**2 for a, b in ((x, x), (y, y), (x, y)))
    ntk = cov
    for _ in range(depth - 1):
        slope = dual_derivative(q_u, q_v, cov)
        q_u, q_v, cov = (dual(q_u, q_u, q_u), dual(q_v, q_v, q_v), dual(q_u, q_v, cov))
        q_u, q_v, cov = w2 * q_u + beta**2, w2 * q_v + beta**2, w2 * cov + beta**2
        ntk = w2 * ntk * slope + cov
    return cov, ntk


# Where the functions above, and those of the tests, change: between these points and beyond they are smooth.
FEATURES = tuple(sign * x for x in (0.0, 0.03, 0.3, 1.0, 3.0, 8.0, 20.0, 45.0) for sign in (-1, 1))
_SIGMAS = (-9.0, -6.0, -3.0, -1.2, 0.0, 1.2, 3.0, 6.0, 9.0)


def exact_sine(q_u: float, q_v: float, cov: float) -> float:
    """sqrt(1 - rho^2) of the numbers as they are, in fractions; 0 where it may be all rounding of q_u, q_v and cov."""
    area = Fraction(q_u) * Fraction(q_v)
    squared = float((area - Fraction(cov) ** 2) / area)
    return math.sqrt(squared) if squared > (4 * 2.0**-52 if q_u != q_v else 0.0) else 0.0


def wide_expectation(f: Scalar, q_u: float, q_v: float, cov: float, kinks: Sequence[float] = ()) -> float:
    """E[f(u) f(v)] at any variances: adaptive quadrature over u, and over v given u, cut where anything changes."""
    slope, spread = cov / q_u, math.sqrt(q_v) * exact_sine(q_u, q_v, cov)
    places = sorted({*FEATURES, *kinks})

    def given_u(u: float) -> float:
        if spread == 0.0:
            return f(slope * u)
        edges = [*places, *(slope * u + spread * k for k in _SIGMAS)]
        return _adaptive(f, slope * u, spread, edges, 1e-11)

    root = math.sqrt(q_u)
    around = [spread * k / slope for k in _SIGMAS] if slope else []
    cuts = [x / slope for x in places] if slope else []
    shifted = [x / slope + a for x in kinks for a in around]
    edges = [*places, *cuts, *around, *shifted, *(root * k for k in _SIGMAS)]
    return _adaptive(lambda u: f(u) * given_u(u), 0.0, root, edges, 1e-10)


def _adaptive(f: Scalar, mean: float, spread: float, edges: Sequence[float], tolerance: float) -> float:
    """E[f(x)], x ~ N(mean, spread^2), piece by piece; each to a relative tolerance of the largest pieces' sum."""
    low, high = mean - 9 * spread, mean + 9 * spread
    inside = sorted({low, high, *(e for e in edges if low < e < high)})

    def g(x: float) -> float:
        return f(x) * math.exp(-(((x - mean) / spread) ** 2) / 2)

    size = sum((b - a) * abs(g((a + b) / 2)) for a, b in pairwise(inside))
    total = 0.0
    for a, b in pairwise(inside):
        total += integrate.quad(g, a, b, epsabs=tolerance * size / 10, epsrel=tolerance, limit=30, full_output=1)[0]
    return total / (spread * math.sqrt(2 * math.pi))


def wave_expectation(k: float, q_u: float, q_v: float, cov: float, cosine: bool = False) -> float:
    """E[sin(k u) sin(k v)], or of cosines, with sixty digits."""
    with mpmath.workdps(60):
        u, v, c, square = mpmath.mpf(q_u), mpmath.mpf(q_v), mpmath.mpf(cov), mpmath.mpf(k) ** 2
        near, far = (mpmath.exp(-square * (u + v - sign * 2 * c) / 2) for sign in (1, -1))
        return float((near + far if cosine else near - far) / 2)


def whitened_square(curves: np.ndarray, mean: np.ndarray, cov: np.ndarray, points: int) -> float:
    """Sum of squares of draws (draw, x) whitened at the `points` inputs that tell most (the pivots of Cholesky).

    For draws from N(mean, cov) it is chi-squared with draws * points degrees of freedom, so mean, spread and
    correlations are tested at once, at a level that is known.
    """
    left, chosen = cov.copy(), []
    for _ in range(points):
        chosen.append(int(np.diag(left).argmax()))
        left = left - np.outer(left[:, chosen[-1]], left[chosen[-1]]) / left[chosen[-1], chosen[-1]]
    root = np.linalg.cholesky(cov[np.ix_(chosen, chosen)])
    return float((np.linalg.solve(root, (curves - mean)[:, chosen].T) ** 2).sum())
