"""How modes meet in a leap, against sums over every single step."""

import pytest
import torch

from ntk_core.rules import GradientDescent, GradientFlow, Momentum
from ntk_core.training.misplaced import misplaced

VALUES = torch.tensor([[0.003, 0.4, 1.7, 2.9]], dtype=torch.float64)
RESIDUAL = torch.tensor([[1.0, -2.0, 0.5, 3.0]], dtype=torch.float64)
STILL = torch.zeros_like(RESIDUAL)
MOVING = torch.tensor([[0.01, -0.3, 0.2, 0.1]], dtype=torch.float64)


def summed(rate, count, mu=0.0, pushed=STILL):
    """Both shares step by step: what every gradient finds of the displacement, times all that it moves later on."""
    r, p, d, D = RESIDUAL[0].clone(), pushed[0].clone(), torch.zeros(4).double(), []
    met, total, own, weight = torch.zeros(4, 4).double(), *(torch.zeros(4).double() for _ in range(3))
    for j in range(count):
        later = rate * sum(mu**i for i in range(count - j))
        met += later * torch.outer(d, r)
        total += later * r
        own, weight = own + r * d, weight + r
        p = mu * p - rate * VALUES[0] * r
        d, r = d - p / VALUES[0], r + p
        D.append(d)
    # Descent takes J where a mode is on the average of its own residual, a heavy ball at the middle of the steps.
    signal = total if mu else d
    carried = (d - signal) / 2
    middle = carried + signal * (count - 1) / (2 * count) if mu else own / weight
    size = (VALUES[0] * d**2).sum()
    square = torch.outer(VALUES[0], VALUES[0])
    return [float((square * wrong**2).sum().sqrt() / size) for wrong in (met, met - torch.outer(middle, total))]


def found(rule, time, pushed=STILL):
    return [float(share) for share in misplaced(rule, VALUES, RESIDUAL, pushed, torch.tensor([time]).double())]


@pytest.mark.parametrize("count", [1, 2, 7, 300])
def test_descent_is_summed_over_its_steps(count):
    assert found(GradientDescent(0.3), 0.3 * count) == pytest.approx(summed(0.3, count), rel=1e-9, abs=1e-12)


def test_flow_is_descent_in_small_steps():
    assert found(GradientFlow(), 5.0) == pytest.approx(summed(5e-4, 10_000), rel=2e-3)


@pytest.mark.parametrize("mu", [0.5, 0.9])
@pytest.mark.parametrize("count", [1, 2, 31])
@pytest.mark.parametrize("pushed", [STILL, MOVING], ids=["at rest", "moving"])
def test_a_heavy_ball_is_summed_over_its_steps(mu, count, pushed):
    answer = found(Momentum(0.3, mu), 0.3 * count, pushed)
    first, second = summed(0.3, count, mu, pushed)
    assert answer[0] == pytest.approx(first, rel=1e-9, abs=1e-12)
    if pushed is STILL:  # what is carried on ends with the velocity's last share, not at the middle of its own way
        assert answer[1] == pytest.approx(second, rel=1e-9, abs=1e-12)


def test_a_long_leap_of_a_heavy_ball_is_looked_at_in_places():
    assert found(Momentum(0.01, 0.5), 4.0)[0] == pytest.approx(summed(0.01, 400, 0.5)[0], rel=0.03)


def test_a_short_leap_is_half_wrong_at_first_order_and_not_at_all_by_midpoints():
    first, second = found(GradientFlow(), 1e-4)
    assert first == pytest.approx(0.5, rel=1e-3)
    assert second < 1e-3


def test_a_seed_that_waits_does_nothing_wrong():
    for rule in (GradientDescent(0.3), GradientFlow(), Momentum(0.3, 0.9)):
        pair = (v.expand(2, -1) for v in (VALUES, RESIDUAL, STILL))
        first, second = misplaced(rule, *pair, torch.tensor([0.0, 3.0]).double())
        assert first[0] == second[0] == 0
        assert first[1] > 0
