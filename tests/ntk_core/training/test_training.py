"""Steps against autograd written out; leaps against steps, and their orders; divergence; bad arguments."""

import math

import numpy as np
import pytest
import torch

from ntk_core import Architecture, Network, costs, experiments
from ntk_core.experiments import circle
from ntk_core.rules import GradientDescent, GradientFlow, Momentum
from ntk_core.training.leaps import Leaper
from ntk_core.training.pace import Course
from ntk_core.training.step_size import StepSize
from ntk_core.training.train import check_targets, train
from tests import oracles_finite as naive

SIGMA = {"relu": torch.relu, "tanh": torch.tanh}
GAMMA = torch.linspace(-3, 3, 12, dtype=torch.float64)
X = torch.stack([GAMMA.cos(), GAMMA.sin()], 1)
Y = torch.stack([GAMMA.sin(), (2 * GAMMA).cos(), (GAMMA > 0).double()], 1)


def network(activation="relu", width=200, seeds=(0, 1), n_out=1, **options):
    arch = Architecture(4, width, activation, 0.1, 2, n_out)
    return Network.init(arch, list(seeds), **({"dtype": torch.float64, "weights": "dense"} | options))


def trained(net, y, times, **options):
    states = [s for s in train(net, X, y, times, **options) if s.output is not None]
    assert [s.time for s in states] == list(times)
    return states


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("momentum", [0.0, 0.8])
@pytest.mark.parametrize("n_out", [1, 3])
def test_steps_are_gradient_descent(activation, momentum, n_out):
    arch = Architecture(3, 20, activation, 0.3, 2, n_out)
    theta = naive.parameters(arch.widths, seed=4)
    net = Network.from_parameters(arch, [W for W, _ in theta], [b for _, b in theta])
    y = Y[:, :n_out]
    rule = Momentum(0.4, momentum) if momentum else GradientDescent(0.4)
    trained(net, y, [0.0, 4.0], rule=rule, method="steps")
    after = naive.gradient_descent(
        SIGMA[activation], 0.3, theta, X, lambda f: 0.5 * (f - y).square().sum(1).mean(), 0.4, 10, momentum
    )
    torch.testing.assert_close(net(X), naive.network(SIGMA[activation], 0.3, after, X), rtol=1e-10, atol=1e-12)
    for layer, (W, b) in enumerate(after):
        torch.testing.assert_close(net.layers[layer].W[0], W, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(net.biases[layer][0], b, rtol=1e-10, atol=1e-12)


def compare(activation, y, time, rule, tolerance=0.01, order=None, cost="squared", n_out=1, **options):
    """Error of f and of the kernel's change by leaps, relative to the change since t = 0; the leaps' last state, and
    each seed's errors of f (root mean square) and of the kernel (relative), as the state estimates them."""
    outcome = {}
    for method in ("steps", "leaps"):
        net = network(activation, n_out=n_out)
        f0, k0 = net(X), net.tangent_kernel(X)
        more = {"tolerance": tolerance, "order": order} if method == "leaps" else {}
        state = trained(net, y, [0.0, time], rule=rule, method=method, cost=cost, **more)[-1]
        outcome[method] = (net(X), net.tangent_kernel(X), state)
    (f, k, _), (f2, k2, state) = outcome["steps"], outcome["leaps"]
    return (
        float((f2 - f).norm() / (f - f0).norm()),
        float((k2 - k).norm() / (k - k0).norm()),
        state,
        (
            (f2 - f).square().mean((1, 2)).sqrt(),
            torch.stack([(b - a).norm() / a.norm() for a, b in zip(k, k2, strict=True)]),
        ),
    )


@pytest.mark.parametrize(
    ("activation", "rule", "time", "most"),
    [
        ("relu", GradientDescent(1.0), 200.0, 0.11),
        ("tanh", GradientDescent(1.0), 200.0, 0.005),
        ("relu", GradientDescent(0.25), 100.0, 0.11),
        ("relu", Momentum(0.5, 0.9), 60.0, 0.25),
        ("tanh", Momentum(0.5, 0.9), 60.0, 0.09),
    ],
    ids=str,
)
@pytest.mark.usefixtures("leaps_alone")
def test_leaps_follow_the_steps(activation, rule, time, most):
    """`most` is of the kernel's change, which at this width is a quarter of the kernel."""
    f, kernel, state, (of_f, of_kernel) = compare(activation, Y[:, 0], time, rule)
    assert f < 0.002
    assert kernel < most
    assert (of_f < state.error).all()
    assert (of_kernel < state.kernel_error).all()
    assert (state.kernel_error < 30 * of_kernel).all()
    assert state.leaps.max() < 30
    assert state.steps == round(time / rule.rate)
    assert state.error.min() > 0
    assert state.error.max() < 0.02


def test_a_smaller_tolerance_is_more_accurate():
    coarse = compare("tanh", Y[:, 0], 200.0, GradientDescent(1.0), tolerance=0.1)
    fine = compare("tanh", Y[:, 0], 200.0, GradientDescent(1.0), tolerance=0.001)
    assert fine[1] < 0.3 * coarse[1]
    assert (fine[2].leaps + fine[2].walked).sum() > (coarse[2].leaps + coarse[2].walked).sum()


def test_several_outputs_leap_with_the_full_kernel():
    f, _, state, _ = compare("relu", Y, 200.0, GradientDescent(1.0), n_out=3)
    assert f < 0.01
    assert state.leaps.max() < 40


@pytest.mark.parametrize(("cost", "y"), [("logistic", 2.0 * (GAMMA > 0) - 1), ("huber", 3 * GAMMA.sin())])
def test_other_costs_are_linearized_at_every_leap(cost, y):
    f, _, state, _ = compare("relu", y.double(), 100.0, GradientDescent(1.0), cost=cost)
    assert f < 0.02
    assert state.leaps.max() < 60


@pytest.mark.parametrize(("order", "least"), [(1, 0.8), (2, 1.7)])
def test_order_of_convergence(order, least, monkeypatch):
    """Error of f at half the way against the number of equal leaps of gradient flow: slope -1, and -2 by midpoints."""

    def after(count):
        monkeypatch.setattr(StepSize, "propose", lambda *_: (order, 4.0 / count))
        net = network("tanh", width=100, seeds=[3])
        leaper = Leaper(net, net.inputs(X), check_targets(Y[:, 0], net, 12), GradientFlow(), squared(), 1e9, 1e9, order)
        for _ in leaper.run([4.0]):
            pass
        return net(X)

    counts = [2, 4, 8, 16]
    exact = after(256)
    errors = [float((after(k) - exact).norm()) for k in counts]
    slope = np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert slope < -least


def squared():
    from ntk_core import costs

    return costs.get("squared")


def test_one_step_is_one_leap():
    """A leap of a single step is that step, so nothing is lost where nothing may be skipped."""
    one, two = network(), network()
    trained(one, Y[:, 0], [0.0, 1.0], method="steps")
    trained(two, Y[:, 0], [0.0, 1.0], method="leaps")
    torch.testing.assert_close(one(X), two(X), rtol=1e-10, atol=1e-10)


def test_every_requested_time_is_reached_exactly():
    times = [0.0, 1.0, 3.0, 40.0, 41.0, 200.0]
    by_steps = trained(network(), Y[:, 0], times, method="steps")
    by_leaps = trained(network(), Y[:, 0], times, method="leaps")
    for a, b in zip(by_steps, by_leaps, strict=True):
        assert a.steps == b.steps
        torch.testing.assert_close(b.outputs, a.outputs, rtol=0.05, atol=0.01)


@pytest.mark.parametrize("method", ["leaps", "steps"])
@pytest.mark.parametrize(("rate", "times"), [(0.3333333, [0.3333333, 1.0]), (1.0, [1.0000005, 2.9999999, 9.000002])])
def test_times_that_are_steps_to_rounding_are_taken_as_those_steps(method, rate, times):
    """As they are told, too; what is waited for is what can be reached."""
    goals = [round(t / rate) * rate for t in times]
    found, expected = (
        list(train(network(), X, Y[:, :1], asked, rule=GradientDescent(rate), method=method))
        for asked in (times, goals)
    )
    assert [s.time for s in found if s.output is not None] == goals
    assert torch.equal(found[-1].outputs, expected[-1].outputs)


def test_cost_decreases_at_the_rate_of_section_3():
    """dC/dt = -|d|_K^2 with the network's own tangent kernel at that time."""
    net = network("tanh", seeds=[0])
    y = Y[:, :1]
    d = (net(X)[0] - y)[:, 0]
    rate = float(d @ net.tangent_kernel(X)[0] @ d) / len(X) ** 2
    time = 1e-4
    before = float(0.5 * d.square().mean())
    after = trained(net, y, [time], rule=GradientFlow())[-1].outputs[0, :, 0]
    assert (before - float(0.5 * (after - y[:, 0]).square().mean())) / time == pytest.approx(rate, rel=1e-3)


def test_wide_networks_follow_the_infinite_ensemble():
    """Section 5: the mean over trained networks approaches the limit's mean, as the width and the seeds grow."""
    from ntk_core import InfiniteEnsemble

    points = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
    arch = Architecture(4, 1, beta=0.1)
    limit = InfiniteEnsemble(arch, X[::3], Y[::3, 0]).at(50.0, points)
    seeds = 60
    net = network(width=512, seeds=range(seeds), dtype=torch.float32)
    for _ in train(net, X[::3], Y[::3, 0], [0.0, 50.0], rule=GradientFlow(), tolerance=0.02):
        pass
    f = net(points)[..., 0].double()
    std = limit.cov.diagonal().sqrt()
    assert float(((f.mean(0) - limit.mean).abs() / std).max()) < 4 / math.sqrt(seeds) + 0.05
    assert float((f.std(0) / std - 1).abs().max()) < 4 / math.sqrt(2 * seeds) + 0.05


def test_inflation_of_figure_1():
    """Paper: at width 500 the peak grows from 0.273 to 0.325 by t = 200, a factor of 1.1 to 1.3."""
    source = torch.Generator().manual_seed(1)
    inputs = torch.randn(100, 2, generator=source)
    x0 = torch.tensor([[1.0, 0.0]])
    net = network(width=500, seeds=range(10), dtype=torch.float32)
    before = net.tangent_kernel(x0).mean()
    for _ in train(net, inputs, inputs[:, 0] * inputs[:, 1], [0.0, 200.0]):
        pass
    assert 1.1 < float(net.tangent_kernel(x0).mean() / before) < 1.3


@pytest.mark.parametrize("method", ["steps", "leaps"])
def test_above_the_stability_limit_divergence_is_shown(method):
    """A huge rate blows up a linear network for good: NaN is reported as divergence, by leaps as step by step."""
    net = network("identity", seeds=[0, 1])
    states = trained(net, 5 * Y[:, 0], [0.0, 50.0, 5000.0], rule=GradientDescent(50.0), method=method)
    assert not states[0].diverged.any()
    assert states[-1].diverged.all()
    assert torch.isnan(states[-1].outputs).all()


@pytest.mark.parametrize("weights", ["dense", "sampled"])
@pytest.mark.parametrize("rule", [GradientDescent(1.0), Momentum(1.0, 0.9)])
@pytest.mark.parametrize("activation", ["relu", "sin"])
def test_a_kernel_beyond_all_numbers_is_a_divergence(activation, rule, weights):
    """Of float32, which outputs of 1e13 do not exceed."""
    arch = Architecture(depth=3, width=64, activation=activation, beta=0.1, n_in=2)
    net = Network.init(arch, [0, 1], weights=weights, dtype=torch.float32)
    states = trained(net, 1e15 * Y[:, 0], [0.0, 20.0], rule=rule, method="leaps")
    assert states[-1].diverged.all()
    assert torch.isnan(states[-1].outputs).all()


def test_one_diverged_seed_does_not_stop_the_others():
    net = network(seeds=[0, 1])
    net.layers[0].W[1] *= 1e9
    state = trained(net, Y[:, 0], [0.0, 100.0])[-1]
    alone = trained(network(seeds=[0]), Y[:, 0], [0.0, 100.0])[-1]
    assert state.diverged.tolist() == [False, True]
    assert state.leaps[0] == alone.leaps[0]
    torch.testing.assert_close(state.outputs[0], alone.outputs[0], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tolerance": 0.0}, "tolerance"),
        ({"tolerance": 1.5}, "tolerance"),
        ({"tolerance": math.nan}, "tolerance"),
        ({"kernel_tolerance": 0.0}, "kernel_tolerance"),
        ({"method": "jumps"}, "method"),
        ({"order": 3}, "order"),
        ({"rule": GradientFlow(), "method": "steps"}, "no steps"),
        ({"cost": "unheard"}, "cost"),
    ],
)
def test_wrong_options_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        train(network(), X, Y[:, 0], [0.0, 1.0], **options)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"X": X[:0], "y": Y[:0, 0]}, "X: one or more training points are needed, got none"),
        ({"X": X.expand(3, 12, 2)}, "X: inputs for S = 2 seeds are needed, got 3"),
        ({"y": Y[:, :1].expand(3, 12, 1)}, "y: targets for S = 2 seeds are needed, got 3"),
        ({"X": 1e200 * X}, r"X: the squares of inputs as large as \S+ overflow in torch.float64; scale them down"),
        ({"times": 10.0}, r"times: a sequence of numbers is needed, got 10\.0"),
        ({"times": ["soon"]}, r"times: a sequence of numbers is needed, got \['soon'\]"),
        ({"rule": "gradient_flow"}, "rule: GradientDescent.*, GradientFlow.* or Momentum.* got 'gradient_flow'"),
        ({"cost": ["squared"]}, "cost: .* is not known; choose one of squared, .*"),
    ],
)
def test_arguments_of_another_kind_are_named(given, sentence):
    arguments = {"X": X, "y": Y[:, 0], "times": [0.0, 1.0]} | given
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        train(network(), **arguments)


@pytest.mark.parametrize("times", [[], [1.0, 1.0], [2.0, 1.0], [1.0, 1.0000005], [0.5], [math.nan], [-1.0]])
def test_wrong_times_are_named(times):
    with pytest.raises(ValueError, match="times"):
        train(network(), X, Y[:, 0], times)


@pytest.mark.parametrize(
    ("y", "sentence"),
    [
        (Y, r"targets of shape \(12, 1\) are needed, got \(12, 3\)$"),
        (Y[:5, 0], r"targets of shape \(12, 1\) are needed, got \(5, 1\)$"),
        (Y[:, 0] * math.nan, "every target must be a finite number$"),
    ],
)
def test_wrong_targets_are_named(y, sentence):
    with pytest.raises(ValueError, match=f"^y: {sentence}"):
        train(network(), X, y, [0.0, 1.0])


def test_momentum_step_by_step_needs_stored_weights():
    net = network(weights="sampled")
    with pytest.raises(ValueError, match="dense weights"):
        list(train(net, X, Y[:, 0], [0.0, 1.0], rule=Momentum(), method="steps"))


def test_sampled_weights_train_with_every_rule():
    """Step by step, by leaps and with momentum, the same sampled network reaches the same function."""
    points = X.numpy()
    results = []
    for options in ({"method": "steps"}, {"method": "leaps"}):
        net = network(weights="sampled", tolerance=1e-5, points=points)
        trained(net, Y[:, 0], [0.0, 100.0], **options)
        results.append(net(X))
    torch.testing.assert_close(results[1], results[0], rtol=0.05, atol=0.02)
    net = network(weights="sampled", tolerance=1e-4, points=points)
    state = trained(net, Y[:, 0], [0.0, 60.0], rule=Momentum(0.5, 0.9))[-1]
    assert float((state.outputs[..., 0] - Y[:, 0]).square().mean()) < 0.02


def test_a_cost_refuses_targets_that_make_no_sense_for_it():
    network = Network.init(Architecture(3, 16, n_in=2), 0)
    with pytest.raises(ValueError, match="logistic cost needs targets between -1 and 1"):
        train(network, torch.eye(2), [3.0, -1.0], [0, 10], cost="logistic")


@pytest.mark.parametrize("weights", ["dense", "sampled"])
@pytest.mark.parametrize("points", [5, 40])
@pytest.mark.parametrize("size", [1.0, 1e12, math.inf])
def test_a_trial_move_is_dropped_bit_for_bit(weights, points, size):
    """Of the seeds that are not accepted; the others are where the same move leads without a trial."""
    arch = Architecture(4, 60, beta=1.0, n_in=2)
    X, probe = (torch.randn(n, 2, generator=torch.Generator().manual_seed(n)) for n in (points, 3))
    one, two = (Network.init(arch, [0, 1], weights=weights, tolerance=1e-5) for _ in range(2))

    def direction(network):
        done = network.forward(X)
        return network.direction(done, network.backward(done), 0.1 * torch.ones(2, 1, points))

    before = one(probe)
    torch.testing.assert_close(two(probe), before)
    factors = torch.tensor([size, 1.0])
    one.try_on((factors, direction(one)))
    one(probe)
    one.keep(torch.tensor([False, True]))
    two.shift((1.0, direction(two)))
    torch.testing.assert_close(one(probe)[0], before[0], rtol=0, atol=0 if weights == "dense" else 1e-5)
    torch.testing.assert_close(one(probe)[1], two(probe)[1], rtol=1e-4, atol=1e-5)


def test_a_rejected_leap_leaves_no_seed_behind():
    """Rate 4 is within reach of the stability limit of networks this narrow: trial moves explode on the way."""
    spec = {"widths": (50,), "learning_rate": 4, "time": 800, "snapshots": 4, "angles": 31}
    found = {
        method: experiments.compute(circle.Spec(**spec, seeds=10, n_train=100, method=method))["cost"][-1, 0]
        for method in ("steps", "leaps")
    }
    assert np.isfinite(found["leaps"]).all()
    # At the edge of stability every rounding is amplified: most networks agree closely, none is led astray.
    apart = np.abs(found["leaps"] / found["steps"] - 1)
    assert np.median(apart) < 0.05
    assert apart.max() < 0.5


def test_times_are_relative_to_the_run():
    """Inputs a million times larger learn at rates a trillion times smaller, and as well."""
    X, y = torch.randn(6, 2, generator=torch.Generator().manual_seed(1)), torch.linspace(-1, 1, 6)

    def trained(scale):
        network = Network.init(Architecture(3, 200, beta=0.0, n_in=2), 0, dtype=torch.float64)
        rule = GradientDescent(0.5 / scale**2)
        return [s.outputs for s in train(network, scale * X, scale * y, [0, 40 * rule.rate], rule=rule)][-1] / scale

    torch.testing.assert_close(trained(1e6), trained(1.0), rtol=1e-6, atol=1e-9)


def test_a_cap_of_nothing_is_the_shortest_leap_not_the_longest():
    network = Network.init(Architecture(3, 50, n_in=2), 0)
    X = torch.randn(4, 2)
    flow, cost = GradientFlow(), costs.get("squared")
    leaper = Leaper(network, network.inputs(X), torch.ones(1, 4, 1), flow, cost, 1e-9, 1.0, None)
    crew, nothing = leaper.crew, torch.zeros(1, dtype=torch.float64)
    caps = crew.pace.caps(crew.here, torch.tensor([True]), Course(nothing, 1e30, nothing, 1e30))
    assert max(float(cap[0]) for cap in caps.values()) <= 1e-3 * 1e30


@pytest.mark.parametrize(("mu", "k"), [(0.9, 1), (0.999, 10_000), (0.0, 3)])
def test_what_momentum_carries_is_the_sum_of_its_powers(mu, k):
    carried = Momentum(0.5, mu).respond(torch.ones(1, dtype=torch.float64), 0.5 * k).carried
    assert carried == pytest.approx(math.fsum(mu**j for j in range(1, k + 1)), rel=1e-12)


def test_what_is_explored_at_a_midpoint_is_not_lost_to_the_move():
    """A move made of signals found under a trial lands whole: f goes where the pushforward says."""
    arch, X = (
        Architecture(4, 300, "tanh", 0.1, 2),
        torch.randn(6, 2, generator=torch.Generator().manual_seed(3)).double(),
    )
    network = Network.init(arch, 0, weights="sampled", dtype=torch.float64, tolerance=1e-9)
    e = torch.linspace(-1, 1, 6).double()[None, None]
    start = network.forward(X)
    network.try_on((0.5, network.direction(start, network.backward(start), e)))
    middle = network.forward(X)
    direction = network.direction(middle, network.backward(middle), e)
    network.keep(torch.tensor([False]))
    torch.testing.assert_close(network.forward(X).outputs, start.outputs, rtol=1e-9, atol=1e-9)
    size = 1e-4
    network.shift((size, direction))
    moved = (network.forward(X).outputs - start.outputs)[0, :, 0] / size
    away = network.pushforward(network.forward(X), [(1.0, direction)])[0, :, 0]
    torch.testing.assert_close(moved, away, rtol=1e-2, atol=1e-3)
