"""Spectral bias under other kernels than the NTK: closed forms, what each learns, and networks that are the same."""

import math

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.special import ive

from ntk_core import Architecture, data, experiments, limiting_kernels
from ntk_core.experiments._spectral_classes import components
from ntk_core.experiments._spectral_spec import circle_of, split_of
from ntk_core.experiments.spectral import Spec, theory
from ntk_core.limit.classes import one_hot
from ntk_core.runs.spec import sentences

QUIET = {"widths": (30,), "seeds": 2, "snapshots": 4, "angles": 41}


def distances(A, B):
    return np.linalg.norm(A[:, None] - B[None], axis=-1)


@pytest.mark.parametrize("length", [0.1, 0.5, 3.0])
def test_rbfs_eigenvalues_on_the_circle_are_bessel_functions(length):
    """exp(-(1 - cos gamma) / l^2) has the Fourier eigenvalues e^(-1/l^2) I_k(1/l^2)."""
    found = theory(Spec(kernel="rbf", length=length, **QUIET))
    exact = ive(np.arange(len(found["rbf"])), length**-2)
    np.testing.assert_array_less(np.abs(found["rbf"] - exact), found["rbf_error"] + 1e-16)
    np.testing.assert_array_equal(found["rate"], found["rbf"][[1, 3, 5]])
    assert {"ntk", "nngp"} < set(found.arrays)  # the network's own stay beside it


@pytest.mark.parametrize("nu", [0.5, 1.0, 1.5, 2.5])
def test_materns_eigenvalues_fall_by_their_smoothness(nu):
    """Like k^(-1 - 2 nu) on the circle, as its spectral density does on the line."""
    found = theory(Spec(kernel="matern", nu=nu, length=1.0, **QUIET))
    assert found.info["matern_slope"] == pytest.approx(-1 - 2 * nu, abs=0.1)


@pytest.mark.parametrize(("kernel", "rule"), [("rbf", "gradient_flow"), ("nngp", "gradient_descent")])
def test_every_curve_is_driven_by_the_kernel(kernel, rule):
    """Mean, amplitudes and ridge from the matrices, by exponentials and powers of them."""
    spec = Spec(kernel=kernel, length=0.7, rule=rule, n_train=16, frequencies=(1, 4), learning_rate=2.0, **QUIET)
    found, points = theory(spec), circle_of(spec)
    X, Z = data.circle(points.gamma), data.circle(points.grid)
    if kernel == "rbf":
        K, k = (np.exp(-(distances(A, X) ** 2) / (2 * 0.49)) for A in (X, Z))
    else:
        arch = Architecture(4, 1, "relu", 0.1, 2)
        K, k = limiting_kernels(arch, X).nngp.numpy(), limiting_kernels(arch, Z, X).nngp.numpy()
    for j, t in enumerate(spec.times):
        left = (
            expm(-t * K / 16) if rule == "gradient_flow" else np.linalg.matrix_power(np.eye(16) - K / 8, round(t / 2))
        )
        np.testing.assert_allclose(found["mean"][j], k @ np.linalg.solve(K, points.y - left @ points.y), atol=1e-6)
        if t:
            ridge = k @ np.linalg.solve(K + 16 / t * np.eye(16), points.y)
            np.testing.assert_allclose(found["ridge"][j], ridge, atol=1e-7)


def test_classes_are_learned_by_the_kernel_and_followed_along_the_ntks_components():
    """What the kernel's mean has of each component's targets, from the matrix exponential."""
    spec = Spec(
        data="digits", n_labelled=60, n_test=40, kernel="matern", length=8.0, nu=0.5, rule="gradient_flow", **QUIET
    )
    found, split = theory(spec), split_of("digits", 60, 40, 0)
    K, k = (np.exp(-distances(A, split.X) / 8) for A in (split.X, split.X_test))
    y = one_hot(split.labels, 10).numpy()
    arch = Architecture(4, 1, "relu", 0.1, 784)
    modes = np.linalg.eigh(limiting_kernels(arch, split.X).ntk.numpy())[1][:, ::-1]
    for i in (0, 20, 44):
        mean = y - expm(-found["t"][i] * K / 60) @ y
        for j, c in enumerate(components(spec)):
            u = modes[:, c - 1]
            assert found["learned"][j, i] == pytest.approx((u @ mean) @ (u @ y) / (u @ y @ (u @ y)), abs=1e-6)
        right = (k @ np.linalg.solve(K, mean)).argmax(1) == split.labels_test
        assert found["accuracy"][i] == pytest.approx(right.mean())
    np.testing.assert_allclose(found["driving"], np.linalg.eigvalsh(K / 60)[::-1], rtol=1e-9)


def test_networks_are_those_of_the_ntk_whatever_drives_the_theory():
    one, other = Spec(**QUIET), Spec(kernel="matern", length=0.3, nu=2.5, **QUIET)
    assert experiments.trained(other) == one != other
    assert experiments.load("spectral").sketch(other) == experiments.load("spectral").sketch(one)
    assert theory(other).info["stable_rate"] == theory(one).info["stable_rate"]
    assert np.isclose(theory(one)["rate"], theory(other)["rate"]).sum() == 0


def test_a_rate_that_only_the_other_kernel_does_not_bear_is_said():
    found = theory(Spec(kernel="rbf", length=5.0, **QUIET))
    assert found.info["rule"] == "gradient_flow"
    assert any("Under the RBF kernel the learning rate 5 is too large" in note for note in found.info["notes"])
    assert any(
        "zero to rounding under this kernel" in note for note in theory(Spec(kernel="rbf", length=50.0)).info["notes"]
    )


@pytest.mark.parametrize(
    ("fields", "field"), [({"kernel": "cubic"}, "kernel"), ({"length": 0.0}, "length"), ({"nu": math.inf}, "nu")]
)
def test_bad_fields_are_named(fields, field):
    with pytest.raises(ValueError, match=field) as caught:
        Spec(**fields)
    assert field in " ".join(sentences(caught.value))
