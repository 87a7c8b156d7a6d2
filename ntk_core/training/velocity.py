"""The velocity of heavy ball over leaps: one direction in parameter space, of bounded rank."""

from __future__ import annotations

import torch
from torch import Tensor

from ntk_core.finite.passes import ParameterDirection

# A velocity is compressed once it holds this many times the rows that a leap adds, and half as many again as the last
# time were left of it.
ROOM = 4


def accumulated(old: ParameterDirection | None, kept: Tensor, new: ParameterDirection) -> ParameterDirection:
    """kept x old + new, with one share kept a seed (S,)."""
    layers = range(len(new.signals))
    fresh = [torch.ones_like(D[..., 0]) for D in new.signals]
    if old is None:
        return ParameterDirection(new.activations, new.signals, fresh)
    activations, signals, all_units, all_upright = [], [], [], []
    for layer in layers:
        share = kept.to(old.signals[layer].dtype)[:, None, None]
        a = torch.cat([old.activations[layer], new.activations[layer]], 1)
        D = torch.cat([share * old.signals[layer], new.signals[layer]], 1)
        units = torch.cat([old.units[layer], fresh[layer]], 1)
        upright, added = old.upright[layer] if old.upright else 0, new.signals[layer].shape[1]
        if D.shape[1] > max(ROOM * added, upright + ROOM * added // 2):
            a, D, units = _compressed(a, D, units, upright)
            upright = D.shape[1]
        activations.append(a)
        signals.append(D)
        all_units.append(units)
        all_upright.append(upright)
    return ParameterDirection(activations, signals, all_units, tuple(all_upright))


def _compressed(a: Tensor, D: Tensor, units: Tensor, upright: int) -> tuple[Tensor, Tensor, Tensor]:
    """The same D^T (a, u) from as few rows as its rank, to working precision: (S, R, n), (S, R, m), (S, R).

    Those of D come out orthogonal, and those of (a / sqrt(n), u) orthonormal; the first `upright` are so already.
    """
    scale = a.shape[-1] ** 0.5
    inner, core = _orthonormal(torch.cat([a / scale, units[..., None]], -1), upright)
    outer, other = _orthonormal(D, upright)
    U, values, V = torch.linalg.svd(other.mT @ core, full_matrices=False)  # D^T (a, u) = outer^T U values V inner
    kept = values > torch.finfo(a.dtype).eps * values[:, :1]
    rank = max(1, int(kept.sum(-1).max()))
    rows = (V[:, :rank] @ inner) * kept[:, :rank, None]
    signals = (values * kept)[:, :rank, None] * (U.mT[:, :rank] @ outer)
    return rows[..., :-1] * scale, signals, rows[..., -1].contiguous()


def _orthonormal(rows: Tensor, upright: int) -> tuple[Tensor, Tensor]:
    """Q (S, q, n) and C (S, R, q) of rows = C Q, (S, R, n): orthonormal rows, where rows are not nothing.

    The first `upright` rows, which are orthogonal, give theirs as they are: only what the others have beyond them is
    new, and the QR of a tall matrix costs the square of its columns.
    """
    head, tail = rows[:, :upright], rows[:, upright:]
    largest = head.abs().amax(-1, keepdim=True)  # of a velocity that is nearly spent the squares are nothing
    units = torch.nn.functional.normalize(torch.where(largest > 0, head / largest, 0.0), dim=-1)
    sizes = (head * units).sum(-1)
    along = tail @ units.mT
    rest = tail - along @ units
    more = rest @ units.mT  # once leaves what rounding makes of a rest that is short
    beyond, triangle = torch.linalg.qr((rest - more @ units).mT)
    top = torch.cat([torch.diag_embed(sizes), sizes.new_zeros(len(rows), upright, triangle.shape[1])], 2)
    below = torch.cat([along + more, triangle.mT], 2)
    return torch.cat([units, beyond.mT], 1), torch.cat([top, below], 1)
