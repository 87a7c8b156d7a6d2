"""What a run will cost, before it starts: passes, bytes and seconds; and the choice that follows from it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class GroupPlan:
    """How the networks of one width will be trained."""

    width: int
    method: str  # "steps" or "leaps"
    weights: str  # "dense" or "sampled"
    batch: int  # seeds trained together
    bytes: int  # peak memory of all its seeds
    seconds: float  # predicted


@dataclass(frozen=True)
class Plan:
    """Predicted cost of a run; `refusal` is a sentence if it must not start (what is too large, what to lower)."""

    groups: tuple[GroupPlan, ...]
    bytes: int
    seconds: float
    device: str = "cpu"
    refusal: str | None = None
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data for the wire."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Plan:
        """The inverse of `to_json`."""
        groups = tuple(GroupPlan(**g) for g in data["groups"])
        return cls(**{**data, "groups": groups, "warnings": tuple(data["warnings"])})
