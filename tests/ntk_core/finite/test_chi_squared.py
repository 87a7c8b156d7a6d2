"""Chi-squared quantiles against SciPy's, and intervals of a standard deviation against draws."""

import numpy as np
import pytest
from scipy.stats import chi2

from ntk_core.finite.chi_squared import around_std, below, quantile


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 10, 99, 1000])
def test_quantiles_are_scipys(freedom):
    for level in (0.001, 0.05, 0.5, 0.95, 0.999):
        assert quantile(level, freedom) == pytest.approx(chi2.ppf(level, freedom), rel=1e-9)
        assert below(chi2.ppf(level, freedom), freedom) == pytest.approx(level, rel=1e-9)
    assert below(0.0, freedom) == 0


def test_intervals_hold_the_true_standard_deviation_as_often_as_they_say():
    found = np.random.default_rng(0).standard_normal((20_000, 4)).std(axis=1, ddof=1)
    low, high = around_std(0.9, 4)
    inside = np.mean((found * low <= 1) & (found * high >= 1))
    assert abs(inside - 0.9) < 4 * np.sqrt(0.9 * 0.1 / 20_000)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: quantile(0.0, 3), "level"),
        (lambda: quantile(0.5, 0), "freedom"),
        (lambda: around_std(0.9, 1), "count"),
    ],
)
def test_bad_input_is_named(call, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}:"):
        call()
