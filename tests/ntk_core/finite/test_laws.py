"""Slopes and relative variances: their intervals cover as often as they say; tests of outputs keep level and power."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from ntk_core import Architecture, Network, limiting_kernels
from ntk_core.finite.gaussian_outputs import correlation, independence, kolmogorov, normality, of_each
from ntk_core.finite.laws import fit_slope, relative_variance
from ntk_core.finite.second_moments import exact_moments
from ntk_core.finite.student import two_sided

WIDTHS = [32, 64, 128, 256, 512]


def test_an_exact_law_is_found():
    fit = fit_slope(WIDTHS, [3 * n**-0.5 for n in WIDTHS])
    assert fit.slope == pytest.approx(-0.5, abs=1e-12)
    assert math.exp(fit.intercept) == pytest.approx(3)
    assert (fit.low, fit.high) == pytest.approx((-0.5, -0.5), abs=1e-9)
    np.testing.assert_allclose(fit.at([100]), [0.3])


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 8, 31, 198, 199, 4999])
def test_students_quantiles_are_scipys(freedom):
    for level in (0.05, 0.5, 0.9, 0.95, 0.999):
        assert two_sided(level, freedom) == pytest.approx(stats.t.ppf((1 + level) / 2, freedom), rel=1e-10)


def test_a_slope_and_its_interval_are_scipys():
    y = np.exp(-0.5 * np.log(WIDTHS) + 0.2 * np.random.default_rng(2).standard_normal(5))
    found, theirs = fit_slope(WIDTHS, y, level=0.9), stats.linregress(np.log(WIDTHS), np.log(y))
    reach = stats.t.ppf(0.95, 3) * theirs.stderr
    expected = (theirs.slope, theirs.intercept, theirs.slope - reach, theirs.slope + reach)
    assert found == pytest.approx(expected, rel=1e-12)


def test_intervals_cover_as_often_as_they_say():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(2000):
        fit = fit_slope(WIDTHS, np.exp(-0.5 * np.log(WIDTHS) + 0.2 * rng.standard_normal(5)), level=0.9)
        hits += fit.low <= -0.5 <= fit.high
    assert hits / 2000 == pytest.approx(0.9, abs=4 * math.sqrt(0.09 / 2000))


def test_holes_are_left_out():
    values = np.array([3 * n**-0.5 for n in WIDTHS])
    values[1] = np.nan
    assert fit_slope(WIDTHS, values).slope == pytest.approx(-0.5)


def test_relative_variance_covers():
    rng = np.random.default_rng(1)
    true = np.expm1(0.3**2)  # of a log-normal
    hits = [
        e.low <= true <= e.high for e in (relative_variance(np.exp(0.3 * rng.standard_normal(200))) for _ in range(400))
    ]
    assert 0.9 <= np.mean(hits) <= 0.985
    values = rng.standard_normal(50) + 5
    assert relative_variance(values).value == pytest.approx(values.var(ddof=1) / values.mean() ** 2)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: fit_slope([1, 2], [1, 2]), "^n: a slope and its interval need at least three"),
        (lambda: fit_slope([2, 2, 2], [1, 2, 3]), "^n: a slope"),
        (lambda: fit_slope([1, 2, 3], [1, 2]), "^values: one value for each n"),
        (lambda: fit_slope([1, 2, 3], [1, 0, 2]), "^values: a slope in log-log needs"),
        (lambda: fit_slope([1, 2, 3], [1, 1, 2], level=1.0), "^level: "),
        (lambda: relative_variance([1.0, 2.0]), "^values: at least three"),
        (lambda: two_sided(1.0, 3), "^level: "),
        (lambda: two_sided(0.5, 0), "^freedom: "),
        (lambda: two_sided(0.5, 2.5), "^freedom: "),
        (lambda: relative_variance([1.0, 1.0, 1.0]), "^values: all are equal"),
        (lambda: normality([1.0, 2.0], 0.0), "^variance: "),
        (lambda: normality([[[1.0]]], 1.0), "^outputs: "),
        (lambda: normality([np.nan, 2.0], 1.0), "^outputs: "),
        (lambda: independence([1.0, 2.0], 1.0), "^outputs: at least two outputs"),
        (lambda: correlation([1.0, 2.0], 1.0, level=0.0), "^level: "),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("test", [normality, independence, correlation])
def test_the_level_is_kept(test):
    rng = np.random.default_rng(2)
    rejected = np.mean([test(rng.standard_normal((1000, 4)) * 0.3, 0.09).p_value < 0.05 for _ in range(600)])
    assert rejected == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / 600) + 0.01)


@pytest.mark.parametrize("test", [normality, independence])
def test_an_effect_is_the_mean_of_what_each_network_adds(test):
    f = np.random.default_rng(3).standard_normal((40, 3))
    each = of_each(test.__name__, f, 1.3)
    assert each.shape == (40,)
    assert each.mean() == pytest.approx(test(f, 1.3).effect)


def test_the_stated_power_is_true():
    """Outputs that share a random size s, f = s z: the effect that is called detectable is found nine times in ten."""
    rng = np.random.default_rng(3)
    S, K = 2000, 4
    blank = np.ones((S, K))
    for test, v in (
        (independence, 2 * independence(blank, 1.0).detectable),
        (normality, normality(blank, 1.0).detectable / 3),
    ):
        found = 0
        for _ in range(400):
            size = np.sqrt(rng.gamma(1 / v, v, (S, 1 if test is independence else K)))  # E s^2 = 1, Var s^2 = v
            found += test(size * rng.standard_normal((S, K)), 1.0).p_value < 0.05
        assert found / 400 == pytest.approx(0.9, abs=4 * math.sqrt(0.09 / 400))


def outputs(arch, seeds):
    X = torch.tensor([[1.0, 0.0]])
    f = Network.init(arch, seeds, weights="dense")(X)[:, 0].double().numpy()
    return f, float(limiting_kernels(arch, X).nngp[0, 0])


def test_wide_networks_have_gaussian_independent_outputs():
    """Width 2,048, 1,500 seeds, 8 outputs: a correlation of squares of 0.018 would be found; the true is smaller."""
    f, variance = outputs(Architecture(2, 2048, "relu", 0.1, n_out=8), range(1500))
    assert kolmogorov(f[:, 0], variance) > 1e-3
    assert normality(f[:, 0], variance).p_value > 1e-3
    assert correlation(f, variance).p_value > 1e-3
    verdict = independence(f, variance)
    assert verdict.detectable < 0.018
    assert exact_moments(Architecture(2, 2048, "relu", 0.0)).output_correlation < verdict.detectable / 10
    assert verdict.p_value > 1e-3


def test_narrow_networks_do_not_and_by_how_much_is_known():
    arch = Architecture(4, 16, "relu", 0.0, n_out=4)
    f, variance = outputs(arch, range(4000))
    exact = exact_moments(arch, 0.5)
    kurtosis, shared = normality(f[:, 0], variance), independence(f, variance)
    assert kurtosis.p_value < 1e-6
    assert shared.p_value < 1e-6
    assert correlation(f, variance).effect == pytest.approx(0.0, abs=0.05)
    v = exact.kurtosis / 3
    assert shared.effect == pytest.approx(v / 2, rel=0.25)
    assert kurtosis.effect == pytest.approx(exact.kurtosis, rel=0.5)
    assert stats.kstest(f[:, 0] / math.sqrt(variance), "norm").pvalue < 1e-3
