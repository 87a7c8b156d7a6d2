"""The infinite network's training beside those who solve the same equations, and beyond the memory for its matrix."""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ntk_core import Architecture, InfiniteEnsemble, KernelOperator, limiting_kernels
from ntk_core.limit.flow import gradient_flow
from ntk_core.limit.iterative import predict, regression
from ntk_core.limit.kernel_functions import NTK
from ntk_core.limit.preconditioner import pivoted
from tests.benchmarks.child import measure
from tests.benchmarks.framework import Context, row
from tests.benchmarks.results import Check, Comparison
from tests.benchmarks.rows.wide import picture_like
from tests.benchmarks.timing import alternate, sampler

TARGETS = 10
RIDGE = 1e-4  # in the units of K/N
TIMES = tuple(np.geomspace(1, 1e4, 30).tolist())
EVEN = np.linspace(0, 1000, 11)  # the only times that SciPy takes at once
MEMORY, MANY = 4.0, 60_000  # GB, and the points that must fit
BEYOND = "ridge regression of 20,000 x 784 points, ten targets, L = 4, without the matrix"


@row("limit-dynamics", "peers", "infinite network, 1,000 points, 30 times, 200 inputs", "neural-tangents' predict")
def dynamics(context: Context) -> Comparison:
    """From points to the mean at every time, kernels included on both sides."""
    count, tests = context.pick((1000, 200), (40, 8))
    X, y = picture_like(count + tests, 20, 0), np.random.default_rng(1).standard_normal((count, 1))
    arch = Architecture(depth=4, n_in=20)

    def ours() -> Tensor:
        return InfiniteEnsemble(arch, X[:count], y).on(X[count:]).means(TIMES)

    shape: dict[str, Any] = {"depth": 4, "activation": "relu", "beta": arch.beta}
    compiled = context.peer.prepare("dynamics", X=X[:count], X_test=X[count:], y=y, times=np.array(TIMES), **shape)
    return _beside(context, "dynamics", ours, 1e-6, (f"its first call took {compiled:.1f} s",))


@row("kernel-ridge", "peers", "ridge regression, 4,000 points, ten targets, matrix given", "scikit-learn's KernelRidge")
def ridge(context: Context) -> Comparison:
    """By preconditioned conjugate gradients to 1e-8, beside a Cholesky factor."""
    K, cross, Y = _matrices(*context.pick((4000, 500), (100, 10)))
    arguments = {"K": K.numpy(), "cross": cross.numpy(), "Y": Y}
    context.peer.prepare("ridge", alpha=RIDGE * len(K), **arguments)

    def ours() -> Tensor:
        return cross @ regression(_Matrix(K), Y, RIDGE, tolerance=1e-8, max_products=1000).alpha

    products = regression(_Matrix(K), Y, RIDGE, tolerance=1e-8, max_products=1000).products
    return _beside(context, "ridge", ours, 1e-5, (f"{products} products with the matrix",))


@row("kernel-flow", "peers", "flow, 4,000 points, ten targets, 11 times, matrix given", "SciPy's expm_multiply")
def flow(context: Context) -> Comparison:
    """The peer's answer is on the training points; so is what is compared."""
    K, _, Y = _matrices(*context.pick((4000, 1), (100, 1)))
    context.peer.prepare("flow", K=K.numpy(), Y=Y, stop=float(EVEN[-1]), count=len(EVEN))

    def ours() -> Tensor:
        return gradient_flow(_Matrix(K), Y, EVEN.tolist(), tolerance=1e-8).f

    products = gradient_flow(_Matrix(K), Y, EVEN.tolist(), tolerance=1e-8).products
    return _beside(context, "flow", ours, 1e-6, (f"{products} products with the matrix",))


@row("regression-20000", "peers", BEYOND, "the direct solution, extrapolated from 5,000 points", slow=True)
def beyond(context: Context) -> Comparison:
    """Made points whose variances fall like those of pictures. Both answers are compared where both exist."""
    count, few, n_in = context.pick((20_000, 5000, 784), (400, 200, 30))
    found = measure(f"{__name__}:iterated", context.cores, points=count, n_in=n_in)
    small = measure(f"{__name__}:iterated", context.cores, points=few, n_in=n_in)
    direct = measure(f"{__name__}:solved", context.cores, points=few, n_in=n_in)
    away = np.abs(np.array(small["f"]) - np.array(direct["f"])).max() / np.abs(np.array(direct["f"])).max()
    grown = count / few
    theirs = direct["kernel"] * grown**2 + direct["solve"] * grown**3
    peak = found["peak"] / 1e9
    most = peak + (found["peak"] - small["peak"]) / 1e9 * (MANY - count) / (count - few)
    hours = found["seconds"] * (MANY / count) ** 2 / 3600
    checks = (
        Check("residual over the targets", found["residual"], 1e-5),
        Check(f"distance to the direct solution at {few:,} points over the largest output", float(away), 1e-3),
        Check(f"memory at {MANY:,} points, GB, extrapolated", most, MEMORY),
    )
    notes = (
        f"{found['products']} products with the kernel",
        f"peak memory {peak:.2g} GB, of the direct solution {direct['peak'] / 1e9 * grown**2:.3g} GB",
        f"{MANY:,} points: {hours:.1f} hours, extrapolated with as many products",
        "one sample",
    )
    return Comparison((found["seconds"],), (theirs,), None, checks, notes)


def iterated(points: int, n_in: int) -> dict[str, Any]:
    """Ridge regression by conjugate gradients; seconds, products, residual, some outputs elsewhere."""
    X, Y, elsewhere, arch = _many(points, n_in)
    start = clock.perf_counter()
    helper = pivoted(NTK(arch), X, RIDGE, rank=min(1000, points // 4))
    found = regression(KernelOperator(arch, X), Y, RIDGE, tolerance=1e-6, preconditioner=helper)
    f = predict(NTK(arch), elsewhere, X, found.alpha)
    spent = clock.perf_counter() - start
    return {"seconds": spent, "products": found.products, "residual": found.residual, "f": f.tolist()}


def solved(points: int, n_in: int) -> dict[str, Any]:
    """The same by the matrix and its Cholesky factor; seconds of either, and the outputs."""
    X, Y, elsewhere, arch = _many(points, n_in)
    start = clock.perf_counter()
    K = limiting_kernels(arch, X).ntk
    made = clock.perf_counter()
    K.diagonal().add_(points * RIDGE)
    alpha = torch.cholesky_solve(Y, torch.linalg.cholesky(K))
    solved = clock.perf_counter()
    f = limiting_kernels(arch, elsewhere, X).ntk @ alpha
    return {"kernel": made - start, "solve": solved - made, "f": f.tolist()}


class _Matrix:
    """A matrix at hand as what is only multiplied."""

    def __init__(self, K: Tensor):
        self.K, self.shape = K, tuple(K.shape)

    def matvec(self, V: Tensor) -> Tensor:
        return self.K @ V


def _many(points: int, n_in: int) -> tuple[np.ndarray, Tensor, np.ndarray, Architecture]:
    """Points, ten classes that depend on them, 200 other points, the network."""
    X = picture_like(points + 200, n_in, 0)
    scores = np.tanh(X[:points] @ np.random.default_rng(1).standard_normal((n_in, TARGETS)) / np.sqrt(n_in))
    Y = torch.from_numpy(np.eye(TARGETS)[scores.argmax(1)] - 1 / TARGETS)
    return X[:points], Y, X[points:], Architecture(depth=4, n_in=n_in)


def _matrices(count: int, tests: int) -> tuple[Tensor, Tensor, np.ndarray]:
    """The tangent kernel of some points (N, N), with other points (M, N), and targets (N, 10)."""
    X = picture_like(count + tests, 20, 0)
    arch = Architecture(depth=4, n_in=20)
    K, cross = limiting_kernels(arch, X[:count]).ntk, limiting_kernels(arch, X[count:], X[:count]).ntk
    return K, cross, np.random.default_rng(1).standard_normal((count, TARGETS))


def _beside(
    context: Context, job: str, ours: Callable[[], Tensor], allowed: float, notes: tuple[str, ...]
) -> Comparison:
    """Both sides in turns, and how far their answers are apart."""
    theirs = torch.from_numpy(context.peer.answer(job))
    mine = ours().reshape(theirs.shape)
    check = Check("difference over the largest", float((mine - theirs).abs().max() / theirs.abs().max()), allowed)
    samples = alternate(sampler(ours, 0.2), lambda: context.peer.seconds(job, 0.2), 3)
    return Comparison(*samples, None, (check,), notes)
