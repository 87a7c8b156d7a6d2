"""The limit at every depth against the limiting kernels of that depth, and where it must not be asked."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntk_core import Architecture, data, limiting_kernels
from ntk_core.limit.depth_path import depth_path


@settings(max_examples=12, deadline=None)
@given(
    activation=st.sampled_from(["relu", "abs", "erf", "tanh", "gelu", "step", "sin", "elu"]),
    depth=st.integers(1, 6),
    beta=st.sampled_from([0.0, 0.1, 0.7]),
    w_std=st.floats(0.5, 1.8),
)
def test_every_depth_is_the_limiting_kernel_of_that_depth(activation, depth, beta, w_std):
    angles = np.array([0.3, 1.0, 2.5, math.pi])
    path = depth_path(Architecture(depth, 1, activation, beta, w_std=w_std), np.cos(angles), 0.5)
    X = data.circle(np.append(0.0, angles))
    for L in {1, depth}:
        kernels = limiting_kernels(Architecture(L, 1, activation, beta, w_std=w_std), X)
        for kernel, size, relative in zip(
            kernels, (path.variance, path.tangent), (path.correlation, path.tangent_correlation), strict=True
        ):
            scale = float(kernel[0, 0])
            assert size[L - 1] == pytest.approx(scale, rel=1e-9)
            np.testing.assert_allclose(relative[L - 1], kernel[0, 1:] / scale, atol=1e-9)


def test_chi_is_the_slope_of_the_map_of_correlations():
    path = depth_path(Architecture(3, 1, "erf", 0.2, w_std=1.5), [1 - 1e-6], 1.0)
    slopes = (1 - path.correlation[1:, 0]) / (1 - path.correlation[:-1, 0])
    np.testing.assert_allclose(slopes, path.chi[:-1] * path.variance[:-1] / path.variance[1:], rtol=1e-4)


@pytest.mark.parametrize(
    ("arch", "arguments", "words"),
    [
        (Architecture(3), ([1.5],), "^cosines: "),
        (Architecture(3), ([0.5], 0.0), "^square_norm: "),
        (Architecture(20, 1, "silu", w_std=3.0), ([0.5],), "^w_std: with silu and w_std = 3 the variance"),
    ],
)
def test_bad_arguments_are_named(arch, arguments, words):
    with pytest.raises(ValueError, match=words):
        depth_path(arch, *arguments)
