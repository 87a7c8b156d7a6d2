"""The velocity of heavy ball over leaps: one direction in parameter space, of bounded rank."""

from __future__ import annotations

import torch
from torch import Tensor

from ntk_core.finite.passes import Direction

ROOM = 4  # a velocity is compressed once it holds this many times the rows that a leap adds, or that are left of it


def accumulated(old: Direction | None, kept: Tensor, new: Direction) -> Direction:
    """kept x old + new, with one share kept a seed (S,)."""
    layers = range(len(new.signals))
    fresh = [torch.ones_like(D[..., 0]) for D in new.signals]
    if old is None:
        return Direction(new.activations, new.signals, fresh)
    triples = []
    for layer in layers:
        share = kept.to(old.signals[layer].dtype)[:, None, None]
        a = torch.cat([old.activations[layer], new.activations[layer]], 1)
        D = torch.cat([share * old.signals[layer], new.signals[layer]], 1)
        units = torch.cat([old.units[layer], fresh[layer]], 1)
        # Two products of a tall QR cost more than a few rows more: only now and then.
        triples.append(_compressed(a, D, units) if D.shape[1] > ROOM * new.signals[layer].shape[1] else (a, D, units))
    return Direction(*([triple[k] for triple in triples] for k in range(3)))


def _compressed(a: Tensor, D: Tensor, units: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The same D^T (a, u) from as few rows as its rank, to working precision: (S, R, n), (S, R, m), (S, R)."""
    scale = a.shape[-1] ** 0.5
    right = torch.cat([a / scale, units[..., None]], -1)
    inner, core = torch.linalg.qr(right.mT)  # (S, n + 1, q), (S, q, R)
    outer, other = torch.linalg.qr(D.mT)  # (S, m, p), (S, p, R)
    U, values, V = torch.linalg.svd(other @ core.mT, full_matrices=False)  # D^T (a, u) = outer U values V inner^T
    kept = values > torch.finfo(a.dtype).eps * values[:, :1]
    rank = max(1, int(kept.sum(-1).max()))
    rows = (V[:, :rank] @ inner.mT) * kept[:, :rank, None]
    signals = (values[:, :rank, None] * U.mT[:, :rank]) @ outer.mT
    return rows[..., :-1] * scale, signals, rows[..., -1].contiguous()
