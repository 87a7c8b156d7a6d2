"""Clocks: how long a call takes, two sides in turns, and what a set of samples says."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Sequence

Sampler = Callable[[], float]  # does the work once and returns how many seconds that took


def seconds(work: Callable[[], object], at_least: float = 0.0) -> float:
    """Seconds a call, the mean over as many calls as fill `at_least` seconds."""
    gc.collect()
    calls, start = 0, time.perf_counter()
    while True:
        work()
        calls += 1
        passed = time.perf_counter() - start
        if passed >= at_least:
            return passed / calls


def sampler(work: Callable[[], object], at_least: float = 0.0) -> Sampler:
    """`work` as a sampler."""
    return lambda: seconds(work, at_least)


def alternate(ours: Sampler, theirs: Sampler, repeats: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Samples of both sides in turns, either side first every second time: what slows the machine slows both."""
    mine: list[float] = []
    peers: list[float] = []
    for turn in range(repeats):
        for is_ours in (True, False) if turn % 2 == 0 else (False, True):
            (mine if is_ours else peers).append((ours if is_ours else theirs)())
    return tuple(mine), tuple(peers)


def best(work: Callable[[], object], repeats: int = 5) -> float:
    """Shortest of several calls, after one that does not count: for limits."""
    work()
    return min(seconds(work) for _ in range(repeats))


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """How many times faster ours is: ratio of the medians, and the smallest and largest ratio of a pair of samples.

    Raises:
        ValueError: the two sides have different numbers of samples, or none.
    """
    if not ours or len(ours) != len(theirs):
        raise ValueError(f"ratio: as many samples of either side are needed, got {len(ours)} and {len(theirs)}")
    pairs = [b / a for a, b in zip(ours, theirs, strict=True)]
    return statistics.median(theirs) / statistics.median(ours), min(pairs), max(pairs)


def exponent(x: Sequence[float], y: Sequence[float]) -> float:
    """Slope of log y over log x by least squares: y grows like x to this power.

    Raises:
        ValueError: fewer than two points, or a value that is not positive.
    """
    if len(x) != len(y) or len(set(x)) < 2 or min(*x, *y) <= 0:
        raise ValueError(f"exponent: two or more points of positive numbers are needed, got {list(x)} and {list(y)}")
    return statistics.linear_regression([math.log(v) for v in x], [math.log(v) for v in y]).slope
