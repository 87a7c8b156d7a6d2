"""Products of matrices and single vectors whose last digit does not depend on what else is in the batch."""

from __future__ import annotations

import torch
from torch import Tensor


def times_vector(A: Tensor, v: Tensor) -> Tensor:
    """A v for A (S, P, Q) and v (S, Q): (S, P).

    Libraries multiply one matrix and one column by another routine than a batch of them, which sums in another order.
    Two columns take the same routine in both cases, so that a seed's numbers are those that it has alone.
    """
    return (A @ torch.stack([v, v], -1))[..., 0]


def squares(v: Tensor) -> Tensor:
    """|v|^2 of every seed's array, (S, ...) -> (S,); sums of one seed and of many run in different orders too."""
    flat = v.flatten(1)
    return times_vector(flat[:, None, :], flat)[:, 0]
