"""Predicted seconds: what makes a run longer makes the prediction longer, and no choice hangs on it."""

import pytest

from ntk_core.experiments import circle
from ntk_core.runs import machine, plan
from ntk_core.runs.counts import TrainingCost
from ntk_core.runs.expected import expected_seconds
from ntk_core.runs.expected_sampled import expected_ranks

SPEEDS = machine.Speeds(1e11, 5e10, 2e10, 2e-6)


def cost(weights="dense", width=200, device="cpu", **fields):
    spec = circle.Spec(**({"widths": (width,), "activation": "tanh", "seeds": 4, "device": "cpu"} | fields))
    return TrainingCost(spec, width, weights, device, 20, 31, 2, 1)


@pytest.mark.parametrize(
    "more",
    [{"width": 800}, {"depth": 6}, {"snapshots": 48}, {"activation": "mish"}, {"rule": "momentum"},
     {"precision": "float64"}, {"tolerance": 0.001}, {"method": "steps", "time": 500}],
    ids=str,
)  # fmt: skip
def test_what_takes_longer_is_predicted_to(more):
    assert expected_seconds(cost(**more), SPEEDS) > 1.01 * expected_seconds(cost(), SPEEDS)


def test_activations_cost_what_they_were_measured_to(monkeypatch):
    """Linear in what was measured."""
    found = []
    for operations in (0.0, 5e-3, 1e-2):
        monkeypatch.setattr(machine, "activation_operations", lambda *_, operations=operations: operations)
        found.append(expected_seconds(cost(), SPEEDS))
    assert found[1] > 1.05 * found[0]
    assert found[2] - found[0] == pytest.approx(2 * (found[1] - found[0]))


def test_an_activation_is_measured():
    nothing, much = (machine.activation_operations(name, "float64") for name in ("identity", "mish"))
    assert 0 < nothing < much < 1


def test_a_machine_is_as_fast_as_it_was_lately(monkeypatch):
    """Means of times, not of rates; a sample more only where the last is old; those long ago are forgotten."""
    monkeypatch.setattr(machine, "BETWEEN_SECONDS", 1e9)
    gauge = machine.Gauge("cpu")
    taken = iter([1e-3] * (4 * machine.FIRST) + [3e-3] * 4 * machine.KEPT)
    monkeypatch.setattr(machine, "_best", lambda *_: next(taken))
    first = gauge.speeds()
    assert first.overhead == pytest.approx(1e-3 / machine.SMALL_OPERATIONS)
    assert gauge.speeds() == first
    monkeypatch.setattr(machine, "BETWEEN_SECONDS", 0.0)
    share = 1 / (machine.FIRST + 1)
    assert gauge.speeds().flops32 == pytest.approx(first.flops32 / (1 - share + 3 * share))
    for _ in range(machine.KEPT - 1):
        last = gauge.speeds()
    assert last.bandwidth == pytest.approx(first.bandwidth / 3)
    assert last.flops64 == pytest.approx(first.flops64 / 3)


def test_a_machine_twice_as_fast_halves_all_but_the_start_and_the_eigenproblems():
    fast = machine.Speeds(2e11, 1e11, 4e10, 1e-6)
    fixed = expected_seconds(cost(), machine.Speeds(1e30, 1e30, 1e30, 0.0))
    slow, quick = (expected_seconds(cost(), speeds) - fixed for speeds in (SPEEDS, fast))
    assert quick == pytest.approx(slow / 2)


def test_other_devices_keep_their_counts():
    assert expected_seconds(cost(device="cuda"), SPEEDS) == cost(device="cuda").seconds(SPEEDS)


@pytest.mark.parametrize(
    "more",
    [{"width": 12_000}, {"depth": 6}, {"snapshots": 96}, {"activation": "mish"}, {"activation": "relu"},
     {"rule": "momentum"}, {"precision": "float64"}, {"beta": 1.0}, {"tolerance": 0.001}],
    ids=str,
)  # fmt: skip
def test_what_takes_sampled_weights_longer_is_predicted_to(more):
    made = {"weights": "sampled", "width": 3000}
    assert expected_seconds(cost(**made | more), SPEEDS) > 1.01 * expected_seconds(cost(**made), SPEEDS)


@pytest.mark.parametrize(
    ("name", "fields", "width", "points", "looked_at", "found"),
    [("a kink, few points", {"activation": "leaky_relu"}, 82_598, 4, 98, 286),
     ("a kink, digits", {"activation": "relu"}, 8668, 77, 0, 682),
     ("smooth", {"activation": "tanh"}, 9851, 16, 121, 120),
     ("gentle", {"activation": "sigmoid"}, 59_459, 12, 121, 25),
     ("linear", {"activation": "identity"}, 11_308, 21, 0, 23)],
)  # fmt: skip
def test_as_many_directions_are_expected_as_were_counted(name, fields, width, points, looked_at, found):
    spec = circle.Spec(**({"widths": (width,), "device": "cpu"} | fields))
    expected = expected_ranks(TrainingCost(spec, width, "sampled", "cpu", points, looked_at, 2, 1))
    assert found / 2 < expected < 2 * found


def test_no_choice_hangs_on_the_machines_speeds(monkeypatch):
    spec = circle.Spec(widths=(64, 3000), seeds=6)
    found = []
    for speeds in (SPEEDS, machine.Speeds(1e9, 1e9, 1e12, 1e-3)):
        monkeypatch.setattr(machine, "speeds", lambda _, speeds=speeds: speeds)
        groups = plan.plan_training(spec, 20, 31, 2).groups
        found.append([(g.width, g.method, g.weights, g.batch, g.bytes) for g in groups])
    assert found[0] == found[1]
