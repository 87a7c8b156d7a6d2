"""Kernels that are given: a finite network's own, a function of two sets of points, a matrix on known points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from ntk_core.architecture import Architecture
from ntk_core.limit.kernel_functions import Kernel, points


class Tangent(Protocol):
    """A finite network, as far as its kernel is concerned: `ntk_core.Network`."""

    @property
    def size(self) -> int:
        """Number of seeds."""

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the parameters."""

    @property
    def ensemble(self) -> bool:
        """Whether results have a leading dimension of seeds."""

    @property
    def arch(self) -> Architecture:
        """The architecture."""

    def tangent_kernel(self, X: Any, X2: Any = None) -> Tensor:
        """([S,] N, M), or ([S,] N, M, n_out, n_out)."""


@dataclass(frozen=True)
class OfNetwork(Kernel):
    """The tangent kernel of one finite network as it is now: keep a copy of the matrix to keep its kernel at t.

    Args:
        network: a `Network`, trained or not.
        member: which seed of an ensemble.
        output: which output, whose own kernel is taken (between outputs there is more, which vanishes with width).

    Raises:
        ValueError: there is no such seed or output.
    """

    network: Tangent
    member: int = 0
    output: int = 0

    def __post_init__(self) -> None:
        for field, value, count in (
            ("member", self.member, self.network.size),
            ("output", self.output, self.network.arch.n_out),
        ):
            if not 0 <= value < count:
                raise ValueError(f"{field}: must be between 0 and {count - 1}, got {value!r}")
        object.__setattr__(self, "eps", torch.finfo(self.network.dtype).eps)

    def matrix(self, X: Tensor, X2: Tensor) -> Tensor:
        """Two passes through the network, in its own precision."""
        kernel = self.network.tangent_kernel(X, None if X2 is X else X2)
        kernel = kernel[self.member] if self.network.ensemble else kernel
        return (kernel if kernel.ndim == 2 else kernel[..., self.output, self.output]).double().cpu()


@dataclass(frozen=True)
class OfFunction(Kernel):
    """A function of the user's: (X (N, n_in), X2 (M, n_in)) as float64 tensors to an (N, M) array or tensor."""

    function: Callable[[Tensor, Tensor], Any]

    def matrix(self, X: Tensor, X2: Tensor) -> Tensor:
        """What the function says, checked for shape and finite numbers."""
        return _checked(self.function(X, X2), (len(X), len(X2)))


class OfMatrix(Kernel):
    """A kernel known on some points only, as a matrix: a finite network's at some time, or one computed elsewhere.

    Args:
        X: the points (n, n_in).
        K: their kernel (n, n).

    Raises:
        ValueError: shapes do not fit, or later a point that is not one of those given.
    """

    def __init__(self, X: Any, K: Any):
        self.points = points(X, "X")
        self.values = _checked(K, (len(self.points),) * 2)
        self._row = {row.tobytes(): index for index, row in enumerate(self.points.numpy() + 0.0)}

    def matrix(self, X: Tensor, X2: Tensor) -> Tensor:
        """Rows and columns looked up by their points."""
        return self.values[self._rows(X)][:, self._rows(X2)]

    def diagonal(self, X: Any) -> Tensor:
        """Looked up."""
        return self.values.diagonal()[self._rows(points(X, "X"))]

    def _rows(self, X: Tensor) -> list[int]:
        rows = [self._row.get(row.tobytes()) for row in X.numpy() + 0.0]
        if None in rows:
            raise ValueError(f"X: point {rows.index(None) + 1} is none of those that the kernel's matrix is of")
        return [row for row in rows if row is not None]


def _checked(K: Any, shape: tuple[int, int]) -> Tensor:
    values = torch.as_tensor(K).detach().cpu().double()
    if values.shape != shape:
        raise ValueError(f"kernel: a matrix of shape {shape} is needed, got {tuple(values.shape)}")
    if not bool(torch.isfinite(values).all()):
        raise ValueError("kernel: every entry must be a finite number")
    return values
