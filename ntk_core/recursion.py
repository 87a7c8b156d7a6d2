"""The recursion of the limiting kernels on blocks of the matrix: all layers of a block before the next block.

Blocks are products of points; their elementwise work is done on strips that stay in a core's cache.
"""

from __future__ import annotations

import threading

import numpy as np
import torch
from torch import Tensor

from ntk_core.architecture import Architecture
from ntk_core.duals import SNAP, Floats, Homogeneous, Side, inverse_root

# Elements of a strip: few enough that the arrays in use stay in the cache, and enough that threads, which need the
# interpreter's lock between operations, seldom meet there.
STRIP = 131072
ONE = torch.ones((), dtype=torch.float64)


class Recursion:
    """Both kernels between X (N, n_in) and X2 (M, n_in), or X itself, for any activation.

    Attributes:
        shape: (N, M).
        symmetric: whether X2 is X.
        diagonal: (nngp, ntk) of each point with itself, (2, N); from the variances alone.
        alone_up_to: pairs up to which one thread is faster than several, which meet at the interpreter's lock.
    """

    alone_up_to = 1400**2

    def __init__(self, arch: Architecture, X: Floats, X2: Floats | None = None):
        self.beta2 = arch.beta**2
        self.symmetric = X2 is None
        self.left = _with_bias(arch, X)
        self.right = self.left if X2 is None else _with_bias(arch, X2)
        self.shape = (len(self.left), len(self.right))
        self.sides = self._sides(arch)
        self._scratch = threading.local()
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
        height, width = rows.stop - rows.start, columns.stop - columns.start
        step = max(1, STRIP // width)
        if own:
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
        a, b = self.left[rows], self.right[columns]
        (out,) = self._buffers((len(a), len(b)), 1)
        return torch.mm(torch.from_numpy(a), torch.from_numpy(b).T, out=torch.from_numpy(out)).numpy()

    def _buffers(self, shape: tuple[int, ...], count: int) -> list[Floats]:
        """Arrays of a strip's shape, kept by each thread: new memory costs as much as the work on it."""
        size = shape[0] * shape[1]
        kept = getattr(self._scratch, "arrays", [])
        if len(kept) < count or kept[0].size < size:
            kept = self._scratch.arrays = [np.empty(size) for _ in range(count)]
        return [array[:size].reshape(shape) for array in kept[:count]]

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
            both = torch.from_numpy(ntk)
            torch.addcmul(torch.from_numpy(cov), both, torch.from_numpy(slope), out=both)


class ArcCosine(Recursion):
    r"""The same for relu and its kin, in correlations and in place.

    With m = -rho, p = arccos(m) + psi and c = sin(theta) + rho p, one layer is

        E[s s] = (2 B / pi) sqrt(q_u q_v) c          E[s' s'] = (2 B / pi) p

    (see `ntk_core.duals.Homogeneous`; psi = 0 for relu). Both kernels are carried with their signs changed and divided
    by sqrt(q_u q_v) of their layer. NumPy has the faster roots and arc cosines, torch products and sums in one pass.
    """

    alone_up_to = 200**2

    def _prepare(self, arch: Architecture) -> None:
        duals = arch.sigma.duals
        assert isinstance(duals, Homogeneous)
        self.psi = np.pi / 2 * (duals.odd / duals.even - 1)
        factor = np.sqrt(2 * duals.even / np.pi)
        self.scales = []  # per layer: (a_u, a_v, b_u, b_v), so that the next one's m = a_u a_v c + b_u b_v
        for layer, pair in enumerate(self.sides):
            last = layer == len(self.sides) - 1
            steps: list[Tensor] = []
            for k, side in enumerate(pair):
                to = np.ones_like(side.q) if last else inverse_root(self.sides[layer + 1][k].q)
                sign = 1.0 if k or last else -1.0
                steps += [_shared(sign * factor * np.sqrt(side.q) * to), _shared(sign * np.sqrt(self.beta2) * to)]
            self.scales.append((steps[0], steps[2], steps[1], steps[3]))
        for points, side in zip((self.left, self.right)[: 2 - self.symmetric], self.sides[0], strict=False):
            points *= (inverse_root(side.q) * (1 + SNAP / 2))[:, None]

    def _gram(self, rows: slice, columns: slice) -> Floats:
        """-rho of the first layer."""
        a, b = torch.from_numpy(self.left[rows]), torch.from_numpy(self.right[columns])
        out = torch.from_numpy(self._buffers((len(a), len(b)), 4)[0])
        return torch.addmm(out, a, b.T, beta=0, alpha=-1, out=out).numpy()

    def _strip(self, rows: slice, columns: slice, cov: Floats, nngp: Floats, ntk: Floats) -> None:
        m, p, c, t = map(torch.from_numpy, self._buffers(cov.shape, 4))  # m is cov
        value, tangent = torch.from_numpy(nngp), torch.from_numpy(ntk)
        for layer, (a_u, a_v, b_u, b_v) in enumerate(self.scales):
            m.clamp_(-1.0, 1.0)
            np.arccos(m.numpy(), out=p.numpy())
            if self.psi:
                p += self.psi
            torch.addcmul(ONE, m, m, value=-1, out=c)
            np.sqrt(c.numpy(), out=c.numpy())
            c.addcmul_(m, p, value=-1)
            torch.mul(t if layer else m, p, out=t)  # at first both kernels are the same
            factor = _outer(a_u, a_v, rows, columns, p)
            c *= factor
            if layer == len(self.scales) - 1:
                torch.add(c, self.beta2, out=value)
                torch.addcmul(value, t, factor, value=-1, out=tangent)
                return
            if self.beta2:
                c.addcmul_(_along(b_u, rows, 1), _along(b_v, columns, 0))
            torch.addcmul(c, t, factor, value=-1, out=t)
            m, c = c, m


def recursion(arch: Architecture, X: Floats, X2: Floats | None = None) -> Recursion:
    """The fastest recursion there is for the architecture."""
    duals = arch.sigma.duals
    bent = isinstance(duals, Homogeneous) and duals.even > 0 and arch.depth > 1
    return (ArcCosine if bent else Recursion)(arch, X, X2)


def _with_bias(arch: Architecture, X: Floats) -> Floats:
    """Rows (x / sqrt(n_0), beta), whose products are Sigma_1."""
    out = np.empty((len(X), arch.n_in + 1))
    np.multiply(X, 1 / np.sqrt(arch.n_in), out=out[:, :-1])
    out[:, -1] = arch.beta
    return out


def _shared(values: Floats) -> Tensor:
    """A tensor without dimensions where all values agree: then no pass is needed to spread them over a tile."""
    same = np.ptp(values) <= 4 * np.finfo(np.float64).eps * np.abs(values).max()
    return torch.from_numpy(np.array(values[0]) if same else values)


def _along(values: Tensor, part: slice, dim: int) -> Tensor:
    """A part of a side's values in the shape that spreads over a tile."""
    return values if values.ndim == 0 else values[part].unsqueeze(dim)


def _outer(u: Tensor, v: Tensor, rows: slice, columns: slice, out: Tensor) -> Tensor:
    """u v^T on a tile, or the number that it is everywhere."""
    if u.ndim == v.ndim == 0:
        return u * v
    return torch.mul(_along(u, rows, 1), _along(v, columns, 0), out=out)


def _clear_diagonal(tile: Floats, rows: slice, columns: slice) -> None:
    """Zero where a point meets itself."""
    both = np.arange(max(rows.start, columns.start), min(rows.stop, columns.stop))
    tile[both - rows.start, both - columns.start] = 0.0


def _mirror(kernel: Floats, part: slice) -> None:
    """Rows `part` of a symmetric matrix, known from the diagonal on, become columns: the same to the last digit."""
    square = kernel[part, part]
    square[...] = np.triu(square) + np.triu(square, 1).T
    kernel[part.stop :, part] = kernel[part, part.stop :].T
