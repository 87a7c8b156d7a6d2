"""The limit's dynamics under any convex cost: kernel gradient descent as a differential equation (paper, section 3).

df/dt = -Theta/N d ,    d_i = dc/df(f(x_i), y_i)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ntk_core import costs
from ntk_core.costs import Cost
from ntk_core.limit.descent import Path, check_path, path_of
from ntk_core.limit.function_ode import Budget, solve


def kernel_descent(
    ntk: Tensor,
    y: Tensor,
    f_0: Tensor,
    times: Sequence[float],
    cost: str | Cost = "squared",
    tolerance: float = 1e-8,
    budget: Budget | None = None,
) -> Path:
    """Follows the kernel gradient of a cost from one initial function, or from several.

    Args:
        ntk: Theta(X, X), (N, N).
        y: targets on the training points, (N, n_out).
        f_0: initial outputs there, (N, n_out), or (S, N, n_out).
        times: increasing, finite, from 0 on.
        cost: a name or a `Cost`.
        tolerance: relative tolerance of the solver (it switches between stiff and non-stiff methods).
        budget: when to give up.

    Raises:
        ValueError: shapes or times that do not fit, targets that the cost does not allow.
        RuntimeError: the solver gave up, or the outputs grow without bound; the sentence says when.
    """
    c = costs.get(cost)
    c.check_targets(y)
    check_path(ntk, y, f_0, times)
    one = f_0.ndim == 2
    signal, f, length = solve(
        ntk,
        lambda f, t: c.derivative(f, y),
        f_0[None] if one else f_0,
        times,
        tolerance,
        lambda f, t: _curvature(c, f, y),
        budget,
    )
    return path_of(times, signal, f, c.value(f, y), length, one)


def _curvature(cost: Cost, f: Tensor, y: Tensor) -> Tensor:
    """The second derivative of the cost at every point, (S, N, n_out, n_out)."""
    if not cost.coupled:
        return torch.diag_embed(cost.second_derivative(f, y).expand_as(f))
    unit = torch.eye(f.shape[-1], dtype=f.dtype).expand(*f.shape, -1)  # (S, N, n_out, k)
    return torch.stack([cost.hessian_product(f, y, unit[..., k]) for k in range(f.shape[-1])], -1)
