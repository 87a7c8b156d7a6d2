"""Function space under any kernel: theory beside formulas written out, networks beside their own kernels, stepped."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.linalg import expm
from scipy.spatial.distance import cdist
from scipy.special import gamma as gamma_function
from scipy.special import kv

from ntk_core import (
    Architecture,
    GradientDescent,
    GradientFlow,
    LinearizedNetwork,
    Network,
    data,
    experiments,
    limiting_kernels,
    train,
)
from ntk_core.experiments import function_space
from ntk_core.experiments._own_kernel import OwnKernels
from ntk_core.experiments.function_space import Spec, theory

GAMMA, Y = data.paper_points()
X, GRID = data.circle(GAMMA), data.circle(data.angle_grid(9))
SMALL = {"widths": (16, 64), "seeds": 3, "angles": 9, "time": 12.0, "snapshots": 4, "device": "cpu"}
EXACT = {"precision": "float64", "method": "steps", "weights": "dense"}


def matern(distance, nu, length):
    """2^(1-nu)/Gamma(nu) z^nu K_nu(z), 1 at distance 0."""
    z = np.sqrt(2 * nu) * np.maximum(distance, 1e-12) / length
    return np.where(distance > 1e-9, 2 ** (1 - nu) / gamma_function(nu) * z**nu * kv(nu, z), 1.0)


def kernel(name, A, B):
    if name == "nngp":
        return limiting_kernels(Architecture(4, 1), A, B).nngp.numpy()
    if name == "rbf":
        return np.exp(-(cdist(A, B) ** 2) / (2 * 0.7**2))
    return matern(cdist(A, B), 1.2, 0.7)


@pytest.mark.parametrize("name", ["nngp", "rbf", "matern"])
@pytest.mark.parametrize("t", [3.0, 40.0])
def test_another_kernel_drives_the_theory_from_the_networks_start(name, t):
    found = theory(Spec(kernel=name, length=0.7, nu=1.2, rule="gradient_flow", time=t, angles=9))
    K, cross = kernel(name, X, X), kernel(name, GRID, X)
    A = cross @ np.linalg.solve(K, np.eye(4) - expm(-t * K / 4))
    at = list(found["times"]).index(t)
    np.testing.assert_allclose(found["mean"][at], A @ Y, atol=1e-8)
    start = limiting_kernels(Architecture(4, 1), np.concatenate([X, GRID])).nngp.numpy()
    change = np.concatenate([-A, np.eye(9)], 1)  # f_t is this times f_0, and A y
    np.testing.assert_allclose(found["std"][at] ** 2, np.diag(change @ start @ change.T), atol=1e-8)
    np.testing.assert_allclose(found["gp_mean"], cross @ np.linalg.solve(K, Y), atol=1e-7)
    ntk = theory(Spec(rule="gradient_flow", time=t, angles=9))
    np.testing.assert_allclose(found["ntk_mean"], ntk["mean"], rtol=0, atol=1e-12)
    assert "ntk_mean" not in ntk


def test_networks_are_those_of_the_ntk_whatever_drives_the_theory():
    spec = Spec(kernel="matern", length=0.3, nu=0.5, **SMALL)
    assert experiments.trained(spec) == Spec(**SMALL)
    assert function_space.sketch(spec).key == function_space.sketch(Spec(**SMALL)).key
    assert experiments.trained(experiments.parse({"experiment": "circle"})) == experiments.parse(
        {"experiment": "circle"}
    )
    assert theory(spec).info["stable_rate"] == theory(Spec(**SMALL)).info["stable_rate"]


def test_a_rate_that_only_the_other_kernel_does_not_bear_is_said():
    spec = Spec(kernel="rbf", length=5.0, learning_rate=4.0, time=40.0)
    found = theory(spec)
    assert found.info["rule"] == "gradient_flow"
    assert "Under the RBF kernel the learning rate 4 is too large" in found.info["notes"][0]
    assert theory(experiments.trained(spec)).info["notes"] == []


def test_regression_with_a_networks_own_kernels_is_kernel_gradient_descent_stepped():
    spec = Spec(seed=5, learning_rate=0.5, **SMALL, **EXACT)
    result = experiments.compute(spec)
    network = Network.init(Architecture(4, 64), 7, dtype=torch.float64, weights="dense", device="cpu")
    linear = LinearizedNetwork(network, X, Y, GradientDescent(0.5))
    everywhere = np.concatenate([X, GRID])
    f_0 = network(everywhere)[:, 0].numpy()
    np.testing.assert_allclose(result["own_start"][0, 1, 2], f_0[4:], atol=1e-6)
    for state in train(network, X, Y, list(spec.times), rule=GradientDescent(0.5), method="steps"):
        if state.output is None:  # a slow machine is told now and then how far it is
            continue
        index, f = state.output, f_0.copy()
        K = network.tangent_kernel(everywhere, X).numpy()
        for _ in range(round(state.time / 0.5)):
            f = f - 0.5 * K @ (f[:4] - Y) / 4
        np.testing.assert_allclose(result["own_now"][index, 1, 2], f[4:], atol=1e-6)
        np.testing.assert_allclose(result["own_start"][index, 1, 2], linear.at(state.time, GRID)[:, 0], atol=1e-6)
        np.testing.assert_allclose(result["f"][index, 1, 2], network(GRID)[:, 0], atol=1e-6)


def test_what_a_networks_own_kernel_does_not_see_stays_unseen_for_all_time():
    """Points twice, in single precision: the mean target is learned, and gains that grow with t show no rounding."""
    twice, targets = np.repeat(X, 2, 0), torch.from_numpy(np.repeat(Y, 2) + np.tile([0.5, -0.5], 4))
    network = Network.init(Architecture(4, 64), [7, 8], weights="dense", device="cpu")
    own = OwnKernels(twice, GRID, GradientFlow())
    state = SimpleNamespace(diverged=torch.zeros(2, dtype=torch.bool))
    update = SimpleNamespace(
        network=network, outputs=network(twice), targets=targets[:, None], state=state, time=0.0, index=0
    )
    own.look(update)
    update.time = 1e15
    expected = LinearizedNetwork(network, X, Y).at(math.inf, GRID)[..., 0]
    for name in ("own_start", "own_now"):
        torch.testing.assert_close(own.look(update)[name], expected, rtol=0, atol=1e-3)


def test_what_is_left_is_the_kernels_movement_and_less_the_wider_the_network():
    result = experiments.compute(Spec(**{**SMALL, "widths": (32, 512), "seeds": 6, "time": 200.0, "snapshots": 2}))
    for name in ("own_start", "own_now"):
        left = np.sqrt(np.mean((result["f"] - result[name])[-1] ** 2, axis=(1, 2)))
        moved = np.sqrt(np.mean((result["f"][-1] - result["f"][0]) ** 2, axis=(1, 2)))
        assert left[1] < left[0] / 3
        assert (left < 0.3 * moved).all()


def test_where_a_rule_diverges_on_a_networks_own_kernel_there_is_no_regression():
    largest = experiments.compute(Spec(**SMALL))["largest"][0]
    rate = 2 / np.sort(largest.ravel())[-2]  # one network's kernel does not bear it
    spec = Spec(**{**SMALL, "learning_rate": float(rate) * 0.9999, "time": 60 * float(rate) * 0.9999})
    result = experiments.compute(spec)
    lost = np.isnan(result["own_start"][-1]).any(-1)
    assert lost.sum() == 1
    assert lost.ravel()[np.argmax(largest)]
    assert math.isnan(result["own_start"][-1][lost].max())


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [({"kernel": "laplace"}, "kernel"), ({"length": 0}, "length"), ({"nu": math.nan}, "nu"), ({"nu": 0}, "nu")],
)
def test_bad_fields_are_named(fields, sentence):
    with pytest.raises(ValueError, match=sentence):
        Spec(**fields)
