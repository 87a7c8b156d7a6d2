r"""Dual activations of any function, by Mehler's expansion.

With orthonormal Hermite polynomials h_k and a_k(q) = E[s(sqrt(q) z) h_k(z)],

    E[s(u) s(v)] = sum_k a_k(q_u) a_k(q_v) rho^k ,     rho = cov / sqrt(q_u q_v)

and the derivative's dual is the same sum over the coefficients of s'. A part kappa that bends at 0 is split off: kappa
with kappa has a closed form, and what is left converges fast, also where |rho| is near 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ntk_core import kinks as bends
from ntk_core import quadrature
from ntk_core.duals import Duals, Floats, Pair, TileFunction, correlation
from ntk_core.quadrature import Function

MOST_TERMS = 1024
SMOOTH_ERROR = 1e-13  # of the truncated series, relative to the largest E[s^2]
KINKED_ERROR = 1e-11
ROWS = 2048  # variances whose integrands are held at once


@lru_cache(maxsize=32)
def _rule(terms: int, step: float) -> tuple[Floats, Floats]:
    """Nodes z (M,) of the trapezoid rule and h_k(z) phi(z) step, (terms, M)."""
    half = math.ceil(quadrature.REACH / step)
    z: Floats = np.arange(-half, half + 1) * step
    table = np.empty((terms, len(z)))
    table[0] = np.exp(-z * z / 2) * (step / math.sqrt(2 * math.pi))
    table[1] = z * table[0]
    for k in range(1, terms - 1):
        table[k + 1] = (z * table[k] - math.sqrt(k) * table[k - 1]) / math.sqrt(k + 1)
    return z, table


class Expansion:
    """Hermite coefficients of one function at given variances (Q,), enough of them for a stated error.

    Attributes:
        smooth: (K, Q) coefficients of f - kappa.
        bent: (K, Q) coefficients of kappa, or None if there is none.
        rest: bound of sum_{k >= K} |terms| at |rho| = 1.
        error: the error allowed.
    """

    def __init__(self, f: Function, jumps: Sequence[float], q: Floats, most: int = MOST_TERMS):
        self.f, self.jumps, self.q = f, tuple(jumps), q
        terms = 32
        while True:
            self._expand(terms)
            if self.rest <= self.error or 2 * terms > most:
                return
            terms *= 2

    def _expand(self, terms: int) -> None:
        largest = float(self.q.max(initial=0.0))
        # Fine enough for h_k (wave number sqrt(k)) times a function analytic within about 1 of the real line.
        step = 2 * math.pi / (math.sqrt(terms) + 30 * max(1.0, math.ceil(2 * math.sqrt(largest)) / 2))
        z, table = _rule(terms, step)
        self.smooth = np.empty((terms, len(self.q)))
        moment = np.empty(len(self.q))
        for start in range(0, len(self.q), ROWS):
            x = np.sqrt(self.q[start : start + ROWS, None]) * z
            values = quadrature.apply(self.f, x) - (bends.kappa(self.jumps, x) if self.jumps else 0.0)
            self.smooth[:, start : start + ROWS] = table @ values.T
            moment[start : start + ROWS] = np.square(values, out=values) @ table[0]
        self.bent = bends.coefficients(self.jumps, self.q, terms) if self.jumps else None
        self._bound(moment)

    def _bound(self, moment: Floats) -> None:
        """The last coefficients tell what follows, unless Parseval says that most is still to come."""
        terms = len(self.smooth)
        missing = moment - np.square(self.smooth).sum(0)
        smooth = np.where(missing > 1e-9 * moment, missing, terms * np.square(self.smooth[-4:]).max(0))
        self.rest = float(smooth.max(initial=0.0))
        if self.bent is None:
            self.error = SMOOTH_ERROR * float(moment.max(initial=0.0))
            return
        bent = terms * np.square(self.bent[-4:]).max(0)
        self.rest += 2 * float(np.sqrt(smooth.max(initial=0.0) * bent.max(initial=0.0)))
        self.error = KINKED_ERROR * float(np.square(self.bent + self.smooth).sum(0).max(initial=0.0))


class Series:
    """sum_k of products of the coefficients of two expansions times rho^k, and nothing more than is needed of it."""

    def __init__(self, left: Expansion, right: Expansion):
        terms = min(len(left.smooth), len(right.smooth))
        self.left = _factors(left, terms, first=True)
        self.right = self.left_as_right(left, terms) if right is left else _factors(right, terms, first=False)
        self.jumps = left.jumps
        self.error = max(left.error, right.error)
        self.rest = max(left.rest, right.rest)
        bound = sum(
            np.abs(a).max(1, initial=0.0) * np.abs(b).max(1, initial=0.0)
            for a, b in zip(self.left, self.right, strict=True)
        )
        self.bound = np.asarray(bound)
        self.terms = terms
        self._parity()

    @staticmethod
    def left_as_right(expansion: Expansion, terms: int) -> list[Floats]:
        """The other factors of the same expansion's products."""
        return _factors(expansion, terms, first=False)

    def _parity(self) -> None:
        """An odd or even function has every second coefficient zero: do not sum rounding errors."""
        self.first, self.stride = 0, 1
        floor = 1e-30 * self.bound.sum()
        for parity in (0, 1):
            if (self.bound[1 - parity :: 2] <= floor).all():
                self.first, self.stride = parity, 2

    def reach(self) -> float:
        """The largest |rho| at which the series is within the error allowed."""
        if self.rest <= self.error:
            return 1.0
        return (self.error / self.rest) ** (1 / self.terms)

    def length(self, rho: float) -> int:
        """How many terms |correlations| up to rho need."""
        tail = np.cumsum((self.bound * rho ** np.arange(self.terms))[::-1])[::-1]
        return max(int(np.searchsorted(-tail, -0.1 * self.error)), 1)

    def sum(self, rho: Floats, rows: Any, columns: Any) -> Floats:
        """The series at correlations rho; the k-th coefficients indexed by rows and columns must broadcast to it."""
        count = self.length(float(np.abs(rho).max(initial=0.0)))
        variable = rho if self.stride == 1 else rho * rho
        total = np.zeros_like(rho)
        for k in range(self.first + (count - 1 - self.first) // self.stride * self.stride, -1, -self.stride):
            total *= variable
            for a, b in zip(self.left, self.right, strict=True):
                total += a[k][rows] * b[k][columns]
        if self.first:
            total *= rho
        return total


def _factors(expansion: Expansion, terms: int, first: bool) -> list[Floats]:
    """s s' alone, or s (s' + kappa') + kappa s', as factors of one side."""
    smooth = expansion.smooth[:terms]
    if expansion.bent is None:
        return [smooth]
    bent = expansion.bent[:terms]
    return [smooth, bent] if first else [smooth + bent, smooth]


class Mehler(Duals):
    """Both duals of a function and its derivative by series.

    Args:
        value: s, a function of tensors.
        derivative: s'.
        jumps: jumps at 0 of s, s', s'', ... that are split off; empty for an analytic function.
        kinks: where s is not analytic, 0 included if it is among them. Kinks that are not split off make the series
            slow; pairs of points for which it is too slow are integrated directly.
    """

    def __init__(
        self, value: Function, derivative: Function, jumps: Sequence[float] = (), kinks: Sequence[float] | None = None
    ):
        self.functions = (value, derivative)
        self.jumps = tuple(jumps)
        self.kinks = tuple(kinks) if kinks is not None else ((0.0,) if len(jumps) else ())

    def split(self, which: int, largest: float) -> tuple[float, ...]:
        """The jumps to split off s (0) or s' (1); fewer for a large variance, where z^j / j! would swamp the rest."""
        orders = len(self.jumps) - 1
        while orders > 1 and bends.moment(orders, largest) > 1e4 * max(1.0, largest):
            orders -= 1
        return self.jumps[which : orders + which]

    def both(self, q_u: Any, q_v: Any, cov: Any) -> Pair:
        """Any shapes that broadcast; variances are grouped by value first."""
        shape = np.broadcast_shapes(*(np.shape(a) for a in (q_u, q_v, cov)))
        q_u, q_v, cov = (np.broadcast_to(np.asarray(a, np.float64), shape or (1,)) for a in (q_u, q_v, cov))
        distinct, where = np.unique(np.concatenate([q_u.ravel(), q_v.ravel()]), return_inverse=True)
        index_u, index_v = where[: cov.size].reshape(cov.shape), where[cov.size :].reshape(cov.shape)
        results = []
        for which in (0, 1):
            expansion = self._expansion(which, distinct, float(distinct.max(initial=0.0)))
            series = Series(expansion, expansion)
            results.append(self._pairs(series, which, q_u, q_v, cov, index_u, index_v).reshape(shape))
        return results[0], results[1]

    def diagonal(self, q: Floats) -> Pair:
        """By quadrature in one dimension, so that it never depends on where a series is cut."""
        distinct, where = np.unique(q, return_inverse=True)
        value, slope = (
            quadrature.second_moment(f, self.kinks, distinct)[where].reshape(q.shape) for f in self.functions
        )
        return value, slope

    def layer(self, q_u: Floats, q_v: Floats) -> TileFunction:
        """Coefficients once a layer, then sums tile by tile."""
        series = [self._layer_series(which, q_u, q_v) for which in (0, 1)]

        def tile(rows: slice, columns: slice, cov: Floats) -> Pair:
            u, v = q_u[rows, None], q_v[None, columns]
            value, slope = (
                self._pairs(series[which], which, u, v, cov, (rows, None), (None, columns)) for which in (0, 1)
            )
            return value, slope

        return tile

    def _expansion(self, which: int, q: Floats, largest: float) -> Expansion:
        return Expansion(self.functions[which], self.split(which, largest), q)

    def _layer_series(self, which: int, q_u: Floats, q_v: Floats) -> Series:
        largest = float(max(q_u.max(), q_v.max()))
        left = self._expansion(which, q_u, largest)
        return Series(left, left if q_v is q_u else self._expansion(which, q_v, largest))

    def _pairs(self, series: Series, which: int, q_u: Any, q_v: Any, cov: Floats, rows: Any, columns: Any) -> Floats:
        rho = correlation(q_u, q_v, cov)
        reach = series.reach()
        hard = np.abs(rho) > reach if reach < 1 else None
        if hard is None or not hard.any():
            total = series.sum(rho, rows, columns)
        else:
            total = series.sum(np.where(hard, 0.0, rho), rows, columns)
        if any(series.jumps):
            total += bends.product(series.jumps, q_u, q_v, cov)
        if hard is not None and hard.any():
            full_u, full_v = np.broadcast_to(q_u, rho.shape), np.broadcast_to(q_v, rho.shape)
            for at in zip(*np.nonzero(hard), strict=True):
                total[at] = quadrature.pair(
                    self.functions[which], self.kinks, float(full_u[at]), float(full_v[at]), float(rho[at])
                )
        return total
