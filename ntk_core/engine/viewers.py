"""Who is watching a run: connections that may drop and come back, and the moment when nobody is left."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ntk_core.engine.deadlines import SHARED, Deadline


class Viewers:
    """Counts the viewers of one run and calls `abandoned()` once when the last one has gone.

    Args:
        abandoned: called from another thread (a dropped connection) or from `leave` (an explicit one).
        grace: seconds a viewer without a connection is still counted, so that it can reconnect.
        patience: seconds for which the run may go on when the last viewer has dropped out; none after a `leave`.
    """

    def __init__(self, abandoned: Callable[[], None], grace: float = 10.0, patience: float = 0.0):
        self._abandoned, self.grace, self.patience = abandoned, grace, patience
        self._alone: Deadline | None = None
        self.left = False  # whether the last one went on purpose
        self._lock = threading.Lock()
        self._connections: dict[str, int] = {}
        self._deadlines: dict[str, Deadline] = {}
        self._closed = False

    def __len__(self) -> int:
        return len(self._connections)

    @property
    def connected(self) -> bool:
        """Whether somebody is here now, not only expected back."""
        return any(self._connections.values())

    def __contains__(self, viewer: str) -> bool:
        return viewer in self._connections

    def expect(self, viewer: str, grace: float) -> None:
        """Counts a viewer who is about to connect, for `grace` seconds."""
        with self._lock:
            self._connections.setdefault(viewer, 0)
            self._no_more_alone()
            if not self._connections[viewer]:
                self._wait_for(viewer, grace)

    def connect(self, viewer: str) -> None:
        """A connection of this viewer opened. Somebody is here: the unnamed viewer of `submit` is not awaited."""
        with self._lock:
            self._connections[viewer] = self._connections.get(viewer, 0) + 1
            self._stop_waiting(viewer)
            self._no_more_alone()
            if viewer:
                self._forget("")

    def disconnect(self, viewer: str) -> None:
        """A connection of this viewer closed, perhaps to come back; nothing if the viewer has left before."""
        with self._lock:
            if self._connections.get(viewer, 0) > 0:
                self._connections[viewer] -= 1
                if not self._connections[viewer]:
                    self._wait_for(viewer, self.grace)

    def leave(self, viewer: str) -> None:
        """This viewer does not come back; nothing if it is not counted, unless whoever asks gives no name."""
        with self._lock:
            if viewer and viewer not in self._connections:
                return
            self._forget(viewer)
            self._forget("")
            empty = self.left = not self._connections
        if empty:
            self._abandoned()

    def close(self) -> None:
        """Stops waiting for anybody, for good: the run has ended."""
        with self._lock:
            self._closed = True
            self._no_more_alone()
            for viewer in list(self._deadlines):
                self._stop_waiting(viewer)

    def _wait_for(self, viewer: str, seconds: float) -> None:
        self._stop_waiting(viewer)
        if self._closed:
            return  # the run has ended: nobody needs to be missed
        # A cell, since the deadline is not known before it is made.
        mine: list[Deadline] = []
        mine.append(SHARED.after(seconds, lambda: self._expire(viewer, mine)))
        self._deadlines[viewer] = mine[0]

    def _stop_waiting(self, viewer: str) -> None:
        deadline = self._deadlines.pop(viewer, None)
        if deadline is not None:
            deadline.cancel()

    def _forget(self, viewer: str) -> None:
        self._stop_waiting(viewer)
        self._connections.pop(viewer, None)

    def _expire(self, viewer: str, mine: list[Deadline]) -> None:
        with self._lock:
            if not mine or self._deadlines.get(viewer) is not mine[0]:
                return  # the viewer came back while this deadline passed
            self._forget(viewer)
            empty = not self._connections
            if empty and self.patience > 0:
                self._alone = SHARED.after(self.patience, self._give_up)
                return
        if empty:
            self._abandoned()

    def _give_up(self) -> None:
        with self._lock:
            empty = self._alone is not None and not self._connections
        if empty:
            self._abandoned()

    def _no_more_alone(self) -> None:
        if self._alone is not None:
            self._alone.cancel()
            self._alone = None
