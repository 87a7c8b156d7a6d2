"""Things to do later: one thread and one heap of deadlines, however many there are."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)


class Deadline:
    """One thing to do at a moment of `time.monotonic`; `cancel` makes it not happen."""

    def __init__(self, when: float, act: Callable[[], object]):
        self.when = when
        self._act: Callable[[], object] | None = act

    def cancel(self) -> None:
        """Forgets what was to be done, and whatever it held on to."""
        self._act = None

    @property
    def cancelled(self) -> bool:
        """Whether nothing will be done (any more)."""
        return self._act is None

    def pass_(self) -> None:
        """The moment has come."""
        act, self._act = self._act, None
        if act is not None:
            act()


class Deadlines:
    """A heap of deadlines and the one thread that waits for the next; the thread starts with the first deadline."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Deadline]] = []
        self._count = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        with self._changed:
            return sum(not deadline.cancelled for _, _, deadline in self._heap)

    def after(self, seconds: float, act: Callable[[], object]) -> Deadline:
        """Calls `act()` in the heap's thread once that many seconds have passed; it should be short."""
        deadline = Deadline(time.monotonic() + seconds, act)
        with self._changed:
            self._sweep()
            heapq.heappush(self._heap, (deadline.when, next(self._count), deadline))
            if self._thread is None:
                self._thread = threading.Thread(target=self._wait, name="deadlines", daemon=True)
                self._thread.start()
            self._changed.notify()
        return deadline

    def _sweep(self) -> None:
        """Drops what was cancelled once it is most of the heap: viewers who come back leave no trace."""
        if len(self._heap) > 64 and 2 * sum(d.cancelled for _, _, d in self._heap) > len(self._heap):
            self._heap = [entry for entry in self._heap if not entry[2].cancelled]
            heapq.heapify(self._heap)

    def _wait(self) -> None:
        while True:
            with self._changed:
                while not self._heap or self._heap[0][0] > time.monotonic():
                    self._changed.wait(self._heap[0][0] - time.monotonic() if self._heap else None)
                deadline = heapq.heappop(self._heap)[2]
            try:
                deadline.pass_()
            except Exception:
                logger.exception("what was due at a deadline failed")


SHARED = Deadlines()
