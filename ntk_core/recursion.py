"""The recursion of the limiting kernels on blocks of the matrix: all layers of a block before the next block.

Blocks are products of points; their elementwise work is done on strips that stay in a core's cache.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ntk_core.architecture import Architecture
from ntk_core.duals import SNAP, Floats, Homogeneous, Side, inverse_root

STRIP = 16384  # elements of a strip: the few arrays of them that are in use fill half a megabyte


class Recursion:
    """Both kernels between X (N, n_in) and X2 (M, n_in), or X itself, for any activation.

    Attributes:
        shape: (N, M).
        symmetric: whether X2 is X.
        diagonal: (nngp, ntk) of each point with itself, (2, N); from the variances alone.
    """

    def __init__(self, arch: Architecture, X: Floats, X2: Floats | None = None):
        self.beta2 = arch.beta**2
        self.symmetric = X2 is None
        self.left = _with_bias(arch, X)
        self.right = self.left if X2 is None else _with_bias(arch, X2)
        self.shape = (len(self.left), len(self.right))
        self.sides = self._sides(arch)
        self._prepare(arch)

    def _sides(self, arch: Architecture) -> list[tuple[Side, Side]]:
        """Variances layer by layer."""
        duals, sides = arch.sigma.duals, []
        q_u, q_v = np.einsum("ij,ij->i", self.left, self.left), np.einsum("ij,ij->i", self.right, self.right)
        ntk = q_u
        for _ in range(arch.depth - 1):
            largest = float(max(q_u.max(), q_v.max()))
            left = duals.side(q_u, largest)
            right = left if self.symmetric else duals.side(q_v, largest)
            sides.append((left, right))
            q_u, q_v = left.diagonal[0] + self.beta2, right.diagonal[0] + self.beta2
            ntk = ntk * left.diagonal[1] + q_u
        self.diagonal = np.stack([q_u, ntk])
        return sides

    def _prepare(self, arch: Architecture) -> None:
        self.layers = [arch.sigma.duals.tile(left, right) for left, right in self.sides]

    def block(self, rows: slice, columns: slice, nngp: Floats, ntk: Floats) -> None:
        """Writes both kernels between the points of rows and columns; nngp and ntk may be views."""
        own = self.symmetric and rows == columns
        gram = None if own else self._gram(rows, columns)
        height, width = rows.stop - rows.start, columns.stop - columns.start
        step = max(1, STRIP // width)
        for start in range(0, height, step):
            part = slice(start, min(start + step, height))
            strip = slice(rows.start + part.start, rows.start + part.stop)
            if gram is None:  # only what lies above the diagonal, and what a strip has below it
                right = slice(strip.start, columns.stop)
                self._strip(strip, right, self._gram(strip, right), nngp[part, start:], ntk[part, start:])
            else:
                self._strip(strip, columns, gram[part], nngp[part], ntk[part])
        if own:
            for kernel, diagonal in zip((nngp, ntk), self.diagonal, strict=True):
                kernel[...] = np.triu(kernel, 1) + np.triu(kernel, 1).T
                np.fill_diagonal(kernel, diagonal[rows])

    def _gram(self, rows: slice, columns: slice) -> Floats:
        return torch.mm(torch.from_numpy(self.left[rows]), torch.from_numpy(self.right[columns]).T).numpy()

    def _strip(self, rows: slice, columns: slice, cov: Floats, nngp: Floats, ntk: Floats) -> None:
        ntk[...] = cov
        if not self.layers:
            nngp[...] = cov
        for tile in self.layers:
            if self.symmetric:
                # Points with themselves come from the variances; here they would only make series long.
                _clear_diagonal(cov, rows, columns)
            value, slope = tile(rows, columns, cov)
            cov = np.add(value, self.beta2, out=nngp)
            ntk *= slope
            ntk += cov


class ArcCosine(Recursion):
    r"""The same for relu and its kin, in correlations and in place.

    With m = -rho, p = arccos(m) + psi and c = sin(theta) + rho p, one layer is

        E[s s] = (2 B / pi) sqrt(q_u q_v) c          E[s' s'] = (2 B / pi) p

    (see `ntk_core.duals.Homogeneous`; psi = 0 for relu). Both kernels are carried divided by sqrt(q_u q_v) of their
    layer, the ntk with a sign that alternates, so that no pass is spent on changing it.
    """

    def _prepare(self, arch: Architecture) -> None:
        duals = arch.sigma.duals
        assert isinstance(duals, Homogeneous)
        self.psi = np.pi / 2 * (duals.odd / duals.even - 1)
        factor = np.sqrt(2 * duals.even / np.pi)
        self.scales = []  # per layer: (a_u, a_v, b_u, b_v) with c -> -(a_u a_v c + b_u b_v)
        for layer, pair in enumerate(self.sides):
            last = layer == len(self.sides) - 1
            steps: list[Any] = []
            for k, side in enumerate(pair):
                to = np.ones_like(side.q) if last else inverse_root(self.sides[layer + 1][k].q)
                steps.append((_shared(factor * np.sqrt(side.q) * to), _shared(np.sqrt(self.beta2) * to)))
            (a_u, b_u), (a_v, b_v) = steps
            self.scales.append((a_u, a_v, b_u, b_v))
        for points, side in zip((self.left, self.right)[: 2 - self.symmetric], self.sides[0], strict=False):
            points *= (inverse_root(side.q) * (1 + SNAP / 2))[:, None]
        self._scratch = threading.local()

    def _gram(self, rows: slice, columns: slice) -> Floats:
        """-rho of the first layer."""
        a, b = torch.from_numpy(self.left[rows]), torch.from_numpy(self.right[columns])
        out = torch.empty(len(a), len(b), dtype=torch.float64)
        return torch.addmm(out, a, b.T, beta=0, alpha=-1, out=out).numpy()

    def _strip(self, rows: slice, columns: slice, cov: Floats, nngp: Floats, ntk: Floats) -> None:
        m, (p, c, t) = cov, self._buffers(cov.shape)
        sign = -1.0
        for layer, (a_u, a_v, b_u, b_v) in enumerate(self.scales):
            np.clip(m, -1.0, 1.0, out=m)
            np.arccos(m, out=p)
            if self.psi:
                p += self.psi
            np.multiply(m, m, out=c)
            np.subtract(1.0, c, out=c)
            np.sqrt(c, out=c)
            m *= p
            c -= m
            if layer:
                t *= p
            else:
                m, t = t, m  # the first ntk is rho itself
            if layer == len(self.scales) - 1:
                factor = _outer(a_u, a_v, rows, columns, p)
                c *= factor
                t *= factor
                np.add(c, self.beta2, out=nngp)
                (np.add if sign > 0 else np.subtract)(nngp, t, out=ntk)
                return
            factor = _outer(a_u, a_v, rows, columns, p, -1.0)
            c *= factor
            t *= factor
            if self.beta2:
                c += _outer(b_u, b_v, rows, columns, p, -1.0)
            if sign > 0:
                t += c
            else:
                t -= c
            m, c, sign = c, m, -sign

    def _buffers(self, shape: tuple[int, ...]) -> list[Floats]:
        """Three arrays of a strip's shape, kept by each thread."""
        size = shape[0] * shape[1]
        kept = getattr(self._scratch, "arrays", None)
        if kept is None or kept[0].size < size:
            kept = self._scratch.arrays = [np.empty(size) for _ in range(3)]
        return [array[:size].reshape(shape) for array in kept]


def recursion(arch: Architecture, X: Floats, X2: Floats | None = None) -> Recursion:
    """The fastest recursion there is for the architecture."""
    duals = arch.sigma.duals
    bent = isinstance(duals, Homogeneous) and duals.even > 0 and arch.depth > 1
    return (ArcCosine if bent else Recursion)(arch, X, X2)


def by_norm(arch: Architecture, X: Floats) -> NDArray[np.int64] | None:
    """An order of the points that makes blocks cheaper, or None if it would not."""
    squares = np.einsum("ij,ij->i", X, X)
    worth = arch.sigma.duals.sorted and arch.depth > 1 and np.ptp(squares) > 0.01 * squares.max()
    return np.argsort(squares, kind="stable") if worth else None


def _with_bias(arch: Architecture, X: Floats) -> Floats:
    """Rows (x / sqrt(n_0), beta), whose products are Sigma_1."""
    out = np.empty((len(X), arch.n_in + 1))
    np.multiply(X, 1 / np.sqrt(arch.n_in), out=out[:, :-1])
    out[:, -1] = arch.beta
    return out


def _shared(values: Floats) -> Any:
    """One number where all values agree: then no pass is needed to spread them over a tile."""
    if np.ptp(values) <= 4 * np.finfo(np.float64).eps * np.abs(values).max():
        return float(values[0])
    return values


def _outer(u: Any, v: Any, rows: slice, columns: slice, out: Floats, sign: float = 1.0) -> Any:
    """sign u v^T on a tile, or the number that it is everywhere."""
    if isinstance(u, float) and isinstance(v, float):
        return sign * u * v
    left = sign * (u if isinstance(u, float) else u[rows, None])
    return np.multiply(left, v if isinstance(v, float) else v[None, columns], out=out)


def _clear_diagonal(tile: Floats, rows: slice, columns: slice) -> None:
    """Zero where a point meets itself."""
    both = np.arange(max(rows.start, columns.start), min(rows.stop, columns.stop))
    tile[both - rows.start, both - columns.start] = 0.0
