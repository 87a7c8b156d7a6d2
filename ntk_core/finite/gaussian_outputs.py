"""Are the outputs at initialization what proposition 1 says: Gaussian, and independent of each other?

Every test states what it could have found: `detectable` is the effect that it would report at its level with
probability 0.9, where the effect is of the kind that networks have (a size that the outputs share). At finite width the
outputs of one network share the size of their last hidden layer, and so are uncorrelated, not independent, and
heavier-tailed than Gaussian: both effects are of order depth / width (`second_moments.exact_moments` has them in closed
form for relu without biases).
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

POWER = 0.9
_NORMAL = NormalDist()


class Outcome(NamedTuple):
    """effect: the estimate; error: its standard error under the law; p_value: two-sided; detectable: see above."""

    effect: float
    error: float
    p_value: float
    detectable: float


def normality(outputs: Any, variance: float, level: float = 0.05) -> Outcome:
    """Excess kurtosis of f(x) ~ N(0, variance), the law's own variance: 0 if Gaussian.

    Args:
        outputs: (S,) or (S, n_out) over S seeds, at one input; independent under the law.
        variance: Sigma_L(x, x) of the limit, > 0.
        level: of the test that `detectable` speaks of.

    Raises:
        ValueError: the shape, a value that is not finite, a variance that is not > 0, or a level outside (0, 1).
    """
    z = _standardized(outputs, variance, level)
    # With H4(z) = z^4 - 6 z^2 + 3, E H4 is the excess where the variance is right, and Var H4 = 24.
    return _verdict(float(_fourth(z).mean()), math.sqrt(24 / z.size), level, growth=3.0)


def kolmogorov(outputs: Any, variance: float) -> float:
    """p-value of Kolmogorov and Smirnov's test of f(x) ~ N(0, variance), outputs as in `normality`."""
    from scipy import stats

    return float(stats.kstest(_standardized(outputs, variance, 0.05).ravel(), "norm").pvalue)


def independence(outputs: Any, variance: float, level: float = 0.05) -> Outcome:
    """Correlation of the squares of different outputs: 0 if they are independent.

    Args:
        outputs: (S, n_out) over S seeds, at one input, n_out >= 2; all pairs count.
        variance, level: as in `normality`.

    Raises:
        ValueError: as in `normality`, or fewer than two outputs.
    """
    z = _pairs_needed(_standardized(outputs, variance, level))
    return _verdict(*_pair_mean((z**2 - 1) / math.sqrt(2)), level, growth=2.0 * (5 + z.shape[1]))


def correlation(outputs: Any, variance: float, level: float = 0.05) -> Outcome:
    """Correlation of different outputs, 0 at every width; arguments as in `independence`."""
    z = _pairs_needed(_standardized(outputs, variance, level))
    return _verdict(*_pair_mean(z), level, growth=2.0 * (z.shape[1] - 2))


def of_each(test: str, outputs: Any, variance: float) -> NDArray[np.float64]:
    """What each network adds to the effect of "normality" or "independence", (S,): their mean is that effect.

    Networks are independent whether the law holds or not, so that the spread of these says how far to trust the mean.

    Raises:
        ValueError: as those two.
    """
    z = _standardized(outputs, variance, 0.05)
    if test == "normality":
        return _fourth(z.reshape(len(z), -1)).mean(axis=1)
    return _products((_pairs_needed(z) ** 2 - 1) / math.sqrt(2))


def _fourth(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return z**4 - 6 * z**2 + 3


def _standardized(outputs: Any, variance: float, level: float) -> NDArray[np.float64]:
    f = np.asarray(outputs, dtype=np.float64)
    if f.ndim not in (1, 2) or f.size < 2 or not np.isfinite(f).all():
        raise ValueError(f"outputs: finite numbers of shape (S,) or (S, n_out) are needed, got shape {f.shape}")
    if not (math.isfinite(variance) and variance > 0):
        raise ValueError(f"variance: must be a finite number > 0, got {variance}")
    if not 0 < level < 1:
        raise ValueError(f"level: must lie between 0 and 1, got {level}")
    return f / math.sqrt(variance)


def _pairs_needed(z: NDArray[np.float64]) -> NDArray[np.float64]:
    if z.ndim != 2 or z.shape[1] < 2:
        raise ValueError(f"outputs: at least two outputs, shape (S, n_out), are needed, got shape {z.shape}")
    return z


def _pair_mean(u: NDArray[np.float64]) -> tuple[float, float]:
    """Mean of u_i u_j over seeds and pairs i < j, and its standard error where all u are independent of variance 1."""
    S, K = u.shape
    return float(_products(u).mean()), 1 / math.sqrt(S * K * (K - 1) / 2)


def _products(u: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of u_i u_j over pairs i < j, of every row (S,) of u (S, K)."""
    K = u.shape[1]
    return (u.sum(1) ** 2 - (u**2).sum(1)) / (K * (K - 1))


def _verdict(effect: float, error: float, level: float, growth: float) -> Outcome:
    """The normal test, and the r with r = error (z_level + z_power sqrt(1 + growth r)).

    `growth` is how the squared error grows with a small effect: with f = s z and Var s^2 = v, first order in v.
    """
    reach, power = error * _NORMAL.inv_cdf(1 - level / 2), error * _NORMAL.inv_cdf(POWER)
    middle = reach + growth * power**2 / 2
    detectable = middle + math.sqrt(max(0.0, middle**2 - reach**2 + power**2))
    return Outcome(effect, error, math.erfc(abs(effect) / error / math.sqrt(2)), detectable)
