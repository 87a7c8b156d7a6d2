"""The limit's dynamics under any convex cost: kernel gradient descent as a differential equation (paper, section 3).

    df/dt = -Theta/N d ,    d_i = dc/df(f(x_i), y_i)

In the eigenbasis Theta/N = U diag(lambda) U^T the unknown is z = U^T (f_0 - f), which cannot leave the range of the
kernel: dz/dt = lambda * U^T d. Other points follow from it, f_t(x) = f_0(x) - Theta(x, X)/N U (z / lambda).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from ntk_core import costs
from ntk_core.costs import Cost


@dataclass(frozen=True)
class Path:
    """A solution at T times.

    Attributes:
        signal: (T, N, n_out), the integral of d over time (up to the null space of the kernel, which moves nothing).
        f: outputs on the training points, (T, N, n_out).
        cost: (T,).
    """

    times: tuple[float, ...]
    signal: Tensor
    f: Tensor
    cost: Tensor

    def test(self, f_test: Tensor, cross: Tensor) -> Tensor:
        """f_t at other points, (T, M, n_out): f_test is f_0 there (M, n_out), cross is Theta(x, X) (M, N)."""
        return f_test - cross @ self.signal / self.f.shape[1]


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
        RuntimeError: the solver gave up; its message is passed on.
    """
    c = costs.get(cost)
    c.check_targets(y)
    N = len(ntk)
    if ntk.shape != (N, N) or y.ndim != 2 or y.shape != f_0.shape or len(y) != N:
        raise ValueError(
            f"f_0: kernel {tuple(ntk.shape)}, targets {tuple(y.shape)} and initial outputs {tuple(f_0.shape)} "
            f"do not fit; (N, N), (N, n_out) and (N, n_out) are needed"
        )
    _check_times(times)
    values, U = torch.linalg.eigh(ntk / N)
    values = torch.where(values > N * torch.finfo(values.dtype).eps * values[-1], values, 0.0)
    # Outputs do not see each other: the limiting kernel is Theta x Id.
    z = torch.stack([_solve(values, U, y[:, k], f_0[:, k], times, c, tolerance) for k in range(y.shape[1])], -1)
    f = f_0 - U @ z
    inverse = torch.where(values > 0, 1.0 / values, 0.0)
    return Path(tuple(times), U @ (inverse[:, None] * z), f, c.value(f, y))


def _solve(
    values: Tensor, U: Tensor, y: Tensor, f_0: Tensor, times: Sequence[float], cost: Cost, tolerance: float
) -> Tensor:
    """z at the times, (T, N), for one output: dz/dt = lambda * U^T c'(f_0 - U z)."""

    def slope(t: float, z: Any) -> np.ndarray:
        return (values * (U.mT @ cost.derivative(f_0 - U @ torch.from_numpy(z), y))).numpy()

    def jacobian(t: float, z: Any) -> np.ndarray:
        curvature = cost.second_derivative(f_0 - U @ torch.from_numpy(z), y)
        return (-values[:, None] * (U.mT @ (curvature[:, None] * U))).numpy()

    if times[-1] == 0:
        return torch.zeros(len(times), len(y), dtype=values.dtype)
    solution = solve_ivp(
        slope,
        (0.0, times[-1]),
        np.zeros(len(y)),
        method="LSODA",
        t_eval=list(times),
        jac=jacobian,
        rtol=tolerance,
        atol=tolerance * (1.0 + float((f_0 - y).abs().max())),
    )
    if not solution.success:
        raise RuntimeError(f"the differential equation could not be solved up to t = {times[-1]:g}: {solution.message}")
    return torch.from_numpy(np.ascontiguousarray(solution.y.T))


def _check_times(times: Sequence[float]) -> None:
    if len(times) == 0 or not np.isfinite(times).all() or times[0] < 0 or (np.diff(times) <= 0).any():
        raise ValueError(f"times: an increasing list of finite times >= 0 is needed, got {list(times)[:5]}")
