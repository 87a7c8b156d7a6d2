"""Where a training is: what `train` yields."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class State:
    """Where training is. The network itself has been moved to this time.

    Attributes:
        time: t = steps x rate.
        output: index of the requested time just reached, or None between them.
        outputs: f on the training points, (S, N, n_out).
        steps: steps of the rule that have passed (0 for gradient flow).
        leaps: leaps taken so far (0 when going step by step).
        error: estimated error of f by leaping so far, root mean square, largest over the seeds; 0 for single steps.
        diverged: which seeds have left the finite numbers (their outputs are then NaN), (S,).
    """

    time: float
    output: int | None
    outputs: Tensor
    steps: int
    leaps: int
    error: float
    diverged: Tensor
