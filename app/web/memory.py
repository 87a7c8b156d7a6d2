"""What the C library keeps of memory that Python gave back: told to keep little, where it is glibc's."""

from __future__ import annotations

import ctypes
from typing import Any

M_ARENA_MAX = -8  # of mallopt, in glibc's malloc.h
ARENAS = 2  # by default eight a core: each thread that lives for a moment leaves some memory in one of its own


def share_heaps() -> None:
    """Lets all threads take their memory from few heaps; for a process that has not started its threads yet."""
    mallopt = _of_glibc("mallopt")
    if mallopt is not None:
        mallopt(M_ARENA_MAX, ARENAS)


def give_back() -> None:
    """Returns to the system what the heaps hold and nobody uses; takes milliseconds."""
    malloc_trim = _of_glibc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _of_glibc(name: str) -> Any:
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):  # another C library, or another system
        return None
