"""Condition numbers against NumPy's, positive definiteness against Proposition 2 and its exceptions."""

import math

import numpy as np
import pytest
import torch

from ntk_core import Architecture, activations, limiting_kernels
from ntk_core.limit.conditioning import conditioning, definiteness, sphere_points
from ntk_core.limit.kernel_functions import NNGP, NTK
from ntk_core.limit.stationary import RBF


def test_the_condition_number_is_numpys():
    K = limiting_kernels(Architecture(3, n_in=3), sphere_points(40, 3)).ntk
    found = conditioning(K)
    assert found.number == pytest.approx(np.linalg.cond(K.numpy()), rel=1e-6)
    assert found.smallest == pytest.approx(np.linalg.eigvalsh(K.numpy())[0], rel=1e-6)


def test_a_repeated_point_makes_a_kernel_singular():
    X = torch.cat([sphere_points(10, 3), sphere_points(1, 3)])
    found = conditioning(NTK(Architecture(3, activation="erf", n_in=3))(X))
    assert found.singular
    assert found.number == math.inf


def test_points_are_uniform_on_the_sphere():
    X = sphere_points(20_000, 5, seed=3)
    torch.testing.assert_close(X.norm(dim=1), torch.ones(20_000, dtype=torch.float64))
    assert float(X.mean(0).abs().max()) < 4.5 / math.sqrt(5 * 20_000)
    torch.testing.assert_close(X.mT @ X / 20_000, torch.eye(5, dtype=torch.float64) / 5, rtol=0, atol=0.01)
    assert torch.equal(sphere_points(7, 5, seed=3), X[:7])


# Two layers without biases: which degrees the sum of relu's even part and its odd z/2 leave, and parities of others.
ODD, EVEN = ("erf", "sin", "tanh"), ("abs", "cos", "gaussian")


@pytest.mark.parametrize("name", ODD + EVEN)
@pytest.mark.parametrize("dimension", [2, 3, 10])
@pytest.mark.parametrize("kind", [NTK, NNGP])
def test_without_biases_odd_and_even_activations_lose_half_of_the_degrees(name, dimension, kind):
    for depth in (2, 3):
        found = definiteness(kind(Architecture(depth, 1, name, 0.0, dimension)), dimension)
        assert found.lost
        assert set(found.missing) == set(range(int(name in EVEN), found.resolved, 2))


@pytest.mark.parametrize("name", ["relu", "leaky_relu", *ODD, *EVEN, "gelu", "elu", "softplus", "sigmoid"])
@pytest.mark.parametrize("dimension", [2, 3, 10])
def test_with_biases_no_degree_is_missing(name, dimension):
    """Proposition 2 and beyond it: a bias breaks every parity at two layers already."""
    for depth in (2, 4):
        found = definiteness(NTK(Architecture(depth, 1, name, 0.1, dimension)), dimension)
        assert not found.lost
        assert found.missing == ()


@pytest.mark.parametrize("dimension", [2, 5])
def test_relu_regains_its_odd_degrees_with_depth(dimension):
    two, three = (definiteness(NTK(Architecture(L, 1, "relu", 0.0, dimension)), dimension) for L in (2, 3))
    assert two.missing == tuple(range(3, two.resolved, 2))
    assert three.missing == ()
    assert not three.lost


@pytest.mark.parametrize("dimension", [2, 3, 784])
def test_polynomials_end_at_once_and_others_die_down(dimension):
    linear = definiteness(NTK(Architecture(3, 1, "identity", 0.5, dimension)), dimension)
    assert linear.lost
    assert linear.missing == ()
    assert linear.resolved == 1
    square = activations.custom(lambda z: z * z / 2, name="half square")
    if dimension < 784:  # where a quadratic's last value is not far above rounding
        assert definiteness(NTK(Architecture(2, 1, square, 0.5, dimension)), dimension).lost
    assert not definiteness(NTK(Architecture(3, 1, "erf", 0.5, dimension)), dimension).lost
    assert not definiteness(RBF(0.5), dimension).lost


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"^count: must be a whole number >= 1, got 0"):
        sphere_points(0, 3)
    with pytest.raises(ValueError, match=r"^kernel: a symmetric matrix is needed"):
        conditioning(np.triu(np.ones((3, 3))))
    with pytest.raises(ValueError, match=r"^kernel: at most 5,000 points"):
        conditioning(torch.eye(5001))
