"""What is known of a spec before it runs: the limit's theory and the plan."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ntk_core.runs.plan import Plan
    from ntk_core.runs.snapshot import Snapshot


@dataclass(frozen=True)
class Preview:
    """The infinite limit of a spec, and how its networks would be trained."""

    theory: Snapshot
    plan: Plan
    bytes: int = 0


class PreviewCache:
    """The previews asked for last, by the spec's key, within `limit` bytes; safe between threads."""

    def __init__(self, limit: int):
        self.limit, self.bytes = limit, 0
        self._entries: OrderedDict[str, Preview] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> Preview | None:
        """The preview of that key, now the most recent one."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def put(self, key: str, preview: Preview) -> None:
        """Keeps a preview; the ones unused for longest make room."""
        with self._lock:
            if key in self._entries:
                return
            self._entries[key] = preview
            self.bytes += preview.bytes
            while self.bytes > self.limit and len(self._entries) > 1:
                self.bytes -= self._entries.popitem(last=False)[1].bytes
