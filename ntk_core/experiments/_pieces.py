"""What sweeps over many networks have alike: a part for every piece of the sweep, and whether the largest fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from ntk_core.runs import machine
from ntk_core.runs.parts import Part


class Piece(Protocol):
    """Networks that are worked on together."""

    @property
    def place(self) -> Mapping[str, int | tuple[int, int]]:
        """Its cells of the result."""


AnyPiece = TypeVar("AnyPiece", bound=Piece)


def parts(
    pieces: Sequence[AnyPiece], words: Callable[[AnyPiece], str], cost: Callable[[AnyPiece], float], seconds: float
) -> tuple[Part, ...]:
    """A part for every piece, named in words, with its share of the predicted seconds of all."""
    costs = [cost(piece) for piece in pieces]
    whole = max(sum(costs), 1e-300)
    return tuple(Part(words(p), (p.place,), seconds * c / whole) for p, c in zip(pieces, costs, strict=True))


def too_large(size: int, device: str, lower: str) -> str | None:
    """Why the largest network of a sweep, of `size` bytes, cannot be had, and what to lower; None where it can."""
    free = machine.free_memory(device)
    if size <= free:
        return None
    return (
        f"widths: the largest network of this sweep would need about {size / 1e9:,.1f} GB and {free / 1e9:,.1f} GB "
        f"may be used; lower {lower}"
    )
