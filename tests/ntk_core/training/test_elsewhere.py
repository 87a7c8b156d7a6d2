"""Training on a device, without one: no tensor of the CPU meets one of the network's device."""

import pytest
import torch

from ntk_core import Architecture, Network, train
from ntk_core.rules import GradientDescent, GradientFlow, Momentum
from tests.elsewhere import DEVICE, Elsewhere, sent

X = torch.randn(6, 2, generator=torch.Generator().manual_seed(5))
TARGETS = {"squared": X[:, 0] * X[:, 1], "cross_entropy": torch.eye(2)[(X[:, 0] > 0).long()]}
DESCENT, HEAVY_BALL = GradientDescent(0.5), Momentum(0.5, 0.9)
WAYS = [(rule, "leaps") for rule in (DESCENT, GradientFlow(), HEAVY_BALL)] + [(DESCENT, "steps"), (HEAVY_BALL, "steps")]


def network(n_out):
    return Network.init(Architecture(3, 20, "tanh", 0.2, 2, n_out), [0, 1, 2], device="cpu", weights="dense")


def test_the_device_that_is_not_there_is_told_apart():
    with Elsewhere():
        here, there = torch.ones(3), torch.ones(3, device=DEVICE)
        assert (there + 1)[:, None].mT.device == DEVICE
        assert there.cpu().device == here.device == torch.device("cpu")
        assert here.to(there).device == here.to(DEVICE, torch.float64).device == there.double().device == DEVICE
        assert there[torch.tensor([0, 2])].device == DEVICE
        mistakes = (
            lambda: here + there,
            lambda: there.index_copy(0, torch.tensor([1]), there[:1]),
            lambda: here[torch.tensor([0, 2], device=DEVICE)],
        )
        for meet in mistakes:
            with pytest.raises(RuntimeError, match="two devices"):
                meet()
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()


@pytest.mark.parametrize("cost", TARGETS)
@pytest.mark.parametrize(("rule", "method"), WAYS, ids=str)
def test_training_stays_on_its_device(rule, method, cost):
    """Through output times that lie inside leaps, too; and its numbers are those of the CPU."""
    options = {"rule": rule, "method": method, "cost": cost}
    times, y = range(0, 30), TARGETS[cost]
    n_out = 2 if cost == "cross_entropy" else 1
    *_, expected = train(network(n_out), X, y, times, **options)
    with Elsewhere():
        *_, end = train(sent(network(n_out)), X, y, times, **options)
        assert end.outputs.device == DEVICE
        torch.testing.assert_close(end.outputs.cpu(), expected.outputs, rtol=0, atol=0)
