"""The pieces of the sweep behind lazy and feature learning, and what they cost; importable without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ntk_core.experiments import _lazy_spec as lazy
from ntk_core.experiments import _pieces
from ntk_core.experiments._common import diverges
from ntk_core.experiments._lazy_points import points_of
from ntk_core.runs import machine
from ntk_core.runs.counts import DRAWS_PER_SECOND
from ntk_core.runs.parts import Part
from ntk_core.runs.plan import Plan

if TYPE_CHECKING:
    from ntk_core.experiments._lazy_spec import Spec

BATCH_BYTES = 1 << 26  # of networks that train together
COPIES = 4  # of the weights: now, at the start, and both again in the linearized network
FEW = 64  # training points that every network is counted with, so that few do not change how many train together
MOST_UNKNOWNS = 1500  # N times the number of outputs, of the eigenproblem behind a linearization
PASSES = 20  # over a neuron's numbers, activation and derivative included
OPERATIONS = 40  # small ones of a step, for each layer
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
    """A part for every piece, whose shares of the plan's seconds are those of a usual machine."""
    return _pieces.parts(
        pieces(spec), lambda p: _words(spec, p), lambda p: _seconds(spec, p, machine.USUAL), plan.seconds
    )


def _words(spec: Spec, piece: Piece) -> str:
    return (
        f"{spec.parametrizations[piece.parametrization]}, output scale {spec.alphas[piece.alpha]:g}, "
        f"width {spec.widths[piece.width]:,}, networks {piece.first + 1} to {piece.last}"
    )


def plan(spec: Spec, stable_rate: float) -> Plan:
    """Seconds of all pieces on one worker, bytes of the largest, and what a person should know before starting."""
    from ntk_core.device import resolve_device

    device = str(resolve_device(spec.device))
    speeds = machine.speeds(device)
    everything = pieces(spec)
    largest = max(_bytes(spec, spec.widths[piece.width]) * (piece.last - piece.first) for piece in everything)
    seconds = total_seconds(spec, speeds)
    too_large = _pieces.too_large(largest, device, "the widths or the depth")
    refusal = _too_many(everything) or too_large or _too_many_unknowns(spec)
    return Plan((), largest, seconds, device, refusal, _warnings(spec, stable_rate))


def total_seconds(spec: Spec, speeds: machine.Speeds = machine.USUAL) -> float:
    """Of all pieces, one after the other; what follows from a usual machine's is the same everywhere."""
    return sum(_seconds(spec, piece, speeds) for piece in pieces(spec))


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
        return (diverges(spec.learning_rate, stable_rate, "the limiting kernel"),)
    if spec.learning_rate > CAREFUL * stable_rate and ("mup" in spec.parametrizations or min(spec.alphas) < 1):
        return (
            f"The learning rate {spec.learning_rate:g} is near the stability limit {stable_rate:.3g} of the kernel at "
            f"the start; where features are learned the kernel grows and may pass it, so networks may diverge.",
        )
    return ()


def weights_of(spec: Spec, n: int) -> int:
    """Parameters of one network of width n."""
    points = points_of(spec)
    return (spec.depth - 2) * n * n + n * (points.X.shape[1] + points.n_out + spec.depth)


def _bytes(spec: Spec, n: int) -> int:
    """Of one network, its copies, its activations and signals at all points, and its kernels of several outputs."""
    points = points_of(spec)
    count = len(points.seen) + len(points.moved) + max(FEW, len(points.X))
    kernels = 8 * 6 * (len(points.X) * points.n_out) ** 2 if points.n_out > 1 else 0
    return 4 * (COPIES * weights_of(spec, n) + 6 * count * n * spec.depth * points.n_out) + kernels


def _together(spec: Spec, n: int) -> int:
    """Networks that train together: from the spec alone, so that numbers never depend on the machine."""
    return max(1, min(spec.seeds, BATCH_BYTES // _bytes(spec, n)))


def _seconds(spec: Spec, piece: Piece, speeds: machine.Speeds) -> float:
    points = points_of(spec)
    n, S, N, K = spec.widths[piece.width], piece.last - piece.first, len(points.X), points.n_out
    weights, looks, seen = weights_of(spec, n), len(spec.times), len(points.seen) + len(points.moved)
    flops = 6 * weights * N * spec.steps + 4 * weights * K * (2 * seen + N) * looks
    flops += 30 * (N * K) ** 3 + 4 * n * spec.depth * (N * K) ** 2 * looks
    neurons = n * (spec.depth - 1) * (N * spec.steps + 2 * K * (seen + N) * looks)
    traffic = 4 * (5 * weights * spec.steps + PASSES * neurons)
    each = weights / DRAWS_PER_SECOND + flops / speeds.flops("float32") + traffic / speeds.bandwidth
    return S * each + (spec.steps + 5 * looks) * OPERATIONS * spec.depth * speeds.overhead
