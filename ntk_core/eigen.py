"""Eigenproblems of small symmetric matrices, kept to one thread where more only get in each other's way.

A kernel's null space is what its eigenvalues do not tell from rounding. A null direction of K(X, X) is one of K(x, X)
too, so seen from other points it counts as nothing: what rounding puts there, gains that grow with time would show.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from ntk_core.threads import at_most

ONE_THREAD = range(48, 320)  # sizes: smaller ones use one thread anyway, larger ones gain from more

Found = TypeVar("Found")


def eigh(A: Tensor) -> tuple[Tensor, Tensor]:
    """Ascending eigenvalues (..., N) and eigenvectors (..., N, N) of symmetric A (..., N, N).

    A second thread saves a fifth on an idle machine and costs twentyfold where another process wants the core.
    """
    values, vectors = _one_thread(lambda: torch.linalg.eigh(A), A)
    return values, vectors


def eigvalsh(A: Tensor) -> Tensor:
    """Ascending eigenvalues (..., N) of symmetric A (..., N, N)."""
    return _one_thread(lambda: torch.linalg.eigvalsh(A), A)


def without_null(values: Tensor, eps: float) -> Tensor:
    """Ascending eigenvalues (..., N) of matrices whose entries are rounded by eps; zero in the null space."""
    largest = values[..., -1:].clamp_min(0.0)
    return torch.where(values > values.shape[-1] * eps * largest, values, 0.0)


def seen_along(cross: Tensor, values: Tensor, modes: Tensor) -> Tensor:
    """K(x, X) U (..., M, N) for K(X, X) = U diag(values) U^T, whose null space is where `values` (..., N) are zero."""
    return torch.where(values[..., None, :] > 0, cross @ modes, 0.0)


def _one_thread(solve: Callable[[], Found], A: Tensor) -> Found:
    with at_most(1 if A.device.type == "cpu" and A.shape[-1] in ONE_THREAD else sys.maxsize):
        return solve()
