"""Dual activations in closed form: E[s(u) s(v)] and E[s'(u) s'(v)] for (u, v) ~ N(0, [[q_u, cov], [cov, q_v]]).

Everything here is NumPy in float64. Its elementwise functions release the interpreter's lock and never start threads
of their own, so that the recursion can run its tiles side by side.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Pair = tuple[Floats, Floats]
TileFunction = Callable[[slice, slice, Floats], Pair]

# A correlation this close to +-1 cannot be told from +-1: coincident points then agree with the diagonal.
SNAP = 8 * float(np.finfo(np.float64).eps)


@dataclass
class Side:
    """What the points of one side of a kernel matrix bring to a layer: variances q (N,), and both duals there."""

    q: Floats
    diagonal: Pair


class Duals(ABC):
    """Both expectations of one activation; a subclass writes `both`."""

    @abstractmethod
    def both(self, q_u: Any, q_v: Any, cov: Any) -> Pair:
        """(E[s(u) s(v)], E[s'(u) s'(v)]), broadcasting variances q_u, q_v >= 0 and the covariance."""

    def diagonal(self, q: Floats) -> Pair:
        """(E[s(u)^2], E[s'(u)^2]) for variances q of any shape."""
        return self.both(q, q, q)

    def side(self, q: Floats, largest: float) -> Side:
        """All that depends on one side's variances alone; `largest` is the largest variance of both sides."""
        return Side(q, self.diagonal(q))

    def tile(self, left: Side, right: Side) -> TileFunction:
        """Both expectations for tiles of a matrix of covariances.

        The function takes (rows, columns, cov) with cov of the tile's shape, which it may overwrite.
        """

        def function(rows: slice, columns: slice, cov: Floats) -> Pair:
            return self.both(left.q[rows, None], right.q[None, columns], cov)

        return function


def correlation(q_u: Any, q_v: Any, cov: Any) -> Floats:
    """cov / sqrt(q_u q_v) within [-1, 1], snapped to the ends; 0 where a variance is 0."""
    return scaled(inverse_root(q_u), inverse_root(q_v), cov)


def scaled(inverse_u: Any, inverse_v: Any, cov: Any) -> Floats:
    """The same from 1 / sqrt(q_u) and 1 / sqrt(q_v)."""
    rho = np.asarray(cov * (inverse_u * (1 + SNAP)))
    rho = np.multiply(rho, inverse_v, out=rho if rho.shape == np.broadcast_shapes(rho.shape, inverse_v.shape) else None)
    return np.clip(rho, -1.0, 1.0)


def inverse_root(q: Any) -> Floats:
    """1 / sqrt(q), and 0 where q = 0."""
    root = np.sqrt(q)
    return np.divide(1.0, root, out=np.zeros_like(root), where=root > 0)


class Homogeneous(Duals):
    r"""s(z) = z for z > 0 and slope z below: relu (0), abs (-1), identity (1), leaky relu.

    With rho = cos(theta) and amplitude B = (1 - slope)^2 / 4, mean slope A = (1 + slope)^2 / 4:

        E[s s]   = A cov + (2 B / pi) sqrt(q_u q_v) (sin(theta) + rho arcsin(rho))
        E[s' s'] = A + (2 B / pi) arcsin(rho)
    """

    def __init__(self, slope: float):
        self.slope = slope
        self.odd, self.even = (1 + slope) ** 2 / 4, (1 - slope) ** 2 / 4

    def both(self, q_u: Any, q_v: Any, cov: Any) -> Pair:
        """The arc-cosine kernels of degree one and zero."""
        rho = correlation(q_u, q_v, cov)
        angle = np.arcsin(rho)
        bend = np.sqrt(1 - rho * rho) + rho * angle
        factor = 2 * self.even / np.pi
        return self.odd * cov + factor * np.sqrt(q_u) * np.sqrt(q_v) * bend, self.odd + factor * angle

    def diagonal(self, q: Floats) -> Pair:
        """Half the mass has slope 1, half has the other."""
        mean = (1 + self.slope**2) / 2
        return mean * q, np.full_like(q, mean)


class Step(Duals):
    r"""s(z) = 1 for z > 0: E[s s] = (pi - theta) / (2 pi). Its derivative is 0 almost everywhere."""

    def both(self, q_u: Any, q_v: Any, cov: Any) -> Pair:
        """The arc-cosine kernel of degree zero, and zero."""
        angle = 0.25 + np.arcsin(correlation(q_u, q_v, cov)) / (2 * np.pi)
        return angle, np.zeros_like(angle)


class Erf(Duals):
    r"""E[s s] = (2/pi) arcsin(2 cov / sqrt((1 + 2 q_u)(1 + 2 q_v)))."""

    def both(self, q_u: Any, q_v: Any, cov: Any) -> Pair:
        """Williams' kernel and its derivative in cov."""
        area = (1 + 2 * q_u) * (1 + 2 * q_v)
        rest = np.sqrt(area - 4 * np.square(cov))
        # arctan of the ratio: no loss of digits where the argument of arcsin would be near 1.
        return (2 / np.pi) * np.arctan2(2 * cov, rest), (4 / np.pi) / rest


class Gelu(Duals):
    r"""s(z) = z Phi(z), the exact one. By Gaussian integration by parts, with A = 1 + q_u, B = 1 + q_v,
    D = A B - cov^2, P = E[phi(u) phi(v)] = 1 / (2 pi sqrt(D)) and F = E[Phi(u) Phi(v)]:

        E[s s] = cov F + P W,   W = q_u q_v - cov^2 (1 - 1/A - 1/B)
    """

    def both(self, q_u: Any, q_v: Any, cov: Any) -> Pair:
        """The expectation, and its derivative in cov term by term."""
        A, B, squared = 1 + q_u, 1 + q_v, np.square(cov)
        D = A * B - squared
        root = np.sqrt(D)
        P = 1 / (2 * np.pi * root)
        F = 0.25 + np.arctan2(cov, root) / (2 * np.pi)
        bracket = 1 / A + 1 / B - 1
        W = q_u * q_v + squared * bracket
        return cov * F + P * W, F + cov * P * (1 + W / D + 2 * bracket)


class Sine(Duals):
    """s = sin: E[s s] = exp(-(q_u + q_v)/2) sinh(cov), and cosh for the derivative; `cosine` swaps the two."""

    def __init__(self, cosine: bool = False):
        self.cosine = cosine

    def both(self, q_u: Any, q_v: Any, cov: Any) -> Pair:
        """Exponents are added before exp, so nothing overflows."""
        size = np.abs(cov)
        scale = 0.5 * np.exp(size - (q_u + q_v) / 2)
        sinh, cosh = -np.sign(cov) * scale * np.expm1(-2 * size), scale * (1 + np.exp(-2 * size))
        return (cosh, sinh) if self.cosine else (sinh, cosh)


class Gaussian(Duals):
    r"""s(z) = exp(-z^2): E[s s] = 1 / sqrt((1 + 2 q_u)(1 + 2 q_v) - 4 cov^2)."""

    def both(self, q_u: Any, q_v: Any, cov: Any) -> Pair:
        """A Gaussian integral, and its derivative in cov."""
        area = (1 + 2 * q_u) * (1 + 2 * q_v) - 4 * np.square(cov)
        value = 1 / np.sqrt(area)
        return value, 4 * cov * value / area
