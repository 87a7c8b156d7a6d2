"""Steps or leaps: chosen by the spec and the width alone, and as runs of both were measured."""

import pytest

from ntk_core import experiments
from ntk_core.experiments import circle, components, function_space
from ntk_core.runs.counts import TrainingCost
from ntk_core.runs.method import likely_passes

# Both ways were run, dense, on two cores: seconds of the steps and of the leaps.
MEASURED = {
    "few steps of narrow networks": (
        components, {"n_train": 99, "depth": 4, "activation": "leaky_relu", "beta": 0.5, "seeds": 12, "time": 54.0,
                     "learning_rate": 1.0, "snapshots": 11}, 58, (1.2, 4.0)),
    "a heavy ball's few steps, many points": (
        components, {"n_train": 92, "depth": 3, "activation": "erf", "rule": "momentum", "time": 32.0,
                     "learning_rate": 1.0, "seeds": 1, "snapshots": 25}, 624, (0.4, 3.1)),
    "many steps, few points": (
        function_space, {"points": "even", "n_train": 34, "depth": 7, "activation": "relu", "rule": "momentum",
                         "time": 1600.0, "learning_rate": 1.0, "seeds": 1, "snapshots": 5}, 226, (6.3, 1.2)),
    "a smooth network": (
        circle, {"n_train": 6, "depth": 5, "activation": "gaussian", "seeds": 6, "time": 586.0, "learning_rate": 1.0,
                 "snapshots": 37}, 255, (5.7, 1.5)),
    "wider ones that can leap": (
        components, {"n_train": 44, "depth": 6, "activation": "tanh", "seeds": 1, "time": 143.0, "learning_rate": 1.0,
                     "snapshots": 4}, 612, (1.4, 0.3)),
}  # fmt: skip


def cost(experiment, fields, width, n_train=None, n_out=1, weights="dense"):
    spec = experiment.Spec(**({"widths": (width,), "device": "cpu"} | fields))
    return TrainingCost(spec, width, weights, "cpu", n_train or spec.n_train, 50, 2, n_out)


@pytest.mark.parametrize("name", MEASURED)
def test_what_was_sooner_is_chosen(name):
    experiment, fields, width, (steps, leaps) = MEASURED[name]
    assert cost(experiment, fields, width).method == ("steps" if steps < leaps else "leaps")


@pytest.mark.parametrize("fields", [{"seeds": 20}, {"seed": 5}, {"data_seed": 5}])
def test_neither_company_nor_data_have_a_say(fields):
    """Around the number of steps at which the choice turns, too."""
    chosen = []
    for time in range(10, 1000, 10):
        made = {"time": float(time), "widths": (60,), "seeds": 1}
        chosen.append(cost(circle, made, 60).method)
        assert cost(circle, made | fields, 60).method == chosen[-1]
    assert set(chosen) == {"steps", "leaps"}


def test_gradient_flow_leaps_and_a_wish_is_granted():
    assert cost(circle, {"rule": "gradient_flow", "time": 1.0}, 60).method == "leaps"
    for method in ("steps", "leaps"):
        assert cost(circle, {"method": method, "time": 100.0}, 60).method == method


def test_there_is_one_number_of_steps_from_which_on_it_leaps():
    """Up to it steps, beyond it leaps; later for more points, whose eigenproblems leaps must solve."""
    turns = []
    for n_train in (10, 40, 120):
        chosen = [
            cost(circle, {"time": float(t), "activation": "tanh"}, 60, n_train=n_train).method
            for t in (1, *range(10, 3000, 10))
        ]
        turn = chosen.index("leaps")
        assert set(chosen[:turn]) == {"steps"}
        assert set(chosen[turn:]) == {"leaps"}
        turns.append(turn)
    assert turns == sorted(set(turns))


def test_sharp_kinks_ask_for_more_leaps_the_narrower_and_deeper_the_network():
    def passes(width, **fields):
        return likely_passes(circle.Spec(**({"beta": 0.5, "time": 200.0} | fields)), width, 40.0)

    assert passes(50, activation="tanh") == 40.0
    assert passes(50, activation="relu", rule="momentum") == 40.0
    assert passes(50, activation="relu") > passes(200, activation="relu") > passes(2000, activation="relu")
    assert passes(50, activation="abs", depth=8) > passes(50, activation="abs", depth=3)
    assert 0 < passes(50, activation="leaky_relu", beta=0.0, time=1.0) < passes(50, activation="leaky_relu", beta=1.0)


def test_what_is_told_of_leaps_decides_on_neither_weights_nor_batch():
    made = {"activation": "relu", "depth": 8, "beta": 1.0, "time": 2000.0, "seeds": 8}
    sharp, other = cost(circle, made, 50), cost(circle, made | {"activation": "tanh"}, 50)
    assert sharp.method == other.method == "leaps"
    assert sharp.likely_passes > 2 * sharp.passes
    assert sharp.passes == other.passes == other.likely_passes
    assert sharp.batch == other.batch


def test_a_linear_activation_asks_for_fewer_passes_and_is_told_so():
    def told(activation, width=60, weights="dense"):
        made = cost(circle, {"activation": activation, "time": 3000.0, "rule": "gradient_flow"}, width, weights=weights)
        return made.likely_passes / made.passes

    for weights, width in (("dense", 60), ("sampled", 4000)):
        assert told("identity", width, weights) < 1 == told("tanh", width, weights)


@pytest.mark.parametrize("name", ["circle", "function_space", "spectral", "any_cost"])
def test_networks_before_training_are_planned(name):
    """No step and no pass, of stored or sampled weights."""
    experiment = experiments.load(name)
    for weights in ("auto", "dense", "sampled"):
        before = experiment.sketch(experiment.Spec(experiment=name, depth=4, weights=weights))
        assert 0 < experiment.plan(before).seconds < 20
