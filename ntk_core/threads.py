"""Work done side by side, in threads whose operations do not start threads of their own."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeVar

import torch

Job = TypeVar("Job")
Result = TypeVar("Result")


def ordered(function: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
    """function(job) for every job, results in the jobs' order; a few jobs ahead are at work meanwhile.

    If the consumer stops or fails, jobs not yet begun are dropped and those begun are waited for.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        yield from map(function, jobs)
        return
    pool, ahead = _pool(threads), deque[Future[Result]]()
    try:
        for job in jobs:
            ahead.append(pool.submit(function, job))
            if len(ahead) > 4 * threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        begun = [future for future in ahead if not future.cancel()]
        for future in begun:
            future.exception()


@contextmanager
def at_most(count: int) -> Iterator[None]:
    """While inside, torch has at most so many threads for what this thread asks of it; takes microseconds.

    For small operations one is best: each that wakes another thread waits for it, long where the machine is busy.
    """
    before = torch.get_num_threads()
    if count >= before:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


_starting = threading.Lock()


def _forget_threads() -> None:
    """A forked child has this module but none of its threads, and perhaps a lock that nobody will open."""
    global _starting
    _starting = threading.Lock()
    _started_pool.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


def _pool(threads: int) -> ThreadPoolExecutor:
    with _starting:
        return _started_pool(threads)


@lru_cache
def _started_pool(threads: int) -> ThreadPoolExecutor:
    """Threads whose matrix products stay single-threaded.

    torch.set_num_threads binds the calling thread, and leaves its number as the default of threads yet to come; so
    all workers are started at once, and the caller's number is put back after them.
    """
    ready = threading.Barrier(threads + 1)

    def bind() -> None:
        torch.get_num_threads()  # makes this thread take the default now, rather than over the next line
        torch.set_num_threads(1)
        ready.wait()

    pool = ThreadPoolExecutor(threads, thread_name_prefix="tile")
    for _ in range(threads):
        pool.submit(bind)
    ready.wait()
    torch.set_num_threads(threads)
    return pool
