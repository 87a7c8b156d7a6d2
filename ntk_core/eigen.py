"""Eigenproblems of small symmetric matrices, kept to one thread where more only get in each other's way."""

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


def _one_thread(solve: Callable[[], Found], A: Tensor) -> Found:
    with at_most(1 if A.device.type == "cpu" and A.shape[-1] in ONE_THREAD else sys.maxsize):
        return solve()
