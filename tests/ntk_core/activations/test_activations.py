"""Values and derivatives of all activations, and activations of one's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from ntk_core import Architecture, activations, limiting_kernels
from ntk_core.activations.known_names import ACTIVATIONS
from tests.oracles_limit import SCALAR, gaussian_expectation

POINTS = (-700.0, -30.0, -3.0, -1.0, -0.1, 0.1, 1.0, 3.0, 25.0, 700.0)


def test_the_table_is_complete() -> None:
    assert set(activations.names()) == set(ACTIVATIONS) == set(SCALAR)
    for name in activations.names():
        assert activations.get(name).name == name
        assert activations.get(activations.get(name)) is activations.get(name)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_and_derivatives_are_their_definitions(name: str) -> None:
    activation = activations.get(name)
    value, derivative, _ = SCALAR[name]
    z = torch.tensor([p for p in POINTS if name != "tanh" or abs(p) < 300], dtype=torch.float64)
    if name == "mish":
        z = z[z.abs() < 300]
    for f, scalar in ((activation.value, value), (activation.derivative, derivative)):
        expected = torch.tensor([scalar(float(x)) for x in z], dtype=torch.float64)
        torch.testing.assert_close(f(z), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivatives_agree_with_automatic_differentiation(name: str, dtype: torch.dtype) -> None:
    activation = activations.get(name)
    z = torch.linspace(-4, 4, 80, dtype=dtype).reshape(8, 10).requires_grad_(True)
    out = activation.value(z)
    slope = torch.autograd.grad(out.sum(), z)[0] if out.requires_grad else torch.zeros_like(z)
    assert activation.value(z).dtype == activation.derivative(z).dtype == dtype
    torch.testing.assert_close(activation.derivative(z.detach()), slope, rtol=1e-5, atol=1e-6)


def test_derivatives_at_the_kink() -> None:
    zero = torch.zeros(1)
    for name, expected in (("relu", 0.0), ("abs", 0.0), ("step", 0.0), ("leaky_relu", 0.01)):
        assert float(activations.get(name).derivative(zero)) == pytest.approx(expected)


def test_leaky_relu_with_any_slope() -> None:
    activation = activations.leaky_relu(0.2)
    assert activation.name == "leaky_relu(0.2)"
    torch.testing.assert_close(activation.value(torch.tensor([-2.0, 3.0])), torch.tensor([-0.4, 3.0]))
    named = activations.get("leaky_relu(0.2)")
    torch.testing.assert_close(named.dual(1.0, 2.0, 0.5), activation.dual(1.0, 2.0, 0.5))
    assert activations.get(activations.leaky_relu(1e-7).name).duals.slope == 1e-7
    with pytest.raises(ValueError, match="slope of leaky_relu must be finite"):
        activations.leaky_relu(float("inf"))
    for wrong in (f"leaky_relu({'9' * 200})", "leaky_relu(-1000001)"):
        with pytest.raises(ValueError, match=r"^activation: the slope of leaky_relu must be at most 1,000,000, got "):
            activations.get(wrong)


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(ValueError, match="choose one of relu"):
        activations.get("sofplus")


@pytest.mark.parametrize(
    ("name", "f"), [("tanh", torch.tanh), ("elu", F.elu), ("selu", F.selu), ("relu", F.relu), ("gelu", F.gelu)]
)
def test_ones_own_copy_of_a_known_activation_has_its_duals(name: str, f: activations.Elementwise) -> None:
    mine, known = activations.custom(f, name="mine"), activations.get(name)
    assert mine.smooth == known.smooth
    q_u, q_v, rho = (np.array(a) for a in ([0.1, 1.0, 2.0, 1.0], [0.1, 1.0, 3.0, 1.0], [-0.99, 0.5, 0.9, 1.0]))
    for ours, theirs in zip(
        mine.dual_both(q_u, q_v, rho * np.sqrt(q_u * q_v)),
        known.dual_both(q_u, q_v, rho * np.sqrt(q_u * q_v)),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    z = torch.linspace(-3, 3, 50, dtype=torch.float64)
    torch.testing.assert_close(mine.derivative(z), known.derivative(z))
    assert not mine.derivative(z).requires_grad


def test_kinks_away_from_zero_are_found_and_integrated_around() -> None:
    hard = activations.custom(F.hardtanh, name="hardtanh")
    assert not hard.smooth
    assert hard.duals.kinks == pytest.approx((-1.0, 1.0))

    def value(z: float) -> float:
        return min(max(z, -1.0), 1.0)

    for q_u, q_v, rho in ((1.0, 1.0, 0.5), (1.0, 1.0, 0.999), (0.5, 3.0, -0.99)):
        expected = gaussian_expectation(value, (-1.0, 1.0), q_u, q_v, rho)
        assert float(hard.dual(q_u, q_v, rho * (q_u * q_v) ** 0.5)) == pytest.approx(expected, abs=1e-8)


def test_a_derivative_may_be_given() -> None:
    given = activations.custom(lambda z: z**2, lambda z: 2 * z, name="square")
    # E[u^2 v^2] = q_u q_v + 2 cov^2 and E[4 u v] = 4 cov.
    value, slope = given.dual_both(1.0, 2.0, 0.5)
    assert float(value) == pytest.approx(2.5, abs=1e-11)
    assert float(slope) == pytest.approx(2.0, abs=1e-11)


@pytest.mark.parametrize("f", [F.hardsigmoid, F.hardswish, F.relu6, F.hardshrink, F.softshrink, F.rrelu, F.celu])
def test_operations_without_second_derivatives_are_answered(f: activations.Elementwise) -> None:
    mine = activations.custom(f)
    value, slope = mine.dual_both(1.0, 1.0, 0.3)
    diagonal = mine.dual_both(1.0, 1.0, 1.0)
    z = torch.linspace(-12, 12, 2_400_001, dtype=torch.float64)
    weight = torch.exp(-z * z / 2) * 1e-5 / (2 * torch.pi) ** 0.5
    for moment, g in zip(diagonal, (mine.value, mine.derivative), strict=True):
        assert float(moment) == pytest.approx(float((g(z) ** 2 * weight).sum()), rel=1e-4)
    assert abs(float(value)) < float(diagonal[0])
    assert abs(float(slope)) < float(diagonal[1])


def test_a_derivative_that_has_no_limit_at_0_is_not_split_off() -> None:
    """z sqrt(|z|): its second derivative goes to infinity on both sides of 0. E[|z|^3] = 2 sqrt(2 / pi)."""
    mine = activations.custom(lambda z: z * z.abs().clamp_min(1e-300).sqrt())
    value, slope = mine.dual_both(1.0, 1.0, 1.0)
    assert float(value) == pytest.approx(2 * (2 / np.pi) ** 0.5, abs=1e-10)
    assert float(slope) == pytest.approx(2.25 * (2 / np.pi) ** 0.5, abs=1e-10)


def test_ones_own_activation_in_the_limit() -> None:
    arch = Architecture(depth=3, activation=activations.custom(torch.tanh), n_in=2)
    X = np.random.default_rng(0).standard_normal((5, 2))
    mine, known = limiting_kernels(arch, X), limiting_kernels(Architecture(depth=3, activation="tanh", n_in=2), X)
    torch.testing.assert_close(mine.ntk, known.ntk)


@pytest.mark.parametrize(
    ("f", "sentence"),
    [
        (lambda z: z.sum(), "must return the shape it is given"),
        (lambda z: 3.0, "must return the shape it is given"),
        (torch.log, "is not finite at -20"),
        (lambda z: z @ z.new_ones(3), "cannot be evaluated"),
        (lambda z: z @ torch.eye(4001, dtype=torch.float64), "cannot be evaluated in torch.float32: "),
        (lambda z: (z > 0).float(), "must return the precision it is given, torch.float64, got torch.float32"),
        (lambda z: (z > 0).double(), "must return the precision it is given, torch.float32, got torch.float64"),
        (lambda z: z > 0, "must return the precision it is given, torch.float64, got torch.bool"),
        (lambda z: z.clamp_(min=0), "must leave its argument as it is"),
        (lambda z: torch.softmax(z, -1), "must be elementwise and the same every time"),
        (F.dropout, "must be elementwise and the same every time"),
        (lambda z: torch.from_numpy(np.tanh(z.detach().numpy())), "give its derivative if it is not made of torch"),
    ],
)
def test_what_is_no_activation_is_refused(f: activations.Elementwise, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        activations.custom(f)


def test_a_kink_must_be_a_number() -> None:
    with pytest.raises(ValueError, match="kinks of 'custom' must be finite"):
        activations.custom(torch.tanh, kinks=(float("nan"),))


def test_two_functions_are_two_activations():
    tanh, sigmoid = activations.custom(torch.tanh), activations.custom(torch.sigmoid)
    assert tanh != sigmoid
    assert tanh == activations.custom(torch.tanh)
    assert len({tanh, sigmoid, activations.custom(torch.tanh)}) == 2
    assert Architecture(3, activation=tanh) != Architecture(3, activation=sigmoid)
