"""Tables of one's own as figure 2, lazy learning and conditioning take them, beside kernels and networks alone."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from ntk_core import Architecture, Network, data, experiments, limiting_kernels
from ntk_core.data import example_tables
from ntk_core.experiments import _own_points as own
from ntk_core.experiments import conditioning, function_space, lazy, spectral
from ntk_core.runs.result import Result
from ntk_core.runs.spec import sentences

SMALL = {"widths": (16,), "seeds": 2, "time": 10.0, "snapshots": 3, "learning_rate": 0.5}
GONE = "own:" + "0" * 32


def keep(X, y, classes=()):
    """The reference of a table made here."""
    X, y = np.asarray(X, float), np.asarray(y, float)
    names = tuple(f"x{k}" for k in range(X.shape[1]))
    labels = np.sign(y.reshape(len(y), -1)[:, 0]).astype(np.int16)
    return data.keep(data.Table(X, y, labels, names, ("y",), classes))


def plane(count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, 2)) * 3, rng.standard_normal(count)


def by_rows(sample, X, y):
    """The table's rows in the order in which they were drawn."""
    return X[sample.rows], y[sample.rows]


class TestOnTheCircle:
    def test_two_inputs_are_a_direction_and_the_limit_learns_there(self):
        X, y = plane(6)
        reference = keep(X, y)
        spec = function_space.Spec(points=reference, n_train=6, time=50.0)
        theory = function_space.theory(spec)
        sample = data.resolve(reference, 6)
        rows, targets = by_rows(sample, X, y)
        Z = np.stack([np.cos(theory["train_gamma"]), np.sin(theory["train_gamma"])], 1)
        np.testing.assert_allclose(Z, rows / np.linalg.norm(rows, axis=1, keepdims=True), atol=1e-6)
        np.testing.assert_array_equal(theory["train_y"], targets)
        assert theory.info["notes"][0].startswith("The points were moved to the unit circle")
        # from f_0 = 0 under gradient flow: Theta(x, X) Theta^-1 (1 - exp(-t Theta/N)) y, written out
        flow = function_space.Spec(points=reference, n_train=6, time=50.0, rule="gradient_flow")
        K = limiting_kernels(Architecture(4, 1), Z).ntk.numpy()
        cross = limiting_kernels(Architecture(4, 1), data.circle(theory["gamma"]), Z).ntk.numpy()
        moved = cross @ np.linalg.solve(K, (np.eye(6) - expm(-50.0 * K / 6)) @ targets)
        np.testing.assert_allclose(function_space.theory(flow)["mean"][-2], moved, atol=1e-6)

    def test_one_input_is_an_angle_and_the_unit_circle_stays_where_it_is(self):
        gamma, y = np.array([-2.0, 0.5, 2.0, 4.0]), np.array([1.0, -1.0, 0.5, 0.2])
        points = own.on_circle(keep(gamma[:, None], y), 4, 1)
        order = data.resolve(keep(gamma[:, None], y), 4).rows
        np.testing.assert_allclose(np.cos(points.gamma), np.cos(gamma[order]), atol=1e-6)
        np.testing.assert_allclose(np.sin(points.gamma), np.sin(gamma[order]), atol=1e-6)
        assert points.notes == ()
        assert own.on_circle(keep(data.circle(gamma), y), 4, 1).notes == ()

    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.floats(-math.pi, math.pi), min_size=2, max_size=8, unique=True), st.floats(0.01, 1e6))
    def test_a_direction_is_the_same_at_any_distance(self, angles, length):
        X = length * data.circle(np.array(angles))
        found = own.on_circle(keep(X, np.arange(len(X))), len(X), 1)
        order = data.resolve(keep(X, np.arange(len(X))), len(X)).rows
        apart = found.gamma - np.array(angles)[order]
        np.testing.assert_allclose((apart + np.pi) % (2 * np.pi) - np.pi, 0, atol=2e-6)

    def test_of_several_outputs_one_is_learned_and_named(self):
        X, _ = plane(9)
        y = data.encode(np.arange(9) % 3, 3)
        reference = keep(X, y, ("ant", "bee", "cow"))
        order = data.resolve(reference, 9).rows
        for output, name in ((1, "ant"), (3, "cow")):
            spec = function_space.Spec(points=reference, n_train=9, output=output)
            theory = function_space.theory(spec)
            np.testing.assert_allclose(theory["train_y"], y[order, output - 1])
            assert any(f"class '{name}' against the other 2" in note for note in theory.info["notes"])
        with pytest.raises(ValueError, match="output: this table has 3 targets, got 4"):
            function_space.theory(function_space.Spec(points=reference, n_train=9, output=4))

    def test_networks_train_on_the_same_points(self):
        reference = keep(*plane(5))
        spec = function_space.Spec(
            points=reference, n_train=5, widths=(16,), seeds=1, time=5.0, snapshots=2, angles=9, precision="float64",
            method="steps", weights="dense", device="cpu",
        )  # fmt: skip
        found = experiments.compute(spec)
        custom = tuple(zip(*own.on_circle(reference, 5, 1)[:2], strict=True))
        same = experiments.compute(spec.model_copy(update={"points": "custom", "custom": custom}))
        np.testing.assert_array_equal(found["f"], same["f"])

    @pytest.mark.parametrize(
        ("X", "sentence"),
        [
            ([[1, 2, 3], [2, 3, 4]], "points: the inputs of this page lie on the circle, .* this one has 3"),
            ([[0, 0], [2, 3]], "points: both inputs of the table's row 1 are zero"),
            ([[0], [360]], "points: the table's one input is taken as an angle in radians, and it goes from 0 to 360"),
            ([[-4], [4]], "one turn of the circle is allowed"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, X, sentence):
        with pytest.raises(ValueError, match=sentence):
            function_space.theory(function_space.Spec(points=keep(X, [1, 2]), n_train=2))


class TestLazy:
    def test_outputs_at_other_rows_are_those_of_a_network_trained_alone(self):
        rng = np.random.default_rng(1)
        X, y = rng.standard_normal((10, 3)), rng.standard_normal((10, 2))
        reference = keep(X, y)
        spec = lazy.Spec(points=reference, n_train=6, parametrizations=("ntk",), centred=False, **SMALL)
        result = experiments.compute(spec)
        rows = data.resolve(reference, 10).rows
        net = Network.init(Architecture(3, 16, "tanh", 0.1, 3, 2), 1, dtype=torch.float64)
        W = [layer.W[0].clone().requires_grad_(True) for layer in net.layers]
        b = [bias[0].clone().requires_grad_(True) for bias in net.biases]

        def f(Z):
            a = torch.from_numpy(Z)
            for k, (w, bias) in enumerate(zip(W, b, strict=True)):
                h = a @ w.T / math.sqrt(w.shape[1]) + 0.1 * bias
                a = torch.tanh(h) if k < 2 else h
            return a

        for _ in range(20):
            cost = (f(X[rows[:6]]) - torch.from_numpy(y[rows[:6]])).square().sum() / 12
            gradients = torch.autograd.grad(cost, [*W, *b])
            with torch.no_grad():
                for parameter, gradient in zip([*W, *b], gradients, strict=True):
                    parameter -= 0.5 * gradient
        assert result["row"].tolist() == (rows[6:] + 1).tolist()
        np.testing.assert_allclose(result["f"][-1, 0, 0, 0, 1], f(X[rows[6:]]).detach(), rtol=1e-4, atol=1e-5)
        apart = result["f"][-1, 0, 0, 0, 1] - result["linearized"][-1, 0, 0, 0, 1]
        assert result["distance"][-1, 0, 0, 0, 1] == pytest.approx(np.sqrt(np.mean(apart**2)), rel=1e-4)
        left = (f(X[rows[:6]]) - torch.from_numpy(y[rows[:6]])).square().sum() / 12
        assert result["cost"][-1, 0, 0, 0, 1] == pytest.approx(float(left.detach()), rel=1e-4)

    def test_the_limit_at_other_rows_and_its_alignment_are_kernel_regressions(self):
        rng = np.random.default_rng(2)
        X, y = rng.standard_normal((9, 4)), rng.standard_normal((9, 3))
        reference = keep(X, y)
        spec = lazy.Spec(points=reference, n_train=6, parametrizations=("ntk",), **SMALL)
        theory, rows = lazy.theory(spec), data.resolve(reference, 9).rows
        kernels = limiting_kernels(Architecture(3, 1, "tanh", n_in=4), X[rows]).ntk.numpy()
        K, cross, targets = kernels[:6, :6], kernels[6:, :6], y[rows[:6]]
        left = np.linalg.matrix_power(np.eye(6) - 0.5 * K / 6, 20)
        np.testing.assert_allclose(
            theory["mean"][-1], cross @ np.linalg.solve(K, (np.eye(6) - left) @ targets), atol=1e-7
        )
        whole, flat = np.kron(K, np.eye(3)), targets.ravel()
        seen = flat @ whole @ flat / (np.linalg.norm(whole) * flat @ flat)
        assert float(theory["alignment"]) == pytest.approx(seen, rel=1e-9)

    def test_wide_networks_come_near_the_limit_and_its_alignment_of_several_outputs(self):
        X, y = np.random.default_rng(3).standard_normal((12, 4)), data.encode(np.arange(12) % 3, 3)
        spec = lazy.Spec(
            points=keep(X, y, ("a", "b", "c")), n_train=8, parametrizations=("ntk",), alphas=(10.0,), widths=(512,),
            seeds=6, time=10.0, snapshots=2,
        )  # fmt: skip
        theory, result = lazy.theory(spec), experiments.compute(spec)
        assert theory.info["notes"][0] == ("The table's 3 classes are 3 outputs of one network, all trained together.")
        np.testing.assert_allclose(result["f"][-1, 0, 0, 0].mean(0), theory["mean"][-1], atol=0.1)
        assert result["alignment"][0, 0, 0, 0].mean() == pytest.approx(float(theory["alignment"]), rel=0.05)

    def test_without_other_rows_the_training_points_are_looked_at_and_parts_are_the_whole(self):
        X, y = plane(5)
        spec = lazy.Spec(points=keep(X, y), n_train=5, **SMALL)
        assert not lazy.theory(spec).info["apart"]
        whole, pieces = experiments.compute(spec), Result(lazy.schema(spec))
        assert whole["f"].shape[-1] == 5
        for part in lazy.parts(spec, lazy.plan(spec), 3)[::-1]:
            for increment in lazy.run(spec, part):
                pieces.add(increment)
        np.testing.assert_array_equal(pieces["f"], whole["f"])

    def test_too_many_unknowns_and_no_target_are_refused(self):
        y = data.encode(np.arange(250) % 10, 10)
        spec = lazy.Spec(points=keep(np.linspace(0, 1, 500).reshape(250, 2), y, tuple("abcdefghij")), n_train=200)
        assert lazy.plan(spec).refusal.endswith("take 150 points or fewer")
        with pytest.raises(ValueError, match="n_train: the target is zero at every one of these rows"):
            lazy.theory(lazy.Spec(points=keep([[1.0], [2.0], [3.0]], [0.0, 0.0, 0.0]), n_train=3))

    def test_inputs_too_large_for_the_limit_are_told_to_be_standardized(self):
        reference = keep(np.arange(12.0).reshape(6, 2) * 100, np.arange(6))
        with pytest.raises(ValueError, match=r"points: the table's inputs reach .* standardize the inputs"):
            lazy.theory(lazy.Spec(points=reference, n_train=4))


class TestConditioning:
    def test_eigenvalues_are_those_of_the_limiting_kernels_on_the_rows(self):
        X = np.random.default_rng(0).standard_normal((20, 5)) * 2
        reference = keep(X, np.arange(20))
        spec = conditioning.Spec(data=reference, points=12, against="points", seed=3)
        theory, rows = conditioning.theory(spec), data.resolve(reference, 12, seed=3).rows
        kernels = limiting_kernels(Architecture(4, 1, n_in=5), X[rows])
        for i, K in enumerate((kernels.ntk, kernels.nngp)):
            np.testing.assert_allclose(theory["values"][i], np.linalg.eigvalsh(K.numpy())[::-1], rtol=1e-9)
        assert theory["value"].tolist() == [2, 4, 8, 12, 16]  # 32 and more the table does not have
        assert theory["number"][0, 3] == pytest.approx(theory["values"][0, 0] / theory["values"][0, -1])
        at = theory.info["compared"].index("erf")
        K = limiting_kernels(Architecture(4, 1, "erf", n_in=5), X[rows]).ntk.numpy()
        assert theory["others_number"][at] == pytest.approx(np.linalg.cond(K), rel=1e-6)

    def test_rows_that_repeat_are_singular_and_said(self):
        X = np.random.default_rng(0).standard_normal((6, 2))
        theory = conditioning.theory(conditioning.Spec(data=keep(np.repeat(X, 2, 0), np.arange(12)), points=12))
        assert theory.info["lost"]
        assert theory.info["notes"][0].startswith("6 of these 12 rows repeat the inputs of another row")
        assert np.isinf(theory["number"]).all()

    def test_a_table_has_one_dimension_and_an_end(self):
        reference = keep(*plane(5))
        with pytest.raises(ValueError, match="validation error") as caught:
            conditioning.Spec(data=reference, against="dimension")
        assert sentences(caught.value) == [
            "against: the points of a table keep their dimension; choose depth, beta or points"
        ]
        with pytest.raises(ValueError, match="6 points were asked for; the table has 5 rows"):
            conditioning.theory(conditioning.Spec(data=reference, points=6))


@pytest.mark.parametrize(
    "spec",
    [function_space.Spec(points=GONE), lazy.Spec(points=GONE), conditioning.Spec(data=GONE)],
    ids=lambda spec: spec.experiment,
)
def test_a_link_whose_table_is_gone_says_so(spec):
    with pytest.raises(data.GoneError, match="the table that this link names is gone"):
        experiments.load(spec.experiment).theory(spec)


@pytest.mark.parametrize(
    ("name", "field"), [("function_space", "points"), ("lazy", "points"), ("conditioning", "data")]
)
@pytest.mark.parametrize("bad", ["own:../x", "digits", "", "OWN:" + "0" * 32])
def test_other_references_are_refused(name, field, bad):
    with pytest.raises(ValueError, match="validation error") as caught:
        experiments.parse({"experiment": name, field: bad})
    (sentence,) = sentences(caught.value)
    assert sentence.startswith(f"{field}: ") or sentence.startswith("data: ")


def spirals(turns):
    """The table that the page offers, with arms of so many turns: inputs standardized, two classes."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(example_tables, "TURNS", turns)
        text = example_tables.spirals()
    table = data.choose(data.parse(text.encode()), target="arm", classes=True, standardized=True)
    return data.keep(table)


def test_an_accuracy_below_guessing_is_right_and_said():
    """Arms of 1.5 turns under relu's kernel with few biases, by least squares; one turn it tells apart."""
    fields = {"n_labelled": 53, "n_test": 27, "time": 500.0}
    spec = spectral.Spec(data=spirals(1.5), **fields)
    found = spectral.theory(spec)
    sample = data.resolve(spec.data, 80, seed=spec.data_seed)
    K = limiting_kernels(Architecture(4, 1, "relu", 0.1, 2), sample.inputs).ntk.numpy()
    y = np.eye(2)[sample.labels] - 0.5
    f = K[53:, :53] @ np.linalg.lstsq(K[:53, :53], y[:53])[0]
    assert found["accuracy"][-1] == pytest.approx(np.mean(f.argmax(1) == sample.labels[53:]))
    assert found["accuracy"][-1] < 0.5
    assert "fewer than by naming one class for all" in found.info["notes"][0]
    easier = spectral.theory(spectral.Spec(data=spirals(1.0), **fields))
    assert easier["accuracy"][-1] > 0.7
    assert easier.info["notes"] == []


def test_the_spirals_that_are_offered_are_told_apart():
    assert example_tables.TURNS == 1.0
