"""Sampled weights: exact where a stored matrix answers, and exact in distribution where none does."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from ntk_core import Architecture, Network
from ntk_core.finite.basis import Basis
from ntk_core.finite.sampled import Sampled
from ntk_core.finite.weights import Dense
from ntk_core.training.train import GradientFlow, train
from tests.oracles_finite import Careless, Stored

CPU = torch.device("cpu")
ANGLES = torch.tensor([-2.19438, -0.93143, 0.963, 2.22595], dtype=torch.float64)
X = torch.stack([ANGLES.cos(), ANGLES.sin()], 1)
Y = torch.tensor([-0.4, -0.2, 0.3, 0.3], dtype=torch.float64)
LOOK = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)


def sampled(m=40, n=60, seeds=(0,), tolerance=1e-9, kind=Sampled):
    return kind(m, n, list(seeds), 1, torch.float64, CPU, tolerance)


def rows(count, n, seed=0, seeds=1):
    return torch.randn(seeds, count, n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_queries_of_one_matrix_agree_with_each_other():
    """d . (W a) = (W^T d) . a, linear in both, whatever was asked in between."""
    W = sampled()
    A, D = rows(5, 60, 1), rows(4, 40, 2)
    first = W.multiply(A)
    back = W.multiply_transposed(D)
    torch.testing.assert_close(D @ first.mT, back @ A.mT)
    W.multiply(rows(7, 60, 3))
    W.multiply_transposed(rows(6, 40, 4))
    torch.testing.assert_close(W.multiply(A), first)
    torch.testing.assert_close(W.multiply_transposed(D), back)
    torch.testing.assert_close(W.multiply(2 * A[:, :1] - 3 * A[:, 1:2]), 2 * first[:, :1] - 3 * first[:, 1:2])


def test_all_directions_explored_give_a_matrix_of_independent_normals():
    W = sampled(30, 30, seeds=range(20))
    eye = torch.eye(30, dtype=torch.float64)
    W.multiply_transposed(rows(9, 30, 5, seeds=20))  # a history must not matter
    entries = W.multiply(eye.expand(20, -1, -1)).flatten()
    assert stats.kstest(entries.numpy(), "norm").pvalue > 1e-3
    assert float(entries.square().mean()) == pytest.approx(1.0, abs=4 * math.sqrt(2 / entries.numel()))


def test_bases_stay_orthonormal_and_grow_only_by_what_is_new():
    W = sampled(300, 400, tolerance=1e-3)
    A = rows(20, 400, 1)
    W.multiply(A)
    assert W.ranks == (20, 0)
    W.multiply(A + 1e-5 * rows(20, 400, 2))  # below the tolerance: nothing new
    assert W.ranks == (20, 0)
    for step in range(3, 12):
        W.multiply(A + 1e-2 * rows(20, 400, step))
    directions = W._forward.directions[0]
    torch.testing.assert_close(directions @ directions.T, torch.eye(len(directions), dtype=torch.float64))


def test_nearly_parallel_queries_in_float32_keep_the_basis_orthonormal():
    W = Sampled(500, 500, [0], 1, torch.float32, CPU, 1e-4)
    base = torch.randn(1, 1, 500, generator=torch.Generator().manual_seed(0))
    W.multiply(base + 1e-3 * torch.randn(1, 30, 500, generator=torch.Generator().manual_seed(1)))
    Q = W._forward.directions[0].double()
    assert float((Q @ Q.T - torch.eye(len(Q))).abs().max()) < 1e-5


def test_add_is_a_low_rank_update():
    W = sampled()
    A, D = rows(5, 60, 1), rows(5, 40, 2)
    before, back = W.multiply(A), W.multiply_transposed(D)
    W.add((D, A), (0.5 * D, 2 * A))
    torch.testing.assert_close(W.multiply(A), before + 2 * (A @ A.mT) @ D)
    torch.testing.assert_close(W.multiply_transposed(D), back + 2 * (D @ D.mT) @ A)


def test_looking_leaves_no_trace():
    seen, unseen = sampled(seeds=(3, 4)), sampled(seeds=(3, 4))
    A, later = rows(5, 60, 1, seeds=2), rows(5, 60, 9, seeds=2)
    for W in (seen, unseen):
        W.multiply(A)
    with seen.looking():
        seen.multiply(rows(30, 60, 2, seeds=2))
        seen.multiply_transposed(rows(30, 40, 3, seeds=2))
    assert seen.ranks == unseen.ranks
    assert torch.equal(seen.multiply(later), unseen.multiply(later))
    assert torch.equal(
        seen.multiply_transposed(rows(2, 40, 8, seeds=2)), unseen.multiply_transposed(rows(2, 40, 8, seeds=2))
    )


def test_seeds_of_a_batch_are_the_seeds_alone():
    """Rows that one seed needs and another does not are padding, and padding draws nothing."""
    A = rows(6, 60, 1, seeds=2)
    A[1, 3:] = A[1, :3]  # the second seed spans only three directions
    both = sampled(seeds=(3, 4))
    images = both.multiply(A)
    for place, seed in enumerate((3, 4)):
        alone = sampled(seeds=(seed,))
        torch.testing.assert_close(alone.multiply(A[place : place + 1])[0], images[place])


def test_answers_move_no_more_than_questions():
    """Rows at right angles and of one length have no eigenvectors of their own: rounding chooses them, and their signs.

    Numbers of a seed would be others on every processor.
    """
    A = 2.0 * torch.eye(60, dtype=torch.float64)[None, :5]
    first = sampled().multiply(A)
    for seed in range(3):
        torch.testing.assert_close(sampled().multiply(A + 1e-12 * rows(5, 60, seed)), first, rtol=0, atol=1e-9)


def test_points_make_the_network_independent_of_what_is_asked_first():
    arch = Architecture(4, 80)
    everything = torch.cat([X, LOOK])

    def network():
        return Network.init(arch, 0, dtype=torch.float64, weights="sampled", tolerance=1e-6, points=everything)

    one, two = network(), network()
    f1, k1 = one(LOOK), one.tangent_kernel(X)
    k2, f2 = two.tangent_kernel(X), two(LOOK)
    torch.testing.assert_close(f1, f2)
    torch.testing.assert_close(k1, k2)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_a_stored_matrix_that_answers_reproduces_dense_training(activation, monkeypatch):
    monkeypatch.setattr("ntk_core.training.crew.worth", lambda *a: 0.0)  # both leap, and leap alike
    arch = Architecture(4, 300, activation)
    base = Network.init(arch, [0, 1], dtype=torch.float64, weights="dense")
    matrices = [layer.W.clone() for layer in base.layers]
    biases = [b.clone() for b in base.biases]

    def trained(tolerance=None):
        hidden = [Stored(W, tolerance) if tolerance else Dense(W.clone()) for W in matrices[1:-1]]
        layers = [Dense(matrices[0].clone()), *hidden, Dense(matrices[-1].clone())]
        network = Network(arch, layers, [b.clone() for b in biases])
        for _ in train(network, X, Y, [0.0, 200.0], method="leaps", tolerance=0.01):
            pass
        return network(LOOK), network.tangent_kernel(LOOK)

    f, k = trained()
    errors = []
    for tolerance in (1e-3, 1e-5):
        f2, k2 = trained(tolerance)
        errors.append((float((f2 - f).norm() / f.norm()), float((k2 - k).norm() / k.norm())))
    assert errors[0][0] < 2e-2
    assert errors[1][0] < 1e-4
    assert errors[1][1] < 1e-4


def statistics(kind, seeds, time=10.0, width=48):
    """Of every seed: f(x0), Theta(x0, x0), Theta(x0, -x0) at t = 0, and after training to the time."""
    arch = Architecture(4, width)
    network = Network.init(arch, seeds, weights="dense", dtype=torch.float64)
    if kind is not Dense:
        for layer in (1, 2):
            network.layers[layer] = kind(width, width, list(seeds), layer, torch.float64, CPU, 1e-5)
    network.backward(network.forward(torch.cat([X, LOOK])))

    def look():
        kernel = network.tangent_kernel(LOOK)
        return [network(LOOK)[:, 0, 0], kernel[:, 0, 0], kernel[:, 0, 1]]

    values = look()
    for _ in train(network, X, Y, [0.0, time] if time else [0.0], rule=GradientFlow(), method="leaps", tolerance=0.3):
        pass
    return torch.stack([*values, *look()], 1).numpy()


def p_values(a, b):
    """Of equal laws (Kolmogorov-Smirnov), equal means (Welch) and equal covariances of all pairs (z, by resampling)."""
    ks = [stats.ks_2samp(x, y).pvalue for x, y in zip(a.T, b.T, strict=True)]
    means = [stats.ttest_ind(x, y, equal_var=False).pvalue for x, y in zip(a.T, b.T, strict=True)]
    scale = np.concatenate([a, b]).std(0)
    products = [((v - v.mean(0)) / scale)[:, :, None] * ((v - v.mean(0)) / scale)[:, None, :] for v in (a, b)]
    spread = np.sqrt(sum(p.var(0) / len(p) for p in products))
    z = (products[0].mean(0) - products[1].mean(0)) / spread
    covariances = 2 * stats.norm.sf(np.abs(z[np.triu_indices(a.shape[1])]))
    return np.array([*ks, *means, *covariances])


N_SEEDS = 700


def test_sampled_networks_have_the_law_of_dense_ones():
    """Two samples of 700 seeds, 33 p-values, level 1% in all (Bonferroni 3e-4 each).

    A shift of a mean by 0.27 standard deviations, or a covariance off by 0.3, is found with probability 0.9.
    """
    dense = statistics(Dense, range(N_SEEDS))
    drawn = statistics(Sampled, range(5000, 5000 + N_SEEDS))
    p = p_values(dense, drawn)
    assert p.min() > 0.01 / len(p), p


def test_that_comparison_rejects_a_sampler_that_counts_what_is_known_twice():
    """The same test, untrained, against a variance that is an eighth too large in the backward pass."""
    dense = statistics(Dense, range(2 * N_SEEDS), time=0.0)[:, :3]
    wrong = statistics(Careless, range(5000, 5000 + 2 * N_SEEDS), time=0.0)[:, :3]
    assert p_values(dense, wrong).min() < 1e-5


def test_a_seed_that_diverged_keeps_to_itself():
    A = rows(3, 60, 1, seeds=2)
    expected = sampled(seeds=(4,)).multiply(A[1:])
    A[0] = math.nan
    W = sampled(seeds=(3, 4))
    images = W.multiply(A)
    assert torch.isnan(images[0]).all()
    torch.testing.assert_close(images[1:], expected)
    assert torch.isfinite(W._forward.images).all()


def test_memory_is_bounded_by_the_rank():
    W = Sampled(100_000, 100_000, [0], 1, torch.float32, CPU, 1e-3)
    W.multiply(torch.randn(1, 10, 100_000, generator=torch.Generator().manual_seed(0)))
    assert W.nbytes() <= 4 * 2 * 16 * 100_000 + 1


def correlation(points):
    """Of f(e1) and f(e2) over 1,500 networks, each asked about in a look of its own."""
    network = Network.init(
        Architecture(3, 100, beta=0.0, n_in=2), range(1500), weights="sampled", dtype=torch.float64, points=points
    )
    seen = []
    for x in torch.eye(2, dtype=torch.float64):
        with network.looking():
            seen.append(network(x[None])[:, 0, 0].numpy())
    return float(np.corrcoef(*seen)[0, 1])


def test_two_looks_agree_on_anchors_and_are_independent_beyond():
    """For relu without biases orthogonal inputs have the correlation kappa(kappa(0)) = 0.494 in one network, and
    kappa(0) = 1/pi where their hidden matrices are independent and only the last one is shared; standard error 0.025.
    """
    assert correlation(np.eye(2)) == pytest.approx(0.494, abs=0.08)
    assert correlation(None) == pytest.approx(1 / math.pi, abs=0.08)


def test_a_tolerance_of_a_millionth_works_in_single_precision():
    """Queries a hundredth of a degree apart leave rests of 1e-4 of themselves, and their squares 1e-8."""
    gamma = torch.arange(12) * 2e-4
    X = torch.stack([gamma.cos(), gamma.sin()], 1)
    network = Network.init(Architecture(4, 600, n_in=2), 0, weights="sampled", tolerance=1e-6)
    first = network(X).clone()
    network.backward(network.forward(X))
    torch.testing.assert_close(network(X), first, rtol=1e-4, atol=1e-5)
    for layer in network.layers[1:3]:
        Q = layer._forward.directions[0].double()
        Q = Q[Q.norm(dim=1) > 0.5]
        torch.testing.assert_close(Q @ Q.T, torch.eye(len(Q), dtype=torch.float64), rtol=0, atol=1e-5)


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("level", [3e-6, 1e-6, 6e-7, 3e-7])
def test_rests_that_are_rounding_leave_the_basis_orthonormal(level, told, monkeypatch):
    """Whether they are told from what is new, or looked for as if they were."""
    if not told:
        monkeypatch.setattr(Basis, "rounding", 0.0)
    W = Sampled(1000, 1000, [0, 1], 1, torch.float32, CPU, 5e-7)
    source = torch.Generator().manual_seed(0)
    base = torch.randn(2, 1, 1000, generator=source)
    asked, answers = [], []
    for _ in range(10):
        scale = 1 + 0.1 * torch.randn(2, 40, 1, generator=source)
        asked.append(base * scale + level * torch.randn(2, 40, 1000, generator=source))
        answers.append(W.multiply(asked[-1]))
        W.multiply_transposed(asked[-1])
    Q = W._forward.directions.double()
    G = Q @ Q.mT
    known = torch.diagonal(G, dim1=-2, dim2=-1) > 0.5
    torch.testing.assert_close(G, torch.diag_embed(known.double()), rtol=0, atol=1e-6)
    for A, answer in zip(asked, answers, strict=True):
        torch.testing.assert_close(W.multiply(A), answer, rtol=0, atol=3e-5 * float(answer.square().mean().sqrt()))


def test_rounding_is_not_explored_for_ever():
    """A network's activations are sums over what is known; each pass rounds them anew."""
    W = Sampled(800, 800, [0], 1, torch.float32, CPU, 5e-7)
    source = torch.Generator().manual_seed(0)
    A = torch.randn(1, 300, 800, generator=source)
    W.multiply(A)
    for _ in range(20):
        mixed = torch.randn(1, 30, 300, generator=source) @ A
        W.multiply(mixed + 1e-6 * mixed.square().mean().sqrt() * torch.randn(1, 30, 800, generator=source))
    assert W.ranks == (300, 0)


def test_less_than_half_as_much_is_worth_a_look_again():
    W = sampled(30, 40, tolerance=1e-2)
    assert not W.sharpen(0.6e-2)
    assert W.tolerance == 1e-2
    assert W.sharpen(0.4e-2)
    assert W.tolerance == 0.4e-2


def test_how_inputs_move_is_asked_as_at_first_however_sharp_the_inputs_are_asked():
    W = sampled(300, 400, tolerance=1e-3)
    A, B = rows(5, 400, 1), rows(5, 400, 2)
    first = W.multiply(1e-6 * A, moved=True)
    assert W.sharpen(1e-7)
    torch.testing.assert_close(W.multiply(1e-6 * (A + 1e-4 * B), moved=True), first, rtol=0, atol=1e-8)
    assert W.ranks == (5, 0)
    W.multiply(A + 1e-4 * B)
    assert W.ranks == (10, 0)
    assert W.tolerance == 1e-7


def test_a_tolerance_below_rounding_is_refused():
    with pytest.raises(ValueError, match=r"tolerance: of sampled weights in float32 must be at least 5e-07, got 1e-07"):
        Network.init(Architecture(4, 60, n_in=2), 0, weights="sampled", tolerance=1e-7)
    Network.init(Architecture(4, 60, n_in=2), 0, weights="sampled", tolerance=1e-7, dtype=torch.float64)


def test_a_basis_that_grows_one_by_one_seldom_moves():
    """Each move copies what is there: so many times as the logarithm of the rank, not as the rank itself."""
    basis = Basis(500, 1, [torch.Generator()], torch.float64, CPU, 1e-9)
    rooms = set()
    for direction in torch.eye(500, dtype=torch.float64)[:400]:
        basis.append(direction.reshape(1, 1, 500), torch.zeros(1, 1, 1, dtype=torch.float64))
        rooms.add(basis.nbytes())
    assert len(rooms) <= 10
    torch.testing.assert_close(basis.directions[0], torch.eye(500, dtype=torch.float64)[:400])
