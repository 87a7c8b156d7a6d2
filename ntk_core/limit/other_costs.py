"""The limit's dynamics under any convex cost: kernel gradient descent as a differential equation (paper, section 3).

df/dt = -Theta/N d ,    d_i = dc/df(f(x_i), y_i)
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ntk_core import costs
from ntk_core.costs import Cost
from ntk_core.limit.descent import Path, check_path, descend


def kernel_descent(
    ntk: Tensor,
    y: Tensor,
    f_0: Tensor,
    times: Sequence[float],
    cost: str | Cost = "squared",
    tolerance: float = 1e-8,
) -> Path:
    """Follows the kernel gradient of a cost from one initial function.

    Args:
        ntk: Theta(X, X), (N, N).
        y, f_0: targets and initial outputs on the training points, (N, n_out) each.
        times: increasing, finite, from 0 on.
        cost: a name or a `Cost`.
        tolerance: relative tolerance of the solver (it switches between stiff and non-stiff methods).

    Raises:
        ValueError: shapes or times that do not fit, targets that the cost does not allow.
        RuntimeError: the solver gave up, or the outputs grow without bound; the sentence says when.
    """
    c = costs.get(cost)
    c.check_targets(y)
    check_path(ntk, y, f_0, times)
    signal, f, length = descend(ntk, lambda f, t: c.derivative(f, y), f_0, times, tolerance)
    return Path(tuple(times), signal, f, c.value(f, y), length)
