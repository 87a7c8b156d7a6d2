"""Early stopping beside ridge, and classes by least squares: definitions, and the digits."""

import math

import numpy as np
import pytest
import torch

from ntk_core import Architecture, InfiniteEnsemble, data, limiting_kernels
from ntk_core.data import digits
from ntk_core.limit.classes import accuracies, accuracy, one_hot
from ntk_core.limit.early_stopping import best_time, errors, ridge_mean

ARCH = Architecture(depth=4, activation="relu", beta=0.1, n_in=2)
TRAIN, TEST = data.even_angles(24), data.angle_grid(41)


def target(gamma):
    return np.cos(gamma) + 0.5 * np.sin(2 * gamma)


@pytest.fixture(scope="module")
def noisy():
    noise = 0.5 * np.random.default_rng(0).standard_normal(24)
    return InfiniteEnsemble(ARCH, data.circle(TRAIN), target(TRAIN) + noise)


def test_errors_are_those_of_the_mean(noisy):
    times = [0.0, 3.0, 40.0, math.inf]
    found = errors(noisy, data.circle(TEST), target(TEST), times)
    for j, t in enumerate(times):
        g = noisy.at(t, data.circle(TEST))
        on = noisy.at(t, noisy.X).mean
        assert float(found.test[j]) == pytest.approx(float((g.mean - torch.from_numpy(target(TEST))).square().mean()))
        assert float(found.train[j]) == pytest.approx(float((on - noisy.y).square().mean()), rel=1e-7, abs=1e-12)
        assert float(found.variance[j]) == pytest.approx(float(g.std.square().mean()), rel=1e-6)


@pytest.mark.parametrize("t", [0.5, 30.0, 1e4])
def test_ridge_is_kernel_ridge_regression_with_penalty_1_over_t(noisy, t):
    X, x = noisy.X, data.circle(TEST)
    K, k = limiting_kernels(ARCH, X).ntk, limiting_kernels(ARCH, x, X).ntk
    identity = torch.eye(24, dtype=torch.float64)
    torch.testing.assert_close(ridge_mean(noisy, x, t), k @ torch.linalg.solve(K + 24 / t * identity, noisy.y))
    on = K @ torch.linalg.solve(K + 24 / t * identity, noisy.y)
    found = errors(noisy, x, target(TEST), [t])
    assert float(found.ridge_train[0]) == pytest.approx(float((on - noisy.y).square().mean()), rel=1e-8)
    torch.testing.assert_close(ridge_mean(noisy, x, t), noisy.ridged(1 / t).at(math.inf, x).mean)


def test_ridge_and_early_stopping_meet_at_infinity(noisy):
    x = data.circle(TEST)
    late = 1e10 / float(noisy.values[0])
    for t in (late, math.inf):
        torch.testing.assert_close(ridge_mean(noisy, x, t), noisy.at(t, x).mean, rtol=0, atol=1e-8)
    found = errors(noisy, x, target(TEST), [1.0, 1e3, late, math.inf])
    gap = (found.test - found.ridge_test).abs()
    assert float(gap[2:].max()) < 1e-8 < float(gap[:2].min())
    assert float((found.train - found.ridge_train).abs()[2:].max()) < 1e-8


@pytest.mark.parametrize("ridge", [False, True])
def test_noise_makes_the_best_time_finite_and_it_is_the_best(noisy, ridge):
    x, y = data.circle(TEST), target(TEST)
    best = best_time(noisy, x, y, ridge=ridge)
    assert 0 < best.time < math.inf
    times = best.time * np.array([0.5, 0.9, 0.99, 1.01, 1.1, 2.0])
    around = errors(noisy, x, y, [*times, math.inf])
    assert best.error <= float((around.ridge_test if ridge else around.test).min())
    assert best.error < 0.8 * float(around.test[-1])


def test_without_noise_there_is_no_reason_to_stop():
    clean = InfiniteEnsemble(ARCH, data.circle(TRAIN), target(TRAIN))
    assert best_time(clean, data.circle(TEST), target(TEST)).time == math.inf


def test_of_pure_noise_nothing_is_worth_learning():
    wrong = InfiniteEnsemble(ARCH, data.circle(TRAIN), target(TRAIN))
    assert best_time(wrong, data.circle(TRAIN), -target(TRAIN)).time == 0.0


def test_one_hot_targets_are_centred():
    y = one_hot(np.array([2, 0], dtype=np.uint8), 3)
    np.testing.assert_allclose(y, [[-1 / 3, -1 / 3, 2 / 3], [2 / 3, -1 / 3, -1 / 3]], rtol=1e-15)
    assert accuracy(y, [2, 1]).item() == 0.5
    assert accuracy(torch.stack([y, -y]), [2, 0]).tolist() == [1.0, 0.0]
    with pytest.raises(ValueError, match=r"^labels: torch.Size\(\[4\]\) labels are needed, got \(3,\)"):
        accuracy(torch.zeros(4, 2), [0, 1, 0])


def test_the_infinite_network_reads_digits():
    """1,000 digits: 92.5 percent at infinity, more at every later time; the full set is the slow test below."""
    found = _digits(1000, [10.0, 1000.0, math.inf])
    assert found[0] < found[1] < found[2]
    assert found[2] > 0.91


@pytest.mark.slow
def test_four_thousand_digits_are_read_to_95_percent():
    assert _digits(4000, [math.inf])[0] >= 0.95


def _digits(count, times):
    batch = digits.batch(5000)
    arch = Architecture(depth=4, activation="relu", beta=0.1, n_in=784)
    ensemble = InfiniteEnsemble(arch, batch.inputs[:count], one_hot(batch.labels[:count], 10))
    return accuracies(ensemble, batch.inputs[4000:], batch.labels[4000:], times).tolist()


@pytest.mark.parametrize("share", [0.02, 0.98])
def test_the_best_time_is_found_wherever_it_is(share):
    """Targets along one mode, of which the truth is a share: it is reached at t = -ln(1 - share) / lambda.

    A small share of the strongest mode is learned long before 1 / lambda; most of the weakest long after the others.
    """
    gamma = np.array([0.0, 0.2])
    x, mode = data.circle(gamma), np.array([1.0, 1.0]) if share < 0.5 else np.array([1.0, -1.0])
    ensemble = InfiniteEnsemble(ARCH, x, mode / share, prior="zero")
    weakest, strongest = ensemble.values.tolist()
    assert strongest > 10 * weakest
    found = best_time(ensemble, x, mode)
    assert found.error < 1e-7
    assert found.time == pytest.approx(-math.log(1 - share) / (strongest if share < 0.5 else weakest), rel=1e-3)


def test_bad_arguments_are_named(noisy):
    x = data.circle(TEST)
    with pytest.raises(ValueError, match=r"^y_test: shape \(41,\) is needed, got \(3,\)"):
        errors(noisy, x, [1, 2, 3], [1.0])
    with pytest.raises(ValueError, match=r"^y_test: every number must be finite"):
        errors(noisy, x, np.full(41, math.nan), [1.0])
    with pytest.raises(ValueError, match=r"^ensemble: early stopping is compared with ridge here"):
        errors(noisy.ridged(0.1), x, target(TEST), [1.0])
    with pytest.raises(ValueError, match=r"^t: a time must be >= 0"):
        ridge_mean(noisy, x, -1.0)
    with pytest.raises(ValueError, match=r"^classes: a whole number >= 2"):
        one_hot([0], 1)
    with pytest.raises(ValueError, match=r"^labels: must be between 0 and 2, got 0 to 3"):
        one_hot([0, 3], 3)
    with pytest.raises(ValueError, match=r"^labels: a list of whole numbers"):
        one_hot([0.5], 3)
    with pytest.raises(ValueError, match=r"^y_train: one column a class"):
        accuracies(noisy, x, [0] * 41, [1.0])
