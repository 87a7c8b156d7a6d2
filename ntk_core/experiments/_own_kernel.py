r"""Finite networks beside regression with their own kernels: what is left between them is the kernel's movement.

A network whose kernel stood still would go from f_0 to f_0(x) - Theta(x, X)/N E_t(Theta(X, X)/N) (f_0(X) - y), with the
rule's E_t (paper, section 5, for a finite network's Theta). Here with its kernel of t = 0, and with the one of now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ntk_core.eigen import eigh, seen_along, without_null
from ntk_core.finite.tangent import Features, tangent_kernel

if TYPE_CHECKING:
    from ntk_core.rules import Rule
    from ntk_core.runs.lockstep import Update


@dataclass(frozen=True)
class _Still:
    """Kernels of S networks that stand still.

    Attributes:
        values, modes: eigenvalues (S, N) and eigenvectors U (S, N, N) of Theta(X, X)/N.
        cross: Theta(x, X)/N U, (S, M, N).
    """

    values: Tensor
    modes: Tensor
    cross: Tensor

    def moved(self, rule: Rule, t: float, residual: Tensor) -> Tensor:
        """How far outputs (S, M) have moved down by time t, from a residual (S, N); NaN where the rule diverges."""
        along = (self.modes.mT @ residual[..., None])[..., 0]
        moved = (self.cross @ (rule.respond(self.values, t).moved_r * along)[..., None])[..., 0]
        steady = torch.tensor([rule.stable(float(largest)) for largest in self.values[:, -1]])
        return torch.where(steady[:, None].to(moved.device), moved, torch.nan)


class OwnKernels:
    """Remembers of a group of networks where they began and their kernels of t = 0.

    Args:
        X: (N, n_in) training inputs.
        points: (M, n_in) where outputs are looked at.
        rule: the update rule.
    """

    def __init__(self, X: Any, points: Any, rule: Rule):
        self.N, self.rule = len(X), rule
        self.everywhere = np.concatenate([X, points])
        self._start: tuple[_Still, Tensor, Tensor] | None = None

    def look(self, update: Update) -> dict[str, Tensor]:
        """Outputs at the points and both regressions, (S, M) each, at an update's time.

        To be called from the first output time on, which is t = 0, inside `update.network.looking(once=True)`.
        """
        features = update.network.features(self.everywhere)
        f = features.done.outputs[:, self.N :, 0]
        if self._start is None:
            residual = (update.outputs - update.targets)[..., 0].double()
            self._start = self._still(features), f.double(), residual
            return {"f": f, "own_start": f, "own_now": f}
        still, begun, residual = self._start
        start, now = (
            begun - kernels.moved(self.rule, update.time, residual) for kernels in (still, self._still(features))
        )
        return {"f": f, "own_start": start, "own_now": torch.where(update.state.diverged[:, None], torch.nan, now)}

    def _still(self, features: Features) -> _Still:
        """The kernels of now; those of networks that have left the finite numbers count as nothing."""
        N = self.N
        kernel = tangent_kernel(features, features.at(slice(N)))
        eps = torch.finfo(kernel.dtype).eps
        kernel = torch.where(kernel.isfinite().flatten(1).all(1)[:, None, None], kernel, 0.0).double()
        square, cross = kernel[:, :N], kernel[:, N:]
        values, modes = eigh((square + square.mT) / (2 * N))
        # What is below the rounding of the network's own precision is the null space.
        values = without_null(values, eps)
        return _Still(values, modes, seen_along(cross, values, modes) / N)
