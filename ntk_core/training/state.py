"""Where a training is: what `train` yields."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ntk_core.finite.per_seed import PerSeed


@dataclass(frozen=True)
class State(PerSeed):
    """Where training is. Until it goes on, the network answers as of this time; its parameters may be further on.

    Attributes:
        time: t = steps x rate.
        output: index of the requested time just reached, or None between them.
        outputs: f on the training points, (S, N, n_out).
        steps: steps of the rule that have passed (0 for gradient flow).
        leaps: leaps taken so far by every seed (0 when going step by step), (S,).
        rejected: leaps tried and taken back, (S,).
        walked: steps taken one after the other, by themselves or in place of leaps that would be short, (S,).
        error: estimated error of f by leaping, root mean square over the training points, (S,); 0 for single steps.
        kernel_error: estimated error of the tangent kernel by leaping, relative to the kernel on the training points
            (Frobenius norms), (S,); 0 for single steps.
        diverged: which seeds have left the finite numbers (their outputs are then NaN), (S,).
    """

    time: float
    output: int | None
    outputs: Tensor
    steps: int
    leaps: Tensor
    rejected: Tensor
    walked: Tensor
    error: Tensor
    kernel_error: Tensor
    diverged: Tensor
