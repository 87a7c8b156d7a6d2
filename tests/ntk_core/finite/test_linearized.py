"""The linearized network against its Jacobian written out and stepped; the distance to it falls with width."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntk_core import Architecture, GradientDescent, GradientFlow, LinearizedNetwork, Momentum, Network, train
from ntk_core.finite.laws import fit_slope
from ntk_core.finite.movement import kernel_movement
from ntk_core.finite.scaled import rescaled_targets
from tests import oracles_finite as naive

ANGLES = torch.tensor([-2.19438, -0.93143, 0.963, 2.22595], dtype=torch.float64)
X = torch.stack([ANGLES.cos(), ANGLES.sin()], 1)
Y = torch.tensor([-0.4, -0.2, 0.3, 0.3], dtype=torch.float64)
GRID = torch.linspace(-3.14, 3.14, 24, dtype=torch.float64)
CIRCLE = torch.stack([GRID.cos(), GRID.sin()], 1)


def stepped(sigma, beta, theta, X, y, X_test, rate, steps, momentum):
    """f_0 + J (theta - theta_0), the Jacobian by autograd, trained by plain steps: at X and X_test."""
    flat = [p for pair in theta for p in pair]
    everything = torch.cat([X, X_test])

    def f(*values):
        return naive.network(sigma, beta, list(zip(values[::2], values[1::2], strict=True)), everything)

    J = torch.cat([j.flatten(2) for j in torch.autograd.functional.jacobian(f, tuple(flat))], -1)
    f0, moved = f(*flat), torch.zeros(J.shape[-1], dtype=torch.float64)
    velocity = torch.zeros_like(moved)
    for _ in range(steps):
        residual = (f0 + J @ moved)[: len(X)] - y
        velocity = momentum * velocity - rate * torch.einsum("nkp,nk->p", J[: len(X)], residual) / len(X)
        moved = moved + velocity
    return f0 + J @ moved


@settings(max_examples=12, deadline=None)
@given(
    activation=st.sampled_from([("relu", torch.relu), ("tanh", torch.tanh)]),
    n_out=st.integers(1, 3),
    momentum=st.sampled_from([0.0, 0.8]),
    steps=st.integers(0, 30),
    seed=st.integers(0, 1000),
)
def test_it_is_the_jacobian_stepped(activation, n_out, momentum, steps, seed):
    name, sigma = activation
    arch = Architecture(3, (9, 7), name, 0.3, 2, n_out)
    theta = naive.parameters(arch.widths, seed)
    y = torch.randn(4, n_out, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    network = Network.from_parameters(arch, [W for W, _ in theta], [b for _, b in theta])
    rule = Momentum(0.3, momentum) if momentum else GradientDescent(0.3)
    lin = LinearizedNetwork(network, X, y if n_out > 1 else y[:, 0], rule)
    expected = stepped(sigma, 0.3, theta, X, y, CIRCLE, 0.3, steps, momentum)
    scale = 1 + float(expected.abs().max())
    torch.testing.assert_close(lin.at(0.3 * steps), expected[:4], rtol=0, atol=1e-9 * scale)
    torch.testing.assert_close(lin.at(0.3 * steps, CIRCLE), expected[4:], rtol=0, atol=1e-9 * scale)


def test_it_stays_where_it_was_while_the_network_trains():
    network = Network.init(Architecture(3, 64), [0, 1], dtype=torch.float64, weights="dense")
    lin = LinearizedNetwork(network, X, Y)
    start, then = network(CIRCLE), lin.at(7.0, CIRCLE[:5])
    for _ in train(network, X, Y, [0, 50]):
        pass
    torch.testing.assert_close(lin.at(0.0, CIRCLE), start)
    torch.testing.assert_close(lin.at(7.0, CIRCLE[:5]), then)
    assert not torch.allclose(network(CIRCLE), start, atol=0.05)


def test_at_infinity_it_is_kernel_regression_of_what_is_left():
    network = Network.init(Architecture(4, 64, "tanh"), 3, dtype=torch.float64, weights="dense")
    lin = LinearizedNetwork(network, X, Y)
    K, k, f0 = network.tangent_kernel(X), network.tangent_kernel(CIRCLE, X), network(X)
    regression = k @ torch.linalg.solve(K, Y[:, None])
    torch.testing.assert_close(lin.kernel_regression(CIRCLE), regression, rtol=1e-7, atol=1e-9)
    trained = network(CIRCLE) - k @ torch.linalg.solve(K, f0 - Y[:, None])
    torch.testing.assert_close(lin.at(math.inf, CIRCLE), trained, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(lin.at(math.inf)[:, 0], Y, rtol=0, atol=1e-9)
    torch.testing.assert_close(lin.at(1e9, CIRCLE), trained, rtol=1e-6, atol=1e-8)
    ridge = k @ torch.linalg.solve(K + 0.4 * torch.eye(4, dtype=torch.float64), Y[:, None])
    torch.testing.assert_close(lin.kernel_regression(CIRCLE, ridge=0.1), ridge, rtol=1e-9, atol=1e-12)


def test_equal_inputs_give_numbers_in_single_precision():
    network = Network.init(Architecture(3, 64), 0)
    lin = LinearizedNetwork(network, X[[0, 0, 1, 2]], [0.5, -0.5, 0.2, 0.1], GradientDescent(0.5))
    assert float(lin.at(math.inf)[:2].abs().max()) < 1e-4
    assert bool(torch.isfinite(lin.at(math.inf, CIRCLE)).all())


def test_sampled_weights_are_linearized_like_stored_ones():
    """The kernel's own law: at infinity both sit on the targets, and between they follow their networks."""
    arch = Architecture(4, 3000, "tanh")
    network = Network.init(
        arch, 0, weights="sampled", tolerance=1e-5, points=torch.cat([X, CIRCLE]), dtype=torch.float64
    )
    lin = LinearizedNetwork(network, X, Y)
    state = list(train(network, X, Y, [0, 60], rule=GradientFlow()))[-1]
    assert float((lin.at(60.0)[:, 0] - state.outputs[0, :, 0]).abs().max()) < 2e-3
    assert float((lin.at(60.0, CIRCLE) - network(CIRCLE)).abs().max()) < 2e-3
    assert float((lin.at(0.0, CIRCLE) - network(CIRCLE)).abs().max()) > 0.02


def test_the_distance_to_it_falls_with_width():
    """sup over the circle and t of |f - f_lin|, goal f_0 + y: measured -0.65 to -0.8, and the kernel's change alike."""
    widths, distance, change = [64, 128, 256, 512], [], []
    for width in widths:
        network = Network.init(Architecture(4, width), range(10), weights="dense")
        y = rescaled_targets(network, X, Y, 1.0)
        lin, before, furthest = LinearizedNetwork(network, X, y), network.tangent_kernel(X), torch.zeros(10).double()
        for state in train(network, X, y, [5, 20, 60, 200], rule=GradientFlow(), tolerance=0.02):
            if state.output is not None:
                gap = (network(CIRCLE) - lin.at(state.time, CIRCLE)).abs().amax((1, 2))
                furthest = torch.maximum(furthest, gap)
        distance.append(float(furthest.mean()))
        change.append(float(kernel_movement(before, network.tangent_kernel(X)).mean()))
    assert fit_slope(widths, distance).slope == pytest.approx(-0.8, abs=0.25)
    assert -1.1 < fit_slope(widths, change).slope < -0.55


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda n: LinearizedNetwork(n, X, Y[:3]), r"^y: targets of shape \(4, 1\) are needed, got \(3, 1\)$"),
        (lambda n: LinearizedNetwork(n, X, Y * math.nan), "^y: every target must be a finite number"),
        (lambda n: LinearizedNetwork(n, X[:, :1], Y), "^X: inputs of shape"),
        (lambda n: LinearizedNetwork(n, X, Y).at(-1.0), "^t: a time must be >= 0"),
        (lambda n: LinearizedNetwork(n, X, Y).at(math.nan), "^t: a time must be >= 0"),
        (lambda n: LinearizedNetwork(n, X, Y, GradientDescent(0.5)).at(0.7), "^t: .* is not a whole number of steps"),
        (lambda n: LinearizedNetwork(n, X, Y, GradientDescent(500.0)).at(math.inf), "^t: nothing is reached"),
        (lambda n: LinearizedNetwork(n, X, Y).at(1.0, [[1.0]]), "^X: inputs of shape"),
        (lambda n: LinearizedNetwork(n, X, Y).kernel_regression(X, ridge=-1.0), "^ridge: must be"),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call(Network.init(Architecture(3, 16), 0))


def test_the_stable_rate_is_where_descent_begins_to_grow():
    network = Network.init(Architecture(3, 64), 0, dtype=torch.float64)
    rate = LinearizedNetwork(network, X, Y).stable_rate
    sizes = [
        float((LinearizedNetwork(network, X, Y, GradientDescent(r)).at(400 * r)[:, 0] - Y).norm())
        for r in (0.98 * rate, 1.02 * rate)
    ]
    assert sizes[0] < 1.0 < sizes[1]
    assert np.isclose(rate, 2 / float(torch.linalg.eigvalsh(network.tangent_kernel(X) / 4)[-1]))


def test_regression_on_equal_points_is_the_least_squares_of_least_norm():
    """Their kernel is singular: what it cannot tell apart gets the mean target, and nothing along the null space."""
    network = Network.init(Architecture(4, 64, "tanh"), 3, dtype=torch.float64, weights="dense")
    twice = X[[0, 1, 1, 2, 2, 2]]
    y = torch.tensor([0.5, 1.0, -2.0, 0.3, 0.0, 3.0], dtype=torch.float64)
    lin = LinearizedNetwork(network, twice, y)
    K, k = network.tangent_kernel(twice), network.tangent_kernel(CIRCLE, twice)
    wanted = k @ torch.linalg.pinv(K, rtol=1e-10, hermitian=True) @ y[:, None]
    torch.testing.assert_close(lin.kernel_regression(CIRCLE), wanted, rtol=1e-7, atol=1e-8)
    means = torch.tensor([0.5, -0.5, -0.5, 1.1, 1.1, 1.1], dtype=torch.float64)
    torch.testing.assert_close(lin.kernel_regression(twice)[:, 0], means, rtol=0, atol=1e-8)


@pytest.mark.parametrize("rule", [GradientFlow(), GradientDescent(1.0), Momentum(1.0, 0.9)], ids=str)
def test_what_the_kernel_does_not_see_stays_unseen_for_all_time(rule):
    """Single precision leaves 40 points on the circle a null space, in which gains grow with t."""
    network = Network.init(Architecture(3, 200, "erf"), [0, 1], weights="dense")
    angles = torch.linspace(0, 2 * math.pi, 41, dtype=torch.float64)[:-1]
    points = torch.stack([angles.cos(), angles.sin()], 1)
    lin = LinearizedNetwork(network, points, torch.sign(angles.sin() + 0.1), rule)
    assert int((lin.values == 0).sum()) > 10
    end = lin.at(math.inf, CIRCLE)
    for t in (1e10, 1e15):  # every other mode has long been learned
        torch.testing.assert_close(lin.at(t, CIRCLE), end, rtol=0, atol=1e-9)
        torch.testing.assert_close(lin.at(t, points), lin.at(t), rtol=0, atol=1e-9)
