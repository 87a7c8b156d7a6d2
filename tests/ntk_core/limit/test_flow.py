"""Gradient flow without the matrix: against the dense exponential, its bounds over drawn cases, and resuming."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntk_core import Architecture, InfiniteEnsemble, KernelOperator, limiting_kernels
from ntk_core.data import digits
from ntk_core.limit.classes import one_hot
from ntk_core.limit.flow import FlowState, gradient_flow
from ntk_core.limit.iterative import predict
from ntk_core.limit.kernel_functions import NTK
from ntk_core.rules import GradientFlow

ARCH = Architecture(depth=4, activation="relu", beta=0.1, n_in=784)
BATCH = digits.batch(260, seed=1)
X, TEST = BATCH.inputs[:200], BATCH.inputs[200:]
Y = one_hot(BATCH.labels[:200], 10)  # rows add up to zero: the targets depend on each other
TIMES = [0.0, 3.0, 100.0, 5000.0]


class Counted:
    def __init__(self, K):
        self.K, self.shape, self.products = K, tuple(K.shape), 0

    def matvec(self, V):
        self.products += 1
        return self.K @ V


def test_the_infinite_ensemble_is_found_without_its_matrix():
    found = gradient_flow(KernelOperator(ARCH, X), Y, TIMES, tolerance=1e-10)
    values, vectors = np.linalg.eigh(limiting_kernels(ARCH, X).ntk.numpy())
    for f, time in zip(found.f, TIMES, strict=True):
        left = vectors @ (np.exp(-time * values / 200)[:, None] * (vectors.T @ Y.numpy()))
        np.testing.assert_allclose(f.numpy(), Y.numpy() - left, rtol=0, atol=1e-10)
    elsewhere = predict(NTK(ARCH), TEST, X, found.alpha[2])
    expected = InfiniteEnsemble(ARCH, X, Y, GradientFlow()).at(100.0, TEST).mean
    torch.testing.assert_close(elsewhere, expected, rtol=0, atol=1e-8)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    longest=st.floats(0.0, 1e5),
    tolerance=st.floats(1e-8, 0.5),
    k=st.integers(1, 4),
    size=st.floats(1e-3, 1e3),
)
def test_the_error_is_within_its_bound(seed, longest, tolerance, k, size):
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((60, 3))
    both = limiting_kernels(Architecture(3, 1, "relu", 0.1, 3), points).ntk
    K, cross = both[:50, :50], both[50:, :50]
    y, f_0 = size * rng.standard_normal((2, 50, k))
    times = [longest, longest / 7, 0.0]
    found = gradient_flow(Counted(K), y, times, f_0=f_0, tolerance=tolerance)
    values, vectors = np.linalg.eigh(K.numpy() / 50)
    values, seen = values[:, None], vectors.T @ (f_0 - y)
    rounding = 1e-11 * float(np.linalg.norm(y - f_0))
    bound = found.error(both.diagonal()[50:])
    for index, t in enumerate(times):
        away = np.linalg.norm(found.f[index].numpy() - y - vectors @ (np.exp(-t * values) * seen), axis=0)
        assert (away <= found.left[index].numpy() + rounding).all()
        alpha = vectors @ (np.expm1(-t * values) / values * seen) / 50
        away = np.abs(cross.numpy() @ (found.alpha[index].numpy() - alpha))
        assert (away <= bound[index].numpy() + rounding * max(1.0, t) * 1e-2).all()
    assert (found.left.numpy() <= tolerance * np.linalg.norm(y - f_0, axis=0)).all()


def test_what_is_left_of_a_target_is_its_own():
    """Of a smaller copy of a target a smaller copy is left, whatever larger ones are asked with it."""
    points = np.random.default_rng(3).standard_normal((40, 3))
    K = limiting_kernels(Architecture(3, 1, "relu", 0.1, 3), points).ntk
    y = np.random.default_rng(4).standard_normal(40)
    left = gradient_flow(Counted(K), np.stack([y, 1e-3 * y], 1), [300.0], tolerance=0.3).left[0]
    assert left[0] > 0
    assert float(left[1] / left[0]) == pytest.approx(1e-3, rel=1e-6)


def test_one_product_serves_all_targets_and_an_iteration_goes_on_where_it_stood(tmp_path):
    K = limiting_kernels(ARCH, X).ntk
    whole = Counted(K)
    once = gradient_flow(whole, Y, TIMES, tolerance=1e-6)
    assert whole.products == once.products

    class EnoughError(Exception):
        pass

    def stop(state):
        state.save(tmp_path / "state.npz")
        if state.products == 4:
            raise EnoughError

    with pytest.raises(EnoughError):
        gradient_flow(Counted(K), Y, TIMES, tolerance=1e-6, on_state=stop)
    rest = Counted(K)
    state = FlowState.load(tmp_path / "state.npz")
    again = gradient_flow(rest, Y, TIMES, tolerance=1e-6, state=state)
    assert rest.products == once.products - 4
    assert torch.equal(again.f, once.f)
    assert torch.equal(again.alpha, once.alpha)


def test_few_products_where_the_targets_are_few_functions():
    values, vectors = np.linalg.eigh(limiting_kernels(ARCH, X).ntk.numpy())
    y = vectors[:, -3:] @ np.ones(3)
    kernel = Counted(limiting_kernels(ARCH, X).ntk)
    found = gradient_flow(kernel, y, [10.0, 1e4], tolerance=1e-9)
    assert kernel.products == 3  # three eigenfunctions span what there is to know
    slow = np.exp(-10.0 * values[-3:] / 200)
    np.testing.assert_allclose(found.f[0].numpy(), y - vectors[:, -3:] @ slow, atol=1e-9)


def test_what_does_not_move_costs_nothing():
    kernel = Counted(limiting_kernels(ARCH, X).ntk)
    y = np.ones(200)
    assert gradient_flow(kernel, y, [0.0], f_0=0.5).f.tolist() == [[0.5] * 200]
    assert gradient_flow(kernel, y, [5.0], f_0=y).f.tolist() == [[1.0] * 200]
    assert gradient_flow(Counted(torch.zeros(200, 200, dtype=torch.float64)), y, [5.0]).f.tolist() == [[0.0] * 200]
    assert kernel.products == 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"y": np.ones(199)}, "y: finite targets"),
        ({"y": np.full(200, np.nan)}, "y: finite targets"),
        ({"f_0": np.ones(3)}, "f_0: finite outputs"),
        ({"f_0": math.inf}, "f_0: finite outputs"),
        ({"times": [math.inf]}, "times: finite times >= 0"),
        ({"times": []}, "times: finite times >= 0"),
        ({"times": [-1.0]}, "times: finite times >= 0"),
        ({"tolerance": 0}, "tolerance: must be a finite number > 0, got 0"),
        ({"tolerance": math.nan}, "tolerance: must be a finite number > 0, got nan"),
    ],
)
def test_what_does_not_fit_is_refused(change, sentence):
    arguments = {"y": np.ones(200), "times": [1.0]} | change
    with pytest.raises(ValueError, match=sentence):
        gradient_flow(Counted(torch.eye(200, dtype=torch.float64)), **arguments)


def test_a_state_of_something_else_is_refused(tmp_path):
    states = []
    gradient_flow(Counted(torch.eye(50, dtype=torch.float64)), np.ones(50), [1.0], on_state=states.append)
    with pytest.raises(ValueError, match="other targets"):
        gradient_flow(Counted(torch.eye(50, dtype=torch.float64)), 2 * np.ones(50), [1.0], state=states[0])
    with pytest.raises(ValueError, match=r"targets of shape \(50, 1\)"):
        gradient_flow(Counted(torch.eye(60, dtype=torch.float64)), np.ones(60), [1.0], state=states[0])
    (tmp_path / "bad").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="not a saved state"):
        FlowState.load(tmp_path / "bad")


def test_too_few_products_say_how_far_they_came():
    with pytest.raises(RuntimeError, match=r"after 2 products the error can be .* of the targets"):
        gradient_flow(KernelOperator(ARCH, X), Y, [1e5], tolerance=1e-9, max_products=2)
