"""A part's way out of its worker: messages on a topic, kept for a while for clients that missed them."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Worker

    from ntk_core.runs.result import Increment

TOPIC = "ntk-runs"
ADDED_EVERY = 0.1  # seconds for which increments wait for each other, so that a sweep's many small ones share a message
PROGRESS_EVERY = 0.5  # seconds between reports of progress where nothing is added
REMEMBERED_BYTES = 64 << 20  # of ended parts' messages that a worker can repeat

_posted: OrderedDict[str, list[dict[str, Any]]] = OrderedDict()


def posted(task: str) -> list[dict[str, Any]] | None:
    """The messages that a part on this worker has posted so far, or None if it was not here."""
    return list(_posted[task]) if task in _posted else None


class Post:
    """The messages of one task, numbered from 0."""

    def __init__(self, worker: Worker, task: Any):
        self.worker, self.task = worker, task
        self.last = self.told = -float("inf")
        self.sent = _posted[task] = []
        _posted.move_to_end(task)
        self._waiting: list[bytes] = []
        self._progress = 0.0
        _forget_old()

    def started(self) -> None:
        """Says that the part has left the queue, when and where."""
        self._send({"kind": "started", "at": time.time(), "worker": self.worker.address})

    def add(self, increment: Increment) -> None:
        """Takes an increment along with the next message, which leaves at once if the last one is a moment ago."""
        self._waiting.append(increment.to_bytes())
        self._progress = increment.progress
        if time.monotonic() - self.last >= ADDED_EVERY:
            self._flush()

    def progress(self, share: float) -> None:
        """Says how much of the work is done, now and then; not kept for late clients."""
        now = time.monotonic()
        if self._waiting and now - self.last >= ADDED_EVERY:
            self._flush()
        if now - max(self.last, self.told) >= PROGRESS_EVERY:
            self.told = now
            self.worker.log_event(TOPIC, {"kind": "progress", "task": self.task, "share": share})

    def close(self) -> int:
        """Sends what still waits; returns how many messages there were."""
        self._flush()
        return len(self.sent)

    def _flush(self) -> None:
        if self._waiting:
            self.last = time.monotonic()
            waiting, self._waiting = self._waiting, []
            self._send({"kind": "added", "data": waiting, "share": self._progress})

    def _send(self, message: dict[str, Any]) -> None:
        message |= {"task": self.task, "number": len(self.sent)}
        self.sent.append(message)
        self.worker.log_event(TOPIC, message)


def _forget_old() -> None:
    """Drops the oldest tasks' messages beyond `REMEMBERED_BYTES`; the two newest always stay."""
    sizes = {task: sum(len(d) for m in sent for d in m.get("data", ())) for task, sent in _posted.items()}
    total = sum(sizes.values())
    for task in list(_posted)[:-2]:
        if total <= REMEMBERED_BYTES and len(_posted) <= 1000:
            break
        total -= sizes[task]
        del _posted[task]
