r"""Eigenvalues of a rotation-invariant kernel on the sphere S^{d-1}, by degree; on the circle (d = 2) by frequency.

On points of one norm the limiting kernels depend on the angle alone, K(x, x') = kappa(gamma). Harmonics of degree k are
their eigenfunctions under the uniform distribution, with the eigenvalue (Funk and Hecke)

    lambda_k = c_d int_0^pi kappa(gamma) P_k(cos gamma) sin^(d-2) gamma dgamma

with c_d = Gamma(d/2) / (sqrt(pi) Gamma((d-1)/2)) and Gegenbauer's polynomial P_k, P_k(1) = 1 (circle: cos(k gamma)).
A kernel with a kink is smooth in gamma on [0, pi], its ends included, so Gauss's rule on panels that narrow toward both
ends converges geometrically.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.special import comb, gammaln, roots_legendre

from ntk_core.limit.kernel_choice import as_kernel
from ntk_core.limit.kernel_functions import Kernel
from ntk_core.progress import checkpoint

Floats = np.ndarray
NODES = 24  # of Gauss's rule on one panel
INNERMOST = 1e-7  # radians: the first panel at either end
MOST_PANELS = 2048
LARGEST_DEGREE = 1000
KEPT = 1000  # degrees times pieces up to which a projection is kept: some megabytes
ROUNDING = 2.0**-48  # of kernel values, relative to K(x, x); averages are better


@dataclass(frozen=True)
class Eigenvalues:
    """Eigenvalues of a kernel on the sphere under the uniform distribution (those of K/N for many points).

    Attributes:
        values: (degrees + 1,), of degree 0, 1, ...
        multiplicity: (degrees + 1,), dimension of the harmonics of each degree: 1, then 2 on the circle.
        error: (degrees + 1,), bound on the error of each: what the last refinement changed, and the kernel's rounding.
        dimension: d of the space that holds the sphere.
        evaluations: points at which the kernel was evaluated.
    """

    values: Floats
    multiplicity: Floats
    error: Floats
    dimension: int
    evaluations: int

    @property
    def times(self) -> Floats:
        """1/lambda_k, in which gradient flow learns degree k by a factor e; infinite where not told from zero."""
        resolved = self.values > self.error
        return np.where(resolved, 1 / np.where(resolved, self.values, 1.0), np.inf)

    def slope(self, first: int, last: int) -> float:
        """Slope of log lambda_k over log k by least squares, for degrees first to last of those told from zero.

        Raises:
            ValueError: degrees outside 1 to the highest, or fewer than two that are told from zero.
        """
        highest = len(self.values) - 1
        if not 1 <= first < last <= highest:
            raise ValueError(
                f"first, last: two degrees between 1 and {highest}, the smaller one first, are needed; "
                f"got {first} and {last}"
            )
        k = np.arange(first, last + 1)
        k = k[(self.values > self.error)[first : last + 1]]
        if len(k) < 2:
            raise ValueError(f"first, last: two eigenvalues told from zero are needed between {first} and {last}")
        return float(np.polyfit(np.log(k), np.log(self.values[k]), 1)[0])


def sphere_eigenvalues(
    kernel: Kernel | Callable[..., Any],
    degrees: int,
    dimension: int = 2,
    *,
    radius: float = 1.0,
    tolerance: float = 1e-12,
) -> Eigenvalues:
    """Eigenvalues of degree 0 to `degrees` on the sphere of that radius in R^dimension.

    Args:
        kernel: a `Kernel` or a function K(X, X2) that depends on the angle alone.
        degrees: the highest degree, up to 1,000.
        dimension: d >= 2, the kernel's n_in.
        radius: norm of the points.
        tolerance: refine until nothing changes by more than this times K(x, x).

    Raises:
        ValueError: arguments outside what is allowed, or a kernel that is not invariant under rotations.
        RuntimeError: refinement did not settle; the message has the change that was left.
    """
    _whole("degrees", degrees, 0, LARGEST_DEGREE)
    _whole("dimension", dimension, 2, 1_000_000)
    if not (math.isfinite(radius) and radius > 0):
        raise ValueError(f"radius: must be a finite number > 0, got {radius!r}")
    profile = _Profile(as_kernel(kernel), dimension, radius)
    pieces = max(1, degrees // 16)
    gamma, P = _projection(pieces, degrees, dimension)
    size, found = profile.checked(gamma)
    before, evaluations, change = P @ found, len(gamma), np.array(np.inf)
    while (pieces := 2 * pieces) <= MOST_PANELS:
        gamma, P = _projection(pieces, degrees, dimension)
        values = P @ profile(gamma)
        evaluations += len(gamma)
        change = np.abs(values - before)
        if change.max() <= tolerance * size:
            error = change + ROUNDING * size * np.abs(P).sum(1)
            return Eigenvalues(values, multiplicities(degrees, dimension), error, dimension, evaluations)
        before = values
        checkpoint()
    raise RuntimeError(
        f"eigenvalues on the sphere: refinement has not settled, the last one changed a value by {change.max():.1e}; "
        f"{tolerance * size:.1e} was asked for"
    )


def fourier_eigenvalues(kernel: Kernel | Callable[..., Any], frequencies: int, **options: Any) -> Eigenvalues:
    """`sphere_eigenvalues` on the circle: lambda_k = (1/2 pi) int kappa(gamma) cos(k gamma) dgamma, k = 0, 1, ..."""
    return sphere_eigenvalues(kernel, frequencies, 2, **options)


def multiplicities(degrees: int, dimension: int) -> Floats:
    """Dimension of the spherical harmonics of degree 0..degrees in R^dimension, (degrees + 1,) as floats."""
    k = np.arange(degrees + 1)
    return np.where(
        k == 0, 1.0, comb(k + dimension - 2, k) * (2 * k + dimension - 2) / np.maximum(k + dimension - 2, 1)
    )


def harmonics(gamma: Floats, degrees: int, dimension: int) -> Floats:
    """P_k(cos gamma) for k = 0..degrees, (degrees + 1, len(gamma)): Gegenbauer's polynomials with P_k(1) = 1."""
    if dimension == 2:
        return np.cos(np.arange(degrees + 1)[:, None] * gamma)
    t = np.cos(gamma)
    out = [np.ones_like(t), t]
    for k in range(1, degrees):
        out.append(((2 * k + dimension - 2) * t * out[k] - k * out[k - 1]) / (k + dimension - 2))
    return np.stack(out[: degrees + 1])


def _density(gamma: Floats, dimension: int) -> Floats:
    """c_d sin^(d-2) gamma, the density of the angle between two random points."""
    log_c = gammaln(dimension / 2) - math.log(math.pi) / 2 - gammaln((dimension - 1) / 2)
    return np.exp(log_c + (dimension - 2) * np.log(np.sin(gamma)))


def _projection(pieces: int, degrees: int, dimension: int) -> tuple[Floats, Floats]:
    """Nodes (Q,), and what makes eigenvalues of the kernel there, (degrees + 1, Q); neither is to be written to."""
    small = (degrees + 1) * pieces <= KEPT
    return (_kept_projection if small else _new_projection)(pieces, degrees, dimension)


def _new_projection(pieces: int, degrees: int, dimension: int) -> tuple[Floats, Floats]:
    gamma, weights = _graded(pieces)
    return gamma, harmonics(gamma, degrees, dimension) * _density(gamma, dimension) * weights


_kept_projection = lru_cache(maxsize=8)(_new_projection)  # whatever the kernel, the same


@lru_cache(maxsize=8)
def _graded(pieces: int) -> tuple[Floats, Floats]:
    """Nodes and weights on (0, pi), not to be written to: panels that double in length from either end, each cut into
    `pieces`.
    """
    doublings = math.ceil(math.log2(math.pi / 2 / INNERMOST))
    half = np.concatenate([[0.0], math.pi / 2 * 2.0 ** np.arange(-doublings, 1)])
    edges = np.concatenate([half, (math.pi - half)[-2::-1]])
    lengths = np.diff(edges)
    # Short panels need no cutting: what varies at the scale of the circle is flat on them.
    cuts = np.maximum(1, np.ceil(pieces * np.minimum(1.0, 8 * lengths / math.pi))).astype(int)
    cut = np.concatenate(
        [np.linspace(a, b, n, endpoint=False) for a, b, n in zip(edges, edges[1:], cuts, strict=False)]
    )
    cut = np.append(cut, math.pi)
    x, w = roots_legendre(NODES)
    middle, reach = (cut[1:] + cut[:-1]) / 2, np.diff(cut) / 2
    return (middle[:, None] + reach[:, None] * x).ravel(), (reach[:, None] * w).ravel()


class _Profile:
    """gamma -> K between a point and one at the angle gamma from it, on the sphere of a radius."""

    def __init__(self, kernel: Kernel, dimension: int, radius: float):
        self.kernel, self.dimension, self.radius = kernel, dimension, radius

    def __call__(self, gamma: Floats) -> Floats:
        X = np.zeros((len(gamma), self.dimension))
        X[:, 0], X[:, 1] = self.radius * np.cos(gamma), self.radius * np.sin(gamma)
        pole = np.zeros((1, self.dimension))
        pole[0, 0] = self.radius
        return self.kernel(pole, X).numpy()[0]

    def checked(self, gamma: Floats) -> tuple[float, Floats]:
        """|K(x, x)| and the profile, after a look at whether the angle is all that there is; a kernel of few points
        costs as much as one of many, so that all is asked at once.
        """
        Z = np.random.default_rng(0).standard_normal((4, self.dimension))
        Z *= self.radius / np.linalg.norm(Z, axis=1, keepdims=True)
        found = self.kernel(Z[:1], Z[1:]).numpy()[0]
        angles = np.arccos(np.clip(Z[1:] @ Z[0] / self.radius**2, -1, 1))
        own, expected, values = np.split(self(np.concatenate([[0.0], angles, gamma])), [1, 1 + len(angles)])
        size = max(np.abs(found).max(), np.abs(expected).max())
        if np.abs(found - expected).max() > 1e-6 * size:
            raise ValueError("kernel: eigenvalues by degree are those of a kernel that depends on the angle alone")
        return float(abs(own[0])), values


def _whole(field: str, value: int, smallest: int, largest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or not smallest <= value <= largest:
        raise ValueError(f"{field}: must be a whole number between {smallest} and {largest:,}, got {value!r}")
