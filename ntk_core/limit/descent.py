"""Function-space dynamics along any direction: df/dt = -Theta/N d_t(f) as a differential equation (sections 3, 4.2).

Other points follow from the training points: f_t(x) = f_0(x) - Theta(x, X)/N s_t, where s_t is the integral of d.
The integral of |d_t| is found beside it, which Theorem 2 wants bounded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ntk_core import directions
from ntk_core.directions import Direction, Formula, TwoPlayers
from ntk_core.limit.function_ode import Budget, Curvature, Slope, solve


@dataclass(frozen=True)
class Path:
    """A solution at T times; with several initial functions there is one more dimension, S, after T.

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
        return f_test - cross @ self.signal / self.f.shape[-2]


def direction_descent(
    ntk: Tensor,
    direction: str | Direction,
    y: Tensor,
    X: Tensor,
    f_0: Tensor,
    times: Sequence[float],
    tolerance: float = 1e-8,
    budget: Budget | None = None,
) -> Path:
    """Follows any training direction from one initial function, or from several.

    Args:
        ntk: Theta(X, X), (N, N).
        direction: a formula (`ntk_core.directions`), or a function d(f, y, x, t) shaped like f.
        y: targets (N, n_out).
        X: inputs (N, n_in).
        f_0: initial outputs (N, n_out), or (S, N, n_out).
        times: increasing, finite, from 0 on.
        tolerance: relative tolerance of the solver.
        budget: when to give up.

    Raises:
        ValueError: shapes or times that do not fit; a direction that is not finite or not shaped like f.
        RuntimeError: the solution grew without bound, or the solver gave up; the sentence says when.
    """
    check_path(ntk, y, f_0, times)
    one = f_0.ndim == 2
    slope, curvature = _parts(directions.get(direction), y, X, one)
    signal, f, length = solve(ntk, slope, f_0[None] if one else f_0, times, tolerance, curvature, budget)
    cost = torch.full(length.shape, math.nan, dtype=f.dtype)
    return path_of(times, signal, f, cost, length, one)


def path_of(times: Sequence[float], signal: Tensor, f: Tensor, cost: Tensor, length: Tensor, one: bool) -> Path:
    """The path of `solve`'s answer; `one` takes the dimension S of a single initial function away."""
    arrays = (signal, f, cost, length)
    return Path(tuple(times), *(a[:, 0] for a in arrays) if one else arrays)


def _parts(direction: Direction, y: Tensor, X: Tensor, one: bool) -> tuple[Slope, Curvature | None]:
    """The direction as the solver calls it, and its derivative in f where that is known."""
    if isinstance(direction, Formula):
        arrays = y.numpy(), X.numpy()  # NumPy is the faster at small things
        slope: Slope = lambda f, t: torch.from_numpy(direction(f.numpy(), *arrays, t))  # noqa: E731
        return slope, lambda f, t: _formula_curvature(direction, f, y, X, t)
    slope = lambda f, t: _checked(direction, f, y, X, t, one)  # noqa: E731
    if isinstance(direction, TwoPlayers):
        game = torch.tensor(direction.matrix, dtype=y.dtype)
        return slope, lambda f, t: game.expand(*f.shape[:-1], 2, 2)
    return slope, None


def _checked(direction: Direction, f: Tensor, y: Tensor, X: Tensor, t: float, one: bool) -> Tensor:
    """A user's direction at f (1, N, n_out), which it sees without the first dimension, or (S, N, n_out)."""
    f = f[0] if one else f
    found = torch.as_tensor(direction(f, y, X, t), dtype=f.dtype)
    if found.shape != f.shape:
        raise ValueError(f"direction: shape {tuple(f.shape)} is needed, got {tuple(found.shape)}")
    if not bool(torch.isfinite(found).all()):
        raise ValueError(f"direction: it is not a finite number everywhere at t = {t:g}")
    return found[None] if one else found


def _formula_curvature(direction: Formula, f: Tensor, y: Tensor, X: Tensor, t: float) -> Tensor:
    """The derivative of a formula in f, which sees each output and each point alone."""
    with torch.enable_grad():
        moved = f.detach().requires_grad_(True)
        (grad,) = torch.autograd.grad(direction(moved, y, X, t).sum(), moved)
    # At a kink (sqrt at 0) the derivative is no number; the solver can do without.
    return torch.diag_embed(torch.nan_to_num(grad, posinf=0.0, neginf=0.0))


def check_path(ntk: Tensor, y: Tensor, f_0: Tensor, times: Sequence[float]) -> None:
    """Raises a ValueError unless kernel, targets, initial outputs and times fit and are finite."""
    N = len(ntk)
    if ntk.shape != (N, N) or y.ndim != 2 or f_0.ndim not in (2, 3) or y.shape != f_0.shape[-2:] or len(y) != N:
        raise ValueError(
            f"f_0: kernel {tuple(ntk.shape)}, targets {tuple(y.shape)} and initial outputs {tuple(f_0.shape)} "
            f"do not fit; (N, N), (N, n_out) and (N, n_out), or (S, N, n_out), are needed"
        )
    for name, values in (("ntk", ntk), ("y", y), ("f_0", f_0)):
        if not bool(torch.isfinite(values).all()):
            raise ValueError(f"{name}: every entry must be a finite number")
    if len(times) == 0 or not np.isfinite(times).all() or times[0] < 0 or (np.diff(times) <= 0).any():
        raise ValueError(f"times: an increasing list of finite times >= 0 is needed, got {list(times)[:5]}")
