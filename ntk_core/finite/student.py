"""Student's quantiles for whole degrees of freedom, from the standard library and NumPy alone.

SciPy has them, and takes a second and 75 MB to be imported: too much for a web process that draws one interval.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np


@lru_cache(maxsize=4096)
def two_sided(level: float, freedom: int) -> float:
    r"""The t that Student's variable exceeds in size with probability 1 - level.

    With theta = atan(t / sqrt(freedom)), P(|T| <= t) is a finite sum (Abramowitz and Stegun, 26.7.3 and 26.7.4):

        sin(theta) sum_k a_k cos(theta)^(2k)                                     freedom even
        2/pi [theta + sin(theta) cos(theta) sum_k b_k cos(theta)^(2k)]           freedom odd

    with a_k = 1/2 3/4 ... (2k-1)/(2k) and b_k = 2/3 4/5 ... 2k/(2k+1), k < freedom/2 and k < (freedom-1)/2.

    Raises:
        ValueError: level is not between 0 and 1, or freedom not a whole number >= 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level: must lie between 0 and 1, got {level}")
    if freedom != int(freedom) or freedom < 1:
        raise ValueError(f"freedom: must be a whole number >= 1, got {freedom}")
    odd = freedom % 2
    k = np.arange(1, (freedom - odd) // 2)
    terms = np.concatenate([[1.0], np.cumprod(2 * k / (2 * k + 1) if odd else (2 * k - 1) / (2 * k))])
    powers = np.arange(len(terms))

    def within(theta: float) -> float:
        series = math.sin(theta) * float(terms @ math.cos(theta) ** (2 * powers))
        if not odd:
            return series
        return 2 / math.pi * (theta + (math.cos(theta) * series if freedom > 1 else 0.0))

    low, high = 0.0, math.pi / 2
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if within(middle) < level else (low, middle)
    return math.sqrt(freedom) * math.tan(high)
