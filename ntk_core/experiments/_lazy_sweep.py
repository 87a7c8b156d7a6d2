"""The sweep behind lazy and feature learning: what is measured of each network."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ntk_core.device import resolve_device
from ntk_core.experiments._lazy_pieces import Piece, pieces, weights_of
from ntk_core.experiments._lazy_points import architecture, points_of
from ntk_core.finite.layer_terms import as_matrix
from ntk_core.finite.linearized import LinearizedNetwork
from ntk_core.finite.movement import alignment, kernel_movement
from ntk_core.finite.scaled import ScaledNetwork
from ntk_core.progress import checkpoint
from ntk_core.rules import GradientDescent
from ntk_core.runs.parts import Part
from ntk_core.runs.result import Increment
from ntk_core.threads import at_most
from ntk_core.training.scaled import ScaledState, train_scaled

if TYPE_CHECKING:
    from ntk_core.experiments._lazy_points import Points
    from ntk_core.experiments._lazy_spec import Spec

NARROW = 512  # width up to which a second thread is waited for longer than it helps: 0.70 s against 0.95 s at 256


def run(spec: Spec, part: Part | None) -> Iterator[Increment]:
    """The increments of a part's pieces, one after the other."""
    wanted = pieces(spec)
    if part is not None and part.places != ({},):
        wanted = [piece for piece in wanted if piece.place in part.places]
    work = [weights_of(spec, spec.widths[piece.width]) * (piece.last - piece.first) for piece in wanted]
    done = 0
    for piece, share in zip(wanted, work, strict=True):
        threads = 1 if spec.widths[piece.width] <= NARROW else sys.maxsize
        networks = _trained(spec, piece)
        for index in range(len(spec.times)):
            with at_most(threads):
                values = next(networks)
            progress = (done + share * (index + 1) / len(spec.times)) / sum(work)
            yield Increment({"time": index, **piece.place}, values, progress)
            checkpoint(progress)
        done += share


def _trained(spec: Spec, piece: Piece) -> Iterator[dict[str, np.ndarray]]:
    """What is seen of a piece's networks at every output time; float32, plain gradient descent."""
    points = points_of(spec)
    X, y, goal = points.X, points.y, torch.as_tensor(points.y)
    model = _networks(spec, piece)
    linear = LinearizedNetwork(model, X, y, GradientDescent(spec.learning_rate))
    start, _ = _kernels(model, points)
    for state in train_scaled(model, X, y, spec.times, rate=spec.learning_rate):
        f, expected = _shaped(model(points.seen).double(), y), _shaped(linear.at(state.time, points.seen), y)
        moved, own = _kernels(model, points)
        apart = (f - expected)[:, torch.from_numpy(points.distinct)]
        seen = {
            "f": f,
            "linearized": expected,
            "distance": apart.flatten(1).square().mean(1).sqrt(),
            "kernel_change": kernel_movement(start, moved),
            "alignment": alignment(own, torch.as_tensor(y.ravel())),
            "cost": (_shaped(state.outputs.double().cpu(), y) - goal).flatten(1).square().sum(1) / (2 * len(X)),
        }
        yield {name: _plain(values, name, state) for name, values in seen.items()} | {"diverged": _flags(state)}


def _kernels(model: ScaledNetwork, points: Points) -> tuple[Tensor, Tensor]:
    """Every network's kernel where its movement is measured and on the training points, (S, P n_out, P n_out) each."""
    if points.moved is points.X:
        kernel = as_matrix(model.tangent_kernel(points.X), ensemble=True)
        return kernel, kernel
    both = np.concatenate([points.moved, points.X])  # asked together: half the calls
    kernel, first = model.tangent_kernel(both), len(points.moved)
    return kernel[:, :first, :first], kernel[:, first:, first:]


def _shaped(f: Tensor, y: np.ndarray) -> Tensor:
    """Outputs (S, M, n_out) as targets are: without the last dimension where they have none."""
    return f if y.ndim == 2 else f[..., 0]


def _networks(spec: Spec, piece: Piece) -> ScaledNetwork:
    return ScaledNetwork.init(
        architecture(spec, spec.widths[piece.width]),
        [spec.seed + k for k in range(piece.first, piece.last)],
        spec.parametrizations[piece.parametrization],
        alpha=spec.alphas[piece.alpha],
        centred=spec.centred,
        device=resolve_device(spec.device),
    )


def _plain(values: Tensor, name: str, state: ScaledState) -> np.ndarray:
    """As float32; nothing of a network that has diverged, of which only the linearization is still a number."""
    array = values.detach().cpu().numpy()
    there = np.isfinite(array) & (np.abs(array) < np.finfo(np.float32).max)
    if name != "linearized":
        there &= ~_flags(state).reshape(-1, *[1] * (array.ndim - 1))
    return np.where(there, array, np.nan).astype(np.float32)


def _flags(state: ScaledState) -> np.ndarray:
    return state.diverged.detach().cpu().numpy().astype(bool)
