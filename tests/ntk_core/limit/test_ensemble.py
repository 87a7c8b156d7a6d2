"""The limit's dynamics against the oracle, the paper's figure, and the laws of sections 3 and 5."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from ntk_core import Architecture, InfiniteEnsemble, costs, data, limiting_kernels
from ntk_core.limit.other_costs import kernel_descent
from ntk_core.rules import GradientDescent, GradientFlow, Momentum
from tests.oracles import oracle
from tests.oracles_limit import whitened_square

PAPER = json.loads((Path(__file__).parents[3] / "assets" / "paper_figures.json").read_text())
FIGURE_2 = Architecture(depth=4, activation="relu", beta=0.1, n_in=2)
CASES = [(case, moment) for case in oracle()["dynamics"] for moment in case["at"]]


def name_of(value):
    return f"{value['activation']}-{value['depth']}-{value['beta']}" if "depth" in value else f"t={value['t']}"


@pytest.fixture(scope="module")
def figure_2():
    gamma, y = data.paper_points()
    return InfiniteEnsemble(FIGURE_2, data.circle(gamma), y)


@pytest.fixture(scope="module")
def random_task():
    """20 Gaussian points with two outputs, so that eigenvalues spread over several decades."""
    X = np.random.default_rng(1).standard_normal((20, 3))
    y = np.stack([X[:, 0] * X[:, 1], np.sin(X[:, 2])], 1)
    return InfiniteEnsemble(Architecture(depth=3, activation="erf", beta=0.1, n_in=3, n_out=2), X, y)


@pytest.mark.parametrize(("case", "moment"), CASES, ids=name_of)
def test_oracle(case, moment):
    arch = Architecture(depth=case["depth"], activation=case["activation"], beta=case["beta"], n_in=2)
    ensemble = InfiniteEnsemble(arch, case["x_train"], case["y_train"])
    g = ensemble.at(float(moment["t"]), case["x_test"])
    np.testing.assert_allclose(g.mean.numpy(), moment["mean"], atol=1e-8, rtol=1e-8)
    np.testing.assert_allclose(g.cov.numpy(), moment["cov"], atol=1e-8, rtol=1e-8)


def test_oracle_has_all_cases():
    assert len(CASES) == 9 * 5


@pytest.mark.parametrize(("gamma", "expected"), [(0.0, (-0.125, 0.0412, 0.207)), (math.pi, (-0.202, -0.0396, 0.123))])
def test_figure_2_percentiles(figure_2, gamma, expected):
    percentiles = figure_2.at(math.inf, data.circle([gamma])).percentile([10, 50, 90])
    np.testing.assert_allclose(percentiles[:, 0], expected, atol=0.001)


def test_figure_2_posterior_with_the_ntk_as_prior_is_another_distribution(figure_2):
    x = data.circle([0.0])
    assert float(figure_2.ntk_posterior(x).percentile(90)) == pytest.approx(0.551, abs=0.001)
    assert float(figure_2.at(math.inf, x).percentile(90)) == pytest.approx(0.207, abs=0.001)


def test_figure_2_curves_of_the_paper(figure_2):
    """The paper took both kernels from one network of width 10,000, whose kernels are off by about three percent."""
    figure, gamma = PAPER["figure2"], np.array(PAPER["gamma"])
    p10, p50, p90 = figure_2.at(math.inf, data.circle(gamma)).percentile([10, 50, 90]).numpy()
    low, high = np.sort(figure["P10 and P90"], axis=0)
    assert np.abs(p50 - figure["P50"][0]).max() < 0.01
    assert np.abs(p10 - low).max() < 0.03
    assert np.abs(p90 - high).max() < 0.03
    assert np.abs((p90 + p10) / 2 - (high + low) / 2).max() < 0.01
    np.testing.assert_allclose((high - low).mean(), (p90 - p10).mean(), rtol=0.05)


@pytest.mark.parametrize("width", ["n=50", "n=1000"])
def test_figure_2_networks_of_the_paper_are_drawn_from_the_limit(figure_2, width):
    """Ten trained networks read off the figure, at the six angles that tell most: 60 squares of standard normals.

    There the limit's spread is above 0.04; next to the training points the reading error is as large as the spread.
    """
    curves = np.array(PAPER["figure2"][width])
    limit = figure_2.at(1000.0, data.circle(PAPER["gamma"]))
    mean, std = limit.mean.numpy().ravel(), limit.std.numpy().ravel()
    away = std > 0.04
    assert np.abs((curves.mean(0) - mean)[away] / (std[away] / math.sqrt(10))).max() < 4
    square = whitened_square(curves, mean, limit.cov.numpy(), 6)
    assert 0.005 < stats.chi2.cdf(square, 10 * 6) < 0.995


def test_ntk_posterior_is_the_textbook_formula(figure_2):
    X, test = figure_2.X, torch.from_numpy(data.circle(np.linspace(-3, 3, 9)))
    K, k = limiting_kernels(FIGURE_2, X).ntk, limiting_kernels(FIGURE_2, test, X).ntk
    g = figure_2.ntk_posterior(test)
    torch.testing.assert_close(g.mean, k @ torch.linalg.solve(K, figure_2.y), rtol=0, atol=1e-10)
    cov = limiting_kernels(FIGURE_2, test).ntk - k @ torch.linalg.solve(K, k.mT)
    torch.testing.assert_close(g.cov, cov, rtol=0, atol=1e-10)


def test_time_zero_is_the_nngp(random_task):
    X = np.random.default_rng(2).standard_normal((7, 3))
    g = random_task.at(0.0, X)
    torch.testing.assert_close(g.cov, limiting_kernels(random_task.arch, X).nngp, rtol=0, atol=1e-14)
    assert g.mean.shape == (7, 2)
    assert float(g.mean.abs().max()) == 0.0


def test_infinity_interpolates(random_task):
    g = random_task.at(math.inf, random_task.X)
    torch.testing.assert_close(g.mean, random_task.y, rtol=0, atol=1e-8)
    assert float(g.std.max()) < 1e-6


def test_late_times_approach_infinity(figure_2):
    x = data.circle(np.linspace(-3, 3, 20))
    late, last = figure_2.at(1e6, x), figure_2.at(math.inf, x)
    torch.testing.assert_close(late.mean, last.mean, rtol=0, atol=1e-10)
    torch.testing.assert_close(late.cov, last.cov, rtol=0, atol=1e-10)


@pytest.mark.parametrize("t", [0.0, 0.5, 30.0, 1000.0, math.inf])
def test_covariance_is_positive_semidefinite_and_marginals_agree(random_task, t):
    X = np.random.default_rng(3).standard_normal((11, 3))
    view = random_task.on(X)
    g = view.at(t)
    torch.testing.assert_close(g.cov, g.cov.mT, rtol=0, atol=1e-14)
    assert float(torch.linalg.eigvalsh(g.cov)[0]) > -1e-10
    mean, std = view.marginals([2.0, t])
    torch.testing.assert_close(mean[1], g.mean)
    torch.testing.assert_close(std[1].square(), g.std.square(), rtol=0, atol=1e-12)


def test_covariance_is_that_of_evolved_samples(figure_2):
    """Pushing draws of f_0 through `evolve` gives the Gaussian of `at`."""
    gamma = np.linspace(-3, 3, 5)
    joint = np.concatenate([data.circle(gamma), figure_2.X.numpy()])
    root = torch.linalg.cholesky(limiting_kernels(FIGURE_2, joint).nngp + 1e-12 * torch.eye(9, dtype=torch.float64))
    f_0 = root @ torch.from_numpy(np.random.default_rng(0).standard_normal((9, 4000)))
    several = InfiniteEnsemble(FIGURE_2, figure_2.X, figure_2.y[:, None].expand(-1, 4000))
    f = several.evolve(f_0[5:], 20.0, data.circle(gamma), f_0[:5])
    g = figure_2.at(20.0, data.circle(gamma))
    error = g.std / math.sqrt(4000)
    assert float(((f.mean(1) - g.mean) / error).abs().max()) < 4.5
    torch.testing.assert_close(f.cov(), g.cov, rtol=0, atol=float(4.5 * g.std.max() ** 2 * math.sqrt(2 / 4000)))


def test_evolve_on_and_off_the_training_points_agree(random_task):
    f_0 = torch.from_numpy(np.random.default_rng(5).standard_normal((20, 2)))
    on = random_task.evolve(f_0, 7.0)
    off = random_task.evolve(f_0, 7.0, random_task.X, f_0)
    torch.testing.assert_close(on, off, rtol=0, atol=1e-12)


def test_a_network_evolves_however_its_outputs_are_shaped(figure_2):
    """One output as (N, 1), in single precision, as a network answers; targets are (N,)."""
    f_0, off = torch.tensor([0.3, -0.2, 0.5, 0.1]), torch.tensor([0.2, 0.4])
    x = data.circle([0.1, 2.0])
    for test in ({}, {"X_test": x, "f_test": off}):
        flat = figure_2.evolve(f_0, 5.0, **test)
        column = figure_2.evolve(f_0[:, None], 5.0, **({"X_test": x, "f_test": off[:, None]} if test else {}))
        assert flat.ndim == 1
        torch.testing.assert_close(column, flat[:, None], rtol=0, atol=0)
    torch.testing.assert_close(figure_2.evolve(f_0, 0.0), f_0.double())


@pytest.mark.parametrize(
    ("f_train", "f_test", "sentence"),
    [
        (torch.zeros(4, 4), None, r"^f_train: f_0 of shape \(4, 1\) is needed, got \(4, 4\)$"),
        (torch.zeros(3), None, r"^f_train: f_0 of shape \(4, 1\) is needed, got \(3,\)$"),
        (torch.zeros(2, 4, 1), None, r"^f_train: f_0 of shape \(4, 1\) is needed, got \(2, 4, 1\)$"),
        (torch.zeros(4), torch.zeros(3), r"^f_test: f_0 of shape \(2, 1\) is needed, got \(3,\)$"),
    ],
)
def test_initial_functions_that_do_not_fit_are_named(figure_2, f_train, f_test, sentence):
    with pytest.raises(ValueError, match=sentence):
        figure_2.evolve(f_train, 1.0, None if f_test is None else data.circle([0.1, 2.0]), f_test)


def test_no_times_are_named(figure_2):
    view = figure_2.on(figure_2.X)
    for call in (view.means, view.marginals, figure_2.gains, figure_2.decays):
        with pytest.raises(ValueError, match=r"^times: one or more times are needed, got none$"):
            call([])


def test_cost_decreases_at_the_rate_of_section_3(random_task):
    """dC/dt = -|d|_K^2 with |d|_K^2 = E_{x,x'} d(x) K(x, x') d(x')."""
    f_0 = torch.from_numpy(np.random.default_rng(5).standard_normal((20, 2)))
    cost = costs.get("squared")
    for t in (0.0, 1.0, 20.0):
        h = 1e-4
        before, after = (cost.value(random_task.evolve(f_0, t + s), random_task.y) for s in (0.0, h))
        middle = random_task.evolve(f_0, t + h / 2) - random_task.y
        law = -(middle * (random_task.ntk @ middle)).sum() / 20**2
        assert float(law) < 0
        assert float((after - before) / h) == pytest.approx(float(law), rel=1e-6)


def test_expected_cost_is_the_mean_cost_of_the_gaussian(random_task):
    for t in (0.0, 3.0, 100.0):
        g = random_task.at(t, random_task.X)
        expected = ((g.mean - random_task.y).square().sum(1) + 2 * g.cov.diagonal()).mean() / 2
        assert random_task.expected_cost(t) == pytest.approx(float(expected), rel=1e-9)


def test_several_outputs_are_single_outputs_side_by_side(random_task):
    x = np.random.default_rng(2).standard_normal((4, 3))
    for k in range(2):
        alone = InfiniteEnsemble(random_task.arch, random_task.X, random_task.y[:, k])
        torch.testing.assert_close(random_task.at(9.0, x).mean[:, k], alone.at(9.0, x).mean)
        torch.testing.assert_close(random_task.at(9.0, x).percentile(90)[:, k], alone.at(9.0, x).percentile(90))


class TestNullSpace:
    """Equal inputs make Theta singular; with different targets nothing fits them."""

    @pytest.fixture
    def repeated(self):
        gamma = np.array([-2.0, 0.5, 0.5, 2.0])
        return InfiniteEnsemble(FIGURE_2, data.circle(gamma), [0.3, 1.0, -0.2, 0.1])

    def test_the_limit_settles_on_the_mean_target(self, repeated):
        once = InfiniteEnsemble(FIGURE_2, data.circle([-2.0, 0.5, 2.0]), [0.3, 0.4, 0.1])
        x = data.circle(np.linspace(-3, 3, 12))
        for t in (1e5, 1e20, math.inf):
            torch.testing.assert_close(repeated.at(t, x).mean, once.at(math.inf, x).mean, rtol=0, atol=1e-9)
            torch.testing.assert_close(repeated.at(t, x).cov, once.at(math.inf, x).cov, rtol=0, atol=1e-9)

    def test_every_repeated_input_is_one_null_direction(self):
        """However the kernel rounds near coincidence (a relu kernel does, to 1e-9)."""
        X = np.random.default_rng(0).standard_normal((15, 2)).repeat(2, 0)
        ensemble = InfiniteEnsemble(FIGURE_2, X, np.tile([1.0, -1.0], 15))
        assert int((ensemble.values == 0).sum()) == 15
        torch.testing.assert_close(ensemble.ntk, limiting_kernels(FIGURE_2, X).ntk, rtol=1e-7, atol=0)
        assert float(ensemble.at(math.inf, X).mean.abs().max()) < 1e-10

    def test_the_null_part_of_the_residual_stays(self, repeated):
        assert int((repeated.values == 0).sum()) == 1
        assert float(repeated.gain(12.5)[0]) == 12.5
        f = repeated.evolve(torch.zeros(4, dtype=torch.float64), math.inf)
        torch.testing.assert_close(f, torch.tensor([0.3, 0.4, 0.4, 0.1], dtype=torch.float64), rtol=0, atol=1e-10)
        assert repeated.expected_cost(math.inf) == pytest.approx(2 * 0.6**2 / 2 / 4, rel=1e-9)

    def test_a_kernel_that_vanishes_changes_nothing(self):
        still = InfiniteEnsemble(
            Architecture(depth=2, activation="relu", beta=0.0, n_in=2), np.zeros((3, 2)), [1, 2, 3]
        )
        g = still.at(math.inf, [[1.0, 0.0]])
        assert float(g.mean) == 0.0
        assert still.stable_rate == math.inf


class TestOtherRules:
    def test_discrete_descent_is_the_plain_loop(self, random_task):
        f = torch.from_numpy(np.random.default_rng(5).standard_normal((20, 2)))
        discrete = random_task.under(GradientDescent(2.0))
        expected = f.clone()
        for _ in range(30):
            expected -= 2.0 * random_task.ntk @ (expected - random_task.y) / 20
        torch.testing.assert_close(discrete.evolve(f, 60.0), expected, rtol=0, atol=1e-12)

    def test_discrete_approaches_the_flow_at_first_order(self, figure_2):
        x = data.circle(np.linspace(-3, 3, 12))
        exact = figure_2.at(8.0, x).mean
        rates = np.array([0.4, 0.2, 0.1, 0.05])
        errors = [float((figure_2.under(GradientDescent(r)).at(8.0, x).mean - exact).abs().max()) for r in rates]
        order = np.polyfit(np.log(rates), np.log(errors), 1)[0]
        assert order == pytest.approx(1.0, abs=0.05)

    def test_momentum_is_the_plain_loop(self, random_task):
        f = torch.from_numpy(np.random.default_rng(5).standard_normal((20, 2)))
        heavy = random_task.under(Momentum(0.5, 0.8))
        expected, velocity = f.clone(), torch.zeros_like(f)
        for _ in range(25):
            velocity = 0.8 * velocity - 0.5 * random_task.ntk @ (expected - random_task.y) / 20
            expected += velocity
        torch.testing.assert_close(heavy.evolve(f, 12.5), expected, rtol=0, atol=1e-12)

    def test_descent_diverges_just_above_the_stable_rate(self, figure_2):
        x = figure_2.X
        below, above = (figure_2.under(GradientDescent(s * figure_2.stable_rate)) for s in (0.99, 1.01))
        assert float(below.at(2000 * below.rule.rate, x).mean.abs().max()) < 1
        assert float(above.at(2000 * above.rule.rate, x).mean.abs().max()) > 1e6


class TestOtherCosts:
    @pytest.fixture
    def task(self, random_task):
        f_0 = 0.5 * torch.from_numpy(np.random.default_rng(6).standard_normal((20, 2)))
        return random_task.ntk, random_task.y.clamp(-1, 1), f_0

    def test_squared_is_the_closed_form(self, random_task):
        f_0 = torch.from_numpy(np.random.default_rng(6).standard_normal((20, 2)))
        times = [0.0, 1.0, 30.0, 3000.0]
        path = kernel_descent(random_task.ntk, random_task.y, f_0, times, tolerance=1e-10)
        expected = torch.stack([random_task.evolve(f_0, t) for t in times])
        torch.testing.assert_close(path.f, expected, rtol=0, atol=1e-7)
        x = np.random.default_rng(7).standard_normal((5, 3))
        f_test = torch.from_numpy(np.random.default_rng(8).standard_normal((5, 2)))
        cross = limiting_kernels(random_task.arch, x, random_task.X).ntk
        off = torch.stack([random_task.evolve(f_0, t, x, f_test) for t in times])
        torch.testing.assert_close(path.test(f_test, cross), off, rtol=0, atol=1e-6)

    @pytest.mark.parametrize("name", ["logistic", "huber"])
    def test_cost_decreases_at_the_rate_of_section_3(self, task, name):
        ntk, y, f_0 = task
        cost = costs.get(name)
        h = 0.01
        path = kernel_descent(ntk, y, f_0, [0.0, h, 5.0, 5.0 + h, 200.0], name, tolerance=1e-11)
        assert bool((path.cost.diff() < 0).all())
        for j, t in ((0, 0.0), (2, 5.0)):
            d = cost.derivative(path.f[j : j + 2].mean(0), y)
            law = -(d * (ntk @ d)).sum() / 20**2
            assert float(path.cost[j + 1] - path.cost[j]) / h == pytest.approx(float(law), rel=1e-4), t

    @pytest.mark.parametrize("name", ["logistic", "huber"])
    def test_small_explicit_steps_follow_the_same_path(self, task, name):
        ntk, y, f_0 = task
        path = kernel_descent(ntk, y, f_0, [4.0], name)
        cost, f, h = costs.get(name), f_0.clone(), 4.0 / 800
        for _ in range(800):
            f -= h * ntk @ cost.derivative(f, y) / 20
        torch.testing.assert_close(path.f[0], f, rtol=0, atol=5e-4)

    def test_stiff_problem_with_duplicates_is_solved(self):
        X = np.random.default_rng(0).standard_normal((15, 2)).repeat(2, 0)
        y = torch.tensor([1.0, -1.0] * 15, dtype=torch.float64)[:, None]
        ntk = 1e3 * InfiniteEnsemble(FIGURE_2, X, y).ntk
        path = kernel_descent(ntk, y, 2 + torch.zeros_like(y), [1e4], "logistic")
        # Each input appears with both labels, so the best logit is 0.
        assert float(path.f.abs().max()) < 1e-3
        assert float(path.cost) == pytest.approx(math.log(2), abs=1e-6)

    @pytest.mark.parametrize("times", [[], [1.0, 1.0], [2.0, 1.0], [-1.0], [math.inf]])
    def test_bad_times_are_named(self, task, times):
        with pytest.raises(ValueError, match=r"^times: "):
            kernel_descent(*task, times)

    def test_bad_shapes_and_targets_are_named(self, task):
        ntk, y, f_0 = task
        with pytest.raises(ValueError, match=r"^f_0: "):
            kernel_descent(ntk, y, f_0[:, :1], [1.0])
        with pytest.raises(ValueError, match=r"^y_train: "):
            kernel_descent(ntk, 5 + y, f_0, [1.0], "logistic")


def test_bad_arguments_are_named(figure_2):
    with pytest.raises(ValueError, match=r"^t: "):
        figure_2.at(-1.0, [[1.0, 0.0]])
    with pytest.raises(ValueError, match=r"^t: "):
        figure_2.at(math.nan, [[1.0, 0.0]])
    with pytest.raises(ValueError, match=r"^X_test: shape \(M, 2\)"):
        figure_2.at(1.0, [[1.0, 0.0, 0.0]])
    with pytest.raises(ValueError, match=r"^q: "):
        figure_2.at(1.0, [[1.0, 0.0]]).percentile(100)
    with pytest.raises(ValueError, match=r"^y_train: shape \(3,\)"):
        InfiniteEnsemble(FIGURE_2, [[1.0, 0.0]], [1, 2, 3])
    with pytest.raises(ValueError, match=r"^X_train: "):
        InfiniteEnsemble(FIGURE_2, [[math.nan, 0.0]], [1])


def test_the_flow_is_the_default_rule(figure_2):
    assert isinstance(figure_2.rule, GradientFlow)


CIRCLE = data.circle(data.even_angles(5))


def ensemble_under(rule):
    return InfiniteEnsemble(Architecture(3, n_in=2), CIRCLE, np.ones(5), rule)


def test_a_rule_that_diverges_reaches_nothing_at_infinity():
    stable = ensemble_under(None).stable_rate
    at_infinity = ensemble_under(GradientDescent(0.9 * stable)).at(math.inf, CIRCLE).mean
    np.testing.assert_allclose(at_infinity, 1.0, atol=1e-6)
    with pytest.raises(ValueError, match=r"^t: nothing is reached at infinity.*must be below"):
        ensemble_under(GradientDescent(1.1 * stable)).at(math.inf, CIRCLE)
    assert ensemble_under(GradientDescent(1.1 * stable)).ntk_posterior(CIRCLE).mean.isfinite().all()


@pytest.mark.parametrize("mu", [0.0, 0.5, 0.9])
def test_the_stable_rate_of_momentum_is_where_its_recursion_stops_decaying(mu):
    ensemble = ensemble_under(Momentum(0.1, mu))
    largest = float(ensemble.values[-1])

    def radius(rate):  # of one step of the heavy ball along the largest eigenvalue
        step = np.array([[1 - rate * largest, mu], [-rate * largest, mu]])
        return max(abs(np.linalg.eigvals(step)))

    assert radius(0.999 * ensemble.stable_rate) < 1 < radius(1.001 * ensemble.stable_rate)


def test_times_between_steps_are_refused_as_in_training():
    ensemble = ensemble_under(GradientDescent(0.5))
    ensemble.at(1.5, CIRCLE)
    for ask in (lambda: ensemble.at(1.7, CIRCLE), lambda: ensemble.expected_cost(1.7)):
        with pytest.raises(ValueError, match=r"^t: 1.7 is not a whole number of steps of 0.5$"):
            ask()


def test_evolving_elsewhere_needs_the_function_there():
    f_0 = torch.zeros(5, dtype=torch.float64)
    with pytest.raises(ValueError, match="need both"):
        ensemble_under(None).evolve(f_0, 1.0, CIRCLE)
    with pytest.raises(ValueError, match="need both"):
        ensemble_under(None).evolve(f_0, 1.0, f_test=f_0)


def test_outputs_need_as_many_columns_of_targets():
    with pytest.raises(ValueError, match=r"^y_train: 3 outputs need 3 columns of targets, got 2$"):
        InfiniteEnsemble(Architecture(3, n_in=2, n_out=3), CIRCLE, np.ones((5, 2)))
    two = InfiniteEnsemble(Architecture(3, n_in=2, n_out=2), CIRCLE, np.ones((5, 2)))
    assert two.at(1.0, CIRCLE).mean.shape == (5, 2)


def test_conditioning_is_that_of_the_matrix_and_knows_null_directions():
    arch, X = Architecture(3, 1, "relu", 0.2, n_in=2), data.circle(data.even_angles(9))
    ensemble = InfiniteEnsemble(arch, X, np.ones(9))
    values = np.linalg.eigvalsh(limiting_kernels(arch, X).ntk.numpy())
    found = ensemble.conditioning
    np.testing.assert_allclose(
        [found.smallest, found.largest, found.number], [*values[[0, -1]], values[-1] / values[0]], rtol=1e-9
    )
    twice = InfiniteEnsemble(arch, np.concatenate([X, X[:1]]), np.ones(10)).conditioning
    assert twice.singular
    assert twice.number == math.inf


def test_percentiles_are_as_exact_as_the_numbers_allow_whatever_kind_they_are(figure_2):
    found = figure_2.at(5.0, data.circle([0.3]))
    np.testing.assert_array_equal(found.percentile(np.float32([10, 90])), found.percentile([10.0, 90.0]))


def signal(rule, values, t):
    """E_t along eigenvalues: what is left of a unit residual, added up step by step; exactly for the flow."""
    if isinstance(rule, GradientFlow):
        return np.array([t if v == 0 else -math.expm1(-v * t) / v for v in values])
    total, velocity = np.zeros(len(values)), np.zeros(len(values))
    for _ in range(round(t / rule.rate)):
        velocity = getattr(rule, "momentum", 0.0) * velocity + rule.rate * (1 - values * total)
        total = total + velocity
    return total


@pytest.mark.parametrize("rule", [GradientFlow(), GradientDescent(0.5), GradientDescent(6.0), Momentum(0.5, 0.9)])
@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_gains_and_decays_are_sums_over_the_rules_steps(rule, ridge):
    X = np.concatenate([data.circle(data.even_angles(6)), data.circle(data.even_angles(6))[:2]])  # two null directions
    ensemble = InfiniteEnsemble(Architecture(3, 1, "relu", 0.2, n_in=2), X, np.ones(8), rule, ridge=ridge)
    values, total = ensemble.values.numpy(), ensemble.values.numpy() + ridge
    assert (values == 0).sum() == 2
    times = [0.0, 6.0, 60.0, 6000.0]
    expected = [signal(rule, total, t) for t in times]
    if rule.stable(float(total[-1])):
        times.append(math.inf)
        expected.append(np.divide(1, total, out=np.zeros(8), where=total > 0))
    else:
        times, expected = times[:3], expected[:3]
    np.testing.assert_allclose(ensemble.gains(times), expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ensemble.decays(times), 1 - values * np.array(expected), rtol=1e-9, atol=1e-9)
    for t, gain, left in zip(times, ensemble.gains(times), ensemble.decays(times), strict=True):
        torch.testing.assert_close(ensemble.gain(t), gain, rtol=0, atol=0)
        torch.testing.assert_close(ensemble.decay(t), left, rtol=0, atol=0)
    for ask in (ensemble.gains, ensemble.decays):
        with pytest.raises(ValueError, match="t: a time must be >= 0"):
            ask([6.0, -1.0])
