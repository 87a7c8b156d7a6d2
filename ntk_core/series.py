"""Sums of power series in the correlation: sum_k A_k(u) B_k(v) rho^k, on tiles."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from ntk_core import kinks
from ntk_core.duals import Floats
from ntk_core.expansion import TERMS, Expansion

Expansions = tuple[Expansion, Expansion]  # of s and s'

CHUNK = 4096  # correlations whose powers are held at once: they stay in the cache


class Series:
    """Mehler's sum for two equally long expansions of one function, summed no further than it needs to be."""

    def __init__(self, left: Expansion, right: Expansion):
        self.terms = len(left.smooth)
        self.left, self.right = left.factors(first=True), right.factors(first=False)
        self.error, rest = max(left.error, right.error), max(left.rest, right.rest)
        # Largest |rho| at which what is cut off is within the error allowed.
        self.reach = 1.0 if rest <= self.error else (self.error / rest) ** (1 / self.terms)
        self.first, self.stride = self._parity()

    def _bound(self, rows: Any = slice(None), columns: Any = slice(None)) -> Floats:
        """Of the k-th term at |rho| = 1, for the given coefficients: (terms,)."""
        bound = np.zeros(self.terms)
        for a, b in zip(self.left, self.right, strict=True):
            bound += np.abs(a[:, rows]).max(1, initial=0.0) * np.abs(b[:, columns]).max(1, initial=0.0)
        return bound

    def _parity(self) -> tuple[int, int]:
        """An odd or even function has every second coefficient zero: do not sum rounding errors."""
        bound = self._bound()
        floor = 1e-30 * bound.sum()
        for parity in (0, 1):
            if (bound[1 - parity :: 2] <= floor).all():
                return parity, 2
        return 0, 1

    def length(self, rho: float, rows: Any = slice(None), columns: Any = slice(None)) -> int:
        """How many terms correlations up to |rho| need, with the coefficients of these rows and columns."""
        tail = np.cumsum((self._bound(rows, columns) * rho ** np.arange(self.terms))[::-1])[::-1]
        return max(int(np.searchsorted(-tail, -0.1 * self.error)), 1)

    def sum(self, rho: Floats, rows: Any, columns: Any) -> Floats:
        """The series at correlations rho; a factor's k-th row, indexed by rows or columns, must broadcast to rho."""
        spread = (
            next(i for i in index if i is not None) if isinstance(index, tuple) else index for index in (rows, columns)
        )
        count = self.length(float(np.abs(rho).max(initial=0.0)), *spread)
        variable = rho if self.stride == 1 else rho * rho
        total, term = np.zeros_like(rho), np.empty_like(rho)
        last = self.first + max(count - 1 - self.first, 0) // self.stride * self.stride
        for k in range(last, -1, -self.stride):
            total *= variable
            for a, b in zip(self.left, self.right, strict=True):
                total += np.multiply(a[k][rows], b[k][columns], out=term)
        if self.first:
            total *= rho
        return total

    def coefficients(self) -> Floats:
        """(terms,) coefficients of the plain polynomial in rho that this is when all variances agree."""
        return np.sum([a[:, 0] * b[:, 0] for a, b in zip(self.left, self.right, strict=True)], axis=0)


class Polynomials:
    """Both duals as functions of rho alone, where all points share the variance q.

    Mehler's sums are then plain polynomials, and so are the three parts of kappa with kappa. Powers of rho up to about
    the root of the length are made once and multiplied by all coefficients at once; what remains is Horner's rule in
    the highest of them.
    """

    def __init__(self, series: list[Series], jumps: Sequence[float], q: float):
        self.series = series
        self.bent = any(jumps)
        self.stride = 1 if self.bent else min(s.stride for s in series)
        rows = [s.coefficients() for s in series]
        if self.bent:
            for part in (jumps, jumps[1:]):
                rows += list(kinks.uniform_polynomials(part, q))
        self.odd = [self.stride == 2 and s.first == 1 for s in series]
        rows = [row[int(f < 2 and self.odd[f]) :: self.stride] for f, row in enumerate(rows)]
        self.rows = np.zeros((len(rows), max(map(len, rows))))
        for padded, row in zip(self.rows, rows, strict=True):
            padded[: len(row)] = row

    def __call__(self, rho: Floats) -> list[Floats]:
        """[E[s s], E[s' s']] at correlations of any shape."""
        flat = rho.ravel()
        table = self._table(float(np.abs(flat).max(initial=0.0)))
        out = np.empty((2, flat.size))
        powers = np.empty((table.shape[2] + 1, min(CHUNK, flat.size)))
        for start in range(0, flat.size, CHUNK):
            part = flat[start : start + CHUNK]
            values = _evaluate(table, part if self.stride == 1 else part * part, powers[:, : part.size])
            for f in (0, 1):
                if self.odd[f]:
                    values[f] *= part
                if self.bent:
                    values[f] += kinks.combined(values[2 + 3 * f : 5 + 3 * f], part)
            out[:, start : start + CHUNK] = values[:2]
        return [row.reshape(rho.shape) for row in out]

    def _table(self, largest: float) -> Floats:
        """Coefficients that correlations up to `largest` need, (groups, functions, powers)."""
        count = max(s.length(largest) for s in self.series) // self.stride + 1
        count = min(max(count, kinks.ORDERS if self.bent else 1), self.rows.shape[1])
        size = max(2, math.isqrt(len(self.rows) * count))
        groups = -(-count // size)
        padded = np.zeros((len(self.rows), groups * size))
        padded[:, :count] = self.rows[:, :count]
        return np.ascontiguousarray(padded.reshape(len(self.rows), groups, size).transpose(1, 0, 2))


def _evaluate(table: Floats, x: Floats, powers: Floats) -> Floats:
    """Polynomials with coefficients table (groups, functions, size) at x (T,): (functions, T)."""
    groups, functions, size = table.shape
    powers[0] = 1.0
    for k in range(1, size + 1):
        np.multiply(powers[k - 1], x, out=powers[k])
    flat = torch.from_numpy(table.reshape(-1, size))
    sums = torch.mm(flat, torch.from_numpy(powers[:size])).numpy().reshape(groups, functions, x.size)
    total = sums[-1]
    for group in sums[-2::-1]:
        total *= powers[size]
        total += group
    return total


class Rung(NamedTuple):
    """Series of s and s' of one length, and their polynomials where all points share one variance."""

    series: list[Series]
    polynomials: Polynomials | None


class Ladder:
    """Series of growing length, made when a tile first asks for them.

    Which of them a tile uses depends on its own correlations alone, so results do not depend on the order of tiles.
    """

    def __init__(self, left: Expansions, right: Expansions, jumps: Sequence[float] = (), uniform: float | None = None):
        self.left, self.right, self.jumps, self.uniform = left, right, jumps, uniform
        self._rungs: dict[int, Rung] = {}
        self._making = threading.Lock()

    def reaching(self, rho: Floats) -> Rung:
        """The shortest series that are within the error allowed at all of rho, or the longest there are."""
        largest = float(np.abs(rho).max(initial=0.0))
        for terms in TERMS:
            rung = self._rung(terms)
            if all(s.reach >= largest for s in rung.series):
                break
        return rung

    def _rung(self, terms: int) -> Rung:
        with self._making:
            if terms not in self._rungs:
                left = [e.grown(terms) for e in self.left]
                right = left if self.right is self.left else [e.grown(terms) for e in self.right]
                series = [Series(a, b) for a, b in zip(left, right, strict=True)]
                polynomials = None if self.uniform is None else Polynomials(series, self.jumps, self.uniform)
                self._rungs[terms] = Rung(series, polynomials)
            return self._rungs[terms]
