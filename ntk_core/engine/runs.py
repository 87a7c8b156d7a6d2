"""The runs a web process knows, by key; finished ones are kept while there is room."""

from __future__ import annotations

import threading
from collections import OrderedDict

from ntk_core.engine.run import Run

KEPT = 200  # ended runs, however small


class Runs:
    """Runs by key and by task. Beyond `limit` bytes of results, ended runs that nobody watches are forgotten.

    Runs that go on count as well. The one used for longest goes first; the most recent one stays until the next comes.
    Nor are more than `KEPT` ended runs kept, since a run without a result is not without a size.
    """

    def __init__(self, limit: int):
        self.limit = limit
        self._by_key: OrderedDict[str, Run] = OrderedDict()
        self._by_task: dict[str, Run] = {}
        self._lock = threading.Lock()

    def add(self, run: Run) -> None:
        """Adds a run; an ended one of the same key gives way."""
        with self._lock:
            self._by_key[run.key] = run
            self._by_key.move_to_end(run.key)
            self._by_task[run.task] = run
            self._make_room()

    def __len__(self) -> int:
        return len(self._by_key)

    def get(self, key: str) -> Run | None:
        """The run of that key, now the most recent one."""
        with self._lock:
            if key in self._by_key:
                self._by_key.move_to_end(key)
            return self._by_key.get(key)

    def of_task(self, task: str) -> Run | None:
        """The run that a message of the cluster is about, if it is going on here."""
        return self._by_task.get(task)

    def active(self) -> list[Run]:
        """Runs that have not ended."""
        with self._lock:
            return list(self._by_task.values())

    def forget(self, run: Run) -> None:
        """As if it had never been asked for."""
        with self._lock:
            self._by_task.pop(run.task, None)
            if self._by_key.get(run.key) is run:
                del self._by_key[run.key]

    def ended(self, run: Run) -> None:
        """Takes note that a run ended, and makes room."""
        with self._lock:
            self._by_task.pop(run.task, None)
            self._make_room()

    def _make_room(self) -> None:
        newest = next(reversed(self._by_key.values()), None)
        ended = [run for run in self._by_key.values() if run.final]
        surplus, count = sum(run.size for run in self._by_key.values()) - self.limit, len(ended)
        for old in ended:
            if surplus <= 0 and count <= KEPT:
                break
            if old is not newest and not old.viewers.connected:
                del self._by_key[old.key]
                surplus, count = surplus - old.size, count - 1
