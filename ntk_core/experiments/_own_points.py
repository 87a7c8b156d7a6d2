"""Tables of one's own as the experiments on few points take them: put on the circle, or one output of several."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ntk_core import data
from ntk_core.data import Sample

TURN = 2 * math.pi
ROUND = 1e-6  # relative: two inputs this near to length 1 are on the unit circle already


class OnCircle(NamedTuple):
    """Angles gamma (N,) in [-pi, pi), targets y (N,), and sentences on how the table's columns became these."""

    gamma: data.Floats
    y: data.Floats
    notes: tuple[str, ...] = ()


def is_own(reference: str) -> bool:
    """Whether a field names a table of one's own."""
    return reference.startswith(data.OWN)


@lru_cache(maxsize=8)
def on_circle(reference: str, count: int, output: int) -> OnCircle:
    """Points of a table on the circle: its one input is an angle in radians, or its two inputs point to an angle.

    Args:
        reference: of the table.
        count: how many of its rows, drawn at random.
        output: which of its targets, the first is 1.

    Raises:
        ValueError: inputs that have no place on the circle, too few rows, no such target; `data.GoneError`.
    """
    sample = data.resolve(reference, count)
    gamma, moved = _angles(sample)
    y, chosen = one_target(sample, output)
    return OnCircle(on_one_turn(gamma), y, tuple(note for note in (moved, chosen) if note))


def on_one_turn(gamma: data.Floats) -> data.Floats:
    """Angles a whole turn apart are one point, and so are angles closer than anyone can click."""
    return np.round((gamma + np.pi) % TURN - np.pi, 6)


def one_target(sample: Sample, output: int) -> tuple[data.Floats, str]:
    """One column (N,) of a sample's targets, the first is 1, and a sentence where there are others.

    Raises:
        ValueError: there is no such column.
    """
    y = sample.targets.reshape(len(sample.targets), -1)
    count = y.shape[1]
    if output > count:
        raise ValueError(f"output: this table has {count} target{'s' * (count > 1)}, got {output}")
    if count == 1:
        return y[:, 0], ""
    what = f"target {output} of {count}"
    if sample.classes:
        what = f"class {sample.classes[output - 1]!r} against the other {count - 1}"
    return y[:, output - 1], (
        f"One output is trained here: {what}. In the limit outputs know nothing of each other, so that each is learned "
        f"as if it were alone."
    )


def _angles(sample: Sample) -> tuple[data.Floats, str]:
    """Angles (N,), and a sentence where the points were moved."""
    X = sample.inputs
    if X.shape[1] == 1:
        return _radians(X[:, 0]), ""
    if X.shape[1] != 2:
        raise ValueError(
            f"points: the inputs of this page lie on the circle, so that a table needs one input (an angle in radians) "
            f"or two (a direction in the plane); this one has {X.shape[1]:,}"
        )
    length = np.hypot(*X.T)
    if not length.all():
        row = sample.rows[int(np.argmin(length))] + 1
        raise ValueError(f"points: both inputs of the table's row {row:,} are zero, so it has no place on the circle")
    gamma = np.arctan2(X[:, 1], X[:, 0])
    if np.abs(length - 1).max() <= ROUND:
        return gamma, ""
    return (
        gamma,
        "The points were moved to the unit circle: only the direction of the table's two inputs counts here.",
    )


def _radians(gamma: data.Floats) -> data.Floats:
    low, high = float(gamma.min()), float(gamma.max())
    if high - low > TURN or max(-low, high) > TURN:
        raise ValueError(
            f"points: the table's one input is taken as an angle in radians, and it goes from {low:.4g} to {high:.4g}; "
            f"one turn of the circle is allowed, between −2π and 2π"
        )
    return gamma
