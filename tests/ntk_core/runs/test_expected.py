"""Predicted seconds: what makes a run longer makes the prediction longer, and no choice hangs on it."""

import pytest

from ntk_core.experiments import circle
from ntk_core.runs import machine, plan
from ntk_core.runs.counts import TrainingCost
from ntk_core.runs.expected import KINKED, SAMPLED, START_SECONDS, expected_seconds

SPEEDS = machine.Speeds(1e11, 5e10, 2e10, 2e-6)


def cost(weights="dense", width=200, device="cpu", **fields):
    spec = circle.Spec(**({"widths": (width,), "activation": "tanh", "seeds": 4, "device": "cpu"} | fields))
    return TrainingCost(spec, width, weights, device, 20, 31, 2, 1)


@pytest.mark.parametrize(
    "more",
    [{"width": 800}, {"depth": 6}, {"snapshots": 48}, {"activation": "elu"}, {"rule": "momentum"},
     {"precision": "float64"}, {"tolerance": 0.001}, {"method": "steps", "time": 500}],
    ids=str,
)  # fmt: skip
def test_what_takes_longer_is_predicted_to(more):
    assert expected_seconds(cost(**more), SPEEDS) > 1.01 * expected_seconds(cost(), SPEEDS)


def test_curved_activations_cost_more_than_straight_ones_to_work_out():
    """Steps, where kinks cost no leaps."""
    curved, straight = (cost(activation=name, method="steps") for name in ("tanh", "relu"))
    assert expected_seconds(curved, SPEEDS) > expected_seconds(straight, SPEEDS)


def test_a_kink_multiplies_all_but_the_start():
    smooth, kinked = (expected_seconds(cost(activation=name), SPEEDS) - START_SECONDS / 4 for name in ("tanh", "elu"))
    assert kinked == pytest.approx(KINKED * smooth)


def test_a_machine_twice_as_fast_halves_all_but_the_start_and_the_eigenproblems():
    fast = machine.Speeds(2e11, 1e11, 4e10, 1e-6)
    fixed = expected_seconds(cost(), machine.Speeds(1e30, 1e30, 1e30, 0.0))
    slow, quick = (expected_seconds(cost(), speeds) - fixed for speeds in (SPEEDS, fast))
    assert quick == pytest.approx(slow / 2)


def test_sampled_weights_and_other_devices_keep_their_counts():
    assert expected_seconds(cost("sampled"), SPEEDS) == SAMPLED * cost("sampled").seconds(SPEEDS)
    assert expected_seconds(cost(device="cuda"), SPEEDS) == cost(device="cuda").seconds(SPEEDS)


def test_no_choice_hangs_on_the_machines_speeds(monkeypatch):
    spec = circle.Spec(widths=(64, 3000), seeds=6)
    found = []
    for speeds in (SPEEDS, machine.Speeds(1e9, 1e9, 1e12, 1e-3)):
        monkeypatch.setattr(machine, "speeds", lambda _, speeds=speeds: speeds)
        groups = plan.plan_training(spec, 20, 31, 2).groups
        found.append([(g.width, g.method, g.weights, g.batch, g.bytes) for g in groups])
    assert found[0] == found[1]
