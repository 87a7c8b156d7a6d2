"""One layer's weights, known by three verbs only: multiply, multiply transposed, add a product of low rank.

Two kinds offer them. `Dense` stores the matrix. `Sampled` never draws it: an iid N(0, 1) matrix is only ever seen
through its products, so the products are drawn, each conditionally on those already seen. That is exact in
distribution; the one approximation is `tolerance`, the relative part of a query that may be left unexplored.

Every array carries a leading dimension S, the seeds of an ensemble: A is (S, N, n), D is (S, N, m), W is (S, m, n).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor

# A part of relative size e left out of a backward signal changes the kernel by e^2 and the function not at all, while
# one left out of a forward query changes the function by e: backward queries may be this much coarser. Measured at
# width 2,000 with 100 inputs, the kernel's change in training is as exact at 30 as at 3, with a third fewer directions.
BACKWARD_SLACK = 30.0
ROWS_IN_FLOAT64 = 1 << 22  # entries converted at once when a Gram matrix is taken in float64


class Weights(Protocol):
    """What a network asks of a layer of n inputs and m outputs."""

    shape: tuple[int, int, int]  # (S, m, n)

    def multiply(self, A: Tensor) -> Tensor:
        """W a for every row a of A: (S, N, n) -> (S, N, m)."""

    def multiply_transposed(self, D: Tensor) -> Tensor:
        """W^T d for every row d of D: (S, N, m) -> (S, N, n)."""

    def add(self, *products: tuple[Tensor, Tensor]) -> None:
        """W += sum over rows of d a^T for each (D, A), in place: (S, N, m), (S, N, n); A was multiplied before."""

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
    """A stored matrix, one for each seed."""

    def __init__(self, W: Tensor):
        self.W = W
        self.shape = (W.shape[0], W.shape[1], W.shape[2])

    @classmethod
    def init(cls, m: int, n: int, seeds: Sequence[int], layer: int, dtype: torch.dtype, device: torch.device) -> Dense:
        """iid N(0, 1) entries."""
        W = torch.empty(len(seeds), m, n, dtype=dtype, device=device)
        for matrix, seed in zip(W, seeds, strict=True):
            matrix.copy_(draw(m, n, generator(seed, layer, 0, device), dtype))
        return cls(W)

    def multiply(self, A: Tensor) -> Tensor:
        """A W^T."""
        return A @ self.W.mT

    def multiply_transposed(self, D: Tensor) -> Tensor:
        """D W."""
        return D @ self.W

    def add(self, *products: tuple[Tensor, Tensor]) -> None:
        """W += D^T A, in one sweep over the matrix."""
        D, A = (torch.cat(sides, 1) if len(sides) > 1 else sides[0] for sides in zip(*products, strict=True))
        self.W.baddbmm_(D.mT, A)

    def nbytes(self) -> int:
        """Bytes of the matrices."""
        return self.W.nbytes


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
        self._forward = _Side(n, m, self._sources(1, device), dtype, device, tolerance)
        self._backward = _Side(m, n, self._sources(2, device), dtype, device, min(BACKWARD_SLACK * tolerance, 0.1))

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
        for stream, side in enumerate(sides, 1):
            side.sources = self._sources(stream, side.device, 1 + self._forward.rank + self._backward.rank)
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
        for D, A in products:
            forward.images.baddbmm_(forward.coordinates(A).mT, D)
            if backward.rank:
                backward.images.baddbmm_(backward.directions @ D.mT, A)

    def nbytes(self) -> int:
        """Bytes of the bases and their images, spare room included."""
        return self._forward.nbytes() + self._backward.nbytes()

    def _query(self, side: _Side, other: _Side, A: Tensor) -> Tensor:
        coordinates = side.coordinates(A)
        fresh = side.unexplored(A, coordinates)
        if fresh is not None:
            side.append(fresh, self._images(side, other, fresh))
            coordinates = side.coordinates(A)
        return coordinates @ side.images

    def _images(self, side: _Side, other: _Side, fresh: Tensor) -> Tensor:
        """Draws the images (S, k, m) of new directions (S, k, n), zero where a direction is zero padding."""
        counts = (fresh.square().sum(-1) > 0.5).sum(-1).tolist()
        g = fresh.new_zeros(fresh.shape[0], fresh.shape[1], side.m)
        for rows, count, source in zip(g, counts, side.sources, strict=True):
            rows[:count] = draw(count, side.m, source, g.dtype)
        if not other.rank:
            return g
        P, Z = other.directions, other.images
        return g.baddbmm_(fresh @ Z.mT - g @ P.mT, P)


class _Side:
    """Orthonormal directions (S, r, n) and their images (S, r, m), in buffers that grow geometrically.

    Seeds of one ensemble may need different numbers of directions; the others' rows are zero, image and all.
    """

    def __init__(
        self,
        n: int,
        m: int,
        sources: list[torch.Generator],
        dtype: torch.dtype,
        device: torch.device,
        tolerance: float,
    ):
        self.n, self.m, self.sources, self.device, self.tolerance = n, m, sources, device, tolerance
        self.rank = 0
        self._directions = torch.empty(len(sources), 0, n, dtype=dtype, device=device)
        self._images = torch.empty(len(sources), 0, m, dtype=dtype, device=device)
        self.last: tuple[Tensor, int, Tensor] | None = None

    @property
    def directions(self) -> Tensor:
        """Rows are orthonormal (or zero padding): (S, r, n)."""
        return self._directions[:, : self.rank]

    @property
    def images(self) -> Tensor:
        """What the current matrix makes of each direction: (S, r, m)."""
        return self._images[:, : self.rank]

    def nbytes(self) -> int:
        """Bytes of both buffers."""
        return self._directions.nbytes + self._images.nbytes

    def coordinates(self, A: Tensor) -> Tensor:
        """A in the basis, (S, N, r). A pass asks twice (query, update): the last answer is kept."""
        if self.last is not None and self.last[0] is A:
            _, known, old = self.last
            new = A @ self._directions[:, known : self.rank].mT
            answer = torch.cat([old, new], -1) if known < self.rank else old
        else:
            answer = A @ self.directions.mT
        self.last = (A, self.rank, answer)
        return answer

    def unexplored(self, A: Tensor, coordinates: Tensor) -> Tensor | None:
        """Unit directions (S, k, n) that bring every row of A within tolerance of the span; None if all are."""
        rest = A - coordinates @ self.directions if self.rank else A
        norms = torch.linalg.vector_norm(A, dim=-1)
        share = torch.linalg.vector_norm(rest, dim=-1) / norms.clamp_min(torch.finfo(A.dtype).tiny)
        if not torch.isfinite(share).all():
            raise FloatingPointError("the run diverged: a layer's values are no longer finite numbers")
        wanted = (share > self.tolerance).any(0)  # (N,)
        if not wanted.any():
            return None
        rest = rest[:, wanted] / norms[:, wanted].clamp_min(torch.finfo(A.dtype).tiny)[..., None]
        rest = rest * (share[:, wanted] > self.tolerance)[..., None]
        fresh = _orthonormal_rows(rest, self.tolerance)
        if self.rank:
            # The first pass leaves eps/tolerance of the old basis in the new rows; one more removes it.
            fresh = fresh - (fresh @ self.directions.mT) @ self.directions
        return _restore(fresh)

    def append(self, directions: Tensor, images: Tensor) -> None:
        """Adds rows, moving to larger buffers when there is no room."""
        end = self.rank + directions.shape[1]
        if end > self._directions.shape[1]:
            room = min(max(end, self._directions.shape[1] * 3 // 2, 16), max(end, self.n))
            self._directions = _enlarged(self._directions, self.rank, room)
            self._images = _enlarged(self._images, self.rank, room)
        self._directions[:, self.rank : end] = directions
        self._images[:, self.rank : end] = images
        self.rank = end


def _enlarged(buffer: Tensor, used: int, room: int) -> Tensor:
    larger = buffer.new_empty(buffer.shape[0], room, buffer.shape[2])
    larger[:, :used] = buffer[:, :used]
    return larger


def _gram(R: Tensor) -> Tensor:
    """R R^T in float64, converted a block of columns at a time: (S, N, n) -> (S, N, N)."""
    S, N, n = R.shape
    block = max(1, ROWS_IN_FLOAT64 // max(1, S * N))
    G = torch.zeros(S, N, N, dtype=torch.float64, device=R.device)
    for start in range(0, n, block):
        part = R[..., start : start + block].double()
        G.baddbmm_(part, part.mT)
    return G


def _orthonormal_rows(R: Tensor, tolerance: float) -> Tensor:
    """Orthonormal combinations of R's rows that leave at most `tolerance` of any row, strongest first, zero-padded.

    Eigenvectors of the Gram matrix: dropping eigenvalues below tolerance^2 leaves each row less than tolerance.
    """
    values, vectors = torch.linalg.eigh(_gram(R))
    values, vectors = values.flip(-1), vectors.flip(-1)
    keep = values > tolerance**2
    k = max(1, int(keep.sum(-1).max()))
    scale = torch.where(keep, values.clamp_min(1e-300).rsqrt(), 0.0)[..., :k]
    return (vectors[..., :k] * scale[:, None, :]).mT.to(R.dtype) @ R


def _restore(rows: Tensor) -> Tensor:
    """Makes nearly orthonormal rows orthonormal to working precision; zero rows stay zero."""
    G = _gram(rows)
    empty = torch.diagonal(G, dim1=-2, dim2=-1) < 0.25
    eye = torch.eye(rows.shape[1], dtype=G.dtype, device=G.device)
    worst = float((G - eye * ~empty[:, None, :]).masked_fill(empty[..., None], 0.0).abs().max())
    if not worst < 0.5:
        raise ArithmeticError(
            f"sampled weights lost orthogonality (defect {worst:.1e}): "
            "raise the tolerance, or use float64 or dense weights"
        )
    factor = torch.linalg.cholesky(G + eye * empty[:, None, :])
    out = torch.linalg.solve_triangular(factor, eye.expand_as(G), upper=False).to(rows.dtype) @ rows
    return out
