r"""Both duals of single pairs, for what series reach too slowly: correlations near +-1 at large variances.

With independent standard Gaussians w, x, y and r = |rho|, a pair is u = sqrt(q_u) (sqrt(r) w + sqrt(1 - r) x) and v
likewise with y and rho's sign, so that

    E[s(u) s(v)] = E_w[ G_u(sqrt(q_u r) w) G_v(+-sqrt(q_v r) w) ] ,     G_u(m) = E_x[s(m + sqrt(q_u (1 - r)) x)] .

The smoothed functions G have no jumps or bends: their scale is that of s or of the smoothing, whichever is larger, and
both integrals follow the panels on which s is resolved. 1 - r comes from the sine, so that nothing is lost near 1.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.polynomial.chebyshev import chebfit, chebpts1, chebval
from numpy.typing import NDArray

from ntk_core.duals import quadrature
from ntk_core.duals.closed_forms import Floats
from ntk_core.duals.quadrature import Function, Panels

LONGEST, INNER = 2.0, 2.9  # standard deviations a panel, of w and of x
PRODUCT = 0.65  # of the reach that leaves nothing of a Hermite function times s: enough for s alone
AROUND = np.array([1.0, 2.5, 4.5, 9.0])  # standard deviations of the smoothing, from where a function bends
# A panel resolved by 16 nodes is one of a function analytic within 1.6 of its length: Gauss and Hermite's rule then
# leaves 1e-13 of a smoothing by less than half of the length.
HERMITE, NARROW = 24, 0.4
CACHED = 1 << 15  # numbers of an array of inner nodes
FEW = 64  # pairs that are always integrated one by one
CURVE_NODES = 24  # angles of an octave
CURVE_TAIL = 1e-12  # of the last coefficients of a curve
SAME = 1e-14  # variances that agree to this, relative, are one variance
SETTLED = 1e-10  # difference from twice as many panels that is allowed, relative to what Cauchy and Schwarz allow


@lru_cache(maxsize=2)
def _hermite(count: int) -> tuple[Floats, Floats]:
    x, w = np.polynomial.hermite_e.hermegauss(count)
    return x, w / np.sqrt(2 * np.pi)


class Direct:
    """Pairs of variances (q_u, q_v), one at a time.

    Args:
        functions: s and s'.
        panels: where both are resolved.
        halved: whether every panel is cut in two, as a check on the rest.
    """

    def __init__(self, functions: Sequence[Function], panels: Panels, halved: bool = False):
        self.functions, self.panels, self.halved = functions, panels, halved

    def pair(self, q_u: float, q_v: float, rho: float, sine: float) -> Floats:
        """[E[s s], E[s' s']] for a correlation rho != 0 with sqrt(1 - rho^2) = sine."""
        size = abs(rho)
        gap = sine**2 / (1 + size)
        roots = [float(np.sqrt(q_u * size)), float(np.sqrt(q_v * size)) * float(np.sign(rho))]
        spreads = [float(np.sqrt(q_u * gap)), float(np.sqrt(q_v * gap))]
        w, weights = quadrature.gaussian_nodes(self._edges(roots, spreads))
        kept = np.nonzero(weights)[0]
        w, weights = w[kept], weights[kept]
        left = self._smoothed(roots[0] * w, spreads[0])
        same = roots[0] == roots[1]
        right = left if same else self._smoothed(roots[1] * w, spreads[1])
        return np.asarray((left * right) @ weights)

    def _edges(self, roots: list[float], spreads: list[float]) -> Floats:
        """Ends of the outer panels, in standard deviations of w."""
        reach = PRODUCT * self.panels.reach
        edges = [np.linspace(-reach, reach, int(np.ceil(2 * reach / LONGEST)) + 1)]
        for root, spread in zip(roots, spreads, strict=True):
            around = spread * np.concatenate([-AROUND, AROUND])
            own = self._apart(self.panels.edges, spread / 2)
            edges += [e / root for e in (own, self.panels.breaks, np.add.outer(self.panels.breaks, around).ravel())]
        joined = np.unique(np.clip(np.concatenate(edges), -reach, reach))
        return self._cut(joined)

    def _apart(self, edges: Floats, distance: float) -> Floats:
        """Some of the edges, no two closer than a distance: after smoothing there is nothing to resolve between."""
        if distance == 0 or len(edges) < 3:
            return edges
        _, first = np.unique(np.floor(edges / (2 * distance)), return_index=True)
        return edges[first]

    def _cut(self, edges: Floats) -> Floats:
        if not self.halved:
            return edges
        return np.sort(np.concatenate([edges, (edges[..., 1:] + edges[..., :-1]) / 2], axis=-1), axis=-1)

    def _smoothed(self, means: Floats, spread: float) -> Floats:
        """E[f(m + spread x)] of both functions at means (n,): (2, n)."""
        if spread == 0.0:
            return np.stack([quadrature.apply(f, means) for f in self.functions])
        if not self.panels.breaks.size and spread <= NARROW * self.panels.even:
            x, w = _hermite(HERMITE * (1 + self.halved))
            at = means[:, None] + spread * x
            return np.stack([quadrature.apply(f, at) @ w for f in self.functions])
        edges, reach = self.panels.edges, PRODUCT * self.panels.reach
        first = np.searchsorted(edges, means - reach * spread, side="right")
        last = np.searchsorted(edges, means + reach * spread, side="left")
        out = np.empty((len(self.functions), len(means)))
        even = np.linspace(-reach, reach, int(np.ceil(2 * reach / INNER)) + 1)
        for part in _parts(last - first + len(even)):
            count = int((last - first)[part].max())
            places = np.minimum(first[part, None] + np.arange(count), np.maximum(last[part, None] - 1, 0))
            own = (edges[places.clip(max=len(edges) - 1)] - means[part, None]) / spread
            own = np.clip(own, -reach, reach)
            ends = np.sort(np.concatenate([own, np.broadcast_to(even, (len(own), len(even)))], 1), 1)
            x, w = quadrature.gaussian_nodes(self._cut(ends))
            at = means[part, None] + spread * x
            for row, f in zip(out, self.functions, strict=True):
                row[part] = np.einsum("nm,nm->n", quadrature.apply(f, at), w)
        return out


def _parts(panels: NDArray[np.int64]) -> list[slice]:
    """Slices of neighbours, which need about as many panels as each other, whose nodes fit into the cache."""
    rows = max(1, int(CACHED / quadrature.NODES / max(1, int(panels.max()))))
    return [slice(start, min(start + rows, len(panels))) for start in range(0, len(panels), rows)]


class Pairs:
    """Both duals of many pairs: one by one, or where many share their variances, along a curve in the angle.

    Args:
        direct: makes the integrals, when they are first needed.
        name: of the activation, where it is refused.
    """

    def __init__(self, direct: Callable[[], Direct], name: str):
        self.name, self._make = name, direct
        self._direct: Direct | None = None
        self._curves: dict[tuple[float, float, bool, int], Floats | None] = {}
        self._making = threading.Lock()

    def __call__(self, q_u: Floats, q_v: Floats, rho: Floats, sine: Floats) -> Floats:
        """[E[s s], E[s' s']] (2, P) for pairs (P,).

        Raises:
            ValueError: twice as many panels give another number.
        """
        with self._making:
            if self._direct is None:
                self._direct = self._checked(q_u, q_v, rho, sine)
        out = np.full((2, len(rho)), np.nan)
        if len(rho) > FEW and np.ptp(q_u) <= SAME * q_u.max() and np.ptp(q_v) <= SAME * q_v.max():
            self._along_curves(float(q_u[0]), float(q_v[0]), rho, sine, out)
        for k in np.nonzero(np.isnan(out[0]))[0]:
            out[:, k] = self._direct.pair(float(q_u[k]), float(q_v[k]), float(rho[k]), float(sine[k]))
        return out

    def _checked(self, q_u: Floats, q_v: Floats, rho: Floats, sine: Floats) -> Direct:
        """The integrals, after twice as many panels agree for the widest pair and for the closest."""
        direct = self._make()
        twice = Direct(direct.functions, direct.panels, halved=True)
        for k in {int(np.argmax(sine)), int(np.argmin(np.where(sine > 0, sine, 2.0)))}:
            self._check(direct, twice, (float(q_u[k]), float(q_v[k]), float(rho[k]), float(sine[k])))
        return direct

    def _check(self, direct: Direct, twice: Direct, pair: tuple[float, float, float, float]) -> None:
        moments = [[direct.panels.second_moment(f, np.array([q]))[0] for q in pair[:2]] for f in direct.functions]
        size = np.sqrt(np.prod(moments, axis=1))
        if not (np.abs(direct.pair(*pair) - twice.pair(*pair)) <= SETTLED * size).all():
            raise ValueError(
                f"activation: {self.name!r} does not settle at variance {max(pair[:2]):.3g} and correlation "
                f"{pair[2]:.6g}; take inputs of smaller norm"
            )

    def _along_curves(self, q_u: float, q_v: float, rho: Floats, sine: Floats, out: Floats) -> None:
        """Fills in pairs from polynomials in the logarithm of the angle, an octave each, where octaves hold many."""
        angle, opposite = np.arctan2(sine, np.abs(rho)), rho < 0
        with np.errstate(divide="ignore"):
            octave = np.floor(np.log2(angle))
        for side in (False, True):
            for k in np.unique(octave[(opposite == side) & (angle > 0)]):
                here = np.nonzero((octave == k) & (opposite == side))[0]
                curve = self._curve(q_u, q_v, side, int(k)) if len(here) > CURVE_NODES else None
                if curve is not None:
                    out[:, here] = chebval(2 * (np.log2(angle[here]) - k) - 1, curve.T)
            ends = np.nonzero((angle == 0) & (opposite == side))[0]
            if ends.size:
                assert self._direct is not None
                out[:, ends] = self._direct.pair(q_u, q_v, -1.0 if side else 1.0, 0.0)[:, None]

    def _curve(self, q_u: float, q_v: float, opposite: bool, octave: int) -> Floats | None:
        """Chebyshev coefficients (2, n) between the angles 2^octave and twice that, or None if they do not settle."""
        key = (q_u, q_v, opposite, octave)
        with self._making:
            if key not in self._curves:
                assert self._direct is not None
                angles = 2.0 ** (octave + (chebpts1(CURVE_NODES) + 1) / 2)
                sign = -1.0 if opposite else 1.0
                values = [self._direct.pair(q_u, q_v, sign * np.cos(a), np.sin(a)) for a in angles]
                found: Floats = np.asarray(chebfit(chebpts1(CURVE_NODES), np.array(values), CURVE_NODES - 1).T, float)
                size = np.abs(found).max(1)
                self._curves[key] = found if (np.abs(found[:, -3:]).max(1) <= CURVE_TAIL * size).all() else None
            return self._curves[key]
