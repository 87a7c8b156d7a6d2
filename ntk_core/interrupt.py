"""How a long computation learns that nobody waits for its result any more.

Loops that may take longer than a second call `check()` at every turn. Outside a run it does nothing; inside a run that
was cancelled it raises `Interrupted`, which passes through the experiment like any other error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_wanted: ContextVar[Callable[[], bool] | None] = ContextVar("wanted", default=None)


class Interrupted(Exception):  # noqa: N818 - nothing went wrong
    """The computation was cancelled from outside."""


def check() -> None:
    """Raises Interrupted if the result is no longer wanted; microseconds otherwise."""
    wanted = _wanted.get()
    if wanted is not None and not wanted():
        raise Interrupted


@contextmanager
def while_wanted(wanted: Callable[[], bool]) -> Iterator[None]:
    """Within this block, `check()` asks `wanted()`."""
    token = _wanted.set(wanted)
    try:
        yield
    finally:
        _wanted.reset(token)
