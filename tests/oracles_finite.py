"""Slow, obvious versions of what finite networks do: written out by the paper's formulas, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from ntk_core.finite.sampled import Sampled

Parameters = list[tuple[Tensor, Tensor]]  # (W_l, b_l), l = 0..L-1


def parameters(widths: Sequence[int], seed: int) -> Parameters:
    """iid N(0, 1)."""
    source = torch.Generator().manual_seed(seed)
    return [
        (
            torch.randn(m, n, generator=source, dtype=torch.float64),
            torch.randn(m, generator=source, dtype=torch.float64),
        )
        for n, m in pairwise(widths)
    ]


def network(sigma: Callable[[Tensor], Tensor], beta: float, theta: Parameters, X: Tensor, w_std: float = 1.0) -> Tensor:
    """Section 2 of the paper, line by line: (N, n_in) -> (N, n_out)."""
    a = X
    for layer, (W, b) in enumerate(theta):
        h = w_std * (a @ W.T) / math.sqrt(W.shape[1]) + beta * b
        a = sigma(h) if layer < len(theta) - 1 else h
    return a


def tangent_kernel(
    sigma: Callable[[Tensor], Tensor], beta: float, theta: Parameters, X: Tensor, w_std: float = 1.0
) -> Tensor:
    """Section 4 with the Jacobian written out: (N, N, n_out, n_out)."""
    flat = [p for pair in theta for p in pair]

    def f(*values: Tensor) -> Tensor:
        return network(sigma, beta, list(zip(values[::2], values[1::2], strict=True)), X, w_std)

    jacobians = torch.autograd.functional.jacobian(f, tuple(flat))
    J = torch.cat([j.flatten(2) for j in jacobians], -1)  # (N, n_out, P)
    return torch.einsum("nkp,mlp->nmkl", J, J)


def gradient_descent(
    sigma: Callable[[Tensor], Tensor],
    beta: float,
    theta: Parameters,
    X: Tensor,
    cost: Callable[[Tensor], Tensor],
    rate: float,
    steps: int,
    momentum: float = 0.0,
    w_std: float = 1.0,
) -> Parameters:
    """theta after that many steps on cost(f(X)), by autograd."""
    flat = [p.clone().requires_grad_() for pair in theta for p in pair]
    velocity = [torch.zeros_like(p) for p in flat]
    for _ in range(steps):
        f = network(sigma, beta, list(zip(flat[::2], flat[1::2], strict=True)), X, w_std)
        gradients = torch.autograd.grad(cost(f), flat)
        with torch.no_grad():
            for p, v, g in zip(flat, velocity, gradients, strict=True):
                v.mul_(momentum).sub_(rate * g)
                p.add_(v)
    flat = [p.detach() for p in flat]
    return list(zip(flat[::2], flat[1::2], strict=True))


class Stored(Sampled):
    """Sampled weights whose queries a stored matrix answers: what is left is the error of the method alone."""

    def __init__(self, W: Tensor, tolerance: float):
        super().__init__(W.shape[1], W.shape[2], range(W.shape[0]), 0, W.dtype, W.device, tolerance)
        self.W = W

    def part(self, index):
        part = super().part(index)
        part.W = self.W[index]
        return part

    def _images(self, side, other, fresh):
        directions = fresh.directions
        return directions @ self.W.mT if side is self._forward else directions @ self.W


class Careless(Sampled):
    """A wrong sampler: what the other side already knows is not taken out of the fresh noise, so it counts twice."""

    def _images(self, side, other, fresh):
        images = super()._images(side, other, fresh)
        noise = torch.randn(images.shape, dtype=images.dtype, generator=side.sources[0])
        P = other.directions
        return images + noise @ P.mT @ P
