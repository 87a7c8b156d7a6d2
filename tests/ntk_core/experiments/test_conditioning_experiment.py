"""The page on positive definiteness: its numbers against a recursion written out, Proposition 2 and its exceptions."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate
from scipy.special import eval_legendre

from ntk_core import experiments
from ntk_core.experiments import conditioning
from ntk_core.experiments.conditioning import Spec, theory
from ntk_core.limit.conditioning import sphere_points
from ntk_core.runs.spec import sentences
from ntk_core.runs.theory import Theory


def relu_kernels(t, depth, beta, w_std, dimension):
    """(NTK, NNGP) of relu between unit vectors with scalar product t, written out from the arc-cosine formulas."""
    sigma = theta = w_std**2 * t / dimension + beta**2
    variance = w_std**2 / dimension + beta**2
    for _ in range(depth - 1):
        rho = np.clip(sigma / variance, -1, 1)
        angle = np.arccos(rho)
        slope = (math.pi - angle) / (2 * math.pi)
        sigma = w_std**2 * variance * (np.sqrt(1 - rho**2) / (2 * math.pi) + rho * slope) + beta**2
        theta = w_std**2 * theta * slope + sigma
        variance = w_std**2 * variance / 2 + beta**2
    return theta, sigma


@pytest.mark.parametrize(("depth", "beta", "w_std"), [(2, 0.3, 1.0), (4, 0.1, 1.0), (3, 0.2, 1.4)])
def test_eigenvalues_by_degree_are_integrals_of_the_kernel(depth, beta, w_std):
    found = theory(Spec(depth=depth, beta=beta, w_std=w_std, degrees=6))
    for row, name in enumerate(("ntk", "nngp")):
        for k in (0, 1, 3, 6):

            def part(g, k=k, row=row):
                t = math.cos(g)
                return relu_kernels(t, depth, beta, w_std, 3)[row] * eval_legendre(k, t) * math.sin(g) / 2

            value, error = integrate.quad(part, 0, math.pi, epsabs=1e-11)
            assert abs(found[name][k] - value) <= found[f"{name}_error"][k] + 10 * error + 1e-11


@pytest.mark.parametrize("against", list(conditioning.SWEEPS))
def test_smallest_eigenvalue_and_condition_number_are_those_of_the_matrix(against):
    spec = Spec(against=against, points=12, seed=3)
    found = theory(spec)
    for j, value in enumerate(found["value"]):
        at = {name: getattr(spec, name) for name in ("depth", "beta", "dimension", "points")} | {against: value}
        d = int(at["dimension"])
        X = sphere_points(int(at["points"]), d, 3).numpy()
        for i, K in enumerate(relu_kernels(X @ X.T, int(at["depth"]), at["beta"], 1.0, d)):
            values = np.linalg.eigvalsh(K)
            if found["smallest"][i, j] > found["rounding"][i, j]:
                # An angle between nearly equal points is an arc cosine near 1: the naive one has fewer digits.
                assert found["smallest"][i, j] == pytest.approx(values[0], rel=1e-5, abs=1e-8 * values[-1])
                expected = found["largest"][i, j] / found["smallest"][i, j]
                assert found["number"][i, j] == pytest.approx(expected)
            else:
                assert values[0] < 1e-8 * values[-1]
                assert found["number"][i, j] == math.inf
            assert found["largest"][i, j] == pytest.approx(values[-1], rel=1e-9)


def test_the_specs_own_value_is_among_those_that_are_drawn():
    assert 5 in theory(Spec(depth=5, points=4))["value"]
    assert 0.33 in theory(Spec(beta=0.33, against="beta", points=4))["value"]


@pytest.mark.parametrize("dimension", [2, 3, 6])
def test_biases_make_every_degree_positive_and_without_them_parities_are_lost(dimension):
    """Proposition 2 (non-polynomial activations, L >= 2, with biases), and what happens outside it."""
    kept = theory(Spec(depth=2, beta=0.1, dimension=dimension, points=4))
    assert kept.info["compared"] == ["relu", "gelu", "abs", "erf", "identity"]
    assert kept["lost"].tolist() == [False, False, False, False, True]
    assert kept.info["notes"] == []
    lost = theory(Spec(depth=2, beta=0.0, dimension=dimension, points=4))
    assert lost["lost"].all()
    assert lost.info["missing"] == [3, 5, 7, 9, 11, 13, 15]
    assert lost["seen"][lost.info["compared"].index("abs")].tolist()[:6] == [1, 0, 1, 0, 1, 0]
    assert lost["seen"][lost.info["compared"].index("erf")].tolist()[:6] == [0, 1, 0, 1, 0, 1]
    assert lost.info["notes"][0].startswith(
        "The NTK is not positive definite on this sphere: every odd degree from 3 on of the spherical harmonics has"
    )


def test_relu_regains_its_odd_degrees_with_depth_and_a_line_never_gains_any():
    assert not theory(Spec(depth=3, beta=0.0, points=4)).info["lost"]
    line = theory(Spec(activation="identity", points=4))
    assert line["seen"][0].tolist() == [1, 1] + [0] * 15
    assert "every degree above 1 of the spherical harmonics has eigenvalue 0" in line.info["notes"][0]


def test_all_that_is_zero_is_missing_and_what_rounding_hides_is_not():
    line = theory(Spec(depth=1, beta=0.0, points=4))
    assert line.info["missing"] == [0, *range(2, 17)]
    assert ": every degree but 1 of the spherical harmonics has eigenvalue 0." in line.info["notes"][0]
    cosine = theory(Spec(depth=2, beta=0.0, activation="cos", points=4))
    assert cosine.info["missing"] == list(range(1, 17, 2))
    assert cosine["seen"][0].tolist()[10:] == [1, 0, -1, 0, -1, 0, -1]
    assert "every odd degree of the" in cosine.info["notes"][0]
    assert "What degrees 12, 14, 16 have is below rounding" in cosine.info["notes"][0]


def test_conditioning_worsens_with_depth_and_with_points():
    deep = theory(Spec(points=24))["number"][0]
    assert deep[-1] > 10 * deep[3]
    many = theory(Spec(against="points"))["smallest"][0]
    assert (np.diff(many) <= 0).all()  # eigenvalues of a part interlace with those of the whole


@settings(max_examples=20, deadline=None)
@given(
    depth=st.integers(1, 16),
    activation=st.sampled_from(sorted(conditioning.QUICK)),
    beta=st.floats(0, 2),
    w_std=st.floats(0.1, 3),
    dimension=st.integers(2, 100),
    points=st.integers(2, 40),
    against=st.sampled_from(list(conditioning.SWEEPS)),
)
def test_any_setting_has_finite_numbers_and_no_warning(**fields):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = theory(Spec(**fields))
    assert np.isfinite(found["ntk"]).all()
    assert np.isfinite(found["smallest"]).all()
    assert not np.isnan(found["number"]).any()
    again = Theory.from_bytes(found.to_bytes())
    assert again.info == found.info
    np.testing.assert_array_equal(again["smallest"], found["smallest"])


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"depth": 0}, "depth: input should be greater than or equal to 1, got 0"),
        ({"points": 1}, "points: input should be greater than or equal to 2, got 1"),
        ({"dimension": 1}, "dimension: input should be greater than or equal to 2, got 1"),
        ({"beta": math.nan}, "beta: "),
        ({"against": "width"}, "against: input should be 'depth', 'beta', 'dimension' or 'points', got 'width'"),
        ({"activation": "rélu"}, "activation: 'rélu' is not known; choose one of relu"),
    ],
)
def test_bad_input_is_named(fields, sentence):
    with pytest.raises(ValueError, match="validation error") as error:
        experiments.parse({"experiment": "conditioning", **fields})
    assert sentences(error.value)[0].startswith(sentence)


def test_it_is_theory_alone_and_says_when_it_is_slow():
    assert not experiments.runs("conditioning")
    with pytest.raises(ValueError, match="conditioning is theory alone"):
        experiments.compute(Spec())
    assert experiments.is_slow(Spec(activation="elu"))
    assert not experiments.is_slow(Spec())
