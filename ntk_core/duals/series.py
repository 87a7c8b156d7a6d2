"""Sums of power series in the correlation: sum_k A_k(u) B_k(v) rho^k, on tiles."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ntk_core.duals import kinks
from ntk_core.duals.closed_forms import Floats
from ntk_core.duals.expansion import TERMS, Expansion

Expansions = tuple[Expansion, Expansion]  # of s and s'

TABLES = 200_000_000  # bytes that all coefficients of one call may take
FURTHER = (2048, 4096)  # numbers of terms for single pairs that the truncations do not reach
CHUNK = 4096  # correlations whose powers are held at once: they stay in the cache


class Series:
    """Mehler's sum for two equally long expansions of one function, summed no further than it needs to be."""

    def __init__(self, left: Expansion, right: Expansion):
        self.terms = len(left.smooth)
        self.left, self.right = left.factors(first=True), right.factors(first=False)
        self.error, rest = max(left.error, right.error), max(left.rest, right.rest)
        # Largest |rho| at which what is cut off is within the error allowed.
        self.reach = 1.0 if rest <= self.error else (self.error / rest) ** (1 / self.terms)
        self._bound = np.zeros(self.terms)  # of each term at |rho| = 1, relative
        sizes = [1 / np.maximum(side.size, 1e-150) for side in (left, right)]
        for a, b in zip(self.left, self.right, strict=True):
            u, v = ((np.abs(c) * size).max(1, initial=0.0) for c, size in zip((a, b), sizes, strict=True))
            self._bound += u * v
        self.first, self.stride = self._parity()

    def _parity(self) -> tuple[int, int]:
        """An odd or even function has every second coefficient zero: do not sum rounding errors."""
        floor = 1e-30 * self._bound.sum()
        for parity in (0, 1):
            if (self._bound[1 - parity :: 2] <= floor).all():
                return parity, 2
        return 0, 1

    def length(self, largest: float) -> int:
        """How many terms correlations up to `largest` need."""
        tail = np.cumsum((self._bound * largest ** np.arange(self.terms))[::-1])[::-1]
        return max(int(np.searchsorted(-tail, -0.1 * self.error)), 1)

    def sum(self, rho: Floats, largest: float, rows: Any, columns: Any) -> Floats:
        """The series at correlations rho, |rho| <= largest; a[rows] b[columns] of coefficients must broadcast to it."""
        power = torch.from_numpy(rho if self.stride == 1 else rho * rho)
        kept = slice(self.first, max(self.length(largest), self.first + 1), self.stride)
        factors = [
            (_spread(a[kept], rows), _spread(b[kept], columns)) for a, b in zip(self.left, self.right, strict=True)
        ]
        terms = zip(*(zip(*pair, strict=True) for pair in factors), strict=True)
        total = sum(a * b for a, b in next(terms)).expand(rho.shape).contiguous()
        for term in terms:
            total *= power
            for a, b in term:
                total.addcmul_(a, b)  # one pass, where NumPy would take two
        values = total.numpy()
        if self.first:
            values *= rho
        return values

    def coefficients(self) -> Floats:
        """(terms,) coefficients of the plain polynomial in rho that this is when all variances agree."""
        return np.sum([a[:, 0] * b[:, 0] for a, b in zip(self.left, self.right, strict=True)], axis=0)


def _spread(coefficients: Floats, index: Any) -> Iterable[Tensor]:
    """Rows of coefficients at an index, the last row first; an index of a tile makes views, others copy row by row."""
    if isinstance(index, tuple):
        return reversed(torch.from_numpy(coefficients[(slice(None), *index)]).unbind())
    return (torch.from_numpy(row[index]) for row in coefficients[::-1])


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

    def __call__(self, rho: Floats, largest: float) -> list[Floats]:
        """[E[s s], E[s' s']] at correlations of any shape, |rho| <= largest."""
        flat = rho.ravel()
        table = self._table(largest)
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


def tables(variances: int, bent: bool, terms: int) -> int:
    """Bytes of the coefficients of s and s', of a truncation and of all lower ones."""
    return 8 * 2 * (1 + bent) * variances * (2 * terms - TERMS[0])


def check_tables(variances: int, bent: bool, memory: int, terms: int = TERMS[0]) -> None:
    """Refuses coefficients of s and s', of this and all lower truncations, that take more than the memory."""
    needed = tables(variances, bent, terms)
    if needed > memory:
        raise ValueError(
            f"X: {variances:,} different norms need {terms} coefficients each, {needed // 10**6:,} MB where "
            f"{memory // 10**6} MB are allowed; take fewer points at once, or points of one norm"
        )


class Truncation(NamedTuple):
    """Series of s and s' of one length, and their polynomials where all points share one variance."""

    series: list[Series]
    polynomials: Polynomials | None


class Truncations:
    """Series of growing length, made when a tile first asks for them.

    Which of them a tile uses depends on its own correlations alone, so results do not depend on the order of tiles.
    """

    def __init__(
        self,
        left: Expansions,
        right: Expansions,
        jumps: Sequence[float] = (),
        uniform: float | None = None,
        memory: int = TABLES,
    ):
        self.left, self.right, self.jumps, self.uniform, self.memory = left, right, jumps, uniform, memory
        sides = [left[0]] if right is left else [left[0], right[0]]
        self._variances = sum(len(side.q) for side in sides)
        self._truncations: dict[int, Truncation] = {}
        self._beyond: dict[int, list[Series]] = {}
        self._making = threading.Lock()

    def reaching(self, largest: float) -> Truncation:
        """The shortest series that are within the error allowed up to that |rho|, or the longest there are."""
        for terms in TERMS:
            truncation = self._truncation(terms)
            if all(s.reach >= largest for s in truncation.series):
                break
        return truncation

    def beyond(self, terms: int) -> list[Series] | None:
        """Series longer than any other, for single pairs; None if their tables, in work and kept, are too large."""
        if tables(self._variances, self.left[0].bent is not None, 2 * terms) > self.memory:
            return None
        with self._making:
            if terms not in self._beyond:
                self._beyond[terms] = self._series(terms)
            return self._beyond[terms]

    def _series(self, terms: int) -> list[Series]:
        left = [e.grown(terms) for e in self.left]
        right = left if self.right is self.left else [e.grown(terms) for e in self.right]
        return [Series(a, b) for a, b in zip(left, right, strict=True)]

    def _truncation(self, terms: int) -> Truncation:
        with self._making:
            if terms not in self._truncations:
                check_tables(self._variances, self.left[0].bent is not None, self.memory, terms)
                series = self._series(terms)
                polynomials = None if self.uniform is None else Polynomials(series, self.jumps, self.uniform)
                self._truncations[terms] = Truncation(series, polynomials)
            return self._truncations[terms]
