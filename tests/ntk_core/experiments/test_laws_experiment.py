"""Laws in width and depth: the sweep's numbers against networks asked alone, the laws with their intervals."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from ntk_core import Architecture, Network, data, experiments, limiting_kernels
from ntk_core.experiments import circle, laws
from ntk_core.finite.laws import fit_slope
from ntk_core.finite.second_moments import exact_moments
from ntk_core.runs.parts import Part
from ntk_core.runs.result import Result
from ntk_core.runs.spec import sentences

SMALL = {"widths": (8, 16), "depths": (2, 3), "seeds": 5, "trained": 3, "piece": 2, "layers": 4, "time": 5.0}
X0 = [[1.0, 0.0]]


def assembled(spec, workers, order=1):
    plan = laws.plan(spec)
    result = Result(laws.schema(spec))
    for part in laws.parts(spec, plan, workers)[::order]:
        for increment in laws.run(spec, Part.from_json(part.to_json())):
            result.add(increment)
    return result


@pytest.mark.parametrize("measure", ["spread", "training", "outputs", "depth"])
def test_parts_in_any_order_are_the_whole_run(measure):
    spec = laws.Spec(measure=measure, **SMALL)
    whole, pieces = experiments.compute(spec), assembled(spec, 7, order=-1)
    assert pieces.complete(0)
    for name, values in whole.values.items():
        np.testing.assert_array_equal(pieces[name], values)
    places = [place for part in laws.parts(spec, laws.plan(spec), 1) for place in part.places]
    assert len(places) == 2 * len(spec.swept_depths) * math.ceil(spec.networks / 2)
    assert laws.parts(spec, laws.plan(spec), 1) == laws.parts(spec, laws.plan(spec), 99)


def test_the_kernel_is_that_of_the_network_of_that_seed():
    spec = laws.Spec(beta=0.2, seed=7, activation="tanh", **SMALL)
    result = experiments.compute(spec)
    arch = Architecture(3, 16, "tanh", 0.2)
    alone = float(Network.init(arch, 10).tangent_kernel(X0)) / float(limiting_kernels(arch, X0).ntk)
    assert result["kernel"][1, 1, 3] == pytest.approx(alone, rel=1e-4)


def test_the_networks_shown_unasked_are_the_first_of_the_sweep():
    spec = laws.Spec(widths=(8, 16), depths=(2, 3), seeds=60, seed=5)
    few = laws.sketch(spec)
    assert few.seeds == 20
    np.testing.assert_array_equal(experiments.compute(few)["kernel"], experiments.compute(spec)["kernel"][..., :20])
    assert laws.sketch(spec.model_copy(update={"seeds": 10})).seeds == 5
    trained = laws.sketch(spec.model_copy(update={"measure": "training", "trained": 50}))
    assert (trained.trained, trained.seeds) == (4, 60)
    for fields in ({"measure": "training", "trained": 3}, {"seeds": 3}, {"widths": (8192,), "depths": (32,)}):
        assert laws.sketch(spec.model_copy(update=fields)) is None


def test_outputs_and_the_kernel_between_them():
    spec = laws.Spec(measure="outputs", outputs=3, **SMALL)
    result = experiments.compute(spec)
    arch = Architecture(2, 8, "relu", 0.0, n_out=3)
    network, limit = Network.init(arch, 4), limiting_kernels(arch, X0)
    np.testing.assert_allclose(result["f"][0, 0, 4], network(X0)[0] / float(limit.nngp) ** 0.5, rtol=1e-4)
    K = network.tangent_kernel(X0)[0, 0].numpy()
    mixed = math.sqrt(np.mean(K[~np.eye(3, dtype=bool)] ** 2)) / float(limit.ntk)
    assert result["mixed"][0, 0, 4] == pytest.approx(mixed, rel=1e-3)


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_the_kernel_between_outputs_vanishes_like_one_over_the_root_of_n(beta):
    """Theta = Theta_inf (x) Id for several outputs (theorem 1): the blocks off the diagonal fall like n^(-1/2)."""
    spec = laws.Spec(measure="outputs", outputs=3, widths=(32, 64, 128, 256), depths=(3,), seeds=300, beta=beta)
    mixed = np.sqrt((experiments.compute(spec)["mixed"][:, 0] ** 2).mean(1))
    assert fit_slope(spec.widths, mixed).slope == pytest.approx(-0.5, abs=0.07)


def test_the_mean_kernel_inflates_like_one_over_n():
    """Ten networks tell each mean within a sixth, so their slope within 0.11: twice that is allowed."""
    spec = circle.Spec(widths=(64, 128, 256, 512), seeds=10, n_train=20, time=100, snapshots=2, angles=9, device="cpu")
    peak = experiments.compute(spec)["peak"]
    slope = fit_slope(spec.widths, (peak[-1] / peak[0] - 1).mean(1)).slope
    assert slope == pytest.approx(-1.0, abs=0.22)


@pytest.mark.parametrize(("activation", "beta"), [("relu", 0.0), ("tanh", 0.3)])
def test_layers_of_wide_networks_see_the_limits_correlations(activation, beta):
    spec = laws.Spec(measure="depth", widths=(1500,), layers=5, seeds=3, activation=activation, beta=beta, w_std=1.3)
    theory, result = laws.theory(spec), experiments.compute(spec)
    np.testing.assert_allclose(result["correlation"][0, 0].mean(0), theory["correlation"], atol=0.06)
    X = data.circle(np.concatenate([[0.0], theory["angle"]]))
    for depth in (1, 3, 5):
        kernels = limiting_kernels(Architecture(depth, 1, activation, beta, w_std=1.3), X)
        for kernel, name in zip(kernels, ("correlation", "tangent_correlation"), strict=True):
            expected = kernel[0, 1:] / kernel[0, 0]
            np.testing.assert_allclose(theory[name][depth - 1], expected, atol=1e-9)


def test_spread_falls_like_one_over_the_root_of_n_as_the_exact_moments_say():
    spec = laws.Spec(widths=(64, 128, 256, 512), depths=(3,), seeds=400)
    kernel, theory = experiments.compute(spec)["kernel"][:, 0], laws.theory(spec)
    slope = fit_slope(spec.widths, kernel.std(1, ddof=1) / kernel.mean(1)).slope
    assert slope == pytest.approx(-0.5, abs=0.07)
    exact = [exact_moments(Architecture(3, n, "relu", 0.0)).relative_variance for n in spec.widths]
    np.testing.assert_allclose(theory["exact_relative_variance_at"][:, 0], exact, rtol=1e-12)
    np.testing.assert_allclose(kernel.var(1, ddof=1) / kernel.mean(1) ** 2, exact, rtol=0.3)
    assert (np.diff(theory["exact_relative_variance"][0]) < 0).all()


def test_what_training_changes():
    """Kernel change between -0.6 and -1.1, f against linearized -0.8 +- 0.25, single hidden weights -1."""
    spec = laws.Spec(measure="training", widths=(32, 64, 128, 256), depths=(4,), trained=16, beta=0.1, time=100.0)
    result = experiments.compute(spec)

    def slope(name):
        return fit_slope(spec.widths, result[name][:, 0].mean(1)).slope

    assert -1.1 < slope("kernel_change") < -0.6
    assert slope("distance") == pytest.approx(-0.8, abs=0.25)
    assert slope("hidden_weights") == pytest.approx(-1.0, abs=0.15)
    assert slope("activations") == pytest.approx(-0.5, abs=0.15)


def test_a_network_that_diverges_is_a_hole_and_was_announced():
    spec = laws.Spec(measure="training", widths=(16,), depths=(3,), trained=2, learning_rate=500.0, time=50_000.0)
    (warning,) = laws.plan(spec).warnings
    assert warning.startswith("Gradient descent will diverge: the learning rate 500 is above the stability limit ")
    assert "of the limiting kernel. Lower it below " in warning
    assert np.isnan(experiments.compute(spec)["kernel_change"]).all()


@pytest.mark.parametrize(
    ("activation", "w_std", "phase"),
    [("relu", 1.0, "order"), ("relu", math.sqrt(2), "edge"), ("relu", 1.6, "chaos"), ("tanh", 0.8, "order"),
     ("tanh", 1.6, "chaos"), ("erf", 2.0, "chaos")],
)  # fmt: skip
def test_order_edge_and_chaos(activation, w_std, phase):
    theory = laws.theory(laws.Spec(measure="depth", activation=activation, w_std=w_std, layers=24))
    assert theory.info["phase"] == phase


def test_chaos_parts_points_and_order_joins_them():
    apart, joined = (laws.theory(laws.Spec(measure="depth", activation="tanh", w_std=w, layers=24)) for w in (2, 0.9))
    assert (apart["tangent_correlation"][-1] < 0.2).all()
    ordered = laws.theory(laws.Spec(measure="depth", activation="tanh", w_std=0.9, beta=0.5, layers=24))
    assert (ordered["correlation"][-1] > 0.95).all()
    assert joined.info["phase"] == "order"


def test_what_is_not_known_exactly_is_said():
    for fields in ({"beta": 0.1}, {"activation": "tanh"}):
        theory = laws.theory(laws.Spec(**fields))
        assert "exact_relative_variance" not in theory
        assert theory.info["notes"]
    assert laws.theory(laws.Spec()).info["notes"] == []


def test_variances_that_explode_are_refused():
    with pytest.raises(ValueError, match=r"^w_std: with softplus and w_std = 2 the variance of the outputs grows"):
        laws.theory(laws.Spec(measure="depth", activation="softplus", w_std=2.0, layers=24))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"widths": ()}, "widths: choose at least 1"),
        ({"seeds": 0}, "seeds: "),
        ({"widths": (8, 8)}, r"widths: \[8, 8\] names"),
        ({"depths": (1,)}, "depths.0: "),
        ({"depths": (3, 3)}, "depths: "),
        ({"widths": tuple(range(7, 14))}, "widths: "),
        ({"widths": (10**6,)}, "widths.0: "),
        ({"piece": 1, "seeds": 5000}, "piece: 4 widths, 3 depths and 5,000 networks of each, 1 at a time, are 60,000"),
        ({"time": 1e9}, "time: "),
        ({"measure": "luck"}, "measure: "),
        ({"beta": math.nan}, "beta: "),
    ],
)
def test_bad_fields_are_named(fields, words):
    import re

    with pytest.raises(ValidationError) as caught:
        laws.Spec.model_validate(fields)
    assert len(sentences(caught.value)) == 1
    assert re.match(words, sentences(caught.value)[0])


def test_a_default_run_takes_less_than_five_seconds_on_two_workers():
    for measure in ("spread", "training", "outputs", "depth"):
        assert laws.plan(laws.Spec(measure=measure)).seconds / 2 < 5


def test_what_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setenv("NTK_MEMORY_LIMIT", "10MB")
    refusal = laws.plan(laws.Spec(widths=(8192,), depths=(8,))).refusal
    assert refusal is not None
    assert refusal.startswith("widths: the largest network of this sweep would need about")
