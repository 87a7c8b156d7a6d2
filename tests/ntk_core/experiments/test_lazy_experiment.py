"""Lazy or learning features: the laws with their intervals, the limit against the library's own, parts, bad fields."""

import math
import re

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from ntk_core import Architecture, InfiniteEnsemble, Network, data, experiments, train
from ntk_core.experiments import lazy
from ntk_core.finite.laws import fit_slope
from ntk_core.finite.linearized import LinearizedNetwork
from ntk_core.finite.movement import alignment, kernel_movement
from ntk_core.rules import GradientDescent
from ntk_core.runs.parts import Part
from ntk_core.runs.result import Result
from ntk_core.runs.spec import sentences

SMALL = {"widths": (8, 16), "seeds": 3, "time": 10.0, "snapshots": 4, "angles": 9}


def ends(result, name):
    """Means over seeds at the last time: (parametrization, alpha, width)."""
    return result[name][-1].mean(-1)


def test_the_kernel_stands_still_in_the_papers_parametrization_and_moves_in_mup():
    """Against width: kernel change between -0.6 and -1.1, in muP above -0.2; likewise f against its linearization."""
    spec = lazy.Spec(widths=(32, 64, 128, 256), seeds=8, time=60.0, snapshots=2)
    result = experiments.compute(spec)
    slopes = {
        name: [fit_slope(spec.widths, values[0]).slope for values in ends(result, name)]
        for name in ("kernel_change", "distance")
    }
    for papers, one_rate, mup in slopes.values():
        assert -1.1 < papers < -0.6
        assert -1.3 < one_rate < -0.6
        assert abs(mup) < 0.2
    seen = result["alignment"][:, :, 0, -1].mean(-1)  # (time, parametrization) of the widest
    assert seen[-1, 2] > 0.9
    assert abs(seen[-1, 0] - seen[0, 0]) < 0.05


def test_a_large_output_scale_brings_networks_to_their_linearizations():
    """Like 1/alpha: slope -1 +- 0.3 of the distance, and of the kernel's movement."""
    spec = lazy.Spec(parametrizations=("ntk",), alphas=(2, 8, 32), widths=(64,), seeds=6, snapshots=2, time=60.0)
    result = experiments.compute(spec)
    for name in ("distance", "kernel_change"):
        assert fit_slope(spec.alphas, ends(result, name)[0, :, 0]).slope == pytest.approx(-1.0, abs=0.3)


def test_the_standard_parametrization_at_the_remarks_rates_is_the_papers():
    """Section 2's remark, to rounding at every time; one rate for all layers is another matter."""
    spec = lazy.Spec(parametrizations=("ntk", "standard", "standard_one_rate"), activation="relu", w_std=1.3, **SMALL)
    f = experiments.compute(spec)["f"]
    np.testing.assert_allclose(f[:, 1], f[:, 0], atol=2e-5)
    assert np.abs(f[-1, 2] - f[-1, 0]).max() > 0.05


def test_numbers_are_those_of_a_network_trained_alone():
    spec = lazy.Spec(parametrizations=("mup", "ntk"), alphas=(1.0, 3.0), seed=5, centred=False, points="paper", **SMALL)
    result = experiments.compute(spec)
    network = Network.init(Architecture(3, 16, "tanh", 0.1), 7, dtype=torch.float64)
    gamma, y = data.paper_points()
    X, curve, round_ = data.circle(gamma), data.circle(data.angle_grid(9)), data.circle(data.even_angles(24))
    # Output 3 f at a rate divided by 9 is f on targets y / 3.
    linear = LinearizedNetwork(network, X, y / 3, GradientDescent(1.0))
    before = network.tangent_kernel(round_)
    for _ in train(network, X, y / 3, [0, 10], method="steps"):
        pass
    at = (-1, 1, 1, 1, 2)
    f, expected = 3 * network(curve)[:, 0].numpy(), 3 * linear.at(10, curve)[:, 0].numpy()
    np.testing.assert_allclose(result["f"][at], f, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(result["linearized"][at], expected, rtol=1e-4, atol=1e-5)
    assert result["distance"][at] == pytest.approx(np.sqrt(np.mean((f - expected)[1:] ** 2)), rel=1e-3)
    change = float(kernel_movement(before, network.tangent_kernel(round_)))
    assert result["kernel_change"][at] == pytest.approx(change, rel=1e-3)
    assert result["alignment"][at] == pytest.approx(float(alignment(network.tangent_kernel(X), y)), rel=1e-4)
    cost = np.mean((3 * network(X)[:, 0].numpy() - y) ** 2) / 2
    assert result["cost"][at] == pytest.approx(cost, rel=1e-3)


def test_the_limit_is_the_infinite_ensembles_mean():
    spec = lazy.Spec(depth=4, activation="relu", w_std=1.2, target="bump", time=20.0)
    theory = lazy.theory(spec)
    gamma, y = data.even_angles(8), data.circle_target("bump", data.even_angles(8))
    arch = Architecture(4, 1, "relu", 0.1, w_std=1.2)
    ensemble = InfiniteEnsemble(arch, data.circle(gamma), y, GradientDescent(1.0))
    mean = ensemble.on(data.circle(data.angle_grid(spec.angles))).means(spec.times)
    np.testing.assert_allclose(theory["mean"], mean.numpy().reshape(theory["mean"].shape), atol=1e-7)
    assert float(theory["alignment"]) == pytest.approx(float(alignment(ensemble.K, y)), abs=1e-7)
    assert lazy.stable_rate(lazy.Spec(parametrizations=("ntk",), **spec.model_dump(exclude={"parametrizations"}))) == (
        pytest.approx(2 / float(ensemble.values[-1]), rel=1e-7)
    )


def test_wide_networks_of_every_lazy_kind_follow_their_limit():
    spec = lazy.Spec(
        parametrizations=("ntk", "standard_one_rate"), widths=(1024,), alphas=(10.0,), seeds=8, snapshots=2,
        time=20.0, learning_rate=2.0,
    )  # fmt: skip
    theory, f = lazy.theory(spec), experiments.compute(spec)["f"][-1, :, 0, 0].mean(1)
    for found, name, other in ((f[0], "mean", "mean_one_rate"), (f[1], "mean_one_rate", "mean")):
        gap = np.abs(found - theory[name][-1]).max()
        assert gap < 0.06
        assert gap < 0.6 * np.abs(found - theory[other][-1]).max()


def test_parts_in_any_order_are_the_whole_run():
    spec = lazy.Spec(alphas=(0.5, 2.0), **SMALL)
    plan, whole = lazy.plan(spec), experiments.compute(spec)
    assert lazy.parts(spec, plan, 1) == lazy.parts(spec, plan, 99)
    assert len(lazy.parts(spec, plan, 1)) == 3 * 2 * 2
    pieces = Result(lazy.schema(spec))
    for part in lazy.parts(spec, plan, 7)[::-1]:
        for increment in lazy.run(spec, Part.from_json(part.to_json())):
            pieces.add(increment)
    assert all(pieces.complete(k) for k in range(len(spec.times)))
    for name, values in whole.values.items():
        np.testing.assert_array_equal(pieces[name], values)


def test_the_networks_shown_unasked_are_the_first_of_each_kind():
    spec = lazy.Spec(**SMALL)
    one = lazy.sketch(spec)
    assert one.times == spec.times
    whole, shown = experiments.compute(spec), experiments.compute(one)
    for name in ("f", "kernel_change", "alignment"):
        np.testing.assert_allclose(shown[name][:, :, :, :, 0], whole[name][:, :, :, :, 0], rtol=1e-4, atol=1e-5)
    assert lazy.sketch(one) is None
    assert lazy.sketch(spec.model_copy(update={"widths": (8192,)})) is None


def test_networks_start_at_zero_or_at_their_scaled_start():
    at_zero = experiments.compute(lazy.Spec(**SMALL))
    assert np.abs(at_zero["f"][0]).max() == 0
    assert np.nanmax(at_zero["kernel_change"][0]) == 0
    scaled = experiments.compute(lazy.Spec(parametrizations=("ntk",), alphas=(1, 3), centred=False, **SMALL))["f"][0]
    np.testing.assert_allclose(scaled[0, 1], 3 * scaled[0, 0], rtol=1e-5)


def test_networks_that_diverge_are_holes_and_were_announced():
    spec = lazy.Spec(learning_rate=40.0, **{**SMALL, "time": 12_000.0})
    assert "Gradient descent will diverge: the learning rate 40 " in lazy.plan(spec).warnings[0]
    assert lazy.theory(spec).info["rule"] == "gradient_flow"
    result = experiments.compute(spec)
    lost = result["diverged"][-1]
    assert lost[0].all()
    assert np.isnan(result["f"][-1][lost]).all()
    assert np.isnan(result["kernel_change"][-1][lost]).all()


def test_a_rate_that_a_growing_kernel_may_pass_is_announced():
    near = 0.7 * lazy.stable_rate(lazy.Spec())
    assert "may pass it" in lazy.plan(lazy.Spec(learning_rate=near)).warnings[0]
    assert lazy.plan(lazy.Spec(learning_rate=near, parametrizations=("ntk",))).warnings == ()
    assert lazy.plan(lazy.Spec()).warnings == ()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"alphas": (0.0,)}, "alphas.0: "),
        ({"alphas": (-1.0,)}, "alphas.0: "),
        ({"alphas": (math.nan,)}, "alphas.0: "),
        ({"alphas": (math.inf,)}, "alphas.0: "),
        ({"alphas": ()}, "alphas: choose at least 1"),
        ({"alphas": (1.0, 1.0)}, "alphas: 1.0, 1.0 names one of them twice"),
        ({"alphas": (1.0, 2.0, 3.0)}, "alphas: 3 parametrizations and 3 output scales are 9 kinds of networks; at mo"),
        ({"parametrizations": ()}, "parametrizations: choose at least 1"),
        ({"parametrizations": ("ntk", "ntk")}, "parametrizations: ntk, ntk names"),
        ({"parametrizations": ("gpt",)}, "parametrizations.0: "),
        ({"widths": (0,)}, "widths.0: "),
        ({"widths": (10_000,)}, "widths.0: "),
        ({"depth": 1}, "depth: "),
        ({"beta": math.nan}, "beta: "),
        ({"time": 1e9}, "time: 1e.09 at learning rate 1 is 1,000,000,000 steps; 1 to 20,000 are allowed"),
        ({"time": 0.1}, "time: 0.1 at learning rate 1 is 0 steps"),
        ({"n_train": 1, "target": "sine"}, "n_train: this target is zero at 1 even point,"),
    ],
)
def test_bad_fields_are_named(fields, words):
    with pytest.raises(ValidationError) as caught:
        lazy.Spec.model_validate(fields)
    assert len(sentences(caught.value)) == 1
    assert re.match(words, sentences(caught.value)[0])


def test_a_default_run_takes_less_than_five_seconds_on_two_workers():
    assert lazy.plan(lazy.Spec()).seconds / 2 < 5


def test_what_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setenv("NTK_MEMORY_LIMIT", "10MB")
    refusal = lazy.plan(lazy.Spec(widths=(4096,))).refusal
    assert refusal is not None
    assert refusal.startswith("widths: the largest network of this sweep would need about")
