"""Function-space dynamics along any direction: df/dt = -Theta/N d_t(f) as a differential equation (sections 3, 4.2).

In the eigenbasis Theta/N = U diag(lambda) U^T the unknown is z = U^T (f_0 - f), which cannot leave the range of the
kernel: dz/dt = lambda * U^T d. Other points follow from it, f_t(x) = f_0(x) - Theta(x, X)/N U (z / lambda). One more
unknown is the integral of |d_t|, which Theorem 2 wants bounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.integrate import DOP853, LSODA, OdeSolver
from torch import Tensor

from ntk_core import directions
from ntk_core.directions import Direction
from ntk_core.progress import checkpoint

MOST_STEPS = 200_000
DENSE = 600  # unknowns up to which a Jacobian is factored; beyond, only an explicit method
BLOWN_UP = 1e12  # outputs beyond this, relative to the start, count as growth without bound

Slope = Callable[[Tensor, float], Tensor]


@dataclass(frozen=True)
class Path:
    """A solution at T times.

    Attributes:
        signal: (T, N, n_out), the integral of d over time (up to the null space of the kernel, which moves nothing).
        f: outputs on the training points, (T, N, n_out).
        length: (T,), the integral of |d_t| with |d|^2 the mean over points of the squares summed over outputs.
        cost: (T,), NaN where a direction has none.
    """

    times: tuple[float, ...]
    signal: Tensor
    f: Tensor
    cost: Tensor
    length: Tensor

    def test(self, f_test: Tensor, cross: Tensor) -> Tensor:
        """f_t at other points, (T, M, n_out): f_test is f_0 there (M, n_out), cross is Theta(x, X) (M, N)."""
        return f_test - cross @ self.signal / self.f.shape[1]


def direction_descent(
    ntk: Tensor,
    direction: str | Direction,
    y: Tensor,
    X: Tensor,
    f_0: Tensor,
    times: Sequence[float],
    tolerance: float = 1e-8,
) -> Path:
    """Follows any training direction from one initial function.

    Args:
        ntk: Theta(X, X), (N, N).
        direction: a formula (`ntk_core.directions`), or a function d(f, y, x, t) shaped like f.
        y, f_0: targets and initial outputs, (N, n_out) each.
        X: inputs (N, n_in).
        times: increasing, finite, from 0 on.
        tolerance: relative tolerance of the solver.

    Raises:
        ValueError: shapes or times that do not fit; a direction that is not finite or not shaped like f.
        RuntimeError: the solution grew without bound, or the solver gave up; the sentence says when.
    """
    d = directions.get(direction)

    def slope(f: Tensor, t: float) -> Tensor:
        found = torch.as_tensor(d(f, y, X, t), dtype=f.dtype)
        if found.shape != f.shape:
            raise ValueError(f"direction: shape {tuple(f.shape)} is needed, got {tuple(found.shape)}")
        if not bool(torch.isfinite(found).all()):
            raise ValueError(f"direction: it is not a finite number everywhere at t = {t:g}")
        return found

    check_path(ntk, y, f_0, times)
    signal, f, length = descend(ntk, slope, f_0, times, tolerance)
    return Path(tuple(times), signal, f, torch.full((len(times),), math.nan, dtype=f.dtype), length)


def descend(
    ntk: Tensor, slope: Slope, f_0: Tensor, times: Sequence[float], tolerance: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Signal and f (T, N, n_out), and the integral of |d| (T,), for dz/dt = lambda * U^T slope(f, t)."""
    N, n_out = f_0.shape
    values, U = torch.linalg.eigh(ntk / N)
    values = torch.where(values > N * torch.finfo(values.dtype).eps * values[-1], values, 0.0)

    def outputs(state: np.ndarray) -> Tensor:
        return f_0 - U @ torch.from_numpy(np.ascontiguousarray(state[:-1])).reshape(N, n_out)

    def move(t: float, state: np.ndarray) -> np.ndarray:
        f = outputs(state)
        d = slope(f, t)
        norm = float(torch.linalg.vector_norm(d)) / math.sqrt(N)
        return np.append((values[:, None] * (U.mT @ d)).numpy().ravel(), norm)

    scale = 1.0 + float(f_0.abs().max())
    states = _solve(move, N * n_out + 1, times, tolerance, tolerance * scale, scale)
    z = torch.from_numpy(states[:, :-1].copy()).reshape(len(times), N, n_out)
    inverse = torch.where(values > 0, 1.0 / values, 0.0)
    return U @ (inverse[:, None] * z), f_0 - U @ z, torch.from_numpy(states[:, -1].copy())


def _solve(
    move: Callable[[float, np.ndarray], np.ndarray],
    size: int,
    times: Sequence[float],
    rtol: float,
    atol: float,
    scale: float,
) -> np.ndarray:
    """The state (T, size) at the times, from zero at t = 0; steps are counted, and growth without bound is seen."""
    state, out, last = np.zeros(size), [], float(times[-1])
    if last == 0:
        return np.zeros((len(times), size))
    method: Any = LSODA if size <= DENSE else DOP853
    solver: OdeSolver = method(move, 0.0, state, last, rtol=rtol, atol=atol)
    waiting = list(times)
    while waiting and waiting[0] == 0:
        out.append(state)
        waiting.pop(0)
    for step in range(MOST_STEPS):
        message = solver.step()
        if solver.status == "failed" or not np.isfinite(solver.y).all():
            raise RuntimeError(f"the differential equation could not be solved beyond t = {solver.t:g}: {message}")
        if np.abs(solver.y[:-1]).max() > BLOWN_UP * scale:
            raise RuntimeError(f"the outputs grow without bound: beyond {BLOWN_UP:.0e} at t = {solver.t:g}")
        inner = None
        while waiting and waiting[0] <= solver.t:
            inner = solver.dense_output() if inner is None else inner
            t = waiting.pop(0)
            out.append(solver.y if t == solver.t else inner(t))
        if not waiting:
            return np.array(out)
        if step % 64 == 0:
            checkpoint(solver.t / last)
    raise RuntimeError(
        f"the differential equation could not be solved up to t = {last:g}: "
        f"{MOST_STEPS:,} steps reached t = {solver.t:g}"
    )


def check_path(ntk: Tensor, y: Tensor, f_0: Tensor, times: Sequence[float]) -> None:
    """Raises a ValueError unless kernel, targets, initial outputs and times fit."""
    N = len(ntk)
    if ntk.shape != (N, N) or y.ndim != 2 or y.shape != f_0.shape or len(y) != N:
        raise ValueError(
            f"f_0: kernel {tuple(ntk.shape)}, targets {tuple(y.shape)} and initial outputs {tuple(f_0.shape)} "
            f"do not fit; (N, N), (N, n_out) and (N, n_out) are needed"
        )
    if len(times) == 0 or not np.isfinite(times).all() or times[0] < 0 or (np.diff(times) <= 0).any():
        raise ValueError(f"times: an increasing list of finite times >= 0 is needed, got {list(times)[:5]}")
