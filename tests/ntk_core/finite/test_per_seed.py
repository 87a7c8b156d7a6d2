"""Seeds taken out of an ensemble and put back."""

from dataclasses import dataclass

import pytest
import torch

from ntk_core import Architecture, Network
from ntk_core.finite.passes import ParameterDirection
from ntk_core.finite.per_seed import PerSeed
from ntk_core.finite.tangent import tangent_kernel

X = torch.randn(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
LATER = torch.randn(3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@dataclass
class Held(PerSeed):
    array: torch.Tensor
    several: list[torch.Tensor | None]
    inner: PerSeed | None
    name: str = "shared"


def held():
    numbers = torch.arange(8.0).reshape(4, 2)
    return Held(numbers, [numbers + 10, None], Held(numbers + 20, [], None))


def test_a_part_holds_its_seeds_and_is_merged_back_without_a_write():
    whole, index = held(), torch.tensor([3, 1])
    part = whole.part(index)
    assert part.array.tolist() == [[6, 7], [2, 3]]
    assert part.several[0].tolist() == [[16, 17], [12, 13]]
    assert part.inner.array.tolist() == [[26, 27], [22, 23]]
    part.array += 100
    part.several[0] += 100
    merged = whole.merged(index, part)
    assert merged.array.tolist() == [[0, 1], [102, 103], [4, 5], [106, 107]]
    assert merged.several[0].tolist() == [[10, 11], [112, 113], [14, 15], [116, 117]]
    assert merged.several[1] is None
    assert merged.name == "shared"
    assert torch.equal(whole.array, held().array)


def test_directions_of_different_ranks_are_merged():
    def direction(seeds, rows):
        return ParameterDirection([torch.ones(seeds, rows, 3)], [torch.ones(seeds, rows, 2)], [torch.ones(seeds, rows)])

    for rows in (1, 6):
        merged = direction(3, 4).merged(torch.tensor([1]), direction(1, rows))
        product = merged.signals[0].mT @ merged.activations[0]
        assert product[:, 0, 0].tolist() == [4, rows, 4]


@pytest.mark.parametrize("weights", ["dense", "sampled"])
def test_a_part_of_a_network_goes_its_own_way_and_comes_back(weights):
    """The part answers as its seeds in the ensemble do, moves alone, and leaves the others as they were."""

    def network():
        options = {"dtype": torch.float64, "weights": weights, "tolerance": 1e-9, "points": X}
        return Network.init(Architecture(4, 40, "tanh", 0.3), [5, 6, 7], **options)

    def move(network):
        done = network.forward(X)
        network.shift((0.1, network.direction(done, network.backward(done), torch.ones(network.size, 1, 5).double())))
        return network(LATER), network.tangent_kernel(LATER)

    whole, everyone, index = network(), network(), torch.tensor([2, 0])
    before = whole(X)
    part = whole.part(index)
    torch.testing.assert_close(part(X), before[index], rtol=1e-12, atol=1e-12)
    f, kernel = move(part)
    whole.put(index, part)
    f_all, kernel_all = move(everyone)
    torch.testing.assert_close(f, f_all[index], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(kernel, kernel_all[index], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(whole(LATER)[index], f, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(whole(X)[1], before[1], rtol=1e-12, atol=1e-12)  # padding adds zeros, in another order
    if weights == "dense":
        assert all(torch.equal(a.W[1], b.W[1]) for a, b in zip(whole.layers, network().layers, strict=True))


def test_features_of_two_networks_are_chosen_seed_by_seed():
    """Kernels included, whatever weights and biases count for."""
    arch = Architecture(3, 6, "tanh", beta=0.7, w_std=1.4)
    one, other = (Network.init(arch, [k, k + 1], dtype=torch.float64).features(X) for k in (0, 5))
    both = one.where(torch.tensor([True, False]), other)
    mine, theirs, found = (tangent_kernel(features, features) for features in (one, other, both))
    torch.testing.assert_close(found, torch.stack([mine[0], theirs[1]]), rtol=0, atol=0)
    assert torch.equal(both.done.outputs, torch.stack([one.done.outputs[0], other.done.outputs[1]]))
