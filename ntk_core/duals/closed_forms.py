"""Dual activations in closed form: E[s(u) s(v)] and E[s'(u) s'(v)] for (u, v) ~ N(0, [[q_u, cov], [cov, q_v]]).

Near rho = +-1 and at large variances the determinant q_u q_v - cov^2 decides, which as a difference has lost its
digits; so it is made once, from exact products, and every form is written in terms of sine = sqrt(1 - rho^2).

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
ROUNDING = 16 * float(np.finfo(np.float64).eps)  # of a product of points, relative to their norms
WAVES = 1e-9  # error of a wave's exponent at which its kernel is refused


@dataclass
class Side:
    """What the points of one side of a kernel matrix bring to a layer: variances q (N,), and both duals there."""

    q: Floats
    diagonal: Pair


class Duals(ABC):
    """Both expectations of one activation; a subclass writes `given`."""

    @abstractmethod
    def given(self, q_u: Any, q_v: Any, cov: Any, sine: Any) -> Pair:
        """(E[s(u) s(v)], E[s'(u) s'(v)]), broadcasting variances q_u, q_v >= 0, covariance and sqrt(1 - rho^2)."""

    def both(self, q_u: Any, q_v: Any, cov: Any) -> Pair:
        """The same, the sine taken from the numbers exactly as they are given."""
        return self.given(q_u, q_v, cov, sine(q_u, q_v, cov))

    def diagonal(self, q: Floats) -> Pair:
        """(E[s(u)^2], E[s'(u)^2]) for variances q of any shape."""
        return self.given(q, q, q, np.zeros_like(q))

    def side(self, q: Floats, largest: float, memory: int = 0) -> Side:
        """All that depends on one side's variances alone.

        Args:
            q: (N,) variances.
            largest: the largest variance of both sides.
            memory: bytes that tables of this layer may take.
        """
        return Side(q, self.diagonal(q))

    def tile(self, left: Side, right: Side) -> TileFunction:
        """Both expectations for tiles of a matrix of covariances.

        The function takes (rows, columns, cov) with cov of the tile's shape, which it may overwrite.
        """
        inverse_u, inverse_v = inverse_root(left.q)[:, None], inverse_root(right.q)[None, :]

        def function(rows: slice, columns: slice, cov: Floats) -> Pair:
            rho = scaled(inverse_u[rows], inverse_v[:, columns], cov)
            np.subtract(1, np.square(rho, out=rho), out=rho)
            return self.given(left.q[rows, None], right.q[None, columns], cov, np.sqrt(rho, out=rho))

        return function


def sine(q_u: Any, q_v: Any, cov: Any) -> Floats:
    """sqrt(1 - rho^2) to full precision, from products that are exact; 1 where a variance is 0, 0 where |rho| > 1.

    Of different variances it is 0 as well where the rounding of sqrt(q_u q_v) may be all that keeps |rho| from 1.
    """
    (u, e_u), (v, e_v) = _mantissa(q_u), _mantissa(q_v)
    c = np.ldexp(np.asarray(cov, np.float64), -(e_u + e_v))
    (area, low), (square, low_square) = _product(u, v), _product(c, c)
    with np.errstate(divide="ignore", invalid="ignore"):
        squared = ((area - square) + (low - low_square)) / area
    squared = np.where((squared <= SNAP / 2) & (np.asarray(q_u) != np.asarray(q_v)), 0.0, squared)
    return np.sqrt(np.where(area > 0, squared, 1.0).clip(0.0, 1.0))


def _mantissa(q: Any) -> tuple[Floats, Any]:
    """(m, e) with q = m 4^e and m about 1, so that products neither overflow nor vanish."""
    exponent = np.frexp(np.asarray(q, np.float64))[1] // 2
    return np.ldexp(np.asarray(q, np.float64), -2 * exponent), exponent


def _product(a: Floats, b: Floats) -> Pair:
    """a b as an unevaluated sum of two numbers, exactly (Dekker 1971)."""
    high, (a1, a2), (b1, b2) = a * b, _halves(a), _halves(b)
    return high, a2 * b2 - (((high - a1 * b1) - a2 * b1) - a1 * b2)


def _halves(a: Floats) -> Pair:
    c = 134217729.0 * a  # 2^27 + 1
    high = c - (c - a)
    return high, a - high


def scaled(inverse_u: Any, inverse_v: Any, cov: Any) -> Floats:
    """cov / sqrt(q_u q_v) from 1 / sqrt(q_u) and 1 / sqrt(q_v), within [-1, 1] and snapped to the ends."""
    rho = np.asarray(cov * (inverse_u * (1 + SNAP)))
    rho = np.multiply(rho, inverse_v, out=rho if rho.shape == np.broadcast_shapes(rho.shape, inverse_v.shape) else None)
    return np.clip(rho, -1.0, 1.0)


def inverse_root(q: Any) -> Floats:
    """1 / sqrt(q), and 0 where q = 0."""
    root = np.sqrt(q)
    return np.divide(1.0, root, out=np.zeros_like(root), where=root > 0)


def sines_product(q_u: Any, q_v: Any, sine: Any) -> Floats:
    """sqrt(q_u q_v - cov^2)."""
    return np.sqrt(q_u) * np.sqrt(q_v) * sine


class Homogeneous(Duals):
    r"""s(z) = z for z > 0 and slope z below: relu (0), abs (-1), identity (1), leaky relu.

    With rho = cos(theta) and amplitude B = (1 - slope)^2 / 4, mean slope A = (1 + slope)^2 / 4:

        E[s s]   = A cov + (2 B / pi) sqrt(q_u q_v) (sin(theta) + rho arcsin(rho))
        E[s' s'] = A + (2 B / pi) arcsin(rho)
    """

    def __init__(self, slope: float):
        self.slope = slope
        self.odd, self.even = (1 + slope) ** 2 / 4, (1 - slope) ** 2 / 4

    def given(self, q_u: Any, q_v: Any, cov: Any, sine: Any) -> Pair:
        """The arc-cosine kernels of degree one and zero."""
        height = sines_product(q_u, q_v, sine)
        angle = np.arctan2(cov, height)
        factor = 2 * self.even / np.pi
        return self.odd * cov + factor * (height + cov * angle), self.odd + factor * angle

    def diagonal(self, q: Floats) -> Pair:
        """Half the mass has slope 1, half has the other."""
        mean = (1 + self.slope**2) / 2
        return mean * q, np.full_like(q, mean)


class Step(Duals):
    r"""s(z) = 1 for z > 0: E[s s] = (pi - theta) / (2 pi). Its derivative is 0 almost everywhere."""

    def given(self, q_u: Any, q_v: Any, cov: Any, sine: Any) -> Pair:
        """The arc-cosine kernel of degree zero, and zero."""
        angle = 0.25 + np.arctan2(cov, sines_product(q_u, q_v, sine)) / (2 * np.pi)
        return angle, np.zeros_like(angle)


class Erf(Duals):
    r"""E[s s] = (2/pi) arcsin(2 cov / sqrt((1 + 2 q_u)(1 + 2 q_v)))."""

    def given(self, q_u: Any, q_v: Any, cov: Any, sine: Any) -> Pair:
        """Williams' kernel and its derivative in cov."""
        # arctan of the ratio: no loss of digits where the argument of arcsin would be near 1.
        rest = np.sqrt(1 + 2 * (q_u + q_v) + np.square(2 * sines_product(q_u, q_v, sine)))
        return (2 / np.pi) * np.arctan2(2 * cov, rest), (4 / np.pi) / rest


class Gelu(Duals):
    r"""s(z) = z Phi(z), the exact one. By Gaussian integration by parts, with A = 1 + q_u, B = 1 + q_v,
    det = q_u q_v - cov^2, D = 1 + q_u + q_v + det, P = E[phi(u) phi(v)] = 1 / (2 pi sqrt(D)) and
    F = E[Phi(u) Phi(v)], every sum one of positive terms:

        E[s s] = cov F + P (det + cov^2 (1/A + 1/B))
        E[s' s'] = F + cov P (2/A + 2/B - (1 + (det + q_v)/A + (det + q_u)/B) / D)
    """

    def given(self, q_u: Any, q_v: Any, cov: Any, sine: Any) -> Pair:
        """The expectation, and its derivative in cov term by term."""
        A, B, det = 1 + q_u, 1 + q_v, np.square(sines_product(q_u, q_v, sine))
        D = 1 + (q_u + q_v) + det
        root = np.sqrt(D)
        P = 1 / (2 * np.pi * root)
        F = np.arctan2(root, -cov) / (2 * np.pi)  # of the angle, which is small where cov is far below 0
        inverses = 1 / A + 1 / B
        slope = F + cov * P * (2 * inverses - (1 + (det + q_v) / A + (det + q_u) / B) / D)
        return cov * F + P * (det + cov * (cov * inverses)), slope


class Sine(Duals):
    """s = sin: E[s s] = exp(-(q_u + q_v)/2) sinh(cov), and cosh for the derivative; `cosine` swaps the two."""

    def __init__(self, cosine: bool = False):
        self.cosine = cosine

    def given(self, q_u: Any, q_v: Any, cov: Any, sine: Any) -> Pair:
        """Exponents are added before exp, so nothing overflows; and without rounding, since large ones may cancel."""
        size, total = np.abs(cov), q_u + q_v
        part = total - q_u
        lost = (q_u - (total - part)) + (q_v - part)  # of the sum (Knuth)
        scale = 0.5 * np.exp(np.minimum((2 * size - total) - lost, 0.0) / 2)
        sinh, cosh = -np.sign(cov) * scale * np.expm1(-2 * size), scale * (1 + np.exp(-2 * size))
        return (cosh, sinh) if self.cosine else (sinh, cosh)

    def tile(self, left: Side, right: Side) -> TileFunction:
        """As any other, but refused where the rounding of covariances would show."""
        largest = float(max(left.q.max(), right.q.max()))
        function = super().tile(left, right)

        def checked(rows: slice, columns: slice, cov: Floats) -> Pair:
            value, slope = function(rows, columns, cov)
            if largest * ROUNDING > WAVES and max(np.abs(value).max(), np.abs(slope).max()) > WAVES:
                raise ValueError(
                    f"X: a wave's kernel at variance {largest:.3g} needs more digits of the products of points than "
                    "there are; take inputs of smaller norm"
                )
            return value, slope

        return checked


class Gaussian(Duals):
    r"""s(z) = exp(-z^2): E[s s] = 1 / sqrt((1 + 2 q_u)(1 + 2 q_v) - 4 cov^2)."""

    def given(self, q_u: Any, q_v: Any, cov: Any, sine: Any) -> Pair:
        """A Gaussian integral, and its derivative in cov."""
        area = 1 + 2 * (q_u + q_v) + np.square(2 * sines_product(q_u, q_v, sine))
        value = 1 / np.sqrt(area)
        return value, 4 * cov * value / area
