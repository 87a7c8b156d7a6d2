"""The second derivative H of a cost where a leap starts, as the square root that makes the linear part symmetric."""

from __future__ import annotations

import torch
from torch import Tensor

from ntk_core.costs import Cost
from ntk_core.eigen import eigh

FLATTEST = 1e-10  # second derivatives below this are lifted to it: the filter's limit there is a plain step


class Curvature:
    """R = H^(1/2) over points and outputs, of every seed: diagonal, or one block a point where outputs are coupled.

    Args:
        cost: the cost.
        f: outputs (S, N, n_out), float64; seeds that are not finite get R = 1.
        y: targets (S, N, n_out), float64.
    """

    def __init__(self, cost: Cost, f: Tensor, y: Tensor):
        self._shape = f.shape
        self._blocks: tuple[Tensor, Tensor] | None = None  # R and its inverse, (S, N, n_out, n_out)
        if not cost.coupled:
            self._root = cost.second_derivative(f, y).nan_to_num(1.0).clamp_min(FLATTEST).sqrt().flatten(1)
            return
        units = torch.eye(f.shape[-1], dtype=f.dtype, device=f.device)
        H = torch.stack([cost.hessian_product(f, y, unit.expand_as(f)) for unit in units], -1)
        values, vectors = eigh(torch.where(torch.isfinite(H), H, units))
        sizes = values.clamp_min(FLATTEST).sqrt()[..., None, :]
        self._blocks = (vectors * sizes) @ vectors.mT, (vectors / sizes) @ vectors.mT

    def times(self, v: Tensor) -> Tensor:
        """R v, (S, P)."""
        return self._root * v if self._blocks is None else self._each_point(self._blocks[0], v)

    def over(self, v: Tensor) -> Tensor:
        """R^-1 v, (S, P)."""
        return v / self._root if self._blocks is None else self._each_point(self._blocks[1], v)

    def around(self, K: Tensor) -> Tensor:
        """R K R, (S, P, P)."""
        if self._blocks is None:
            return self._root[:, :, None] * K * self._root[:, None, :]
        return self._rows(self._rows(K).mT).mT

    def _rows(self, K: Tensor) -> Tensor:
        assert self._blocks is not None
        S, N, n_out = self._shape
        return (self._blocks[0] @ K.reshape(S, N, n_out, -1)).reshape(K.shape)

    def _each_point(self, blocks: Tensor, v: Tensor) -> Tensor:
        return (blocks @ v.reshape(*self._shape, 1)).reshape(v.shape)
