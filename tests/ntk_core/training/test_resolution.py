"""Sampled weights answer as finely as training needs: small movements of f are not lost in what they leave out."""

import math
import sys

import pytest
import torch

from ntk_core import Architecture, Network
from ntk_core.costs import get
from ntk_core.finite.weights import Dense
from ntk_core.rules import GradientDescent, GradientFlow
from ntk_core.training import resolution
from ntk_core.training.pace import Pace
from ntk_core.training.resolution import resolve
from ntk_core.training.train import train
from tests.oracles_finite import Stored

GAMMA = torch.linspace(-math.pi, math.pi, 25, dtype=torch.float64)[:-1]
X = torch.stack([GAMMA.cos(), GAMMA.sin()], 1)
ARCH = Architecture(5, 300, "softplus", 1.0, 2)
TOLERANCE, TIME, RATE = 3e-3, 40.0, 0.1


def matrices():
    base = Network.init(ARCH, [0], dtype=torch.float64, weights="dense")
    return [layer.W.clone() for layer in base.layers], [b.clone() for b in base.biases]


def network(stored=True):
    """One network, whose hidden matrices are seen by sampled queries, or as they are."""
    W, biases = matrices()
    hidden = [Stored(w, TOLERANCE) if stored else Dense(w.clone()) for w in W[1:-1]]
    return Network(ARCH, [Dense(W[0].clone()), *hidden, Dense(W[-1].clone())], biases)


def target(size):
    """f_0 and a function besides, so that f moves by about `size`."""
    return network(stored=False)(X) + size * torch.sin(GAMMA)[None, :, None]


def trained(net, y, method="leaps"):
    """Change of f, and the leaps that it took."""
    first, *_, last = train(net, X, y, [0.0, TIME], rule=GradientDescent(RATE), method=method)
    return last.outputs - first.outputs, int(last.leaps[0] + last.walked[0])


@pytest.mark.parametrize("method", ["leaps", "steps"])
def test_a_small_movement_is_told_as_well_as_a_large_one(method):
    y = target(3e-3)
    exact, leaps = trained(network(stored=False), y, method)
    seen, taken = trained(network(), y, method)
    assert float((seen - exact).norm() / exact.norm()) < 0.02
    assert taken <= 4 * leaps


def test_without_it_leaps_shrink_and_the_movement_is_lost(monkeypatch):
    monkeypatch.setattr(sys.modules["ntk_core.training.train"], "resolve", lambda *a: False)
    y = target(3e-3)
    exact, leaps = trained(network(stored=False), y)
    seen, taken = trained(network(), y)
    assert taken > 8 * leaps
    assert float((seen - exact).norm() / exact.norm()) > 0.1


def asked(net, y, end=TIME):
    return resolve(net, net.inputs(X), y, GradientDescent(RATE), get("squared"), end)


def test_tolerances_follow_the_movement():
    net = network()
    layer = net.layers[1]
    assert not asked(net, target(5.0))  # as large as f itself
    assert layer._forward.tolerance == TOLERANCE
    assert asked(net, target(3e-2))
    once = layer._forward.tolerance
    assert 1e-6 < once < 2e-5  # 0.02 of a hundredth of the movement, which is 3e-2 at most
    assert not asked(net, target(3e-2))  # it is already
    assert asked(net, target(3e-3))
    assert layer._forward.tolerance == pytest.approx(once / 10, rel=0.2)
    assert layer._backward.tolerance == pytest.approx(30 * layer._forward.tolerance)


def noisy():
    """A network that resolves nothing: what its weights leave out is a tenth of f's movement and more."""
    base = Network.init(Architecture(5, 400, "selu", 1.0, 2), [0], dtype=torch.float64, weights="dense")
    layers = [Dense(w.W.clone()) if k in (0, 4) else Stored(w.W.clone(), 2e-2) for k, w in enumerate(base.layers)]
    return Network(base.arch, layers, base.biases)


def test_leaps_that_noise_forbids_make_weights_sharper(monkeypatch):
    """The flow would crawl on for ever in moments of 1e-9 of the way."""
    monkeypatch.setattr(sys.modules["ntk_core.training.train"], "resolve", lambda *a: False)
    net = noisy()
    y = net(X).clone() + 0.1 * torch.sin(GAMMA)[None, :, None]
    *_, last = train(net, X, y, [0.0, 10.0], rule=GradientFlow())
    assert int(last.leaps[0]) < 1000
    assert net.tolerance < 3e-3


def test_what_no_leap_can_meet_is_refused(monkeypatch):
    monkeypatch.setattr(sys.modules["ntk_core.training.train"], "resolve", lambda *a: False)
    net = noisy()
    monkeypatch.setattr(net, "sharpen", lambda tolerance: False)
    y = net(X).clone() + 0.1 * torch.sin(GAMMA)[None, :, None]
    with pytest.raises(ArithmeticError, match=r"no leap near t = .* meets the tolerance 0\.01; raise it, or train"):
        list(train(net, X, y, [0.0, 10.0], rule=GradientFlow()))


def test_rounding_is_the_limit():
    net = network()
    asked(net, net(X).clone())  # nothing is to move
    assert net.layers[1]._forward.tolerance == 4 * torch.finfo(torch.float64).eps


def test_nothing_is_asked_where_there_is_nothing_to_sharpen(monkeypatch):
    assert not asked(network(stored=False), target(1e-3))
    assert not asked(network(), target(1e-3), end=0.0)
    monkeypatch.setattr(resolution, "MOST_OUTPUTS", 10)
    assert not asked(network(), target(1e-3))


def test_what_a_part_learns_to_look_at_closely_the_whole_looks_at_as_closely():
    """Seeds that leap on by themselves sharpen their weights and start their pace anew; both come back with them."""
    whole = Network.init(ARCH, [0, 1], weights="sampled")
    part = whole.part(torch.tensor([1]))
    assert part.sharpen(part.tolerance / 10)
    whole.put(torch.tensor([1]), part)
    assert whole.tolerance == part.tolerance
    pace = Pace(2, GradientFlow(), 0.01, None, 0.0)
    alone = pace.part(torch.tensor([1]))
    alone.sizes[0].learn(1, 1.0, 0.5, 0.5)
    alone.forget()
    again = pace.merged(torch.tensor([1]), alone)
    assert again.sizes == (pace.sizes[0], alone.sizes[0])
    assert again.sizes[1].c1 is None
