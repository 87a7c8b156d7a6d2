"""Spectral bias and early stopping: the laws, the closed forms written out, networks beside the limit, bad input."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from ntk_core import Architecture, data, experiments, limiting_kernels
from ntk_core.data import digits
from ntk_core.experiments import _spectral_classes
from ntk_core.experiments._spectral_spec import circle_of, waves
from ntk_core.experiments.spectral import Spec, plan, schema, theory
from ntk_core.runs.spec import sentences
from ntk_core.runs.theory import Theory

QUIET = {"widths": (30,), "seeds": 2, "snapshots": 4, "angles": 41}


def test_fourier_eigenvalues_are_those_measured_and_fall_by_their_powers():
    found = theory(Spec())
    np.testing.assert_allclose(found["ntk"][:6], [0.12346, 0.04353, 0.01775, 0.0060, 0.0032, 0.00175], rtol=0.01)
    assert found.info["ntk_slope"] == pytest.approx(-2, abs=0.15)
    assert found.info["nngp_slope"] == pytest.approx(-4, abs=0.3)
    assert theory(Spec(activation="erf")).info["ntk_slope"] is None  # exponential, no power


def left_after(rule, K, t, rate=2.0):
    """What is left of a residual on the training points after a time."""
    return (
        expm(-t * K) if rule == "gradient_flow" else np.linalg.matrix_power(np.eye(len(K)) - rate * K, round(t / rate))
    )


@pytest.mark.parametrize("rule", ["gradient_flow", "gradient_descent"])
def test_the_limit_is_the_matrix_exponential_or_power(rule):
    """mean_t = Theta(x, X) Theta^-1 (1 - e^(-t Theta/N)) y, and (1 - eta Theta/N)^k for steps; amplitudes as sums."""
    spec = Spec(rule=rule, n_train=16, frequencies=(0, 1, 4), time=300.0, learning_rate=2.0, angles=31, snapshots=5)
    found, points = theory(spec), circle_of(spec)
    X = data.circle(points.gamma)
    arch = Architecture(4, 1, "relu", 0.1, 2)
    K, k = limiting_kernels(arch, X).ntk.numpy(), limiting_kernels(arch, data.circle(points.grid), X).ntk.numpy()
    for j, t in enumerate(spec.times):
        left = (
            expm(-t * K / 16) if rule == "gradient_flow" else np.linalg.matrix_power(np.eye(16) - K / 8, round(t / 2))
        )
        fit = np.linalg.solve(K, points.y - left @ points.y)
        np.testing.assert_allclose(found["mean"][j], k @ fit, atol=1e-7)
    for t, *amplitudes in zip(found["t"], *found["learned"], strict=True):
        left = (
            expm(-t * K / 16) if rule == "gradient_flow" else np.linalg.matrix_power(np.eye(16) - K / 8, round(t / 2))
        )
        f = points.y - left @ points.y
        direct = [np.mean(f), 2 * np.mean(f * np.cos(points.gamma)), 2 * np.mean(f * np.cos(4 * points.gamma))]
        np.testing.assert_allclose(amplitudes, direct, atol=1e-7)


def test_every_frequency_is_learned_at_its_own_rate():
    """Even points see lambda_k and what folds onto it, so the rate on N points is a little above the circle's."""
    found = theory(Spec(rule="gradient_flow", n_train=128))
    for j in range(3):
        left = 1 - found["learned"][j] / found["wanted"][j]
        clear = (left > 1e-6) & (left < 0.99)
        rates = -np.log(left[clear]) / found["t"][clear]
        assert np.ptp(rates) < 1e-6 * rates.mean()  # one exponential
        assert 1 <= rates.mean() / found["rate"][j] < 1.05


def test_waves_read_amplitudes():
    spec = Spec(frequencies=(0, 2, 5), n_train=12)
    gamma = data.even_angles(12)
    np.testing.assert_allclose(waves(spec) @ (3 - np.cos(2 * gamma) + 0.5 * np.cos(5 * gamma)), [3, -1, 0.5])


def test_two_layers_without_biases_never_learn_odd_frequencies_and_say_so():
    found = theory(Spec(depth=2, beta=0.0))
    assert found.info["notes"][0].startswith("The eigenvalue of frequencies 3, 5 is zero")
    assert np.abs(found["learned"][0]).max() > 0.9
    assert theory(Spec(depth=3, beta=0.0)).info["notes"] == []
    assert theory(Spec(depth=2, beta=0.0, frequencies=(1, 2))).info["notes"] == []


@pytest.mark.parametrize("rule", ["gradient_flow", "gradient_descent"])
def test_it_pays_to_stop_early_where_there_is_noise(rule):
    found = theory(Spec(rule=rule))
    time, ridge = found["best"]
    assert 0 < time < ridge < math.inf
    assert found["best_error"][0] <= found["test"].min()
    assert found["best_error"][1] <= found["ridge_test"].min()
    assert found["best_error"][0] < 0.7 * found["test"][-1]
    if rule == "gradient_descent":
        assert time == round(time)
    assert (theory(Spec(rule=rule, noise=0.0))["best"] == math.inf).all()


def test_ridge_and_early_stopping_end_at_the_same_function():
    found = theory(Spec(n_train=16, rule="gradient_flow"))
    np.testing.assert_allclose(found["mean"][-1], found["ridge"][-1], atol=1e-8)
    assert found["times"][-1] == math.inf
    assert np.abs(found["mean"][5] - found["ridge"][5]).max() > 1e-3
    assert (np.diff(found["train"]) <= 1e-15).all()


def test_networks_are_looked_at_as_they_say():
    spec = Spec(**QUIET, time=40.0)
    result = experiments.compute(spec)
    points = circle_of(spec)
    assert result.present.all()
    test = ((result["f"].astype(float) - points.target)[..., :-1] ** 2).mean(-1)
    np.testing.assert_allclose(result["test"], test, rtol=1e-4)
    assert (result["cost"][-1] < result["cost"][0]).all()
    assert schema(spec).shape(("time", "width", "seed", "mode")) == result["learned"].shape


def test_wide_networks_learn_frequencies_as_the_limit_does():
    spec = Spec(widths=(2000,), seeds=2, time=60.0, snapshots=4, noise=0.0, n_train=16, angles=17, depth=3)
    result, found = experiments.compute(spec), theory(spec)
    # f_0 is no more than the NNGP's 0.5; what is learned since is compared.
    moved = (result["learned"][-1] - result["learned"][0] * np.exp(-60 * found["rate"])).mean((0, 1))
    at = [np.interp(60.0, found["t"], row) for row in found["learned"]]
    np.testing.assert_allclose(moved, at, atol=0.05)


def test_parts_fill_the_whole_and_the_same_numbers():
    spec = Spec(**QUIET, time=5.0)
    whole = experiments.compute(spec)
    again = experiments.compute(spec.model_copy(update={"seeds": 1}))
    np.testing.assert_allclose(again["learned"][:, :, 0], whole["learned"][:, :, 0], atol=1e-4)


SMALL = {"data": "digits", "n_labelled": 60, "n_test": 40}


def test_digits_accuracy_and_errors_are_those_of_the_closed_form():
    spec = Spec(**SMALL, rule="gradient_flow")
    found = theory(spec)
    drawn = digits.batch(100)
    X, x, arch = drawn.inputs[:60], drawn.inputs[60:], Architecture(4, 1, "relu", 0.1, 784)
    y = np.eye(10)[drawn.labels] - 0.1
    K, k = limiting_kernels(arch, X).ntk.numpy(), limiting_kernels(arch, x, X).ntk.numpy()
    for j in (0, 20, len(found["t"]) - 1):
        t = found["t"][j]
        left = expm(-t * K / 60)
        f = k @ np.linalg.solve(K, y[:60] - left @ y[:60])
        assert found["accuracy"][j] == pytest.approx(np.mean(f.argmax(1) == drawn.labels[60:]))
        assert found["test"][j] == pytest.approx(((f - y[60:]) ** 2).sum(1).mean(), rel=1e-6)
        assert found["train"][j] == pytest.approx(((left @ y[:60]) ** 2).sum(1).mean(), rel=1e-5, abs=1e-9)
        ridge = k @ np.linalg.solve(K + 60 / t * np.eye(60), y[:60])
        assert found["ridge_test"][j] == pytest.approx(((ridge - y[60:]) ** 2).sum(1).mean(), rel=1e-6)
    assert found["accuracy"][-1] == found["ridge_accuracy"][-1] > 0.5
    np.testing.assert_allclose(found["values"], np.linalg.eigvalsh(K / 60)[::-1], rtol=1e-8)


def test_the_best_time_on_digits_lies_between_those_drawn_and_none_near_it_is_better():
    spec = Spec(**SMALL, activation="identity", beta=0.0, rule="gradient_flow")
    found = theory(spec)
    assert (found["best_error"] < [found["test"].min(), found["ridge_test"].min()]).all()
    drawn = digits.batch(100)
    X, x, arch = drawn.inputs[:60], drawn.inputs[60:], Architecture(4, 1, "identity", 0.0, 784)
    y = np.eye(10)[drawn.labels] - 0.1
    K, k = limiting_kernels(arch, X).ntk.numpy(), limiting_kernels(arch, x, X).ntk.numpy()

    def stopped(t):
        return np.linalg.solve(K, y[:60] - expm(-t * K / 60) @ y[:60])

    def ridge(t):
        return np.linalg.solve(K + 60 / t * np.eye(60), y[:60])

    for time, least, fit in zip(found["best"], found["best_error"], (stopped, ridge), strict=True):
        errors = [((k @ fit(time * r) - y[60:]) ** 2).sum(1).mean() for r in (1, 0.9, 0.99, 1.01, 1.1)]
        assert errors[0] == pytest.approx(least, rel=1e-8)
        assert errors[0] < min(errors[1:])


def test_networks_with_ten_outputs_read_digits():
    spec = Spec(**SMALL, widths=(50,), seeds=2, snapshots=4, time=400.0, learning_rate=10.0)
    assert plan(spec).groups[0].method == "steps"
    result = experiments.compute(spec)
    assert (result["accuracy"][-1] > result["accuracy"][0]).all()
    assert (np.diff(result["cost"], axis=0) < 0).all()
    assert result["learned"].shape == (4, 1, 2, 4)  # components 2, 3, 10, 30 of 60 digits
    start = abs(result["learned"][-1, 0, :, 0] - 1).mean()
    assert start < abs(result["learned"][0, 0, :, 0] - 1).mean()


def test_shares_of_the_targets_themselves_are_one():
    spec = Spec(**SMALL)
    shares = _spectral_classes._shares(spec)
    y = _spectral_classes._ensemble(spec).y
    np.testing.assert_allclose((shares * y).sum((1, 2)), 1.0, rtol=1e-9)


def test_many_digits_are_slow_and_leaps_of_many_unknowns_refused():
    assert experiments.is_slow(Spec(data="digits", n_labelled=2000))
    assert not experiments.is_slow(Spec(data="digits"))
    assert not experiments.is_slow(Spec())
    refusal = plan(Spec(data="digits", n_labelled=200, n_test=40, rule="gradient_flow")).refusal
    assert "eigenproblem of 2,000 unknowns: choose gradient descent" in refusal
    assert plan(Spec(**SMALL, rule="gradient_flow")).refusal is None


@settings(max_examples=15, deadline=None)
@given(
    depth=st.integers(1, 8),
    activation=st.sampled_from(["relu", "erf", "abs", "identity", "step", "gaussian"]),
    beta=st.floats(0, 2),
    w_std=st.floats(0.1, 3),
    rule=st.sampled_from(["gradient_flow", "gradient_descent"]),
    learning_rate=st.floats(0.01, 1000),
    noise=st.floats(0, 3),
    n_train=st.integers(4, 40),
    k=st.integers(0, 1),
)
def test_any_setting_has_numbers_and_no_warning(k, **fields):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = theory(Spec(frequencies=(k,), time=fields["learning_rate"] * 20, angles=9, **fields))
    for name in ("mean", "ridge", "learned", "train", "test", "ridge_test", "t"):
        assert np.isfinite(found[name]).all(), name
    assert Theory.from_bytes(found.to_bytes()).info == found.info


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"frequencies": []}, "frequencies: "),
        ({"frequencies": [1, 1]}, "frequencies: [1, 1] names a frequency twice"),
        ({"frequencies": [3], "n_train": 6}, "frequencies: 6 points tell frequencies below 3 from each other, got 3"),
        ({"frequencies": [13]}, "frequencies.0: input should be less than or equal to 12, got 13"),
        ({"noise": -1}, "noise: input should be greater than or equal to 0, got -1"),
        ({"rule": "momentum"}, "rule: input should be 'gradient_descent' or 'gradient_flow', got 'momentum'"),
        ({"n_labelled": 5000}, "n_labelled: input should be less than or equal to 4000, got 5000"),
    ],
)
def test_bad_input_is_named(fields, sentence):
    with pytest.raises(ValueError, match="validation error") as error:
        experiments.parse({"experiment": "spectral", **fields})
    assert sentences(error.value)[0].startswith(sentence)


def test_few_steps_are_taken_one_by_one_and_many_by_leaps():
    assert [g.method for g in plan(Spec()).groups] == ["steps"]
    for fields in ({"learning_rate": 1.0}, {"rule": "gradient_flow"}, {"widths": (2000,)}, {"method": "leaps"}):
        assert [g.method for g in plan(Spec(**fields)).groups] == ["leaps"]
    small = {"n_train": 16, "widths": (20,), "seeds": 2, "time": 50.0, "snapshots": 2, "device": "cpu"}
    stepped, told = (experiments.compute(Spec(method=method, **small)) for method in ("auto", "steps"))
    assert stepped["error"].max() == 0
    np.testing.assert_array_equal(stepped["f"], told["f"])
