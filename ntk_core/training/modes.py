"""Functions of a tangent kernel applied to a residual: by eigenvectors, or in a Krylov space where there are many."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ntk_core.eigen import eigh
from ntk_core.products import times_vector
from ntk_core.training.worth import MOST_UNKNOWNS

DENSE_UP_TO = MOST_UNKNOWNS  # above, a Krylov space of the residual replaces the eigenvectors
KRYLOV_STEPS = 160
KRYLOV_TOLERANCE = 1e-13
KRYLOV_TRUNCATION = 1e-8
NEARBY = 1e-6  # of the largest eigenvalue: closer ones are taken that far apart in divided differences


class Modes:
    """Functions of a symmetric operator K (S, P, P) applied to a vector r (S, P), cheap where P is large.

    Up to `DENSE_UP_TO` unknowns K is diagonalized. Above, r's own Krylov space is: filters are smooth on the
    spectrum, so a hundred products with K give all digits that matter, where P x P eigenvectors would cost P^3. It is
    exact for the full kernel, several outputs included: no block is neglected. Where the filter turns out too sharp
    for that space, K is diagonalized after all.
    """

    def __init__(self, K: Tensor, r: Tensor, dense_up_to: int = DENSE_UP_TO):
        self.K, self.r = K, r
        self._last_row: Tensor | None = None
        if K.shape[-1] <= dense_up_to:
            self._diagonalize()
        else:
            values, self.basis, self._last_row = _krylov(K, r)
            self.values = values.clamp_min(0.0)

    @property
    def largest(self) -> Tensor:
        """Largest eigenvalue of every seed, (S,)."""
        return self.values.amax(-1)

    @property
    def coordinates(self) -> Tensor:
        """r in the basis, (S, k)."""
        return self.in_basis(self.r)

    def in_basis(self, v: Tensor) -> Tensor:
        """v (S, P) in the basis, (S, k)."""
        return times_vector(self.basis.mT, v)

    def act(self, function: Callable[[Tensor], Tensor], v: Tensor | None = None) -> Tensor:
        """function(K) r, or function(K) v (which diagonalizes K: v need not lie in r's Krylov space)."""
        if v is not None and self._last_row is not None:
            self._diagonalize()
        coordinates = (self.coordinates if v is None else times_vector(self.basis.mT, v)) * function(self.values)
        if self._last_row is not None:
            left_out = (self._last_row * coordinates).sum(-1).abs()
            if bool((left_out > KRYLOV_TRUNCATION * torch.linalg.vector_norm(coordinates, dim=-1)).any()):
                self._diagonalize()
                return self.act(function)
        return times_vector(self.basis, coordinates)

    def perturbed(self, change: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        """How function(K) r moves with K, to first order in its change (S, P, P): (S, P), by divided differences."""
        near = NEARBY * self.values.amax(-1)[:, None].clamp_min(1e-300)
        f = function(self.values)
        above, below = function(torch.cat([self.values + near, self.values - near], -1)).chunk(2, -1)
        steep = (above - below) / (2 * near)
        apart = self.values[:, :, None] - self.values[:, None, :]
        close = apart.abs() < near[:, None]
        slopes = (f[:, :, None] - f[:, None, :]) / torch.where(close, 1.0, apart)
        slopes = torch.where(close, (steep[:, :, None] + steep[:, None, :]) / 2, slopes)
        inner = slopes * (self.basis.mT @ change @ self.basis)
        return times_vector(self.basis, times_vector(inner, self.coordinates))

    def filtered(self, function: Callable[[Tensor], Tensor], v: Tensor) -> Tensor:
        """function(K) v, the part of v beyond the basis left as it is: (S, P)."""
        coordinates = times_vector(self.basis.mT, v)
        return v + times_vector(self.basis, (function(self.values) - 1) * coordinates)

    def travel(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """sqrt(e^T K e) for e = function(K) r, for several functions at once: (S, k, 1) -> (S, k, T) gives (S, T)."""
        coordinates = self.coordinates[..., None] * function(self.values[..., None])
        return times_vector(coordinates.square().mT, self.values).sqrt()

    def _diagonalize(self) -> None:
        values, self.basis = eigh(self.K)
        self.values = values.clamp_min(0.0)
        self._last_row = None


def _krylov(K: Tensor, r: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Lanczos in span{r, K r, K^2 r, ...}, fully reorthogonalized.

    Returns Ritz values (S, k), Ritz vectors (S, P, k), and the share (S, k) of each Ritz vector that lies along the
    last Krylov direction: a filtered vector that reaches there has not converged.
    """
    P = K.shape[-1]
    scale = K.diagonal(dim1=-2, dim2=-1).sum(-1)[:, None]
    q = r / torch.linalg.vector_norm(r, dim=-1, keepdim=True).clamp_min(torch.finfo(r.dtype).tiny)
    vectors = [q]
    alphas, betas = [], []
    ended = torch.zeros_like(q[:, :1], dtype=torch.bool)
    for _ in range(min(P, KRYLOV_STEPS)):
        w = times_vector(K, vectors[-1])
        alphas.append((w * vectors[-1]).sum(-1))
        Q = torch.stack(vectors, -1)
        for _ in range(2):
            w = w - times_vector(Q, times_vector(Q.mT, w))
        beta = torch.linalg.vector_norm(w, dim=-1, keepdim=True)
        # Past the noise of the products a direction is arbitrary, and perhaps none: that seed's space ends here.
        ended = ended | (beta <= KRYLOV_TOLERANCE * scale)
        if bool(ended.all()):
            break
        betas.append(torch.where(ended, 0.0, beta)[:, 0])
        vectors.append(torch.where(ended, 0.0, w / beta.clamp_min(torch.finfo(r.dtype).tiny)))
    k = len(alphas)
    T = torch.diag_embed(torch.stack(alphas, -1))
    if k > 1:
        off = torch.diag_embed(torch.stack(betas[: k - 1], -1), 1)
        T = T + off + off.mT
    values, inner = eigh(T)
    last = torch.where(ended, 0.0, inner[:, -1, :]) if k == KRYLOV_STEPS else torch.zeros_like(values)
    return values, torch.stack(vectors[:k], -1) @ inner, last
