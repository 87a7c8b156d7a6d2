"""What all pages and routes of one server process share: the engine."""

from __future__ import annotations

import atexit
import threading

from app.web.settings import Settings
from ntk_core.engine import Engine, EngineError

_lock = threading.Lock()
_engine: Engine | None = None
_closed = False


def engine() -> Engine:
    """The engine of this process; the first call starts it (the server does so before the first visit).

    Raises:
        EngineError: the server has closed; a script that is late must not start the engine again.
    """
    global _engine
    with _lock:
        if _closed:
            raise EngineError("the server is closing")
        if _engine is None:
            settings = Settings.from_environment()
            _engine = Engine.start(
                settings.scheduler_address,
                workers=settings.workers,
                threads=settings.threads,
                memory_limit=settings.memory_limit,
                grace=settings.grace,
                keep_bytes=settings.keep_bytes,
                limits=settings.limits,
            )
        return _engine


def use(other: Engine) -> None:
    """Makes `other` the engine of this process, which stays its owner's to close."""
    global _engine
    with _lock:
        _engine = other


def close(for_good: bool = False) -> None:
    """Ends the engine, if it was started; `for_good` when the server leaves."""
    global _engine, _closed
    with _lock:
        if _engine is not None:
            _engine.close()
        _engine, _closed = None, for_good


atexit.register(close, True)
