"""Formulas against Python's own arithmetic, and everything that is not one refused with a sentence."""

import math
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntk_core.directions import FUNCTIONS, Formula, get

RNG = np.random.default_rng(0)
F, Y, X = RNG.standard_normal((5, 2)), RNG.standard_normal((5, 2)), RNG.standard_normal((5, 3))

LEAVES = st.one_of(
    st.sampled_from(["f", "y", "t", "pi", "x", "x1", "x2", "x3"]),
    st.floats(0, 9).map(lambda v: f"{v:.3f}"),
    st.integers(0, 9).map(str),
)


def _grown(inner):
    return st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda p: f"({p[0]}{p[1]}{p[2]})"),
        st.tuples(inner, st.integers(-2, 3)).map(lambda p: f"({p[0]})**{p[1]}"),
        inner.map(lambda e: f"-({e})"),
        st.tuples(st.sampled_from(["sin", "cos", "exp", "tanh", "abs", "sign", "sqrt", "log"]), inner).map(
            lambda p: f"{p[0]}({p[1]})"
        ),
        st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(lambda p: f"{p[0]}({p[1]}, {p[2]})"),
    )


PLAIN = {name: getattr(math, name) for name in ("sin", "cos", "exp", "tanh", "sqrt", "log")} | {
    "abs": abs,
    "min": min,
    "max": max,
    "sign": lambda v: float(np.sign(v)),
    "pi": math.pi,
}


@settings(max_examples=300, deadline=None)
@given(text=st.recursive(LEAVES, _grown, max_leaves=8).filter(lambda text: len(text) <= 200))
def test_a_formula_is_pythons_arithmetic_point_by_point(text):
    formula = Formula(text)
    try:
        expected = np.array(
            [
                [
                    eval(text, {"__builtins__": {}}, PLAIN | _inputs(i) | {"f": F[i, k], "y": Y[i, k], "t": 1.5})
                    for k in range(2)
                ]
                for i in range(5)
            ],
            dtype=float,
        )
    except (ValueError, ZeroDivisionError, OverflowError):
        return  # Python stops where arrays go on with an infinity, which may yet turn into a number
    if not np.isfinite(expected).all():
        with pytest.raises(ValueError, match=r"is not a finite number everywhere at t = 1.5"):
            formula(F, Y, X, 1.5)
        return
    np.testing.assert_allclose(formula(F, Y, X, 1.5), expected, rtol=1e-9, atol=1e-12)
    tensors = formula(*map(torch.from_numpy, (F, Y, X)), 1.5)
    np.testing.assert_allclose(tensors.numpy(), expected, rtol=1e-9, atol=1e-12)


def _inputs(i):
    return {f"x{j + 1}": float(X[i, j]) for j in range(3)} | {"x": float(X[i, 0])}


def test_shapes_are_those_of_the_outputs():
    assert Formula("1")(F, Y, X, 0.0).shape == (5, 2)
    several = torch.randn(4, 5, 2)
    assert Formula("f - y*x2")(several, torch.randn(5, 2), torch.randn(5, 3), 0.0).shape == (4, 5, 2)
    assert Formula("sin(t)")(several, torch.randn(5, 2), torch.randn(5, 3), 0.0).dtype == torch.float32


def test_names_and_equality():
    assert Formula("sin(x2) + t*pi - f").names == {"x2", "t", "f"}
    assert get("f - y") == Formula("f - y")
    other = get(lambda f, y, x, t: f)
    assert other(1, 2, 3, 4) == 1
    with pytest.raises(ValueError, match=r"^direction: x4 is not there, inputs have 3 coordinates"):
        Formula("f - x4")(F, Y, X, 0.0)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "a formula is needed, such as f - y"),
        ("   ", "a formula is needed"),
        ("f -", "'f -' is not a formula"),
        ("f - y; y", "is not a formula"),
        ("f\0", "is not a formula"),
        ("(" * 150 + "f" + ")" * 40, "is not a formula"),
        ("f^2", r"powers are written \*\*"),
        ("f + " * 60 + "f", "at most 200 characters are allowed"),
        ("-" * 60 + "f", "at most 30 operations may stand inside each other"),
        ("g - y", "'g' is not known; choose from f, y, x, t, pi"),
        ("x0", "'x0' is not known"),
        ("__import__('os')", "the function '__import__' is not known"),
        ("f.real", "'f.real' is not understood"),
        ("(lambda: 1)()", "the function"),
        ("[f][0]", "is not understood"),
        ("f if t > 1 else y", "is not understood"),
        ("f > y", "is not understood"),
        ("f // y", "is not understood"),
        ("f @ y", "is not understood"),
        ("f and y", "is not understood"),
        ("not f", "is not understood"),
        ("~f", "is not understood"),
        ("'f'", r"is not a number between"),
        ("True", r"is not a number between"),
        ("1j", r"is not a number between"),
        ("1e999", r"is not a number between"),
        ("9**9**9", "an exponent must be a number between -8 and 8"),
        ("2**f", "an exponent must be a number between -8 and 8"),
        ("f**99", "an exponent must be a number between -8 and 8"),
        ("sin(f, y)", "sin takes one argument"),
        ("max(f)", "max takes two or more arguments"),
        ("sin(f=1)", "sin takes one argument"),
        ("max(*f)", "max takes two or more"),
        ("max(f, *y)", "is not understood"),
        ("(f := 2)", "is not understood"),
        ("1(2)", "is not a formula|the function"),
        ("f''", "is not understood"),
    ],
)
def test_what_is_not_a_formula_is_refused(text, sentence):
    with pytest.raises(ValueError, match=rf"^direction: .*{sentence}"):
        Formula(text)


@pytest.mark.parametrize("text", ["1/(f - f)", "exp(exp(exp(9 + f*f)))", "log(-1 - f*f)", "sqrt(-1)", "1/0"])
def test_what_is_not_finite_is_refused_when_it_happens(text):
    with pytest.raises(ValueError, match=r"^direction: .* is not a finite number everywhere at t = 2"):
        Formula(text)(F, Y, X, 2.0)


def test_a_formula_travels():
    formula = pickle.loads(pickle.dumps(Formula("f - y")))
    assert formula == Formula("f - y")
    np.testing.assert_array_equal(formula(F, Y, X, 0.0), F - Y)


def test_every_function_is_of_both_libraries():
    for name in FUNCTIONS:
        text = f"{name}(f*f, 2)" if name in ("min", "max") else f"{name}(f*f)"
        a, b = Formula(text)(F, Y, X, 0.0), Formula(text)(*map(torch.from_numpy, (F, Y, X)), 0.0)
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-12)


def test_parsing_imports_no_torch():
    code = "import sys; from ntk_core.directions import Formula; Formula('f - y'); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
