"""The Jacobian of function-space dynamics against differences, alone and as a band; where Theta is singular."""

import numpy as np
import pytest
import torch
from scipy.linalg import expm

from ntk_core.limit.function_ode import Equation, solve


def logistic(f, t):
    return torch.sigmoid(f) - 0.3 + 0.2 * f.flip(-1)  # outputs that see each other


def curvature(f, t):
    s = torch.sigmoid(f)
    own = torch.diag_embed(s * (1 - s))
    return own + 0.2 * torch.eye(f.shape[-1], dtype=f.dtype).flip(-1)


def equation(S, N=3, K=2):
    source = np.random.default_rng(0)
    A = source.standard_normal((N, N))
    values, U = np.linalg.eigh(A @ A.T / N)
    return Equation(values, U, source.standard_normal((S, N, K)), logistic, curvature)


@pytest.mark.parametrize("S", [1, 3])
def test_the_jacobian_is_that_of_the_motion(S):
    """By central differences; of several functions LSODA's band holds entry (i, j) in row i - j + upper, column j."""
    made = equation(S)
    state = 0.3 * np.random.default_rng(1).standard_normal(S * made.block)
    steps = 1e-6 * np.eye(len(state))
    exact = np.stack([(made.move(0.0, state + h) - made.move(0.0, state - h)) / 2e-6 for h in steps], 1)
    found = made.jacobian(0.0, state)
    if S > 1:
        upper = made.block - 1
        assert found.shape == (2 * upper + 1, len(state))
        i, j = np.indices(exact.shape)
        inside = abs(i - j) <= upper
        assert np.abs(exact[~inside]).max() < 1e-8  # functions do not see each other
        found = np.where(inside, found[np.clip(i - j + upper, 0, 2 * upper), j], 0.0)
    np.testing.assert_allclose(found, exact, atol=1e-7)


def test_a_stiff_equation_takes_few_steps_with_its_jacobian():
    """A wrong one is mended by ever shorter steps: the band must be what the solver takes it for."""
    made = equation(4)
    made = Equation(made.values * np.array([1e-2, 1.0, 1e4]), made.U, made.f_0, logistic, curvature)
    solver, steps = made.solver(50.0, 1e-6, 1e-6), 0
    while solver.status == "running":
        assert solver.step() is None
        steps += 1
    assert steps < 300


def test_what_a_singular_kernel_cannot_move_stays():
    """Squared error: f_t = y + e^(-t Theta/N) (f_0 - y), and the signal that moved it lies in Theta's range."""
    source = np.random.default_rng(2)
    A, y, f_0 = source.standard_normal((5, 2)), source.standard_normal((5, 1)), source.standard_normal((2, 5, 1))
    K, Y = torch.from_numpy(A @ A.T), torch.from_numpy(y)
    signal, f, _ = solve(K, lambda f, t: f - Y, torch.from_numpy(f_0), [0.0, 2.0], 1e-10)
    exact = y + expm(-2.0 * A @ A.T / 5) @ (f_0 - y)
    np.testing.assert_allclose(f[1].numpy(), exact, atol=1e-8)
    np.testing.assert_allclose((K / 5 @ signal[1]).numpy(), f_0 - exact, atol=1e-8)
    np.testing.assert_allclose(A @ np.linalg.pinv(A) @ signal[1].numpy(), signal[1].numpy(), atol=1e-7)
