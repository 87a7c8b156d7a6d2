"""What moves while a network learns: its kernel, single weights and neurons, and what they do together (remark 4).

As the width n grows, every hidden weight and every hidden activation moves less and less; yet the lower layers go on
contributing to what is learned, because a change of f is the sum over ever more of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ntk_core.device import as_tensor
from ntk_core.finite.layer_terms import as_matrix, layer_terms, summed
from ntk_core.finite.network import Network
from ntk_core.finite.weights import Dense


def kernel_movement(before: Tensor, after: Tensor) -> Tensor:
    """|Theta_t - Theta_0| / |Theta_0| in the Frobenius norm: (..., N, N) twice gives (...)."""
    return torch.linalg.matrix_norm(after.double() - before.double()) / torch.linalg.matrix_norm(before.double())


def alignment(kernel: Tensor, y: Any) -> Tensor:
    """y . Theta y / (|Theta| |y|^2), Frobenius norm: 1 if Theta is y y^T, 0 if it does not see y (Cortes et al. 2012).

    Args:
        kernel: a tangent kernel (N, N), or (N, N, n_out, n_out) of several outputs; for an ensemble with a leading S.
        y: targets (N,), (N, 1) or, for several outputs, (N, n_out).

    Returns:
        () or (S,).

    Raises:
        ValueError: shapes that do not fit, or targets that are all zero.
    """
    y = as_tensor(y).to(kernel.device, torch.float64)
    several = y.ndim == 2 and y.shape[1] > 1
    if kernel.ndim >= 4 and not several:
        raise ValueError(
            f"y: a kernel of several outputs, {tuple(kernel.shape)}, needs targets (N, n_out), got {tuple(y.shape)}"
        )
    if kernel.ndim >= 4:
        matrix = as_matrix(kernel, ensemble=kernel.ndim == 5)
        matrix = matrix if kernel.ndim == 5 else matrix[0]
    else:
        matrix = kernel.double()
    flat = y.flatten()
    if matrix.shape[-1] != len(flat):
        raise ValueError(f"y: {len(flat)} targets do not fit a kernel of shape {tuple(kernel.shape)}")
    if not bool(flat.any()):
        raise ValueError("y: all targets are zero, so nothing can be aligned with them")
    return flat @ matrix @ flat / (torch.linalg.matrix_norm(matrix) * flat.square().sum())


@dataclass(frozen=True)
class Drift:
    """How far a network has moved, seed by seed (S) and layer by layer; layer l = 0 is the first weight matrix.

    Attributes:
        weights: (S, L) root mean square of the entries of W_l(t) - W_l(0), entries being N(0, 1) at first. Hidden
            matrices move like 1/n, the first and last like 1/sqrt(n).
        activations: (S, L - 1) root mean square over neurons and points of a_l(t) - a_l(0), l = 1..L-1: 1/sqrt(n).
        effects: (S, L) root mean square over points of the change of f when layer l alone goes to where training has
            taken it (weights and biases): the collective effect, which does not shrink.
        kernel: (S, L) |Theta_l(t) - Theta_l(0)| / |Theta(0)|, Theta_l being layer l's term of the kernel.
        kernel_total: (S,) |Theta(t) - Theta(0)| / |Theta(0)|.
    """

    weights: Tensor
    activations: Tensor
    effects: Tensor
    kernel: Tensor
    kernel_total: Tensor


def drift(before: Network, after: Network, X: Any) -> Drift:
    """The movement from one network to another of the same shape: single weights, neurons, and together.

    Args:
        before: the network at t = 0 (`copy.deepcopy` of it before training).
        after: the same, trained; inside training it is taken as it answers (`State`).
        X: (N, n_in) points at which activations, f and the kernel are compared.

    Raises:
        ValueError: networks of different shapes, or weights that are not stored.
    """
    if before.arch.widths != after.arch.widths or before.size != after.size:
        raise ValueError(f"after: its layers {after.arch.widths} do not fit those before, {before.arch.widths}")
    old, new = _stored(before), _stored(after)
    weights = [(n - o).double().square().mean((1, 2)).sqrt() for o, n in zip(old, new, strict=True)]
    left, right = before.features(X), after.features(X)
    pairs = zip(left.done.activations[1:], right.done.activations[1:], strict=True)
    activations = [(b - a).double().square().mean((1, 2)).sqrt() for a, b in pairs]
    effects = [_effect(before, after, layer, X, left.done.outputs) for layer in range(before.arch.depth)]
    starts, ends = layer_terms(left, left), layer_terms(right, right)
    size = _norm(summed(starts))
    empty = torch.zeros(before.size, 0, dtype=torch.float64, device=before.device)
    return Drift(
        torch.stack(weights, 1),
        torch.stack(activations, 1) if activations else empty,
        torch.stack(effects, 1),
        torch.stack([_norm(e - s) / size for s, e in zip(starts, ends, strict=True)], 1),
        _norm(summed(ends) - summed(starts)) / size,
    )


def _stored(network: Network) -> list[Tensor]:
    """The weights of every layer (S, m, n), as the network answers."""
    layers = [layer for layer in network.layers if isinstance(layer, Dense)]
    if len(layers) < len(network.layers):
        raise ValueError("weights: the movement of single weights needs stored ones; choose dense")
    return [layer.answering() for layer in layers]


def _effect(before: Network, after: Network, layer: int, X: Any, outputs: Tensor) -> Tensor:
    """Root mean square change of f (S,) when one layer of `before` is replaced by that of `after`."""
    layers, biases = list(before.layers), list(before.answering_biases)
    layers[layer], biases[layer] = after.layers[layer], after.answering_biases[layer]
    moved = Network(before.arch, layers, biases).forward(X).outputs
    return (moved - outputs).double().square().mean((1, 2)).sqrt()


def _norm(kernel: Tensor) -> Tensor:
    return torch.linalg.vector_norm(kernel.double().flatten(1), dim=1)
