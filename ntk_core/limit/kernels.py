"""The infinite-width limit of a network's kernels (paper, section 4.1, Proposition 1 and Theorem 1).

    Sigma_1 = w^2 x.x' / n_0 + beta^2                Theta_1 = Sigma_1
    Sigma_{l+1} = w^2 E[s(u) s(v)] + beta^2          Theta_{l+1} = w^2 Theta_l E[s'(u) s'(v)] + Sigma_{l+1}

with (u, v) ~ N(0, Sigma_l restricted to {x, x'}) and w = w_std, which is 1 in the paper.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ntk_core import threads
from ntk_core.architecture import Architecture
from ntk_core.duals.closed_forms import Floats, Homogeneous
from ntk_core.limit import tiles
from ntk_core.limit.arc_cosine import ArcCosine
from ntk_core.limit.recursion import STRIP, Recursion

BLOCK = 352  # points a side of a block: large enough to keep threads apart, small enough to share work evenly
OPERATOR_BLOCK = 512


class Kernels(NamedTuple):
    """Limiting kernels (N, M), float64: of the outputs at initialization, and of training."""

    nngp: Tensor
    ntk: Tensor


def limiting_kernels(arch: Architecture, X: Any, X2: Any = None) -> Kernels:
    """Sigma_L and Theta_inf between X and X2.

    Args:
        arch: depth, activation, beta, w_std and n_in matter; widths do not.
        X: (N, n_in) points, array or tensor.
        X2: (M, n_in) points; X itself if not given, and then only half of the matrix is computed.

    Returns:
        nngp and ntk, (N, M) float64 tensors on the CPU. For n_out outputs both stand times the identity.

    Raises:
        ValueError: shape does not fit n_in, no points, or a value that is not finite.
    """
    left = checked_inputs(arch, X, "X")
    right = None if X2 is None else checked_inputs(arch, X2, "X2")
    return Kernels(*_kernels(arch, left, right))


def _recursion(arch: Architecture, X: Floats, X2: Floats | None = None) -> Recursion:
    """The fastest recursion there is for the architecture."""
    duals = arch.sigma.duals
    bent = isinstance(duals, Homogeneous) and duals.even > 0 and arch.depth > 1
    return (ArcCosine if bent else Recursion)(arch, X, X2)


def _kernels(arch: Architecture, X: Floats, X2: Floats | None) -> list[Tensor]:
    with threads.at_most(1):
        both, nngp, ntk = _begun(arch, X, X2)
    if _several(both):
        # At least two blocks a side: there are threads for them.
        size = min(BLOCK, -(-max(both.shape) // 2))
        blocks = tiles.blocks(*both.shape, size, both.symmetric)
        deque(threads.ordered(lambda block: _write(both, block, nngp, ntk), blocks), maxlen=0)
    return [torch.from_numpy(nngp), torch.from_numpy(ntk)]


def _begun(arch: Architecture, X: Floats, X2: Floats | None) -> tuple[Recursion, Floats, Floats]:
    """The recursion and both kernels; they are done where one thread is faster than several."""
    both = _recursion(arch, X, X2)
    nngp, ntk = np.empty(both.shape), np.empty(both.shape)
    if not _several(both):
        size = max(BLOCK, STRIP // min(both.shape))  # few rows may have many columns
        for block in tiles.blocks(*both.shape, size, both.symmetric):
            _write(both, block, nngp, ntk)
    return both, nngp, ntk


def _several(both: Recursion) -> bool:
    return both.shape[0] * both.shape[1] > both.alone_up_to


def _write(both: Recursion, block: tiles.Block, nngp: Floats, ntk: Floats) -> None:
    rows, columns = block
    both.block(rows, columns, nngp[block], ntk[block])
    if both.symmetric and rows != columns:
        for kernel in (nngp, ntk):
            kernel[columns, rows] = kernel[block].T


class KernelOperator:
    """A limiting kernel as a linear map, block by block: 60,000 points need no matrix of 29 GB.

    Args:
        arch: as in `limiting_kernels`.
        X: (N, n_in) points.
        kind: "ntk" or "nngp".
        progress: called with the fraction done after each block of a product; an exception it raises ends the product.

    Attributes:
        shape: (N, N).

    Raises:
        ValueError: as `limiting_kernels`; or an unknown kind.
    """

    def __init__(
        self,
        arch: Architecture,
        X: Any,
        kind: Literal["ntk", "nngp"] = "ntk",
        progress: Callable[[float], None] | None = None,
    ):
        if kind not in Kernels._fields:
            raise ValueError(f"kind: must be ntk or nngp, got {kind!r}")
        self.kind, self.progress = kind, progress
        points = checked_inputs(arch, X, "X")
        with threads.at_most(1):
            self._recursion = _recursion(arch, points)
        self.shape = self._recursion.shape

    def matvec(self, V: Any) -> Tensor:
        """K V for V (N,) or (N, k), float64, of the same shape.

        Raises:
            ValueError: V does not have N rows, or holds a value that is not finite.
        """
        values = torch.as_tensor(V, dtype=torch.float64).detach().cpu()
        if values.ndim not in (1, 2) or len(values) != self.shape[1]:
            raise ValueError(f"V: {self.shape[1]} rows are needed, got shape {tuple(values.shape)}")
        if not bool(torch.isfinite(values).all()):
            raise ValueError("V: every entry must be a finite number")
        matrix = values.reshape(len(values), -1).contiguous()
        out = torch.zeros_like(matrix)
        blocks = tiles.blocks(*self.shape, OPERATOR_BLOCK, symmetric=True)
        # Sums are taken in the order of the blocks, whichever thread was first: the same numbers every time.
        products = threads.ordered(lambda block: self._product(block, matrix), blocks)
        for done, ((rows, columns), (upper, lower)) in enumerate(zip(blocks, products, strict=True), 1):
            out[rows] += upper
            if lower is not None:
                out[columns] += lower
            if self.progress is not None:
                self.progress(done / len(blocks))
        return out.reshape(values.shape)

    matmat = matvec
    __matmul__ = matvec

    def diagonal(self) -> Tensor:
        """K(x, x) for every point, (N,)."""
        return torch.from_numpy(self._recursion.diagonal[int(self.kind == "ntk")].copy())

    def _product(self, block: tiles.Block, V: Tensor) -> tuple[Tensor, Tensor | None]:
        rows, columns = block
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        kernels = Kernels(*torch.empty(2, *shape, dtype=torch.float64))
        self._recursion.block(rows, columns, kernels.nngp.numpy(), kernels.ntk.numpy())
        K = getattr(kernels, self.kind)
        return K @ V[columns], None if rows == columns else K.T @ V[rows]


def checked_inputs(arch: Architecture, X: Any, field: str) -> Floats:
    """Points as float64 (N, n_in), or a ValueError that names the field."""
    try:
        points = np.asarray(X.detach().cpu() if isinstance(X, Tensor) else X, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{field}: inputs must be a table of numbers: {error}") from error
    if points.ndim != 2 or points.shape[1] != arch.n_in or not len(points):
        raise ValueError(f"{field}: inputs of shape (N, {arch.n_in}) are needed, got {points.shape}")
    # The sum is not finite if a value is not; only then, or if it overflowed, is it worth looking at each.
    if not np.isfinite(points.sum()) and not np.isfinite(points).all():
        raise ValueError(f"{field}: every input must be a finite number")
    return points
