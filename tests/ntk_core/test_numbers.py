"""Numbers of every kind are accepted, and inputs leave no trace in autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ntk_core import Architecture, GradientDescent, InfiniteEnsemble, Network, limiting_kernels, train

X, Y = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, -0.8]]), torch.tensor([0.5, -0.5, 0.2])
PLAIN = Architecture(3, 16, beta=0.5, n_in=2)


@pytest.mark.parametrize("whole", [np.int64, np.int32, np.uint8])
@pytest.mark.parametrize("real", [np.float64, np.float32])
def test_numpys_scalars_are_numbers(whole, real):
    arch = Architecture(whole(3), whole(16), beta=real(0.5), n_in=whole(2), n_out=whole(1))
    assert arch == PLAIN
    assert {type(v) for v in (arch.depth, arch.width, arch.n_in, arch.n_out)} == {int}
    assert torch.equal(Network.init(arch, whole(3))(X), Network.init(PLAIN, 3)(X))
    last = list(train(Network.init(arch, 0), X, Y, [real(0), real(4)], rule=GradientDescent(real(0.5))))[-1]
    assert last.time == 4.0
    assert InfiniteEnsemble(arch, X, Y).at(real(2), X).mean.shape == (3,)


def test_arrays_of_seeds_and_of_widths():
    together = Network.init(PLAIN, np.arange(3))(X)
    assert torch.equal(together, Network.init(PLAIN, [0, 1, 2])(X))
    assert Architecture(3, np.array([4, 5])).width == (4, 5)


@pytest.mark.parametrize("wrong", [True, np.True_, 1.5, np.float64(2.0), "3", None])
def test_what_is_no_whole_number_is_named(wrong):
    for field in ("depth", "width", "n_in", "n_out"):
        with pytest.raises(ValueError, match=field):
            Architecture(**({"depth": 3} | {field: wrong}))
    with pytest.raises(ValueError, match="seed"):
        Network.init(PLAIN, wrong)


def test_inputs_with_gradients_are_detached():
    x, y = X.clone().requires_grad_(True), Y.clone().requires_grad_(True)
    network = Network.init(PLAIN, 0)
    states = list(train(network, x, y, [0, 5]))
    results = [network(x), network.tangent_kernel(x), states[-1].outputs]
    results += [*limiting_kernels(PLAIN, x), InfiniteEnsemble(PLAIN, x, y).at(3.0, x).mean]
    assert not any(result.requires_grad for result in results)
