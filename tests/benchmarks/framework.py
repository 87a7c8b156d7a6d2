"""Rows: named, selectable pieces of work that are measured; and what they are handed."""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from tests.benchmarks.limits import Limits
from tests.benchmarks.peer import Peer
from tests.benchmarks.results import Result

Value = TypeVar("Value")

SECTIONS = {
    "peers": "Against peers",
    "limits": "Primitives against the machine's limit",
    "scaling": "Scaling",
    "pages": "What pages cost the web process and its visitors",
    "paper": "The paper's numbers",
    "cuda": "CUDA",
}


class Skip(Exception):  # noqa: N818 - nothing went wrong
    """The row cannot run on this machine; the message says why."""


@dataclass(frozen=True)
class Row:
    """One row: `run` measures it."""

    name: str
    section: str
    work: str
    against: str
    slow: bool
    run: Callable[[Context], Result]


@dataclass
class Context:
    """What rows share in one run.

    Attributes:
        quick: small sizes and few samples, to see that everything works; such numbers mean nothing.
    """

    quick: bool = False
    _opened: list[Peer] = field(default_factory=list)

    def pick(self, full: Value, quick: Value) -> Value:
        """The size to use."""
        return quick if self.quick else full

    @cached_property
    def cores(self) -> int:
        """Cores this process may use: both sides get as many threads."""
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    @cached_property
    def limits(self) -> Limits:
        """What the machine can do, measured once a run."""
        return Limits(self.cores)

    @cached_property
    def peer(self) -> Peer:
        """neural-tangents in a process of its own, started once a run."""
        peer = Peer.start()
        self._opened.append(peer)
        return peer

    def close(self) -> None:
        """Ends the peer's process, if it was started."""
        for peer in self._opened:
            peer.close()


_ROWS: dict[str, Row] = {}


def row(
    name: str, section: str, work: str, against: str = "", slow: bool = False
) -> Callable[[Callable[[Context], Result]], Callable[[Context], Result]]:
    """Registers a function as a row."""
    if section not in SECTIONS:
        raise ValueError(f"section: {section!r} is not known; choose one of {', '.join(SECTIONS)}")

    def register(run: Callable[[Context], Result]) -> Callable[[Context], Result]:
        if name in _ROWS:
            raise ValueError(f"row: {name!r} is there twice")
        _ROWS[name] = Row(name, section, work, against, slow, run)
        return run

    return register


def all_rows() -> list[Row]:
    """Every row of the modules in `tests.benchmarks.rows`, section by section."""
    from tests.benchmarks import rows

    for module in pkgutil.iter_modules(rows.__path__):
        importlib.import_module(f"{rows.__name__}.{module.name}")
    order = list(SECTIONS)
    return sorted(_ROWS.values(), key=lambda r: order.index(r.section))


def select(rows: Sequence[Row], names: Sequence[str], slow: bool) -> list[Row]:
    """The rows meant: those whose name is given or begins with what is given; without names all, slow ones if asked.

    Raises:
        ValueError: a name that fits no row; the sentence lists the rows there are.
    """
    if not names:
        return [r for r in rows if slow or not r.slow]
    for name in names:
        if not any(r.name.startswith(name) for r in rows):
            raise ValueError(f"rows: {name!r} fits no row; choose from {', '.join(r.name for r in rows)}")
    exact = {r.name for r in rows}
    return [r for r in rows if any(r.name == n or (n not in exact and r.name.startswith(n)) for n in names)]
