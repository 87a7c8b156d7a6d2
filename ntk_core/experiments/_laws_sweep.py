"""The sweep behind the laws in width and depth: what is measured of each network."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ntk_core import data
from ntk_core.device import resolve_device
from ntk_core.experiments import _laws_spec as laws
from ntk_core.experiments._laws_pieces import CIRCLE, LOOKS, Piece, pieces, together
from ntk_core.experiments._laws_theory import limit_at_x0
from ntk_core.finite.linearized import LinearizedNetwork
from ntk_core.finite.movement import drift
from ntk_core.finite.network import Network
from ntk_core.progress import checkpoint
from ntk_core.rules import GradientDescent
from ntk_core.runs.parts import Part
from ntk_core.runs.result import Increment
from ntk_core.training.train import train

if TYPE_CHECKING:
    from ntk_core.experiments._laws_spec import Spec

X0 = np.array([[1.0, 0.0]])


def run(spec: Spec, part: Part | None) -> Iterator[Increment]:
    """The increments of a part's pieces, batch by batch."""
    wanted = pieces(spec)
    if part is not None and part.places != ({},):
        wanted = [piece for piece in wanted if piece.place in part.places]
    total, done = sum(piece.last - piece.first for piece in wanted), 0
    for piece in wanted:
        size = together(spec, piece)
        for first in range(piece.first, piece.last, size):
            batch = piece._replace(first=first, last=min(first + size, piece.last))
            share = done / total
            checkpoint(share)
            values = MEASURES[spec.measure](spec, batch)
            done += batch.last - batch.first
            yield Increment(batch.place, {name: _plain(value) for name, value in values.items()}, done / total)


def _plain(value: Any) -> np.ndarray:
    """As float32; what is not a finite number, of a network that has diverged or died, is not there."""
    array = np.asarray(value.detach().cpu() if isinstance(value, Tensor) else value, dtype=np.float64)
    array = np.where(np.isfinite(array) & (np.abs(array) < np.finfo(np.float32).max), array, np.nan)
    return array.astype(np.float32)


def _networks(spec: Spec, piece: Piece, dtype: torch.dtype = torch.float64, n_out: int = 1) -> Network:
    arch = laws.architecture(spec, spec.swept_depths[piece.depth], spec.widths[piece.width], n_out)
    seeds = [spec.seed + k for k in range(piece.first, piece.last)]
    return Network.init(arch, seeds, dtype=dtype, weights="dense", device=resolve_device(spec.device))


def _spread(spec: Spec, piece: Piece) -> Mapping[str, Any]:
    _, ntk = limit_at_x0(spec, spec.swept_depths[piece.depth])
    return {"kernel": _over(_networks(spec, piece).tangent_kernel(X0)[:, 0, 0], ntk)}


def _outputs(spec: Spec, piece: Piece) -> Mapping[str, Any]:
    nngp, ntk = limit_at_x0(spec, spec.swept_depths[piece.depth])
    network = _networks(spec, piece, n_out=spec.outputs)
    features = network.features(X0)
    kernel = network.tangent_kernel(X0)[:, 0, 0]  # (S, K, K)
    apart = ~torch.eye(spec.outputs, dtype=torch.bool, device=kernel.device)
    mixed = kernel[:, apart].square().mean(1).sqrt()
    return {"f": _over(features.done.outputs[:, 0], nngp**0.5), "mixed": _over(mixed, ntk)}


def _over(values: Tensor, limit: float) -> Tensor:
    return values / limit if limit > 0 else torch.full_like(values, torch.nan)


def _depth(spec: Spec, piece: Piece) -> Mapping[str, Any]:
    """Empirical covariances of the pre-activations: w^2 a_l(x0) . a_l(x) / n_l + beta^2, (S, layer, angle)."""
    X = data.circle(np.concatenate([[0.0], np.pi * np.array(laws.ANGLES)]))
    rows = []
    for a in _networks(spec, piece).forward(X).activations:
        cov = spec.w_std**2 / a.shape[-1] * (a @ a.mT) + spec.beta**2
        own = cov.diagonal(dim1=1, dim2=2)
        rows.append(cov[:, 0, 1:] / (own[:, :1] * own[:, 1:]).sqrt())
    return {"correlation": torch.stack(rows, 1)}


def _training(spec: Spec, piece: Piece) -> Mapping[str, Any]:
    """Plain gradient descent, exact for the network and for its linearization."""
    network = _networks(spec, piece, torch.float32)
    X, y = laws.training_set()
    circle = data.circle(data.even_angles(CIRCLE))
    rule = GradientDescent(spec.learning_rate)
    before, linear = copy.deepcopy(network), LinearizedNetwork(network, X, y, rule)
    furthest = torch.zeros(network.size, dtype=torch.float64, device=network.device)
    steps = np.unique(np.rint(np.geomspace(1, spec.steps, LOOKS)).astype(int))
    times = [float(k) * spec.learning_rate for k in steps]
    for state in train(network, X, y, times, rule=rule, method="steps"):
        checkpoint()
        if state.output is not None:
            gap = (network(circle) - linear.at(state.time, circle)).abs().amax((1, 2))
            furthest = torch.maximum(furthest, gap)
    return _moved(before, network, circle, state.diverged) | {
        "distance": torch.where(state.diverged, torch.nan, furthest),
        "cost": (state.outputs[..., 0].double().cpu() - torch.as_tensor(y)).square().mean(1) / 2,
    }


def _moved(before: Network, after: Network, circle: Any, diverged: Tensor) -> dict[str, Any]:
    found = drift(before, after, circle)
    squares = found.weights.square()

    def root(part: Tensor) -> Tensor:
        return torch.where(diverged, torch.nan, part.mean(1).sqrt())

    return {
        "kernel_change": torch.where(diverged, torch.nan, found.kernel_total),
        "hidden_weights": root(squares[:, 1:-1]),
        "outer_weights": root(squares[:, [0, -1]]),
        "activations": root(found.activations.square()),
    }


MEASURES = {"spread": _spread, "training": _training, "outputs": _outputs, "depth": _depth}
