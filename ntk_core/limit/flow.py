r"""Kernel gradient flow beyond memory (paper, section 5): f_t = y + e^(-t K/N) (f_0 - y), K seen only through products.

Block Lanczos puts all targets through one product. In the orthonormal basis V that it builds, with T = V^T (K/N) V,
the residual y - f_t is r = V e^(-tT) V^T r_0. It obeys the flow but for rho = W e^(-tT) V^T r_0, with the part W of
(K/N) V that lies outside V; since a flow never grows, r is wrong by at most the integral of |rho| from 0 to t. (The
same quantity is the stopping criterion of M. Botchev, V. Grimm and M. Hochbruck, Residual, restarting and Richardson
iteration for the matrix exponential, 2013.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ntk_core.eigen import eigh
from ntk_core.limit import saved_state
from ntk_core.limit.spectrum import Operator
from ntk_core.progress import checkpoint

NODES, WEIGHTS = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(8))
FIELDS = ("basis", "inner", "outside", "start")
DEPENDENT = 1e-13  # of the largest: directions below are rounding


@dataclass(frozen=True)
class FlowState:
    """Where the iteration stands; with it, it goes on as if it had never stopped.

    Attributes:
        products: products with the kernel so far.
        basis: orthonormal columns (N, m + k): those that were multiplied, and the k that come next.
        inner: T, (m, m).
        outside: a root R of W^T W, (k', k'): |W v| = |R v| for the last block that was multiplied.
        start: the first block's coordinates of y - f_0, (k_0, targets).
    """

    products: int
    basis: Tensor
    inner: Tensor
    outside: Tensor
    start: Tensor

    def save(self, path: str | Path) -> None:
        """Writes a plain npz, whole or not at all."""
        saved_state.save(path, {name: getattr(self, name) for name in FIELDS}, products=self.products)

    @classmethod
    def load(cls, path: str | Path) -> FlowState:
        """Reads what `save` wrote; a ValueError if it is something else."""
        return cls(**saved_state.load(path, FIELDS, ("products",)))


@dataclass(frozen=True)
class Flow:
    """f at each time, and how far it can be off.

    Attributes:
        f: on the training points, (T, N, k), or (T, N) as the targets.
        alpha: f_t(x) = f_0(x) + K(x, X) alpha_t anywhere (`iterative.predict`); the shape of f.
        left: bound on |f - exact f| over the training points, a norm for each target, (T, k).
        products: products with the kernel.
        times: (T,).
    """

    f: Tensor
    alpha: Tensor
    left: Tensor
    products: int
    times: Tensor

    def error(self, diagonal: Tensor) -> Tensor:
        """Bound on |f_t(x) - exact f_t(x)| for each target, (T, M, k): sqrt(2 t K(x, x) / (e N)) left_t.

        alpha's error is E/N with E' = -(K/N) E + P and |P| <= left; |(K/N)^(1/2) e^(-s K/N)| <= 1/sqrt(2 e s), whose
        integral is sqrt(2 t / e), and |k_x^T E| <= sqrt(K(x, x)) |K^(1/2) E|.
        """
        reach = (2 * self.times / math.e).sqrt()[:, None, None] * self.left[:, None, :]
        return reach * (diagonal.clamp_min(0.0) / self.f.shape[1]).sqrt()[:, None]


def gradient_flow(
    kernel: Operator,
    y: Any,
    times: Sequence[float],
    *,
    f_0: Any = 0.0,
    tolerance: float = 1e-4,
    max_products: int = 200,
    state: FlowState | None = None,
    on_state: Callable[[FlowState], Any] | None = None,
) -> Flow:
    """Trains the infinite network on squared error, as `InfiniteEnsemble` does, without its matrix.

    Args:
        kernel: `KernelOperator`, or anything with `.shape` and `.matvec`; symmetric positive semi-definite.
        y: targets (N,) or (N, k).
        times: finite times >= 0. (Fully trained: `iterative.regression`.)
        f_0: outputs before training, of the shape of y or a number.
        tolerance: stop when every target's error is at most this share of |y - f_0|.
        max_products: products with the kernel that may be spent, those of `state` included.
        state: where an earlier call stood, with the same kernel, targets and f_0; the times may be others.
        on_state: called after each product with the state; it may save it, or raise to stop.

    Raises:
        ValueError: shapes or numbers that do not fit.
        RuntimeError: not within the tolerance after `max_products`; the message has the error that was reached.
    """
    if not (math.isfinite(tolerance) and tolerance > 0):
        raise ValueError(f"tolerance: must be a finite number > 0, got {tolerance}")
    targets, r_0 = _residual(y, f_0, kernel.shape[0])
    at = _times(times)
    sizes = torch.linalg.vector_norm(r_0, dim=0)
    now = _started(r_0) if state is None else _checked(state, r_0)
    while True:
        # Without a product there is no basis yet: the whole of r_0 may still move.
        left = _left(now, at) if now.products else (at > 0).to(at.dtype)[:, None] * sizes
        worst = float((left / sizes.clamp_min(torch.finfo(at.dtype).tiny)).max())
        if worst <= tolerance:
            break
        if now.products >= max_products:
            raise RuntimeError(
                f"gradient flow: after {now.products} products the error can be {worst:.1e} of the targets, and "
                f"{tolerance:.1e} was asked for"
            )
        now = _step(now, kernel)
        checkpoint(min(1.0, max(0.0, math.log(max(worst, 1e-300)) / math.log(tolerance))) if tolerance < 1 else 1.0)
        if on_state is not None:
            on_state(now)
    return _flow(now, targets, r_0, at, left)


def _flow(now: FlowState, targets: Tensor, r_0: Tensor, at: Tensor, left: Tensor) -> Flow:
    m = len(now.inner)
    values, vectors = _spectrum(now.inner)
    V = now.basis[:, :m] @ vectors
    first = vectors[: len(now.start)].mT @ now.start if m else vectors.new_zeros(0, r_0.shape[1])
    gone = -torch.expm1(-at[:, None] * values)  # (T, m)
    signal = torch.where(values > 0, gone / values.clamp_min(torch.finfo(at.dtype).tiny), at[:, None])
    # What e^(-tT) leaves alone is taken from r_0 itself, so that nothing is lost outside V at t = 0.
    moved = V @ (gone[..., None] * first)
    f = targets.reshape(r_0.shape) - r_0 + moved
    alpha = V @ (signal[..., None] * first) / len(r_0)
    shape = (len(at), *targets.shape)
    return Flow(f.reshape(shape), alpha.reshape(shape), left, now.products, at)


def _left(now: FlowState, at: Tensor) -> Tensor:
    """The integral of |rho| from 0 to each time, (T, targets): Gauss-Legendre on panels that double."""
    values, vectors = _spectrum(now.inner)
    first = vectors[: len(now.start)].mT @ now.start  # (m, targets)
    W = now.outside @ vectors[len(vectors) - len(now.outside) :]
    order = torch.argsort(at)
    left, total, done = torch.zeros(len(at), first.shape[1], dtype=at.dtype), torch.zeros(first.shape[1]), 0.0
    shortest = 1 / float(values.max().clamp_min(torch.finfo(at.dtype).tiny))
    for index in order.tolist():
        end = float(at[index])
        while done < end:
            stop = min(end, max(2 * done, shortest))
            s = done + (stop - done) * (NODES + 1) / 2
            rho = W @ (torch.exp(-s[:, None] * values)[..., None] * first)  # (nodes, k', targets)
            total = total + (stop - done) / 2 * (WEIGHTS[:, None] * torch.linalg.vector_norm(rho, dim=1)).sum(0)
            done = stop
        left[index] = total
    return left


def _step(now: FlowState, kernel: Operator) -> FlowState:
    """One product with the block that comes next."""
    m, N = len(now.inner), len(now.basis)
    block = now.basis[:, m:]
    image = kernel.matvec(block).to(block.dtype) / N
    if not bool(torch.isfinite(image).all()):
        raise ValueError("kernel: the product with a vector is not finite")
    columns = now.basis.mT @ image
    rest = image - now.basis @ columns
    again = now.basis.mT @ rest  # a second time against rounding
    columns, rest = columns + again, rest - now.basis @ again
    inner = torch.zeros(len(columns), len(columns), dtype=block.dtype)
    inner[:m, :m] = now.inner
    inner[:, m:] = columns
    inner[m:, :m] = columns[:m].mT
    inner[m:, m:] = (columns[m:] + columns[m:].mT) / 2
    following, sizes, right = torch.linalg.svd(rest, full_matrices=False)
    keep = sizes > DEPENDENT * float(torch.linalg.matrix_norm(image))
    basis = torch.cat([now.basis, following[:, keep]], 1)
    return FlowState(now.products + 1, basis, inner, sizes[:, None] * right, now.start)


def _spectrum(inner: Tensor) -> tuple[Tensor, Tensor]:
    values, vectors = eigh(inner)
    return values.clamp_min(0.0), vectors


def _started(r_0: Tensor) -> FlowState:
    U, sizes, _ = torch.linalg.svd(r_0, full_matrices=False)
    block = U[:, sizes > DEPENDENT * sizes.max().clamp_min(torch.finfo(r_0.dtype).tiny)]
    empty = torch.zeros(0, 0, dtype=r_0.dtype)
    return FlowState(0, block, empty, empty, block.mT @ r_0)


def _checked(state: FlowState, r_0: Tensor) -> FlowState:
    if len(state.basis) != len(r_0) or state.start.shape[1] != r_0.shape[1]:
        shape = (len(state.basis), state.start.shape[1])
        raise ValueError(f"state: it is of targets of shape {shape}, not {tuple(r_0.shape)}")
    first = state.basis[:, : len(state.start)] @ state.start
    if not torch.allclose(first, r_0, rtol=0, atol=1e-9 * float(r_0.abs().max())):
        raise ValueError("state: it is of other targets or another f_0")
    return state


def _residual(y: Any, f_0: Any, N: int) -> tuple[Tensor, Tensor]:
    """The targets as given, and y - f_0 as (N, k)."""
    targets = torch.as_tensor(y, dtype=torch.float64).detach()
    if targets.ndim not in (1, 2) or len(targets) != N or not bool(torch.isfinite(targets).all()):
        raise ValueError(f"y: finite targets of shape ({N},) or ({N}, k) are needed, got {tuple(targets.shape)}")
    before = torch.as_tensor(f_0, dtype=torch.float64).detach()
    if (before.ndim and before.shape != targets.shape) or not bool(torch.isfinite(before).all()):
        raise ValueError(f"f_0: finite outputs of the targets' shape {tuple(targets.shape)} are needed")
    r_0 = (targets - before).reshape(N, -1)
    if r_0.shape[1] > N:
        raise ValueError(f"y: at most as many targets as points ({N}) fit in one product, got {r_0.shape[1]}")
    return targets, r_0


def _times(times: Sequence[float]) -> Tensor:
    at = torch.as_tensor(times, dtype=torch.float64)
    if at.ndim != 1 or len(at) == 0 or not bool((torch.isfinite(at) & (at >= 0)).all()):
        raise ValueError(f"times: finite times >= 0 are needed, got {times!r}")
    return at
