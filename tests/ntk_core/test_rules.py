"""Spectral filters against the recursions that they stand for, step by step."""

import math

import pytest
import torch

from ntk_core.rules import GradientDescent, GradientFlow, Momentum
from ntk_core.training.modes import Modes

EIGENVALUES = torch.tensor([0.0, 1e-14, 1e-6, 0.01, 0.3, 0.99, 1.0, 1.7], dtype=torch.float64)


def recursion(values, rate, momentum, k, r, p):
    """E, e, r and p after k steps, one at a time."""
    e, total = torch.zeros_like(values), torch.zeros_like(values)
    for _ in range(k):
        e = momentum * e + rate * r
        p = momentum * p - rate * values * r
        r = r + p
        total = total + e
    return total, e, r


@pytest.mark.parametrize("k", [1, 2, 7, 400])
def test_gradient_descent_is_its_steps(k):
    response = GradientDescent(1.0).respond(EIGENVALUES, float(k))
    one = torch.ones_like(EIGENVALUES)
    total, _, r = recursion(EIGENVALUES, 1.0, 0.0, k, one, 0 * one)
    torch.testing.assert_close(response.moved_r, total, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(1 - EIGENVALUES * response.moved_r, r, rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("k", [1, 5, 60])
def test_momentum_is_its_steps(k):
    rule = Momentum(0.7, 0.9)
    response = rule.respond(EIGENVALUES, 0.7 * k)
    one, zero = torch.ones_like(EIGENVALUES), torch.zeros_like(EIGENVALUES)
    total, velocity, _ = recursion(EIGENVALUES, 0.7, 0.9, k, one, zero)
    torch.testing.assert_close(response.moved_r, total)
    torch.testing.assert_close(response.velocity_r, velocity)
    total, velocity, _ = recursion(EIGENVALUES, 0.7, 0.9, k, zero, one)
    torch.testing.assert_close(response.moved_p, total)
    torch.testing.assert_close(response.velocity_p, velocity)
    assert response.kept == pytest.approx(0.9**k)
    assert response.carried == pytest.approx(sum(0.9**j for j in range(1, k + 1)))


def test_gradient_flow_is_the_limit_of_small_steps():
    errors = []
    for rate in (0.1, 0.01):
        small = GradientDescent(rate).respond(EIGENVALUES, 5.0).moved_r
        errors.append(float((small - GradientFlow().respond(EIGENVALUES, 5.0).moved_r).abs().max()))
    assert errors[0] / errors[1] == pytest.approx(10.0, rel=0.15)  # first order in the rate


def test_where_nothing_decays_the_signal_grows_with_time():
    zero = torch.zeros(1, dtype=torch.float64)
    assert float(GradientFlow().respond(zero, 7.0).moved_r) == 7.0
    assert float(GradientDescent(0.5).respond(zero, 7.0).moved_r) == 7.0
    assert float(Momentum(0.5, 0.0).respond(zero, 7.0).moved_r) == pytest.approx(7.0)


def test_halfway_is_where_the_steps_are_centred():
    """sum_j rho^j (E_j - halfway) = 0: step j is taken at the parameters after j steps."""
    values, k = torch.tensor([0.02, 0.3, 0.8], dtype=torch.float64), 9
    rule = GradientDescent(1.0)
    rho = 1 - values
    moved = [rule.respond(values, float(j)).moved_r if j else 0 * values for j in range(k)]
    halfway = rule.respond(values, float(k)).halfway
    total = sum(rho**j * (moved[j] - halfway) for j in range(k))
    torch.testing.assert_close(total, torch.zeros(3, dtype=torch.float64), atol=1e-10, rtol=0)
    assert float(rule.respond(values, 1.0).halfway.abs().max()) < 1e-15  # one step is taken where it starts


@pytest.mark.parametrize(
    ("rule", "limit"), [(GradientDescent(0.5), 4.0), (Momentum(0.5, 0.5), 6.0), (GradientFlow(), math.inf)]
)
def test_stability(rule, limit):
    assert rule.stable(0.999 * min(limit, 1e9))
    if limit < math.inf:
        assert not rule.stable(limit)  # a mode there goes back and forth for ever
        assert not rule.stable(1.001 * limit)


@pytest.mark.parametrize("largest", [1e-6, 0.3, 40.0])
def test_the_largest_rate_is_where_rules_stop_being_stable(largest):
    for made in (GradientDescent, lambda rate: Momentum(rate, 0.5)):
        limit = made(1.0).largest_rate(largest)
        assert made(0.999 * limit).stable(largest)
        assert not made(1.001 * limit).stable(largest)
        assert made(1.0).largest_rate(0.0) == math.inf
    assert GradientFlow().largest_rate(largest) == math.inf


def operator(P, seed=0):
    source = torch.Generator().manual_seed(seed)
    U = torch.linalg.qr(torch.randn(P, P, dtype=torch.float64, generator=source)).Q
    values = 0.5 / (1 + torch.arange(P, dtype=torch.float64)) ** 1.5
    return (U * values) @ U.T, torch.randn(1, P, dtype=torch.float64, generator=source)


@pytest.mark.parametrize("time", [1.0, 50.0, 5000.0])
def test_krylov_space_gives_what_eigenvectors_give(time):
    K, r = operator(400)

    def function(v):
        return GradientFlow().respond(v, time).moved_r

    exact = Modes(K[None], r).act(function)
    fast = Modes(K[None], r, dense_up_to=10)
    torch.testing.assert_close(fast.act(function), exact, rtol=1e-6, atol=1e-6 * float(exact.norm()))


def seeds_apart_are_seeds_together(operators, vectors):
    def function(v):
        return GradientFlow().respond(v, 30.0).moved_r

    together = Modes(operators, vectors, dense_up_to=10).act(function)
    for seed in range(len(vectors)):
        alone = Modes(operators[seed : seed + 1], vectors[seed : seed + 1]).act(function)[0]
        torch.testing.assert_close(together[seed], alone, rtol=1e-6, atol=1e-6 * float(alone.norm()))


def test_seeds_share_the_work_of_a_krylov_space_and_nothing_else():
    (K, r), (other, q) = operator(120), operator(120, seed=1)
    seeds_apart_are_seeds_together(torch.stack([K, 1e-3 * other]), torch.cat([r, 1e4 * q]))


def test_a_krylov_space_may_end_while_another_seeds_goes_on():
    """After three products nothing is new, not even rounding: the operator has rows of zeros."""
    (K, r), few = operator(120), torch.zeros(120, 120, dtype=torch.float64)
    few[:3, :3] = torch.diag(torch.tensor([0.9, 0.5, 0.2]))
    seeds_apart_are_seeds_together(torch.stack([K, few]), torch.cat([r, r]))


def test_a_filter_too_sharp_for_the_krylov_space_gets_eigenvectors():
    K, r = operator(400)

    def function(v):
        return GradientFlow().respond(v, 1e9).moved_r

    modes = Modes(K[None], r, dense_up_to=10)
    torch.testing.assert_close(modes.act(function), Modes(K[None], r).act(function), rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf])
def test_rates_are_checked(rate):
    with pytest.raises(ValueError, match="learning_rate"):
        GradientDescent(rate)
    with pytest.raises(ValueError, match="learning_rate"):
        Momentum(rate, 0.9)


def test_momentum_is_checked():
    with pytest.raises(ValueError, match="momentum"):
        Momentum(1.0, 1.0)
