"""What rows find, and the file that keeps it: a partial run replaces its own rows only."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Check:
    """A number that should stay at or below `wanted` (None: it is only reported)."""

    what: str
    value: float
    wanted: float | None = None

    @property
    def met(self) -> bool:
        """Whether it does; a NaN does not."""
        return self.wanted is None or self.value <= self.wanted


@dataclass(frozen=True)
class Comparison:
    """Seconds of ours and of a peer on the same work, sample by sample; no peer's samples where nothing can do it."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...] = ()
    wanted: float | None = None  # ratio to reach
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Share:
    """Seconds of ours beside the seconds that the machine's limit would allow."""

    ours: tuple[float, ...]
    limit: float
    limited_by: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """Anything else: cells as text."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Skipped:
    """The row could not run on this machine."""

    reason: str


Result = Comparison | Share | Table | Skipped
KINDS: dict[str, type] = {"comparison": Comparison, "share": Share, "table": Table, "skipped": Skipped}


@dataclass(frozen=True)
class Entry:
    """A row's result: with what was measured, when, on which machine."""

    result: Result
    machine: dict[str, str]
    date: str
    wall: float


def to_json(entry: Entry) -> dict[str, Any]:
    """Plain data."""
    kind = next(name for name, kind in KINDS.items() if type(entry.result) is kind)
    return {**asdict(entry), "kind": kind}


def from_json(data: dict[str, Any]) -> Entry:
    """The inverse of `to_json`."""
    fields = {key: _frozen(value) for key, value in data["result"].items()}
    if "checks" in fields:
        fields["checks"] = tuple(Check(**check) for check in fields["checks"])
    return Entry(KINDS[data["kind"]](**fields), dict(data["machine"]), data["date"], data["wall"])


def load(path: Path) -> dict[str, Entry]:
    """Every row's last entry, by name; empty if there is no file yet."""
    if not path.exists():
        return {}
    return {name: from_json(data) for name, data in json.loads(path.read_text()).items()}


def check_numbers(result: Result) -> None:
    """A ValueError if a number is not finite: such a result is a failure of its row."""
    _finite(asdict(result))


def merged(entries: dict[str, Entry], name: str, entry: Entry) -> dict[str, Entry]:
    """The entries with a new one; a row that was skipped keeps what another machine measured."""
    known = entries.get(name)
    if isinstance(entry.result, Skipped) and known is not None and not isinstance(known.result, Skipped):
        return entries
    return entries | {name: entry}


def save(path: Path, entries: dict[str, Entry]) -> None:
    """Writes all entries; NaN is refused, so that the file stays JSON."""
    data = {name: to_json(entry) for name, entry in sorted(entries.items())}
    path.write_text(json.dumps(_finite(data), indent=1, allow_nan=False) + "\n")


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value


def _finite(value: Any) -> Any:
    """Floats to 6 significant digits; one that is not finite is an error that says so."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"a result holds {value}, which is not a finite number")
        return float(f"{value:.6g}")
    return value
