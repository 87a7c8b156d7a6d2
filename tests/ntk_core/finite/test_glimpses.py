"""Looks at sampled weights that ask once: the joint law of a stored matrix with half the work, and no trace."""

import math

import numpy as np
import pytest
import torch

from ntk_core import Architecture, Network, data
from ntk_core.finite.sampled import FOR_KERNELS, Sampled
from ntk_core.finite.tangent import tangent_kernel
from ntk_core.training.train import train

CPU = torch.device("cpu")
M, N, SEEDS = 5, 6, 12_000


def matrices(seeds=SEEDS, m=M, n=N, tolerance=1e-9):
    return Sampled(m, n, range(seeds), 1, torch.float64, CPU, tolerance)


def rows(count, n, seed):
    return torch.randn(count, n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def each(values, W):
    return values.expand(W.shape[0], -1, -1).contiguous()


def deviations(corrected=True):
    """How far products of answers are on average from those of stored matrices, in standard errors.

    Answers are those to two forward and two backward queries, and then a glimpse at three backward ones, one of them
    half known.
    """
    W = matrices()
    A, known, new = rows(2, N, 1), rows(2, M, 2), rows(3, M, 3)
    new[0] = new[0] / new[0].norm() + known[0] / known[0].norm()
    images = W.multiply(each(A, W))  # (S, 2, m): W a
    first = W.multiply_transposed(each(known, W))  # (S, 2, n): d W
    with W.looking(once=True):
        if not corrected:
            W._forward.rank = 0
        seen = W.multiply_transposed(each(new, W))
    answers = torch.cat([v.reshape(SEEDS, -1) for v in (images, first, seen)], 1).numpy()

    def operators(left, right):
        """Rows r with answer = r . vec(W)."""
        return torch.einsum("im,jn->ijmn", left, right).reshape(-1, M * N)

    eye_m, eye_n = torch.eye(M, dtype=torch.float64), torch.eye(N, dtype=torch.float64)
    asked = [operators(eye_m, A).reshape(M, 2, -1).transpose(0, 1).reshape(-1, M * N)]
    asked += [operators(D, eye_n) for D in (known, new)]
    R = torch.cat(asked).numpy()
    products = answers[:, :, None] * answers[:, None, :]
    error = np.sqrt(products.var(0) / SEEDS)
    return np.abs(products.mean(0) - R @ R.T) / np.maximum(error, 1e-12)


def test_a_glimpse_has_the_joint_law_of_a_stored_matrix():
    """820 products, normal deviations: a maximum above 5 has the probability 5e-4."""
    assert deviations().max() < 5


def test_that_comparison_rejects_a_glimpse_that_forgets_what_the_other_side_knows():
    assert deviations(corrected=False).max() > 20


def test_what_is_known_is_answered_as_ever():
    W = matrices(3, 40, 60)
    A, D = each(rows(4, 60, 1), W), each(rows(3, 40, 2), W)
    forward, back = W.multiply(A), W.multiply_transposed(D)
    new = each(rows(5, 40, 3), W)
    with W.looking(once=True):
        torch.testing.assert_close(W.multiply_transposed(D), back)
    with W.looking(once=True):
        torch.testing.assert_close(W.multiply_transposed(new) @ A.mT, new @ forward.mT)  # (D W) a = D (W a)


@pytest.mark.parametrize("new", [0, 1])
def test_what_is_known_gets_no_noise_where_it_is_known_more_finely_than_squares_can_tell(new):
    """Whether or not something new is asked along with it."""
    W = Sampled(400, 600, range(2), 1, torch.float32, CPU, 1e-6)
    D = each(rows(60, 400, 2).float(), W)
    W.multiply(each(rows(40, 600, 1).float(), W))
    back = W.multiply_transposed(D)
    mixed = each(rows(30, 60, 3).float(), W)
    with W.looking(once=True):
        asked = torch.cat([mixed @ D, each(rows(new, 400, 4).float(), W)], 1)
        error = (W.multiply_transposed(asked)[:, :30] - mixed @ back).norm() / back.norm()
    assert error < 3e-5


def test_it_leaves_no_trace_and_repeats_itself():
    one, two = matrices(2, 40, 60), matrices(2, 40, 60)
    A, D = each(rows(4, 60, 1), one), each(rows(3, 40, 2), one)
    for W in (one, two):
        W.multiply(A)
    with one.looking(once=True):
        one.multiply(each(rows(2, 60, 5), one))
        first = one.multiply_transposed(D)
    assert one.ranks == two.ranks
    with two.looking(once=True):
        two.multiply(each(rows(2, 60, 5), two))
        assert torch.equal(two.multiply_transposed(D), first)
    torch.testing.assert_close(one.multiply_transposed(D), two.multiply_transposed(D))


def test_a_second_question_is_refused():
    """Its answer would know nothing of the first."""
    W = matrices(1)
    D = each(rows(1, M, 1), W)
    with W.looking(once=True):
        W.multiply_transposed(D)
        with pytest.raises(RuntimeError, match="asked already"):
            W.multiply_transposed(D)
    W.multiply_transposed(D)
    W.multiply_transposed(D)


def test_a_seed_that_diverged_keeps_to_itself():
    both, alone = matrices(2, 40, 60), Sampled(40, 60, [1], 1, torch.float64, CPU, 1e-9)
    D = each(rows(3, 40, 2), both)
    with alone.looking(once=True):
        expected = alone.multiply_transposed(D[1:])
    D[0] = math.nan
    with both.looking(once=True):
        answer = both.multiply_transposed(D)
    assert torch.isnan(answer[0]).all()
    torch.testing.assert_close(answer[1:], expected)


def test_kernels_of_trained_networks_are_those_of_patient_looks():
    """Means over 24 looks each at one trained network are apart by a fiftieth of what training changed, and by what
    they are by themselves: what nobody explored is drawn anew in each look.
    """
    X, y = data.gaussian_product(100, 0)
    points = data.circle(data.angle_grid(25))
    network = Network.init(
        Architecture(4, 1000, "relu", 0.1, 2), [0, 1], dtype=torch.float32, weights="sampled", tolerance=1.5e-3,
        points=np.concatenate([X, points]),
    )  # fmt: skip

    def looked(**how):
        with network.looking(**how):
            features = network.features(points)
        return tangent_kernel(features.at(slice(1)), features)[:, 0].double()

    before = looked(once=True)
    for _ in train(network, X, y, [0.0, 200.0], method="leaps"):
        pass
    looks = [
        torch.stack([looked(**how) for _ in range(24)])
        for how in ({}, {"once": True}, {"once": True, "left_out": FOR_KERNELS})
    ]
    means, noise = [v.mean(0) for v in looks], [(v.var(0).sum(1) / len(v)).sqrt() for v in looks]
    change = (means[0] - before).norm(dim=1)
    assert (change > 0.02 * before.norm(dim=1)).all()
    for k in (1, 2):
        apart = torch.hypot(noise[0], noise[k])
        assert (apart < 0.02 * change).all()
        assert ((means[k] - means[0]).norm(dim=1) < 0.02 * change + 2.5 * apart).all()
