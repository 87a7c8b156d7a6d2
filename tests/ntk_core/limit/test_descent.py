"""Function-space dynamics along any direction: closed forms, plain small steps, and what is refused."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from ntk_core import Architecture, InfiniteEnsemble, costs, limiting_kernels
from ntk_core.directions import Formula, TwoPlayers
from ntk_core.limit import descent, function_ode, other_costs
from ntk_core.limit.descent import direction_descent
from ntk_core.limit.function_ode import Budget
from ntk_core.limit.other_costs import kernel_descent

X = torch.from_numpy(np.random.default_rng(1).standard_normal((20, 3)))
Y = torch.stack([X[:, 0] * X[:, 1], torch.sin(X[:, 2])], 1)
F_0 = torch.from_numpy(np.random.default_rng(2).standard_normal((20, 2)))
ARCH = Architecture(depth=3, activation="erf", beta=0.1, n_in=3)
K = limiting_kernels(ARCH, X).ntk
TIMES = [0.0, 1.0, 30.0, 300.0]


def test_squared_error_is_the_closed_form_to_1e_8():
    """As a cost, as a formula, and on other points."""
    ensemble = InfiniteEnsemble(ARCH, X, Y)
    expected = torch.stack([ensemble.evolve(F_0, t) for t in TIMES])
    x = np.random.default_rng(7).standard_normal((5, 3))
    f_test = torch.from_numpy(np.random.default_rng(8).standard_normal((5, 2)))
    off = torch.stack([ensemble.evolve(F_0, t, x, f_test) for t in TIMES])
    for path in (
        kernel_descent(K, Y, F_0, TIMES, tolerance=1e-12),
        direction_descent(K, "f - y", Y, X, F_0, TIMES, tolerance=1e-12),
    ):
        torch.testing.assert_close(path.f, expected, rtol=0, atol=1e-8)
        torch.testing.assert_close(path.test(f_test, limiting_kernels(ARCH, x, X).ntk), off, rtol=0, atol=1e-6)


def test_a_driven_direction_is_the_formula_of_variation_of_constants():
    """d = f - y + sin(t): df/dt is linear, and the drive enters through (i - A)^-1 e^{it}."""
    A = -K.numpy() / 20
    path = direction_descent(K, "f - y + sin(t)", Y, X, F_0, [2.0, 15.0], tolerance=1e-11)
    y, f_0, one = Y.numpy(), F_0.numpy(), np.ones((20, 2))
    driven = np.linalg.solve(1j * np.eye(20) - A, A @ one.astype(complex))
    for j, t in enumerate((2.0, 15.0)):
        particular = (driven * np.exp(1j * t)).imag
        expected = y + particular + expm(A * t) @ (f_0 - y - driven.imag)
        np.testing.assert_allclose(path.f[j].numpy(), expected, atol=1e-8)


def test_the_integral_of_the_direction():
    """|d| = 1 for a constant direction over one output; for a residual, the trapezoid rule over a fine path."""
    path = direction_descent(K, "1", Y[:, :1], X, F_0[:, :1], [0.0, 2.0, 5.0])
    torch.testing.assert_close(path.length, torch.tensor([0.0, 2.0, 5.0], dtype=torch.float64))
    times = np.linspace(0, 10, 401).tolist()
    path = kernel_descent(K, Y, F_0, times, tolerance=1e-10)
    norms = (path.f - Y).square().sum(2).mean(1).sqrt().numpy()
    assert float(path.length[-1]) == pytest.approx(np.trapezoid(norms, times), rel=1e-4)


@pytest.mark.parametrize("dense", [600, 0])
def test_cross_entropy_follows_small_steps_and_the_law_of_its_cost(dense, monkeypatch):
    """Several outputs that see each other, by either solver."""
    monkeypatch.setattr(function_ode, "DENSE", dense)
    cost, labels = costs.get("cross_entropy"), torch.eye(3, dtype=torch.float64)[torch.arange(20) % 3]
    f = torch.from_numpy(np.random.default_rng(3).standard_normal((20, 3)))
    path = kernel_descent(K, labels, f, [0.0, 4.0, 4.01, 400.0], "cross_entropy", tolerance=1e-10)
    for _ in range(4000):  # second order: the midpoint rule
        middle = f - 0.0005 * K @ cost.derivative(f, labels) / 20
        f = f - 0.001 * K @ cost.derivative(middle, labels) / 20
    torch.testing.assert_close(path.f[1], f, rtol=0, atol=1e-6)
    assert bool((path.cost.diff() < 0).all())
    d = cost.derivative(path.f[1:3].mean(0), labels)
    assert float(path.cost[2] - path.cost[1]) / 0.01 == pytest.approx(-float((d * (K @ d)).sum()) / 400, rel=1e-4)


def test_a_function_of_ones_own():
    own = direction_descent(K, lambda f, y, x, t: costs.Logistic().derivative(f, y), Y.sign(), X, F_0, [9.0])
    cost = kernel_descent(K, Y.sign(), F_0, [9.0], "logistic")
    torch.testing.assert_close(own.f, cost.f, rtol=0, atol=1e-6)
    assert math.isnan(float(own.cost[0]))


def test_what_grows_without_bound_is_refused():
    with pytest.raises(RuntimeError, match=r"^the outputs grow without bound: beyond 1e\+12 at t = "):
        direction_descent(K, "-f", Y, X, F_0, [1e4])
    with pytest.raises((RuntimeError, ValueError), match=r"is not a finite number|without bound|could not be solved"):
        direction_descent(K, "-f**3", Y, X, 5 * F_0, [1e4])


def test_an_equation_that_is_not_solved_is_refused():
    with pytest.raises(
        RuntimeError, match=r"^the differential equation could not be solved up to t = 1e\+06: 20 steps"
    ):
        direction_descent(K, "sin(50*f) + sign(cos(90*t))", Y, X, F_0, [1e6], budget=Budget(steps=20))


LABELS = torch.eye(3, dtype=torch.float64)[torch.arange(20) % 3]


@pytest.mark.parametrize(
    ("n_out", "follow"),
    [
        (2, lambda f: kernel_descent(K, Y, f, TIMES, costs.Huber(0.3), 1e-9)),
        (3, lambda f: kernel_descent(K, LABELS, f, TIMES, "cross_entropy", 1e-9)),
        (2, lambda f: direction_descent(K, "tanh(f) - y + 0.1*sin(t)", Y, X, f, TIMES, 1e-9)),
        (2, lambda f: direction_descent(K, TwoPlayers(0.4), Y, X, f, TIMES, 1e-9)),
        (2, lambda f: direction_descent(K, lambda f, y, x, t: f - y * x[:, :1], Y, X, f, TIMES, 1e-9)),
    ],
)
def test_many_initial_functions_are_each_alone(n_out, follow):
    f_0 = torch.from_numpy(np.random.default_rng(5).standard_normal((4, 20, n_out)))
    together = follow(f_0)
    assert together.f.shape == (4, 4, 20, n_out)
    assert together.length.shape == (4, 4)
    f_test, cross = torch.zeros(4, 7, n_out, dtype=torch.float64), K[:7]
    for s in range(4):
        alone = follow(f_0[s])
        torch.testing.assert_close(together.f[:, s], alone.f, rtol=0, atol=1e-6)
        torch.testing.assert_close(together.length[:, s], alone.length, rtol=1e-6, atol=1e-8)
        moved = together.test(f_test, cross)[:, s]
        torch.testing.assert_close(moved, alone.f[:, :7] - f_0[s, :7], rtol=0, atol=1e-5)


@pytest.mark.parametrize("cost", ["logistic", "huber", "squared"])
def test_a_stiff_equation_takes_few_steps(cost):
    """Kernels a hundred thousand times as large: an explicit method, or one with a poor Jacobian, would never end."""
    stiff, goals = 1e5 * K, Y.sign()
    path = kernel_descent(stiff, goals, 0 * goals, [0.0, 100.0], cost, 1e-6, Budget(steps=3000))
    d = costs.get(cost).derivative(path.f[-1], goals)
    assert float(d.abs().max()) < 1e-3


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(["logistic", "cross_entropy", "formula", "players"]),
    seed=st.integers(0, 10**6),
    N=st.integers(1, 6),
    S=st.integers(1, 3),
)
def test_the_jacobian_is_that_of_differences(kind, seed, N, S):
    rng = np.random.default_rng(seed)
    n_out = {"logistic": 1, "formula": 2, "players": 2, "cross_entropy": 3}[kind]
    A, f_0 = rng.standard_normal((N, N)), rng.standard_normal((S, N, n_out))
    values, U = np.linalg.eigh(A @ A.T)
    x, y = torch.from_numpy(rng.standard_normal((N, 2))), torch.from_numpy(rng.standard_normal((N, n_out)))
    if kind in ("logistic", "cross_entropy"):
        y = y.sign() if kind == "logistic" else torch.softmax(y, -1)
        cost = costs.get(kind)
        slope, curvature = lambda f, t: cost.derivative(f, y), lambda f, t: other_costs._curvature(cost, f, y)
    else:
        chosen = TwoPlayers(0.3) if kind == "players" else Formula("sin(f*x2) - y*exp(-f*f) + t")
        slope, curvature = descent._parts(chosen, y, x, False)
    equation = function_ode.Equation(values, U, f_0, slope, curvature)
    state = rng.standard_normal(S * equation.block)
    found = np.zeros((S * equation.block,) * 2)
    for s, block in enumerate(equation.blocks(0.7, state)):
        found[s * equation.block :, s * equation.block :][: equation.block, : equation.block] = block
    h = 1e-6 * np.eye(len(state))
    differences = np.stack([equation.move(0.7, state + e) - equation.move(0.7, state - e) for e in h], 1) / 2e-6
    np.testing.assert_allclose(found, differences, atol=1e-5 * (1 + np.abs(found).max()))


@pytest.mark.parametrize("place", ["ntk", "y", "f_0"])
def test_what_is_no_number_is_named(place):
    given = {"ntk": K, "y": Y, "f_0": F_0}
    given[place] = given[place].clone()
    given[place][0, 0] = math.nan
    with pytest.raises(ValueError, match=rf"^{place}: every entry must be a finite number$"):
        direction_descent(**given, direction="f - y", X=X, times=[1.0])


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"^direction: shape \(20, 2\) is needed, got \(20, 1\)"):
        direction_descent(K, lambda f, y, x, t: f[:, :1], Y, X, F_0, [1.0])
    with pytest.raises(ValueError, match=r"^direction: it is not a finite number everywhere at t = 0"):
        direction_descent(K, lambda f, y, x, t: f / 0, Y, X, F_0, [1.0])
    with pytest.raises(ValueError, match=r"^direction: 'g' is not known"):
        direction_descent(K, "g", Y, X, F_0, [1.0])
    with pytest.raises(ValueError, match=r"^times: "):
        direction_descent(K, "f", Y, X, F_0, [2.0, 1.0])
