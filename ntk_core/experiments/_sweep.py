"""The sweep behind the laws in width and depth: its parts, its cost, and what is measured of each network."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ntk_core import data
from ntk_core.device import resolve_device
from ntk_core.experiments import _laws_spec as laws
from ntk_core.experiments import _pieces
from ntk_core.experiments._laws_theory import limit_at_x0, stable_rate
from ntk_core.finite.linearized import LinearizedNetwork
from ntk_core.finite.movement import drift
from ntk_core.finite.network import Network
from ntk_core.progress import checkpoint
from ntk_core.rules import GradientDescent
from ntk_core.runs import machine
from ntk_core.runs.counts import DRAWS_PER_SECOND
from ntk_core.runs.parts import Part
from ntk_core.runs.plan import Plan
from ntk_core.runs.result import Increment
from ntk_core.training.train import train

if TYPE_CHECKING:
    from ntk_core.experiments._laws_spec import Spec

X0 = np.array([[1.0, 0.0]])
BATCH_BYTES = 1 << 26  # of networks that are looked at together
LOOKS = 6  # moments in training at which f is compared with the linearized network
CIRCLE = 24  # points of the circle that trained networks are looked at


class Piece(NamedTuple):
    """Networks first to last - 1 of one width and depth."""

    width: int  # its place among the widths
    depth: int
    first: int
    last: int

    @property
    def place(self) -> dict[str, int | tuple[int, int]]:
        """Its cells of the result."""
        return {"width": self.width, "depth": self.depth, "seed": (self.first, self.last)}


def pieces(spec: Spec) -> list[Piece]:
    """All pieces, the cheapest first: what can be seen soon is seen soon."""
    found = [
        Piece(i, j, first, min(first + spec.piece, spec.networks))
        for i in range(len(spec.widths))
        for j in range(len(spec.swept_depths))
        for first in range(0, spec.networks, spec.piece)
    ]
    return sorted(found, key=lambda piece: (_weights(spec, piece), piece))


def parts(spec: Spec, plan: Plan) -> tuple[Part, ...]:
    """A part for every piece."""
    speeds = machine.speeds(plan.device)
    return _pieces.parts(pieces(spec), lambda p: _words(spec, p), lambda p: _seconds(spec, p, speeds))


def _words(spec: Spec, piece: Piece) -> str:
    networks = f"networks {piece.first + 1} to {piece.last}"
    return f"width {spec.widths[piece.width]:,}, depth {spec.swept_depths[piece.depth]}, {networks}"


def plan(spec: Spec) -> Plan:
    """Seconds of all pieces on one worker, bytes of the largest batch, and a warning where training diverges."""
    device = str(resolve_device(spec.device))
    speeds = machine.speeds(device)
    everything = pieces(spec)
    largest = max(_bytes(spec, piece) * _together(spec, piece) for piece in everything)
    seconds = sum(_seconds(spec, piece, speeds) for piece in everything)
    refusal = _pieces.too_large(largest, device, "the widths or the depths")
    return Plan((), largest, seconds, device, refusal, _warnings(spec))


def _warnings(spec: Spec) -> tuple[str, ...]:
    if spec.measure != "training" or spec.learning_rate < stable_rate(spec):
        return ()
    return (
        f"Gradient descent will diverge: the learning rate {spec.learning_rate:g} is above the stability limit "
        f"{stable_rate(spec):.3g} of the limiting kernel. Lower it.",
    )


def _weights(spec: Spec, piece: Piece) -> int:
    """Parameters of one network of the piece, about."""
    n, L = spec.widths[piece.width], spec.swept_depths[piece.depth]
    return max(L - 2, 0) * n * n + n * (3 + spec.outputs + L)


def _bytes(spec: Spec, piece: Piece) -> int:
    """Of one network: in float64 where it is only looked at, else three times: now, at its start, and linearized."""
    n, L = spec.widths[piece.width], spec.swept_depths[piece.depth]
    if spec.measure == "training":
        return 4 * (3 * _weights(spec, piece) + 12 * CIRCLE * n * L)
    return 8 * (_weights(spec, piece) + 4 * 6 * n * L * spec.outputs)


def _together(spec: Spec, piece: Piece) -> int:
    """Networks looked at together: from the spec alone, so that numbers never depend on the machine."""
    return max(1, min(spec.piece, BATCH_BYTES // _bytes(spec, piece)))


def _seconds(spec: Spec, piece: Piece, speeds: machine.Speeds) -> float:
    n, L, S = spec.widths[piece.width], spec.swept_depths[piece.depth], piece.last - piece.first
    weights = _weights(spec, piece)
    batches = -(-S // _together(spec, piece))
    seconds = 2 * weights / DRAWS_PER_SECOND
    if spec.measure != "training":
        flops = 2 * weights * len(laws.ANGLES) * (1 + spec.outputs)
        return S * (seconds + flops / speeds.flops("float64")) + batches * 30 * L * speeds.overhead
    flops = spec.steps * 7 * weights * 4 + (LOOKS + 6) * 4 * weights * CIRCLE
    traffic = spec.steps * 5 * 4 * weights + spec.steps * 48 * n * L * 4
    each = flops / speeds.flops("float32") + traffic / speeds.bandwidth
    return S * (seconds + each) + batches * spec.steps * 30 * L * speeds.overhead


def run(spec: Spec, part: Part | None) -> Iterator[Increment]:
    """The increments of a part's pieces, batch by batch."""
    wanted = pieces(spec)
    if part is not None and part.places != ({},):
        wanted = [piece for piece in wanted if piece.place in part.places]
    total, done = sum(piece.last - piece.first for piece in wanted), 0
    for piece in wanted:
        size = _together(spec, piece)
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
