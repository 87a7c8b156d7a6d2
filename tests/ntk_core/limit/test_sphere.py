"""Eigenvalues on the circle and the sphere against Bessel functions, quadrature, Fourier sums and measured laws."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate
from scipy.special import eval_legendre, gammaln, ive

from ntk_core import Architecture, data, limiting_kernels
from ntk_core.limit.kernel_functions import NNGP, NTK
from ntk_core.limit.sphere import fourier_eigenvalues, multiplicities, sphere_eigenvalues
from ntk_core.limit.stationary import RBF, Matern

FIGURE_1 = Architecture(depth=4, activation="relu", beta=0.1, n_in=2)


def test_measured_eigenvalues_on_the_circle():
    found = fourier_eigenvalues(NTK(FIGURE_1), 120)
    np.testing.assert_allclose(found.values[:6], [0.12346, 0.04353, 0.01775, 0.0060, 0.0032, 0.00175], rtol=0.01)
    assert found.slope(20, 120) == pytest.approx(-2.0, abs=0.15)
    assert fourier_eigenvalues(NNGP(FIGURE_1), 120).slope(20, 120) == pytest.approx(-4.0, abs=0.3)
    np.testing.assert_allclose(found.times, 1 / found.values)


def test_without_biases_two_layers_see_no_odd_frequency():
    odd = np.arange(3, 40, 2)
    found = {
        (beta, depth): fourier_eigenvalues(NTK(Architecture(depth, 1, "relu", beta, 2)), 40)
        for beta, depth in ((0.0, 2), (0.1, 2), (0.0, 3))
    }
    gone = found[0.0, 2]
    assert (np.abs(gone.values[odd]) <= gone.error[odd]).all()
    assert np.isinf(gone.times[odd]).all()
    assert found[0.1, 2].values[odd].min() > 1e-7
    assert found[0.0, 3].values[odd].min() > 1e-7


@settings(max_examples=60, deadline=None)
@given(dimension=st.integers(2, 60), length=st.floats(0.15, 5), radius=st.floats(0.2, 3))
def test_the_error_bound_holds_for_rbf(dimension, length, radius):
    """exp(a t) has lambda_k = Gamma(d/2) (2/a)^(d/2-1) I_{k+d/2-1}(a)."""
    found = sphere_eigenvalues(RBF(length), 40, dimension, radius=radius)
    a, nu, k = (radius / length) ** 2, dimension / 2 - 1, np.arange(41)
    with np.errstate(divide="ignore"):
        expected = np.exp(gammaln(dimension / 2) + nu * math.log(2 / a) + np.log(ive(nu + k, a)))
    # Bessel functions by SciPy are good to about 1e-13 themselves.
    assert (np.abs(found.values - expected) <= found.error + 1e-12 * expected).all()


@pytest.mark.parametrize("kernel", [NTK, NNGP])
@pytest.mark.parametrize(("depth", "activation", "beta"), [(2, "relu", 0.0), (3, "tanh", 0.3), (3, "elu", 0.01)])
def test_the_error_bound_holds_on_the_sphere_in_space(kernel, depth, activation, beta):
    """lambda_k = 1/2 int kappa(t) P_k(t) dt with Legendre polynomials, by adaptive quadrature in the angle."""
    K = kernel(Architecture(depth, 1, activation, beta, 3))
    found = sphere_eigenvalues(K, 6, 3)
    pole = np.array([[0.0, 0.0, 1.0]])

    def kappa(gamma):
        return float(K(pole, [[math.sin(gamma), 0.0, math.cos(gamma)]]))

    for k in (0, 1, 4, 5):
        value, error = integrate.quad(
            lambda g, k=k: kappa(g) * eval_legendre(k, math.cos(g)) * math.sin(g) / 2, 0, math.pi, epsabs=1e-10
        )
        assert abs(found.values[k] - value) <= found.error[k] + 10 * error + 1e-11


@pytest.mark.parametrize("kernel", [NTK(FIGURE_1), NNGP(FIGURE_1), Matern(0.7, 0.3), RBF(0.05)], ids=repr)
def test_a_discrete_transform_adds_what_it_cannot_see(kernel):
    """On n even angles the transform is sum_m lambda_|k + m n|, so above lambda_k and falling toward it."""
    found = fourier_eigenvalues(kernel, 800)
    n = 512
    gamma = np.arange(n) * 2 * math.pi / n
    seen = np.fft.rfft(kernel(data.circle(gamma[:1]), data.circle(gamma)).numpy()[0]).real[:100] / n
    k = np.arange(100)
    folded = found.values[k] + found.values[n - k] + found.values[n + k]
    beyond = 4 * found.values[700:].max() + 1e-9  # sum over m >= 2 of two of them each, at k^-2
    assert (seen - folded >= -1e-9).all()
    assert (seen - folded <= beyond).all()


@pytest.mark.parametrize("dimension", [2, 3, 5, 12])
def test_eigenvalues_with_their_multiplicity_add_up_to_the_diagonal(dimension):
    K = NNGP(Architecture(3, 1, "relu", 0.2, dimension))
    found = sphere_eigenvalues(K, 200, dimension)
    total = float((found.values * found.multiplicity).sum())
    assert total == pytest.approx(float(K.diagonal(np.eye(dimension)[:1])), rel=2e-5)


def test_multiplicities_in_plane_and_space():
    assert multiplicities(4, 2).tolist() == [1, 2, 2, 2, 2]
    np.testing.assert_allclose(multiplicities(4, 3), [1, 3, 5, 7, 9])
    np.testing.assert_allclose(multiplicities(3, 4), [1, 4, 9, 16])
    assert np.isfinite(multiplicities(100, 784)).all()


def test_eigenvalues_are_those_of_many_random_points():
    """d = 4: the spectrum of K/N of 1,500 points gathers around lambda_0, lambda_1 (4 of them), lambda_2 (9)."""
    Z = np.random.default_rng(0).standard_normal((1500, 4))
    Z /= np.linalg.norm(Z, axis=1, keepdims=True)
    arch = Architecture(3, 1, "relu", 0.1, 4)
    seen = np.linalg.eigvalsh(limiting_kernels(arch, Z).ntk.numpy() / 1500)[::-1]
    found = sphere_eigenvalues(NTK(arch), 3, 4).values
    np.testing.assert_allclose([seen[0], seen[1:5].mean(), seen[5:14].mean()], found[:3], rtol=0.03)


def test_slopes_use_what_is_told_from_zero():
    with pytest.raises(ValueError, match=r"^first, last: two eigenvalues told from zero"):
        fourier_eigenvalues(RBF(3.0), 100).slope(60, 100)


@pytest.mark.parametrize(("first", "last"), [(0, 10), (1, 20), (3, 3), (5, 2)])
def test_slopes_are_of_degrees_that_there_are(first, last):
    found = sphere_eigenvalues(RBF(), 10)
    with pytest.raises(ValueError, match=rf"^first, last: two degrees between 1 and 10, .* got {first} and {last}$"):
        found.slope(first, last)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((RBF(), -1), "degrees: must be a whole number between 0 and 1,000, got -1"),
        ((RBF(), 3, 1), "dimension: must be a whole number between 2"),
        ((RBF(), True), "degrees: "),
        (
            (lambda a, b: a[:, :1] @ b[:, :1].mT, 3),
            "kernel: eigenvalues by degree are those of a kernel that",
        ),
    ],
)
def test_bad_arguments_are_named(arguments, sentence):
    with pytest.raises(ValueError, match=r"^" + sentence):
        sphere_eigenvalues(*arguments)
    with pytest.raises(ValueError, match=r"^radius: "):
        sphere_eigenvalues(RBF(), 3, radius=0.0)


def test_a_kernel_that_does_not_settle_is_an_error_with_what_was_left():
    with pytest.raises(RuntimeError, match=r"refinement has not settled, the last one changed a value by \d"):
        sphere_eigenvalues(lambda a, b: (1e9 * (a @ b.mT)).cos(), 3)


def test_the_circle_unless_told_and_no_more_than_a_million_dimensions():
    kernel = NTK(Architecture(3, 1, "erf", 0.1, 2))
    np.testing.assert_array_equal(sphere_eigenvalues(kernel, 4).values, fourier_eigenvalues(kernel, 4).values)
    with pytest.raises(ValueError, match=r"^dimension: "):
        sphere_eigenvalues(lambda A, B: A @ B.T, 2, 1_000_001)
