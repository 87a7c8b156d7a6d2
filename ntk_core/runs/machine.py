"""What this machine can do, measured now and then: matrix products, memory traffic, the cost of a small operation."""

from __future__ import annotations

import math
import os
import re
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

MEMORY_VARIABLE = "NTK_MEMORY_LIMIT"
MEMORY_SHARE = 0.8  # of what is free, the rest is left to everything else
SMALL_OPERATIONS = 80  # of `_operate`
FIRST, KEPT, BETWEEN_SECONDS = 4, 40, 10.0  # samples of a gauge: at first, at most, and how far apart
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SIZE = re.compile(r"(\d{1,30}(?:\.\d{1,30})?)\s*([kmgt]i?)?b?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Speeds:
    """Measured rates: products in flop/s (float32, float64), traffic in bytes/s, seconds a small operation."""

    flops32: float
    flops64: float
    bandwidth: float
    overhead: float

    def flops(self, precision: str) -> float:
        """Matrix product rate in "float32" or "float64"."""
        return self.flops32 if precision == "float32" else self.flops64


# Of two cores, where nothing is to be measured: what one piece of work costs beside another.
USUAL = Speeds(flops32=130e9, flops64=70e9, bandwidth=30e9, overhead=6e-6)


class Gauge:
    """How fast a device has been lately: a machine that others share is twice as fast in one second as in the next.

    Args:
        device: as torch names it.
    """

    def __init__(self, device: str):
        import torch

        self.kind, where = device.partition(":")[0], torch.device(device)
        n = 4096 if self.kind == "cuda" else 512
        A, B = (torch.randn(n, n, device=where, dtype=dtype) for dtype in (torch.float32, torch.float64))
        self._big, self._small = torch.ones(1 << 23, device=where), torch.ones(16, 16, device=where)
        self._works: tuple[tuple[Callable[[], object], float], ...] = (  # and what each of them does
            (lambda: A @ A, 2.0 * n**3),
            (lambda: B @ B, 2.0 * n**3),
            (lambda: self._big.add_(1.0), 2.0 * self._big.nbytes),
            (lambda: _operate(self._small), float(SMALL_OPERATIONS)),
        )
        self._samples: deque[list[float]] = deque(maxlen=KEPT)
        self._taken, self._lock = -math.inf, threading.Lock()

    def speeds(self) -> Speeds:
        """Means over the last samples; one more is taken where the last one is some seconds old."""
        with self._lock:
            if time.monotonic() - self._taken >= BETWEEN_SECONDS:
                for _ in range(1 if self._samples else FIRST):
                    self._samples.append([_best(work, self.kind, 2) / done for work, done in self._works])
                self._taken = time.monotonic()
            flop32, flop64, byte, operation = (statistics.fmean(column) for column in zip(*self._samples, strict=True))
        return Speeds(1 / flop32, 1 / flop64, 1 / byte, operation)


def speeds(device: str) -> Speeds:
    """How fast a device has been lately: some hundredths of a second at first, some thousandths now and then."""
    return _gauge(device).speeds()


@lru_cache(maxsize=4)
def _gauge(device: str) -> Gauge:
    return Gauge(device)


@lru_cache(maxsize=256)
def activation_operations(name: str, precision: str) -> float:
    """Measures for some milliseconds what an activation and its slope take for one number on one core.

    Args:
        name: of the activation.
        precision: "float32" or "float64".

    Returns:
        the time over that of a small operation (`Speeds.overhead`) just now.
    """
    import torch

    from ntk_core.activations.table import get
    from ntk_core.threads import at_most

    sigma, small = get(name), torch.ones(16, 16)
    h = torch.linspace(-3, 3, 1 << 14, dtype=getattr(torch, precision))
    with at_most(1):
        one = _best(lambda: _operate(small), "cpu") / SMALL_OPERATIONS
        return _best(lambda: (sigma.value(h), sigma.derivative(h)), "cpu") / len(h) / one


def _operate(small: Tensor) -> None:
    """`SMALL_OPERATIONS` of the kinds that training by leaps is made of."""
    import torch

    for _ in range(10):
        product = small @ small
        mixed = product.mul(0.5).add_(small)
        torch.where(mixed > 0, mixed, product)[:8].square().sum(-1)


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory(device: str) -> int:
    """Bytes a run may take: a share of what is free on the device; of main memory, `NTK_MEMORY_LIMIT` if set."""
    if device.startswith("cuda"):
        import torch

        return int(MEMORY_SHARE * torch.cuda.mem_get_info(torch.device(device))[0])
    limit = os.environ.get(MEMORY_VARIABLE)
    if limit:
        return parse_bytes(limit)
    import psutil

    return int(MEMORY_SHARE * psutil.virtual_memory().available)


def parse_bytes(text: str, name: str = MEMORY_VARIABLE, least: int = 1) -> int:
    """Bytes from "8GB", "500 MiB", "2g" or plain digits, of a size that `name` was given.

    Raises:
        ValueError: not a size, or less than `least` bytes.
    """
    match = _SIZE.fullmatch(text.strip())
    size = int(float(match[1]) * _UNITS[(match[2] or "").lower()]) if match else 0
    if size < least:
        raise ValueError(f"{name}: must be a size such as 4GB or 512MiB, {least:,} bytes at least, got {text[:40]!r}")
    return size


def _best(work: Callable[[], object], kind: str, runs: int = 4) -> float:
    """Shortest of several runs, in seconds."""
    import torch

    best = float("inf")
    for _ in range(runs):
        if kind == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        if kind == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return best
