"""The infinite ensemble with a kernel, a ridge and a prior of one's choice, against textbook formulas."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.integrate import solve_ivp

from ntk_core import Architecture, InfiniteEnsemble, Network, data, limiting_kernels
from ntk_core.limit.given import OfMatrix, OfNetwork
from ntk_core.limit.stationary import RBF, Matern
from ntk_core.rules import GradientDescent, Momentum

ARCH = Architecture(depth=3, activation="erf", beta=0.1, n_in=3, n_out=2)
X = np.random.default_rng(1).standard_normal((20, 3))
Y = np.stack([X[:, 0] * X[:, 1], np.sin(X[:, 2])], 1)
TEST = np.random.default_rng(2).standard_normal((6, 3))


@pytest.mark.parametrize("kernel", ["ntk", "nngp", RBF(1.5), Matern(2.5, 2.0)], ids=str)
def test_at_infinity_a_ridge_is_kernel_ridge_regression(kernel):
    ensemble = InfiniteEnsemble(ARCH, X, Y, kernel=kernel, ridge=0.01)
    K, k = ensemble.kernel(X), ensemble.kernel(TEST, X)
    expected = k @ torch.linalg.solve(K + 20 * 0.01 * torch.eye(20, dtype=torch.float64), torch.from_numpy(Y))
    torch.testing.assert_close(ensemble.at(math.inf, TEST).mean, expected, rtol=0, atol=1e-10)
    noisy = torch.linalg.solve(K + 0.2 * torch.eye(20, dtype=torch.float64), k.mT)
    g = ensemble.posterior(TEST)
    torch.testing.assert_close(g.mean, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(g.cov, ensemble.kernel(TEST) - k @ noisy, rtol=0, atol=1e-10)


@pytest.mark.parametrize("t", [0.7, 25.0])
def test_a_ridge_is_weight_decay_toward_the_initial_function(t):
    """du/dt = -K/N (f - y) - rho (f - f_0) in function space, by an independent solver."""
    ensemble = InfiniteEnsemble(ARCH, X, Y[:, 0], ridge=0.03)
    f_0 = np.random.default_rng(3).standard_normal(20)
    K = ensemble.K.numpy() / 20
    flow = solve_ivp(
        lambda _, f: -K @ (f - Y[:, 0]) - 0.03 * (f - f_0), (0, t), f_0, method="DOP853", rtol=1e-12, atol=1e-12
    )
    f = ensemble.evolve(torch.from_numpy(f_0), t)
    np.testing.assert_allclose(f.numpy(), flow.y[:, -1], atol=1e-9)
    off = ensemble.evolve(torch.from_numpy(f_0), t, X, torch.from_numpy(f_0))
    torch.testing.assert_close(f, off, rtol=0, atol=1e-12)


def test_descent_with_weight_decay_is_the_plain_loop():
    ensemble = InfiniteEnsemble(ARCH, X, Y[:, 0], GradientDescent(0.5), ridge=0.1)
    heavy = ensemble.under(Momentum(0.5, 0.7))
    f_0 = torch.from_numpy(np.random.default_rng(3).standard_normal(20))
    y = torch.from_numpy(Y[:, 0])
    for rule, mu in ((ensemble, 0.0), (heavy, 0.7)):
        f, v = f_0.clone(), torch.zeros(20, dtype=torch.float64)
        for _ in range(30):
            v = mu * v - 0.5 * (ensemble.K @ (f - y) / 20 + 0.1 * (f - f_0))
            f = f + v
        torch.testing.assert_close(rule.evolve(f_0, 15.0), f, rtol=0, atol=1e-11)


def test_stable_rate_counts_the_ridge():
    ensemble = InfiniteEnsemble(ARCH, X, Y, ridge=3.0)
    assert ensemble.stable_rate == pytest.approx(2 / (float(ensemble.values[-1]) + 3.0))
    assert ensemble.ridged(0.0).stable_rate == pytest.approx(2 / float(ensemble.values[-1]))


@pytest.mark.parametrize("noise", [1e-3, 0.2, 5.0])
@pytest.mark.parametrize("kernel", ["ntk", "nngp", RBF(1.5), Matern(0.5, 2.0)], ids=str)
def test_log_marginal_likelihood_is_the_density_of_the_targets(kernel, noise):
    ensemble = InfiniteEnsemble(ARCH, X, Y, kernel=kernel, ridge=noise / 20)
    cov = ensemble.kernel(X).numpy() + noise * np.eye(20)
    expected = sum(stats.multivariate_normal.logpdf(Y[:, k], np.zeros(20), cov) for k in range(2))
    assert ensemble.log_marginal_likelihood() == pytest.approx(expected, rel=1e-9)
    assert ensemble.ridged(0.0).log_marginal_likelihood(noise) == pytest.approx(expected, rel=1e-9)


def test_a_singular_kernel_has_no_likelihood_without_noise():
    repeated = InfiniteEnsemble(ARCH, np.vstack([X, X[:1]]), np.vstack([Y, Y[:1]]))
    with pytest.raises(ValueError, match=r"^noise: this kernel is singular on the training points"):
        repeated.log_marginal_likelihood()
    assert math.isfinite(repeated.log_marginal_likelihood(0.1))


@pytest.mark.parametrize("prior", [None, "zero", "nngp", RBF(1.0)], ids=str)
@pytest.mark.parametrize("t", [0.0, 4.0, math.inf])
def test_what_is_drawn_by_prior(prior, t):
    """f_0 from the prior, moved by RBF's kernel: the covariance against the definition, and f_0 = 0 by default."""
    ensemble = InfiniteEnsemble(ARCH, X, Y, kernel=RBF(1.5), prior=prior)
    g = ensemble.at(t, TEST)
    mean, std = ensemble.on(TEST).marginals([t])
    torch.testing.assert_close(mean[0], g.mean, rtol=0, atol=1e-10)
    torch.testing.assert_close(std[0].square(), g.std.square(), rtol=0, atol=1e-10)
    torch.testing.assert_close(ensemble.on(TEST).means([t])[0], g.mean, rtol=0, atol=1e-12)
    if prior in (None, "zero"):
        assert float(g.cov.abs().max()) == 0.0
        assert torch.equal(ensemble.samples(t, TEST, 2), g.mean.expand(2, -1, -1))
        return
    joint = ensemble.prior(np.vstack([TEST, X]))
    A = (ensemble.on(TEST).cross * ensemble.gain(t)) @ ensemble.modes.mT
    move = torch.cat([torch.eye(6, dtype=torch.float64), -A], 1)
    torch.testing.assert_close(g.cov, move @ joint @ move.mT, rtol=0, atol=1e-9)


def test_samples_are_drawn_from_the_gaussian():
    ensemble = InfiniteEnsemble(ARCH, X, Y)
    g, draws = ensemble.at(3.0, TEST), ensemble.samples(3.0, TEST, 4000, seed=7)
    assert draws.shape == (4000, 6, 2)
    z = (draws - g.mean) @ torch.eye(2, dtype=torch.float64) / g.std[:, None]
    assert float(z.mean(0).abs().max()) < 4.5 / math.sqrt(4000)
    for k in range(2):
        cov = draws[:, :, k].T.cov()
        torch.testing.assert_close(cov, g.cov, rtol=0, atol=float(4.5 * g.cov.max() * math.sqrt(2 / 4000)))
    assert abs(float((z[:, 0, 0] * z[:, 0, 1]).mean())) < 4.5 / math.sqrt(4000)  # outputs are independent


def test_a_seed_is_a_promise_and_more_draws_begin_with_fewer():
    ensemble = InfiniteEnsemble(ARCH, X, Y[:, 0])
    few, many = ensemble.samples(3.0, TEST, 2, seed=1), ensemble.samples(3.0, TEST, 5, seed=1)
    assert few.shape == (2, 6)
    torch.testing.assert_close(many[:2], few, rtol=0, atol=1e-13)
    assert not torch.allclose(ensemble.samples(3.0, TEST, 2, seed=2), few)
    unasked = ensemble.samples(3.0, TEST, 2, seed=0)  # what nobody chose a seed for can be had again by that one
    assert torch.equal(ensemble.samples(3.0, TEST, 2), unasked)
    assert torch.equal(ensemble.at(3.0, TEST).samples(2), unasked)


def test_a_finite_networks_own_kernel_regression():
    """In single precision too, whose rounding counts as null directions."""
    arch = Architecture(3, 200, "relu", 0.1, 3)
    for dtype in (torch.float32, torch.float64):
        network = Network.init(arch, 0, dtype=dtype, device="cpu")
        ensemble = InfiniteEnsemble(None, X, Y[:, 0], kernel=OfNetwork(network))
        K = network.tangent_kernel(X).double()
        f_0 = network(X)[:, 0].double()
        gone = torch.matrix_exp(-5.0 * K / 20) @ (f_0 - ensemble.y)
        torch.testing.assert_close(ensemble.evolve(f_0, 5.0), ensemble.y + gone, rtol=0, atol=1e-5)
        stored = InfiniteEnsemble(None, X[:15], Y[:15, 0], kernel=OfMatrix(X, K))
        torch.testing.assert_close(stored.at(9.0, X[15:]).mean, _mean(K, Y[:, 0], 9.0), rtol=0, atol=1e-10)


def _mean(K, y, t):
    values, U = np.linalg.eigh(K[:15, :15].numpy() / 15)
    A = K[15:, :15].numpy() / 15 @ U @ np.diag(-np.expm1(-t * values) / values) @ U.T
    return torch.from_numpy(A @ y[:15])


def test_the_ntk_by_name_is_the_ntk_by_default():
    a, b = InfiniteEnsemble(ARCH, X, Y), InfiniteEnsemble(ARCH, X, Y, kernel="ntk", prior="nngp")
    assert torch.equal(a.at(2.0, TEST).cov, b.at(2.0, TEST).cov)
    assert torch.equal(a.K, limiting_kernels(ARCH, X).ntk)


def test_a_kernel_that_is_not_positive_semidefinite_is_refused_with_its_smallest_eigenvalue():
    def negative(a, b):
        return 1.0 * (torch.cdist(a, b) == 0) - 0.1

    smallest = np.linalg.eigvalsh(np.eye(20) - 0.1)[0]
    with pytest.raises(ValueError, match=rf"^kernel: a kernel is positive semidefinite, .* eigenvalue {smallest:.3g} "):
        InfiniteEnsemble(ARCH, X, Y, kernel=negative)
    with pytest.raises(ValueError, match=rf"^prior: .* eigenvalue {smallest:.3g} "):
        InfiniteEnsemble(ARCH, X, Y, kernel="ntk", prior=negative)
    InfiniteEnsemble(ARCH, X[:9], Y[:9], kernel=negative)


def test_rounding_is_no_reason_to_refuse():
    gamma = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    many = data.circle(gamma)
    for kernel in (RBF(3.0), lambda a, b: (a @ b.mT).float().double()):
        ensemble = InfiniteEnsemble(None, many, np.cos(gamma), kernel=kernel)
        assert float((ensemble.at(math.inf, many).mean - ensemble.y).abs().max()) < 1e-4


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"ridge": -1.0}, "ridge: must be a finite number >= 0, got -1.0"),
        ({"ridge": math.nan}, "ridge: "),
        ({"ridge": True}, "ridge: "),
        ({"kernel": "linear"}, "kernel: 'linear' is not known"),
        ({"kernel": lambda a, b: a @ a.mT + torch.ones(20, 20).triu()}, "kernel: a symmetric matrix is needed"),
        ({"prior": 3}, "kernel: a Kernel, a name or a function"),
    ],
)
def test_bad_arguments_are_named(arguments, sentence):
    with pytest.raises(ValueError, match="^" + sentence):
        InfiniteEnsemble(ARCH, X, Y, **arguments)


def test_bad_calls_are_named():
    with pytest.raises(ValueError, match=r"^arch: the ntk kernel"):
        InfiniteEnsemble(None, X, Y)
    ensemble = InfiniteEnsemble(ARCH, X, Y)
    with pytest.raises(ValueError, match=r"^n: must be a whole number >= 1, got 0"):
        ensemble.samples(1.0, TEST, 0)
    with pytest.raises(ValueError, match=r"^seed: "):
        ensemble.samples(1.0, TEST, 1, seed=-1)
    with pytest.raises(ValueError, match=r"^noise: must be a finite number >= 0"):
        ensemble.log_marginal_likelihood(-1.0)
