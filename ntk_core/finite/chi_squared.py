"""Quantiles of chi-squared for whole degrees of freedom, and what they say of a standard deviation of a few draws.

From the standard library alone, as in `student`: a web process that draws an interval does without SciPy.
"""

from __future__ import annotations

import math
from functools import lru_cache


def below(x: float, freedom: int) -> float:
    r"""P(chi^2 <= x), a finite sum (Abramowitz and Stegun, 26.4.4 and 26.4.5): with h = x / 2,

    1 - e^(-h) sum_k h^k / k!                             k < freedom/2            freedom even
    erf(sqrt(h)) - e^(-h) sum_k h^(k-1/2) / Gamma(k+1/2)  1 <= k <= (freedom-1)/2  freedom odd
    """
    if x <= 0:
        return 0.0
    h = x / 2
    half = 0.5 * (freedom % 2)
    powers = (k + half for k in range((freedom - 1) // 2 + 1 - (freedom % 2)))
    tail = math.fsum(math.exp(p * math.log(h) - h - math.lgamma(p + 1)) for p in powers)
    return (math.erf(math.sqrt(h)) if freedom % 2 else 1.0) - tail


@lru_cache(maxsize=4096)
def quantile(level: float, freedom: int) -> float:
    """The x that chi-squared stays below with probability `level`.

    Raises:
        ValueError: level is not between 0 and 1, or freedom not a whole number >= 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level: must lie between 0 and 1, got {level}")
    if freedom != int(freedom) or freedom < 1:
        raise ValueError(f"freedom: must be a whole number >= 1, got {freedom}")
    low, high = 0.0, 1.0
    while below(high, freedom) < level:
        high *= 2
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if below(middle, freedom) < level else (low, middle)
    return high


def around_std(level: float, count: int) -> tuple[float, float]:
    """Factors (below 1, above 1) between which, times the standard deviation of `count` Gaussian draws (unbiased
    variance), the true one lies with probability `level`.

    Raises:
        ValueError: level is not between 0 and 1, or there are fewer than two draws.
    """
    if count < 2:
        raise ValueError(f"count: a standard deviation needs two draws or more, got {count}")
    freedom = count - 1
    low, high = (quantile((1 + side * level) / 2, freedom) for side in (1, -1))
    return math.sqrt(freedom / low), math.sqrt(freedom / high)
