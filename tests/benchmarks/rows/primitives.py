"""Each primitive beside what the machine's arithmetic or memory would allow, both measured in this run."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch

from ntk_core import Architecture, Network, limiting_kernels
from ntk_core.finite.sampled import Sampled
from ntk_core.finite.tangent import tangent_kernel
from ntk_core.finite.weights import Dense
from ntk_core.limit.kernels import KernelOperator
from tests.benchmarks.framework import Context, row
from tests.benchmarks.results import Share
from tests.benchmarks.timing import seconds

DEPTH = 4
FLOAT = 4  # bytes
ELEMENTWISE = "one arccos and one root a pair and layer"


@row("elementwise", "limits", "limiting kernels, relu, L = 4, 3,000 points on the plane, float64")
def elementwise(context: Context) -> Share:
    """Half of the pairs, three layers each; then both matrices are written whole."""
    n = context.pick(3000, 300)
    X = np.random.default_rng(0).standard_normal((n, 2))
    arch = Architecture(depth=DEPTH, n_in=2)
    limit = _arccos_seconds(context, n) + 2 * 8 * n * n / context.limits.bandwidth
    return Share(_samples(lambda: limiting_kernels(arch, X)), limit, f"{ELEMENTWISE}, writing")


@row("kernel-product", "limits", "limiting kernel @ v, relu, L = 4, 8,192 x 784 points, float64")
def kernel_product(context: Context) -> Share:
    """Without the matrix: products of the points, then elementwise work, then the product with v."""
    n, n_in = context.pick((8192, 784), (400, 50))
    operator = KernelOperator(Architecture(depth=DEPTH, n_in=n_in), np.random.default_rng(0).standard_normal((n, n_in)))
    v = torch.ones(n, dtype=torch.float64)
    limit = _arccos_seconds(context, n) + n * n * n_in / context.limits.flops64
    return Share(_samples(lambda: operator.matvec(v), 3), limit, f"products of the points, {ELEMENTWISE}")


@row("tangent-gram", "limits", "tangent kernel's products, L = 4, width 4,096, 512 points, float32")
def tangent_gram(context: Context) -> Share:
    """After the passes: two products of all points a layer."""
    network, X = _network(context, 4096, 512)
    features = network.features(X)
    sizes = network.arch.widths
    flops = sum(2.0 * len(X) ** 2 * (n + m) for n, m in pairwise(sizes))
    return _products(context, _samples(lambda: tangent_kernel(features, features)), flops)


@row("forward", "limits", "forward pass, dense, L = 4, width 4,096, 512 points, float32")
def forward(context: Context) -> Share:
    """Activations and slopes are kept."""
    network, X = _network(context, 4096, 512)
    return _products(context, _samples(lambda: network.forward(X)), _pass_flops(network, X, first=0))


@row("backward", "limits", "backward pass, dense, L = 4, width 4,096, 512 points, float32")
def backward(context: Context) -> Share:
    """It stops at the first layer's signals."""
    network, X = _network(context, 4096, 512)
    done = network.forward(X)
    return _products(context, _samples(lambda: network.backward(done)), _pass_flops(network, X, first=1))


@row("sampled-query", "limits", "sampled layer of width 200,000, rank 64: W a for 4 known points, float32")
def sampled_query(context: Context) -> Share:
    """At least the basis and its images are read once, the points read and the answers written."""
    n, rank, points = context.pick(200_000, 2000), 64, 4
    layer = Sampled(n, n, [0], 1, torch.float32, torch.device("cpu"), 1e-3)
    basis = torch.randn(1, rank, n)
    layer.multiply(basis)
    # Two tensors in turns: a layer remembers its last question.
    questions = [torch.randn(1, points, rank) @ basis for _ in range(2)]
    traffic = FLOAT * (2 * rank * n + 2 * points * n)

    def ask() -> None:
        for question in questions:
            layer.multiply(question)

    return _traffic(context, tuple(s / 2 for s in _samples(ask)), traffic)


@row("rank-update", "limits", "W += D^T A, dense 8,192 x 8,192, rank 8, float32")
def rank_update(context: Context) -> Share:
    """The matrix is read and written once."""
    n = context.pick(8192, 500)
    layer = Dense(torch.zeros(1, n, n))
    D, A = torch.randn(1, 8, n), torch.randn(1, 8, n)
    return _traffic(context, _samples(lambda: layer.add((D, A))), 2 * FLOAT * n * n)


def _samples(work: Callable[[], object], count: int = 7) -> tuple[float, ...]:
    """Seconds, after one call that does not count."""
    work()
    return tuple(seconds(work, at_least=0.05) for _ in range(count))


def _products(context: Context, samples: tuple[float, ...], flops: float) -> Share:
    rate = context.limits.flops32
    return Share(samples, flops / rate, f"matrix products at {rate / 1e9:.0f} Gflop/s")


def _traffic(context: Context, samples: tuple[float, ...], traffic: float) -> Share:
    rate = context.limits.bandwidth
    return Share(samples, traffic / rate, f"memory at {rate / 1e9:.1f} GB/s")


def _arccos_seconds(context: Context, points: int) -> float:
    return context.limits.arccos * (DEPTH - 1) * points * (points + 1) / 2


def _network(context: Context, width: int, points: int) -> tuple[Network, torch.Tensor]:
    width, points = context.pick((width, points), (128, 32))
    arch = Architecture(depth=DEPTH, width=width, n_in=784)
    return Network.init(arch, 0, device="cpu", weights="dense"), torch.randn(points, 784)


def _pass_flops(network: Network, X: torch.Tensor, first: int) -> float:
    sizes = network.arch.widths[first:]
    return sum(2.0 * len(X) * n * m for n, m in pairwise(sizes))
