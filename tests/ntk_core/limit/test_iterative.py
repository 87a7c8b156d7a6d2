"""Regression without the matrix against the direct solution, its error bound over drawn cases, and resuming."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntk_core import Architecture, InfiniteEnsemble, limiting_kernels
from ntk_core.data import digits
from ntk_core.limit.classes import one_hot
from ntk_core.limit.iterative import Iteration, predict, regression
from ntk_core.limit.kernel_functions import NTK
from ntk_core.limit.kernels import KernelOperator
from ntk_core.limit.preconditioner import Preconditioner, pivoted

ARCH = Architecture(depth=4, activation="relu", beta=0.1, n_in=784)
BATCH = digits.batch(400, seed=1)
X, TEST = BATCH.inputs[:300], BATCH.inputs[300:]
Y = one_hot(BATCH.labels[:300], 10)  # rows add up to zero: the targets depend on each other
K = limiting_kernels(ARCH, X).ntk


class Counted:
    def __init__(self, K):
        self.K, self.shape, self.products = K, tuple(K.shape), 0

    def matvec(self, V):
        self.products += 1
        return self.K @ V


@pytest.mark.parametrize("ridge", [1e-2, 1e-5])
@pytest.mark.parametrize("rank", [0, 100])
def test_the_direct_solution_is_found(ridge, rank):
    operator = KernelOperator(ARCH, X)
    helper = pivoted(NTK(ARCH), X, ridge, rank) if rank else None
    found = regression(operator, Y, ridge, tolerance=1e-10, preconditioner=helper)
    expected = torch.linalg.solve(K + 300 * ridge * torch.eye(300, dtype=torch.float64), Y)
    torch.testing.assert_close(found.alpha, expected, rtol=0, atol=1e-8 * float(expected.abs().max()))
    assert found.residual < 1e-9
    f = predict(NTK(ARCH), TEST, X, found.alpha)
    ensemble = InfiniteEnsemble(ARCH, X, Y, ridge=ridge)
    torch.testing.assert_close(f, ensemble.at(np.inf, TEST).mean, rtol=0, atol=1e-8)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    ridge=st.floats(1e-6, 1.0),
    tolerance=st.floats(1e-8, 0.3),
    k=st.integers(1, 6),
    rank=st.integers(0, 60),
)
def test_predictions_are_within_the_stated_error(seed, ridge, tolerance, k, rank):
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((70, 3))
    arch = Architecture(3, 1, "relu", 0.1, 3)
    both = limiting_kernels(arch, points).ntk
    train, cross = both[:60, :60], both[60:, :60]
    y = torch.from_numpy(rng.standard_normal((60, k)))
    helper = pivoted(NTK(arch), points[:60], ridge, rank, seed) if rank else None
    found = regression(Counted(train), y, ridge, tolerance=tolerance, preconditioner=helper)
    assert found.residual <= tolerance * 1.01 + 1e-9
    exact = cross @ torch.linalg.solve(train + 60 * ridge * torch.eye(60, dtype=torch.float64), y)
    bound = found.error(both.diagonal()[60:])
    assert bool(((cross @ found.alpha - exact).abs() <= bound + 1e-9).all())


def test_all_targets_share_one_product_and_a_preconditioner_saves_most_of_them():
    alone, together, helped = Counted(K), Counted(K), Counted(K)
    regression(alone, Y[:, 0], 1e-5)
    regression(together, Y, 1e-5)
    regression(helped, Y, 1e-5, preconditioner=pivoted(NTK(ARCH), X, 1e-5, 150))
    assert helped.products < together.products < alone.products


def test_an_iteration_resumes_as_if_it_had_never_stopped(tmp_path):
    whole = regression(Counted(K), Y, 1e-4, tolerance=1e-8)
    seen = []

    def stop(state):
        state.save(tmp_path / "state.npz")
        seen.append(state.residual)
        if state.products == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        regression(Counted(K), Y, 1e-4, tolerance=1e-8, on_state=stop)
    rest = Counted(K)
    again = regression(rest, Y, 1e-4, tolerance=1e-8, state=Iteration.load(tmp_path / "state.npz"))
    assert torch.equal(again.alpha, whole.alpha)
    assert again.products == whole.products == rest.products + 7
    assert seen[-1] < seen[0]


def test_whitening_is_the_inverse_root():
    helper = pivoted(NTK(ARCH), X, 1e-4, 80)
    eye = torch.eye(300, dtype=torch.float64)
    M = helper.U @ torch.diag(helper.values - helper.mu) @ helper.U.mT + helper.mu * eye
    root = helper.whiten(eye)
    torch.testing.assert_close(root @ M @ root, eye, rtol=0, atol=1e-9)
    full = pivoted(NTK(ARCH), X, 1e-4, 300)  # of full rank it is the matrix itself
    M = full.U @ torch.diag(full.values - full.mu) @ full.U.mT + full.mu * eye
    torch.testing.assert_close(M, K + 300 * 1e-4 * eye, rtol=0, atol=1e-5)
    assert torch.equal(Preconditioner.none(3).whiten(eye[:3, :3]), eye[:3, :3])


def test_zero_targets_cost_nothing():
    found = regression(Counted(K), torch.zeros(300), 0.1)
    assert float(found.alpha.abs().max()) == 0.0
    assert found.residual == 0.0


def test_no_solution_is_an_error_with_the_residual(tmp_path):
    with pytest.raises(RuntimeError, match=r"not solved after 3 products; the residual is \d\.\de-\d+ of the targets"):
        regression(Counted(K), Y, 1e-6, max_products=3)


def test_bad_arguments_are_named(tmp_path):
    operator = Counted(K)
    with pytest.raises(ValueError, match=r"^y: finite targets of shape \(300,\) or \(300, k\)"):
        regression(operator, Y[:10], 0.1)
    with pytest.raises(ValueError, match=r"^ridge: must be a finite number > 0, got 0"):
        regression(operator, Y, 0.0)
    with pytest.raises(ValueError, match=r"^tolerance: must be a finite number > 0, got 0"):
        regression(operator, Y, 0.1, tolerance=0)
    with pytest.raises(ValueError, match=r"^rank: must be a whole number >= 1"):
        pivoted(NTK(ARCH), X, 0.1, 0)
    states = []
    regression(operator, Y[:, :2], 0.1, on_state=states.append)
    with pytest.raises(ValueError, match=r"^state: it is of targets of shape \(300, 2\), not \(300, 10\)"):
        regression(operator, Y, 0.1, state=states[0])
    for changed in ({"y": Y[:, :2] + 1e-3}, {"y": Y[:, 1:3]}, {"preconditioner": pivoted(NTK(ARCH), X, 0.1, 20)}):
        with pytest.raises(ValueError, match=r"^state: it is of other targets or another preconditioner$"):
            regression(operator, **({"y": Y[:, :2], "ridge": 0.1, "state": states[0]} | changed))
    with pytest.raises(ValueError, match=r"^state: it is of other targets"):
        regression(operator, Y[:, :2] * 1.0001, 0.1, state=states[-1])
    (tmp_path / "other.npz").write_bytes(b"PK no")
    with pytest.raises(ValueError, match=r"^state: other.npz is not a saved state"):
        Iteration.load(tmp_path / "other.npz")
