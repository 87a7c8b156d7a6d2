"""Experiments on a device, without one: no tensor of the CPU meets one of the networks' device."""

import pytest

from ntk_core import Network, experiments
from ntk_core.experiments import any_cost, circle, components, function_space, laws, lazy, spectral
from tests.elsewhere import Elsewhere, sent

TRAINED = {"widths": (16,), "seeds": 2, "time": 6.0, "snapshots": 9, "device": "cpu"}
SPECS = {
    "circle": circle.Spec(n_train=6, angles=9, **TRAINED),
    "function_space": function_space.Spec(angles=9, rule="gradient_flow", **TRAINED),
    "components": components.Spec(n_train=12, **TRAINED),
    "any_cost": any_cost.Spec(**TRAINED),
    "spectral": spectral.Spec(**TRAINED),
    "lazy": lazy.Spec(parametrizations=("mup", "ntk"), angles=9, **TRAINED),
    "laws": laws.Spec(measure="training", widths=(16, 32), trained=2, time=5.0),
}


@pytest.mark.parametrize("name", SPECS)
def test_experiments_stay_on_their_device(name, monkeypatch):
    draw = Network.init.__func__

    def drawn(cls, *args, **options):
        return sent(draw(cls, *args, **(options | {"device": "cpu", "weights": "dense"})))

    monkeypatch.setattr(Network, "init", classmethod(drawn))
    with Elsewhere():
        assert list(experiments.load(name).run(SPECS[name], None))
