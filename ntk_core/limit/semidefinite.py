"""Whether a symmetric matrix can be a kernel: its smallest eigenvalue, told apart from rounding."""

from __future__ import annotations

import torch
from torch import Tensor

# Near coincidence the angle of a relu kernel is an arc cosine near 1, good to 1e-8 of the kernel.
COINCIDENCE = 1e-8
ASYMMETRY = 1e-5  # forgiven, relative to the largest entry: the rounding of float32


def null_level(count: int, largest: float, eps: float = 2.0**-52) -> float:
    """Eigenvalues of a (count, count) matrix at or below this are not told from zero: count * eps * largest."""
    return count * eps * max(largest, 0.0)


def check_semidefinite(values: Tensor, name: str = "kernel", eps: float = 2.0**-52) -> None:
    """Refuses ascending eigenvalues (N,) of which the smallest is negative beyond the rounding of the entries.

    Args:
        values: eigenvalues of a kernel matrix.
        name: what the sentence calls it.
        eps: relative rounding of an entry.

    Raises:
        ValueError: the sentence has the smallest eigenvalue.
    """
    smallest, size = float(values[0]), float(values.abs().max())
    forgiven = max(COINCIDENCE * size, null_level(len(values), size, eps))
    if smallest < -forgiven:
        raise ValueError(
            f"{name}: a kernel is positive semidefinite, this one has the eigenvalue {smallest:.3g} "
            f"(its largest is {float(values[-1]):.3g}, and rounding explains {-forgiven:.1g} at most)"
        )


def symmetric(K: Tensor, name: str = "kernel") -> Tensor:
    """The matrix (N, N) made exactly symmetric.

    Raises:
        ValueError: it is not square or not finite, or differs from its transpose by more than float32's rounding.
    """
    if K.ndim != 2 or K.shape[0] != K.shape[1] or not len(K):
        raise ValueError(f"{name}: a square matrix is needed, got shape {tuple(K.shape)}")
    if not bool(torch.isfinite(K).all()):
        raise ValueError(f"{name}: every entry must be a finite number")
    size, skew = float(K.abs().max()), float((K - K.mT).abs().max())
    if skew > ASYMMETRY * size:
        raise ValueError(
            f"{name}: a symmetric matrix is needed, got entries that differ from their mirrors by {skew:.3g}"
        )
    return K if skew == 0 else (K + K.mT) / 2
