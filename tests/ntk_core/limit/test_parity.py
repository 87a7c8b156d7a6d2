"""Degrees that are zero by construction, against the eigenvalues that are found."""

import pytest

from ntk_core.activations.known_names import ACTIVATIONS
from ntk_core.architecture import Architecture
from ntk_core.limit.conditioning import definiteness
from ntk_core.limit.kernel_functions import NTK
from ntk_core.limit.parity import absent


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("beta", [0.0, 0.2])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_they_are_the_degrees_whose_eigenvalue_vanishes(activation, beta, depth):
    arch = Architecture(depth, 1, activation, beta, 3)
    gone, found = absent(arch, 12), definiteness(NTK(arch), 3, 12)
    degrees = set(gone.degrees) if gone else set()
    values, error = found.eigenvalues.values, found.eigenvalues.error
    assert all(values[k] <= error[k] for k in degrees)
    assert {k for k in range(found.resolved) if values[k] <= error[k]} == {k for k in degrees if k < found.resolved}


@pytest.mark.parametrize(
    ("depth", "activation", "beta", "words"),
    [
        (1, "relu", 0.0, "every degree but 1"),
        (1, "relu", 0.1, "every degree above 1"),
        (4, "identity", 0.1, "every degree above 1"),
        (5, "cos", 0.0, "every odd degree"),
        (5, "erf", 0.0, "every even degree"),
        (2, "gelu", 0.0, "every odd degree from 3 on"),
        (2, "sigmoid", 0.0, "every even degree from 2 on"),
    ],
)
def test_they_are_named(depth, activation, beta, words):
    found = absent(Architecture(depth, 1, activation, beta, 3), 6)
    assert found is not None
    assert found.words == words


def test_nothing_is_absent_where_biases_or_depth_mix_parities():
    assert absent(Architecture(2, 1, "cos", 0.1, 3), 6) is None
    assert absent(Architecture(3, 1, "relu", 0.0, 3), 6) is None
