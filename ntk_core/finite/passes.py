"""What passes through a network leave behind: activations, slopes, and directions in parameter space."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ntk_core.finite.per_seed import PerSeed


@dataclass
class Pass(PerSeed):
    """What a forward pass leaves behind: everything a backward pass, a kernel or an update needs.

    activations[l]: a_l, (S, N, n_l), l = 0..L-1; slopes[l]: sigma'(h_l), l = 1..L-1 (slopes[0] is None);
    outputs: f, (S, N, n_out).
    """

    activations: list[Tensor]
    slopes: list[Tensor | None]
    outputs: Tensor

    def where(self, chosen: Tensor, other: Pass) -> Pass:
        """This pass for the chosen seeds (S,), the other for the rest."""
        slopes = [
            mine if mine is None or theirs is None else _pick(chosen, mine, theirs)
            for mine, theirs in zip(self.slopes, other.slopes, strict=True)
        ]
        activations = [
            mine if mine is theirs else _pick(chosen, mine, theirs)
            for mine, theirs in zip(self.activations, other.activations, strict=True)
        ]
        return Pass(activations, slopes, _pick(chosen, self.outputs, other.outputs))


@dataclass
class ParameterDirection(PerSeed):
    """A direction in parameter space as factors: w_std D_l^T a_l / sqrt(n_l) of weights, beta u_l D_l of biases.

    activations[l]: a_l, (S, R, n_l); signals[l]: D_l, (S, R, n_{l+1}); units[l]: u_l, (S, R), or none: all ones, as in
    J^T c for one row a point. upright[l]: of how many of its first rows the signals are orthogonal, and those of
    (a_l / sqrt(n_l), u_l) orthonormal; none where that is not known.
    """

    activations: list[Tensor]
    signals: list[Tensor]
    units: list[Tensor] = field(default_factory=list)
    upright: tuple[int, ...] = ()

    def rows(self, layer: int) -> Tensor | None:
        """u_l, if it is not all ones."""
        return self.units[layer] if self.units else None

    def where(self, chosen: Tensor) -> ParameterDirection:
        """The direction for the chosen seeds (S,), nothing for the rest, whatever stood there."""
        if bool(chosen.all()):
            return self
        mask = chosen[:, None, None]
        activations = [torch.where(mask, a, 0.0) for a in self.activations]
        return ParameterDirection(activations, [torch.where(mask, D, 0.0) for D in self.signals], self.units)

    def merged(self, index: Tensor, part: ParameterDirection) -> ParameterDirection:
        """As of every holder; where one side has fewer rows than the other, rows of nothing are added."""
        made = PerSeed.merged(self._padded(part), index, part._padded(self))
        both = zip(self.upright, part.upright, strict=False)
        return replace(made, upright=tuple(min(mine, theirs) for mine, theirs in both))

    def _padded(self, other: ParameterDirection) -> ParameterDirection:
        def longer(mine: list[Tensor], theirs: list[Tensor]) -> list[Tensor]:
            return [_longer(v, w.shape[1]) for v, w in zip(mine, theirs, strict=True)]

        return ParameterDirection(
            longer(self.activations, other.activations),
            longer(self.signals, other.signals),
            longer(self.units, other.units),
            self.upright,
        )


def _longer(rows: Tensor, count: int) -> Tensor:
    """(S, R, ...) with zeros up to `count` rows, if it has fewer."""
    missing = max(0, count - rows.shape[1])
    return torch.cat([rows, rows.new_zeros(rows.shape[0], missing, *rows.shape[2:])], 1) if missing else rows


def _pick(chosen: Tensor, mine: Tensor, theirs: Tensor) -> Tensor:
    return torch.where(chosen.reshape(-1, *([1] * (mine.ndim - 1))), mine, theirs)
