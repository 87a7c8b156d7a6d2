"""The limit of networks whose layers learn at their own speeds: against the paper's kernel, and against wide ones."""

import numpy as np
import pytest
import torch

from ntk_core import Architecture, ScaledNetwork, data, limiting_kernels
from ntk_core.finite.parametrizations import PARAMETRIZATIONS, limiting_speeds
from ntk_core.limit.layer_speeds import kernel_with_speeds

X = data.circle([-2.2, -0.9, 0.96, 2.2])
PLANE = np.random.default_rng(0).standard_normal((9, 3))


@pytest.mark.parametrize("activation", ["relu", "tanh", "erf", "gelu", "selu", "identity", "step"])
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_equal_speeds_give_the_papers_kernel(activation, depth):
    arch = Architecture(depth, 1, activation, 0.3, 3, w_std=1.2)
    expected = limiting_kernels(arch, PLANE).ntk.numpy()
    np.testing.assert_allclose(kernel_with_speeds(arch, [(1, 1)] * depth, PLANE), expected, rtol=1e-9)
    np.testing.assert_allclose(kernel_with_speeds(arch, [(2, 2)] * depth, PLANE), 2 * expected, rtol=1e-9)
    part = kernel_with_speeds(arch, [(1, 1)] * depth, PLANE[:2], PLANE)
    np.testing.assert_allclose(part, expected[:2], rtol=1e-9)


def test_the_last_layers_weights_alone_are_the_nngp_kernel_without_its_bias():
    arch = Architecture(4, 1, "tanh", 0.5, 3)
    found = kernel_with_speeds(arch, [(0, 0)] * 3 + [(1, 0)], PLANE)
    np.testing.assert_allclose(found, limiting_kernels(arch, PLANE).nngp.numpy() - 0.25, rtol=1e-9)
    biases = kernel_with_speeds(arch, [(0, 0)] * 3 + [(0, 1)], PLANE)
    np.testing.assert_allclose(biases, np.full((9, 9), 0.25))


@pytest.mark.parametrize("name", list(PARAMETRIZATIONS))
def test_wide_networks_start_with_it(name):
    """Four networks of width 2,000 lie within a few parts in a hundred, as 1/sqrt(n) says."""
    arch = Architecture(3, 2000, "tanh", 0.3, w_std=1.2)
    kernel = ScaledNetwork.init(arch, range(4), name).tangent_kernel(X).double().mean(0)
    expected = torch.from_numpy(kernel_with_speeds(arch, limiting_speeds(name, arch), X))
    assert float((kernel - expected).norm() / expected.norm()) < 0.02


@pytest.mark.parametrize("speeds", [[(1, 1)], [(1, 1), (-1, 1)], [(1, 1), (1, float("nan"))]])
def test_bad_speeds_are_named(speeds):
    with pytest.raises(ValueError, match=r"^speeds: a pair of numbers >= 0 is needed for each of 2 layers"):
        kernel_with_speeds(Architecture(2, 1), speeds, X)
