r"""Hermite coefficients a_k(q) = E[s(sqrt(q) z) h_k(z)] of a function, with an error estimate (h_k orthonormal)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ntk_core import kinks, quadrature
from ntk_core.duals import Floats
from ntk_core.quadrature import Function

MOST_TERMS = 1024
SMOOTH_ERROR = 1e-13  # of the truncated series, relative to the largest E[s^2]
KINKED_ERROR = 1e-11
ROWS = 2048  # variances whose integrands are held at once


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
    """Coefficients of one function at variances q (Q,), as many as a stated error needs.

    The function is split into f = smooth + kappa, where kappa has the given jumps at 0 (see `ntk_core.kinks`).

    Attributes:
        smooth: (K, Q) coefficients of f - kappa.
        bent: (K, Q) coefficients of kappa, or None if there is none.
        moment: (Q,) E[(f - kappa)^2], by quadrature, not from the coefficients.
        rest: estimate of what the terms k >= K add up to at |rho| = 1.
        error: the error allowed.
    """

    def __init__(self, f: Function, jumps: Sequence[float], q: Floats):
        self.f, self.jumps, self.q = f, tuple(jumps) if any(jumps) else (), q
        terms = 32
        while True:
            self._expand(terms)
            if self.rest <= self.error or 2 * terms > MOST_TERMS:
                return
            terms *= 2

    def _expand(self, terms: int) -> None:
        largest = float(self.q.max(initial=0.0))
        # Fine enough for h_k (wave number sqrt(k)) times a function analytic within about 1 of the real line.
        step = 2 * math.pi / (math.sqrt(terms) + 30 * max(1.0, math.ceil(2 * math.sqrt(largest)) / 2))
        z, table = trapezoid(terms, step)
        self.smooth = np.empty((terms, len(self.q)))
        self.moment = np.empty(len(self.q))
        for start in range(0, len(self.q), ROWS):
            part = slice(start, start + ROWS)
            x = np.sqrt(self.q[part, None]) * z
            values = quadrature.apply(self.f, x)
            if self.jumps:
                values = values - kinks.kappa(self.jumps, x)
            self.smooth[:, part] = table @ values.T
            self.moment[part] = np.square(values) @ table[0]
        self.bent = kinks.coefficients(self.jumps, self.q, terms) if self.jumps else None
        self._bound()

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

    def factors(self, terms: int, first: bool) -> list[Floats]:
        """One side's factors (terms, Q) of s s', or of s (s' + kappa') + kappa s': the rest is in closed form."""
        smooth = self.smooth[:terms]
        if self.bent is None:
            return [smooth]
        bent = self.bent[:terms]
        return [smooth, bent] if first else [smooth + bent, smooth]
