r"""Kernel regression beyond memory: (K + N rho) alpha = y by block conjugate gradients, K seen only through products.

All targets go through one product. With a preconditioner M the equation is solved for M^(1/2) alpha with the matrix
M^(-1/2) (K + N rho) M^(-1/2). Directions are kept orthonormal (BCGrQ of A. Dubrulle, Retooling the method of block
conjugate gradients, 2001), so that targets that depend on each other do no harm.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ntk_core.limit import saved_state
from ntk_core.limit.kernel_functions import Kernel
from ntk_core.limit.preconditioner import Preconditioner
from ntk_core.limit.spectrum import Operator
from ntk_core.progress import checkpoint

PIECE = 16_000_000  # kernel entries held at once while predicting
FIELDS = ("z", "fitted", "Q", "P", "C")
DRIFT = 1e-6  # of the targets: a residual by recurrence is no further from its own than this


@dataclass(frozen=True)
class Iteration:
    """Where an iteration stands; with it, it goes on as if it had never stopped.

    Attributes:
        products: products with the kernel so far.
        residual: largest |y - (K + N rho) alpha| / |y| over the targets, by recurrence.
        z, fitted: M^(1/2) alpha, and (K + N rho) alpha, (N, k).
        Q, P, C: residual Q C with orthonormal Q (N, k), and the directions P.
    """

    products: int
    residual: float
    z: Tensor
    fitted: Tensor
    Q: Tensor
    P: Tensor
    C: Tensor

    def save(self, path: str | Path) -> None:
        """Writes a plain npz, whole or not at all."""
        tensors = {name: getattr(self, name) for name in FIELDS}
        saved_state.save(path, tensors, products=self.products, residual=self.residual)

    @classmethod
    def load(cls, path: str | Path) -> Iteration:
        """Reads what `save` wrote; a ValueError if it is something else."""
        return cls(**saved_state.load(path, FIELDS, ("products", "residual")))


@dataclass(frozen=True)
class Regression:
    """alpha of f(x) = K(x, X) alpha, and how far it can be off.

    Attributes:
        alpha: (N, k), or (N,) as the targets.
        residual: largest |y - (K + N rho) alpha| / |y| over the targets, by a product of its own.
        products: products with the kernel, that one included.
        noise: N rho.
        left: |y - (K + N rho) alpha| of each target, (k,).
    """

    alpha: Tensor
    residual: float
    products: int
    noise: float
    left: Tensor

    def error(self, diagonal: Tensor) -> Tensor:
        """Bound on |f(x) - exact f(x)| for each target, (M, k): sqrt(K(x, x) / (N rho)) |residual|.

        From |k_x^T A^-1 r| <= |A^(-1/2) k_x| |A^(-1/2) r| with A = K + N rho, k_x^T A^-1 k_x <= K(x, x).
        """
        return diagonal.clamp_min(0.0).sqrt()[:, None] * self.left / math.sqrt(self.noise)


def regression(
    kernel: Operator,
    y: Any,
    ridge: float,
    *,
    tolerance: float = 1e-6,
    max_products: int = 200,
    preconditioner: Preconditioner | None = None,
    state: Iteration | None = None,
    on_state: Callable[[Iteration], Any] | None = None,
) -> Regression:
    """Solves (K + N ridge) alpha = y.

    Args:
        kernel: `KernelOperator`, or anything with `.shape` and `.matvec`.
        y: targets (N,) or (N, k).
        ridge: rho > 0, in the units of K/N as in `InfiniteEnsemble`.
        tolerance: stop when |residual| <= tolerance |y| for every target.
        max_products: products with the kernel that may be spent, those of `state` included.
        preconditioner: of `limit.preconditioner`; none if not given.
        state: where an earlier call stood, with the same kernel, targets, ridge and preconditioner.
        on_state: called after each product with the state; it may save it, or raise to stop.

    Raises:
        ValueError: shapes or numbers that do not fit.
        RuntimeError: not solved within `max_products`; the message has the residual that was reached.
    """
    N = kernel.shape[0]
    targets = torch.as_tensor(y, dtype=torch.float64).detach()
    if targets.ndim not in (1, 2) or len(targets) != N or not bool(torch.isfinite(targets).all()):
        raise ValueError(f"y: finite targets of shape ({N},) or ({N}, k) are needed, got {tuple(targets.shape)}")
    if isinstance(ridge, bool) or not (math.isfinite(ridge) and ridge > 0):
        raise ValueError(f"ridge: must be a finite number > 0, got {ridge!r}")
    if not (math.isfinite(tolerance) and tolerance > 0):
        raise ValueError(f"tolerance: must be a finite number > 0, got {tolerance}")
    Y, noise = targets.reshape(N, -1), N * float(ridge)
    if Y.shape[1] > N:
        raise ValueError(f"y: at most as many targets as points ({N}) fit in one product, got {Y.shape[1]}")
    whiten = Preconditioner.none(N).whiten if preconditioner is None else preconditioner.whiten
    now = _started(Y, whiten) if state is None else _checked(state, Y, whiten)
    sizes = torch.linalg.vector_norm(Y, dim=0).clamp_min(torch.finfo(Y.dtype).tiny)
    while now.residual > tolerance:
        if now.products >= max_products:
            raise RuntimeError(
                f"regression: not solved after {now.products} products; the residual is {now.residual:.1e} of the "
                f"targets and {tolerance:.1e} was asked for"
            )
        now = _step(now, Y, sizes, kernel, noise, whiten)
        checkpoint(_share(now.residual, tolerance))
        if on_state is not None:
            on_state(now)
    alpha = whiten(now.z)
    left = torch.linalg.vector_norm(Y - kernel.matvec(alpha) - noise * alpha, dim=0)
    return Regression(alpha.reshape(targets.shape), float((left / sizes).max()), now.products + 1, noise, left)


def predict(kernel: Kernel, X_test: Any, X: Any, alpha: Tensor) -> Tensor:
    """K(x, X) alpha at X_test (M, n_in), a piece of the matrix at a time: (M,) or (M, k)."""
    rows = max(1, PIECE // len(X))
    parts = []
    for start in range(0, len(X_test), rows):
        parts.append(kernel(X_test[start : start + rows], X) @ alpha)
        checkpoint()
    return torch.cat(parts)


def _started(Y: Tensor, whiten: Callable[[Tensor], Tensor]) -> Iteration:
    Q, C = torch.linalg.qr(whiten(Y))
    zero = torch.zeros_like(Y)
    return Iteration(0, 1.0 if bool(Y.any()) else 0.0, zero, zero.clone(), Q, Q.clone(), C)


def _checked(state: Iteration, Y: Tensor, whiten: Callable[[Tensor], Tensor]) -> Iteration:
    if state.z.shape != Y.shape:
        raise ValueError(f"state: it is of targets of shape {tuple(state.z.shape)}, not {tuple(Y.shape)}")
    left = whiten(Y - state.fitted)
    if not torch.allclose(state.Q @ state.C, left, rtol=0, atol=DRIFT * float(whiten(Y).abs().max())):
        raise ValueError("state: it is of other targets or another preconditioner")
    return state


def _step(
    now: Iteration, Y: Tensor, sizes: Tensor, kernel: Operator, noise: float, whiten: Callable[[Tensor], Tensor]
) -> Iteration:
    """One product: the best solution in the space that it adds a block to."""
    direction = whiten(now.P)
    image = kernel.matvec(direction) + noise * direction
    Z = whiten(image)
    D = now.P.mT @ Z
    D_inverse = torch.linalg.inv((D + D.mT) / 2)
    length = D_inverse @ now.C
    Q, T = torch.linalg.qr(now.Q - Z @ D_inverse)
    moved = replace(
        now,
        products=now.products + 1,
        z=now.z + now.P @ length,
        fitted=now.fitted + image @ length,
        Q=Q,
        P=Q + now.P @ T.mT,
        C=T @ now.C,
    )
    return replace(moved, residual=float((torch.linalg.vector_norm(Y - moved.fitted, dim=0) / sizes).max()))


def _share(residual: float, tolerance: float) -> float:
    """How far the residual's logarithm has come."""
    return 1.0 if residual <= tolerance else min(1.0, max(0.0, math.log(residual) / math.log(tolerance)))
