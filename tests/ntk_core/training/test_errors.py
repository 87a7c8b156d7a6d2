"""What a leap reports bounds what it did: estimates against every single step, over drawn networks; seeds apart."""

import numpy as np
import pytest
import torch

from ntk_core import Architecture, Network, activations
from ntk_core.activations.known_names import UNTRAINABLE
from ntk_core.rules import GradientDescent, GradientFlow, Momentum
from ntk_core.training import leaps
from ntk_core.training.train import train

NAMES = sorted(set(activations.names()) - set(UNTRAINABLE))


def last(network, X, y, times, **options):
    state = None
    for state in train(network, X, y, times, **options):  # noqa: B007
        pass
    return state


def drawn(index):
    """An architecture, a seed, inputs, targets, a rule within 0.9 of its limit, and a time; wide ones are shallow."""
    source = np.random.default_rng(index)
    width, N = int(np.exp(source.uniform(np.log(5), np.log(2000)))), int(source.integers(2, 61))
    beta, depth = float(source.choice([0.1, 1.0])), int(source.integers(2, 5 if width < 300 else 3))
    arch = Architecture(depth, width, str(source.choice(NAMES)), beta)
    X = torch.tensor(source.standard_normal((N, 2)))
    y = float(source.choice([0.3, 1.0, 3.0])) * X[:, 0] * X[:, 1]
    kernel = Network.init(arch, index, dtype=torch.float64, weights="dense").tangent_kernel(X)
    largest = 2 / float(torch.linalg.eigvalsh(kernel / N).max())
    mu = float(source.choice([0.0, 0.0, 0.0, 0.5, 0.9]))
    rate = float(source.uniform(0.02, 0.9)) * largest
    rule = Momentum(rate * (1 - mu), mu) if mu else GradientDescent(rate)
    return arch, index, X, y, rule, rule.rate * int(source.integers(20, 90))


def compared(index, longer=1):
    """Estimated and actual error of f, then of the kernel, or None where nothing was leapt over or the run diverged."""
    arch, seed, X, y, rule, time = drawn(index)
    time *= longer
    networks, states = [], []
    for method in ("leaps", "steps"):
        network = Network.init(arch, seed, dtype=torch.float64, weights="dense")
        states.append(last(network, X, y, [0.0, time], rule=rule, method=method))
        networks.append((network(X), network.tangent_kernel(X)))
    if any(bool(s.diverged) for s in states) or float(states[0].error) == 0:
        return None
    (f, K), (exact_f, exact_K) = networks
    error, kernel = float((f - exact_f).square().mean().sqrt()), float((K - exact_K).norm() / exact_K.norm())
    return float(states[0].error), error, float(states[0].kernel_error), kernel


@pytest.mark.usefixtures("leaps_alone")
def test_estimates_bound_the_errors_of_drawn_networks():
    """One in a hundred may be missed. That true rate misses two or more of 45 in 7 sets of cases of a hundred, so more
    than one says that it is higher; the benchmark `leap-estimates` counts over 400 cases."""
    found = np.array([pair for pair in map(compared, range(45)) if pair is not None])
    assert len(found) > 35
    floor = 1e-12  # both sides' rounding
    of_f, of_kernel = ((found[:, k] + floor) / (found[:, k + 1] + floor) for k in (0, 2))
    for ratios in (of_f, of_kernel):
        assert (ratios < 1).sum() <= 1, np.sort(ratios)[:5]
        assert np.median(ratios) < 10


def test_estimates_bound_the_errors_of_drawn_networks_that_walk_and_leap():
    """As above: one in a hundred may be missed, and more than one of so few says that it is not so."""
    chosen = [index for index in range(30_000, 30_048) if isinstance(drawn(index)[4], GradientDescent)]
    found = np.array([pair for pair in (compared(index, longer=6) for index in chosen) if pair is not None])
    assert len(found) > 15
    for k in (0, 2):
        ratios = (found[:, k] + 1e-12) / (found[:, k + 1] + 1e-12)
        assert (ratios < 1).sum() <= 1, np.sort(ratios)[:5]
        assert np.median(ratios) < 20


@pytest.mark.parametrize("rule", [GradientDescent(0.1), GradientFlow(), Momentum(0.25, 0.9)], ids=str)
def test_a_seed_trains_in_a_batch_as_it_does_alone(rule, monkeypatch):
    """Each at its own pace: those that have arrived are left behind, and what others do changes nothing."""
    taken, part = [], Network.part
    monkeypatch.setattr(Network, "part", lambda self, index: taken.append(len(index)) or part(self, index))
    X = torch.randn(9, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    y = X[:, 0] * X[:, 1]

    def trained(seeds):
        network = Network.init(Architecture(4, 40, beta=0.3), seeds, dtype=torch.float64, weights="dense")
        state = last(network, X, y, [0.0, 5.0, 40.0], rule=rule)
        return network(X), state

    f, together = trained([3, 1, 7])
    assert len(set(zip(together.leaps.tolist(), together.walked.tolist(), strict=True))) > 1
    if isinstance(rule, GradientDescent):
        assert (together.walked > 20).any()
    assert 1 in taken  # the last one alone
    for place, seed in enumerate((3, 1, 7)):
        alone, state = trained([seed])
        assert state.leaps[0] == together.leaps[place]
        assert state.rejected[0] == together.rejected[place]
        assert state.walked[0] == together.walked[place]
        torch.testing.assert_close(alone[0], f[place], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("rule", [GradientDescent(0.5), Momentum(0.25, 0.9)], ids=str)
def test_leaving_others_behind_changes_no_sampled_network(rule, monkeypatch):
    """What each explores, and draws, is the same whether those that have arrived go on being asked or not."""
    X = torch.randn(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(5))

    def trained():
        options = {"dtype": torch.float64, "weights": "sampled", "tolerance": 1e-6, "points": X}
        network = Network.init(Architecture(4, 200, "tanh", beta=0.3), [3, 1, 7], **options)
        states = list(train(network, X, X[:, 0] * X[:, 1], [0.0, 5.0, 40.0], rule=rule, tolerance=1e-3))
        assert all(len(state.leaps) == len(state.error) == len(state.outputs) == 3 for state in states)
        return network(2 * X), states[-1]

    f, apart = trained()
    monkeypatch.setattr(leaps, "WORTH_LEAVING", 0.0)
    g, together = trained()
    assert apart.leaps.tolist() == together.leaps.tolist()
    torch.testing.assert_close(f, g, rtol=1e-6, atol=1e-8)


def test_the_velocity_of_long_momentum_is_one_direction_of_bounded_rank():
    """A thousand leaps' worth of velocity, and the steps that it stands for; beta = 1 shows in every pushforward."""
    X = torch.randn(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    y = torch.tensor([0.3, -0.2, 0.4, 0.1], dtype=torch.float64)
    rule, outcome = Momentum(0.02, 0.98), []
    for method in ("steps", "leaps"):
        network = Network.init(Architecture(3, 300, "tanh", beta=1.0), 0, dtype=torch.float64, weights="dense")
        before = network(X)
        state = last(network, X, y, [0.0, 10.0, 20.0], rule=rule, method=method)
        outcome.append(network(X))
    assert int(state.leaps[0]) < 500
    assert float((outcome[1] - outcome[0]).norm()) < 0.01 * float((outcome[0] - before).norm())
    assert float((outcome[1] - outcome[0]).square().mean().sqrt()) <= float(state.error[0])


def test_a_cost_that_bends_is_an_error_of_its_own():
    """A linear model, whose kernel never changes: all that leaps do wrong is the logistic cost's curvature."""
    X = torch.randn(8, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    outcome = []
    for method in ("steps", "leaps"):
        network = Network.init(Architecture(1, 1, "identity", beta=1.0), 0, dtype=torch.float64)
        options = {"rule": GradientDescent(0.5), "cost": "logistic", "method": method}
        state = last(network, X, torch.sign(X[:, 0]), [0.0, 60.0], **options)
        outcome.append(network(X))
    error = float((outcome[1] - outcome[0]).square().mean().sqrt())
    assert 1e-6 < error <= float(state.error[0]) < 0.1
    assert int(state.leaps[0]) < 100


def test_outputs_that_a_cost_couples_are_leapt_with_its_whole_second_derivative():
    """Cross-entropy over three classes, whose Hessian is singular, against single steps."""
    X = torch.randn(9, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    y = torch.eye(3, dtype=torch.float64)[torch.arange(9) % 3]
    outcome = []
    for method in ("steps", "leaps"):
        network = Network.init(Architecture(3, 200, "tanh", n_out=3), [0, 1], dtype=torch.float64, weights="dense")
        before = network(X)
        options = {"rule": GradientDescent(0.5), "cost": "cross_entropy", "method": method}
        state = last(network, X, y, [0.0, 60.0], **options)
        outcome.append(network(X))
    error = (outcome[1] - outcome[0]).square().mean((1, 2)).sqrt()
    assert (error <= state.error).all()
    assert (error < 0.01 * (outcome[0] - before).square().mean((1, 2)).sqrt()).all()
    assert state.leaps.max() < 60


@pytest.mark.parametrize("rule", [GradientFlow(), GradientDescent(1.0)], ids=str)
def test_a_network_that_is_dead_or_dies_stands_still_and_holds_nobody_up(rule):
    """Single relu units without bias: of one the slope is 0 from the start, of others from some time on."""
    X = torch.randn(20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    network = Network.init(Architecture(3, 1, "relu", beta=0.0), [2, 3, 5, 6], dtype=torch.float64)
    before = network(X)
    kernel = network.tangent_kernel(X)
    state = last(network, X, X[:, 0] * X[:, 1], [0.0, 200.0], rule=rule)
    after = network.tangent_kernel(X)
    dead, died = (kernel == 0).all((1, 2)), (after == 0).all((1, 2))
    assert dead.any()
    assert not dead.all()
    assert (died | ~dead).all()
    assert torch.equal(network(X)[dead], before[dead])
    assert (state.error[dead] == 0).all()
    assert (state.leaps[dead] + state.walked[dead] < 3).all()
    assert torch.isfinite(state.error).all()
    assert torch.isfinite(state.kernel_error).all()


def test_inputs_of_nothing_are_trained_on_without_a_word():
    network = Network.init(Architecture(3, 20, beta=0.0), [0, 1], dtype=torch.float64)
    state = last(network, torch.zeros(4, 2), torch.ones(4), [0.0, 100.0], rule=GradientFlow())
    assert (state.outputs == 0).all()
    assert (state.error == 0).all()
