"""Tables to try out, as text that `data.parse` reads: for those who have none at hand."""

from __future__ import annotations

import math
import random

TURNS = 1.0  # of each arm of the spirals; with more, relu hardly tells them apart: along a ray it bends little


def spirals() -> str:
    """Two classes of 40 points each, which no straight line parts: columns x, y, arm."""
    rows = ["x, y, arm"]
    for name, start in (("inner", 0.0), ("outer", math.pi)):
        for k in range(40):
            radius, angle = 0.2 + 0.8 * k / 39, start + 2 * math.pi * TURNS * k / 39
            rows.append(f"{radius * math.cos(angle):.3f}, {radius * math.sin(angle):.3f}, {name}")
    return "\n".join(rows)


def wave(noise: float = 0.1) -> str:
    """A number to learn at 41 places, sin(4 x) with noise of that standard deviation: columns place, height."""
    source = random.Random(0)
    rows = ["place, height"]
    rows += [f"{k / 20 - 1:.2f}, {math.sin(4 * (k / 20 - 1)) + source.gauss(0, noise):.3f}" for k in range(41)]
    return "\n".join(rows)
