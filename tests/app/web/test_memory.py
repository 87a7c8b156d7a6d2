"""What the server's heaps keep: seen in processes of their own, with the C library's own report."""

from __future__ import annotations

import subprocess
import sys

import pytest

from app.web import memory

pytestmark = pytest.mark.skipif(memory._of_glibc("malloc_info") is None, reason="the C library is not glibc")

HEAPS = """
import ctypes, threading
from app.web import memory
{first}
together = threading.Barrier(8)
def work():
    mine = [bytearray(10_000) for _ in range(10)]
    together.wait()
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc = ctypes.CDLL(None)
out = ctypes.c_void_p.in_dll(libc, "stdout")
libc.malloc_info(0, out)
libc.fflush(out)
"""

RETURNED = """
import psutil
from app.web import memory
rows = [bytearray(10_000) for _ in range(10_000)]
last = bytearray(10_000)  # above the others: the heap's end does not fall with them
del rows
before = psutil.Process().memory_info().rss
memory.give_back()
print(before - psutil.Process().memory_info().rss)
"""


def said(program):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


def test_threads_share_few_heaps():
    assert said(HEAPS.format(first="memory.share_heaps()")).count("<heap nr=") <= memory.ARENAS
    assert said(HEAPS.format(first="")).count("<heap nr=") > memory.ARENAS


def test_what_nobody_uses_is_given_back():
    assert int(said(RETURNED)) > 50e6


def test_another_c_library_has_none_of_this(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    memory.share_heaps()
    memory.give_back()
