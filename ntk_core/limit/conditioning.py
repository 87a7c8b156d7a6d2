"""How well a kernel matrix can be inverted, and whether a kernel is positive definite on the sphere (Proposition 2)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ntk_core.data.synthetic import check_seed
from ntk_core.eigen import eigvalsh
from ntk_core.limit.kernel_functions import Kernel
from ntk_core.limit.semidefinite import null_level, symmetric
from ntk_core.limit.sphere import Eigenvalues, sphere_eigenvalues

MOST_POINTS = 5000
CONTRAST = 1e3  # an eigenvalue this many times its error is there; one below its error, under such a one, is missing
CLIFF = 1e4  # a fall by this factor (and d^2, what two degrees may cost) to nothing is a polynomial's end


@dataclass(frozen=True)
class Conditioning:
    """Extreme eigenvalues of a kernel matrix K (N, N).

    Attributes:
        smallest, largest: of K itself; those of the dynamics are 1/N of them.
        rounding: an eigenvalue at or below this is not told from zero.
    """

    smallest: float
    largest: float
    rounding: float

    @property
    def singular(self) -> bool:
        """Whether the smallest eigenvalue is not told from zero."""
        return self.smallest <= self.rounding

    @property
    def number(self) -> float:
        """Condition number largest / smallest; infinite where the matrix is not told from a singular one."""
        return math.inf if self.singular else self.largest / self.smallest


@dataclass(frozen=True)
class Definiteness:
    """What the eigenvalues by degree say about a kernel on the sphere.

    It is positive definite if and only if no degree is missing. A computation sees finitely many: beyond the last
    degree that is clearly there, nothing is said.

    Attributes:
        eigenvalues: by degree.
        missing: degrees whose eigenvalue is not told from zero, although a higher one is clearly there.
        resolved: the last degree clearly there, a thousand times its error (-1: none).
    """

    eigenvalues: Eigenvalues
    missing: tuple[int, ...]
    resolved: int

    @property
    def lost(self) -> bool:
        """Whether positive definiteness is lost, as far as float64 tells.

        A degree is missing, or the values end at once, as a polynomial's do, instead of dying down to rounding.
        """
        return bool(self.missing) or self._ends_at_once()

    def _ends_at_once(self) -> bool:
        """From a value far above rounding to nothing, for all degrees that follow."""
        values, error, k = self.eigenvalues.values, self.eigenvalues.error, self.resolved
        if k >= len(values) - 2 or (values[k + 1 :] > error[k + 1 :]).any():
            return False
        return k < 0 or bool(values[k] > CLIFF * self.eigenvalues.dimension**2 * error[k + 1])


def conditioning(K: Any) -> Conditioning:
    """Smallest and largest eigenvalue of a kernel matrix (N, N), N up to 5,000.

    Raises:
        ValueError: a matrix that is not square, symmetric and finite, or too large.
    """
    matrix = symmetric(torch.as_tensor(K).detach().double().cpu())
    if len(matrix) > MOST_POINTS:
        raise ValueError(f"kernel: at most {MOST_POINTS:,} points can be decomposed here, got {len(matrix):,}")
    values = eigvalsh(matrix)
    return Conditioning(float(values[0]), float(values[-1]), null_level(len(matrix), float(values.abs().max())))


def sphere_points(count: int, dimension: int, seed: int = 0) -> Tensor:
    """`count` points drawn uniformly from the unit sphere in R^dimension, (count, dimension); a prefix for fewer.

    Raises:
        ValueError: a count or a dimension below 1, or a bad seed.
    """
    for field, value in (("count", count), ("dimension", dimension)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{field}: must be a whole number >= 1, got {value!r}")
    Z = np.random.default_rng(check_seed("seed", seed)).standard_normal((count, dimension))
    return torch.from_numpy(Z / np.linalg.norm(Z, axis=1, keepdims=True))


def definiteness(
    kernel: Kernel | Callable[..., Any], dimension: int, degrees: int = 24, *, radius: float = 1.0
) -> Definiteness:
    """Which degrees a kernel sees on the sphere in R^dimension: odd or even ones, or high ones, may be missing.

    Raises:
        ValueError: as `sphere_eigenvalues`.
    """
    found = sphere_eigenvalues(kernel, degrees, dimension, radius=radius)
    clear = np.flatnonzero(found.values > CONTRAST * found.error)
    resolved = int(clear[-1]) if len(clear) else -1
    missing = tuple(int(k) for k in np.flatnonzero(found.values <= found.error) if k < resolved)
    return Definiteness(found, missing, resolved)
