"""Closed forms and series against adaptive quadrature, and laws that every dual obeys."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ntk_core import activations
from tests.oracles_limit import SCALAR, gaussian_expectation

SERIES = ("tanh", "sigmoid", "softplus", "silu", "mish", "elu", "selu")
CLOSED = tuple(name for name in SCALAR if name not in SERIES)
VARIANCES = ((0.01, 0.01), (1.0, 1.0), (10.0, 10.0), (0.3, 10.0))
ENDS = (-1.0, 1.0)
INSIDE = (-0.999, -0.4, 0.9, 0.999)


def _tolerance(name: str) -> float:
    return 1e-8 if name in ("elu", "selu") else 1e-10


def _check(name: str, q_u: float, q_v: float, rho: float) -> None:
    activation = activations.get(name)
    value, derivative, kinks = SCALAR[name]
    dual, slope = activation.dual_both(q_u, q_v, rho * math.sqrt(q_u * q_v))
    assert abs(float(dual) - gaussian_expectation(value, kinks, q_u, q_v, rho)) < _tolerance(name)
    assert abs(float(slope) - gaussian_expectation(derivative, kinks, q_u, q_v, rho)) < _tolerance(name)


@pytest.mark.parametrize("q", VARIANCES)
@pytest.mark.parametrize("name", SERIES)
def test_series_agree_with_adaptive_quadrature(name: str, q: tuple[float, float]) -> None:
    for rho in (*ENDS, *INSIDE):
        _check(name, *q, rho)


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms_agree_with_adaptive_quadrature(name: str) -> None:
    for q_u, q_v in ((1.0, 1.0), (0.3, 10.0)):
        for rho in (*ENDS, -0.4, 0.999):
            _check(name, q_u, q_v, rho)


# A jump's derivative is taken almost everywhere, which leaves out its mass: the law holds for all but the step.
@pytest.mark.parametrize("name", [name for name in activations.names() if name != "step"])
def test_derivative_dual_is_the_slope_of_the_dual_in_the_covariance(name: str) -> None:
    activation = activations.get(name)
    for q_u, q_v, rho in ((1.0, 1.0, 0.3), (0.1, 2.0, -0.7), (3.0, 3.0, 0.9)):
        cov, h = rho * math.sqrt(q_u * q_v), 1e-4 * math.sqrt(q_u * q_v)
        # Fourth order in h.
        ahead = torch.tensor([cov + h, cov - h, cov + 2 * h, cov - 2 * h], dtype=torch.float64)
        d = activation.dual(q_u, q_v, ahead)
        difference = (8 * (d[0] - d[1]) - (d[2] - d[3])) / (12 * h)
        assert abs(float(difference - activation.dual_derivative(q_u, q_v, cov))) < 2e-7


@pytest.mark.parametrize("name", activations.names())
def test_duals_are_symmetric_bounded_and_finite_everywhere(name: str) -> None:
    activation = activations.get(name)
    q = torch.tensor([0.0, 1e-12, 0.01, 1.0, 10.0], dtype=torch.float64)
    rho = torch.tensor([-1.0, -1 + 1e-15, -0.5, 0.0, 0.5, 1 - 1e-15, 1.0], dtype=torch.float64)
    q_u, q_v, rho = q[:, None, None], q[None, :, None], rho[None, None, :]
    cov = rho * (q_u * q_v).sqrt()
    for dual in activation.dual_both(q_u, q_v, cov):
        assert dual.shape == (5, 5, 7)
        assert torch.isfinite(dual).all()
        torch.testing.assert_close(dual, dual.transpose(0, 1), rtol=1e-8, atol=1e-9)
    value, _ = activation.dual_both(q_u, q_v, cov)
    norm_u, norm_v = activation.dual_both(q_u, q_u, q_u)[0], activation.dual_both(q_v, q_v, q_v)[0]
    if name != "step":  # at variance 0 the step's expectation is that of a vanishing Gaussian, not step(0)^2
        assert (value.abs() <= (norm_u * norm_v).sqrt() * (1 + 1e-9) + 1e-9).all()  # Cauchy-Schwarz


@pytest.mark.parametrize("name", activations.names())
def test_diagonal_agrees_with_coincident_points(name: str) -> None:
    activation = activations.get(name)
    q = np.array([0.01, 0.5, 1.0, 7.0])
    for diagonal, dual in zip(activation.duals.diagonal(q), activation.dual_both(q, q, q), strict=True):
        np.testing.assert_allclose(diagonal, dual.numpy(), rtol=1e-9, atol=1e-11)


def test_bad_arguments_are_named() -> None:
    relu = activations.get("relu")
    with pytest.raises(ValueError, match="variances must be >= 0"):
        relu.dual(-1.0, 1.0, 0.0)
    with pytest.raises(ValueError, match="cov: must be finite"):
        relu.dual(1.0, 1.0, float("nan"))


def test_sine_does_not_overflow_where_its_factors_would() -> None:
    value, slope = activations.get("sin").dual_both(2000.0, 2000.0, torch.tensor([2000.0, -2000.0, 0.0]))
    torch.testing.assert_close(value, torch.tensor([0.5, -0.5, 0.0], dtype=torch.float64))
    torch.testing.assert_close(slope, torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64))
