"""Weights that are never stored: products with a Gaussian matrix, drawn where they are asked for.

An iid N(0, 1) matrix is only ever seen through its products with few directions, so those products are drawn, each
conditionally on all that came before. That is exact in distribution; the one approximation is `tolerance`, the relative
part of a query that may be left unexplored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from ntk_core.finite.basis import Basis
from ntk_core.finite.weights import draw, generator

# A part of relative size e left out of a backward signal changes the kernel by e^2 and the function not at all, while
# one left out of a forward query changes the function by e: backward queries may be this much coarser. Measured at
# width 2,000 with 100 inputs, the kernel's change in training is as exact at 30 as at 3, with a third fewer directions.
BACKWARD_SLACK = 30.0
SOUND = 100.0  # images of unit directions are of order 1: under a move beyond this, new ones would keep its rounding


class _Mark(NamedTuple):
    """One side of a sampled matrix: its images, and the states of its random numbers."""

    images: Tensor
    states: list[Tensor]


class Sampled:
    """A Gaussian matrix too wide to store, drawn where it is looked at.

    With orthonormal forward directions Q (rows) and their images Y = Q W^T, and backward directions P with
    Z = P W, a new unit direction q orthogonal to Q has the image

        W q = P^T (Z q) + (1 - P^T P) g ,      g ~ N(0, 1)

    and the same with the roles exchanged. Training adds sum d a^T with every a in the span of Q, so it changes the
    images Y and Z of the known directions and leaves the law of the unseen rest as it was. Cost of a query is
    O(N n r) and memory O(n r) for rank r, instead of O(N n^2) and O(n^2).
    """

    def __init__(
        self,
        m: int,
        n: int,
        seeds: Sequence[int],
        layer: int,
        dtype: torch.dtype,
        device: torch.device,
        tolerance: float = 1e-3,
    ):
        if not 0 < tolerance < 1:
            raise ValueError(f"tolerance: of sampled weights must lie between 0 and 1, got {tolerance}")
        self.shape = (len(seeds), m, n)
        self._seeds, self._layer = tuple(seeds), layer
        self._looks = 0
        self._trial: list[tuple[Tensor, Tensor]] = []  # products added since the last mark
        self._marks: list[_Mark] = []
        self._forward = Basis(n, m, self._sources(1, device), dtype, device, tolerance)
        self._backward = Basis(m, n, self._sources(2, device), dtype, device, min(BACKWARD_SLACK * tolerance, 0.1))

    def _sources(self, stream: int, device: torch.device, look: int = 0) -> list[torch.Generator]:
        return [generator(s, self._layer, stream, device, look) for s in self._seeds]

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Inside, queries leave no trace: what they explore is drawn aside and forgotten.

        Each answer has the right law given all that training has explored, and training is what it would have been
        had nobody looked. Two looks at directions that neither anchors nor training explored draw them independently.
        """
        sides = (self._forward, self._backward)
        before = [(side.rank, side.sources, side.last) for side in sides]
        self._looks += 1  # each look draws from a stream of its own
        for stream, side in enumerate(sides, 1):
            side.sources = self._sources(stream, side.device, self._looks)
        try:
            yield
        finally:
            for side, (rank, sources, last) in zip(sides, before, strict=True):
                side.rank, side.sources, side.last = rank, sources, last

    @property
    def ranks(self) -> tuple[int, int]:
        """How many forward and backward directions are known (the largest over the seeds)."""
        return self._forward.rank, self._backward.rank

    def multiply(self, A: Tensor) -> Tensor:
        """A W^T on the known directions, after learning the new ones that A holds."""
        return self._query(self._forward, self._backward, A)

    def multiply_transposed(self, D: Tensor) -> Tensor:
        """D W on the known directions, after learning the new ones that D holds."""
        return self._query(self._backward, self._forward, D)

    def add(self, *products: tuple[Tensor, Tensor]) -> None:
        """W += D^T A: the images of the known directions move, nothing else does."""
        forward, backward = self._forward, self._backward
        self._trial += products if self._marks else ()
        for D, A in products:
            forward.images.baddbmm_(forward.coordinates(A).mT, D)
            if backward.rank:
                backward.images.baddbmm_(backward.directions @ D.mT, A)

    def mark(self) -> list[_Mark]:
        """Copies of the images of the known directions, and where the random numbers are; forward and backward."""
        self._trial = []
        self._marks = [
            _Mark(side.images.clone(), [source.get_state() for source in side.sources])
            for side in (self._forward, self._backward)
        ]
        return self._marks

    def restore(self, mark: list[_Mark]) -> None:
        """The marked images again. What was explored since stays explored, with the images that the marked matrix has.

        A move that was very large has spoilt the images of what was explored under it: that is forgotten, and
        its random numbers will come again, so that what is tried does not choose the matrix.
        """
        sides = (self._forward, self._backward)
        found = [side.images[:, marked.images.shape[1] :] for side, marked in zip(sides, self._marks, strict=True)]
        # Moves lie in the span of the forward directions known before, to which new ones are orthogonal.
        undone = [found[0], self._undone(found[1])]
        moved = [side.images for side in sides]
        sound = all(bool((images.abs() <= SOUND).all()) for images in (*moved, *undone))
        for side, marked, new in zip(sides, self._marks, undone, strict=True):
            known = marked.images.shape[1]
            side.images[:, :known] = marked.images
            side.last = None
            if sound:
                side.images[:, known:] = new
            else:
                side.rank = known
                for source, state in zip(side.sources, marked.states, strict=True):
                    source.set_state(state)
        self.mark()

    def _undone(self, new: Tensor) -> Tensor:
        """Images of new backward directions without the moves on trial."""
        directions = self._backward.directions[:, self._backward.rank - new.shape[1] :]
        new = new.clone()
        for D, A in self._trial if new.shape[1] else ():
            new.baddbmm_(directions @ D.mT, A, alpha=-1.0)
        return new

    def keep(self) -> None:
        """The moves stay, which are written into the images at once."""
        self._trial, self._marks = [], []

    def nbytes(self) -> int:
        """Bytes of the bases and their images, spare room included."""
        return self._forward.nbytes() + self._backward.nbytes()

    def _query(self, side: Basis, other: Basis, A: Tensor) -> Tensor:
        coordinates = side.coordinates(A)
        fresh = side.unexplored(A, coordinates)
        if fresh is not None:
            side.append(fresh, self._images(side, other, fresh))
            coordinates = side.coordinates(A)
        return coordinates @ side.images

    def _images(self, side: Basis, other: Basis, fresh: Tensor) -> Tensor:
        """Draws the images (S, k, m) of new directions (S, k, n), zero where a direction is zero padding."""
        counts = (fresh.square().sum(-1) > 0.5).sum(-1).tolist()
        g = fresh.new_zeros(fresh.shape[0], fresh.shape[1], side.m)
        for rows, count, source in zip(g, counts, side.sources, strict=True):
            rows[:count] = draw(count, side.m, source, g.dtype)
        if not other.rank:
            return g
        P, Z = other.directions, other.images
        return g.baddbmm_(fresh @ Z.mT - g @ P.mT, P)
