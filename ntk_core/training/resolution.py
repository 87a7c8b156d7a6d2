"""How finely sampled weights must answer, so that what they leave out is small beside what training changes.

The tolerance of sampled weights is relative to what they are asked, and what they leave out of it moves f by as large a
share of f's own scale. Where f is to move by a small part of that scale, that noise would be a large error of the
movement; and no leap, however short, would meet its tolerance.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ntk_core.costs import Cost
from ntk_core.finite.network import Network
from ntk_core.rules import Rule
from ntk_core.training.errors import rms
from ntk_core.training.linear_part import LinearPart

# Of a leap's tolerance, what sampled weights may leave out where f moves little: a first leap goes a seventh of the way
# and must be told from them too. And how far they are made sharper still: what forbids leaps then is not noise.
SHARE, CLOSEST = 0.02, 0.001
ENOUGH = 0.5  # of f's scale: tolerances are made for movements as large as that, and larger ones
MOST_OUTPUTS = 600  # on the training points, of the eigenproblem that tells how far f will move


def resolve(
    network: Network, X: Tensor, y: Tensor, rule: Rule, cost: Cost, end: float, tolerance: float = 0.01
) -> bool:
    """Sharpens a network's sampled weights for its training up to the time `end`; whether they needed it.

    How far f will move is told by the linear part of training; where that is unstable f moves far.

    Args:
        network: not trained yet.
        X, y: inputs (S, N, n_in) and targets (S, N, n_out).
        rule, cost: of the training.
        end: its last time.
        tolerance: of its leaps.
    """
    _, N, n_out = y.shape
    if not network.tolerance or end <= 0 or N * n_out > MOST_OUTPUTS:
        return False
    sharpened = False
    # A first look may be mistaken about f_0 itself, and so about the way from there: the next one is sharper.
    while (moved := _moved(network, X, y, rule, cost, end)) < ENOUGH and network.sharpen(SHARE * tolerance * moved):
        sharpened = True
    return sharpened


def closest(part: LinearPart, times: Tensor, moved: Tensor, tolerance: float) -> float:
    """What sampled weights may leave out where leaps of this tolerance still fail for another reason than their noise.

    Args:
        part: the linear part where the seeds are.
        times: what is left of the way (S,).
        moved: how far f has come, root mean square, (S,).
    """
    return CLOSEST * tolerance * float(_share(part, times, moved).min())


def _moved(network: Network, X: Tensor, y: Tensor, rule: Rule, cost: Cost, end: float) -> float:
    """The least of all seeds' movements of f until the end, over its scale."""
    everyone = torch.ones(len(y), dtype=torch.bool, device=X.device)
    part = LinearPart(network, network.features(X), y, rule, cost, None, everyone)
    times = torch.full((len(y),), end, dtype=torch.float64, device=X.device)
    return float(_share(part, times, torch.zeros_like(times)).min())


def _share(part: LinearPart, times: Tensor, moved: Tensor) -> Tensor:
    """The larger of what f has moved and what it will over the times, over its scale, (S,).

    The scale is the standard deviation that f has, given all but the last layer's weights and bias.
    """
    features = part.features
    last = features.done.activations[-1].double()
    scale = (features.w_std**2 * last.square().mean((1, 2)) + features.beta**2).sqrt()
    return (torch.maximum(rms(part.move(times).predicted), moved) / scale).nan_to_num(1.0)
