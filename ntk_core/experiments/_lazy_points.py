"""What networks of lazy and feature learning train on and where they are looked at: the circle, or a table."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ntk_core import data
from ntk_core.architecture import Architecture
from ntk_core.experiments._lazy_spec import Spec, circle_points

CIRCLE = 24  # points of the circle on which the kernel's movement is measured


class Points(NamedTuple):
    """Where networks train and where they are seen.

    X (N, n_in), y (N,) or (N, n_out): what is learned. seen (M, n_in): where outputs are looked at; moved (P, n_in):
    where the kernel's movement is measured. distinct (M,): which of `seen` count once in a mean.
    Of a table also: goal (M,) or (M, n_out), the targets at `seen`, which are other rows if `apart`; rows (M,) of the
    table, the first is 1; notes: sentences.
    """

    X: data.Floats
    y: data.Floats
    seen: data.Floats
    moved: data.Floats
    distinct: np.ndarray
    goal: data.Floats | None = None
    apart: bool = False
    rows: np.ndarray = np.zeros(0, np.int64)
    notes: tuple[str, ...] = ()

    @property
    def n_out(self) -> int:
        """Outputs."""
        return 1 if self.y.ndim == 1 else self.y.shape[1]


@lru_cache(maxsize=16)  # a plan asks again and again
def points_of(spec: Spec) -> Points:
    """The points of a spec, not to be written to.

    Raises:
        ValueError: fewer rows than are to be learned from; `data.GoneError` where the table is no longer kept.
    """
    if spec.of_a_table:
        return _of_table(spec.points, spec.n_train, spec.n_test)
    gamma, y = circle_points(spec)
    grid = data.angle_grid(spec.angles)
    distinct = np.arange(len(grid)) > 0  # the first angle is the last
    return Points(data.circle(gamma), y, data.circle(grid), data.circle(data.even_angles(CIRCLE)), distinct)


def architecture(spec: Spec, width: int = 1) -> Architecture:
    """The spec's network of one width, for its points."""
    points = points_of(spec)
    return Architecture(spec.depth, width, spec.activation, spec.beta, points.X.shape[1], points.n_out, spec.w_std)


@lru_cache(maxsize=4)
def _of_table(reference: str, n_train: int, n_test: int) -> Points:
    there = data.available(reference) or 0
    count = min(n_train + n_test, max(there, n_train))  # too few to learn from are refused by name
    drawn = data.resolve(reference, count)
    targets = drawn.targets[:, 0] if drawn.targets.shape[1:] == (1,) else drawn.targets
    X, y = drawn.inputs[:n_train], targets[:n_train]
    if not np.any(y):
        raise ValueError("n_train: the target is zero at every one of these rows, so there is nothing to learn")
    apart = count > n_train
    rest = slice(n_train, None) if apart else slice(0, n_train)
    seen = drawn.inputs[rest]
    return Points(
        X, y, seen, X, np.ones(len(seen), bool), targets[rest], apart, drawn.rows[rest] + 1, _notes(drawn, X, y)
    )


def _notes(drawn: data.Sample, X: data.Floats, y: data.Floats) -> tuple[str, ...]:
    found = []
    if y.ndim == 2:
        what = f"{len(drawn.classes)} classes" if drawn.classes else f"{y.shape[1]} targets"
        found.append(f"The table's {what} are {y.shape[1]} outputs of one network, all trained together.")
    conflict = data.conflict_sentence(X, y)
    return (*found, conflict) if conflict else tuple(found)
