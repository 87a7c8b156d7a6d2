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

    def multiply(self, A: Tensor, moved: bool = False) -> Tensor:
        """W a for every row a of A: (S, N, n) -> (S, N, m). `moved`: A is how inputs move, a small part of them."""

    def multiply_transposed(self, D: Tensor) -> Tensor:
        """W^T d for every row d of D: (S, N, m) -> (S, N, n)."""

    def add(self, *products: tuple[Tensor, Tensor]) -> None:
        """W += sum over rows of d a^T for each (D, A), in place: (S, N, m), (S, N, n); A was multiplied before."""

    def try_on(self, *products: tuple[Tensor, Tensor]) -> None:
        """Answers as W + sum of d a^T from now on, in place of what was on trial before; W itself stays as it is."""

    def keep(self, accepted: Tensor) -> None:
        """Ends the trial: its change stays for the seeds (S,) that are accepted; the others keep W bit for bit."""

    def part(self, index: Tensor) -> Weights:
        """The matrices of some seeds (K,) by themselves, copied; none may be on trial."""

    def put(self, index: Tensor, part: Any) -> None:
        """Takes some seeds (K,) back, in place, as a part now has them."""

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


def masked(accepted: Tensor, products: Sequence[tuple[Tensor, Tensor]]) -> list[tuple[Tensor, Tensor]]:
    """The products, zero for seeds that are not accepted, whatever stood there (an exploded trial holds no numbers)."""
    if bool(accepted.all()):
        return list(products)
    mask = accepted[:, None, None]
    return [(torch.where(mask, D, 0.0), torch.where(mask, A, 0.0)) for D, A in products]


class Dense:
    """A stored matrix, one for each seed.

    A change on trial stays beside the matrix: as the thin factors of its product, so that dropping it costs nothing
    and keeping it one sweep, or as a second matrix where the factors are not thin.
    """

    def __init__(self, W: Tensor):
        self.W = W
        self._thin: tuple[Tensor, Tensor] | None = None  # D, A of W + D^T A
        self._moved: Tensor | None = None
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

    def multiply(self, A: Tensor, moved: bool = False) -> Tensor:
        """A W^T."""
        if self._thin is None and self.shape[1] > 1:
            return A @ self._now.mT
        if self._thin is None:  # one output: as `times_vector` does
            return (A @ self._now.expand(-1, 2, -1).mT)[..., :1].clone()
        D, B = self._thin
        return (A @ self.W.mT).baddbmm_(A @ B.mT, D)

    def multiply_transposed(self, D: Tensor) -> Tensor:
        """D W."""
        if self._thin is None:
            return D @ self._now
        C, A = self._thin
        return (D @ self.W).baddbmm_(D @ C.mT, A)

    def add(self, *products: tuple[Tensor, Tensor]) -> None:
        """W += D^T A, in one sweep over the matrix."""
        D, A = _stacked(products)
        self.W.baddbmm_(D.mT, A)

    def try_on(self, *products: tuple[Tensor, Tensor]) -> None:
        """W + D^T A, beside W."""
        D, A = _stacked(products)
        self._thin = self._moved = None
        if D.shape[1] <= THIN * min(self.shape[1:]):
            self._thin = D, A
        else:
            self._moved = torch.baddbmm(self.W, D.mT, A)

    def keep(self, accepted: Tensor) -> None:
        """One sweep over the matrix, or none."""
        thin, moved = self._thin, self._moved
        self._thin = self._moved = None
        if moved is not None:
            self.W = moved if bool(accepted.all()) else torch.where(accepted[:, None, None], moved, self.W)
        elif thin is not None and bool(accepted.any()):
            self.add(*masked(accepted, [thin]))

    def part(self, index: Tensor) -> Dense:
        """One copy."""
        return Dense(self.W[index])

    def put(self, index: Tensor, part: Dense) -> None:
        """One copy."""
        self.W[index] = part.W

    def answering(self) -> Tensor:
        """The matrices as they answer, (S, m, n): with a change that is on trial."""
        if self._thin is None:
            return self._now
        D, A = self._thin
        return torch.baddbmm(self.W, D.mT, A)

    @property
    def _now(self) -> Tensor:
        return self.W if self._moved is None else self._moved

    def nbytes(self) -> int:
        """Bytes of the matrices."""
        return self.W.nbytes


def _stacked(products: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    D, A = (torch.cat(sides, 1) if len(sides) > 1 else sides[0] for sides in zip(*products, strict=True))
    return D, A
