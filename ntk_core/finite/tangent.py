"""The tangent kernel of a finite network, from one forward and one backward pass (paper, section 4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ntk_core.finite.passes import Pass
from ntk_core.finite.per_seed import PerSeed


@dataclass
class Features(PerSeed):
    """A network's tangent features at N points, factored layer by layer: a_l and delta_{l+1}.

    The gradient of output k at x with respect to W_l is w_std delta_{l+1}(x) a_l(x)^T / sqrt(n_l), of rank one;
    so the features are never written out, and the kernel is a sum of products of two small Gram matrices.
    """

    done: Pass
    deltas: list[Tensor]  # delta_{l+1}, l = 0..L-1: (S, n_out, N, n_{l+1})
    beta: float
    w_std: float = 1.0

    def at(self, points: slice) -> Features:
        """Those at some of the points."""
        done = self.done
        slopes = [None if s is None else s[:, points] for s in done.slopes]
        part = Pass([a[:, points] for a in done.activations], slopes, done.outputs[:, points])
        return Features(part, [delta[:, :, points] for delta in self.deltas], self.beta, self.w_std)

    def where(self, chosen: Tensor, other: Features) -> Features:
        """These for the chosen seeds (S,), the others for the rest."""
        mask = chosen[:, None, None, None]
        deltas = [torch.where(mask, mine, theirs) for mine, theirs in zip(self.deltas, other.deltas, strict=True)]
        return Features(self.done.where(chosen, other.done), deltas, self.beta, self.w_std)


def relative_change(before: Features, after: Features) -> Tensor:
    """|J' - J| / |J'| of the Jacobians at N points, Frobenius norms, of every seed: (S,).

    In differences of the factors, so that small changes keep their digits.
    """
    changed = size = torch.zeros((), dtype=torch.float64, device=before.done.outputs.device)
    for a, delta, a2, delta2 in zip(
        before.done.activations, before.deltas, after.done.activations, after.deltas, strict=True
    ):
        share = after.w_std**2 / a.shape[-1]
        da, ddelta = a2 - a, delta2 - delta
        known, new, cross = (share * (u * v).sum(-1)[:, None] for u, v in ((a, a), (da, da), (da, a)))
        known = known + after.beta**2
        signal = delta2.square().sum(-1)  # (S, n_out, N)
        both = 2 * cross * (delta2 * ddelta).sum(-1)
        changed = changed + (new * signal + known * ddelta.square().sum(-1) + both).double().sum((1, 2))
        size = size + ((known + 2 * cross + new) * signal).double().sum((1, 2))
    return (changed.clamp_min(0.0) / size.clamp_min(1e-300)).sqrt()


def tangent_kernel(left: Features, right: Features) -> Tensor:
    r"""Theta(x, x') = sum_l (w_std^2 a_l(x) . a_l(x') / n_l + beta^2) (delta_{l+1}(x) . delta_{l+1}(x')).

    Args:
        left: features at N points.
        right: features at M points of the same network.

    Returns:
        (S, N, M) for one output, else (S, N, M, n_out, n_out).
    """
    beta2, w2 = left.beta**2, left.w_std**2
    S, K, N, _ = left.deltas[0].shape
    M = right.deltas[0].shape[2]
    total = torch.zeros((), dtype=left.deltas[0].dtype, device=left.deltas[0].device)
    for a, delta, a2, delta2 in zip(
        left.done.activations, left.deltas, right.done.activations, right.deltas, strict=True
    ):
        forward = (a @ a2.mT).mul_(w2 / a.shape[-1]).add_(beta2)  # (S, N, M)
        backward = delta.reshape(S, K * N, -1) @ delta2.reshape(S, K * M, -1).mT
        if K == 1:
            total = total + backward.mul_(forward)
        else:
            backward = backward.reshape(S, K, N, K, M).permute(0, 2, 4, 1, 3)
            total = total + backward * forward[..., None, None]
    return total
