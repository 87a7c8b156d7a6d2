"""A place where long work looks up: it reports how far it is, and learns that nobody wants it any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[float | None], None]

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """While inside, every `checkpoint` passes its share of the work to the listener, which may raise to stop it."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def checkpoint(share: float | None = None) -> None:
    """Called by long work between its steps, with the share of it that is done (0 to 1) where that is known."""
    listener = _listener.get()
    if listener is not None:
        listener(share)
