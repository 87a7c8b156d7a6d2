"""Costs against autograd and against their definitions."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from ntk_core import costs

F = torch.linspace(-6, 6, 41, dtype=torch.float64)[:, None]
EYE = torch.eye(4, dtype=torch.float64)
Y = torch.tensor([-1.0, -0.3, 0.0, 0.45, 1.0], dtype=torch.float64)

ALONE = [name for name in costs.names() if not costs.get(name).coupled]
ALL = [*ALONE, costs.Huber(2.5)]


def definition(name: str, f: float, y: float) -> float:
    """The textbook formulas, one number at a time."""
    if name == "squared":
        return 0.5 * (f - y) ** 2
    if name == "logistic":
        return math.log(1 + math.exp(f)) - (1 + y) / 2 * f
    r = abs(f - y)
    return 0.5 * r * r if r <= 0.1 else 0.1 * r - 0.005


@pytest.mark.parametrize("name", ALONE)
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


class TestCrossEntropy:
    f = torch.from_numpy(np.random.default_rng(0).normal(0, 3, (7, 4)))
    y = torch.from_numpy(np.random.default_rng(1).dirichlet([0.5] * 4, 7))
    cost = costs.CrossEntropy()

    def test_value_is_torchs(self):
        assert float(self.cost.value(self.f, self.y)) == pytest.approx(float(cross_entropy(self.f, self.y)), rel=1e-12)

    def test_derivatives_agree_with_autograd(self):
        f, v = self.f.clone().requires_grad_(True), torch.randn(7, 4, dtype=torch.float64)
        (first,) = torch.autograd.grad(self.cost.point(f, self.y).sum(), f)
        torch.testing.assert_close(self.cost.derivative(self.f, self.y), first)
        (second,) = torch.autograd.grad((self.cost.derivative(f, self.y) * v).sum(), f)
        torch.testing.assert_close(self.cost.hessian_product(self.f, self.y, v), second)
        diagonal = [self.cost.hessian_product(self.f, self.y, e.expand(7, 4))[:, k] for k, e in enumerate(EYE)]
        torch.testing.assert_close(self.cost.second_derivative(self.f, self.y), torch.stack(diagonal, 1))

    def test_two_classes_are_the_logistic_cost(self):
        f, p = self.f[:, :1], self.y[:, :1]
        two = self.cost.value(torch.cat([f, 0 * f], 1), torch.cat([p, 1 - p], 1))
        assert float(two) == pytest.approx(float(costs.Logistic().value(f, 2 * p - 1)), rel=1e-12)

    def test_targets_are_probabilities(self):
        for y, sentence in ((self.y[:, :1], "two or more classes"), (self.y * 2, "adding up to 1"), (-self.y, ">= 0")):
            with pytest.raises(ValueError, match=rf"^y_train: cross-entropy needs .*{sentence}"):
                self.cost.check_targets(y)


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
    with pytest.raises(
        ValueError, match="cost: 'hinge' is not known; choose one of squared, logistic, huber, cross_entropy"
    ):
        costs.get("hinge")
    with pytest.raises(ValueError, match="delta"):
        costs.Huber(0.0)
    with pytest.raises(ValueError, match="y_train: the logistic cost needs targets between -1 and 1, got 0 to 3"):
        costs.get("logistic").check_targets(torch.tensor([0.0, 3.0]))
    with pytest.raises(ValueError, match="y_train"):
        costs.get("squared").check_targets(torch.tensor([math.nan]))
