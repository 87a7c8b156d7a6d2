"""One layer's weights, known by three verbs only: multiply, multiply transposed, add a product of low rank.

Two kinds offer them: `Dense`, here, stores the matrix; `Sampled`, in `ntk_core.finite.sampled`, never draws it.

Every array carries a leading dimension S, the seeds of an ensemble: A is (S, N, n), D is (S, N, m), W is (S, m, n).
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from ntk_core import threads

THIN = 0.25  # of a matrix's smaller side: more rows than that cost more beside it than written into a copy
DRAWN_ALONE = 1 << 16  # entries of a matrix below which threads would cost more than they save


class Weights(Protocol):
    """What a network asks of a layer of n inputs and m outputs."""

    shape: tuple[int, int, int]  # (S, m, n)

    def multiply(self, A: Tensor) -> Tensor:
        """W a for every row a of A: (S, N, n) -> (S, N, m)."""

    def multiply_transposed(self, D: Tensor) -> Tensor:
        """W^T d for every row d of D: (S, N, m) -> (S, N, n)."""

    def add(self, *products: tuple[Tensor, Tensor]) -> None:
        """W += sum over rows of d a^T for each (D, A), in place: (S, N, m), (S, N, n); A was multiplied before."""

    def mark(self) -> Any:
        """The layer as it is now, for `restore`: what is added from here on is on trial until `keep`."""

    def restore(self, mark: Any) -> None:
        """Puts the marked layer back, bit for bit; a sampled one goes on knowing what it explored since."""

    def keep(self) -> None:
        """Ends the trial: what was added stays, and marks from before are void."""

    def nbytes(self) -> int:
        """Bytes that the layer holds."""


def generator(seed: int, layer: int, stream: int, device: torch.device, look: int = 0) -> torch.Generator:
    """The random numbers of one layer's matrix (stream 0), explored sides (1, 2) or biases (3), of one seed."""
    name = f"{seed} {layer} {stream} {look}".encode()
    digest = hashlib.blake2b(name, digest_size=7).digest()  # distinct names give unrelated streams
    return torch.Generator(device=device).manual_seed(int.from_bytes(digest, "little"))


def draw(rows: int, columns: int, source: torch.Generator, dtype: torch.dtype) -> Tensor:
    """iid N(0, 1), drawn in float32 so that a seed names the same network in every precision."""
    return torch.randn(rows, columns, generator=source, device=source.device).to(dtype)


class Dense:
    """A stored matrix, one for each seed.

    While a change is on trial it stays beside the matrix as the two thin factors of its product, so that dropping it
    costs nothing and restores every bit, and keeping it costs one sweep.
    """

    def __init__(self, W: Tensor):
        self.W = W
        self._on_trial = False
        self._thin: tuple[Tensor, Tensor] | None = None  # D, A of W + D^T A
        self.shape = (W.shape[0], W.shape[1], W.shape[2])

    @classmethod
    def init(cls, m: int, n: int, seeds: Sequence[int], layer: int, dtype: torch.dtype, device: torch.device) -> Dense:
        """iid N(0, 1) entries."""
        W = torch.empty(len(seeds), m, n, dtype=dtype, device=device)

        def fill(index: int) -> None:
            source = generator(seeds[index], layer, 0, device)
            if dtype == torch.float32:
                W[index].normal_(generator=source)  # what `draw` draws, without a copy
            else:
                W[index].copy_(draw(m, n, source, dtype))

        # Each seed has a generator of its own, so that seeds may be drawn side by side.
        side_by_side = device.type == "cpu" and W[0].numel() >= DRAWN_ALONE
        deque(threads.ordered(fill, range(len(seeds))) if side_by_side else map(fill, range(len(seeds))), maxlen=0)
        return cls(W)

    def multiply(self, A: Tensor) -> Tensor:
        """A W^T."""
        if self._thin is None:
            return A @ self.W.mT
        D, B = self._thin
        return A @ self.W.mT + (A @ B.mT) @ D

    def multiply_transposed(self, D: Tensor) -> Tensor:
        """D W."""
        if self._thin is None:
            return D @ self.W
        C, A = self._thin
        return D @ self.W + (D @ C.mT) @ A

    def add(self, *products: tuple[Tensor, Tensor]) -> None:
        """W += D^T A, in one sweep over the matrix."""
        known = [self._thin] if self._thin else []
        D, A = (torch.cat(sides, 1) if len(sides) > 1 else sides[0] for sides in zip(*known, *products, strict=True))
        if not self._on_trial:
            self.W.baddbmm_(D.mT, A)
        elif D.shape[1] <= THIN * min(self.shape[1:]):
            self._thin = D, A
        else:
            self.W, self._thin = torch.baddbmm(self.W, D.mT, A), None  # the marked matrix stays untouched

    def mark(self) -> Tensor:
        """The matrix itself, which nothing writes into while a change is on trial."""
        self.keep()
        self._on_trial = True
        return self.W

    def restore(self, mark: Tensor) -> None:
        """The marked matrix again."""
        self.W, self._thin, self._on_trial = mark, None, True

    def keep(self) -> None:
        """Writes the change into the matrix."""
        self._on_trial = False
        if self._thin is not None:
            D, A = self._thin
            self._thin = None
            self.W.baddbmm_(D.mT, A)

    def nbytes(self) -> int:
        """Bytes of the matrices."""
        return self.W.nbytes
