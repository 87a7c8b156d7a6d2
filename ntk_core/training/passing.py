"""Output times that lie inside a leap: where a network was then, without stopping it there.

A leap knows J at its start and at its middle. At a time in between each mode has gone a part of its way, and it acts
through that J which lies as far between the two: J_0 + w (J_m - J_0), where w is how far the mode's centre had come. So
the parameters at any time inside a leap are those at its end, less a signal through either J, which is as good to
second order as the leap itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from ntk_core.finite.network import Network, Term
from ntk_core.finite.passes import Pass
from ntk_core.finite.per_seed import PerSeed
from ntk_core.finite.tangent import Features
from ntk_core.training.linear_part import LinearPart, Move, direction

MOST_BYTES = 1 << 26  # of signals that are kept; where there would be more, leaps end at every output time


@dataclass
class Passing(PerSeed):
    """The last leap of every seed that went past output times, and the way back from its end to each of them.

    Attributes:
        start, middle: the features at the start and the middle of the leap.
        back: signals (S, G, 2, P) through the start's and the middle's J for each of G output times; 0 for a seed that
            stands at that time.
    """

    start: Features
    middle: Features
    back: Tensor

    @classmethod
    def nothing(cls, features: Features, count: int) -> Self:
        """No seed has gone past any of `count` output times."""
        S, N, n_out = features.done.outputs.shape
        back = torch.zeros(S, count, 2, N * n_out, dtype=torch.float64, device=features.done.outputs.device)
        return cls(_factors(features), _factors(features), back)

    def passed(
        self, start: LinearPart, middle: LinearPart | None, move: Move, since: Tensor, inside: Tensor
    ) -> Passing:
        """With the leaps of the seeds that go past output times.

        Args:
            start, middle: the linear parts of the leaps.
            move: the leaps.
            since: from the start of each leap to each output time, (S, G); anything where it lies outside.
            inside: which output times lie inside, (S, G).
        """
        parts = start, start if middle is None else middle
        seeds, back = inside.any(1), self.back
        for g in inside.any(0).nonzero()[:, 0].tolist():
            times = torch.where(inside[:, g], since[:, g], move.times)
            signals = torch.stack([part.part_way(times, move.times, bool(k)) for k, part in enumerate(parts)], 1)
            signals[:, 1] -= move.signal
            index = torch.tensor([g], device=back.device)
            back = back.index_copy(1, index, torch.where(inside[:, g, None, None], signals, back[:, g])[:, None])
        first, second = (
            _factors(part.features).where(seeds, kept)
            for part, kept in zip(parts, (self.start, self.middle), strict=True)
        )
        return Passing(first, second, back)

    def terms(self, network: Network, g: int) -> list[Term]:
        """What brings every seed back to output time g from the end of its last leap; none where all stand there."""
        signals = self.back[:, g]
        if not bool(signals.any()):
            return []
        return [
            (1.0, direction(network, features, signals[:, k])) for k, features in enumerate((self.start, self.middle))
        ]


def _factors(features: Features) -> Features:
    """What a direction is made of: without the slopes, a third of the memory."""
    done = Pass(features.done.activations, [None] * len(features.done.slopes), features.done.outputs)
    return Features(done, features.deltas, features.beta, features.w_std)
