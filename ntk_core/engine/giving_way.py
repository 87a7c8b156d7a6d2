"""Who goes first within a worker that has several slots: the limit under a control that has just moved.

What can wait there (networks before training, a limit that takes seconds) stands still meanwhile. Side by side both
would wait for the interpreter's lock again and again, and the limit would take twice as long.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

LONGEST = 1.0  # seconds that one call of `give_way` takes at most: whoever waits also hears when nobody wants it

_free = threading.Condition()
_first = 0  # how many go first just now


@contextmanager
def going_first() -> Iterator[None]:
    """While inside, `give_way` waits in the other threads of this process."""
    global _first
    with _free:
        _first += 1
    try:
        yield
    finally:
        with _free:
            _first -= 1
            _free.notify_all()


def give_way() -> None:
    """Returns when nobody goes first, or after a while."""
    with _free:
        _free.wait_for(lambda: not _first, LONGEST)
