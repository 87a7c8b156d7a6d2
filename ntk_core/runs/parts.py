"""Parts: the pieces of a run that workers take, and how the networks of a spec are spread over them.

The smallest piece is a unit: some seeds of one width that train together. Units follow from the spec alone, never from
the machine or the number of workers, so that every network has the same numbers wherever it trains.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from ntk_core.runs.plan import Plan
    from ntk_core.runs.result import Place
    from ntk_core.runs.spec import TrainingSpec


@dataclass(frozen=True)
class Part:
    """A piece of a run: one task of one worker.

    Attributes:
        label: what it is, in words, for whoever reads that it failed.
        places: the cells of the result that it fills (at all times).
        seconds: predicted.
        fields: what else its experiment must know; JSON types only.
    """

    label: str
    places: tuple[Place, ...] = ({},)
    seconds: float = 0.0
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Twelve hexadecimal digits that name its content, whatever it is predicted to take."""
        return hashlib.sha256(json.dumps([self._plain(), dict(self.fields)], sort_keys=True).encode()).hexdigest()[:12]

    def to_json(self) -> dict[str, Any]:
        """Plain data for the wire."""
        return {"label": self.label, "places": self._plain(), "seconds": self.seconds, "fields": dict(self.fields)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Part:
        """The inverse of `to_json`."""
        places = tuple(
            {dim: tuple(at) if isinstance(at, list) else at for dim, at in place.items()} for place in data["places"]
        )
        return cls(**{**data, "places": places})

    def _plain(self) -> list[dict[str, Any]]:
        return [{d: list(at) if isinstance(at, tuple) else at for d, at in place.items()} for place in self.places]


class Unit(NamedTuple):
    """Seeds first to last - 1 of one width, which train together; predicted seconds of all of them."""

    width_index: int
    first: int
    last: int
    seconds: float

    @property
    def place(self) -> Place:
        """Its cells of a result."""
        return {"width": self.width_index, "seed": (self.first, self.last)}


def units(spec: TrainingSpec, plan: Plan) -> list[Unit]:
    """All units of a spec, width by width."""
    found = []
    for index, group in enumerate(plan.groups):
        for first in range(0, spec.seeds, group.batch):
            last = min(first + group.batch, spec.seeds)
            found.append(Unit(index, first, last, group.seconds * (last - first)))
    return found


def spread(spec: TrainingSpec, plan: Plan, workers: int) -> tuple[Part, ...]:
    """The units dealt out to `workers` parts, the longest first to whoever has the least: at most one part a worker."""
    everything = units(spec, plan)
    hands: list[tuple[float, int, list[Unit]]] = [(0.0, k, []) for k in range(max(1, min(workers, len(everything))))]
    for unit in sorted(everything, key=lambda u: -u.seconds):
        load, k, hand = heapq.heappop(hands)
        heapq.heappush(hands, (load + unit.seconds, k, [*hand, unit]))
    parts = [_part(spec, sorted(hand, key=everything.index), load) for load, _, hand in sorted(hands)[::-1]]
    return tuple(parts)


def _part(spec: TrainingSpec, hand: list[Unit], seconds: float) -> Part:
    by_width: dict[int, list[Unit]] = {}
    for unit in hand:
        by_width.setdefault(unit.width_index, []).append(unit)
    words = [
        f"width {spec.widths[index]:,}"
        if sum(u.last - u.first for u in group) == spec.seeds
        else f"width {spec.widths[index]:,}, networks {', '.join(f'{u.first + 1} to {u.last}' for u in group)}"
        for index, group in by_width.items()
    ]
    return Part("; ".join(words), tuple(unit.place for unit in hand), seconds)
