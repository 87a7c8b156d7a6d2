"""Finite networks against the oracle, against Jacobians written out, and against the laws of section 4."""

import math

import numpy as np
import pytest
import torch

from ntk_core import Architecture, GradientDescent, Network, limiting_kernels, train
from tests import oracles_finite as naive
from tests.oracles import oracle

CASES = oracle()["finite"]
INPUTS = oracle()["inputs"]


def ids(case):
    return f"{case['activation']}-L{case['depth']}-out{case['n_out']}"


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_outputs_and_tangent_kernel_of_the_oracle(case):
    X = np.array(INPUTS[case["inputs"]])
    arch = Architecture(case["depth"], case["width"], case["activation"], case["beta"], X.shape[1], case["n_out"])
    network = Network.from_parameters(arch, [np.array(W).T for W in case["weights_in_by_out"]], case["biases"])
    kernel = np.array(case["ntk_nnkk"])
    if case["n_out"] == 1:
        kernel = kernel[..., 0, 0]
    np.testing.assert_allclose(network(X).numpy(), np.array(case["f"]), rtol=0, atol=1e-12)
    np.testing.assert_allclose(network.tangent_kernel(X).numpy(), kernel, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("activation", "sigma"), [("relu", torch.relu), ("tanh", torch.tanh)])
@pytest.mark.parametrize("n_out", [1, 3])
def test_tangent_kernel_is_the_gram_matrix_of_the_jacobian(activation, sigma, n_out):
    arch = Architecture(3, (7, 5), activation, 0.3, n_in=4, n_out=n_out)
    theta = naive.parameters(arch.widths, seed=1)
    network = Network.from_parameters(arch, [W for W, _ in theta], [b for _, b in theta])
    X = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    expected = naive.tangent_kernel(sigma, 0.3, theta, X)
    expected = expected[..., 0, 0] if n_out == 1 else expected
    torch.testing.assert_close(network.tangent_kernel(X), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(network.tangent_kernel(X[:2], X[2:]), expected[:2, 2:], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n_out", [1, 2])
@pytest.mark.parametrize("w_std", [0.6, 1.8])
def test_the_weights_deviation_is_in_outputs_kernel_and_movement(w_std, n_out):
    """With beta = 1: f, the kernel and J v against autograd; a move of the parameters against the moved network."""
    arch = Architecture(4, (7, 6, 5), "tanh", 1.0, n_in=3, n_out=n_out, w_std=w_std)
    theta = naive.parameters(arch.widths, seed=1)
    network = Network.from_parameters(arch, [W for W, _ in theta], [b for _, b in theta])
    X = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    expected = naive.tangent_kernel(torch.tanh, 1.0, theta, X, w_std)
    torch.testing.assert_close(network(X), naive.network(torch.tanh, 1.0, theta, X, w_std), rtol=1e-12, atol=1e-12)
    kernel = network.tangent_kernel(X)
    torch.testing.assert_close(kernel.reshape(expected.shape), expected, rtol=1e-12, atol=1e-12)

    features = network.features(X)
    coefficients = torch.randn(1, n_out, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    direction = network.direction(features.done, features.deltas, coefficients)
    moved = torch.einsum("nmkl,slm->snk", expected, coefficients)  # J J^T c
    torch.testing.assert_close(network.pushforward(features.done, [(1.0, direction)]), moved, rtol=1e-11, atol=1e-11)
    before, step = network(X), 1e-6
    network.shift((step, direction))
    ahead = network(X)
    network.shift((-2 * step, direction))
    torch.testing.assert_close((ahead - network(X)) / (2 * step), moved[0], rtol=1e-6, atol=1e-7)
    network.shift((step, direction))
    torch.testing.assert_close(network(X), before, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("beta", [0.1, 1.0])
def test_gradient_descent_with_a_weights_deviation_is_autograds(beta):
    arch = Architecture(3, (8, 7), "tanh", beta, n_in=2, w_std=1.5)
    theta = naive.parameters(arch.widths, seed=4)
    network = Network.from_parameters(arch, [W for W, _ in theta], [b for _, b in theta])
    X = torch.randn(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    y = X[:, :1] - 0.5
    last = list(train(network, X, y, [0, 2.0], rule=GradientDescent(0.1), method="steps"))[-1]
    after = naive.gradient_descent(
        torch.tanh, beta, theta, X, lambda f: (f - y).square().mean() / 2, 0.1, 20, w_std=1.5
    )
    expected = naive.network(torch.tanh, beta, after, X, 1.5)
    torch.testing.assert_close(last.outputs.reshape(4, 1), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("weights", ["dense", "sampled"])
def test_wide_networks_with_a_weights_deviation_meet_their_limit(weights):
    """relu keeps its size at w_std = sqrt(2); half of the error of a mean over 300 seeds is what 2 % is."""
    arch = Architecture(3, 256, "relu", 1.0, w_std=math.sqrt(2.0))
    X = torch.tensor([[1.0, 0.0], [0.6, -0.8]])
    kernels = Network.init(arch, range(300), weights=weights, points=X).tangent_kernel(X).double()
    expected = limiting_kernels(arch, X).ntk
    error = kernels.std(0) / math.sqrt(300)
    assert float(((kernels.mean(0) - expected).abs() / error).max()) < 4.5
    assert float((error / expected).max()) < 0.02


@pytest.mark.parametrize("weights", ["dense", "sampled"])
def test_tangent_kernel_is_symmetric_and_positive(weights):
    network = Network.init(Architecture(4, 64), 3, dtype=torch.float64, weights=weights, tolerance=1e-6)
    X = torch.randn(12, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    kernel = network.tangent_kernel(X)
    torch.testing.assert_close(kernel, kernel.T, rtol=1e-6, atol=1e-6)
    assert torch.linalg.eigvalsh((kernel + kernel.T) / 2).min() > -1e-6
    order = torch.randperm(12, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(network.tangent_kernel(X[order]), kernel[order][:, order], rtol=1e-5, atol=1e-5)


def test_a_seed_names_one_network_in_an_ensemble_and_in_every_precision():
    arch = Architecture(4, 50)
    X = torch.tensor([[1.0, 0.0], [0.3, -2.0]])
    ensemble = Network.init(arch, [5, 6, 7], weights="dense")(X)
    for place, seed in enumerate((5, 6, 7)):
        torch.testing.assert_close(Network.init(arch, seed, weights="dense")(X), ensemble[place])
    double = Network.init(arch, 6, weights="dense", dtype=torch.float64)(X)
    torch.testing.assert_close(double.float(), ensemble[1], rtol=1e-4, atol=1e-5)
    assert (ensemble[0] - ensemble[1]).abs().min() > 1e-3


def test_layers_of_one_seed_are_independent():
    """Correlated streams (a bias vector equal to a row of weights, say) would show in the variance of f."""
    arch = Architecture(4, 128, beta=1.0)
    X = torch.tensor([[1.0, 0.0]])
    f = Network.init(arch, range(600), weights="dense")(X)[:, 0, 0].double()
    expected = float(limiting_kernels(arch, X).nngp[0, 0])
    # The variance of 600 nearly Gaussian numbers has relative deviation sqrt(2/600) = 0.058.
    assert float(f.var()) == pytest.approx(expected, rel=4 * 0.058)
    assert abs(float(f.mean())) < 4 * math.sqrt(expected / 600)


def test_fluctuations_of_the_tangent_kernel_fall_like_one_over_root_width():
    widths = [32, 64, 128, 256, 512, 1024]
    X = torch.tensor([[1.0, 0.0]])
    spread, mean = [], []
    for width in widths:
        batches = [
            Network.init(Architecture(4, width), range(first, first + 20), weights="dense").tangent_kernel(X)
            for first in range(0, 80, 20)
        ]
        values = torch.cat(batches).double().flatten()
        spread.append(float(values.std()))
        mean.append(float(values.mean()))
    slope = np.polyfit(np.log(widths), np.log(spread), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.1)
    # targets: n Var / E^2 is about 9, and the mean is the limit's 0.2825
    ratios = [n * (s / 0.2825) ** 2 for n, s in zip(widths, spread, strict=True)]
    assert 5 < np.mean(ratios) < 13
    assert mean[-1] == pytest.approx(0.2825, abs=4 * spread[-1] / math.sqrt(80))


def test_figure_1_at_initialization():
    """Ten networks of width 500: the paper's figure shows a peak of 0.273 +- 0.041."""
    kernel = Network.init(Architecture(4, 500), range(100), weights="dense").tangent_kernel(torch.tensor([[1.0, 0.0]]))
    peak = kernel.flatten().double()
    assert float(peak.std()) == pytest.approx(0.041, rel=0.35)
    assert float(peak.mean()) == pytest.approx(0.273, abs=3 * 0.041 / math.sqrt(10))
    assert float(peak.mean()) == pytest.approx(0.2825, abs=4 * float(peak.std()) / 10)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weights": [np.zeros((3, 2))]}, "depth 2 needs 2 weight matrices"),
        ({"weights": [np.zeros((3, 2)), np.zeros((2, 3))]}, r"layer 1 needs shapes \(1, 3\)"),
        ({"biases": [np.zeros(3), np.zeros(2)]}, "layer 1"),
        (
            {"weights": [torch.zeros(3, 2), torch.zeros(1, 3)]},
            r"^weights, biases: one precision is needed, got torch.float32 and torch.float64",
        ),
    ],
)
def test_wrong_parameters_are_named(change, words):
    given = {"weights": [np.zeros((3, 2)), np.zeros((1, 3))], "biases": [np.zeros(3), np.zeros(1)]} | change
    with pytest.raises(ValueError, match=words):
        Network.from_parameters(Architecture(2, 3), **given)


@pytest.mark.parametrize(
    ("X", "words"),
    [
        ([[1.0, 2.0, 3.0]], r"X: inputs of shape \(N, 2\)"),
        ([[math.nan, 0.0]], "finite"),
        ([1.0, 2.0], "shape"),
        (np.zeros((3, 5, 2)), "^X: inputs for S = 1 seeds are needed, got 3$"),
        ([[1e20, 0.0]], r"^X: the squares of inputs as large as 1e\+20 overflow in torch.float32; scale them down$"),
    ],
)
def test_wrong_inputs_are_named(X, words):
    with pytest.raises(ValueError, match=words):
        Network.init(Architecture(3, 8), 0)(X)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weights": "sparse"}, "weights: must be"),
        ({"seed": []}, "seed:"),
        ({"seed": -1}, "seed:"),
        ({"device": "abacus"}, "device:"),
        ({"weights": "sampled", "tolerance": 0.0}, "tolerance:"),
    ],
)
def test_wrong_options_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        Network.init(Architecture(4, 8), **options)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device: the CUDA path is not tested here")
@pytest.mark.parametrize("weights", ["dense", "sampled"])
def test_cuda_gives_the_same_law(weights):
    arch = Architecture(4, 256)
    X = torch.tensor([[1.0, 0.0]])
    peak = Network.init(arch, range(200), device="cuda", weights=weights, points=X).tangent_kernel(X).flatten()
    spread = 0.2825 * 3 / math.sqrt(256)
    assert float(peak.mean()) == pytest.approx(0.2825, abs=4 * spread / math.sqrt(200))


def test_the_largest_seeds_are_seeds():
    """Beyond 64 bits, beside small ones: no seed becomes a float on its way."""
    seeds = [0, 2**63, 2**70 + 1]
    together = Network.init(Architecture(2, 8), seeds, dtype=torch.float64)
    X = torch.ones(1, 2, dtype=torch.float64)
    for place, seed in enumerate(seeds):
        torch.testing.assert_close(together(X)[place], Network.init(Architecture(2, 8), seed, dtype=torch.float64)(X))
    with pytest.raises(ValueError, match=r"^seed: "):
        Network.init(Architecture(2, 8), [3, True])  # not a second seed of 1
