"""Weights that are never stored: products with a Gaussian matrix, drawn where they are asked for.

An iid N(0, 1) matrix is only ever seen through its products with few directions, so those products are drawn, each
conditionally on all that came before. That is exact in distribution; the one approximation is `tolerance`, the relative
part of a query that may be left unexplored.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from ntk_core.finite.basis import Basis, Fresh
from ntk_core.finite.weights import draw, generator, masked

# A part of relative size e left out of a backward signal changes the kernel by e^2 and the function not at all, while
# one left out of a forward query changes the function by e: backward queries may be this much coarser. Measured at
# width 2,000 with 100 inputs, the kernel's change in training is as exact at 30 as at 3, with a third fewer directions.
BACKWARD_SLACK = 30.0
FINEST = 4.0  # roundings of a number: what is left of a query below them is noise
# Of forward queries where only a kernel is wanted. What is left out moves f at once and its kernel little: over many
# looks at widths of 1,000 to 10,000, figure 1's kernels are apart by 0.02 of what training changes, less than two looks
# are from each other; with 0.01 they are apart by 0.07.
FOR_KERNELS = 0.003


class Sampled:
    """A Gaussian matrix too wide to store, drawn where it is looked at.

    With orthonormal forward directions Q (rows) and their images Y = Q W^T, and backward directions P with
    Z = P W, a new unit direction q orthogonal to Q has the image

        W q = P^T (Z q) + (1 - P^T P) g ,      g ~ N(0, 1)

    and the same with the roles exchanged. Training adds sum d a^T with every a in the span of Q, so it changes the
    images Y and Z of the known directions and leaves the law of the unseen rest as it was. Cost of a query is
    O(N n r) and memory O(n r) for rank r, instead of O(N n^2) and O(n^2).

    "Exact in distribution" is said of everything that is asked of one matrix outside `looking`, together: its answers
    and its training have the joint law of a stored matrix. It is not said of two looks together, which forget what they
    saw: each has the right law given what was known before, and beyond that they are independent. Nor do the numbers
    of a seed stay the same when the questions, or their order, change.
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
        if tolerance < FINEST * torch.finfo(dtype).eps:
            raise ValueError(
                f"tolerance: of sampled weights in {str(dtype).removeprefix('torch.')} must be at least "
                f"{FINEST * torch.finfo(dtype).eps:.1g}, got {tolerance:g}; use float64 or dense weights"
            )
        self.shape = (len(seeds), m, n)
        self._seeds, self._layer = tuple(seeds), layer
        self._looks = 0
        self._trial: list[tuple[Tensor, Tensor]] = []
        self._glimpses: int | None = None  # left of a look that asks once
        self._unsharpened = tolerance
        self._finest = FINEST * torch.finfo(dtype).eps
        self._forward = Basis(n, m, self._sources(1, device), dtype, device, tolerance)
        self._backward = Basis(m, n, self._sources(2, device), dtype, device, min(BACKWARD_SLACK * tolerance, 0.1))

    def _sources(self, stream: int, device: torch.device, look: int = 0) -> list[torch.Generator]:
        return [generator(s, self._layer, stream, device, look) for s in self._seeds]

    @contextmanager
    def looking(self, once: bool = False, left_out: float = 0.0) -> Iterator[None]:
        """Inside, queries leave no trace: what they explore is drawn aside and forgotten.

        Each answer has the right law given all that training has explored, and training is what it would have been
        had nobody looked. Two looks at directions that neither anchors nor training explored draw them independently.

        Args:
            once: there will be one backward query at most, after all forward ones; it takes half the work.
            left_out: the relative part of a forward query that may be left unexplored, if that is more than the
                matrix's own tolerance; where only a kernel is wanted, `FOR_KERNELS`.
        """
        sides = (self._forward, self._backward)
        before = [(side.rank, side.sources, side.last, side.tolerance) for side in sides]
        self._looks += 1  # each look draws from a stream of its own
        for stream, side in enumerate(sides, 1):
            side.sources = self._sources(stream, side.device, self._looks)
        self._forward.tolerance = max(self._forward.tolerance, left_out)
        self._glimpses = 1 if once else None
        try:
            yield
        finally:
            self._glimpses = None
            for side, (rank, sources, last, tolerance) in zip(sides, before, strict=True):
                side.rank, side.sources, side.last, side.tolerance = rank, sources, last, tolerance

    def sharpen(self, tolerance: float) -> bool:
        """From now on no more than this may be left out, or what rounding allows; whether that is half as much at most.

        Less of a change is not worth a look again. What was answered before stays as it is.
        """
        tolerance = max(self._finest, tolerance)
        if tolerance > self._forward.tolerance / 2:
            return False
        self._forward.tolerance = tolerance
        self._backward.tolerance = min(BACKWARD_SLACK * tolerance, self._backward.tolerance)
        return True

    @property
    def tolerance(self) -> float:
        """The relative part of a forward query that may be left out."""
        return self._forward.tolerance

    @property
    def ranks(self) -> tuple[int, int]:
        """How many forward and backward directions are known (the largest over the seeds)."""
        return self._forward.rank, self._backward.rank

    def multiply(self, A: Tensor, moved: bool = False) -> Tensor:
        """A W^T on the known directions, after learning the new ones that A holds.

        How inputs move need not be told more sharply than `tolerance` was at first, whatever it was sharpened to since:
        that is relative to the inputs, of which what moves is a small part, and made up of rounding to a larger one.
        """
        sharp, side = self._forward.tolerance, self._forward
        side.tolerance = max(sharp, self._unsharpened) if moved else sharp
        try:
            out = self._query(side, self._backward, A)
        finally:
            side.tolerance = sharp
        for D, B in self._trial:
            out.baddbmm_(A @ B.mT, D)
        return out

    def multiply_transposed(self, D: Tensor) -> Tensor:
        """D W on the known directions, after learning the new ones that D holds."""
        ask = self._query if self._glimpses is None else self._glimpse
        out = ask(self._backward, self._forward, D)
        for C, A in self._trial:
            out.baddbmm_(D @ C.mT, A)
        return out

    def add(self, *products: tuple[Tensor, Tensor]) -> None:
        """W += D^T A: the images of the known directions move, nothing else does."""
        forward, backward = self._forward, self._backward
        for D, A in products:
            forward.images.baddbmm_(forward.coordinates(A).mT, D)
            if backward.rank:
                backward.images.baddbmm_(backward.directions @ D.mT, A)

    def try_on(self, *products: tuple[Tensor, Tensor]) -> None:
        """The change stays beside the images, which go on telling of W alone: what is explored meanwhile is W's too."""
        self._trial = list(products)

    def keep(self, accepted: Tensor) -> None:
        """Moves the images of the accepted seeds."""
        trial, self._trial = self._trial, []
        if trial and bool(accepted.any()):
            self.add(*masked(accepted, trial))

    def part(self, index: Tensor) -> Sampled:
        """Some seeds by themselves; they draw from the same streams on."""
        part = copy.copy(self)
        part._seeds = tuple(self._seeds[k] for k in index.tolist())
        part.shape = (len(part._seeds), *self.shape[1:])
        part._forward, part._backward = self._forward.part(index), self._backward.part(index)
        return part

    def put(self, index: Tensor, part: Sampled) -> None:
        """With all that they have explored meanwhile."""
        self._forward.put(index, part._forward)
        self._backward.put(index, part._backward)

    def nbytes(self) -> int:
        """Bytes of the bases and their images, spare room included."""
        return self._forward.nbytes() + self._backward.nbytes()

    def _query(self, side: Basis, other: Basis, A: Tensor) -> Tensor:
        coordinates = side.coordinates(A)
        fresh = side.unexplored(A, coordinates)
        if fresh is not None:
            side.append(fresh.directions, self._images(side, other, fresh))
            coordinates = side.coordinates(A)
        return coordinates @ side.images

    def _glimpse(self, side: Basis, other: Basis, A: Tensor) -> Tensor:
        """A query that nothing follows. Of the law of what is new only the Gram matrix is needed, no basis.

        With R the rest of A beyond the span, the answer is drawn as (what is known of A - R) + (R R^T)^(1/2) g, and
        its part along the other side's directions, which is known, put right.
        """
        if self._glimpses != 1:
            raise RuntimeError("a look that asks once has asked already")
        self._glimpses = 0
        coordinates = side.coordinates(A)
        out = coordinates @ side.images
        root = side.root_of_rest(A, coordinates)
        if root is None:
            return out
        for seed, source in enumerate(side.sources):
            out[seed].addmm_(root[seed], draw(A.shape[1], side.m, source, A.dtype))
        if other.rank:
            P, Z = other.directions, other.images
            out.baddbmm_(A @ Z.mT - out @ P.mT, P)
        return out

    def _images(self, side: Basis, other: Basis, fresh: Fresh) -> Tensor:
        """Draws the images (S, k, m) of new directions, zero where a direction is zero padding.

        Noise is drawn for all rows of a query, whichever of them ask for more: so what is drawn later is the same where
        rounding makes one row more or less of it.
        """
        g = fresh.directions.new_zeros(*fresh.directions.shape[:2], side.m)
        for images, mix, rows, source in zip(g, fresh.mix, fresh.rows, side.sources, strict=True):
            if bool(rows.any()):
                torch.mm(mix, draw(len(rows), side.m, source, g.dtype), out=images)
        if not other.rank:
            return g
        P, Z = other.directions, other.images
        return g.baddbmm_(fresh.directions @ Z.mT - g @ P.mT, P)
