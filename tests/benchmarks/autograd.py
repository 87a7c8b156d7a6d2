"""What people write otherwise: a training loop on autograd, and torch.func's Jacobian for the tangent kernel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.func import jacrev, vmap

from ntk_core import Network
from ntk_core.finite.weights import Dense

Parameters = list[tuple[Tensor, Tensor]]  # (W, b) layer by layer, W (n_out, n_in)


def outputs(parameters: Sequence[tuple[Tensor, Tensor]], X: Tensor, beta: float) -> Tensor:
    """The relu network in the paper's parametrization: (N, n_in) -> (N, n_out)."""
    a = X
    for layer, (W, b) in enumerate(parameters):
        h = torch.addmm(b, a, W.T, beta=beta, alpha=1 / math.sqrt(W.shape[1]))
        a = torch.relu(h) if layer < len(parameters) - 1 else h
    return a


class Loop:
    """Full-batch gradient descent on C = mean (f - y)^2 / 2: float32, updated in place, gradients dropped each step."""

    def __init__(self, parameters: Parameters, beta: float):
        self.beta = beta
        self.parameters = [(W.requires_grad_(), b.requires_grad_()) for W, b in parameters]
        self._flat = [p for pair in self.parameters for p in pair]

    def train(self, X: Tensor, y: Tensor, steps: int, rate: float = 1.0) -> Loop:
        """`steps` steps; X (N, n_in), y (N, 1)."""
        for _ in range(steps):
            cost = 0.5 * (outputs(self.parameters, X, self.beta) - y).square().mean()
            gradients = torch.autograd.grad(cost, self._flat)
            with torch.no_grad():
                torch._foreach_add_(self._flat, gradients, alpha=-rate)
        return self

    def __call__(self, X: Tensor) -> Tensor:
        """f(X) without a graph."""
        with torch.no_grad():
            return outputs(self.parameters, X, self.beta)

    def frozen(self) -> Parameters:
        """The parameters as plain tensors."""
        return [(W.detach(), b.detach()) for W, b in self.parameters]


def copies(network: Network) -> Parameters:
    """One dense network's parameters, copied."""
    pairs = []
    for layer, bias in zip(network.layers, network.biases, strict=True):
        assert isinstance(layer, Dense)
        pairs.append((layer.W[0].clone(), bias[0].clone()))
    return pairs


def drawn(widths: Sequence[int], device: str = "cpu") -> Parameters:
    """iid N(0, 1) parameters for layer sizes (n_0, ..., n_L)."""
    return [(torch.randn(m, n, device=device), torch.randn(m, device=device)) for n, m in pairwise(widths)]


def jacobian_kernel(parameters: Parameters, X: Tensor, beta: float) -> Tensor:
    """Theta (N, N) of a network with one output: every point's Jacobian by jacrev under vmap, then products."""

    def f(p: Parameters, x: Tensor) -> Tensor:
        return outputs(p, x[None], beta)[0]

    jacobian = vmap(jacrev(f), (None, 0))(parameters, X)
    flat = [part.flatten(1) for pair in jacobian for part in pair]  # (N, parameters of one tensor)
    return sum((J @ J.T for J in flat[1:]), start=flat[0] @ flat[0].T)
