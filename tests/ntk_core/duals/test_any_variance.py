"""Duals are right to 1e-9 of what Cauchy and Schwarz allow, or refused: norms 1e-8 to 1e8, correlations up to 1."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st

from ntk_core import activations
from tests.oracles_limit import SCALAR, Scalar, wave_expectation, wide_expectation

ALLOWED = 1e-9
NORMS = st.floats(-8, 8).map(lambda x: 10.0**x)
EDGES = (1.0, -1.0, 1 - 1e-14, -1 + 1e-14, 1 - 1e-9, 1 - 1e-5, 0.999, -0.98, 0.0)
CORRELATIONS = st.sampled_from(EDGES) | st.floats(-1, 1)
Expectation = Callable[[float, float, float], float]

# torch's derivative of hardsigmoid is a sixth in float32, whatever it is given: that function's dual is asked for.
SIXTH = float(torch.tensor(1 / 6, dtype=torch.float32))
TAIL = tuple(sign * 10.0**k for k in range(2, 10) for sign in (-1, 1))  # where slow tails must be looked at

# Functions and slopes as torch and as plain numbers, and where they jump or bend.
CUSTOM: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], Scalar, Scalar, tuple[float, ...]]] = {
    "step at 0 included": (lambda z: (z >= 0).to(z.dtype), lambda z: float(z >= 0), lambda z: 0.0, (0.0,)),
    "sign": (torch.sign, lambda z: math.copysign(1.0, z), lambda z: 0.0, (0.0,)),
    "tanh(10 z)": (
        lambda z: torch.tanh(10 * z),
        lambda z: math.tanh(10 * z),
        lambda z: 10 / math.cosh(min(abs(10 * z), 300.0)) ** 2,
        (),
    ),
    "softsign": (F.softsign, lambda z: z / (1 + abs(z)), lambda z: (1 + abs(z)) ** -2, (0.0, *TAIL)),
    "hardsigmoid": (
        F.hardsigmoid,
        lambda z: min(max(z / 6 + 0.5, 0.0), 1.0),
        lambda z: SIXTH if -3 < z < 3 else 0.0,
        (-3.0, 3.0),
    ),
    "late relu": (lambda z: torch.relu(z - 0.3), lambda z: max(z - 0.3, 0.0), lambda z: float(z > 0.3), (0.3,)),
    "z^3": (lambda z: z**3, lambda z: z**3, lambda z: 3 * z * z, ()),
}
MADE = {name: activations.custom(f, name=name) for name, (f, *_) in CUSTOM.items()}


def _inputs(norm_u: float, norm_v: float, rho: float) -> tuple[float, float, float]:
    return norm_u**2, norm_v**2, rho * norm_u * norm_v


def _agrees(found: float, exact: Expectation, q_u: float, q_v: float, cov: float) -> None:
    size = math.sqrt(exact(q_u, q_u, q_u)) * math.sqrt(exact(q_v, q_v, q_v))
    if size == 0:  # nothing but what lies nine deviations out, which the quadrature does not see
        assert abs(found) < 1e-18
        return
    assert abs(found - exact(q_u, q_v, cov)) <= ALLOWED * size


def _check(activation: activations.Activation, value: Scalar, slope: Scalar, kinks: tuple, *inputs: float) -> None:
    found = activation.dual_both(*inputs)
    for number, f in zip(found, (value, slope), strict=True):
        _agrees(float(number), lambda *q, f=f: wide_expectation(f, *q, kinks), *inputs)  # type: ignore[misc]


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([n for n in SCALAR if n not in ("sin", "cos")]), NORMS, NORMS, CORRELATIONS, st.booleans())
def test_every_activation_at_every_variance(name: str, norm_u: float, norm_v: float, rho: float, one: bool) -> None:
    value, slope, kinks = SCALAR[name]
    _check(activations.get(name), value, slope, kinks, *_inputs(norm_u, norm_u if one else norm_v, rho))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["sin", "cos"]), NORMS, NORMS, CORRELATIONS, st.booleans())
def test_waves_at_every_variance(name: str, norm_u: float, norm_v: float, rho: float, one: bool) -> None:
    inputs = _inputs(norm_u, norm_u if one else norm_v, rho)
    for number, cosine in zip(activations.get(name).dual_both(*inputs), (name == "cos", name == "sin"), strict=True):
        _agrees(float(number), lambda *q, c=cosine: wave_expectation(1.0, *q, c), *inputs)  # type: ignore[misc]


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(CUSTOM)), NORMS, NORMS, CORRELATIONS, st.booleans())
def test_custom_functions_at_every_variance(name: str, norm_u: float, norm_v: float, rho: float, one: bool) -> None:
    _, value, slope, kinks = CUSTOM[name]
    _check(MADE[name], value, slope, kinks, *_inputs(norm_u, norm_u if one else norm_v, rho))


@settings(max_examples=15, deadline=None)
@given(st.floats(0.1, 60), st.floats(-3, 1.5).map(lambda x: 10.0**x), CORRELATIONS)
def test_fast_waves_are_right_or_refused(k: float, norm: float, rho: float) -> None:
    wave = activations.custom(lambda z: torch.sin(k * z), name="wave")
    inputs = _inputs(norm, norm, rho)
    try:
        value, slope = wave.dual_both(*inputs)
    except ValueError as error:
        refused = str(error)
    else:
        _agrees(float(value), lambda *q: wave_expectation(k, *q), *inputs)
        _agrees(float(slope) / k**2, lambda *q: wave_expectation(k, *q, True), *inputs)  # type: ignore[arg-type]
        return
    assert "'wave' changes too fast" in refused
    assert k * norm > 100  # nothing slower than this is refused


def test_a_kink_far_outside() -> None:
    """The late relu, nine and a half deviations out: E[(z - a)^2; z > a] = q ((1 + h^2) P(Z > h) - h phi(h))."""
    q = 1e-3
    h = 0.3 / math.sqrt(q)
    with mpmath.workdps(50):
        exact = float(q * ((1 + mpmath.mpf(h) ** 2) * mpmath.ncdf(-h) - h * mpmath.npdf(h)))
    assert float(MADE["late relu"].dual(q, q, q)) == pytest.approx(exact, rel=1e-3)


def test_what_was_seen_to_be_wrong() -> None:
    one = (1.0, 1.0)
    step = MADE["step at 0 included"]
    assert float(step.dual(*one, 0.0)) == pytest.approx(0.25, abs=1e-12)
    assert float(step.dual(*one, 0.5)) == pytest.approx(1 / 3, abs=1e-12)
    fast = activations.custom(lambda z: torch.sin(30 * z))
    assert float(fast.dual(*one, 1.0)) == pytest.approx(0.5, abs=1e-11)
    faster = activations.custom(lambda z: torch.sin(40 * z))
    assert float(faster.dual(*one, 0.9)) == pytest.approx(0.0, abs=1e-12)
    value = wide_expectation(lambda z: math.tanh(10 * z), 1.0, 1.0, 0.8)
    assert float(MADE["tanh(10 z)"].dual(*one, 0.8)) == pytest.approx(value, abs=1e-11)


@pytest.mark.parametrize(
    ("f", "q", "sentence"),
    [
        (torch.exp, 1e6, "'mine' grows too fast for a Gaussian of variance 1e.06: no finite values at 1.3e"),
        (lambda z: torch.exp(z * z / 8), 3.0, "'mine' grows too fast for a Gaussian of variance 3"),
        (lambda z: torch.sin(30 * z), 1e4, "'mine' changes too fast"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_a_reason(f: activations.Elementwise, q: float, sentence: str) -> None:
    mine = activations.custom(f, name="mine")
    with pytest.raises(ValueError, match=f"activation: {sentence}.*take inputs of smaller norm"):
        mine.dual(q, q, q / 2)


def test_a_correlation_beyond_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"cov: must be at most sqrt\(q_u q_v\)"):
        activations.get("erf").dual(1.0, 4.0, 2.1)
