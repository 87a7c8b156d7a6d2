"""What passes through a network leave behind: activations, slopes, and directions in parameter space."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass
class Pass:
    """What a forward pass leaves behind: everything a backward pass, a kernel or an update needs.

    activations[l]: a_l, (S, N, n_l), l = 0..L-1; slopes[l]: sigma'(h_l), l = 1..L-1 (slopes[0] is None);
    outputs: f, (S, N, n_out).
    """

    activations: list[Tensor]
    slopes: list[Tensor | None]
    outputs: Tensor


@dataclass
class Direction:
    """A direction in parameter space, J^T c, kept as its factors a_l (S, N, n_l) and D_l (S, N, n_{l+1})."""

    activations: list[Tensor]
    signals: list[Tensor]
