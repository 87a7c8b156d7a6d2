"""What makes conjugate gradients short: M = L L^T + mu with a partial, randomly pivoted Cholesky factor of the kernel.

Pivots are drawn, a block at a time, with probabilities proportional to what is left of the diagonal (Chen, Epperly,
Tropp and Webber, Randomly pivoted Cholesky, 2022). The kernel enters through the columns of the pivots alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ntk_core.eigen import eigh
from ntk_core.limit.kernel_functions import Kernel, points
from ntk_core.progress import checkpoint

BLOCK = 64
LEFT = 1e-12  # of the trace: what is below is rounding


@dataclass(frozen=True)
class Preconditioner:
    """M = U diag(s) U^T + mu (1 - U U^T), its inverse root applied by `whiten`.

    Attributes:
        U: (N, r), orthonormal columns.
        values: s, (r,).
        mu: of all other directions.
    """

    U: Tensor
    values: Tensor
    mu: float

    @classmethod
    def none(cls, count: int) -> Preconditioner:
        """The identity on `count` points."""
        return cls(torch.zeros(count, 0, dtype=torch.float64), torch.zeros(0, dtype=torch.float64), 1.0)

    def whiten(self, V: Tensor) -> Tensor:
        """M^(-1/2) V for V (N, k)."""
        root = 1 / math.sqrt(self.mu)
        return root * V + self.U @ ((1 / self.values.sqrt() - root)[:, None] * (self.U.mT @ V))


def pivoted(kernel: Kernel, X: Any, ridge: float, rank: int = 500, seed: int = 0) -> Preconditioner:
    """The preconditioner of K + N ridge on X (N, n_in) by `rank` pivots; N x rank numbers are kept.

    Raises:
        ValueError: a rank below 1 or a ridge that is not > 0.
    """
    if isinstance(rank, bool) or not isinstance(rank, int) or rank < 1:
        raise ValueError(f"rank: must be a whole number >= 1, got {rank!r}")
    if not (math.isfinite(ridge) and ridge > 0):
        raise ValueError(f"ridge: must be a finite number > 0, got {ridge!r}")
    inputs = points(X, "X")
    L, left = _cholesky(kernel, inputs, min(rank, len(inputs)), np.random.default_rng(seed))
    U, s, _ = torch.linalg.svd(L, full_matrices=False)
    # What the factor leaves out counts by its mean eigenvalue.
    mu = len(inputs) * ridge + float(left.mean())
    return Preconditioner(U, s.square() + mu, mu)


def _cholesky(kernel: Kernel, X: Tensor, rank: int, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
    """L (N, <= rank) with L L^T close to K, and what it leaves of the diagonal (N,)."""
    left = kernel.diagonal(X).clone()
    total = float(left.sum())
    L, filled = torch.zeros(len(X), rank, dtype=torch.float64), 0
    while filled < rank and float(left.sum()) > LEFT * total:
        weights = (left / left.sum()).numpy()
        count = min(BLOCK, rank - filled, int((weights > 0).sum()))
        pivots = torch.from_numpy(np.sort(generator.choice(len(X), count, replace=False, p=weights)))
        columns = kernel(X, X[pivots]) - L[:, :filled] @ L[pivots, :filled].mT  # (N, count)
        values, vectors = eigh(columns[pivots])
        keep = values > 1e-10 * total / len(X)
        if not bool(keep.any()):
            break
        new = columns @ (vectors[:, keep] / values[keep].sqrt())
        L[:, filled : filled + new.shape[1]] = new
        filled += new.shape[1]
        left = (left - new.square().sum(1)).clamp_min(0.0)
        left[pivots] = 0.0
        checkpoint()
    return L[:, :filled], left
