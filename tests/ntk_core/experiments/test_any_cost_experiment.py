"""Any cost, any direction: the limit against closed forms and against wide networks, the laws, and bad input."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy.linalg import expm

from ntk_core import Architecture, InfiniteEnsemble, costs, data, experiments, limiting_kernels
from ntk_core.experiments import _any_cost_drive as drive_of
from ntk_core.experiments import _any_cost_limit as limit
from ntk_core.experiments import any_cost as page
from ntk_core.experiments._any_cost_limit import _of, _path
from ntk_core.limit.function_ode import Budget
from ntk_core.runs.spec import sentences

DRIVES = ("squared", "logistic", "huber", "cross_entropy", "direction", "players")
QUICK = {"widths": (16, 32), "seeds": 2, "time": 10.0, "snapshots": 4, "angles": 9}


def kernel_of(spec):
    """Theta_inf on the training points, (N, N)."""
    X = data.circle(page.training_set(spec).gamma)
    arch = Architecture(spec.depth, 1, spec.activation, spec.beta, 2, w_std=spec.w_std)
    return limiting_kernels(arch, X).ntk.numpy()


@pytest.mark.parametrize("fields", [{"drive": "squared"}, {"drive": "direction", "direction": "f - y"}])
def test_squared_error_is_the_closed_form(fields):
    """From f_0 = 0, on all points of the circle; the band is that of the ensemble's Gaussian, as far as draws tell."""
    spec = page.Spec(**fields, n_train=6)
    theory = page.theory(spec)
    gamma, y = page.training_set(spec)
    ensemble = InfiniteEnsemble(Architecture(3, 1, "relu", 0.1), data.circle(gamma), y)
    grid = data.circle(theory["gamma"])
    for j, t in enumerate(spec.times):
        exact = ensemble.at(t, grid)
        np.testing.assert_allclose(theory["f"][j], exact.mean[:, 0], atol=1e-6)
        # A percentile of 100 draws strays by 0.17 standard deviations; 121 angles see the same draws.
        width = 1.2815515655446004 * exact.std.numpy().reshape(-1)
        for edge, sign in (("low", -1), ("high", 1)):
            off = theory[edge][j] - (exact.mean[:, 0].numpy() + sign * width)
            assert np.abs(off).max() < 0.9 * width.max() + 1e-4, (edge, t)


def test_a_logistic_limit_is_its_equation_in_small_steps():
    """Written out with sigmoids, by the midpoint rule; and the integral of |d|, by the trapezoid rule."""
    spec = page.Spec(time=20.0, learning_rate=1.0, snapshots=3)
    theory = page.theory(spec)
    K, y, f, length = kernel_of(spec) / 8, page.training_set(spec).targets, np.zeros((8, 1)), 0.0
    d = lambda f: 1 / (1 + np.exp(-f)) - (1 + y) / 2  # noqa: E731
    for _ in range(4000):
        middle = f - 0.0025 * K @ d(f)
        length += 0.005 * np.sqrt(np.mean(d(middle) ** 2))
        f = f - 0.005 * K @ d(middle)
    assert theory["cost"][-1] == pytest.approx(np.mean(np.log1p(np.exp(-y * f))), rel=1e-6)
    assert theory["length"][-1] == pytest.approx(length, rel=1e-5)


def rbf(A, B, length):
    return np.exp(-(np.linalg.norm(A[:, None] - B[None], axis=-1) ** 2) / (2 * length**2))


def test_squared_error_under_another_kernel_is_its_exponential():
    spec = page.Spec(drive="squared", kernel="rbf", length=0.6, n_train=7, target="bump")
    theory = page.theory(spec)
    gamma, y = page.training_set(spec)
    X, grid = data.circle(gamma), data.circle(theory["gamma"])
    K, k = rbf(X, X, 0.6), rbf(grid, X, 0.6)
    for j, t in enumerate(spec.times):
        mean = k @ np.linalg.solve(K, y - expm(-t * K / 7) @ y)
        np.testing.assert_allclose(theory["f"][j], mean[:, 0], atol=1e-6)
    assert theory.info["largest_eigenvalue"] == pytest.approx(np.linalg.eigvalsh(K / 7)[-1])


def test_a_logistic_limit_under_another_kernel_is_its_equation_in_small_steps():
    spec = page.Spec(time=20.0, learning_rate=1.0, snapshots=3, kernel="rbf", length=0.8)
    X, y, f = data.circle(page.training_set(spec).gamma), page.training_set(spec).targets, np.zeros((8, 1))
    K = rbf(X, X, 0.8) / 8
    d = lambda f: 1 / (1 + np.exp(-f)) - (1 + y) / 2  # noqa: E731
    for _ in range(4000):
        f = f - 0.005 * K @ d(f - 0.0025 * K @ d(f))
    assert page.theory(spec)["cost"][-1] == pytest.approx(np.mean(np.log1p(np.exp(-y * f))), rel=1e-6)


@pytest.mark.parametrize("drive", DRIVES)
def test_networks_start_and_train_alike_whatever_drives_the_theory(drive):
    one, other = page.Spec(drive=drive), page.Spec(drive=drive, kernel="matern", length=0.4, nu=2.5)
    assert experiments.trained(other) == one != other
    assert page.sketch(other) == page.sketch(one)
    assert page.plan(other).warnings == page.plan(one).warnings
    ours, theirs = page.theory(one), page.theory(other)
    for edge in ("low", "high"):  # the band begins at the networks' f_0
        np.testing.assert_array_equal(ours[edge][0], theirs[edge][0])
    assert not np.allclose(ours["f"][-1], theirs["f"][-1], atol=1e-3)


def test_a_logistic_limit_is_what_wide_networks_do():
    """Networks of width 4,000 start from f_0 and not from 0; their mean does within its standard error."""
    spec = page.Spec(
        widths=(4000,), seeds=6, n_train=4, time=24.0, learning_rate=2.0, snapshots=3, angles=9, device="cpu"
    )
    theory, result = page.theory(spec), experiments.compute(spec)
    f = result["f"][-1, 0]  # (seed, gamma)
    spread = f.std(axis=0, ddof=1)
    # 4 standard errors of six networks: one in about 100 angles would be beyond, were they independent
    assert (np.abs(f.mean(axis=0) - theory["f"][-1]) < 4 * spread / math.sqrt(6)).all()
    half = (theory["high"][-1] - theory["low"][-1]) / 2.563
    assert 0.4 < np.median(spread / half) < 2.0
    assert result["movement"][-1].max() < 0.1
    np.testing.assert_allclose(result["length"][-1].mean(), theory["length"][-1], rtol=0.1)


@pytest.mark.parametrize("drive", DRIVES)
def test_the_band_is_solved_far_within_what_a_hundred_draws_can_tell(drive, monkeypatch):
    """A percentile of 100 draws strays by a sixth of their spread; the solver by less than a hundredth of it."""
    theory = page.theory(page.Spec(drive=drive))
    monkeypatch.setattr(limit, "DRAWN", 1e-7)
    monkeypatch.setattr(limit, "DRAWN_BUDGET", Budget(steps=20_000))
    exact = page.theory(page.Spec(drive=drive))
    for edge in ("low", "high"):
        spread = (exact["high"] - exact["low"]).max(axis=1)[0] / 2.56
        assert np.abs(theory[edge] - exact[edge]).max() < 0.01 * spread, edge


@pytest.mark.parametrize("drive", DRIVES[:5])
def test_the_cost_falls_as_the_kernel_says(drive):
    """-dC/dt by differences of the cost, against C'^T Theta d / N^2."""
    theory = page.theory(page.Spec(drive=drive, time=60.0))
    power = theory["power"][np.searchsorted(theory["moment"], theory["times"])]
    seen = np.abs(power) > 1e-6 * np.abs(power).max()
    assert seen.sum() > 10
    np.testing.assert_allclose(theory["decrease"][seen], power[seen], rtol=1e-3)


def test_the_power_of_cross_entropy_written_out():
    spec = page.Spec(drive="cross_entropy", n_train=6, time=0.0)
    theory = page.theory(spec)
    K = kernel_of(spec)
    d = np.full((6, 3), 1 / 3) - page.training_set(spec).targets
    assert theory["power"][0] == pytest.approx(sum(d[:, k] @ K @ d[:, k] for k in range(3)) / 36, rel=1e-9)
    assert theory["cost"][0] == pytest.approx(math.log(3))
    np.testing.assert_allclose(theory["f"], math.log(1 / 2), atol=1e-12)  # log-odds of one class of three


@pytest.mark.parametrize("drive", DRIVES)
def test_networks_show_what_their_own_kernel_says(drive):
    """The cost's fall over a short time is the power; |d| adds up; the kernel's movement starts at zero."""
    spec = page.Spec(drive=drive, **QUICK | {"time": 0.04, "learning_rate": 0.02, "precision": "float64"}, device="cpu")
    result = experiments.compute(spec)
    assert list(result["time"]) == [0.0, 0.02, 0.04]
    fell = (result["cost"][0] - result["cost"][2]) / 0.04
    np.testing.assert_allclose(fell, result["power"][1], rtol=0.02, atol=1e-4)
    size = result["size"]
    np.testing.assert_allclose(result["length"][2], 0.01 * (size[0] + 2 * size[1] + size[2]), rtol=1e-5)
    assert (result["movement"][0] == 0).all()
    assert (result["movement"][2] > 0).all()
    assert ("critic" in result) == (drive == "players")


def test_wider_kernels_move_less_along_any_direction():
    """Theorem 2: eight times the width, the same integral of |d|; the movement falls like 1/n in the mean."""
    for fields in ({"drive": "direction"}, {"drive": "players"}):
        spec = page.Spec(
            **fields, widths=(32, 256), seeds=4, time=20.0, learning_rate=1.0, snapshots=3, angles=9, n_train=4,
            device="cpu",
        )  # fmt: skip
        result = experiments.compute(spec)
        narrow, wide = result["movement"][-1].mean(axis=1)
        assert wide < narrow / 2
        np.testing.assert_allclose(*result["length"][-1].mean(axis=1), rtol=0.35)


def test_the_trapezoid_rule_over_output_times_is_near_the_integral():
    for drive in DRIVES:
        spec = page.Spec(drive=drive)
        theory = page.theory(spec)
        y = torch.from_numpy(page.training_set(spec).targets)
        path = _path(spec, _of(spec), torch.zeros_like(y), spec.times)
        X = data.circle(page.training_set(spec).gamma)
        d = torch.stack([drive_of.directed(spec, f, y, X, t) for f, t in zip(path.f, spec.times, strict=True)])
        sizes = d.square().sum(-1).mean(-1).sqrt().numpy()
        assert np.trapezoid(sizes, spec.times) == pytest.approx(theory["length"][-1], rel=0.02), drive


def test_two_players_are_a_linear_equation():
    spec = page.Spec(drive="players", penalty=0.3, n_train=5, snapshots=5)
    theory = page.theory(spec)
    K = kernel_of(spec)
    y = page.training_set(spec).targets[:, 0]
    A = -np.kron(np.array([[0, 1], [-1, 0.3]]), K / 5)
    for t in spec.times:
        state = expm(A * t) @ np.concatenate([-y, 0 * y])
        cost = theory["cost"][np.searchsorted(theory["moment"], t)]
        assert cost == pytest.approx(0.5 * np.mean(state[:5] ** 2), rel=1e-5)


@pytest.mark.parametrize("drive", DRIVES)
def test_strong_weights_are_solved_too(drive):
    """w_std = 3: kernels a thousand times as large, a stiff equation."""
    theory = page.theory(page.Spec(drive=drive, w_std=3.0, time=20.0))
    assert theory.info["largest_eigenvalue"] > 50
    assert all(np.isfinite(a.values).all() for a in theory.arrays.values())


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"direction": "-f"}, r"^direction: the outputs grow without bound: beyond 10000 at t = "),
        ({"direction": "-f**3"}, r"^direction: .*(without bound|not a finite number|could not be solved)"),
        ({"direction": "1/f"}, r"^direction: 1/f is not a finite number everywhere at t = 0"),
        ({"direction": "sign(f - y)"}, r"^direction: the differential equation could not be solved up to t = .* steps"),
        ({"drive": "logistic", "depth": 16, "w_std": 3.0}, r"^drive: the differential equation could not be solved"),
    ],
)
def test_what_cannot_be_solved_is_refused_with_a_sentence(fields, sentence):
    spec = page.Spec(**{"drive": "direction", "n_train": 8, **fields})
    with pytest.raises(ValueError, match=sentence) as caught:
        page.theory(spec)
    assert str(caught.value).endswith("a shorter time") or "finite number" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"direction": "g - y"}, "direction: 'g' is not known"),
        ({"direction": "f -"}, "direction: 'f -' is not a formula"),
        ({"direction": "x3 * f"}, "direction: x3 is not there, inputs have 2 coordinates"),
        ({"direction": "__import__('os')"}, "direction: the function '__import__' is not known"),
        ({"direction": "f" * 201}, "direction: "),
        ({"direction": ""}, "direction: "),
        ({"drive": "hinge"}, "drive: "),
        ({"delta": 0.0}, "delta: "),
        ({"penalty": -1.0}, "penalty: "),
        ({"w_std": 3.5}, "w_std: "),
        ({"depth": 17}, "depth: "),
        ({"n_train": 33}, "n_train: "),
        ({"rule": "momentum"}, "rule: "),
        ({"drive": "players", "rule": "gradient_flow", "method": "auto"}, "rule: a direction is followed step by step"),
        ({"drive": "direction", "method": "leaps"}, "method: a direction is followed step by step"),
    ],
)
def test_bad_fields_are_named(fields, words):
    with pytest.raises(ValidationError) as caught:
        page.Spec.model_validate(fields)
    assert [s.startswith(words) for s in sentences(caught.value)] == [True]


def test_the_plan_warns_of_steps_that_are_too_large():
    assert page.plan(page.Spec(device="cpu")).warnings == ()
    assert "diverge" in page.plan(page.Spec(device="cpu", drive="squared", learning_rate=20.0, time=200.0)).warnings[0]
    spirals = page.Spec(device="cpu", drive="players", penalty=0.0)
    assert page.plan(spirals).warnings[0].startswith("Two players will spiral outwards: at penalty 0")
    assert page.plan(page.Spec(device="cpu", drive="players")).warnings == ()
    assert all(group.method == "steps" for group in page.plan(spirals.model_copy(update={"method": "auto"})).groups)


def test_a_run_of_no_time_and_its_sketch():
    spec = page.Spec(**QUICK, device="cpu")
    sketch = page.sketch(spec)
    assert sketch.times == (0.0,)
    result = experiments.compute(sketch)
    assert np.isfinite(result["f"]).all()
    assert (result["length"] == 0).all()
    assert page.theory(sketch)["f"].shape == (1, 9)


def test_parts_together_are_the_run():
    from ntk_core.runs.result import Result

    spec = page.Spec(drive="players", **QUICK, device="cpu")
    whole, pieces = experiments.compute(spec), Result(page.schema(spec))
    for part in page.parts(spec, page.plan(spec), 2):
        for increment in page.run(spec, part):
            pieces.add(increment)
    np.testing.assert_allclose(pieces["critic"], whole["critic"], atol=1e-6)
    assert pieces.present.all()


def test_labels_and_targets():
    assert set(page.training_set(page.Spec(target="bump")).targets.ravel()) == {-1.0, 1.0}
    assert page.training_set(page.Spec(drive="cross_entropy", n_train=7)).targets.sum(axis=0).tolist() == [3, 2, 2]
    assert page.training_set(page.Spec(drive="players", target="cosine_3")).targets.shape == (8, 2)
    for drive in ("logistic", "cross_entropy"):
        for n_train in (1, 2, 5):
            y = torch.from_numpy(page.training_set(page.Spec(drive=drive, n_train=n_train)).targets)
            costs.get(drive).check_targets(y)
    assert page.theory(page.Spec()).info["draws"] == 100
