r"""Dual activations of any function, by Mehler's expansion.

With orthonormal Hermite polynomials h_k and a_k(q) = E[s(sqrt(q) z) h_k(z)],

    E[s(u) s(v)] = sum_k a_k(q_u) a_k(q_v) rho^k ,     rho = cov / sqrt(q_u q_v)

and the derivative's dual is the same sum over the coefficients of s'. A part kappa that bends at 0 is split off: kappa
with kappa has a closed form, and what is left converges fast, also where |rho| is near 1. Pairs that series reach too
slowly are integrated directly. Errors are below 1e-9 of sqrt(E[s(u)^2] E[s(v)^2]); what cannot be known so well is
refused.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntk_core.duals import kinks as bends
from ntk_core.duals import quadrature
from ntk_core.duals.closed_forms import ROUNDING, Duals, Floats, Pair, Side, TileFunction, inverse_root, scaled
from ntk_core.duals.direct import Direct, Pairs
from ntk_core.duals.expansion import Expansion
from ntk_core.duals.interpolation import through_nodes
from ntk_core.duals.quadrature import Function, Panels, UnsettledError
from ntk_core.duals.series import FURTHER, TABLES, Expansions, Series, Truncations, check_tables

SAME = 1e-14  # variances that agree to this, relative, are one variance
SETTLED = 1e-11  # relative change of a second moment on twice as many panels that is allowed
SWAMPED = 1e4  # E[(z^j / j!)^2] over E[s^2] up to which a jump is split off: its root is the loss of digits
AMPLIFIED = 1e-6  # error that the rounding of covariances may cause in nearly coincident points
MANY = 500  # pairs for which longer series, seconds of work a layer, pay
KEPT = 16  # panels of as many largest variances


@dataclass
class ExpandedSide(Side):
    """With the expansions of s and s' at these variances, or at the one variance that all points share."""

    expansions: Expansions
    jumps: tuple[float, ...]
    memory: int

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
        kinks: where s may jump or bend, 0 included if it is among them. Others are found, at some cost.
        analytic: whether s is known to be analytic within 1 of the real line, and of size 1 there.
        name: what the activation is called where it is refused.
    """

    def __init__(
        self,
        value: Function,
        derivative: Function,
        jumps: Sequence[float] = (),
        kinks: Sequence[float] | None = None,
        analytic: bool = False,
        name: str = "custom",
    ):
        self.functions = (value, derivative)
        self.jumps = tuple(jumps)
        self.kinks = tuple(kinks) if kinks is not None else ((0.0,) if len(jumps) else ())
        self.analytic, self.name = analytic, name
        self._panels: OrderedDict[float, Panels] = OrderedDict()

    def given(self, q_u: Any, q_v: Any, cov: Any, sine: Any) -> Pair:
        """Any shapes that broadcast; variances are grouped by value first."""
        shape = np.broadcast_shapes(*(np.shape(a) for a in (q_u, q_v, cov, sine)))
        q_u, q_v, cov, sine = (np.broadcast_to(np.asarray(a, np.float64), shape).ravel() for a in (q_u, q_v, cov, sine))
        distinct, where = np.unique(np.concatenate([q_u, q_v]), return_inverse=True)
        jumps = self.split(float(distinct.max(initial=0.0)))
        expansions = self._expand(distinct, jumps, TABLES)
        rho = np.clip(cov * inverse_root(q_u) * inverse_root(q_v), -1.0, 1.0)
        truncations = Truncations(expansions, expansions, jumps, memory=TABLES)
        series = truncations.reaching(_largest(rho)).series
        at = (where[: cov.size], where[cov.size :])
        hard = self._too_far(series, rho)
        far, far_sine = rho[hard], sine[hard]
        value, slope = self._near(jumps, q_u, q_v, rho, sine, hard, lambda top: [s.sum(rho, top, *at) for s in series])
        if far.size:
            variances, pairs = (q_u[hard], q_v[hard]), self._pairs(q_u, q_v)
            value[hard], slope[hard] = self._far(
                truncations, pairs, variances, far, far_sine, (at[0][hard], at[1][hard])
            )
        return value.reshape(shape), slope.reshape(shape)

    def diagonal(self, q: Floats) -> Pair:
        """By quadrature in one dimension, so that it never depends on where a series is cut."""
        flat = np.ravel(np.asarray(q, np.float64))
        panels = self.panels(float(flat.max(initial=0.0)))
        value, slope = through_nodes(
            lambda variances: np.stack([panels.second_moment(f, variances) for f in self.functions]), flat
        )
        return value.reshape(np.shape(q)), slope.reshape(np.shape(q))

    def side(self, q: Floats, largest: float, memory: int = TABLES) -> ExpandedSide:
        """Expansions at the distinct variances; an analytic function's second moment comes with them."""
        distinct = q[:1] if np.ptp(q) <= SAME * q.max() else q
        jumps = self.split(largest)
        expansions = self._expand(distinct, jumps, memory)
        diagonal = self.diagonal(distinct) if any(jumps) else (expansions[0].moment, expansions[1].moment)
        value, slope = (np.broadcast_to(d, q.shape) for d in diagonal)
        return ExpandedSide(q, (value, slope), expansions, jumps, memory)

    def tile(self, left: Side, right: Side) -> TileFunction:
        """Sums of the same series tile by tile; plain polynomials where all points share one variance."""
        assert isinstance(left, ExpandedSide)
        assert isinstance(right, ExpandedSide)
        jumps, every = left.jumps, slice(None)
        uniform = float(left.q[0]) if left.uniform and right.uniform else None
        truncations = Truncations(left.expansions, right.expansions, jumps, uniform, left.memory)
        inverse_u, inverse_v = inverse_root(left.q)[:, None], inverse_root(right.q)[None, :]
        doubtful, pairs = self._amplifies(left, right), self._pairs(left.q, right.q)

        def function(rows: slice, columns: slice, cov: Floats) -> Pair:
            rho = scaled(inverse_u[rows], inverse_v[:, columns], cov)
            at = ((every if left.uniform else rows, None), (None, every if right.uniform else columns))
            u, v = left.q[rows, None], right.q[None, columns]
            truncation = truncations.reaching(_largest(rho))
            hard = self._too_far(truncation.series, rho)
            far = rho[hard]
            if truncation.polynomials is None:
                value, slope = self._near(
                    jumps, u, v, rho, None, hard, lambda top: [s.sum(rho, top, *at) for s in truncation.series]
                )
            else:
                value, slope = self._near((), u, v, rho, None, hard, partial(truncation.polynomials, rho))
            if far.size:
                variances = (left.q[rows][hard[0]], right.q[columns][hard[1]])
                places = (
                    0 * hard[0] if left.uniform else rows.start + hard[0],
                    0 * hard[1] if right.uniform else columns.start + hard[1],
                )
                sine = np.sqrt((1 - far) * (1 + far))
                value[hard], slope[hard] = self._far(truncations, pairs, variances, far, sine, places)
            if doubtful:
                self._check_digits(u, v, left.diagonal[0][rows, None], right.diagonal[0][None, columns], slope)
            return value, slope

        return function

    def split(self, largest: float) -> tuple[float, ...]:
        """The jumps to split off; fewer for a large variance, where z^j / j! would swamp the rest."""
        if len(self.jumps) <= 2:
            return self.jumps
        allowed = SWAMPED * self.diagonal(np.array([largest]))[0][0]
        swamping = [j for j, c in enumerate(self.jumps) if j >= 2 and c * c * bends.moment(j, largest) > allowed]
        return self.jumps[: min(swamping, default=len(self.jumps))]

    def panels(self, largest: float) -> Panels:
        """Where both functions are resolved for variances up to the largest.

        Raises:
            ValueError: they are not, or their second moments do not settle.
        """
        found = self._panels.get(largest)
        if found is None:
            try:
                found = quadrature.panels(self.functions, self.kinks, largest)
                self._check_settled(found, largest)
            except UnsettledError as error:
                raise ValueError(f"activation: {self.name!r} {error}; take inputs of smaller norm") from error
            self._panels[largest] = found
            while len(self._panels) > KEPT:
                self._panels.popitem(last=False)
        return found

    def _check_settled(self, panels: Panels, largest: float) -> None:
        """Second moments against those on twice as many panels."""
        q = np.array([largest])
        for f in self.functions:
            once, twice = panels.second_moment(f, q)[0], panels.halved().second_moment(f, q)[0]
            if not abs(once - twice) <= SETTLED * abs(twice):
                raise UnsettledError(f"does not settle at variance {largest:.3g}: {once:.12g} and {twice:.12g}")

    def _expand(self, q: Floats, jumps: tuple[float, ...], memory: int) -> Expansions:
        check_tables(len(q), any(jumps), memory)
        largest = float(q.max(initial=0.0))
        value, derivative = (
            Expansion(f, jumps[k:], q, lambda: self.panels(largest), analytic=self.analytic)
            for k, f in enumerate(self.functions)
        )
        return value, derivative

    def _pairs(self, q_u: Floats, q_v: Floats) -> Pairs:
        """Direct integrals for pairs of these variances."""
        largest = float(max(q_u.max(initial=0.0), q_v.max(initial=0.0)))
        return Pairs(lambda: Direct(self.functions, self.panels(largest)), self.name)

    def _too_far(self, series: list[Series], rho: Floats) -> tuple[NDArray[np.int64], ...]:
        """Where the series are too slow."""
        reach = min(s.reach for s in series)
        return np.nonzero(np.abs(rho) > reach) if _largest(rho) > reach else (np.empty(0, np.int64),) * rho.ndim

    def _near(
        self,
        jumps: tuple[float, ...],
        q_u: Floats,
        q_v: Floats,
        rho: Floats,
        sine: Floats | None,
        hard: tuple[NDArray[np.int64], ...],
        sums: Callable[[float], list[Floats]],
    ) -> Pair:
        """Both duals: sums(largest |rho|) of the series, and kappa with kappa. Where it is hard, rho becomes 0."""
        rho[hard] = 0.0  # else they would make the series long for all
        value, slope = sums(_largest(rho))
        if any(jumps):
            value += bends.product(jumps, q_u, q_v, rho, sine)
            slope += bends.product(jumps[1:], q_u, q_v, rho, sine)
        return value, slope

    def _far(
        self,
        truncations: Truncations,
        pairs: Pairs,
        variances: tuple[Floats, Floats],
        rho: Floats,
        sine: Floats,
        places: tuple[NDArray[np.int64], NDArray[np.int64]],
    ) -> Floats:
        """Both duals (2, P) of pairs (P,) that they do not reach: by longer series, at last by integrals."""
        out = np.full((2, len(rho)), np.nan)
        for terms in FURTHER:
            left = np.nonzero(np.isnan(out[0]))[0]
            series = truncations.beyond(terms) if len(left) >= MANY else None
            if series is None:
                break
            now = left[np.abs(rho[left]) <= min(s.reach for s in series)]
            if now.size:
                u, v, r, sines = variances[0][now], variances[1][now], rho[now], sine[now]
                at = (places[0][now], places[1][now])
                out[:, now] = self._near(
                    tuple(truncations.jumps),
                    u,
                    v,
                    r,
                    sines,
                    (left[:0],),
                    lambda top: [s.sum(r, top, *at) for s in series],  # noqa: B023
                )
        left = np.nonzero(np.isnan(out[0]))[0]
        if left.size:
            out[:, left] = pairs(variances[0][left], variances[1][left], rho[left], sine[left])
        return out

    def _amplifies(self, left: Side, right: Side) -> bool:
        """Whether the rounding of covariances could show."""
        most = [ROUNDING * s.q * s.diagonal[1] / np.maximum(s.diagonal[0], 1e-300) for s in (left, right)]
        return bool(max(m.max(initial=0.0) for m in most) > AMPLIFIED)

    def _check_digits(self, q_u: Floats, q_v: Floats, size_u: Floats, size_v: Floats, slope: Floats) -> None:
        """Refuses pairs whose dual moves by more than is allowed when the covariance moves by its rounding."""
        moved = ROUNDING * np.sqrt(q_u) * np.sqrt(q_v) * np.abs(slope)
        if (moved > AMPLIFIED * np.sqrt(size_u * size_v)).any():
            raise ValueError(
                f"X: the kernel of {self.name!r} at variance {float(max(q_u.max(), q_v.max())):.3g} needs more digits "
                "of the products of points than there are; take inputs of smaller norm"
            )


def _largest(rho: Floats) -> float:
    """The largest |rho|."""
    return float(max(rho.max(initial=0.0), -rho.min(initial=0.0)))
