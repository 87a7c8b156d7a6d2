"""Output times inside leaps: where a network is seen there, and that it goes where it goes whoever looks."""

import numpy as np
import pytest
import torch

from ntk_core import Architecture, Network
from ntk_core.rules import GradientDescent, GradientFlow, Momentum
from ntk_core.training import passing
from ntk_core.training.train import train
from tests.ntk_core.training.test_errors import drawn

X = torch.randn(7, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
Y = X[:, 0] * X[:, 1]


def network(width=60, seeds=(3, 1, 7), **options):
    options = {"dtype": torch.float64, "weights": "dense"} | options
    return Network.init(Architecture(4, width, "tanh", beta=0.3), seeds, **options)


def seen(network, times, targets=Y, **options):
    """The state, f and the kernel at every output time."""
    return [
        (state, network(X).clone(), network.tangent_kernel(X))
        for state in train(network, X, targets, times, **options)
        if state.output is not None
    ]


@pytest.mark.parametrize("rule", [GradientDescent(0.5), GradientFlow()], ids=str)
def test_training_does_not_depend_on_when_one_looks(rule):
    few, many = network(seeds=[3]), network(seeds=[3])
    (*_, end), (*between, same) = seen(few, [0.0, 40.0], rule=rule), seen(many, np.arange(0, 40.5, 0.5), rule=rule)
    assert all(torch.equal(a.W, b.W) for a, b in zip(few.layers, many.layers, strict=True))
    assert end[0].leaps.tolist() == same[0].leaps.tolist()
    assert max(end[0].leaps) < 20 < len(between)


def test_seeds_side_by_side_do_not_depend_on_it_either():
    """But for the rounding of products that several share."""
    (*_, end), (*_, same) = seen(network(), [0.0, 40.0]), seen(network(), np.arange(0, 41.0))
    assert end[0].leaps.tolist() == same[0].leaps.tolist()
    torch.testing.assert_close(end[1], same[1], rtol=1e-9, atol=1e-11)


def test_sampled_networks_train_alike_whenever_one_looks():
    options = {"weights": "sampled", "points": X, "tolerance": 1e-6}
    (*_, end), (*_, same) = seen(network(**options), [0.0, 40.0]), seen(network(**options), [0.0, 1.0, 9.0, 30.0, 40.0])
    torch.testing.assert_close(end[1], same[1], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("index", [3, 14, 20, 33, 35, 101])
def test_what_is_seen_inside_leaps_is_within_its_estimate(index):
    """f and the kernel at every output time against single steps, for drawn networks, rates and times."""
    arch, seed, inputs, y, rule, time = drawn(index)
    if isinstance(rule, Momentum):
        rule = GradientDescent(rule.rate)
    steps = round(time / rule.rate)
    times = [k * rule.rate for k in range(0, steps + 1, max(1, steps // 9))]
    found = []
    for method in ("leaps", "steps"):
        trained = Network.init(arch, seed, dtype=torch.float64, weights="dense")
        states = train(trained, inputs, y, times, rule=rule, method=method)
        looks = [(s, trained(inputs), trained.tangent_kernel(inputs)) for s in states if s.output is not None]
        found.append(looks)
    assert int(found[0][-1][0].leaps) < steps
    for (state, f, kernel), (_, exact_f, exact_kernel) in zip(*found, strict=True):
        assert torch.equal(state.outputs[0], f)
        assert float((f - exact_f).square().mean().sqrt()) <= float(state.error) + 1e-12
        assert float((kernel - exact_kernel).norm() / exact_kernel.norm()) <= float(state.kernel_error) + 1e-12


@pytest.mark.parametrize("rule", [GradientDescent(0.25), GradientFlow()], ids=str)
@pytest.mark.usefixtures("leaps_alone")
def test_the_error_inside_leaps_falls_at_second_order(rule):
    """Against leaps of a far smaller tolerance."""
    times = [0.0, 1.5, 4.0, 9.0, 40.0]
    exact = seen(network(seeds=[3, 1]), times, rule=rule, tolerance=1e-5)
    errors, leaps = [], []
    for tolerance in (0.1, 0.01, 0.001):
        found = seen(network(seeds=[3, 1]), times, rule=rule, tolerance=tolerance, order=2)
        errors.append(max(float((f - g).norm()) for (_, f, _), (_, g, _) in zip(found[:-1], exact[:-1], strict=True)))
        leaps.append(float(found[-1][0].leaps.double().mean()))
    slope = np.polyfit(np.log(leaps), np.log(errors), 1)[0]
    assert slope < -1.5, (leaps, errors)


@pytest.mark.usefixtures("leaps_alone")
def test_who_stops_looking_leaves_the_network_where_it_was_seen():
    trained, exact = network(), network()
    states = train(trained, X, Y, [0.0, 5.0, 40.0])
    while next(states).output != 1:
        pass
    f = trained(X)
    assert trained.on_trial  # its leap has gone further
    states.close()
    torch.testing.assert_close(trained(X), f, rtol=1e-10, atol=1e-12)
    assert not trained.on_trial
    (*_, there) = seen(exact, [0.0, 5.0], method="steps")
    torch.testing.assert_close(f, there[1], rtol=0.02, atol=0.01)


@pytest.mark.usefixtures("leaps_alone")
def test_a_heavy_ball_and_too_many_times_stop_where_they_are_asked_for(monkeypatch):
    times = [0.0, 5.0, 10.0, 40.0]
    ball = seen(network(), times, rule=Momentum(0.25, 0.5))
    past = seen(network(), times)
    monkeypatch.setattr(passing, "MOST_BYTES", 0)
    monkeypatch.setattr("ntk_core.training.crew.MOST_BYTES", 0)
    stopping = seen(network(), times)
    assert past[-1][0].leaps.sum() < stopping[-1][0].leaps.sum()
    assert len(ball) == len(times)
    for (_, f, _), (state, g, _) in zip(past, stopping, strict=True):
        assert ((f - g).squeeze(-1).square().mean(1).sqrt() <= 2 * state.error + 1e-12).all()


def test_other_costs_and_several_outputs_are_seen_inside_leaps():
    arch = Architecture(3, 200, "tanh", n_out=3)
    y = torch.eye(3, dtype=torch.float64)[torch.arange(7) % 3]
    times = [0.0, 3.0, 11.0, 25.0, 60.0]
    found = []
    for method in ("leaps", "steps"):
        trained = Network.init(arch, [0, 1], dtype=torch.float64, weights="dense")
        options = {"rule": GradientDescent(0.5), "cost": "cross_entropy", "method": method}
        found.append([(s, trained(X)) for s in train(trained, X, y, times, **options) if s.output is not None])
    for (state, f), (_, exact) in zip(*found, strict=True):
        assert ((f - exact).square().mean((1, 2)).sqrt() <= state.error + 1e-12).all()
    assert int(found[0][-1][0].leaps.max()) < 60
