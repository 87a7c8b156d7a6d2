"""Inputs and targets: the circle, Gaussian inputs with a product target, points of one's own. NumPy only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MAX_POINTS = 100_000

# Figure 2: four points of the unit circle and their targets, read off the paper's vector graphics.
PAPER_ANGLES = (-2.19438, -0.93143, 0.963, 2.22595)
PAPER_TARGETS = (-0.4, -0.2, 0.3, 0.3)

# Targets on the circle by name: functions of the angle gamma, all between -1 and 1.
TARGETS: dict[str, Callable[[Floats], Floats]] = {
    "product": lambda gamma: np.cos(gamma) * np.sin(gamma),  # x1 x2, the target of figure 1
    "sine": np.sin,
    "cosine_3": lambda gamma: np.cos(3 * gamma),
    "square": lambda gamma: np.where(np.sin(gamma) >= 0, 1.0, -1.0),
    "bump": lambda gamma: np.exp(4 * (np.cos(gamma) - 1)),
}


def circle(angles: Any) -> Floats:
    """Points (cos gamma, sin gamma) of the unit circle, shape (N, 2), from angles (N,).

    Raises:
        ValueError: the angles are empty, not one-dimensional or not finite.
    """
    gamma = np.asarray(angles, dtype=np.float64)
    if gamma.ndim != 1 or gamma.size == 0:
        raise ValueError(f"angles: a list of at least one angle is needed, got shape {gamma.shape}")
    _check_finite("angles", gamma)
    return np.stack([np.cos(gamma), np.sin(gamma)], axis=1)


def angle_grid(count: int) -> Floats:
    """`count` angles from -pi to pi, both ends included, for drawing curves."""
    _check_count("angles", count, smallest=2)
    return np.linspace(-np.pi, np.pi, count)


def even_angles(count: int) -> Floats:
    """`count` training angles, evenly spaced over the whole circle in (-pi, pi), none of them at the seam."""
    _check_count("n_train", count)
    return -np.pi + 2 * np.pi * (np.arange(count) + 0.5) / count


def circle_target(name: str, angles: Any) -> Floats:
    """The named target function at these angles, shape (N,)."""
    if name not in TARGETS:
        raise ValueError(f"target: {str(name)[:40]!r} is not known; choose one of {', '.join(TARGETS)}")
    return TARGETS[name](np.asarray(angles, dtype=np.float64))


def paper_points() -> tuple[Floats, Floats]:
    """Angles (4,) and targets (4,) of the paper's figure 2."""
    return np.array(PAPER_ANGLES), np.array(PAPER_TARGETS)


def gaussian_product(count: int, seed: int, n_in: int = 2) -> tuple[Floats, Floats]:
    """Inputs (count, n_in) from N(0, I) and the target f*(x) = x_1 x_2 (figure 1), the same for the same seed."""
    _check_count("n_train", count)
    if n_in < 2:
        raise ValueError(f"n_in: the target x1 x2 needs at least 2 inputs, got {n_in}")
    X = np.random.default_rng(check_seed("data_seed", seed)).standard_normal((count, n_in))
    return X, X[:, 0] * X[:, 1]


def table(X: Any, y: Any) -> tuple[Floats, Floats]:
    """A user's own inputs (N, n_in) and targets (N,) or (N, n_out), checked.

    Raises:
        ValueError: shapes that do not fit, no rows, or numbers that are not finite.
    """
    inputs, targets = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if inputs.ndim != 2 or 0 in inputs.shape:
        raise ValueError(f"X_train: a table of N rows and n_in columns is needed, got shape {inputs.shape}")
    if targets.ndim not in (1, 2) or len(targets) != len(inputs):
        raise ValueError(f"y_train: shape {targets.shape} does not fit inputs of shape {inputs.shape}")
    _check_count("X_train", len(inputs))
    _check_finite("X_train", inputs)
    _check_finite("y_train", targets)
    return inputs, targets


def conflicts(X: Any, y: Any) -> list[tuple[int, ...]]:
    """Groups of rows of X (N, n_in) that are equal while their targets y (N,) or (N, n_out) differ.

    No function passes through such data: the limit settles on the mean of each group's targets.
    """
    inputs, targets = table(X, y)
    targets = targets.reshape(len(inputs), -1)
    _, group = np.unique(inputs + 0.0, axis=0, return_inverse=True)  # + 0.0 turns -0.0 into 0.0
    order = np.argsort(group.ravel(), kind="stable")
    splits = np.split(order, np.flatnonzero(np.diff(group.ravel()[order])) + 1)
    return [tuple(int(i) for i in rows) for rows in splits if np.any(targets[rows] != targets[rows[0]])]


def conflict_sentence(X: Any, y: Any) -> str | None:
    """One sentence for people if the data hold equal inputs with different targets, else None."""
    groups = conflicts(X, y)
    if not groups:
        return None
    rows = ", ".join(str(i + 1) for i in groups[0][:5]) + (", …" if len(groups[0]) > 5 else "")
    more = f" (and {len(groups) - 1} more such inputs)" if len(groups) > 1 else ""
    return (
        f"Training points {rows} are the same input with different targets{more}: no function fits them all, "
        f"so the outputs settle on the mean of their targets and the cost stays above zero."
    )


def _check_count(field: str, count: int, smallest: int = 1) -> None:
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)):
        raise ValueError(f"{field}: must be a whole number, got {count!r}")
    if not smallest <= count <= MAX_POINTS:
        raise ValueError(f"{field}: must be between {smallest} and {MAX_POINTS:,}, got {count:,}")


def check_seed(field: str, seed: int) -> int:
    """The seed, or a ValueError that names the field."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"{field}: must be a whole number >= 0, got {seed!r}")
    return int(seed)


def _check_finite(field: str, values: Floats) -> None:
    if not np.isfinite(values).all():
        raise ValueError(f"{field}: every number must be finite, got {int((~np.isfinite(values)).sum())} that are not")
