"""What this machine can do, measured once: matrix products, memory traffic, the cost of a small operation."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

MEMORY_VARIABLE = "NTK_MEMORY_LIMIT"
MEMORY_SHARE = 0.8  # of what is free, the rest is left to everything else
FEW = 8  # operations of `_few_operations`
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


@lru_cache(maxsize=4)
def speeds(device: str) -> Speeds:
    """Measures the device for about a tenth of a second, once a process."""
    import torch

    where = torch.device(device)

    def product(dtype: torch.dtype) -> float:
        n = 4096 if where.type == "cuda" else 768
        A = torch.randn(n, n, device=where).to(dtype)
        return 2 * n**3 / _best(lambda: A @ A, where.type)

    big = torch.ones(1 << 24, device=where)
    small = torch.ones(16, 16, device=where)
    return Speeds(
        flops32=product(torch.float32),
        flops64=product(torch.float64),
        bandwidth=2 * big.nbytes / _best(lambda: big.add_(1.0), where.type),
        overhead=_best(lambda: [_few_operations(small) for _ in range(10)], where.type) / (10 * FEW),
    )


@lru_cache(maxsize=256)
def activation_seconds(name: str, precision: str) -> float:
    """Measures for some milliseconds what an activation and its slope take for one number on one core.

    Args:
        name: of the activation.
        precision: "float32" or "float64".
    """
    import torch

    from ntk_core.activations.table import get
    from ntk_core.threads import at_most

    sigma = get(name)
    h = torch.linspace(-3, 3, 1 << 14, dtype=getattr(torch, precision))
    with at_most(1):
        return _best(lambda: (sigma.value(h), sigma.derivative(h)), "cpu") / len(h)


def _few_operations(small: Tensor) -> Tensor:
    """`FEW` operations of the kinds that training by leaps is made of."""
    import torch

    product = small @ small
    mixed = product.mul(0.5).add_(small)
    return torch.where(mixed > 0, mixed, product)[:8].square().sum(-1)


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


def _best(work: Callable[[], object], kind: str) -> float:
    """Shortest of several runs, in seconds."""
    import torch

    best = float("inf")
    for _ in range(4):
        if kind == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        if kind == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return best
