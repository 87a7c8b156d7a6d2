"""Orthonormal bases that grow by what is new in each query, revealing its rank."""

from __future__ import annotations

import copy
import math
from typing import NamedTuple

import torch
from torch import Tensor

from ntk_core.eigen import eigh

REMAINS = 0.2  # of a unit vector, that is more than rounding
ROWS_IN_FLOAT64 = 1 << 22  # entries converted at once when a Gram matrix is taken in float64


class Fresh(NamedTuple):
    """What a query holds that is not known yet.

    Attributes:
        directions: unit vectors, strongest first, (S, k, n); zero where a seed needs fewer.
        rows: which of the query's rows ask for more than may be left out, (S, N).
        mix: orthonormal combinations (S, k, N) of those rows' normalized rests that the directions stand for. Noise of
            one row each, mixed so, is noise of one direction each, and changes no more than the rests do: which of the
            two signs an eigenvector has, or which basis of an eigenspace it belongs to, is rounding's choice.
    """

    directions: Tensor
    rows: Tensor
    mix: Tensor


class Basis:
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

    @property
    def rounding(self) -> float:
        """The relative part of a query that is rounding: a sum of as many terms as directions are known.

        What is asked was such a sum itself, in the layer before; each pass would find something new in it for ever.
        """
        return torch.finfo(self._directions.dtype).eps * math.sqrt(self.rank)

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

    def unexplored(self, A: Tensor, coordinates: Tensor) -> Fresh | None:
        """Directions that bring every row of A within tolerance of the span; None if all are."""
        rest = torch.baddbmm(A, coordinates, self.directions, alpha=-1) if self.rank else A
        norms = torch.linalg.vector_norm(A, dim=-1)
        share = torch.linalg.vector_norm(rest, dim=-1) / norms.clamp_min(torch.finfo(A.dtype).tiny)
        known = torch.isfinite(share).all(-1)  # a seed that left the finite numbers explores nothing
        if not bool(known.all()):
            share = torch.where(known[:, None], share, 0.0)
            rest = torch.where(known[:, None, None], rest, 0.0)
            norms = torch.where(known[:, None], norms, 1.0)
        least = max(self.tolerance, self.rounding)
        rows = share > least  # (S, N)
        wanted = rows.any(0)
        if not wanted.any():
            return None
        rest = rest[:, wanted] / norms[:, wanted].clamp_min(torch.finfo(A.dtype).tiny)[..., None]
        rest = rest * rows[:, wanted, None]
        # Dropping eigenvalues below the square of what may be left leaves each row less than that.
        combined, scale = _strongest(_gram(rest), least**2)
        # The first pass leaves eps/tolerance of the old basis in the new rows; one more removes it.
        fresh = self._beyond((combined * scale[..., None]).to(A.dtype) @ rest)
        directions, combined = self._orthonormal(fresh, combined)
        mix = A.new_zeros(*directions.shape[:2], len(wanted))
        mix[..., wanted] = combined.to(A.dtype)
        return Fresh(directions, rows, mix)

    def _beyond(self, rows: Tensor) -> Tensor:
        """Rows less their part in the span."""
        if not self.rank:
            return rows
        return torch.baddbmm(rows, rows @ self.directions.mT, self.directions, alpha=-1)

    def _orthonormal(self, rows: Tensor, combined: Tensor, again: bool = True) -> tuple[Tensor, Tensor]:
        """Makes nearly orthonormal rows (S, k, n) orthonormal to working precision; zero rows stay zero.

        Where rounding made up much of a row, as it does in rests near what a number resolves, what is left beyond the
        span is far from orthonormal. Its own directions are taken then, with the combinations (S, k, N) turned alike;
        those of which a fifth or less is left are rounding, and go.
        """
        G = _gram(rows)
        sizes = torch.diagonal(G, dim1=-2, dim2=-1)
        empty = sizes == 0
        eye = torch.eye(rows.shape[1], dtype=G.dtype, device=G.device)
        worst = float((G - eye * ~empty[:, None, :]).abs().max())
        if worst < 0.5:
            factor = torch.linalg.cholesky(G + eye * empty[:, None, :])
            upright = torch.linalg.solve_triangular(factor, eye.expand_as(G), upper=False)
            return upright.to(rows.dtype) @ rows, combined
        if not again:
            raise ArithmeticError(
                f"sampled weights lost orthogonality (defect {worst:.1e}): "
                "raise the tolerance, or use float64 or dense weights"
            )
        turned, scale = _strongest(G, REMAINS**2)
        rows = (turned * scale[..., None]).to(rows.dtype) @ rows
        return self._orthonormal(self._beyond(rows), turned @ combined, again=False)

    def root_of_rest(self, A: Tensor, coordinates: Tensor) -> Tensor | None:
        """The symmetric root of R R^T, (S, N, N), for the rest R of A's rows beyond the span; None if all is known.

        Of A A^T less that of the coordinates, whose squares are rounded: what is below that is not there.
        """
        whole = _gram(A)
        rest = whole - _gram(coordinates)
        sizes = [torch.diagonal(G, dim1=-2, dim2=-1) for G in (rest, whole)]
        if bool((sizes[0] <= max(self.tolerance**2, self.rounding) * sizes[1]).all()):
            return None
        lost = ~rest.isfinite().flatten(1).all(1)  # seeds that left the finite numbers
        values, vectors = eigh(rest.masked_fill(lost[:, None, None], 0.0))
        told = values > self.rounding * sizes[1].amax(-1, keepdim=True)
        root = (vectors * torch.where(told, values, 0.0).sqrt()[:, None, :]) @ vectors.mT
        return root.masked_fill(lost[:, None, None], torch.nan).to(A.dtype)

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

    def part(self, index: Tensor) -> Basis:
        """Some seeds (K,) by themselves, with their streams."""
        part = copy.copy(self)
        part.sources = [self.sources[k] for k in index.tolist()]
        part._directions, part._images = self.directions[index], self.images[index]
        part.last = None
        return part

    def put(self, index: Tensor, part: Basis) -> None:
        """Takes the seeds (K,) back; the others have padding where these know more, and are asked as sharply."""
        missing = part.rank - self.rank
        if missing > 0:
            S = len(self.sources)
            self.append(self._directions.new_zeros(S, missing, self.n), self._images.new_zeros(S, missing, self.m))
        self._directions[index, : part.rank], self._images[index, : part.rank] = part.directions, part.images
        self.tolerance = min(self.tolerance, part.tolerance)
        self.last = None


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


def _strongest(G: Tensor, least: float) -> tuple[Tensor, Tensor]:
    """Eigenvectors (S, k, N) of a Gram matrix with eigenvalues above `least`, as rows, strongest first and zero-padded,
    and what makes the combination that each is a unit vector (S, k).
    """
    values, vectors = eigh(G)
    values, vectors = values.flip(-1), vectors.flip(-1)
    keep = values > least
    k = max(1, int(keep.sum(-1).max()))
    scale = torch.where(keep, values.clamp_min(1e-300).rsqrt(), 0.0)[..., :k]
    return (vectors * keep[:, None, :])[..., :k].mT, scale
