"""An activation: value, derivative and dual activations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ntk_core.duals.closed_forms import Duals

Elementwise = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Activation:
    """An elementwise function s with what its infinite limit needs.

    Attributes:
        name: how it is called.
        value: s, on tensors of any shape, precision and device.
        derivative: s' almost everywhere (relu: 0 at 0; abs: 0 at 0; step: 0).
        duals: both Gaussian expectations in NumPy, see `ntk_core.duals.closed_forms.Duals`.
        smooth: whether s has no kink or jump.
    """

    name: str
    value: Elementwise = field(compare=False)
    derivative: Elementwise = field(compare=False)
    duals: Duals = field(compare=False, repr=False)
    smooth: bool = True
    source: Any = field(default=None, repr=False)  # what tells two activations of one name apart

    def dual_both(self, q_u: Any, q_v: Any, cov: Any) -> tuple[Tensor, Tensor]:
        """(E[s(u) s(v)], E[s'(u) s'(v)]) for (u, v) ~ N(0, [[q_u, cov], [cov, q_v]]); broadcasts, float64.

        Errors are below 1e-9 of sqrt(E[s(u)^2] E[s(v)^2]) and of the same for s'.

        Raises:
            ValueError: a variance is negative, |cov| is larger than sqrt(q_u q_v), or an argument is not finite; or the
                activation grows or changes too fast for the variance.
        """
        arrays = [np.asarray(a.detach().cpu() if isinstance(a, Tensor) else a, np.float64) for a in (q_u, q_v, cov)]
        for what, values in zip(("q_u", "q_v", "cov"), arrays, strict=True):
            if not np.isfinite(values).all():
                raise ValueError(f"{what}: must be finite")
        if any((q < 0).any() for q in arrays[:2]):
            raise ValueError("q_u, q_v: variances must be >= 0")
        q_u, q_v, cov = np.broadcast_arrays(*arrays)
        if (np.abs(cov) > np.sqrt(q_u) * np.sqrt(q_v) * (1 + 1e-9)).any():
            raise ValueError("cov: must be at most sqrt(q_u q_v) in size")
        value, slope = self.duals.both(q_u, q_v, cov)
        return torch.as_tensor(value), torch.as_tensor(slope)

    def dual(self, q_u: Any, q_v: Any, cov: Any) -> Tensor:
        """E[s(u) s(v)], the next layer's covariance before biases (paper, Prop. 1)."""
        return self.dual_both(q_u, q_v, cov)[0]

    def dual_derivative(self, q_u: Any, q_v: Any, cov: Any) -> Tensor:
        """E[s'(u) s'(v)], the factor of the tangent kernel (paper, Thm. 1)."""
        return self.dual_both(q_u, q_v, cov)[1]
