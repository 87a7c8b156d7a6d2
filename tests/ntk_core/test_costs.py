"""Costs against autograd and against their definitions."""

import math

import pytest
import torch

from ntk_core import costs

F = torch.linspace(-6, 6, 41, dtype=torch.float64)[:, None]
Y = torch.tensor([-1.0, -0.3, 0.0, 0.45, 1.0], dtype=torch.float64)

ALL = [*costs.names(), costs.Huber(2.5)]


def definition(name: str, f: float, y: float) -> float:
    """The textbook formulas, one number at a time."""
    if name == "squared":
        return 0.5 * (f - y) ** 2
    if name == "logistic":
        return math.log(1 + math.exp(f)) - (1 + y) / 2 * f
    r = abs(f - y)
    return 0.5 * r * r if r <= 0.1 else 0.1 * r - 0.005


@pytest.mark.parametrize("name", costs.names())
def test_point_is_the_definition(name):
    c = costs.get(name).point(F, Y)
    expected = [[definition(name, float(f), float(y)) for y in Y] for f in F[:, 0]]
    torch.testing.assert_close(c, torch.tensor(expected, dtype=torch.float64), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("cost", ALL, ids=str)
def test_derivatives_agree_with_autograd(cost):
    cost = costs.get(cost)
    f = F.expand(-1, len(Y)).clone().requires_grad_(True)
    (first,) = torch.autograd.grad(cost.point(f, Y).sum(), f)
    torch.testing.assert_close(cost.derivative(f, Y), first)
    (second,) = torch.autograd.grad(cost.derivative(f, Y).sum(), f)
    torch.testing.assert_close(cost.second_derivative(f, Y), second)


@pytest.mark.parametrize("cost", ALL, ids=str)
def test_convex_along_every_chord(cost):
    cost = costs.get(cost)
    a, b = F, F.mT
    for y in Y:
        middle = cost.point((a + b) / 2, y)
        assert bool((middle <= (cost.point(a, y) + cost.point(b, y)) / 2 + 1e-12).all())


def test_value_sums_outputs_and_averages_points():
    f = torch.tensor([[1.0, 2.0], [0.0, 4.0], [3.0, 0.0]])
    y = torch.zeros(3, 2)
    assert float(costs.get("squared").value(f, y)) == pytest.approx((1 + 4 + 16 + 9) / 2 / 3)
    assert float(costs.get("squared").value(f[:, 0], y[:, 0])) == pytest.approx((1 + 9) / 2 / 3)
    several = torch.stack([f, 2 * f])
    assert costs.get("squared").value(several, y).tolist() == pytest.approx([5.0, 20.0])


def test_logistic_at_the_labels_is_the_margin_loss_and_never_overflows():
    f = torch.tensor([-1000.0, 1000.0])
    assert costs.get("logistic").point(f, torch.tensor([1.0, 1.0])).tolist() == [1000.0, 0.0]
    assert costs.get("logistic").derivative(f, torch.tensor([-1.0, -1.0])).tolist() == [0.0, 1.0]


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="cost: 'hinge' is not known; choose one of squared, logistic, huber"):
        costs.get("hinge")
    with pytest.raises(ValueError, match="delta"):
        costs.Huber(0.0)
    with pytest.raises(ValueError, match="y_train: the logistic cost needs targets between -1 and 1, got 0 to 3"):
        costs.get("logistic").check_targets(torch.tensor([0.0, 3.0]))
    with pytest.raises(ValueError, match="y_train"):
        costs.get("squared").check_targets(torch.tensor([math.nan]))
