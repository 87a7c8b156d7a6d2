"""Parametrizations against raw parameters trained by autograd, and the laws of lazy and feature learning."""

import copy
import math

import numpy as np
import pytest
import torch

from ntk_core import Architecture, LinearizedNetwork, Network, ScaledNetwork, costs, train, train_scaled
from ntk_core.finite.laws import fit_slope
from ntk_core.finite.layer_terms import Speed, layer_terms
from ntk_core.finite.movement import alignment, drift, kernel_movement
from ntk_core.finite.parametrizations import PARAMETRIZATIONS, scales
from ntk_core.finite.scaled import rescaled_targets
from ntk_core.rules import GradientDescent, GradientFlow

ANGLES = torch.tensor([-2.19438, -0.93143, 0.963, 2.22595], dtype=torch.float64)
X = torch.stack([ANGLES.cos(), ANGLES.sin()], 1)
Y = torch.tensor([-0.4, -0.2, 0.3, 0.3], dtype=torch.float64)
SIGMA = {"relu": torch.relu, "tanh": torch.tanh}


def ends(model, times, y=Y, **options):
    return [state.outputs for state in train_scaled(model, X, y, times, **options)]


def raw_descent(arch, layers, draws, y, rate, steps, alpha=1.0, centred=False, cost="squared"):
    """multiplier x w + multiplier x c with w, c themselves trained by autograd, rates and alpha written out."""
    sigma, loss = SIGMA[arch.activation], costs.get(cost)
    raw = [(s.weights.std * W, s.biases.std * b) for s, (W, b) in zip(layers, draws, strict=True)]
    raw = [(w.clone().requires_grad_(), c.clone().requires_grad_()) for w, c in raw]

    def f():
        a = X
        for layer, (s, (w, c)) in enumerate(zip(layers, raw, strict=True)):
            h = a @ (s.weights.multiplier * w).T + s.biases.multiplier * c
            a = sigma(h) if layer < arch.depth - 1 else h
        return a

    f0 = f().detach() if centred else 0.0
    for _ in range(steps):
        value = loss.value(alpha * (f() - f0), y)
        gradients = torch.autograd.grad(value, [p for pair in raw for p in pair])
        with torch.no_grad():
            for s, (w, c), (gw, gc) in zip(layers, raw, zip(gradients[::2], gradients[1::2], strict=True), strict=True):
                w.sub_(rate / alpha**2 * s.weights.rate * gw)
                c.sub_(rate / alpha**2 * s.biases.rate * gc)
    return alpha * (f().detach() - f0)


@pytest.mark.parametrize("name", list(PARAMETRIZATIONS))
@pytest.mark.parametrize(
    ("activation", "n_out", "alpha", "centred", "cost"),
    [("relu", 1, 1.0, False, "squared"), ("tanh", 2, 0.5, True, "logistic"), ("tanh", 1, 3.0, False, "squared")],
)
def test_training_is_that_of_the_raw_parameters(name, activation, n_out, alpha, centred, cost):
    arch = Architecture(3, 24, activation, 0.3, 2, n_out, w_std=1.2)
    plain = Network.init(arch, 5, dtype=torch.float64)
    draws = [(layer.W[0].clone(), b[0].clone()) for layer, b in zip(plain.layers, plain.biases, strict=True)]
    y = torch.stack([Y, -2 * Y], 1)[:, :n_out]
    model = ScaledNetwork.init(arch, 5, name, alpha=alpha, centred=centred, dtype=torch.float64)
    found = ends(model, [0.0, 5.0], y, rate=0.25, cost=cost)
    for steps, outputs in zip((0, 20), found, strict=True):
        expected = raw_descent(arch, scales(name, arch), draws, y, 0.25, steps, alpha, centred, cost)
        torch.testing.assert_close(outputs[0], expected, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(model(X), found[1][0])


def test_the_standard_one_with_its_rates_is_the_papers():
    arch = Architecture(4, (40, 30, 20), "relu", 0.1, w_std=1.3)
    outputs = [
        ends(ScaledNetwork.init(arch, [0, 1], name, dtype=torch.float64), [0, 10, 50])[-1]
        for name in ("ntk", "standard")
    ]
    torch.testing.assert_close(*outputs, rtol=1e-10, atol=1e-12)
    network = Network.init(arch, [0, 1], dtype=torch.float64)
    state = list(train(network, X, Y, [0, 50], method="steps"))[-1]
    torch.testing.assert_close(state.outputs, outputs[0], rtol=1e-10, atol=1e-12)


def test_mup_is_the_papers_network_with_output_scale_one_over_root_n():
    arch = Architecture(4, 50, "tanh", 0.1, w_std=1.2)
    mup = ends(ScaledNetwork.init(arch, [0, 1], "mup", dtype=torch.float64), [0, 40])[-1]
    scaled = ends(ScaledNetwork.init(arch, [0, 1], alpha=50**-0.5, dtype=torch.float64), [0, 40])[-1]
    torch.testing.assert_close(mup, scaled, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("centred", [False, True])
def test_rescaled_targets_train_the_same(centred):
    arch = Architecture(3, 60, "tanh")
    scaled = ends(ScaledNetwork.init(arch, [0, 1], alpha=0.2, centred=centred, dtype=torch.float64), [0, 30])[-1]
    network = Network.init(arch, [0, 1], dtype=torch.float64)
    f0 = network(X)
    y = rescaled_targets(network, X, Y, 0.2, centred)
    state = list(train(network, X, y, [0, 30], method="steps"))[-1]
    torch.testing.assert_close(0.2 * (state.outputs - f0 * centred), scaled, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", list(PARAMETRIZATIONS))
def test_outputs_move_by_the_kernel_that_is_stated(name):
    """The change of f in one small step, over the step, is -K (f - y) / N."""
    model = ScaledNetwork.init(Architecture(3, 32, "tanh", 0.2), 1, name, alpha=0.7, dtype=torch.float64)
    K, f, rate = model.tangent_kernel(X), model(X), 1e-6
    moved = ends(model, [rate], rate=rate)[-1][0]
    torch.testing.assert_close((moved - f) / rate, -K @ (f - Y[:, None]) / 4, rtol=1e-4, atol=1e-6)


def test_layer_terms_add_up():
    network = Network.init(Architecture(3, 20, n_out=2, w_std=0.7), [0, 1], dtype=torch.float64)
    features = network.features(X)
    torch.testing.assert_close(sum(layer_terms(features, features)), network.tangent_kernel(X))
    doubled = layer_terms(features, features, [Speed(2.0, 2.0)] * 3)
    torch.testing.assert_close(sum(doubled), 2 * network.tangent_kernel(X))


def movement(model, time=100.0, rate=1.0):
    before = model.tangent_kernel(X)
    ends(model, [time], rate=rate)
    return float(kernel_movement(before, model.tangent_kernel(X)).mean())


def test_a_large_output_scale_is_lazy():
    """Kernel movement and the distance to the linearized network fall like 1/alpha (Chizat, Oyallon and Bach)."""
    alphas, moved, distance = [4.0, 16.0, 64.0], [], []
    for alpha in alphas:
        model = ScaledNetwork.init(
            Architecture(3, 64, "tanh"), range(3), alpha=alpha, centred=True, dtype=torch.float64
        )
        lin = LinearizedNetwork(model, X, Y, GradientDescent(1.0))
        moved.append(movement(model))
        distance.append(float((model(X) - lin.at(100.0)).abs().max()))
    for values in (moved, distance):
        assert fit_slope(alphas, values).slope == pytest.approx(-1.0, abs=0.05)


def test_features_move_at_every_width_in_mup_and_not_in_the_papers_parametrization():
    widths = [32, 64, 128, 256]
    moved = {
        name: [movement(ScaledNetwork.init(Architecture(3, n, "tanh"), range(6), name), rate=0.5) for n in widths]
        for name in ("ntk", "mup")
    }
    slope = {name: fit_slope(widths, values).slope for name, values in moved.items()}
    assert -1.4 < slope["ntk"] < -0.45
    assert slope["mup"] > -0.25
    assert moved["mup"][-1] > 10 * moved["ntk"][-1]


def test_a_linear_network_aligns_as_much_as_theory_says():
    """Identity, one hidden layer, isotropic inputs: lazy 1/sqrt(2); rich W = v w^T and |v| = |W|, so 2/sqrt(5)."""
    points = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]], dtype=torch.float64)
    y = points @ torch.tensor([0.6, 0.8], dtype=torch.float64)
    found = []
    for alpha in (10.0, 0.1, 0.003):
        model = ScaledNetwork.init(
            Architecture(2, 100, "identity", 0.0), range(3), alpha=alpha, centred=True, dtype=torch.float64
        )
        list(train_scaled(model, points, y, [16.0], rate=0.01))
        found.append(float(alignment(model.tangent_kernel(points), y).mean()))
    assert found[0] == pytest.approx(0.5**0.5, abs=0.05)
    assert found[0] < found[1] < found[2]
    assert found[2] == pytest.approx(2 / 5**0.5, abs=0.01)


def test_alignment_of_kernels_by_hand():
    assert float(alignment(torch.outer(Y, Y), Y)) == pytest.approx(1.0)
    assert float(alignment(torch.eye(4), Y)) == pytest.approx(0.5)
    several = Network.init(Architecture(3, 20, n_out=2), [0, 1], dtype=torch.float64).tangent_kernel(X)
    y = torch.stack([Y, 2 * Y], 1)
    expected = [float(torch.einsum("nk,nmkl,ml->", y, K, y) / K.norm() / y.square().sum()) for K in several]
    np.testing.assert_allclose(alignment(several, y), expected)
    np.testing.assert_allclose(alignment(several[0], y), expected[0])


def test_single_weights_and_neurons_move_less_and_less_and_together_as_much_as_ever():
    """Remark 4, over widths 64 to 512: hidden weights -1, the others and the activations -1/2, effects 0."""
    widths, found = [64, 128, 256, 512], []
    for width in widths:
        network = Network.init(Architecture(4, width), range(8), weights="dense")
        start, y = copy.deepcopy(network), rescaled_targets(network, X, Y, 1.0)
        for _ in train(network, X, y, [0, 100], rule=GradientFlow(), tolerance=0.02):
            pass
        moved = drift(start, network, X)
        total = float(kernel_movement(start.tangent_kernel(X), network.tangent_kernel(X)).mean())
        assert float(moved.kernel_total.mean()) == pytest.approx(total, rel=1e-3)
        found.append([m.mean(0).numpy() for m in (moved.weights, moved.activations, moved.effects, moved.kernel)])
    weights, activations, effects, kernel = (
        [fit_slope(widths, column).slope for column in np.array(values).T] for values in zip(*found, strict=True)
    )
    np.testing.assert_allclose(weights, [-0.5, -1, -1, -0.5], atol=0.15)
    np.testing.assert_allclose(activations, -0.5, atol=0.15)
    np.testing.assert_allclose(effects, 0.0, atol=0.15)
    assert all(-1.25 < slope < -0.4 for slope in kernel)


def test_the_effects_of_layers_are_those_of_the_layers_alone():
    arch = Architecture(3, 300, "tanh", 0.2)
    network = Network.init(arch, [0, 1], dtype=torch.float64)
    start = copy.deepcopy(network)
    for _ in train(network, X, Y, [0, 30]):
        pass
    moved = drift(start, network, X)
    for layer in range(3):
        mixed = copy.deepcopy(start)
        mixed.layers[layer], mixed.biases[layer] = network.layers[layer], network.biases[layer]
        expected = (mixed(X) - start(X)).square().mean((1, 2)).sqrt()
        torch.testing.assert_close(moved.effects[:, layer], expected)
        W = (network.layers[layer].W - start.layers[layer].W).square().mean((1, 2)).sqrt()
        torch.testing.assert_close(moved.weights[:, layer], W)


def test_a_network_without_hidden_layers_has_no_activations_that_move():
    before, after = (Network.init(Architecture(1, 5), [k, k + 1], dtype=torch.float64) for k in (0, 2))
    moved = drift(before, after, X)
    assert (moved.weights.shape, moved.activations.shape) == ((2, 1), (2, 0))
    assert (moved.weights > 0).all()


def test_inside_a_leap_movement_is_that_of_the_network_as_it_answers(monkeypatch):
    """Not of the leap's end, where the parameters are."""
    monkeypatch.setattr("ntk_core.training.crew.worth", lambda *a: 0.0)  # short leaps are leapt
    network = Network.init(Architecture(3, 60, "tanh", 0.2), [0, 1], dtype=torch.float64, weights="dense")
    start, inside, weights = copy.deepcopy(network), 0, []
    for state in train(network, X, Y, range(0, 31)):
        if state.output is None:
            continue
        there = copy.deepcopy(network)
        there.keep(torch.ones(2, dtype=torch.bool))  # as if training ended here
        found, expected = drift(start, network, X), drift(start, there, X)
        for name in vars(expected):
            torch.testing.assert_close(getattr(found, name), getattr(expected, name), rtol=1e-9, atol=1e-12)
        inside += network.on_trial
        weights.append(found.weights)
    assert inside > 10
    assert len(torch.stack(weights).unique(dim=0)) == 31  # every time has its own


def test_seeds_that_diverge_are_told_from_those_that_do_not():
    model = ScaledNetwork.init(Architecture(3, 32), [0, 1])
    state = list(train_scaled(model, X, Y, [0, 40 * 400.0], rate=400.0))[-1]
    assert bool(state.diverged.all())
    assert bool(torch.isnan(state.outputs).all())


def test_every_parametrization_starts_from_its_own_variance():
    """Outputs of the standard one are the paper's; muP's are smaller by sqrt(n)."""
    arch = Architecture(3, 100)
    f = {name: ScaledNetwork.init(arch, range(3), name, dtype=torch.float64)(X) for name in PARAMETRIZATIONS}
    for name, factor in (("standard", 1), ("standard_one_rate", 1), ("mup", 10)):
        torch.testing.assert_close(factor * f[name], f["ntk"])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ScaledNetwork.init(Architecture(3), 0, "gpt"), "^parametrization: must be one of ntk, standard"),
        (lambda: ScaledNetwork.init(Architecture(3), 0, alpha=0.0), "^alpha: "),
        (lambda: ScaledNetwork.init(Architecture(3), 0, alpha=math.inf), "^alpha: "),
        (lambda: ScaledNetwork(Network.init(Architecture(3, 8), 0), [Speed()]), "^speeds: 3 layers"),
        (lambda: ScaledNetwork(Network.init(Architecture(4, 8), 0, weights="sampled")), "^weights: scaled networks"),
        (lambda: train_scaled(ScaledNetwork.init(Architecture(3, 8), 0), X, Y, [0.3]), "^times: "),
        (lambda: train_scaled(ScaledNetwork.init(Architecture(3, 8), 0), X, Y[:2], [1]), "^y: "),
        (lambda: train_scaled(ScaledNetwork.init(Architecture(3, 8), 0), X, Y, [1], rate=-1.0), "^learning_rate: "),
        (lambda: alignment(torch.eye(3), Y), "^y: 4 targets do not fit"),
        (lambda: alignment(torch.eye(4), 0 * Y), "^y: all targets are zero"),
        (lambda: alignment(torch.ones(3, 3, 3, 3), Y[:3]), r"^y: a kernel of several outputs, \(3, 3, 3, 3\), needs"),
        (lambda: drift(*(Network.init(Architecture(3, n), 0) for n in (8, 9)), X), "^after: its layers"),
        (lambda: drift(*[Network.init(Architecture(4, 8), 0, weights="sampled")] * 2, X), "^weights: the movement"),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
