"""Which degrees of the spherical harmonics a network's NTK lacks by construction: exactly 0, however small others are.

Without biases the first layer's covariance is odd in the angle's cosine, and each power of it belongs to degrees of its
own parity. So an even or an odd activation keeps half of the degrees at any depth; one that is even but for a linear
part, or odd but for a constant, does so for two layers; a linear network sees degree 1 alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from ntk_core.architecture import Architecture

TOLERANCE = 1e-12  # of the activation on the grid, relative to its largest value there


class Absent(NamedTuple):
    """Degrees that are exactly zero.

    Attributes:
        words: which, for a sentence: "every odd degree".
        degrees: those up to the highest that was asked for.
    """

    words: str
    degrees: tuple[int, ...]


def absent(arch: Architecture, degrees: int) -> Absent | None:
    """The degrees up to `degrees` that the NTK lacks by construction; None where it lacks none."""
    words, kept = _rule(arch)
    return Absent(words, tuple(k for k in range(degrees + 1) if not kept(k))) if words else None


def _rule(arch: Architecture) -> tuple[str, Callable[[int], bool]]:
    """Which degrees are gone, in words (none: ""), and which are kept."""
    u = torch.linspace(0.1, 6.0, 60, dtype=torch.float64)
    up, down = (arch.sigma.value(z) for z in (u, -u))
    if arch.depth == 1 or (_zero(up - u * up[-1] / u[-1], up) and _zero(up + down, up)):
        return ("every degree above 1", lambda k: k <= 1) if arch.beta else ("every degree but 1", lambda k: k == 1)
    if arch.beta:
        return "", lambda k: True
    if _zero(up - down, up):
        return "every odd degree", lambda k: k % 2 == 0
    if _zero(up + down, up):
        return "every even degree", lambda k: k % 2 == 1
    if arch.depth == 2 and _zero((up - down) / u - (up - down)[-1] / u[-1], up):
        return "every odd degree from 3 on", lambda k: k % 2 == 0 or k == 1
    if arch.depth == 2 and _zero((up + down) - (up + down)[-1], up):
        return "every even degree from 2 on", lambda k: k % 2 == 1 or k == 0
    return "", lambda k: True


def _zero(values: torch.Tensor, beside: torch.Tensor) -> bool:
    return float(values.abs().max()) <= TOLERANCE * float(beside.abs().max())
