"""Kernels as functions of two sets of points, whatever they come from: one interface wherever a kernel is needed.

A kernel K answers `K(X, X2)` with a float64 matrix (N, M), and `K.diagonal(X)` without the matrix. Here the
limit's two; `stationary` has RBF and Matern, `given` a finite network's own, a matrix or a function of the user's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ntk_core.architecture import Architecture
from ntk_core.limit.kernels import KernelOperator, limiting_kernels

FLOAT64 = 2.0**-52
ROWS = 512  # points at a time where only the diagonal is wanted and the kernel offers no shorter way


class Kernel(ABC):
    """A positive semidefinite function of two points; a subclass states the matrix.

    Attributes:
        eps: relative rounding of an entry.
    """

    eps: float = FLOAT64

    @abstractmethod
    def matrix(self, X: Tensor, X2: Tensor) -> Tensor:
        """K(x, x') for X (N, n_in) and X2 (M, n_in), float64 both: (N, M)."""

    def __call__(self, X: Any, X2: Any = None) -> Tensor:
        """K between X (N, n_in) and X2 (M, n_in), or X itself: (N, M) float64.

        Raises:
            ValueError: inputs that are not tables of finite numbers, or a kernel that is not defined on them.
        """
        left = points(X, "X")
        right = left if X2 is None else points(X2, "X2")
        if right.shape[1] != left.shape[1]:
            raise ValueError(f"X2: points with {left.shape[1]} coordinates are needed, got {right.shape[1]}")
        return self.matrix(left, right)

    def diagonal(self, X: Any) -> Tensor:
        """K(x, x) for every point of X (N, n_in): (N,)."""
        return torch.cat([self.matrix(part, part).diagonal() for part in points(X, "X").split(ROWS)])


@dataclass(frozen=True)
class NTK(Kernel):
    """Theta_inf of an architecture (Theorem 1)."""

    arch: Architecture
    kind: ClassVar[Any] = "ntk"

    def matrix(self, X: Tensor, X2: Tensor) -> Tensor:
        """The recursion of section 4.1."""
        return getattr(limiting_kernels(self.arch, X, None if X2 is X else X2), self.kind)

    def diagonal(self, X: Any) -> Tensor:
        """From the variances alone."""
        return KernelOperator(self.arch, X, self.kind).diagonal()


@dataclass(frozen=True)
class NNGP(NTK):
    """Sigma_L of an architecture (Proposition 1): as dynamics, training the last layer alone."""

    kind: ClassVar[Any] = "nngp"


def points(X: Any, field: str) -> Tensor:
    """Points (N, n_in) as a float64 tensor on the CPU, or a ValueError that names the field."""
    try:
        values = np.asarray(X.detach().cpu() if isinstance(X, Tensor) else X, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{field}: points must be a table of numbers: {error}") from error
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(f"{field}: points of shape (N, n_in) are needed, got {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"{field}: every input must be a finite number")
    return torch.from_numpy(np.ascontiguousarray(values))
