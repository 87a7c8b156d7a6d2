"""Eigenproblems of small symmetric matrices, kept to one thread where more only get in each other's way."""

from __future__ import annotations

import torch
from torch import Tensor

from ntk_core.threads import alone

ONE_THREAD = range(48, 320)  # sizes: smaller ones use one thread anyway, larger ones gain from more


def eigh(A: Tensor) -> tuple[Tensor, Tensor]:
    """Ascending eigenvalues (S, N) and eigenvectors (S, N, N) of symmetric A (S, N, N).

    A second thread saves a fifth on an idle machine and costs twentyfold where another process wants the core.
    """
    if A.device.type == "cpu" and A.shape[-1] in ONE_THREAD:
        values, vectors = alone(lambda: torch.linalg.eigh(A))
    else:
        values, vectors = torch.linalg.eigh(A)
    return values, vectors
