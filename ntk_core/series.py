"""Sums of power series in the correlation: sum_k A_k(u) B_k(v) rho^k, on tiles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from ntk_core.duals import Floats
from ntk_core.expansion import Expansion

CHUNK = 4096  # correlations whose powers are held at once: they stay in the cache


class Series:
    """Mehler's sum for two expansions of one function, no longer than it needs to be."""

    def __init__(self, left: Expansion, right: Expansion):
        self.terms = min(len(left.smooth), len(right.smooth))
        self.left = left.factors(self.terms, first=True)
        self.right = right.factors(self.terms, first=False)
        self.error, rest = max(left.error, right.error), max(left.rest, right.rest)
        # Largest |rho| at which what is cut off is within the error allowed.
        self.reach = 1.0 if rest <= self.error else (self.error / rest) ** (1 / self.terms)
        self.bound = np.zeros(self.terms)  # of the k-th term at |rho| = 1
        for a, b in zip(self.left, self.right, strict=True):
            self.bound += np.abs(a).max(1, initial=0.0) * np.abs(b).max(1, initial=0.0)
        self.first, self.stride = self._parity()

    def _parity(self) -> tuple[int, int]:
        """An odd or even function has every second coefficient zero: do not sum rounding errors."""
        floor = 1e-30 * self.bound.sum()
        for parity in (0, 1):
            if (self.bound[1 - parity :: 2] <= floor).all():
                return parity, 2
        return 0, 1

    def length(self, rho: float) -> int:
        """How many terms correlations up to |rho| need."""
        tail = np.cumsum((self.bound * rho ** np.arange(self.terms))[::-1])[::-1]
        return max(int(np.searchsorted(-tail, -0.1 * self.error)), 1)

    def sum(self, rho: Floats, rows: Any, columns: Any) -> Floats:
        """The series at correlations rho; a factor's k-th row, indexed by rows or columns, must broadcast to rho."""
        count = self.length(float(np.abs(rho).max(initial=0.0)))
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


def polynomials(series: list[Series], rho: Floats) -> list[Floats]:
    """Several series of one variance each, at correlations rho of any shape.

    Powers of rho up to about the root of the length are made once and multiplied by all coefficients at once; what
    remains is Horner's rule in the highest of them.
    """
    largest = float(np.abs(rho).max(initial=0.0))
    stride = min(s.stride for s in series)
    count = max(s.length(largest) for s in series) // stride + 1
    size = max(2, math.isqrt(2 * count))  # powers made
    groups = -(-count // size)
    table = torch.zeros(groups * len(series), size, dtype=torch.float64)
    for f, s in enumerate(series):
        c = s.coefficients()[s.first % stride :: stride][: groups * size]
        padded = np.zeros(groups * size)
        padded[: len(c)] = c
        table[f :: len(series)] = torch.from_numpy(padded.reshape(groups, size))
    flat = rho.reshape(-1)
    out = np.empty((len(series), flat.size))
    powers = np.empty((size + 1, min(CHUNK, flat.size)))
    for start in range(0, flat.size, CHUNK):
        part = flat[start : start + CHUNK]
        _evaluate(table, part if stride == 1 else part * part, powers[:, : part.size], out[:, start : start + CHUNK])
        for f, s in enumerate(series):
            if stride == 2 and s.first:
                out[f, start : start + CHUNK] *= part
    return [row.reshape(rho.shape) for row in out]


def _evaluate(table: torch.Tensor, x: Floats, powers: Floats, out: Floats) -> None:
    """Polynomials with coefficients table (groups x functions, size) at x (T,), into out (functions, T)."""
    functions, size = len(out), table.shape[1]
    powers[0] = 1.0
    for k in range(1, size + 1):
        np.multiply(powers[k - 1], x, out=powers[k])
    sums = torch.mm(table, torch.from_numpy(powers[:size])).numpy().reshape(-1, functions, x.size)
    out[...] = sums[-1]
    for group in sums[-2::-1]:
        out *= powers[size]
        out += group
