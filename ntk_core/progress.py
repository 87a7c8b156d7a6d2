"""A place where long work looks up: it reports how far it is, and learns that nobody wants it any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_listener: ContextVar[Callable[[], None] | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Callable[[], None]) -> Iterator[None]:
    """While inside, every `checkpoint` calls the listener, which may raise to stop the work."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def checkpoint() -> None:
    """Called by long work between its steps."""
    listener = _listener.get()
    if listener is not None:
        listener()
