"""Exact moments against closed forms in depth 2, networks that are really drawn, the limit, and measured constants."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from ntk_core import Architecture, Network, limiting_kernels
from ntk_core.finite.second_moments import draw_kernels, exact_moments, leading_constant

X = torch.tensor([[1.0, 1.0]])  # |x|^2 / n_0 = 1


@pytest.mark.parametrize("width", [1, 2, 7, 1000])
@pytest.mark.parametrize(("activation", "variance"), [("relu", 3), ("abs", 1), ("identity", 1)])
def test_two_layers_by_hand(activation, variance, width):
    """Theta is a mean of n iid numbers 1[active] (g^2 + v^2): mean 1 and variance 3 (relu), 2 and 4 (all active)."""
    moments = exact_moments(Architecture(2, width, activation, 0.0))
    assert moments.relative_variance == pytest.approx(variance / width, rel=1e-12)
    assert moments.mean == pytest.approx(1.0 if activation == "relu" else 2.0)


@pytest.mark.parametrize("activation", ["relu", "abs", "identity"])
def test_the_mean_is_the_limits_at_every_width(activation):
    for depth, width in ((1, 5), (3, 2), (6, 17), (4, (9, 30, 2))):
        arch = Architecture(depth, width, activation, 0.0, w_std=1.3)
        assert exact_moments(arch).mean == pytest.approx(float(limiting_kernels(arch, X).ntk[0, 0]), rel=1e-10)


@pytest.mark.parametrize(
    ("activation", "depth", "width"), [("relu", 3, 8), ("relu", 5, (16, 24, 12, 20)), ("relu", 4, 2), ("abs", 4, 12)]
)
def test_networks_that_are_drawn_have_these_moments(activation, depth, width):
    S = 6000
    arch = Architecture(depth, width, activation, 0.0, w_std=1.4)
    network = Network.init(arch, range(S), weights="dense")
    kernels, f = network.tangent_kernel(X)[:, 0, 0].double().numpy(), network(X)[:, 0, 0].double().numpy()
    drawn, g = draw_kernels(arch, S, seed=1)
    assert stats.ks_2samp(kernels, drawn).pvalue > 1e-3
    assert stats.ks_2samp(f, g).pvalue > 1e-3
    assert stats.ks_2samp(f**2 * kernels, g**2 * drawn).pvalue > 1e-3  # jointly
    if width != 2:  # there the fourth moments are too heavy for a sample
        exact = exact_moments(arch)
        for values in (kernels, drawn):
            ratio = np.square(values).mean() / exact.mean**2
            error = np.square(values).std() / exact.mean**2 / math.sqrt(S)
            assert ratio == pytest.approx(1 + exact.relative_variance, abs=4 * error)


def test_a_wrong_recursion_would_be_seen():
    """With the backward noise independent of the forward norm (no shared masks) the law is another one."""
    arch, S = Architecture(5, 8, "relu", 0.0), 6000
    kernels = Network.init(arch, range(S), weights="dense").tangent_kernel(X)[:, 0, 0].double().numpy()
    source = np.random.default_rng(0)
    steps = source.chisquare(1, (2, S, 4, 8)) * source.integers(0, 2, (2, S, 4, 8))
    forward, backward = steps.mean(-1)
    q = np.cumprod(np.c_[np.ones(S), forward], 1)
    B = np.cumprod(np.c_[np.ones(S), backward], 1)[:, ::-1]
    assert stats.ks_2samp(kernels, (q * B).sum(1)).pvalue < 1e-6


@pytest.mark.parametrize(
    ("depth", "width", "measured", "error"),
    [
        (3, 32, 3.1, 0.2),
        (3, 64, 3.1, 0.2),
        (5, 32, 3.35, 0.2),
        (5, 128, 3.35, 0.2),
        (9, 64, 3.7, 0.3),
        (17, 128, 3.7, 0.3),
    ],
)
def test_measured_constants(depth, width, measured, error):
    """ln(E[Theta^2] / E[Theta]^2) over sum 1/n_l, measured before it was derived (4,000 seeds each)."""
    moments = exact_moments(Architecture(depth, width, "relu", 0.0))
    assert math.log1p(moments.relative_variance) * width / (depth - 1) == pytest.approx(measured, abs=error)


@pytest.mark.parametrize("depth", [2, 3, 4, 7, 30, 100])
@pytest.mark.parametrize("activation", ["relu", "abs", "identity"])
def test_the_leading_constant_is_the_slope_in_depth_over_width(depth, activation):
    variance = exact_moments(Architecture(depth, 10**7, activation, 0.0)).relative_variance
    assert variance * 10**7 / (depth - 1) == pytest.approx(leading_constant(depth, activation), rel=1e-4)


def test_outputs_share_the_size_of_their_last_layer():
    """relu: E[q^2] / E[q]^2 = prod (1 + 5/n), and kurtosis and correlation of squares follow."""
    moments = exact_moments(Architecture(4, (10, 20, 40), "relu", 0.0))
    v = 1.5 * 1.25 * 1.125 - 1
    assert moments.kurtosis == pytest.approx(3 * v)
    f = Network.init(Architecture(4, (10, 20, 40), "relu", 0.0, n_out=2), range(8000), weights="dense")(X)[:, 0].numpy()
    r = np.corrcoef(f[:, 0] ** 2, f[:, 1] ** 2)[0, 1]
    assert moments.output_correlation == pytest.approx(v / (2 + 3 * v))
    assert r == pytest.approx(moments.output_correlation, abs=0.1)


@pytest.mark.parametrize(
    ("arch", "words"),
    [(Architecture(3, 8), "^beta: exact moments"), (Architecture(3, 8, "tanh", 0.0), "^activation: exact moments")],
)
def test_what_is_not_known_is_refused(arch, words):
    for call in (exact_moments, lambda a: draw_kernels(a, 3)):
        with pytest.raises(ValueError, match=words):
            call(arch)


def test_a_constant_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match=r"^activation: "):
        leading_constant(3, "tanh")
