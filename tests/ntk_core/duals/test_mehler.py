"""The parts of the series route: coefficients, polynomials, kinks split off, direct integrals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ntk_core import activations
from ntk_core.duals import kinks, quadrature
from ntk_core.duals.expansion import Expansion
from ntk_core.duals.mehler import Mehler
from ntk_core.duals.quadrature import Function
from ntk_core.duals.series import Ladder
from tests.oracles_limit import SCALAR, gaussian_expectation

SERIES = ("tanh", "sigmoid", "softplus", "silu", "mish", "elu", "selu")


def _mehler(name: str) -> Mehler:
    duals = activations.get(name).duals
    assert isinstance(duals, Mehler)
    return duals


def test_coefficients_of_an_exponential_are_known() -> None:
    """E[exp(sqrt(q) z) h_k(z)] = exp(q/2) q^{k/2} / sqrt(k!)."""
    q = np.array([0.1, 1.0, 3.0])
    expansion = Expansion(torch.exp, (), q)
    factorials = np.cumprod([1.0, *range(1, 12)])
    expected = np.exp(q / 2) * q ** (np.arange(12)[:, None] / 2) / np.sqrt(factorials[:, None])
    np.testing.assert_allclose(expansion.smooth[:12], expected, rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(expansion.moment, np.exp(2 * q), rtol=1e-10)


def _terms(f: Function, q: float, rho: float) -> int:
    expansion = Expansion(f, (), np.array([q]))
    return Ladder((expansion, expansion), (expansion, expansion)).reaching(rho).series[0].terms


def test_the_number_of_terms_follows_the_tail() -> None:
    assert [_terms(torch.tanh, q, 1.0) for q in (0.1, 1.0, 10.0)] == sorted(
        _terms(torch.tanh, q, 1.0) for q in (0.1, 1, 10)
    )
    assert _terms(torch.tanh, 1.0, 0.5) < _terms(torch.tanh, 10.0, 0.999)
    # The largest coefficients of a fast wave are near k = 225: the first 32 are all nearly zero.
    assert _terms(lambda z: torch.sin(15 * z), 1.0, 1.0) >= 256
    assert _terms(lambda z: torch.sin(15 * z), 1.0, 0.9) >= 128


@pytest.mark.parametrize("name", SERIES)
def test_tiles_agree_with_pairs(name: str) -> None:
    """Three routes: one variance (polynomials), one variance on one side, distinct variances on both."""
    duals = _mehler(name)
    rho = np.array([-1, -0.999, -0.5, 0, 0.3, 0.9, 0.999, 1.0])
    for q_u, q_v in (
        (np.full(3, 0.7), np.full(8, 0.7)),
        (np.full(3, 0.7), np.linspace(0.5, 2, 8)),
        (np.array([0.4, 1.0, 1.1]), np.linspace(0.5, 2, 8)),
    ):
        largest = float(max(q_u.max(), q_v.max()))
        cov = rho * np.sqrt(np.outer(q_u, q_v))
        tile = duals.tile(duals.side(q_u, largest), duals.side(q_v, largest))
        for fast, pairs in zip(
            tile(slice(0, 3), slice(0, 8), cov.copy()), duals.both(q_u[:, None], q_v[None, :], cov), strict=True
        ):
            np.testing.assert_allclose(fast, pairs, atol=1e-10, rtol=0)


def test_kappa_has_the_jumps_it_was_given() -> None:
    z = np.array([-2.0, 0.0, 0.5, 3.0])
    expected = np.where(z > 0, 1.5 + 2 * z - z**2 / 2 + 3 * z**3 / 6, 0.0)
    np.testing.assert_allclose(kinks.kappa((1.5, 2.0, -1.0, 3.0), z), expected)


def test_products_of_kinks_agree_with_adaptive_quadrature() -> None:
    jumps = (0.0, 1.0, -0.5, 2.0)

    def value(z: float) -> float:
        return float(kinks.kappa(jumps, np.array([z]))[0])

    for q_u, q_v, rho in ((1.0, 1.0, 0.5), (2.0, 0.3, -0.8), (1.0, 1.0, 1.0)):
        exact = gaussian_expectation(value, (0.0,), q_u, q_v, rho)
        ours = kinks.product(jumps, np.array([q_u]), np.array([q_v]), np.array([rho]))
        assert ours[0] == pytest.approx(exact, abs=1e-10)


def test_coefficients_of_kinks_sum_to_their_product() -> None:
    q, jumps = np.array([0.8]), (0.0, 0.7, -1.0, 0.5)
    a = kinks.coefficients(jumps, q, 400)[:, 0]
    rho = 0.9
    product = kinks.product(jumps, q, q, np.array([rho]))[0]
    assert np.sum(a * a * rho ** np.arange(400)) == pytest.approx(product, abs=1e-13)


def test_direct_integrals_agree_with_adaptive_quadrature() -> None:
    for name in ("tanh", "elu"):
        duals = _mehler(name)
        value, derivative, breaks = SCALAR[name]
        for q_u, q_v, rho in ((10.0, 10.0, 0.9999), (0.2, 40.0, -0.99)):
            for f, scalar in zip(duals.functions, (value, derivative), strict=True):
                exact = gaussian_expectation(scalar, breaks, q_u, q_v, rho)
                assert quadrature.pair(f, breaks, q_u, q_v, rho) == pytest.approx(exact, abs=2e-10)


def test_pairs_that_no_series_reaches_are_integrated_directly() -> None:
    """At variance 400 tanh is almost a step: 1,024 terms do not settle near rho = 1."""
    duals = _mehler("tanh")
    value, derivative, breaks = SCALAR["tanh"]
    dual, slope = duals.both(400.0, 400.0, np.array([0.9995, 0.2]) * 400)
    for index, rho in enumerate((0.9995, 0.2)):
        assert dual[index] == pytest.approx(gaussian_expectation(value, (0.0,), 400.0, 400.0, rho), abs=1e-9)
        assert slope[index] == pytest.approx(gaussian_expectation(derivative, (0.0,), 400.0, 400.0, rho), abs=1e-9)
    assert breaks == ()
