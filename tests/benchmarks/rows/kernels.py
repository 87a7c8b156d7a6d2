"""Limiting kernels and tangent kernels beside neural-tangents and torch.func."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
import torch

from ntk_core import Architecture, Network, limiting_kernels
from tests.benchmarks import autograd, reference
from tests.benchmarks.framework import Context, row
from tests.benchmarks.results import Check, Comparison
from tests.benchmarks.timing import alternate, sampler, seconds

BETA = 0.1
DEPTH = 4
LONG = 0.2  # seconds a sample fills at least, so that the clock and chance say little
TANGENT = "tangent kernel, L = 4, width 1,024, 100 points, float32"
IMPLEMENTATIONS = ("jacobian contraction", "tangent products", "structured derivatives")


@row("relu-kernel", "peers", "limiting kernels, relu, L = 4, 2,000 x 784, float64", "neural-tangents, jitted")
def relu_kernel(context: Context) -> Comparison:
    """Both kernels of Gaussian points."""
    X = np.random.default_rng(0).standard_normal((context.pick(2000, 100), 784))
    ours, theirs, compiled = _limiting(context, "relu", X, repeats=7)
    ntk, peers = limiting_kernels(_arch("relu", X), X).ntk.numpy(), context.peer.answer("limiting:relu")[1]
    error = np.abs(ntk - peers) / np.abs(peers).max()
    on_diagonal = float(error.diagonal().max())
    np.fill_diagonal(error, 0.0)
    checks = (
        Check("largest difference over the largest entry", float(error.max()), 1e-10),
        Check("on the diagonal, where the peer's arc cosine of 1 rounds,", on_diagonal),
    )
    # Two flops a coordinate of every pair, half of the pairs; an arc cosine and a root for each in every layer but one.
    n, n_in = X.shape
    products = n * n * n_in / context.limits.flops64
    elements = context.limits.arccos * (DEPTH - 1) * n * (n + 1) / 2
    most = statistics.median(theirs) / (products + elements)
    notes = (
        f"compiling took {compiled:.1f} s",
        f"in float64 this machine needs {1e3 * products:.0f} ms for half of the points' products and "
        f"{1e3 * elements:.0f} ms for one arc cosine and one root a pair and layer: {most:.1f}x is the most there is",
    )
    return Comparison(ours, theirs, 12, checks, notes)


@row("tanh-kernel", "peers", "limiting kernels, tanh, L = 4, 500 x 20, float64", "neural-tangents, deg 25, jitted")
def tanh_kernel(context: Context) -> Comparison:
    """The peer integrates in two dimensions for every pair. Errors are against a finer quadrature of some pairs."""
    X = np.random.default_rng(0).standard_normal((context.pick(500, 30), 20))
    ours, theirs, compiled = _limiting(context, "tanh", X, repeats=3)
    left, right = np.random.default_rng(1).integers(0, len(X), (2, context.pick(200, 20)))
    right[:10] = left[:10]  # some of the diagonal
    exact = reference.ntk_pairs(np.tanh, reference.tanh_slope, DEPTH, BETA, X[left], X[right])
    error = np.abs(limiting_kernels(_arch("tanh", X), X).ntk.numpy()[left, right] - exact).max()
    peers = np.abs(context.peer.answer("limiting:tanh")[1][left, right] - exact).max()
    checks = (Check("our largest error", float(error), 1e-10), Check("the peer's", float(peers)))
    return Comparison(ours, theirs, 300, checks, (f"compiling took {compiled:.1f} s",))


@row("tangent-jacrev", "peers", TANGENT, "torch.func.jacrev")
def tangent_jacrev(context: Context) -> Comparison:
    """The same parameters on both sides."""
    network, X = _network(context)
    parameters = autograd.copies(network)

    def jacobian() -> torch.Tensor:
        return autograd.jacobian_kernel(parameters, X, BETA)

    check = _difference(network.tangent_kernel(X), jacobian())
    ours, theirs = alternate(sampler(lambda: network.tangent_kernel(X), LONG), sampler(jacobian, LONG), 5)
    return Comparison(ours, theirs, 80, (check,))


@row("tangent-peer", "peers", TANGENT, "neural-tangents called plainly, fastest of its 3 ways, jitted")
def tangent_peer(context: Context) -> Comparison:
    """As its documentation calls it first."""
    return _tangent_peer(context, told=False, wanted=20)


@row("tangent-peer-told", "peers", TANGENT, "neural-tangents told that points are independent (vmap_axes=0), likewise")
def tangent_peer_told(context: Context) -> Comparison:
    """As someone calls it who knows the option."""
    return _tangent_peer(context, told=True, wanted=None)


def _tangent_peer(context: Context, told: bool, wanted: float | None) -> Comparison:
    """All three of the peer's implementations are tried; the fastest is timed."""
    network, X = _network(context)
    pairs = autograd.copies(network)
    parameters = {f"{k}{layer}": a.numpy() for layer, pair in enumerate(pairs) for k, a in zip("wb", pair, strict=True)}
    tried = {}
    for name in IMPLEMENTATIONS:
        job = f"tangent:{name}, {told}"
        shape: dict[str, Any] = {"depth": DEPTH, "width": network.arch.widths[1], "beta": BETA, "told": told}
        compiled = context.peer.prepare(job, implementation=name, X=X.numpy(), **shape, **parameters)
        tried[job] = (context.peer.seconds(job, LONG), compiled, name)
    fastest = min(tried, key=lambda job: tried[job][0])
    check = _difference(network.tangent_kernel(X), torch.from_numpy(context.peer.answer(fastest)))
    mine = sampler(lambda: network.tangent_kernel(X), LONG)
    ours, theirs = alternate(mine, lambda: context.peer.seconds(fastest, LONG), 5)
    _, compiled, name = tried[fastest]
    return Comparison(ours, theirs, wanted, (check,), (f"fastest: {name}, compiling took {compiled:.1f} s",))


def _limiting(
    context: Context, activation: str, X: np.ndarray, repeats: int
) -> tuple[tuple[float, ...], tuple[float, ...], float]:
    """Samples of both sides, and the seconds the peer took to compile."""
    job = f"limiting:{activation}"
    compiled = context.peer.prepare(job, depth=DEPTH, activation=activation, beta=BETA, X=X)
    arch = _arch(activation, X)
    seconds(lambda: limiting_kernels(arch, X))
    mine = sampler(lambda: limiting_kernels(arch, X), LONG)
    ours, theirs = alternate(mine, lambda: context.peer.seconds(job, LONG), repeats)
    return ours, theirs, compiled


def _arch(activation: str, X: np.ndarray) -> Architecture:
    return Architecture(depth=DEPTH, activation=activation, beta=BETA, n_in=X.shape[1])


def _network(context: Context) -> tuple[Network, torch.Tensor]:
    width, points = context.pick((1024, 100), (64, 10))
    arch = Architecture(depth=DEPTH, width=width, beta=BETA, n_in=2)
    X = torch.from_numpy(np.random.default_rng(0).standard_normal((points, 2))).float()
    return Network.init(arch, 0, device="cpu", weights="dense"), X


def _difference(kernel: torch.Tensor, other: torch.Tensor) -> Check:
    error = (kernel.double() - other.double()).norm() / other.double().norm()
    return Check("relative difference", float(error), 1e-4)
