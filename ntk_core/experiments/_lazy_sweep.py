"""The sweep behind lazy and feature learning: its parts, its cost, and what is measured of each network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ntk_core.device import resolve_device
from ntk_core.experiments import _lazy_spec as lazy
from ntk_core.experiments import _pieces
from ntk_core.experiments._lazy_points import architecture, points_of
from ntk_core.finite.layer_terms import as_matrix
from ntk_core.finite.linearized import LinearizedNetwork
from ntk_core.finite.movement import alignment, kernel_movement
from ntk_core.finite.scaled import ScaledNetwork
from ntk_core.progress import checkpoint
from ntk_core.rules import GradientDescent
from ntk_core.runs import machine
from ntk_core.runs.counts import DRAWS_PER_SECOND
from ntk_core.runs.parts import Part
from ntk_core.runs.plan import Plan
from ntk_core.runs.result import Increment
from ntk_core.training.scaled import ScaledState, train_scaled

if TYPE_CHECKING:
    from ntk_core.experiments._lazy_points import Points
    from ntk_core.experiments._lazy_spec import Spec

BATCH_BYTES = 1 << 26  # of networks that train together
COPIES = 4  # of the weights: now, at the start, and both again in the linearized network
FEW = 64  # training points that every network is counted with, so that few do not change how many train together
MOST_UNKNOWNS = 1500  # N times the number of outputs, of the eigenproblem behind a linearization
PASSES = 20  # over a neuron's numbers, activation and derivative included
OPERATIONS = 100  # small ones of a step, for each layer
CAREFUL = 0.5  # share of the stable rate above which a kernel that grows may pass it


class Piece(NamedTuple):
    """Networks first to last - 1 of one kind and width."""

    parametrization: int  # places in the spec's lists
    alpha: int
    width: int
    first: int
    last: int

    @property
    def place(self) -> dict[str, int | tuple[int, int]]:
        """Its cells of the result, at all times."""
        where = {"parametrization": self.parametrization, "alpha": self.alpha, "width": self.width}
        return {**where, "seed": (self.first, self.last)}


def pieces(spec: Spec) -> list[Piece]:
    """All pieces, the narrowest first: what can be seen soon is seen soon."""
    found = []
    for case in spec.cases:
        for i, n in enumerate(spec.widths):
            size = _together(spec, n)
            firsts = range(0, spec.seeds, size)
            found += [Piece(*case, i, first, min(first + size, spec.seeds)) for first in firsts]
    return sorted(found, key=lambda piece: (spec.widths[piece.width], piece))


def parts(spec: Spec, plan: Plan) -> tuple[Part, ...]:
    """A part for every piece."""
    speeds = machine.speeds(plan.device)
    return _pieces.parts(pieces(spec), lambda p: _words(spec, p), lambda p: _seconds(spec, p, speeds))


def _words(spec: Spec, piece: Piece) -> str:
    return (
        f"{spec.parametrizations[piece.parametrization]}, output scale {spec.alphas[piece.alpha]:g}, "
        f"width {spec.widths[piece.width]:,}, networks {piece.first + 1} to {piece.last}"
    )


def plan(spec: Spec, stable_rate: float) -> Plan:
    """Seconds of all pieces on one worker, bytes of the largest, and what a person should know before starting."""
    device = str(resolve_device(spec.device))
    speeds = machine.speeds(device)
    everything = pieces(spec)
    largest = max(_bytes(spec, spec.widths[piece.width]) * (piece.last - piece.first) for piece in everything)
    seconds = sum(_seconds(spec, piece, speeds) for piece in everything)
    too_large = _pieces.too_large(largest, device, "the widths or the depth")
    refusal = _too_many(everything) or too_large or _too_many_unknowns(spec)
    return Plan((), largest, seconds, device, refusal, _warnings(spec, stable_rate))


def _too_many(everything: list[Piece]) -> str | None:
    if len(everything) <= lazy.MOST_PARTS:
        return None
    return (
        f"seeds: this sweep has {len(everything):,} parts, and at most {lazy.MOST_PARTS} are allowed; "
        f"lower the seeds, or leave out widths"
    )


def _too_many_unknowns(spec: Spec) -> str | None:
    points = points_of(spec)
    if len(points.X) * points.n_out <= MOST_UNKNOWNS:
        return None
    return (
        f"n_train: {len(points.X):,} points with {points.n_out} outputs make {len(points.X) * points.n_out:,} unknowns "
        f"of every network's linearization; at most {MOST_UNKNOWNS:,} are solved here, so take "
        f"{MOST_UNKNOWNS // points.n_out:,} points or fewer"
    )


def _warnings(spec: Spec, stable_rate: float) -> tuple[str, ...]:
    if spec.learning_rate >= stable_rate:
        return (
            f"Gradient descent will diverge: the learning rate {spec.learning_rate:g} is above the stability limit "
            f"{stable_rate:.3g} of the limiting kernel. Lower it.",
        )
    if spec.learning_rate > CAREFUL * stable_rate and ("mup" in spec.parametrizations or min(spec.alphas) < 1):
        return (
            f"The learning rate {spec.learning_rate:g} is near the stability limit {stable_rate:.3g} of the kernel at "
            f"the start; where features are learned the kernel grows and may pass it, so networks may diverge.",
        )
    return ()


def _weights(spec: Spec, n: int) -> int:
    """Parameters of one network of width n."""
    points = points_of(spec)
    return (spec.depth - 2) * n * n + n * (points.X.shape[1] + points.n_out + spec.depth)


def _bytes(spec: Spec, n: int) -> int:
    """Of one network, its copies, its activations and signals at all points, and its kernels of several outputs."""
    points = points_of(spec)
    count = len(points.seen) + len(points.moved) + max(FEW, len(points.X))
    kernels = 8 * 6 * (len(points.X) * points.n_out) ** 2 if points.n_out > 1 else 0
    return 4 * (COPIES * _weights(spec, n) + 6 * count * n * spec.depth * points.n_out) + kernels


def _together(spec: Spec, n: int) -> int:
    """Networks that train together: from the spec alone, so that numbers never depend on the machine."""
    return max(1, min(spec.seeds, BATCH_BYTES // _bytes(spec, n)))


def _seconds(spec: Spec, piece: Piece, speeds: machine.Speeds) -> float:
    points = points_of(spec)
    n, S, N, K = spec.widths[piece.width], piece.last - piece.first, len(points.X), points.n_out
    weights, looks, seen = _weights(spec, n), len(spec.times), len(points.seen) + len(points.moved)
    flops = 6 * weights * N * spec.steps + 4 * weights * K * (2 * seen + N) * looks
    flops += 30 * (N * K) ** 3 + 4 * n * spec.depth * (N * K) ** 2 * looks
    neurons = n * (spec.depth - 1) * (N * spec.steps + 2 * K * (seen + N) * looks)
    traffic = 4 * (5 * weights * spec.steps + PASSES * neurons)
    each = weights / DRAWS_PER_SECOND + flops / speeds.flops("float32") + traffic / speeds.bandwidth
    return S * each + (spec.steps + 5 * looks) * OPERATIONS * spec.depth * speeds.overhead


def run(spec: Spec, part: Part | None) -> Iterator[Increment]:
    """The increments of a part's pieces, one after the other."""
    wanted = pieces(spec)
    if part is not None and part.places != ({},):
        wanted = [piece for piece in wanted if piece.place in part.places]
    work = [_weights(spec, spec.widths[piece.width]) * (piece.last - piece.first) for piece in wanted]
    done = 0
    for piece, share in zip(wanted, work, strict=True):
        for index, values in enumerate(_trained(spec, piece)):
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
