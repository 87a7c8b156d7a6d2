"""Every kernel by one set of properties, and each against its definition."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from ntk_core import Architecture, Network, limiting_kernels
from ntk_core.limit.given import OfFunction, OfMatrix, OfNetwork
from ntk_core.limit.kernel_choice import NAMES, as_kernel, named
from ntk_core.limit.kernel_functions import NNGP, NTK
from ntk_core.limit.stationary import RBF, Matern

ARCH = Architecture(depth=3, width=30, activation="relu", beta=0.2, n_in=3)
X = np.random.default_rng(0).standard_normal((12, 3))
X2 = np.random.default_rng(1).standard_normal((7, 3))
NETWORK = Network.init(Architecture(3, 30, "tanh", 0.2, 3, 2), [4, 5], dtype=torch.float64, device="cpu")

EVERY = [
    NTK(ARCH),
    NNGP(ARCH),
    RBF(0.7),
    *(Matern(nu, 1.3) for nu in (0.5, 1.5, 2.5, 0.2, 1.0, 4.7, 50.0, math.inf)),
    OfNetwork(NETWORK, member=1, output=1),
    OfFunction(lambda a, b: (a @ b.mT + 1) ** 2),
    OfMatrix(np.vstack([X, X2]), limiting_kernels(ARCH, np.vstack([X, X2])).ntk),
]


@pytest.mark.parametrize("kernel", EVERY, ids=lambda kernel: type(kernel).__name__)
def test_properties_of_every_kernel(kernel):
    K = kernel(X)
    assert K.dtype == torch.float64
    torch.testing.assert_close(K, K.mT, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(kernel.diagonal(X), K.diagonal(), rtol=1e-10, atol=1e-12)
    assert float(torch.linalg.eigvalsh(K)[0]) > -1e-10
    torch.testing.assert_close(kernel(X, X2), kernel(X2, X).mT, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(kernel(X[:4], X[2:6]), K[:4, 2:6], rtol=1e-7, atol=1e-9)


def test_the_limits_kernels_are_the_limits():
    both = limiting_kernels(ARCH, X, X2)
    assert torch.equal(NTK(ARCH)(X, X2), both.ntk)
    assert torch.equal(NNGP(ARCH)(X, X2), both.nngp)


@settings(max_examples=40, deadline=None)
@given(nu=st.floats(0.1, 30), distance=st.floats(0, 20), length=st.floats(0.1, 10))
def test_matern_is_a_mixture_of_gaussians(nu, distance, length):
    """z^nu K_nu(z) / (Gamma(nu) 2^(nu-1)) = E[exp(-z^2 / (4 u))] for u ~ Gamma(nu)."""
    z = math.sqrt(2 * nu) * distance / length
    peak = max(nu - 1, 0.0)

    def density(v):  # in v = log u, where it is smooth
        u = math.exp(v)
        return math.exp(nu * v - u - z * z / (4 * u) - math.lgamma(nu))

    middle = math.log((peak + math.sqrt(peak**2 + z * z)) / 2 + 1e-3)
    expected = sum(
        integrate.quad(density, a, b, epsabs=1e-13, epsrel=1e-12, limit=400)[0]
        for a, b in ((-700 / max(1, nu) - 5, middle), (middle, 8.0))
    )
    assert float(Matern(nu, length)([[0.0]], [[distance]])) == pytest.approx(expected, rel=1e-8, abs=1e-11)


@pytest.mark.parametrize("nu", [0.5, 1.5, 2.5])
def test_closed_forms_of_matern_are_neighbours_of_the_bessel_function(nu):
    torch.testing.assert_close(Matern(nu)(X), Matern(nu + 1e-9)(X), rtol=1e-7, atol=1e-9)


def test_matern_becomes_rbf():
    torch.testing.assert_close(Matern(50.0, 2.0)(X), RBF(2.0)(X), rtol=0, atol=0.01)
    assert torch.equal(Matern(math.inf, 2.0)(X), RBF(2.0)(X))


def test_a_networks_kernel_is_the_sum_over_its_parameters():
    """By autograd, one parameter vector at a time."""
    held = (*(layer.W[1] for layer in NETWORK.layers), *(b[1] for b in NETWORK.biases))
    parameters = [p.clone().requires_grad_(True) for p in held]

    def output(x):
        a = torch.from_numpy(x)
        for layer in range(3):
            h = parameters[layer] @ a / len(a) ** 0.5 + 0.2 * parameters[3 + layer]
            a = torch.tanh(h)
        return h[1]

    gradients = [torch.cat([g.ravel() for g in torch.autograd.grad(output(x), parameters)]) for x in X[:4]]
    J = torch.stack(gradients)
    torch.testing.assert_close(OfNetwork(NETWORK, 1, 1)(X[:4]), J @ J.mT, rtol=1e-10, atol=1e-12)


def test_names():
    assert [type(named(name, ARCH)).__name__ for name in NAMES] == ["NTK", "NNGP", "RBF", "Matern"]
    assert named("matern", nu=0.5, length=2.0) == Matern(0.5, 2.0)
    assert as_kernel(RBF(2.0)) == RBF(2.0)
    assert as_kernel("nngp", ARCH) == NNGP(ARCH)
    assert isinstance(as_kernel(lambda a, b: a @ b.mT), OfFunction)


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda: RBF(0.0), "length: must be a finite number > 0, got 0.0"),
        (lambda: Matern(51.0), "nu: must be above 0 and at most 50, or infinite, got 51.0"),
        (lambda: Matern(1.5, math.nan), "length: "),
        (lambda: named("linear"), "kernel: 'linear' is not known; choose one of ntk, nngp, rbf, matern"),
        (lambda: named("ntk"), "arch: the ntk kernel is that of an architecture"),
        (lambda: as_kernel(3), "kernel: a Kernel, a name or a function"),
        (lambda: RBF()([1.0, 2.0]), r"X: points of shape \(N, n_in\) are needed, got \(2,\)"),
        (lambda: RBF()([[math.inf]]), "X: every input must be a finite number"),
        (lambda: RBF()([["a"]]), "X: points must be a table of numbers"),
        (lambda: RBF()(X, X2[:, :2]), "X2: points with 3 coordinates are needed, got 2"),
        (lambda: OfFunction(lambda a, b: a)(X), r"kernel: a matrix of shape \(12, 12\) is needed, got \(12, 3\)"),
        (lambda: OfFunction(lambda a, b: math.nan * a @ b.mT)(X), "kernel: every entry must be a finite number"),
        (lambda: OfMatrix(X, np.eye(3)), r"kernel: a matrix of shape \(12, 12\) is needed"),
        (lambda: OfMatrix(X, np.eye(12))(X, X2), "X: point 1 is none of those that the kernel's matrix is of"),
        (lambda: OfNetwork(NETWORK, member=2), "member: must be between 0 and 1, got 2"),
        (lambda: OfNetwork(NETWORK, output=-1), "output: must be between 0 and 1, got -1"),
    ],
)
def test_bad_arguments_are_named(ask, sentence):
    with pytest.raises(ValueError, match="^" + sentence):
        ask()
