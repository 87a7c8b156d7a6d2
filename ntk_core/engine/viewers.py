"""Who is watching a run: connections that may drop and come back, and the moment when nobody is left."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Viewers:
    """Counts the viewers of one run and calls `abandoned()` once when the last one has gone.

    Args:
        abandoned: called from another thread (a dropped connection) or from `leave` (an explicit one).
        grace: seconds a viewer without a connection is still counted, so that it can reconnect.
    """

    def __init__(self, abandoned: Callable[[], None], grace: float = 10.0):
        self._abandoned, self.grace = abandoned, grace
        self._lock = threading.Lock()
        self._connections: dict[str, int] = {}
        self._timers: dict[str, threading.Timer] = {}

    def __len__(self) -> int:
        return len(self._connections)

    def __contains__(self, viewer: str) -> bool:
        return viewer in self._connections

    def expect(self, viewer: str, grace: float) -> None:
        """Counts a viewer who is about to connect, for `grace` seconds."""
        with self._lock:
            self._connections.setdefault(viewer, 0)
            if not self._connections[viewer]:
                self._set_timer(viewer, grace)

    def connect(self, viewer: str) -> None:
        """A connection of this viewer opened. Somebody is here: the unnamed viewer of `submit` is not awaited."""
        with self._lock:
            self._connections[viewer] = self._connections.get(viewer, 0) + 1
            self._stop_timer(viewer)
            if viewer:
                self._forget("")

    def disconnect(self, viewer: str) -> None:
        """A connection of this viewer closed, perhaps to come back; nothing if the viewer has left before."""
        with self._lock:
            if self._connections.get(viewer, 0) > 0:
                self._connections[viewer] -= 1
                if not self._connections[viewer]:
                    self._set_timer(viewer, self.grace)

    def leave(self, viewer: str) -> None:
        """This viewer does not come back."""
        with self._lock:
            self._forget(viewer)
            self._forget("")
            empty = not self._connections
        if empty:
            self._abandoned()

    def close(self) -> None:
        """Stops waiting for anybody."""
        with self._lock:
            for viewer in list(self._timers):
                self._stop_timer(viewer)

    def _set_timer(self, viewer: str, seconds: float) -> None:
        self._stop_timer(viewer)
        timer = threading.Timer(seconds, self._expire, [viewer])
        timer.args = [viewer, timer]
        timer.daemon = True
        self._timers[viewer] = timer
        timer.start()

    def _stop_timer(self, viewer: str) -> None:
        timer = self._timers.pop(viewer, None)
        if timer is not None:
            timer.cancel()

    def _forget(self, viewer: str) -> None:
        self._stop_timer(viewer)
        self._connections.pop(viewer, None)

    def _expire(self, viewer: str, timer: threading.Timer) -> None:
        with self._lock:
            if self._timers.get(viewer) is not timer:
                return  # the viewer came back while this timer was firing
            self._forget(viewer)
            empty = not self._connections
        if empty:
            self._abandoned()
