"""The differential equation of function-space dynamics, df/dt = -Theta/N d_t(f), solved for many f_0 side by side.

In the eigenbasis Theta/N = U diag(lambda) U^T the unknown is z = U^T (f_0 - f), which cannot leave the range of the
kernel: dz/dt = lambda * U^T d. One more unknown a function is the integral of |d_t|. Functions do not see each other,
so the Jacobian has one block each: a band, of which a stiff method factors many hundred at the cost of a few.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.integrate import DOP853, LSODA, OdeSolver
from torch import Tensor

from ntk_core.eigen import eigh
from ntk_core.progress import checkpoint

DENSE = 600  # unknowns of a function up to which a Jacobian is factored; beyond, only an explicit method

Slope = Callable[[Tensor, float], Tensor]  # (f (S, N, n_out), t) -> d (S, N, n_out)
Curvature = Callable[[Tensor, float], Tensor]  # (f, t) -> the derivative of d in f at every point, (S, N, K, K)


@dataclass(frozen=True)
class Budget:
    """When to give up: after so many steps, or beyond outputs so many times larger than at the start."""

    steps: int = 200_000
    growth: float = 1e12


@dataclass(frozen=True)
class Equation:
    """df/dt = -Theta/N slope(f, t) from f_0; its state is a row [z, integral of |d|] for each function, flattened.

    Attributes:
        values, U: eigenvalues (N,) and eigenvectors (N, N) of Theta/N.
        f_0: (S, N, n_out).
        slope: the direction d.
        curvature: its derivative in f, or None where only differences can tell.
    """

    values: np.ndarray
    U: np.ndarray
    f_0: np.ndarray
    slope: Slope
    curvature: Curvature | None

    @property
    def block(self) -> int:
        """Unknowns of one function."""
        return self.f_0.shape[1] * self.f_0.shape[2] + 1

    def outputs(self, state: np.ndarray) -> Tensor:
        """f (..., S, N, n_out) of states (..., S block)."""
        return torch.from_numpy(self.f_0 - (self.coordinates(state) @ self.U.T).swapaxes(-1, -2))

    def coordinates(self, state: np.ndarray) -> np.ndarray:
        """z (..., S, n_out, N) of states (..., S block)."""
        S, N, K = self.f_0.shape
        leading = state.shape[:-1]
        return state.reshape(*leading, S, self.block)[..., :-1].reshape(*leading, S, K, N)

    def move(self, t: float, state: np.ndarray) -> np.ndarray:
        """The state's derivative."""
        S, N, _ = self.f_0.shape
        d = self.slope(self.outputs(state), t).numpy()
        out = np.empty((S, self.block))
        out[:, :-1] = ((d.swapaxes(1, 2) @ self.U) * self.values).reshape(S, -1)
        flat = d.reshape(S, -1)
        out[:, -1] = np.sqrt((flat * flat).sum(1) / N)
        return out.ravel()

    def blocks(self, t: float, state: np.ndarray) -> np.ndarray:
        """The Jacobian of every function, (S, block, block)."""
        assert self.curvature is not None
        S, N, K = self.f_0.shape
        f = self.outputs(state)
        H, d = self.curvature(f, t).numpy(), self.slope(f, t).numpy()
        seen = (H.transpose(0, 2, 3, 1)[..., None, :] * self.U.T) @ self.U  # (S, k, l, i, j): U^T H_kl U
        out = np.zeros((S, self.block, self.block))
        out[:, :-1, :-1] = -(self.values[:, None] * seen).transpose(0, 1, 3, 2, 4).reshape(S, N * K, N * K)
        size = np.maximum(np.sqrt((d * d).sum((1, 2)) * N), 1e-300)
        pull = (d[..., None] * H).sum(2) / size[:, None, None]  # the derivative of |d| in f, (S, N, l)
        out[:, -1, :-1] = -(pull.swapaxes(1, 2) @ self.U).reshape(S, N * K)
        return out

    def jacobian(self, t: float, state: np.ndarray) -> np.ndarray:
        """The blocks as the solver wants them: alone as they are, several as the diagonals of a band."""
        blocks = self.blocks(t, state)
        if len(blocks) == 1:
            return blocks[0]
        B = self.block
        i, j = np.indices((B, B))
        band = np.zeros((2 * B - 1, len(blocks), B))
        band[i - j + B - 1, :, j] = blocks.transpose(1, 2, 0)
        return band.reshape(2 * B - 1, -1)

    def solver(self, last: float, rtol: float, atol: float) -> OdeSolver:
        """A solver at t = 0."""
        start = np.zeros(len(self.f_0) * self.block)
        if self.block > DENSE:
            return DOP853(self.move, 0.0, start, last, rtol=rtol, atol=atol)
        band: dict[str, Any] = {"lband": self.block - 1, "uband": self.block - 1} if len(self.f_0) > 1 else {}
        jac = None if self.curvature is None else self.jacobian
        return LSODA(self.move, 0.0, start, last, rtol=rtol, atol=atol, jac=jac, **band)


def solve(
    ntk: Tensor,
    slope: Slope,
    f_0: Tensor,
    times: Sequence[float],
    tolerance: float,
    curvature: Curvature | None = None,
    budget: Budget | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Signal and f (T, S, N, n_out), and the integral of |d| (T, S), from f_0 (S, N, n_out).

    Raises:
        RuntimeError: the solver gave up, or the outputs grow without bound; the sentence says when.
    """
    N = len(ntk)
    values, U = eigh(ntk / N)
    values = torch.where(values > N * torch.finfo(values.dtype).eps * values[-1], values, 0.0)
    equation = Equation(values.numpy(), U.numpy(), f_0.numpy(), slope, curvature)
    states = _states(equation, times, tolerance, budget or Budget())
    z = torch.from_numpy(equation.coordinates(states))  # (T, S, n_out, N)
    inverse = torch.where(values > 0, 1.0 / values, 0.0)
    length = torch.from_numpy(states.reshape(len(times), len(f_0), -1)[:, :, -1].copy())
    return ((z * inverse) @ U.mT).mT, f_0 - (z @ U.mT).mT, length


def _states(equation: Equation, times: Sequence[float], tolerance: float, budget: Budget) -> np.ndarray:
    """The state (T, S block) at the times, from zero at t = 0; steps are counted, and growth without bound is seen."""
    S, last, scale = len(equation.f_0), float(times[-1]), 1.0 + float(np.abs(equation.f_0).max())
    if last == 0:
        return np.zeros((len(times), S * equation.block))
    solver = equation.solver(last, tolerance, tolerance * scale)
    at = np.asarray(times, dtype=float)
    out, done = np.zeros((len(at), len(solver.y))), int(np.searchsorted(at, 0.0, side="right"))
    for step in range(budget.steps):
        message = solver.step()
        _check(solver, message, S, budget.growth, scale)
        reached = int(np.searchsorted(at, solver.t, side="right"))
        if reached > done:
            out[done:reached] = solver.dense_output()(at[done:reached]).T
            done = reached
        if done == len(at):
            out[at == solver.t] = solver.y
            return out
        if step % 64 == 0:
            checkpoint(solver.t / last)
    raise RuntimeError(
        f"the differential equation could not be solved up to t = {last:g}: "
        f"{budget.steps:,} steps reached t = {solver.t:g}"
    )


def _check(solver: OdeSolver, message: str | None, S: int, growth: float, scale: float) -> None:
    if solver.status == "failed" or not np.isfinite(solver.y).all():
        raise RuntimeError(f"the differential equation could not be solved beyond t = {solver.t:g}: {message}")
    if np.abs(solver.y.reshape(S, -1)[:, :-1]).max() > growth * scale:
        raise RuntimeError(f"the outputs grow without bound: beyond {growth:g} at t = {solver.t:g}")
