"""Laws in width and depth as numbers with intervals: slopes in log-log, relative variances over seeds."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntk_core.finite.student import two_sided


class Slope(NamedTuple):
    """log(value) = intercept + slope log(n); low and high bound the slope."""

    slope: float
    intercept: float
    low: float
    high: float

    def at(self, n: Any) -> NDArray[np.float64]:
        """The fitted values at n."""
        return np.exp(self.intercept + self.slope * np.log(np.asarray(n, dtype=np.float64)))


class Estimate(NamedTuple):
    """A value and the bounds of its confidence interval."""

    value: float
    low: float
    high: float


def fit_slope(n: Any, values: Any, level: float = 0.95) -> Slope:
    """Least squares in log-log, with Student's interval for the slope (n - 2 degrees of freedom).

    Args:
        n: (K,) widths, depths or numbers of functions, > 0.
        values: (K,) > 0; places that are NaN, where nothing is known yet, are left out.
        level: of the interval.

    Raises:
        ValueError: shapes that differ, values that have no logarithm, fewer than three points or two different n.
    """
    x, y = np.asarray(n, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"values: one value for each n is needed, got shapes {y.shape} and {x.shape}")
    _check_level(level)
    x, y = x[~np.isnan(y)], y[~np.isnan(y)]
    if not (np.isfinite(x) & np.isfinite(y) & (x > 0) & (y > 0)).all():
        raise ValueError("values: a slope in log-log needs finite numbers > 0")
    if len(x) < 3 or len(np.unique(x)) < 2:
        raise ValueError(f"n: a slope and its interval need at least three points at different n, got {len(x)}")
    u, v = np.log(x), np.log(y)
    centred = u - u.mean()
    square = float(centred @ centred)
    slope = float(centred @ (v - v.mean())) / square
    intercept = float(v.mean()) - slope * float(u.mean())
    left, freedom = v - intercept - slope * u, len(x) - 2
    reach = two_sided(level, freedom) * math.sqrt(float(left @ left) / freedom / square)
    return Slope(slope, intercept, slope - reach, slope + reach)


def relative_variance(values: Any, level: float = 0.95) -> Estimate:
    """Var / mean^2 over the seeds (S,), with the jackknife's interval for its logarithm.

    Raises:
        ValueError: fewer than three values, one that is not finite, or none that differs from the others.
    """
    v = np.asarray(values, dtype=np.float64)
    if v.ndim != 1 or len(v) < 3 or not np.isfinite(v).all():
        raise ValueError(f"values: at least three finite numbers, one a seed, are needed, got shape {v.shape}")
    _check_level(level)
    S, mean = len(v), float(v.mean())
    if np.ptp(v) == 0 or mean == 0:
        raise ValueError("values: all are equal, or their mean is zero: there is no relative variance")
    value = float(np.square(v - mean).sum() / (S - 1) / mean**2)
    # Each value left out in turn, from the centred sums.
    centred = v - mean
    means = mean - centred / (S - 1)
    left = (np.square(centred).sum() - np.square(centred) * S / (S - 1)).clip(0.0) / (S - 2)
    with np.errstate(divide="ignore"):
        logs = np.log(left) - np.log(np.square(means))
    if not np.isfinite(logs).all():  # all but one are equal
        return Estimate(value, 0.0, math.inf)
    error = math.sqrt((S - 1) / S * float(np.square(logs - logs.mean()).sum()))
    reach = two_sided(level, S - 1) * error
    return Estimate(value, value * math.exp(-reach), value * math.exp(reach))


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level: must lie between 0 and 1, got {level}")
