"""Slow, obvious versions of the infinite limit: definitions on plain numbers, adaptive quadrature, pair by pair."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from scipy import integrate

Scalar = Callable[[float], float]


def _sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z)) if z > 0 else math.exp(z) / (1 + math.exp(z))


def _softplus(z: float) -> float:
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))


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
    "tanh": (math.tanh, lambda z: math.cosh(z) ** -2, ()),
    "sigmoid": (_sigmoid, lambda z: _sigmoid(z) * _sigmoid(-z), ()),
    "softplus": (_softplus, _sigmoid, ()),
    "silu": (lambda z: z * _sigmoid(z), lambda z: _sigmoid(z) * (1 + z * _sigmoid(-z)), ()),
    "mish": (
        lambda z: z * math.tanh(_softplus(z)),
        lambda z: math.tanh(_softplus(z)) + z * _sigmoid(z) / math.cosh(_softplus(z)) ** 2,
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
