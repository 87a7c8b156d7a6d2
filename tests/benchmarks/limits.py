"""What the machine can do, measured in the same run as the work that is held against it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np
import torch

from tests.benchmarks.timing import best

MATRIX = 2048  # side of the products whose rate counts as the limit
STRIP = 16384  # numbers that stay in a core's own cache
TRAFFIC = 1 << 27  # floats: 512 MB, far beyond any cache


class Limits:
    """Rates of one machine with this many threads; each is measured when it is first asked for."""

    def __init__(self, cores: int, device: str = "cpu"):
        self.cores, self.device = cores, torch.device(device)

    @cached_property
    def flops32(self) -> float:
        """Matrix products in float32, flop/s."""
        return self._products(torch.float32)

    @cached_property
    def flops64(self) -> float:
        """Matrix products in float64, flop/s."""
        return self._products(torch.float64)

    @cached_property
    def bandwidth(self) -> float:
        """Memory traffic, bytes/s: reading and writing 512 MB in place."""
        big = torch.ones(TRAFFIC, device=self.device)
        return 2 * big.nbytes / best(lambda: self._finished(big.add_(1.0)))

    @cached_property
    def arccos(self) -> float:
        """Seconds for one arc cosine and one square root in float64, in cache, all cores at work.

        Nobody computes a layer of relu's kernel without them.
        """
        rounds = 200
        work = [(np.linspace(-1, 1, STRIP), np.empty(STRIP)) for _ in range(self.cores)]

        def evaluate(arrays: tuple[np.ndarray, np.ndarray]) -> None:
            values, out = arrays
            for _ in range(rounds):
                np.arccos(values, out=out)
                np.sqrt(out, out=out)

        with ThreadPoolExecutor(self.cores) as pool:
            return best(lambda: list(pool.map(evaluate, work))) / (rounds * STRIP * self.cores)

    def _products(self, dtype: torch.dtype) -> float:
        side = MATRIX if self.device.type == "cpu" else 4 * MATRIX
        A = torch.randn(side, side, device=self.device).to(dtype)
        out = torch.empty_like(A)
        return 2 * side**3 / best(lambda: self._finished(torch.mm(A, A, out=out)))

    def _finished(self, result: torch.Tensor) -> None:
        if result.is_cuda:
            torch.cuda.synchronize(result.device)
