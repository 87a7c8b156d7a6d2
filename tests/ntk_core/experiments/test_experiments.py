"""The three experiments: specs and their sentences, theory against targets, runs against networks trained alone."""

import itertools
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy import stats
from scipy.linalg import expm

from ntk_core import Architecture, InfiniteEnsemble, Network, data, experiments, limiting_kernels, presets
from ntk_core.data import digits
from ntk_core.experiments import _batch, circle, components, function_space
from ntk_core.runs.result import Increment, Result
from ntk_core.runs.spec import sentences
from ntk_core.runs.theory import Theory
from tests.oracles_limit import whitened_square

MODULES = (circle, function_space, components)
PAPER = json.loads((Path(__file__).parents[3] / "assets" / "paper_figures.json").read_text())

FIGURE_1, FIGURE_2, FIGURE_3 = (presets.get(f"figure{k}").spec for k in (1, 2, 3))  # at the paper's own settings


def like(spec, **fields):
    """The spec with other values of some fields, validated."""
    return type(spec)(**{**spec.model_dump(), **fields})


SMALL = {
    circle: circle.Spec(device="cpu", widths=(16, 32), seeds=3, n_train=6, angles=9, time=6.0, snapshots=4),
    function_space: function_space.Spec(device="cpu", widths=(16, 32), seeds=3, angles=9, time=6.0, snapshots=4),
    components: components.Spec(device="cpu", widths=(16, 32), seeds=3, n_train=12, time=6.0, snapshots=4),
}


@pytest.fixture(scope="module", params=MODULES, ids=lambda m: m.__name__.rpartition(".")[2])
def small(request):
    """(module, spec, all that a run of it adds)."""
    spec = SMALL[request.param]
    return request.param, spec, list(request.param.run(spec))


def gathered(module, spec, increments):
    result = Result(module.schema(spec))
    for increment in increments:
        result.add(increment)
    return result


class Alone:
    """One relu network of a spec, trained by plain autograd step by step in float64, knowing nothing of ensembles."""

    def __init__(self, spec, width, seed, n_in):
        arch = Architecture(spec.depth, width, spec.activation, spec.beta, n_in)
        net = Network.init(arch, seed, device="cpu", weights="dense", dtype=torch.float64)
        self.beta, self.rate = spec.beta, spec.learning_rate
        self.W = [layer.W[0].clone().requires_grad_(True) for layer in net.layers]
        self.b = [b[0].clone().requires_grad_(True) for b in net.biases]

    def __call__(self, X):
        """f(X), (N,)."""
        a = torch.as_tensor(X, dtype=torch.float64)
        for k, (W, b) in enumerate(zip(self.W, self.b, strict=True)):
            h = a @ W.T / math.sqrt(W.shape[1]) + self.beta * b
            a = torch.relu(h) if k < len(self.W) - 1 else h
        return a[:, 0]

    def gradient(self, value):
        return torch.autograd.grad(value, [*self.W, *self.b])

    def train(self, X, y, steps):
        for _ in range(steps):
            gradients = self.gradient((self(X) - y).square().mean() / 2)
            with torch.no_grad():
                for p, g in zip([*self.W, *self.b], gradients, strict=True):
                    p -= self.rate * g

    def kernel(self, x0, X):
        """Theta(x0, x) as a sum over all parameters, (N,)."""
        rows = [torch.cat([g.flatten() for g in self.gradient(self(x[None])[0])]) for x in np.concatenate([x0, X])]
        return torch.stack(rows[1:]) @ rows[0]


class TestSpecs:
    def test_the_presets_are_the_papers_figures(self):
        one, two, three = FIGURE_1, FIGURE_2, FIGURE_3
        assert (one.depth, one.widths, one.time, one.seeds, one.n_train) == (4, (500, 10000), 200, 10, 100)
        assert (two.depth, two.widths, two.time, two.seeds, two.points) == (4, (50, 1000), 1000, 10, "paper")
        assert (three.depth, three.widths, three.time, three.seeds) == (5, (100, 1000, 10000), 2000, 2)
        assert (three.n_train, three.component, three.scale) == (512, 2, 0.5)
        assert {(s.activation, s.beta, s.w_std, s.learning_rate) for s in (one, two, three)} == {
            ("relu", 0.1, 1.0, 1.0)
        }

    @pytest.mark.parametrize("module", MODULES)
    def test_defaults_are_predicted_to_take_seconds(self, module):
        assert module.plan(module.Spec(device="cpu")).seconds < 60  # on a machine that does other things too
        assert max(module.Spec().widths) <= 1000

    @pytest.mark.parametrize("module", MODULES)
    def test_json_restores_an_equal_spec_with_the_same_key(self, module):
        spec = module.Spec(seeds=3)
        again = experiments.parse(json.loads(spec.model_dump_json()))
        assert again == spec
        assert again.key == spec.key != module.Spec(seeds=4).key

    def test_a_flow_has_no_steps_to_be_too_many(self):
        spec = circle.Spec(rule="gradient_flow", learning_rate=1e-3, time=2000)
        assert (spec.steps, spec.times[-1]) == (0, 2000)
        assert not circle.plan(spec).refusal

    @pytest.mark.parametrize(
        ("module", "fields", "sentence"),
        [
            (circle, {"depth": 0}, "depth: "),
            (circle, {"widths": [0]}, "widths.0: "),
            (circle, {"widths": [10**9]}, "widths.0: "),
            (circle, {"widths": []}, "widths: "),
            (circle, {"beta": math.nan}, "beta: "),
            (circle, {"activation": "tan"}, "activation: 'tan' is not known"),
            (circle, {"data": "spiral"}, "data: "),
            (circle, {"n_train": 1001}, "n_train: "),
            (circle, {"angles": 10**7}, "angles: "),
            (circle, {"evil": 1}, "evil: "),
            (circle, {"activation": f"leaky_relu({'9' * 200})"}, "activation: the slope of leaky_relu must be at most"),
            (circle, {"time": 2000, "learning_rate": 1e-3}, "time: 2000 at learning rate 0.001 is 2,000,000 steps"),
            (
                circle,
                {"rule": "gradient_flow", "time": 1e-323},
                "time: 13 output times up to 9.88131e-324 are not told",
            ),
            (circle, {"rule": "gradient_flow", "time": 1e10}, "time: gradient flow up to 1e+10 was asked for"),
            (function_space, {"points": "custom"}, "custom: no training point is given"),
            (function_space, {"points": "custom", "custom": [[0.0, math.inf]]}, "custom.0.1: "),
            (function_space, {"points": "custom", "custom": [[99.0, 0.0]]}, "custom.0.0: "),
            (function_space, {"custom": [[0.0, 0.0]] * 65}, "custom: "),
            (function_space, {"n_train": 257}, "n_train: "),
            (function_space, {"target": "__import__"}, "target: "),
            (components, {"digits": []}, "digits: no digit is chosen"),
            (components, {"digits": [3, 11]}, "digits.1: "),
            (components, {"digits": [3], "n_train": 501}, "n_train: 501 digits were asked for; 500"),
            (components, {"n_train": 5, "component": 6}, "component: 5 points have 5 components, got 6"),
            (components, {"component": 21}, "component: "),
            (components, {"scale": 0}, "scale: "),
            (
                components,
                {"components_of": "network", "n_train": 601},
                "components_of: the kernel of a network of width 10,000 is offered for 600 points",
            ),
            (components, {"components_of": "network", "depth": 9}, "components_of: the kernel of a network"),
            (components, {"components_of": "peers"}, "components_of: "),
        ],
    )
    def test_bad_fields_are_named_in_one_sentence(self, module, fields, sentence):
        with pytest.raises(ValidationError) as caught:
            module.Spec.model_validate(fields)
        assert len(sentences(caught.value)) == 1
        assert sentences(caught.value)[0].startswith(sentence)

    def test_importing_specs_leaves_torch_alone(self):
        code = (
            "import sys; from ntk_core import experiments\n"
            "for name in experiments.names(): experiments.load(name).Spec().key\n"
            "sys.exit('torch' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestTheory:
    @pytest.mark.parametrize("module", MODULES)
    def test_travels_as_bytes_and_as_a_dataset(self, module):
        theory = module.theory(SMALL[module])
        again = Theory.from_bytes(theory.to_bytes())
        assert again.info == theory.info
        for name, array in theory.arrays.items():
            np.testing.assert_array_equal(again[name], array.values)
        assert set(theory.to_dataset().variables) == set(theory.arrays)

    def test_figure_1_limit(self):
        theory = circle.theory(circle.Spec(angles=181))
        for gamma, expected in ((0.0, 0.2825), (math.pi, 0.06435), (-math.pi / 2, 0.0927)):
            k = int(np.abs(theory["gamma"] - gamma).argmin())
            assert theory["gamma"][k] == pytest.approx(gamma)
            assert theory["ntk"][k] == pytest.approx(expected, abs=6e-5)
        assert theory["nngp"][90] == pytest.approx(0.08125)
        assert theory.info["peak"] == pytest.approx(0.2825)

    def test_figure_1_networks_of_the_paper_scatter_around_the_limit(self):
        theory = circle.theory(circle.Spec(angles=181))
        for name in ("n=500, t=0", "n=10000, t=0"):
            curves = np.array(PAPER["figure1"][name])
            z = (curves.mean(0) - theory["ntk"]) / (curves.std(0, ddof=1) / math.sqrt(10))
            assert np.abs(z).max() < stats.t.ppf(0.995, 9)  # one in a hundred at an angle; neighbours move together

    def test_figure_2_percentiles(self):
        theory = function_space.theory(function_space.Spec(angles=181))
        assert math.isinf(theory["times"][-1])
        for k, expected in ((90, (-0.125, 0.0412, 0.207)), (180, (-0.202, -0.0396, 0.123))):
            band = theory["mean"][-1, k] + np.array([-1.2815516, 0, 1.2815516]) * theory["std"][-1, k]
            np.testing.assert_allclose(band, expected, atol=0.001)
        assert theory["gp_mean"][90] + 1.2815516 * theory["gp_std"][90] == pytest.approx(0.551, abs=0.001)

    def test_function_space_at_its_times_is_the_ensemble(self):
        spec = function_space.Spec(points="even", n_train=5, target="bump", rule="gradient_flow", angles=7)
        theory = function_space.theory(spec)
        gamma = data.even_angles(5)
        ensemble = InfiniteEnsemble(
            Architecture(4, 1, "relu", 0.1, 2), data.circle(gamma), data.circle_target("bump", gamma)
        )
        for j in (0, 5, -1):
            g = ensemble.at(theory["times"][j], data.circle(theory["gamma"]))
            np.testing.assert_allclose(theory["mean"][j], g.mean, atol=1e-10)
            np.testing.assert_allclose(theory["std"][j], g.std, atol=1e-7)
            assert theory["cost"][j] == pytest.approx(ensemble.expected_cost(theory["times"][j]), abs=1e-12)
        assert (np.diff(theory["cost"]) <= 1e-15).all()

    def test_custom_points_a_turn_apart_are_one_point(self):
        spec = function_space.Spec(points="custom", custom=((1.0, 0.5), (1.0 - 2 * math.pi, -0.5), (2.0, 0.1)))
        theory = function_space.theory(spec)
        assert "Training points 1, 2 are the same input with different targets" in theory.info["conflict"]
        assert theory.info["conflict"] in function_space.plan(spec).warnings
        at_one = np.interp(1.0, theory["gamma"], theory["mean"][-1])
        assert at_one == pytest.approx(0.0, abs=0.005)
        assert theory["cost"][-1] == pytest.approx(2 * 0.5**2 / 2 / 3, rel=1e-6)

    def test_an_unstable_rate_draws_the_flow_and_says_so(self):
        wild = function_space.Spec(learning_rate=50.0, time=1000.0)
        theory = function_space.theory(wild)
        assert theory.info["rule"] == "gradient_flow"
        assert np.isfinite(theory["mean"]).all()
        assert function_space.theory(function_space.Spec()).info["rule"] == "gradient_descent"

    def test_figure_3_batch_and_decay(self):
        spec = components.Spec(rule="gradient_flow", digits=(0, 1, 2), component=3, scale=0.7, n_train=512)
        theory = components.theory(spec)
        everything = digits.digits()
        np.testing.assert_array_equal(everything.labels[theory["picture"]], theory["label"])
        assert set(theory["label"].tolist()) == {0, 1, 2}
        for axis in ("x", "y"):
            assert np.mean(theory[axis].astype(float) ** 2) == pytest.approx(1.0, rel=1e-5)
        np.testing.assert_array_equal(theory["goal"], theory["y"])
        assert (np.diff(theory["values"]) < 0).all()
        np.testing.assert_allclose(theory["decay"], 0.7 * np.exp(-theory["values"][2] * theory["times"]), rtol=1e-12)
        half = components.theory(spec.model_copy(update={"time": 2 * theory.info["half_time"]}))
        assert half["decay"][-1] == pytest.approx(0.7 / 4)

    @pytest.mark.parametrize("rule", ["gradient_flow", "gradient_descent"])
    def test_components_of_a_network_and_the_limits_path_along_them(self, rule, monkeypatch):
        """The network's kernel by its definition; the limit's residual by a power or exponential of the matrix."""
        monkeypatch.setattr(_batch, "KERNEL_WIDTH", 200)
        _batch._cached_components.cache_clear()
        spec = components.Spec(
            components_of="network", rule=rule, data="gaussian", n_train=20, depth=3, component=3, scale=0.7,
            time=40.0, learning_rate=0.5,
        )  # fmt: skip
        theory, X = components.theory(spec), _batch.batch_of(spec).inputs
        _batch._cached_components.cache_clear()
        arch = Architecture(depth=3, width=200, activation="relu", beta=0.1, n_in=2)
        kernel = Network.init(arch, _batch.KERNEL_SEED, device="cpu").tangent_kernel(X).double().numpy()
        values, functions = np.linalg.eigh(kernel / 20)
        np.testing.assert_allclose(theory["values"], values[::-1][:10], rtol=1e-4)
        f = functions[:, -3] * math.sqrt(20)
        assert abs(np.mean(f * theory["goal"])) == pytest.approx(1.0, abs=1e-5)
        limit = limiting_kernels(arch, X).ntk.numpy() / 20
        for k, t in enumerate(spec.times):
            left = expm(-t * limit) if rule == "gradient_flow" else np.linalg.matrix_power(
                np.eye(20) - 0.5 * limit, round(t / 0.5)
            )  # fmt: skip
            rest = 0.7 * left @ theory["goal"].astype(float)
            g = np.mean(rest * theory["goal"])
            assert theory["decay"][k] == pytest.approx(g, abs=1e-6)
            assert theory["bend"][k] == pytest.approx(np.sqrt(np.mean((rest - g * theory["goal"]) ** 2)), abs=1e-6)
        assert theory["bend"][0] == pytest.approx(0.0, abs=1e-12)
        assert theory["bend"].max() > 1e-3

    def test_the_papers_components_bend_the_limit_by_what_its_widest_networks_show(self):
        """Its networks of width 10,000 reach 0.026 to 0.029: the root of the squares of 0.017, their own, and 0.02."""
        theory = components.theory(FIGURE_3)
        assert 0.012 < theory["bend"].max() < 0.026
        assert theory["bend"].argmax() == len(theory["times"]) - 1
        np.testing.assert_allclose(theory["values"][:3], [0.0457, 0.00108, 0.00078], rtol=0.25)
        assert components.theory(like(FIGURE_3, components_of="limit"))["bend"].max() == 0.0

    def test_changing_only_the_component_keeps_the_decomposition(self):
        first = components.theory(components.Spec(component=2))
        second = components.theory(components.Spec(component=5))
        np.testing.assert_array_equal(first["x"], second["x"])
        assert second.info["eigenvalue"] == second["values"][4]

    @pytest.mark.parametrize("kind", ["gaussian", "circle"])
    def test_other_batches_have_no_pictures(self, kind):
        theory = components.theory(components.Spec(data=kind, n_train=40))
        assert set(theory["picture"].tolist()) == {-1}
        assert set(theory["label"].tolist()) <= {-1, 0, 1}

    def test_the_full_set_is_named_when_missing(self, monkeypatch):
        monkeypatch.delenv(digits.FOLDER_VARIABLE, raising=False)
        with pytest.raises(ValueError, match=r"^data: .*NTK_MNIST_DIR"):
            components.theory(components.Spec(data="mnist", n_train=30))


class TestPlans:
    @pytest.mark.parametrize("module", MODULES)
    def test_default_plans_start_without_warning(self, module):
        plan = module.plan(SMALL[module])
        assert plan.refusal is None
        assert plan.warnings == ()
        assert [g.width for g in plan.groups] == [16, 32]

    @pytest.mark.parametrize("module", MODULES)
    def test_warns_above_the_stability_limit_only(self, module):
        limit = module.theory(SMALL[module]).info["stable_rate"]

        def warnings(rate, **fields):
            spec = SMALL[module].model_copy(update={"learning_rate": rate, "time": 6 * rate, **fields})
            return module.plan(spec).warnings

        assert warnings(0.99 * limit) == ()
        (warning,) = warnings(1.01 * limit)
        assert warning.startswith("Gradient descent will diverge: the learning rate")
        assert float(warning.split("Lower it below ")[1].rstrip(".")) == pytest.approx(limit, rel=0.01)
        assert warnings(1.01 * limit, rule="gradient_flow") == ()
        assert warnings(1.01 * limit, rule="momentum", momentum=0.5) == ()
        assert len(warnings(1.51 * limit, rule="momentum", momentum=0.5)) == 1

    def test_step_activation_is_explained(self):
        (warning,) = circle.plan(SMALL[circle].model_copy(update={"activation": "step"})).warnings
        assert "derivative zero" in warning

    def test_a_null_component_is_explained(self):
        """Without biases a two-layer relu kernel is blind to odd frequencies from 3 on."""
        spec = components.Spec(data="circle", n_train=20, depth=2, beta=0.0, component=20, widths=(16,))
        assert any("eigenvalue 0" in w for w in components.plan(spec).warnings)


class TestRuns:
    def test_increments_come_in_order_and_fill_everything(self, small):
        module, spec, increments = small
        indices = [i.place["time"] for i in increments]
        assert indices == sorted(indices)
        assert set(indices) == set(range(len(spec.times)))
        progress = [i.progress for i in increments]
        assert progress == sorted(progress)
        assert progress[-1] == pytest.approx(1.0)
        result = gathered(module, spec, increments)
        assert result.present.all()
        assert np.isfinite(result["cost"]).all()
        assert not result["diverged"].any()
        np.testing.assert_array_equal(result["width"], spec.widths)
        np.testing.assert_array_equal(result["time"], spec.times)

    def test_increments_say_nothing_twice(self, small):
        """What travels is as much as the result, give or take the names: the bytes of a run grow like T, not T^2."""
        module, spec, increments = small
        cells = [(i.place["time"], i.place["width"], k) for i in increments for k in range(*i.place["seed"])]
        assert len(cells) == len(set(cells)) == module.schema(spec).shape(("time",))[0] * 6
        sizes = sum(len(np.asarray(v).tobytes()) for i in increments for v in i.values.values())
        assert sizes == module.schema(spec).nbytes

    def test_increments_travel_as_bytes(self, small):
        module, spec, increments = small
        again = gathered(module, spec, [Increment.from_bytes(i.to_bytes()) for i in increments])
        for name, array in gathered(module, spec, increments).values.items():
            np.testing.assert_array_equal(again[name], array)

    def test_same_spec_same_numbers(self, small):
        module, spec, increments = small
        again = experiments.compute(spec)
        for name, array in gathered(module, spec, increments).values.items():
            np.testing.assert_array_equal(again[name], array, err_msg=name)

    @pytest.mark.parametrize("workers", [2, 4])
    def test_parts_find_the_same_numbers_on_any_number_of_workers(self, small, workers):
        module, spec, increments = small
        parts = experiments.parts_of(spec, module.plan(spec), workers)
        spread = gathered(module, spec, [i for part in reversed(parts) for i in module.run(spec, part)])
        for name, array in gathered(module, spec, increments).values.items():
            np.testing.assert_array_equal(spread[name], array, err_msg=name)

    @pytest.mark.parametrize("module", MODULES)
    def test_a_sketch_is_the_beginning_of_the_run(self, module):
        spec = SMALL[module]
        sketch, whole = experiments.compute(module.sketch(spec)), experiments.compute(spec)
        name = {circle: "kernel", function_space: "f", components: "eigenvalues"}[module]
        np.testing.assert_array_equal(sketch[name][0], whole[name][0])
        assert sketch.times.tolist() == [0.0]

    def test_a_diverging_run_shows_it_and_goes_on(self):
        spec = SMALL[function_space].model_copy(update={"learning_rate": 300.0, "time": 300.0 * 200})
        result = experiments.compute(spec)
        assert result.present.all()
        assert result["diverged"][-1].all()

    def test_a_refused_plan_does_not_start(self, monkeypatch):
        refusal = "widths: this would need 9 TB; lower the widths"
        monkeypatch.setattr(circle, "plan", lambda spec: _refused(spec, refusal))
        with pytest.raises(ValueError, match="widths: this would need 9 TB"):
            next(circle.run(SMALL[circle]))


class TestAgainstNetworksTrainedAlone:
    """Every width and seed of a run is the network of that seed, trained by itself."""

    def each(self, module):
        spec = SMALL[module].model_copy(update={"method": "steps", "precision": "float64", "seed": 5})
        last = experiments.compute(spec)
        for w, k in itertools.product(range(len(spec.widths)), range(spec.seeds)):
            yield spec, last, w, k

    def test_function_space(self):
        gamma, y = data.paper_points()
        for spec, last, w, k in self.each(function_space):
            net = Alone(spec, spec.widths[w], 5 + k, 2)
            net.train(data.circle(gamma), torch.from_numpy(y), spec.steps)
            f = net(data.circle(last["gamma"])).detach()
            np.testing.assert_allclose(last["f"][-1, w, k], f, rtol=1e-5, atol=1e-6)
            cost = (net(data.circle(gamma)).detach() - torch.from_numpy(y)).square().mean() / 2
            assert last["cost"][-1, w, k] == pytest.approx(float(cost), rel=1e-5)

    def test_circle(self):
        for spec, last, w, k in self.each(circle):
            X, y = data.gaussian_product(spec.n_train, spec.data_seed)
            net = Alone(spec, spec.widths[w], 5 + k, 2)
            x0, grid = np.array([[1.0, 0.0]]), data.circle(last["gamma"])
            before = net.kernel(x0, grid)
            net.train(X, torch.from_numpy(y), spec.steps)
            np.testing.assert_allclose(last["kernel"][0, w, k], before, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(last["kernel"][-1, w, k], net.kernel(x0, grid), rtol=1e-5, atol=1e-6)
            assert last["peak"][-1, w, k] == pytest.approx(float(net.kernel(x0, x0)), rel=1e-5)
            assert last["peak"][0, w, k] == pytest.approx(float(before[len(before) // 2]), rel=1e-5)

    def test_components(self):
        for spec, last, w, k in self.each(components):
            theory = components.theory(spec)
            X = digits.digits().images[theory["picture"]].reshape(-1, 784) / 255.0
            direction = torch.from_numpy(theory["goal"]).double()
            net = Alone(spec, spec.widths[w], 5 + k, 784)
            kernel = torch.stack([net.kernel(x[None], X) for x in X]) / len(X)
            values = np.linalg.eigvalsh(kernel.numpy())[::-1][:10]
            np.testing.assert_allclose(last["eigenvalues"][0, w, k], values, rtol=1e-5)
            assert np.isnan(last["eigenvalues"][1:]).all()
            goal = net(X).detach() + spec.scale * direction
            net.train(X, goal, spec.steps)
            rest = net(X).detach() - goal
            g = (rest * direction).mean()
            h = (rest - g * direction).square().mean().sqrt()
            assert last["g"][0, w, k] == pytest.approx(spec.scale, rel=1e-6)
            assert last["h"][0, w, k] == pytest.approx(0.0, abs=1e-6)
            assert last["g"][-1, w, k] == pytest.approx(abs(float(g)), rel=1e-4)
            assert last["h"][-1, w, k] == pytest.approx(float(h), rel=1e-4)
            assert last["cost"][-1, w, k] == pytest.approx(float(g**2 + h**2) / 2, rel=1e-4)


class TestThePapersFigures:
    def test_figure_1_at_width_500(self):
        """Ten networks: the paper's peak is 0.273 +- 0.041 before training, and 1.1 to 1.3 times as high after."""
        last = experiments.compute(like(FIGURE_1, widths=(500,), snapshots=2))
        before, after = last["peak"][0, 0], last["peak"][-1, 0]
        error = 0.041 * math.sqrt(2 / 10)  # of the difference between two means of ten
        assert abs(before.mean() - 0.273) < 3 * error
        # F-distribution with 9 and 9 degrees of freedom: the ratio of two deviations, 0.5 % on either side
        assert 1 / 2.56 < before.std(ddof=1) / 0.041 < 2.56
        assert 1.1 < (after / before).mean() < 1.3

    def test_figure_2_at_width_1000(self):
        """Ten trained networks are ten draws of the limit: 60 squares of standard normals at the six best angles."""
        spec = like(FIGURE_2, widths=(1000,), snapshots=2, angles=61)
        theory, last = function_space.theory(spec), experiments.compute(spec)
        f, gamma = last["f"][-1, 0], theory["train_gamma"]
        ensemble = InfiniteEnsemble(Architecture(4, 1, "relu", 0.1, 2), data.circle(gamma), theory["train_y"])
        limit = ensemble.at(spec.times[-1], data.circle(theory["gamma"]))
        mean, std = theory["mean"][-2], theory["std"][-2]
        away = std > 0.04
        assert np.abs((f.mean(0) - mean)[away] / (std[away] / math.sqrt(10))).max() < 4
        square = whitened_square(f, limit.mean.numpy().ravel(), limit.cov.numpy(), 6)
        assert 0.005 < stats.chi2.cdf(square, 10 * 6) < 0.995
        at_training_points = [np.interp(g, theory["gamma"], f.mean(0)) for g in theory["train_gamma"]]
        np.testing.assert_allclose(at_training_points, theory["train_y"], atol=0.02)

    def test_figure_3_bends_less_for_wider_networks(self):
        spec = components.Spec(widths=(32, 256), n_train=64, time=400.0, snapshots=3, seeds=3)
        theory, last = components.theory(spec), experiments.compute(spec)
        off_line = last["h"][-1].mean(1)
        assert off_line[1] < 0.6 * off_line[0]
        decay = np.abs(last["g"][-1] - theory["decay"][-1]).mean(1)
        assert decay[1] < decay[0]


def _refused(spec, refusal):
    from ntk_core.runs.plan import Plan

    return Plan(groups=(), bytes=0, seconds=0.0, refusal=refusal)
