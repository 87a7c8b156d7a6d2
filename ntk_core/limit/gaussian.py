"""A Gaussian over functions, seen at some points: mean, covariance, percentiles, draws."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from ntk_core.data.synthetic import check_seed
from ntk_core.eigen import eigh


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian over functions at M points; several outputs are independent and share their covariance.

    Attributes:
        mean: (M,), or (M, n_out) when the targets had that shape.
        cov: (M, M) float64, of each output.
    """

    mean: Tensor
    cov: Tensor

    @property
    def std(self) -> Tensor:
        """Standard deviation (M,); rounding below zero counts as zero."""
        return self.cov.diagonal().clamp_min(0.0).sqrt()

    def percentile(self, q: float | Sequence[float]) -> Tensor:
        """The q-th percentile, 0 < q < 100, shaped like the mean; several q stack in front.

        Raises:
            ValueError: a q outside (0, 100).
        """
        quantiles = np.asarray(q, dtype=np.float64)
        if not ((quantiles > 0) & (quantiles < 100)).all():
            raise ValueError(f"q: percentiles must be above 0 and below 100, got {q}")
        z = torch.as_tensor(ndtri(quantiles / 100)).reshape(quantiles.shape + (1,) * self.mean.ndim)
        std = self.std if self.mean.ndim == 1 else self.std[:, None]
        return self.mean + z * std

    def samples(self, n: int, seed: int = 0) -> Tensor:
        """n draws, (n, M) or (n, M, n_out); the same seed draws the same, and more draws begin with fewer.

        Raises:
            ValueError: n is not a whole number >= 1, or the seed not one >= 0.
        """
        if isinstance(n, bool) or not isinstance(n, numbers.Integral) or n < 1:
            raise ValueError(f"n: must be a whole number >= 1, got {n!r}")
        values, vectors = eigh(self.cov)
        # The symmetric root does not depend on the basis that eigh chose.
        root = (vectors * values.clamp_min(0.0).sqrt()) @ vectors.mT
        generator = np.random.default_rng(check_seed("seed", seed))
        z = generator.standard_normal((int(n), math.prod(self.mean.shape[1:]), len(root)))
        return self.mean + (torch.from_numpy(z) @ root).mT.reshape(int(n), *self.mean.shape)
