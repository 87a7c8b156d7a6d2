"""The recursion of the limiting kernels on blocks of the matrix: all layers of a block before the next block.

Blocks are products of points; their elementwise work is done on strips that stay in the cache.
"""

from __future__ import annotations

import threading

import numpy as np
import torch

from ntk_core.architecture import Architecture
from ntk_core.duals.closed_forms import Floats, Side
from ntk_core.duals.series import TABLES

# Elements of a strip: few enough that the arrays in use stay in the cache, and enough that threads, which need the
# interpreter's lock between operations, seldom meet there.
STRIP = 131072
FARTHEST = 1e150  # a variance: the product of two is a number
ENTIRE = 128**2  # elements up to which to leave out half of a symmetric block takes longer than to compute it


class Recursion:
    """Both kernels between X (N, n_in) and X2 (M, n_in), or X itself, for any activation.

    Attributes:
        shape: (N, M).
        symmetric: whether X2 is X.
        diagonal: (nngp, ntk) of each point with itself, (2, N); from the variances alone.
        alone_up_to: pairs up to which one thread is faster than several, which meet at the interpreter's lock.
        buffers: how many arrays of a strip's size are kept; the first holds the products of the points.
        sign: of those products.
    """

    alone_up_to = 1400**2
    buffers, sign = 1, 1

    def __init__(self, arch: Architecture, X: Floats, X2: Floats | None = None):
        self.beta2, self.w2 = arch.beta**2, arch.w_std**2
        self.symmetric = X2 is None
        self.left = _with_bias(arch, X)
        self.right = self.left if X2 is None else _with_bias(arch, X2)
        self.shape = (len(self.left), len(self.right))
        with np.errstate(over="ignore", invalid="ignore"):  # told in a sentence of its own
            self.sides = self._sides(arch)
        self._scratch = threading.local()
        self._prepare(arch)

    def _sides(self, arch: Architecture) -> list[tuple[Side, Side]]:
        """Variances layer by layer."""
        duals, sides = arch.sigma.duals, []
        q_u, q_v = np.einsum("ij,ij->i", self.left, self.left), np.einsum("ij,ij->i", self.right, self.right)
        ntk, memory = q_u, TABLES // max(1, arch.depth - 1)
        for _ in range(arch.depth - 1):
            largest = _finite(q_u, q_v)
            left = duals.side(q_u, largest, memory)
            right = left if self.symmetric else duals.side(q_v, largest, memory)
            sides.append((left, right))
            q_u, q_v = (self.w2 * side.diagonal[0] + self.beta2 for side in (left, right))
            ntk = self.w2 * ntk * left.diagonal[1] + q_u
        _finite(q_u + ntk, q_v)
        self.diagonal = np.stack([q_u, ntk])
        return sides

    def _prepare(self, arch: Architecture) -> None:
        self.layers = [arch.sigma.duals.tile(left, right) for left, right in self.sides]

    def block(self, rows: slice, columns: slice, nngp: Floats, ntk: Floats) -> None:
        """Writes both kernels between the points of rows and columns; nngp and ntk may be views."""
        own = self.symmetric and rows == columns
        height, width = rows.stop - rows.start, columns.stop - columns.start
        step = max(1, STRIP // width)
        if own and height * width > ENTIRE:
            step = min(step, -(-height // 2))
        for start in range(0, height, step):
            part = slice(start, min(start + step, height))
            strip = slice(rows.start + part.start, rows.start + part.stop)
            # Of points with themselves only what lies above the diagonal, and what a strip has below it.
            left_out = start if own else 0
            right = slice(columns.start + left_out, columns.stop)
            self._strip(strip, right, self._gram(strip, right), nngp[part, left_out:], ntk[part, left_out:])
            if own:
                _mirror(nngp, part)
                _mirror(ntk, part)
        if own:
            for kernel, diagonal in zip((nngp, ntk), self.diagonal, strict=True):
                np.fill_diagonal(kernel, diagonal[rows])

    def _gram(self, rows: slice, columns: slice) -> Floats:
        """Products of the points, times `sign`, in the first buffer."""
        a, b = torch.from_numpy(self.left[rows]), torch.from_numpy(self.right[columns])
        out = torch.from_numpy(self._buffers((len(a), len(b)))[0])
        return torch.addmm(out, a, b.T, beta=0, alpha=self.sign, out=out).numpy()

    def _buffers(self, shape: tuple[int, ...]) -> list[Floats]:
        """Arrays of a strip's shape, kept by each thread: new memory costs as much as the work on it."""
        size = shape[0] * shape[1]
        kept = getattr(self._scratch, "arrays", None)
        if kept is None or kept[0].size < size:
            kept = self._scratch.arrays = [np.empty(size) for _ in range(self.buffers)]
        return [array[:size].reshape(shape) for array in kept]

    def _strip(self, rows: slice, columns: slice, cov: Floats, nngp: Floats, ntk: Floats) -> None:
        ntk[...] = cov
        if not self.layers:
            nngp[...] = cov
        for tile in self.layers:
            if self.symmetric:
                # Points with themselves come from the variances; here they would only make series long.
                _clear_diagonal(cov, rows, columns)
            value, slope = tile(rows, columns, cov)
            if self.w2 != 1.0:
                value = np.multiply(value, self.w2, out=nngp)
            cov = np.add(value, self.beta2, out=nngp)
            both = torch.from_numpy(ntk)
            torch.addcmul(torch.from_numpy(cov), both, torch.from_numpy(slope), value=self.w2, out=both)


def _with_bias(arch: Architecture, X: Floats) -> Floats:
    """Rows (w_std x / sqrt(n_0), beta), whose products are Sigma_1."""
    out = np.empty((len(X), arch.n_in + 1))
    np.multiply(X, arch.w_std / np.sqrt(arch.n_in), out=out[:, :-1])
    out[:, -1] = arch.beta
    return out


def _finite(q_u: Floats, q_v: Floats) -> float:
    """The largest variance; a ValueError that names the points if products of variances are beyond all numbers."""
    for field, q in (("X", q_u), ("X2", q_v)):
        if not q.max() <= FARTHEST:
            raise ValueError(f"{field}: the kernel overflows at points as far from the origin; take a smaller norm")
    return float(max(q_u.max(), q_v.max()))


def _clear_diagonal(tile: Floats, rows: slice, columns: slice) -> None:
    """Zero where a point meets itself."""
    both = np.arange(max(rows.start, columns.start), min(rows.stop, columns.stop))
    tile[both - rows.start, both - columns.start] = 0.0


def _mirror(kernel: Floats, part: slice) -> None:
    """Rows `part` of a symmetric matrix, known from the diagonal on, become columns: the same to the last digit."""
    square = kernel[part, part]
    square[...] = np.triu(square) + np.triu(square, 1).T
    kernel[part.stop :, part] = kernel[part, part.stop :].T
