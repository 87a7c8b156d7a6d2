"""Kernel principal components (paper, section 5): eigenpairs of Theta(X, X)/N, not centred.

For a matrix at hand, LAPACK. For a kernel too large to store, block Lanczos (power iteration that keeps all its
powers): it sees the kernel only through products with a block of vectors.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from ntk_core.architecture import Architecture
from ntk_core.eigen import eigh
from ntk_core.limit.kernels import limiting_kernels
from ntk_core.limit.semidefinite import null_level

EXTRA = 4  # vectors in a block beyond those asked for: they speed up convergence at the end of the list
ROUNDING = 1e-5  # asymmetry forgiven, relative to the largest entry
MAX_BASIS = 160  # columns kept before the iteration starts anew from its best vectors


class Operator(Protocol):
    """A symmetric positive semi-definite kernel matrix that is only multiplied: `limit.KernelOperator`, or a user's."""

    @property
    def shape(self) -> tuple[int, int]:
        """(N, N)."""

    def matvec(self, V: Tensor) -> Tensor:
        """K V for V (N, k)."""


class Components(NamedTuple):
    """values (k,) descending, of K/N; functions (N, k), each with mean square 1."""

    values: Tensor
    functions: Tensor


Progress = Callable[[int, float], Any]


def principal_components(
    kernel: Tensor | np.ndarray | Operator,
    k: int,
    *,
    tolerance: float = 1e-6,
    max_products: int = 200,
    start: Tensor | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Components:
    """The k leading kernel principal components.

    Args:
        kernel: (N, N) matrix, or an operator with `.shape` and `.matvec` (then the other arguments apply).
        k: how many, 1 to N.
        tolerance: stop when |K f - lambda f| <= tolerance * lambda_1 for all k components (mean-square norms, K/N).
        max_products: how many products with a block of k + 4 vectors may be spent.
        start: functions (N, any number) to start from, e.g. those of `nystroem`; otherwise Gaussian vectors by `seed`.
        progress: called after every product with the number of products so far and the residual over lambda_1.

    Returns:
        Components; each function's sign is fixed: its first entry that is largest in absolute value is positive.
        Within an eigenspace of several dimensions the functions are an arbitrary basis.

    Raises:
        ValueError: a kernel that is not square, symmetric and finite, or k outside 1..N.
        RuntimeError: no convergence within `max_products`; the message has the residual that was reached.
    """
    N, columns = kernel.shape
    if columns != N or N == 0:
        raise ValueError(f"kernel: a square matrix is needed, got shape {tuple(kernel.shape)}")
    if isinstance(k, bool) or not isinstance(k, numbers.Integral) or not 1 <= k <= N:
        raise ValueError(f"k: must be a whole number between 1 and {N} (the number of points), got {k!r}")
    if isinstance(kernel, (Tensor, np.ndarray)):
        values, vectors = _dense(_symmetric(torch.as_tensor(kernel, dtype=torch.float64).detach()), int(k))
    else:
        values, vectors = _lanczos(kernel, k, tolerance, max_products, start, seed, progress)
    return Components(values / N, _signed(vectors) * N**0.5)


def nystroem(arch: Architecture, X: Tensor, k: int, *, points: int = 2000, seed: int = 0) -> Tensor:
    """Approximate principal components of the NTK on X (N, n_in) from a random part of the points: (N, k).

    Solves the problem on `points` of the rows and extends its functions, f(x) = Theta(x, X_part) f(X_part) / (m
    lambda). As the `start` of `principal_components` it saves several passes over the whole kernel. Where the rank of
    the part's kernel is less than k there are no more than that many: a null function cannot be extended.
    """
    m = min(points, len(X))
    part = torch.from_numpy(np.random.default_rng(seed).permutation(len(X))[:m])
    values, functions = principal_components(limiting_kernels(arch, X[part]).ntk, min(k, m))
    seen = values > null_level(m, float(values[0]))
    scaled = functions[:, seen] / values[seen] / m
    rows = [limiting_kernels(arch, piece, X[part]).ntk @ scaled for piece in X.split(4096)]
    return torch.cat(rows)


def _symmetric(K: Tensor) -> Tensor:
    """The matrix itself; a ValueError where it is not symmetric up to the rounding of float32."""
    size, skew = float(K.abs().max()), float((K - K.mT).abs().max())
    if skew > ROUNDING * size:
        raise ValueError(
            f"kernel: a symmetric matrix is needed, got entries that differ from their mirrors by {skew:.3g}"
        )
    return K


def _dense(K: Tensor, k: int) -> tuple[Tensor, Tensor]:
    if not bool(torch.isfinite(K).all()):
        raise ValueError("kernel: every entry must be a finite number")
    N = len(K)
    values, vectors = scipy.linalg.eigh(K.numpy(), subset_by_index=(N - k, N - 1))
    return torch.from_numpy(values[::-1].copy()), torch.from_numpy(vectors[:, ::-1].copy())


def _lanczos(
    kernel: Operator,
    k: int,
    tolerance: float,
    max_products: int,
    start: Tensor | None,
    seed: int,
    progress: Progress | None,
) -> tuple[Tensor, Tensor]:
    """Block Lanczos with full orthogonalization and Rayleigh-Ritz: eigenvalues (k,) of K, unit vectors (N, k)."""
    N = kernel.shape[0]
    block = _orthonormal(_first_block(N, min(k + EXTRA, N), start, seed))
    V, KV = block.new_zeros(N, 0), block.new_zeros(N, 0)  # the basis so far, and its image
    for products in range(1, max_products + 1):
        image = kernel.matvec(block).to(V.dtype)
        if not bool(torch.isfinite(image).all()):
            raise ValueError("kernel: the product with a vector is not finite")
        V, KV = torch.cat([V, block], 1), torch.cat([KV, image], 1)
        H = V.mT @ KV
        theta, s = eigh((H + H.mT) / 2)
        theta, s = theta.flip(0), s.flip(1)
        ritz, ritz_image = V @ s[:, :k], KV @ s[:, :k]
        residual = _relative(ritz_image - ritz * theta[:k], theta[0])  # of K f = theta f, so of K/N as well
        if progress is not None:
            progress(products, residual)
        if residual <= tolerance and ritz.shape[1] == k:
            return theta[:k], ritz
        width = block.shape[1]
        block = _orthonormal(_outside(V, image))
        if block.shape[1] == 0:  # the basis is invariant: what it holds is exact
            return _complete(theta, V @ s, k)
        if V.shape[1] + width > max(MAX_BASIS, 3 * width):
            V, KV = V @ s[:, : 2 * width], KV @ s[:, : 2 * width]
    raise RuntimeError(
        f"principal components: no convergence after {max_products} products; the residual is {residual:.1e} of the "
        f"largest eigenvalue and {tolerance:.1e} was asked for"
    )


def _first_block(N: int, width: int, start: Tensor | None, seed: int) -> Tensor:
    """`width` Gaussian columns, the first of them replaced by the given functions."""
    block = torch.from_numpy(np.random.default_rng(seed).standard_normal((N, width)))
    if start is not None:
        if start.ndim != 2 or start.shape[0] != N:
            raise ValueError(f"start: shape ({N}, k) is needed, got {tuple(start.shape)}")
        given = min(width, start.shape[1])
        block[:, :given] = start[:, :given]
    return block


def _outside(V: Tensor, W: Tensor) -> Tensor:
    """The part of W orthogonal to the basis V, taken twice against rounding; zero where only rounding is left."""
    norms = torch.linalg.vector_norm(W, dim=0)
    for _ in range(2):
        W = W - V @ (V.mT @ W)
    return torch.where(torch.linalg.vector_norm(W, dim=0) > 1e-12 * norms.max(), W, 0.0)


def _orthonormal(W: Tensor) -> Tensor:
    """An orthonormal basis of the columns' span; directions at rounding level are dropped."""
    U, sizes, _ = torch.linalg.svd(W, full_matrices=False)
    return U[:, sizes > 1e-10 * sizes.max().clamp_min(torch.finfo(W.dtype).tiny)]


def _relative(residual: Tensor, largest: Tensor) -> float:
    """Largest column norm over the largest eigenvalue (0 for the zero kernel)."""
    norm = float(torch.linalg.vector_norm(residual, dim=0).max())
    return norm / float(largest) if float(largest) > 0 else norm


def _complete(theta: Tensor, vectors: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The first k pairs; if the kernel's range is smaller, null vectors with eigenvalue 0 fill up."""
    missing = k - vectors.shape[1]
    if missing > 0:
        noise = torch.from_numpy(np.random.default_rng(0).standard_normal((len(vectors), missing)))
        vectors = torch.cat([vectors, _orthonormal(_outside(vectors, noise))], 1)
        theta = torch.cat([theta, theta.new_zeros(missing)])
    return theta[:k], vectors[:, :k]


def _signed(vectors: Tensor) -> Tensor:
    """Each column with a positive sign at its first entry of largest size (up to rounding)."""
    sizes = vectors.abs()
    first = (sizes >= sizes.max(0).values * (1 - 1e-9)).to(torch.int8).argmax(0)
    signs = torch.sign(vectors.gather(0, first[None])[0])
    return vectors * torch.where(signs == 0, 1.0, signs)
