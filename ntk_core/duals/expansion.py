r"""Hermite coefficients a_k(q) = E[s(sqrt(q) z) h_k(z)] of a function, with an error estimate (h_k orthonormal)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch

from ntk_core.duals import kinks, quadrature
from ntk_core.duals.closed_forms import Floats
from ntk_core.duals.interpolation import through_nodes
from ntk_core.duals.quadrature import Function, Panels

TERMS = (64, 128, 256, 512, 1024)  # numbers of terms that are tried
SMOOTH_ERROR = 1e-12  # of the truncated series, relative to what Cauchy and Schwarz allow a pair
KINKED_ERROR = 1e-11
UNSEEN = 1e-12  # of E[s^2]: what the coefficients may leave to quadrature's rounding
ROWS = 256  # variances whose integrands are made at once
SHARED_UP_TO = 16.0  # variance; above it functions are too sharp for nodes that do not follow them


@lru_cache(maxsize=8)
def trapezoid(terms: int, step: float) -> tuple[Floats, Floats]:
    """Nodes z (M,) of the trapezoid rule, exponentially accurate for what is analytic, and h_k(z) phi(z) step."""
    half = math.ceil(quadrature.REACHES[0] / step)
    z = np.asarray(np.arange(-half, half + 1) * step, dtype=np.float64)
    return z, _weighted(terms, z, np.exp(-z * z / 2) * (step / math.sqrt(2 * math.pi)))


@lru_cache(maxsize=4)
def legendre(terms: int, panels: int, reach: float) -> tuple[Floats, Floats]:
    """The same of panels side by side, `panels` on each side of 0, where functions may bend."""
    z, w = quadrature.gaussian_nodes(np.linspace(-reach, reach, 2 * panels + 1))
    return z, _weighted(terms, z, w)


def _weighted(terms: int, z: Floats, weights: Floats) -> Floats:
    table = np.empty((terms, len(z)))
    table[0] = weights
    table[1] = z * table[0]
    for k in range(1, terms - 1):
        table[k + 1] = (z * table[k] - math.sqrt(k) * table[k - 1]) / math.sqrt(k + 1)
    return table


class Expansion:
    """Coefficients of one function at variances q (Q,), with an estimate of what is cut off.

    The function is split into f = smooth + kappa, where kappa has the given jumps at 0 (see `duals.kinks`).

    Args:
        f: the function.
        jumps: of kappa.
        q: variances.
        panels: makes those where f is resolved, when they are needed.
        analytic: whether f is known to be analytic within 1 of the real line.
        terms: how many coefficients.

    Attributes:
        smooth: (K, Q) coefficients of f - kappa.
        bent: (K, Q) coefficients of kappa, or None if there is none.
        moment: (Q,) E[(f - kappa)^2], by quadrature, not from the coefficients.
        size: (Q,) sqrt(E[f^2]); products of two bound the pair's dual, and errors are relative to them.
        rest: estimate of what the terms k >= K add up to at |rho| = 1, relative.
        error: the relative error allowed.
    """

    def __init__(
        self,
        f: Function,
        jumps: Sequence[float],
        q: Floats,
        panels: Callable[[], Panels],
        terms: int = TERMS[0],
        analytic: bool = False,
    ):
        self.f, self.jumps, self.q, self.panels = f, tuple(jumps) if any(jumps) else (), q, panels
        self.analytic = analytic and float(q.max(initial=0.0)) <= SHARED_UP_TO
        self._largest = float(q.max(initial=0.0))
        self._shared = self._shared_rule(terms)
        expand = self._piecewise if self._shared is None else self._together
        rows = through_nodes(lambda variances: expand(variances, terms), q)
        self.smooth, self.moment = rows[:-1], rows[-1]
        self.bent = kinks.coefficients(self.jumps, q, terms) if self.jumps else None
        self._bound()

    def _remainder(self, x: Floats) -> Floats:
        values = quadrature.apply(self.f, x)
        return values - kinks.kappa(self.jumps, x) if self.jumps else values

    def _shared_rule(self, terms: int) -> tuple[Floats, Floats] | None:
        """Nodes in z that do for all variances, and h_k(z) phi(z) times their weights; None if they would be many."""
        if terms > TERMS[-1]:
            return None
        root = math.ceil(2 * math.sqrt(self._largest)) / 2
        if self.analytic:
            # Fine enough for h_k (wave number sqrt(k)) times a function analytic within about 1 of the real line.
            return trapezoid(terms, 2 * math.pi / (math.sqrt(terms) + 30 * max(1.0, root)))
        panels = self.panels()
        if not panels.even or self._largest > SHARED_UP_TO:
            return None
        longest = min(1.3, 16 / math.sqrt(terms), panels.even / max(root, 0.5))
        return legendre(terms, math.ceil(panels.reach / longest), panels.reach)

    def _together(self, q: Floats, terms: int) -> Floats:
        """Coefficients and second moment (terms + 1, Q), one matrix product for many variances."""
        assert self._shared is not None
        z, table = self._shared
        out = np.empty((terms + 1, len(q)))
        for start in range(0, len(q), ROWS):
            part = slice(start, start + ROWS)
            values = self._remainder(z[:, None] * np.sqrt(q[part]))
            out[-1, part] = np.einsum("m,mq->q", table[0], np.square(values))
            out[:-1, part] = torch.mm(torch.from_numpy(table), torch.from_numpy(values)).numpy()
        return out

    def _piecewise(self, q: Floats, terms: int) -> Floats:
        """The same on the function's panels, whose place in z depends on the variance: each has nodes of its own."""
        panels, out = self.panels(), np.empty((terms + 1, len(q)))
        longest = min(1.3, 16 / math.sqrt(terms))  # h_k waves with wave number sqrt(k)
        rows = max(1, panels.rows(longest) // 8)  # so that a strip of them stays in the cache
        for start in range(0, len(q), rows):
            part = slice(start, start + rows)
            root = np.sqrt(q[part])[:, None]
            z, w = panels.rule(q[part], longest)
            values = self._remainder(root * z)
            out[-1, part] = (np.square(values) * w).sum(-1)
            values *= w
            x, before, polynomial = torch.from_numpy(z), torch.zeros(z.shape).double(), torch.ones(z.shape).double()
            for k in range(terms):  # in place: this loop is all that large variances cost
                out[k, part] = np.einsum("qm,qm->q", values, polynomial.numpy())
                before.mul_(-math.sqrt(k / (k + 1))).addcmul_(x, polynomial, value=1 / math.sqrt(k + 1))
                before, polynomial = polynomial, before
        return out

    def grown(self, terms: int) -> Expansion:
        """The same with that many terms."""
        if len(self.smooth) == terms:
            return self
        return Expansion(self.f, self.jumps, self.q, self.panels, terms, self.analytic)

    def _bound(self) -> None:
        """The last coefficients tell what follows, unless Parseval says that more is still to come."""
        terms = len(self.smooth)
        total = self.moment if self.bent is None else np.square(self.bent + self.smooth).sum(0)
        self.size = np.sqrt(total)
        allowed = np.maximum(total, 1e-300)
        missing = self.moment - np.square(self.smooth).sum(0)
        follows = terms * np.square(self.smooth[-4:]).max(0)
        rest = np.where(missing > UNSEEN * self.moment, np.maximum(missing, follows), follows)
        if self.bent is not None:
            rest = rest + 2 * terms * np.abs(self.smooth[-4:] * self.bent[-4:]).max(0)
        self.rest = float((rest / allowed).max(initial=0.0))
        self.error = SMOOTH_ERROR if self.bent is None else KINKED_ERROR

    def factors(self, first: bool) -> list[Floats]:
        """One side's factors (K, Q) of s s', or of s (s' + kappa') + kappa s': the rest is in closed form."""
        if self.bent is None:
            return [self.smooth]
        return [self.smooth, self.bent] if first else [self.smooth + self.bent, self.smooth]
