"""The tangent kernel layer by layer: what each layer's weights and biases contribute (paper, section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ntk_core.finite.tangent import Features


class Speed(NamedTuple):
    """How fast a layer's weights and biases learn, relative to the paper's parametrization (1 and 1)."""

    weights: float = 1.0
    biases: float = 1.0


def layer_terms(left: Features, right: Features, speeds: Sequence[Speed] | None = None) -> list[Tensor]:
    """(w w_std^2 a_l(x) . a_l(x') / n_l + b beta^2) (delta_{l+1}(x) . delta_{l+1}(x')), l = 0..L-1; their sum is Theta.

    Args:
        left: features at N points.
        right: features at M points of the same network.
        speeds: (w, b) of every layer; by default 1.

    Returns:
        L tensors (S, N, M) for one output, else (S, N, M, n_out, n_out).
    """
    terms = []
    S, K, N, _ = left.deltas[0].shape
    M = right.deltas[0].shape[2]
    for layer, delta in enumerate(left.deltas):
        speed = Speed() if speeds is None else speeds[layer]
        a, a2 = left.done.activations[layer], right.done.activations[layer]
        forward = speed.weights * left.w_std**2 / a.shape[-1] * (a @ a2.mT) + speed.biases * left.beta**2
        backward = delta.reshape(S, K * N, -1) @ right.deltas[layer].reshape(S, K * M, -1).mT
        backward = backward.reshape(S, K, N, K, M).permute(0, 2, 4, 1, 3)
        term = backward * forward[..., None, None]
        terms.append(term[..., 0, 0] if K == 1 else term)
    return terms


def as_matrix(kernel: Tensor, ensemble: bool) -> Tensor:
    """A network's kernel as (S, N n_out, M n_out), float64: points outside, outputs inside."""
    kernel = kernel.double() if ensemble else kernel.double()[None]
    if kernel.ndim == 3:
        return kernel
    S, N, M, K, _ = kernel.shape
    return kernel.permute(0, 1, 3, 2, 4).reshape(S, N * K, M * K)


def summed(terms: Sequence[Tensor]) -> Tensor:
    """Their sum."""
    return torch.stack(list(terms)).sum(0)
