"""The parts of the series route: coefficients, polynomials, kinks split off, direct integrals."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
import torch

from ntk_core import Architecture, activations, limiting_kernels
from ntk_core.duals import kinks, quadrature
from ntk_core.duals.direct import Direct
from ntk_core.duals.expansion import TERMS, Expansion
from ntk_core.duals.mehler import Mehler
from ntk_core.duals.quadrature import Function
from ntk_core.duals.series import TABLES, Series, Truncations, check_tables, tables
from tests.oracles_limit import SCALAR, gaussian_expectation

SERIES = ("tanh", "sigmoid", "softplus", "silu", "mish", "elu", "selu")


def _mehler(name: str) -> Mehler:
    duals = activations.get(name).duals
    assert isinstance(duals, Mehler)
    return duals


def test_coefficients_of_an_exponential_are_known() -> None:
    """E[exp(sqrt(q) z) h_k(z)] = exp(q/2) q^{k/2} / sqrt(k!)."""
    q = np.array([0.1, 1.0, 3.0])
    expansion = Expansion(torch.exp, (), q, lambda: quadrature.panels([torch.exp], (), 3.0))
    factorials = np.cumprod([1.0, *range(1, 12)])
    expected = np.exp(q / 2) * q ** (np.arange(12)[:, None] / 2) / np.sqrt(factorials[:, None])
    np.testing.assert_allclose(expansion.smooth[:12], expected, rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(expansion.moment, np.exp(2 * q), rtol=1e-10)


def _terms(f: Function, q: float, rho: float) -> int:
    expansion = Expansion(f, (), np.array([q]), lambda: quadrature.panels([f], (), q))
    return Truncations((expansion, expansion), (expansion, expansion)).reaching(rho).series[0].terms


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
        cov, sine = rho * np.sqrt(np.outer(q_u, q_v)), np.sqrt((1 - rho) * (1 + rho))
        tile = duals.tile(duals.side(q_u, largest), duals.side(q_v, largest))
        for fast, pairs in zip(
            tile(slice(0, 3), slice(0, 8), cov.copy()), duals.given(q_u[:, None], q_v[None, :], cov, sine), strict=True
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
            direct = Direct(duals.functions, duals.panels(max(q_u, q_v)))
            found = direct.pair(q_u, q_v, rho, math.sqrt((1 - rho) * (1 + rho)))
            exact = [gaussian_expectation(f, breaks, q_u, q_v, rho) for f in (value, derivative)]
            np.testing.assert_allclose(found, exact, rtol=0, atol=1e-10)


def test_pairs_that_no_series_reaches_are_integrated_directly() -> None:
    """At variance 400 tanh is almost a step: 1,024 terms do not settle near rho = 1."""
    duals = _mehler("tanh")
    value, derivative, breaks = SCALAR["tanh"]
    dual, slope = duals.both(400.0, 400.0, np.array([0.9995, 0.2]) * 400)
    for index, rho in enumerate((0.9995, 0.2)):
        assert dual[index] == pytest.approx(gaussian_expectation(value, (0.0,), 400.0, 400.0, rho), abs=1e-9)
        assert slope[index] == pytest.approx(gaussian_expectation(derivative, (0.0,), 400.0, 400.0, rho), abs=1e-9)
    assert breaks == ()


def test_large_variances_are_not_swamped_by_what_is_split_off() -> None:
    """z^j / j! of a large variance, or with a large jump, would be all there is to see of a remainder."""
    for duals in (_mehler("selu"), activations.custom(torch.nn.functional.softsign).duals):
        assert isinstance(duals, Mehler)
        splits = [duals.split(q) for q in (1e-4, 1.0, 30.0, 1e3, 1e8)]
        assert [len(s) for s in splits] == sorted((len(s) for s in splits), reverse=True)
        assert (splits[0], len(splits[-1])) == (duals.jumps, 2)
        for q, jumps in zip((1e-4, 1.0, 30.0, 1e3), splits, strict=False):
            rest = np.square(jumps) * [kinks.moment(j, q) for j in range(len(jumps))]
            assert rest[2:].max(initial=0.0) <= 1e4 * duals.diagonal(np.array([q]))[0][0]


@pytest.mark.parametrize("rho", [0.3, 0.9, 0.99, 0.999])
@pytest.mark.parametrize(("name", "q"), [("tanh", 1.0), ("tanh", 9.0), ("silu", 5.0), ("selu", 2.0), ("elu", 6.0)])
def test_what_a_series_leaves_out_is_within_its_error(name: str, q: float, rho: float) -> None:
    """Every truncation that says it reaches rho against the direct integral, which knows no series."""
    duals = _mehler(name)
    jumps, panels = duals.split(q), duals.panels(q)
    exact = Direct(duals.functions, panels).pair(q, q, rho, math.sqrt((1 - rho) * (1 + rho)))
    at = np.array([q])
    first = tuple(Expansion(f, jumps[k:], at, lambda: panels) for k, f in enumerate(duals.functions))
    reached = False
    for terms in TERMS:
        for k, expansion in enumerate(e.grown(terms) for e in first):
            series = Series(expansion, expansion)
            if series.reach < rho:
                continue
            reached = True
            total = series.sum(np.array([rho]), rho, np.array([0]), np.array([0]))
            total = total + kinks.product(jumps[k:], at, at, np.array([rho]))
            assert abs(total[0] - exact[k]) <= 2 * expansion.error * float(expansion.size[0]) ** 2
    assert reached


def test_curves_agree_with_pairs() -> None:
    """Many pairs of one variance are read off polynomials in the angle's logarithm, both near 1 and near -1."""
    duals, count = _mehler("tanh"), 400
    angle = np.concatenate([[0.0], np.geomspace(0.01, 0.3, count - 1)])
    sign = np.where(np.arange(count) % 2, 1.0, -1.0)
    q = np.full(count, 900.0)
    pairs = duals._pairs(q, q)
    found = pairs(q, q, sign * np.cos(angle), np.sin(angle))
    assert len(pairs._curves) > 3
    direct = Direct(duals.functions, duals.panels(900.0))
    for k in (0, 1, 50, 201, 390, 399):
        exact = direct.pair(900.0, 900.0, sign[k] * np.cos(angle[k]), np.sin(angle[k]))
        np.testing.assert_allclose(found[:, k], exact, rtol=0, atol=1e-11)


def test_tables_stay_within_their_memory() -> None:
    """Four long inputs took 3.8 GB; and what is kept afterwards is bounded."""
    arch = Architecture(4, activation="tanh", n_in=2)
    X = 1e3 * np.random.default_rng(0).standard_normal((4, 2))
    tracemalloc.start()
    try:
        limiting_kernels(arch, X)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200e6
    assert kept < 20e6


def test_too_many_norms_are_refused() -> None:
    with pytest.raises(ValueError, match=r"X: 400,000 different norms need 64 coefficients each, .* MB are allowed"):
        limiting_kernels(
            Architecture(4, activation="tanh", n_in=1), np.linspace(0.5, 2, 400_000)[:, None], np.ones((1, 1))
        )
    with pytest.raises(ValueError, match="30,000 different norms need 1024 coefficients"):
        check_tables(30_000, bent=False, memory=TABLES, terms=1024)


@pytest.mark.parametrize("bent", [False, True])
def test_tables_are_counted_with_all_lower_ones(bent: bool) -> None:
    """Of s and s', and of as many again where an activation bends, in float64."""
    for terms in TERMS:
        coefficients = sum(t for t in TERMS if t <= terms)
        assert tables(7, bent, terms) == 7 * 8 * 2 * (2 if bent else 1) * coefficients


@pytest.mark.parametrize(("name", "q"), [("tanh", 12.0), ("tanh", 40.0), ("selu", 50.0)])
def test_longer_series_agree_with_integrals(name: str, q: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where many pairs are out of the truncations' reach, more terms are taken before each is integrated."""
    duals = _mehler(name)
    rho = np.array([0.99, 0.995, 0.998, -0.995, 0.9999, 0.3])
    monkeypatch.setattr("ntk_core.duals.mehler.MANY", 1)
    asked: list[int] = []
    longer = Truncations.beyond
    monkeypatch.setattr(Truncations, "beyond", lambda self, terms: (asked.append(terms), longer(self, terms))[1])
    found = duals.both(q, 0.9 * q, rho * math.sqrt(0.9) * q)
    assert asked
    direct = Direct(duals.functions, duals.panels(q))
    for k, r in enumerate(rho):
        exact = direct.pair(q, 0.9 * q, float(r), math.sqrt((1 - r) * (1 + r)))
        size = [math.sqrt(d[0] * d[1]) for d in duals.diagonal(np.array([q, 0.9 * q]))]
        np.testing.assert_allclose([f[k] for f in found] / np.array(size), exact / np.array(size), rtol=0, atol=1e-10)
