r"""Dual activations of any function, by Mehler's expansion.

With orthonormal Hermite polynomials h_k and a_k(q) = E[s(sqrt(q) z) h_k(z)],

    E[s(u) s(v)] = sum_k a_k(q_u) a_k(q_v) rho^k ,     rho = cov / sqrt(q_u q_v)

and the derivative's dual is the same sum over the coefficients of s'. A part kappa that bends at 0 is split off: kappa
with kappa has a closed form, and what is left converges fast, also where |rho| is near 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ntk_core.duals import kinks as bends
from ntk_core.duals import quadrature
from ntk_core.duals.closed_forms import Duals, Floats, Pair, Side, TileFunction, correlation, inverse_root, scaled
from ntk_core.duals.expansion import Expansion
from ntk_core.duals.quadrature import Function
from ntk_core.duals.series import Expansions, Ladder, Series

SAME = 1e-14  # variances that agree to this, relative, are one variance


@dataclass
class ExpandedSide(Side):
    """With the expansions of s and s' at these variances, or at the one variance that all points share."""

    expansions: Expansions
    jumps: tuple[float, ...]

    @property
    def uniform(self) -> bool:
        """Whether all points share one variance."""
        return len(self.expansions[0].q) == 1


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

    def both(self, q_u: Any, q_v: Any, cov: Any) -> Pair:
        """Any shapes that broadcast; variances are grouped by value first."""
        shape = np.broadcast_shapes(*(np.shape(a) for a in (q_u, q_v, cov)))
        q_u, q_v, cov = (np.broadcast_to(np.asarray(a, np.float64), shape).ravel() for a in (q_u, q_v, cov))
        distinct, where = np.unique(np.concatenate([q_u, q_v]), return_inverse=True)
        jumps = self.split(float(distinct.max(initial=0.0)))
        expansions = self._expand(distinct, jumps)
        rho = correlation(q_u, q_v, cov)
        largest = _largest(rho)
        series = Ladder(expansions, expansions).reaching(largest).series
        at = (where[: cov.size], where[cov.size :])
        value, slope = self._duals(
            series, jumps, q_u, q_v, rho, largest, lambda top: [s.sum(rho, top, *at) for s in series]
        )
        return value.reshape(shape), slope.reshape(shape)

    def diagonal(self, q: Floats) -> Pair:
        """By quadrature in one dimension, so that it never depends on where a series is cut."""
        flat = np.ravel(q)
        value, slope = (quadrature.second_moment(f, self.kinks, flat).reshape(np.shape(q)) for f in self.functions)
        return value, slope

    def side(self, q: Floats, largest: float) -> ExpandedSide:
        """Expansions at the distinct variances; an analytic function's second moment comes with them."""
        distinct = q[:1] if np.ptp(q) <= SAME * q.max() else q
        jumps = self.split(largest)
        expansions = self._expand(distinct, jumps)
        diagonal = self.diagonal(distinct) if self.kinks else (expansions[0].moment, expansions[1].moment)
        value, slope = (np.broadcast_to(d, q.shape) for d in diagonal)
        return ExpandedSide(q, (value, slope), expansions, jumps)

    def tile(self, left: Side, right: Side) -> TileFunction:
        """Sums of the same series tile by tile; plain polynomials where all points share one variance."""
        assert isinstance(left, ExpandedSide)
        assert isinstance(right, ExpandedSide)
        jumps, every = left.jumps, slice(None)
        uniform = float(left.q[0]) if left.uniform and right.uniform else None
        ladder = Ladder(left.expansions, right.expansions, jumps, uniform)
        inverse_u, inverse_v = inverse_root(left.q)[:, None], inverse_root(right.q)[None, :]

        def function(rows: slice, columns: slice, cov: Floats) -> Pair:
            rho = scaled(inverse_u[rows], inverse_v[:, columns], cov)
            at = ((every if left.uniform else rows, None), (None, every if right.uniform else columns))
            u, v = left.q[rows, None], right.q[None, columns]
            largest = _largest(rho)
            rung = ladder.reaching(largest)
            if rung.polynomials is not None:
                return self._duals(rung.series, (), u, v, rho, largest, partial(rung.polynomials, rho))
            return self._duals(
                rung.series, jumps, u, v, rho, largest, lambda top: [s.sum(rho, top, *at) for s in rung.series]
            )

        return function

    def split(self, largest: float) -> tuple[float, ...]:
        """The jumps to split off; fewer for a large variance, where z^j / j! would swamp the rest."""
        orders = len(self.jumps)
        while orders > 2 and bends.moment(orders - 1, largest) > 1e4 * max(1.0, largest):
            orders -= 1
        return self.jumps[:orders]

    def _expand(self, q: Floats, jumps: tuple[float, ...]) -> Expansions:
        value, derivative = self.functions
        breaks = [kink for kink in self.kinks if kink]
        return Expansion(value, jumps, q, breaks), Expansion(derivative, jumps[1:], q, breaks)

    def _duals(
        self,
        series: list[Series],
        jumps: tuple[float, ...],
        q_u: Floats,
        q_v: Floats,
        rho: Floats,
        largest: float,
        sums: Callable[[float], list[Floats]],
    ) -> Pair:
        """Both duals: sums(largest |rho|) of the series, kappa with kappa, and integrals where series are too slow."""
        reach = min(s.reach for s in series)
        difficult = rho[:0]
        if largest > reach:
            hard = np.nonzero(np.abs(rho) > reach)
            difficult = rho[hard]
            rho[hard] = 0.0  # else they would make the series long for all
            largest = reach
        value, slope = sums(largest)
        if any(jumps):
            value += bends.product(jumps, q_u, q_v, rho)
            slope += bends.product(jumps[1:], q_u, q_v, rho)
        if difficult.size:
            u, v = (np.broadcast_to(q, rho.shape)[hard] for q in (q_u, q_v))
            for total, f in zip((value, slope), self.functions, strict=True):
                total[hard] = [quadrature.pair(f, self.kinks, *p) for p in zip(u, v, difficult, strict=True)]
        return value, slope


def _largest(rho: Floats) -> float:
    """The largest |rho|."""
    return float(max(rho.max(initial=0.0), -rho.min(initial=0.0)))
