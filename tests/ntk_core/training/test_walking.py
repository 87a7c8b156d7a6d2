"""Seeds that walk: where leaps would be shorter than the steps that they cost, the steps are taken."""

import pytest
import torch

from ntk_core import Architecture, Network
from ntk_core.rules import GradientDescent
from ntk_core.training.train import train
from ntk_core.training.worth import leap_in_steps

ANGLES = torch.linspace(-3, 3, 40, dtype=torch.float64)
X = torch.stack([ANGLES.cos(), ANGLES.sin()], 1)
Y = (3 * ANGLES).sin()


def network(seeds, width=20, activation="tanh", dtype=torch.float64):
    return Network.init(Architecture(4, width, activation, beta=1.0), seeds, weights="dense", dtype=dtype)


def rate(net, share):
    """A share of the largest rate that the first seed's kernel bears at t = 0."""
    return share * 2 / float(torch.linalg.eigvalsh(net.tangent_kernel(X)[0] / len(X)).max())


def last(net, steps, share, **options):
    rule = GradientDescent(rate(net, share))
    *_, state = train(net, X, Y, [0.0, steps * rule.rate], rule=rule, **options)
    return state


def test_beyond_the_stability_limit_every_step_is_taken_and_exact():
    """To the last bit: nothing is leapt over, and nothing is looked at that moves the weights."""
    by_leaps, by_steps = network([0]), network([0])
    state = last(by_leaps, 70, 1.5)
    last(by_steps, 70, 1.5, method="steps")
    assert (int(state.leaps), int(state.walked), int(state.rejected)) == (0, 70, 0)
    assert float(state.error) == float(state.kernel_error) == 0
    assert torch.equal(by_leaps(X), by_steps(X))


def test_at_the_edge_of_stability_leaps_are_few_and_steps_the_rest():
    """Narrow networks leave the stable rates and come back: by leaps alone these took 703 and 864."""
    state = last(network([0, 1]), 2000, 0.5)
    assert int((state.leaps + state.rejected).max()) < 150
    assert (state.walked > 500).all()
    assert (state.walked < 2000).all()


def test_where_leaps_are_long_nobody_walks_far():
    state = last(network([0, 1], width=300), 4000, 0.1)
    assert int(state.leaps.max()) < 60
    assert int(state.walked.max()) < 150


@pytest.mark.parametrize("activation", ["tanh", "abs"])
def test_a_walk_that_pauses_goes_on_as_one_that_does_not(activation):
    """Whoever looks, and however often: the same weights, bit for bit, and the same leaps."""
    once, often = network([2], activation=activation), network([2], activation=activation)
    rule = GradientDescent(rate(once, 0.7))
    *_, end = train(once, X, Y, [0.0, 900 * rule.rate], rule=rule)
    looks = [k * rule.rate for k in range(0, 901, 7) if k < 896] + [900 * rule.rate]
    *_, same = train(often, X, Y, looks, rule=rule)
    assert int(end.walked) > 200
    for name in ("leaps", "rejected", "walked", "error", "kernel_error", "outputs"):
        assert torch.equal(getattr(end, name), getattr(same, name)), name
    assert all(torch.equal(a.W, b.W) for a, b in zip(once.layers, often.layers, strict=True))


def test_where_a_walk_pauses_the_outputs_and_their_errors_are_those_of_that_time():
    """Three seeds, some of which walk while others leap, seen at many times, against every step."""
    walking, exact = network([0, 1, 2]), network([0, 1, 2])
    rule = GradientDescent(rate(walking, 0.5))
    times = [k * rule.rate for k in (0, 3, 20, 70, 150, 190, 330, 500)]
    paused = 0
    found = []
    for net, method in ((walking, "leaps"), (exact, "steps")):
        found.append([(s, net(X)) for s in train(net, X, Y, times, rule=rule, method=method) if s.output is not None])
    for (state, f), (every, g) in zip(*found, strict=True):
        assert state.steps == every.steps
        assert torch.equal(state.outputs, f)
        error = (f - g).square().mean((1, 2)).sqrt()
        assert (error <= state.error + 1e-12).all()
        paused += int(((state.walked > 0) & (error < 1e-12)).sum())
    assert paused > 3


def test_one_seed_that_diverges_in_a_walk_leaves_the_others_alone():
    net, alone = network([0, 1], activation="relu"), network([0], activation="relu")
    net.layers[0].W[1] *= 1e9
    rule = GradientDescent(rate(alone, 0.9))
    *_, state = train(net, X, Y, [0.0, 400 * rule.rate], rule=rule)
    *_, single = train(alone, X, Y, [0.0, 400 * rule.rate], rule=rule)
    assert state.diverged.tolist() == [False, True]
    assert int(state.walked[0]) == int(single.walked[0]) > 0
    torch.testing.assert_close(state.outputs[0], single.outputs[0], rtol=1e-9, atol=1e-11)
    assert torch.isnan(state.outputs[1]).all()


def test_a_leap_is_worth_more_steps_the_more_points_and_the_narrower_the_network():
    def worth(width, points):
        weights = 2 * width * width + 3 * width
        return leap_in_steps(4, 2.0 * points * weights, 4, points, weights)

    assert worth(20, 20) < worth(20, 100) < worth(20, 400)
    assert worth(2000, 100) < worth(200, 100) < worth(20, 100)
    assert 2 < worth(4000, 10) < 3  # of which each try multiplies twice, and moves the weights once
