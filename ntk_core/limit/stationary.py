"""Kernels of the distance alone: RBF and Matern (Rasmussen and Williams, Gaussian Processes for ML, section 4.2)."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.special import gammaln, kve
from torch import Tensor

from ntk_core.limit.kernel_functions import Kernel, points

LARGEST_NU = 50.0  # beyond it the Bessel function overflows, and the kernel is RBF's to a percent


class Stationary(Kernel):
    """A kernel of the distance |x - x'|, 1 where it is zero."""

    @abstractmethod
    def at(self, distance: Tensor) -> Tensor:
        """K at the distances."""

    def matrix(self, X: Tensor, X2: Tensor) -> Tensor:
        """From differences, not from products: equal points are at distance zero."""
        return self.at(torch.cdist(X, X2, compute_mode="donot_use_mm_for_euclid_dist"))

    def diagonal(self, X: Any) -> Tensor:
        """Ones."""
        return torch.ones(len(points(X, "X")), dtype=torch.float64)


@dataclass(frozen=True)
class RBF(Stationary):
    r"""K = exp(-|x - x'|^2 / (2 length^2)).

    Raises:
        ValueError: length is not a finite number > 0.
    """

    length: float = 1.0

    def __post_init__(self) -> None:
        _positive("length", self.length)

    def at(self, distance: Tensor) -> Tensor:
        """The Gaussian."""
        return torch.exp(-(distance / self.length).square() / 2)


@dataclass(frozen=True)
class Matern(Stationary):
    r"""K = 2^(1-nu) / Gamma(nu) z^nu K_nu(z) with z = sqrt(2 nu) |x - x'| / length.

    Args:
        nu: smoothness, above 0 and at most 50; math.inf is RBF. Draws are differentiable less than nu times.
        length: scale.

    Raises:
        ValueError: nu or length outside what is allowed.
    """

    nu: float = 1.5
    length: float = 1.0

    def __post_init__(self) -> None:
        if not (0 < self.nu <= LARGEST_NU or self.nu == math.inf):
            raise ValueError(f"nu: must be above 0 and at most {LARGEST_NU:g}, or infinite, got {self.nu!r}")
        _positive("length", self.length)

    def at(self, distance: Tensor) -> Tensor:
        """Closed forms at nu = 1/2, 3/2, 5/2 and infinity, the Bessel function elsewhere."""
        if math.isinf(self.nu):
            return RBF(self.length).at(distance)
        z = math.sqrt(2 * self.nu) * distance / self.length
        if self.nu == 0.5:
            return torch.exp(-z)
        if self.nu == 1.5:
            return (1 + z) * torch.exp(-z)
        if self.nu == 2.5:
            return (1 + z + z.square() / 3) * torch.exp(-z)
        return torch.from_numpy(_bessel(self.nu, z.numpy()))


def _bessel(nu: float, z: np.ndarray) -> np.ndarray:
    """2^(1-nu) / Gamma(nu) z^nu K_nu(z), in logarithms; 1 where z is too small for K_nu, which overflows there."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        logs = (1 - nu) * math.log(2) - gammaln(nu) + nu * np.log(z) + np.log(kve(nu, z)) - z
    return np.minimum(np.exp(np.where(np.isfinite(logs) | (z > 1), logs, 0.0)), 1.0)


def _positive(field: str, value: float) -> None:
    if isinstance(value, bool) or not (math.isfinite(value) and value > 0):
        raise ValueError(f"{field}: must be a finite number > 0, got {value!r}")
