"""The pieces of the sweep behind the laws in width and depth, and what they cost; importable without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ntk_core.experiments import _laws_spec as laws
from ntk_core.experiments import _pieces
from ntk_core.experiments._common import diverges
from ntk_core.experiments._laws_theory import stable_rate
from ntk_core.runs import machine
from ntk_core.runs.counts import DRAWS_PER_SECOND
from ntk_core.runs.parts import Part
from ntk_core.runs.plan import Plan

if TYPE_CHECKING:
    from ntk_core.experiments._laws_spec import Spec

BATCH_BYTES = 1 << 26  # of networks that are looked at together
LOOKS = 6  # moments in training at which f is compared with the linearized network
OPERATIONS, SLOWER = 50, 1.6  # of a step of training, as measured: small ones a layer, and times what is counted
DRAWN = 4  # small operations for each matrix of each network
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
    """A part for every piece, whose shares of the plan's seconds are those of a usual machine."""
    return _pieces.parts(
        pieces(spec), lambda p: _words(spec, p), lambda p: _seconds(spec, p, machine.USUAL), plan.seconds
    )


def _words(spec: Spec, piece: Piece) -> str:
    networks = f"networks {piece.first + 1} to {piece.last}"
    return f"width {spec.widths[piece.width]:,}, depth {spec.swept_depths[piece.depth]}, {networks}"


def plan(spec: Spec) -> Plan:
    """Seconds of all pieces on one worker, bytes of the largest batch, and a warning where training diverges."""
    from ntk_core.device import resolve_device

    device = str(resolve_device(spec.device))
    speeds = machine.speeds(device)
    everything = pieces(spec)
    largest = max(_bytes(spec, piece) * together(spec, piece) for piece in everything)
    seconds = total_seconds(spec, speeds)
    refusal = _pieces.too_large(largest, device, "the widths or the depths")
    return Plan((), largest, seconds, device, refusal, _warnings(spec))


def total_seconds(spec: Spec, speeds: machine.Speeds = machine.USUAL) -> float:
    """Of all pieces, one after the other; what follows from a usual machine's is the same everywhere."""
    return sum(_seconds(spec, piece, speeds) for piece in pieces(spec))


def _warnings(spec: Spec) -> tuple[str, ...]:
    if spec.measure != "training" or spec.learning_rate < stable_rate(spec):
        return ()
    return (diverges(spec.learning_rate, stable_rate(spec), "the limiting kernel"),)


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


def together(spec: Spec, piece: Piece) -> int:
    """Networks looked at together: from the spec alone, so that numbers never depend on the machine."""
    return max(1, min(spec.piece, BATCH_BYTES // _bytes(spec, piece)))


def _seconds(spec: Spec, piece: Piece, speeds: machine.Speeds) -> float:
    n, L, S = spec.widths[piece.width], spec.swept_depths[piece.depth], piece.last - piece.first
    weights = _weights(spec, piece)
    batches = -(-S // together(spec, piece))
    seconds = 2 * weights / DRAWS_PER_SECOND + DRAWN * L * speeds.overhead
    if spec.measure != "training":
        flops = 2 * weights * len(laws.ANGLES) * (1 + spec.outputs)
        return S * (seconds + flops / speeds.flops("float64")) + batches * 30 * L * speeds.overhead
    flops = spec.steps * 7 * weights * 4 + (LOOKS + 6) * 4 * weights * CIRCLE
    traffic = spec.steps * 5 * 4 * weights + spec.steps * 48 * n * L * 4
    each = flops / speeds.flops("float32") + traffic / speeds.bandwidth
    return S * (seconds + SLOWER * each) + batches * spec.steps * OPERATIONS * L * speeds.overhead
