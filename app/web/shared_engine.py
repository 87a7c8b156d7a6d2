"""What all pages and routes of one server process share: the engine."""

from __future__ import annotations

import atexit
import threading

from app.web.settings import Settings
from ntk_core.engine import Engine

_lock = threading.Lock()
_engine: Engine | None = None


def engine() -> Engine:
    """The engine of this process; the first call starts it (the server does so before the first visit)."""
    global _engine
    with _lock:
        if _engine is None:
            settings = Settings.from_environment()
            _engine = Engine.start(
                settings.scheduler_address,
                workers=settings.workers,
                threads=settings.threads,
                memory_limit=settings.memory_limit,
                grace=settings.grace,
                keep_bytes=settings.keep_bytes,
            )
        return _engine


def use(other: Engine) -> None:
    """Makes `other` the engine of this process, which stays its owner's to close."""
    global _engine
    with _lock:
        _engine = other


def close() -> None:
    """Ends the engine, if it was started."""
    global _engine
    with _lock:
        if _engine is not None:
            _engine.close()
        _engine = None


atexit.register(close)
