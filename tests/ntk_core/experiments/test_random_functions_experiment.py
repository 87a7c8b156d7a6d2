"""Random functions: the kernels and paths of the page against their definitions, and the law in P."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.linalg import expm

from ntk_core import Architecture, InfiniteEnsemble, data, limiting_kernels
from ntk_core.experiments import random_functions as page
from ntk_core.finite.laws import fit_slope
from ntk_core.runs.spec import sentences


def test_kernel_and_its_path_are_the_limits():
    spec = page.Spec(functions=20)
    theory = page.theory(spec)
    gamma, y = data.paper_points()
    X, grid = data.circle(gamma), data.circle(theory["gamma"])
    arch = Architecture(4, 1, "relu", 0.1)
    np.testing.assert_allclose(theory["kernel"], limiting_kernels(arch, [[1.0, 0.0]], grid).ntk[0], atol=1e-12)
    ensemble = InfiniteEnsemble(arch, X, y)
    for j in (0, 7, -1):
        np.testing.assert_allclose(theory["kernel_path"][j], ensemble.at(spec.times[j], grid).mean, atol=1e-7)


@pytest.mark.parametrize("kernel", ["ntk", "rbf"])
def test_the_model_is_trained_in_its_parameters(kernel):
    """theta by its own linear flow, with J the functions on the training points, written out with an exponential."""
    from ntk_core.limit.random_functions import draw

    spec = page.Spec(functions=7, kernel=kernel, points="even", n_train=5, target="sine", time=30.0, snapshots=4)
    theory = page.theory(spec)
    gamma, y = page.training_set(spec)
    K = page._kernel_matrix(kernel, (4, "relu", 0.1, 1.0), 1.0, tuple(gamma))
    J = draw(K, 7, spec.seed).numpy() / math.sqrt(7)
    for j, t in enumerate(spec.times):
        A = np.zeros((8, 8))  # d(theta, 1)/dt = (-J^T (J theta - y) / N, 0)
        A[:7, :7], A[:7, 7] = -J[:5].T @ J[:5] / 5, J[:5].T @ y / 5
        theta = expm(t * A)[:7, 7]
        np.testing.assert_allclose(theory["random_path"][j], J[5:] @ theta, atol=1e-9)
        gap = np.sqrt(np.mean((theory["random_path"][j] - theory["kernel_path"][j]) ** 2))
        assert theory["gap"][j] == pytest.approx(gap)


def test_the_error_falls_like_one_over_the_root_of_p():
    theory = page.theory(page.Spec())
    measured = np.sqrt(np.mean(theory["error"] ** 2, axis=0))
    assert fit_slope(theory["count"], measured).slope == pytest.approx(-0.5, abs=0.07)
    # ten draws: a root mean square within a third of the exact one
    np.testing.assert_allclose(measured, theory["expected_error"], rtol=0.35)
    np.testing.assert_allclose(theory["expected_error"] * np.sqrt(theory["count"]), theory["expected_error"][0] * 2)


def test_many_functions_come_near():
    few, many = (page.theory(page.Spec(functions=P)) for P in (16, 4096))
    assert many.info["error"] < 0.1 < few.info["error"]
    assert many["gap"][-1] < few["gap"][-1] / 4


@pytest.mark.parametrize("activation", ["relu", "tanh", "step", "identity"])
@pytest.mark.parametrize("kernel", ["ntk", "nngp", "matern"])
def test_every_number_is_finite(activation, kernel):
    theory = page.theory(page.Spec(functions=1, kernel=kernel, activation=activation, beta=0.0, w_std=0.05, depth=8))
    assert all(np.isfinite(a.values).all() for a in theory.arrays.values())
    assert isinstance(theory.info["error"], float)
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"functions": 0}, "functions: "),
        ({"functions": 10**6}, "functions: "),
        ({"kernel": "linear"}, "kernel: "),
        ({"length": 0}, "length: "),
        ({"time": math.inf}, "time: "),
        ({"n_train": 65}, "n_train: "),
    ],
)
def test_bad_fields_are_named(fields, words):
    with pytest.raises(ValidationError) as caught:
        page.Spec.model_validate(fields)
    assert [s.startswith(words) for s in sentences(caught.value)] == [True]
