r"""Hermite coefficients a_k(q) = E[s(sqrt(q) z) h_k(z)] of a function, with an error estimate (h_k orthonormal)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch

from ntk_core.duals import kinks, quadrature
from ntk_core.duals.closed_forms import Floats, inverse_root
from ntk_core.duals.interpolation import through_nodes
from ntk_core.duals.quadrature import Function

TERMS = (64, 128, 256, 512, 1024)  # numbers of terms that are tried
SMOOTH_ERROR = 1e-12  # of the truncated series, relative to the largest E[s^2]
KINKED_ERROR = 1e-11
ROWS = 256  # variances whose integrands are made at once


@lru_cache(maxsize=32)
def trapezoid(terms: int, step: float) -> tuple[Floats, Floats]:
    """Nodes z (M,) of the trapezoid rule, which is exponentially accurate here, and h_k(z) phi(z) step (terms, M)."""
    half = math.ceil(quadrature.REACH / step)
    z = np.asarray(np.arange(-half, half + 1) * step, dtype=np.float64)
    table = np.empty((terms, len(z)))
    table[0] = np.exp(-z * z / 2) * (step / math.sqrt(2 * math.pi))
    table[1] = z * table[0]
    for k in range(1, terms - 1):
        table[k + 1] = (z * table[k] - math.sqrt(k) * table[k - 1]) / math.sqrt(k + 1)
    return z, table


class Expansion:
    """Coefficients of one function at variances q (Q,), with an estimate of what is cut off.

    The function is split into f = smooth + kappa, where kappa has the given jumps at 0 (see `duals.kinks`). Further
    breaks, where it is not analytic, are heeded by the quadrature; there the coefficients fall off slowly.

    Attributes:
        smooth: (K, Q) coefficients of f - kappa.
        bent: (K, Q) coefficients of kappa, or None if there is none.
        moment: (Q,) E[(f - kappa)^2], by quadrature, not from the coefficients.
        rest: estimate of what the terms k >= K add up to at |rho| = 1.
        error: the error allowed.
    """

    def __init__(
        self, f: Function, jumps: Sequence[float], q: Floats, breaks: Sequence[float] = (), terms: int = TERMS[0]
    ):
        self.f, self.jumps, self.q = f, tuple(jumps) if any(jumps) else (), q
        self.breaks = tuple(breaks)
        self._largest = float(q.max(initial=0.0))
        expand = self._piecewise if self.breaks else self._analytic
        rows = through_nodes(lambda variances: expand(variances, terms), q)
        self.smooth, self.moment = rows[:-1], rows[-1]
        self.bent = kinks.coefficients(self.jumps, q, terms) if self.jumps else None
        self._bound()

    def _remainder(self, x: Floats) -> Floats:
        values = quadrature.apply(self.f, x)
        return values - kinks.kappa(self.jumps, x) if self.jumps else values

    def _analytic(self, q: Floats, terms: int) -> Floats:
        """Coefficients and second moment (terms + 1, Q) by the trapezoid rule, one matrix product for all variances."""
        # Fine enough for h_k (wave number sqrt(k)) times a function analytic within about 1 of the real line.
        step = 2 * math.pi / (math.sqrt(terms) + 30 * max(1.0, math.ceil(2 * math.sqrt(self._largest)) / 2))
        z, table = trapezoid(terms, step)
        values = np.empty((len(z), len(q)))
        out = np.empty((terms + 1, len(q)))
        for start in range(0, len(q), ROWS):
            part = slice(start, start + ROWS)
            values[:, part] = self._remainder(z[:, None] * np.sqrt(q[part]))
            out[-1, part] = np.einsum("m,mq->q", table[0], np.square(values[:, part]))
        torch.mm(torch.from_numpy(table), torch.from_numpy(values), out=torch.from_numpy(out[:-1]))
        return out

    def _piecewise(self, q: Floats, terms: int) -> Floats:
        """The same between the breaks, whose place in z depends on the variance: each variance has nodes of its own."""
        out = np.empty((terms + 1, len(q)))
        for start in range(0, len(q), ROWS):
            part = slice(start, start + ROWS)
            root = np.sqrt(q[part])[:, None]
            places = np.asarray(self.breaks) * inverse_root(np.square(root))
            z, w = quadrature.gaussian_rule(max(self._largest, terms / 25), places)
            values = self._remainder(root * z)
            out[-1, part] = (np.square(values) * w).sum(-1)
            values *= w
            before, polynomial = np.zeros_like(z), np.ones_like(z)
            for k in range(terms):
                out[k, part] = np.einsum("qm,qm->q", values, polynomial)
                before, polynomial = polynomial, (z * polynomial - math.sqrt(k) * before) / math.sqrt(k + 1)
        return out

    def grown(self, terms: int) -> Expansion:
        """The same with that many terms."""
        if len(self.smooth) == terms:
            return self
        return Expansion(self.f, self.jumps, self.q, self.breaks, terms)

    def _bound(self) -> None:
        """The last coefficients tell what follows, unless Parseval says that most is still to come."""
        terms = len(self.smooth)
        missing = self.moment - np.square(self.smooth).sum(0)
        smooth = np.where(missing > 1e-9 * self.moment, missing, terms * np.square(self.smooth[-4:]).max(0))
        self.rest = float(smooth.max(initial=0.0))
        if self.bent is None:
            self.error = SMOOTH_ERROR * float(self.moment.max(initial=0.0))
            return
        self.rest += 2 * terms * float(np.abs(self.smooth[-4:] * self.bent[-4:]).max(initial=0.0))
        self.error = KINKED_ERROR * float(np.square(self.bent + self.smooth).sum(0).max(initial=0.0))

    def factors(self, first: bool) -> list[Floats]:
        """One side's factors (K, Q) of s s', or of s (s' + kappa') + kappa s': the rest is in closed form."""
        if self.bent is None:
            return [self.smooth]
        return [self.smooth, self.bent] if first else [self.smooth + self.bent, self.smooth]
