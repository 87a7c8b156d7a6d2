r"""Gaussian expectations of any function by panels that resolve it.

A function is cut into panels on which it and its slope are polynomials to rounding: bisected until the last Legendre
coefficients vanish and points between the nodes agree. Gaussian integrals over them then converge like those of an
analytic function, whatever jumps, bends, short scales or slow tails there are. What does not settle is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.polynomial.legendre import leggauss, legvander

from ntk_core.duals.closed_forms import Floats, inverse_root

Function = Callable[[torch.Tensor], torch.Tensor]

NODES = 16  # Gauss-Legendre nodes a panel
X, W = leggauss(NODES)
COEFFICIENTS = (legvander(X, NODES - 1) * W[:, None]).T * (np.arange(NODES)[:, None] + 0.5)  # Legendre's, from values
REACHES = (13.0, 19.0, 27.0, 37.0)  # standard deviations: beyond 13 a Gaussian weighs less than 1e-37
RESOLVED = 1e-13  # of the last coefficients, relative to the panel's largest value
ROUNDING = 2e-15  # relative to the largest value met on the way from 0: below it lies a function's own rounding
SMALLEST, LARGEST_START = 0.25, 4.0  # first panels: from 0 by doubling, few wider than this where kinks are looked for
DENORMAL = 1e-290  # numbers near this have lost their relative precision
SOMEWHERE = 0.731
DEPTH = 60  # bisections after which a panel holds nothing
MOST = 6000  # panels, in all
EVEN_LENGTHS, EVEN_UP_TO = (4.0, 2.0, 1.0, 0.5), 160.0
NUMBERS = 1 << 19  # held at once in an array


class UnsettledError(ValueError):
    """A function that no number of panels resolves."""


def apply(f: Function, z: Floats) -> Floats:
    """An activation's function of tensors on a NumPy array."""
    with torch.no_grad():
        return f(torch.from_numpy(np.ascontiguousarray(z))).numpy()


@dataclass(frozen=True)
class Panels:
    """Where functions are resolved.

    Attributes:
        edges: ends of the panels in the functions' own argument, ascending; 0 is one of them.
        breaks: those at which a function may jump or bend.
        reach: standard deviations after which the Gaussian leaves nothing of the functions.
        even: length of panels side by side from 0 that would do as well up to `EVEN_UP_TO`; 0 if they would be many.
    """

    edges: Floats
    breaks: Floats
    reach: float
    even: float

    def rule(self, q: Floats, longest: float) -> tuple[Floats, Floats]:
        """Nodes z and weights (Q, n) for E[g(sqrt(q) z)], z ~ N(0, 1), on panels of length `longest` at most."""
        within = self.edges[np.abs(self.edges) < self.reach * np.sqrt(q.max(initial=0.0))]
        own = np.clip(within * inverse_root(q)[:, None], -self.reach, self.reach)
        even = np.linspace(-self.reach, self.reach, int(np.ceil(2 * self.reach / longest)) + 1)
        edges = np.sort(np.concatenate([own, np.broadcast_to(even, (len(q), len(even)))], 1), 1)
        return gaussian_nodes(edges)

    def halved(self) -> Panels:
        """Twice as many panels."""
        middles = (self.edges[1:] + self.edges[:-1]) / 2
        return Panels(np.sort(np.concatenate([self.edges, middles])), self.breaks, self.reach, self.even / 2)

    def rows(self, longest: float) -> int:
        """Variances whose nodes are held at once."""
        return max(1, int(NUMBERS / NODES / (len(self.edges) + 2 * self.reach / longest)))

    def second_moment(self, f: Function, q: Floats) -> Floats:
        """E[f(sqrt(q) z)^2] for variances q (Q,)."""
        out = np.empty_like(q)
        rows = self.rows(1.0)
        for start in range(0, len(q), rows):
            part = slice(start, start + rows)
            z, w = self.rule(q[part], 1.0)
            out[part] = np.einsum("qm,qm,qm->q", w, *[apply(f, np.sqrt(q[part])[:, None] * z)] * 2)
        return out


def gaussian_nodes(edges: Floats) -> tuple[Floats, Floats]:
    """Nodes and weights (..., n) for E[g(z)], z ~ N(0, 1), on panels with the given edges (..., p)."""
    z, w = nodes(edges)
    return z, w * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)


def nodes(edges: Floats) -> tuple[Floats, Floats]:
    """Gauss-Legendre nodes and weights (..., n) on panels with the given edges (..., p)."""
    half = np.diff(edges)[..., None] / 2
    z = edges[..., :-1, None] + half * (X + 1)
    # Panels without length count for nothing, but a function may have no value just there.
    z = np.where(half > 0, z, SOMEWHERE * edges[..., -1:, None])
    return z.reshape(*edges.shape[:-1], -1), (half * W).reshape(*edges.shape[:-1], -1)


def panels(functions: Sequence[Function], breaks: Sequence[float], largest: float) -> Panels:
    """Panels that resolve the functions for Gaussians of variances up to `largest`.

    Raises:
        UnsettledError: the sentence says what is in the way: too fast changes, too fast growth, or a value not finite.
    """
    root = float(np.sqrt(largest))
    for reach in REACHES:
        ends = np.array([-1.0, 1.0]) * reach * root
        z, w = gaussian_nodes(np.linspace(-reach, reach, 2 * int(reach) + 1))
        beyond = 0.0
        for f in functions:
            with np.errstate(over="ignore", invalid="ignore"):
                at_ends = float(np.abs(apply(f, ends)).max())
                size = float(np.sqrt((np.square(apply(f, root * z)) * w).sum()))
            if not np.isfinite(at_ends + size):
                raise UnsettledError(
                    f"grows too fast for a Gaussian of variance {largest:.3g}: no finite values at {ends[1]:.3g}"
                )
            # Hermite functions h_k(z) exp(-z^2 / 4) are at most about 1, whatever k.
            beyond = max(beyond, at_ends * np.exp(-(reach**2) / 4) / size if size > 0 else at_ends)
        if beyond < 1e-9:
            kept = [b for b in breaks if abs(b) < ends[1]]
            even = _even(functions, kept, min(float(ends[1]), EVEN_UP_TO))
            return Panels(_resolve(functions, kept, float(ends[1])), np.asarray(kept, float), reach, even)
    raise UnsettledError(f"grows too fast for a Gaussian of variance {largest:.3g}")


def _resolve(functions: Sequence[Function], breaks: Sequence[float], end: float) -> Floats:
    """Edges of panels that cover [-end, end]."""
    edges = _first_edges(breaks, end)
    left, right = edges[:-1], edges[1:]
    done, depth, sizes, points = [np.array([end])], 0, None, 97
    while left.size:
        bad = np.zeros(left.shape, bool)
        measured = [_measure(f, left, right, points) for f in functions]
        if sizes is None:  # largest values of each function up to each distance from 0
            order = np.argsort(np.maximum(np.abs(left), np.abs(right)))
            places = np.maximum(np.abs(left), np.abs(right))[order]
            sizes = [np.maximum.accumulate(m[0][order]) for m in measured]
        at = np.searchsorted(places, np.maximum(np.abs(left), np.abs(right))).clip(max=len(places) - 1)
        for (local, noise, tail, miss), so_far in zip(measured, sizes, strict=True):
            allowed = np.maximum(RESOLVED * local + noise, np.maximum(ROUNDING * so_far[at], DENORMAL))
            bad |= (tail > allowed) | (miss > 100 * allowed)
        if depth == DEPTH:
            bad[:] = False
        bad &= right - left > 4 * np.spacing(np.maximum(np.abs(left), np.abs(right)))
        done.append(left[~bad])
        middle = (left[bad] + right[bad]) / 2
        left, right = np.concatenate([left[bad], middle]), np.concatenate([middle, right[bad]])
        depth, points = depth + 1, 13
        if sum(map(len, done)) + len(left) > MOST:
            raise UnsettledError(f"changes too fast, or has too few digits, to be resolved up to {end:.3g}")
    return np.sort(np.concatenate(done))


def _even(functions: Sequence[Function], breaks: Sequence[float], end: float) -> float:
    """The longest of a few lengths whose panels resolve the functions from 0 to both ends, or 0."""
    if any(breaks):
        return 0.0
    for length in EVEN_LENGTHS:
        edges = np.minimum(np.arange(np.ceil(end / length) + 1) * length, end)
        left, right = np.concatenate([-edges[1:], edges[:-1]]), np.concatenate([-edges[:-1], edges[1:]])
        measured = [_measure(f, left, right, 13) for f in functions]
        allowed = [RESOLVED * local + noise + ROUNDING * local.max() for local, noise, _, _ in measured]
        if all((m[2] <= a).all() and (m[3] <= 100 * a).all() for m, a in zip(measured, allowed, strict=True)):
            return length
    return 0.0


def _first_edges(breaks: Sequence[float], end: float) -> Floats:
    """0, the breaks, and distances from 0 by doubling, but no more than a few apart where functions mostly bend."""
    doubling = SMALLEST * 2.0 ** np.arange(80)
    near = np.arange(LARGEST_START, 24.0, LARGEST_START)
    distances = np.concatenate([doubling, near])
    distances = distances[distances < end]
    edges = np.concatenate([[0.0, end, -end], distances, -distances, np.asarray(breaks, float)])
    return np.unique(edges)


def _measure(f: Function, left: Floats, right: Floats, points: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Of each panel: largest value, rounding, last Legendre coefficients, miss of their polynomial between nodes."""
    # Points that are no nodes of any panel's halves; a golden step is never in tune with a wave.
    other = 2 * ((np.arange(1, points + 1) * 0.6180339887498949) % 1.0) - 1
    x = np.concatenate([X, other])
    half = (right - left)[:, None] / 2
    with np.errstate(over="ignore", invalid="ignore"):
        z = np.clip(left[:, None] + half * (x + 1), left[:, None], right[:, None])
        values = apply(f, z)
    if not np.isfinite(values).all():
        raise UnsettledError(f"is not finite at {z[~np.isfinite(values)][0]:.6g}")
    found = values[:, :NODES] @ COEFFICIENTS.T
    miss = np.abs(found @ legvander(other, NODES - 1).T - values[:, NODES:]).max(1)
    # An argument's own rounding, times the slope: waves of sin(30 z) lose digits with distance.
    slope = np.abs(np.diff(values[:, :NODES])) / np.maximum(half * np.diff(X), 1e-300)
    noise = 2 * np.finfo(np.float64).eps * np.maximum(np.abs(left), np.abs(right)) * slope.max(1)
    return np.abs(values).max(1), noise, np.abs(found[:, -2:]).max(1), miss
