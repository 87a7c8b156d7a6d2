"""Networks of several widths and seeds side by side, and what is predicted of them beforehand."""

import json

import numpy as np
import pytest
import torch

from ntk_core import Architecture, Network
from ntk_core.progress import listening
from ntk_core.runs import counts, lockstep, machine
from ntk_core.runs import plan as budget
from ntk_core.runs.lockstep import train_together
from ntk_core.runs.parts import Part, spread, units
from ntk_core.runs.plan import Plan, plan_training
from ntk_core.runs.spec import TrainingSpec
from ntk_core.training.train import train

GAMMA = np.array([-2.19438, -0.93143, 0.963, 2.22595])
X = np.stack([np.cos(GAMMA), np.sin(GAMMA)], 1)
Y = np.array([-0.4, -0.2, 0.3, 0.3])


def spec(**fields):
    return TrainingSpec(
        **({"experiment": "any", "widths": (20, 60), "seeds": 3, "time": 30.0, "snapshots": 4} | fields)
    )


def test_every_group_reaches_a_time_before_any_goes_on():
    updates = list(train_together(spec(), X, Y, n_in=2))
    order = [(u.index, u.unit.width_index) for u in updates]
    assert order == sorted(order)
    for index, time in enumerate(spec().times):
        here = [u for u in updates if u.index == index]
        assert {u.time for u in here} == {time}
        seen = sorted((u.unit.width_index, s) for u in here for s in range(u.unit.first, u.unit.last))
        assert seen == [(w, s) for w in range(2) for s in range(3)]
    progress = [u.progress for u in updates]
    assert progress == sorted(progress)
    assert progress[-1] == pytest.approx(1.0)


@pytest.mark.parametrize("method", ["steps", "leaps"])
def test_a_group_is_the_network_trained_alone(method):
    fields = {"widths": (40,), "seeds": 1, "seed": 7, "method": method, "weights": "dense", "precision": "float64"}
    last = list(train_together(spec(**fields), X, Y, n_in=2))[-1]
    alone = Network.init(Architecture(4, 40), [7], dtype=torch.float64, weights="dense")
    state = list(train(alone, X, Y, spec().times, method=method))[-1]
    torch.testing.assert_close(last.outputs, state.outputs)


def test_narrow_networks_train_on_one_thread_and_wide_ones_on_all(monkeypatch):
    before, advance, found = torch.get_num_threads(), lockstep._advance, []

    def watched(group, *rest):
        found.append((group.plan.width, torch.get_num_threads()))
        return advance(group, *rest)

    monkeypatch.setattr(lockstep, "_advance", watched)
    monkeypatch.setattr(counts, "SMALL_PRODUCT", 2.0 * 2 * 16**2 * len(X))
    torch.set_num_threads(2)
    try:
        for _ in train_together(spec(widths=(8, 16), seeds=2), X, Y, n_in=2):
            assert torch.get_num_threads() == 2  # for whatever is looked at
    finally:
        torch.set_num_threads(before)
    assert set(found) == {(8, 1), (16, 2)}


def test_the_same_spec_gives_the_same_numbers():
    fields = {"weights": "sampled", "widths": (50,), "seeds": 2}
    one, two = (list(train_together(spec(**fields), X, Y, n_in=2, points=-X))[-1].outputs for _ in range(2))
    assert torch.equal(one, two)


def test_the_goal_may_depend_on_the_untrained_network():
    def target(network):
        return network(X) + 0.5

    first = next(iter(train_together(spec(), X, target, n_in=2)))
    torch.testing.assert_close(first.targets, first.outputs + 0.5)


def test_looking_at_a_group_does_not_change_its_training():
    fields = {"weights": "sampled", "widths": (50,), "seeds": 1}
    plain = [u.outputs for u in train_together(spec(**fields), X, Y, n_in=2)]
    watched = []
    for update in train_together(spec(**fields), X, Y, n_in=2):
        with update.network.looking():
            update.network.tangent_kernel(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        watched.append(update.outputs)
    for a, b in zip(plain, watched, strict=True):
        assert torch.equal(a, b)


def test_long_work_can_be_stopped_between_leaps():
    class EnoughError(Exception):
        pass

    calls = 0

    def listener(share=None):
        nonlocal calls
        calls += 1
        if calls > 5:
            raise EnoughError

    with pytest.raises(EnoughError), listening(listener):
        list(train_together(spec(method="steps", time=1000.0), X, Y, n_in=2))
    assert calls == 6


def test_progress_is_told_between_the_output_times():
    shares = []
    fields = {"widths": (20,), "seeds": 1, "snapshots": 2, "time": 200.0, "method": "leaps"}
    with listening(lambda share=None: shares.append(share)):
        list(train_together(spec(**fields, tolerance=0.001), X, Y, n_in=2))
    told = [share for share in shares if share is not None]
    assert len(told) > 5
    assert told == sorted(told)
    assert 0 < told[0] < told[-1] < 1


def test_what_does_not_fit_is_refused_before_it_starts(monkeypatch):
    monkeypatch.setenv(machine.MEMORY_VARIABLE, "50MB")
    big = spec(widths=(20_000,), weights="dense")
    plan = plan_training(big, 4, 100, 2)
    assert plan.refusal is not None
    for word in ("GB", "20,000", "number of seeds", "sampled"):
        assert word in plan.refusal
    with pytest.raises(ValueError, match="lower the width"):
        next(iter(train_together(big, X, Y, n_in=2)))


def test_predicted_memory_of_dense_weights_is_their_size():
    plan = plan_training(spec(widths=(3000,), weights="dense", seeds=4), 4, 10, 2)
    assert plan.groups[0].bytes == pytest.approx(4 * 2 * 3000**2 * 4, rel=0.01)


def test_the_choice_does_not_depend_on_the_speed_of_the_day(monkeypatch):
    before = plan_training(spec(widths=(100, 10_000)), 100, 181, 2)
    slow = machine.Speeds(1e8, 1e8, 1e8, 1e-3)
    monkeypatch.setattr(machine, "speeds", lambda device: slow)
    after = plan_training(spec(widths=(100, 10_000)), 100, 181, 2)
    assert [(g.weights, g.method, g.batch) for g in before.groups] == [
        (g.weights, g.method, g.batch) for g in after.groups
    ]
    assert after.seconds > before.seconds


def test_wide_networks_of_few_points_are_sampled_and_narrow_ones_stored():
    kinds = {g.width: g.weights for g in plan_training(spec(widths=(64, 100_000), seeds=1), 4, 50, 2).groups}
    assert kinds == {64: "dense", 100_000: "sampled"}


def test_a_person_overrides_the_choice():
    plan = plan_training(spec(widths=(64,), weights="sampled", method="steps"), 4, 50, 2)
    assert (plan.groups[0].weights, plan.groups[0].method) == ("sampled", "steps")


@pytest.mark.parametrize("steps", [5, 30, 300])
def test_a_heavy_ball_of_sampled_weights_leaps_however_few_its_steps(steps):
    """Step by step its velocity would be a stored matrix; who asks for that is told before the run."""
    fields = {"widths": (2000,), "weights": "sampled", "rule": "momentum", "time": steps * 0.1, "learning_rate": 0.1}
    assert plan_training(spec(**fields), 4, 50, 2).groups[0].method == "leaps"
    with pytest.raises(ValueError, match="method: momentum step by step needs dense weights; choose leaps"):
        spec(**fields, method="steps")
    assert spec(**fields | {"depth": 2}, method="steps").weights == "sampled"  # no matrix is sampled there


def test_a_plan_survives_the_wire():
    plan = plan_training(spec(), 4, 50, 2)
    assert Plan.from_json(plan.to_json()) == plan


@pytest.mark.parametrize(
    ("text", "value"), [("8GB", 8e9), ("500 mb", 5e8), ("1GiB", 2**30), ("4G", 4e9), ("1000", 1000)]
)
def test_memory_sizes_are_read(text, value):
    assert machine.parse_bytes(text) == value


@pytest.mark.parametrize("text", ["lots", "", "-1GB", "nan", "8GBB", "0", "٣GB", "9" * 400])
def test_wrong_memory_sizes_are_named(text):
    with pytest.raises(ValueError, match="NTK_MEMORY_LIMIT"):
        machine.parse_bytes(text)


def test_a_long_run_is_cut_and_a_short_one_is_not(monkeypatch):
    long = plan_training(spec(widths=(500, 10_000), seeds=10, time=200.0), 100, 98, 2)
    assert long.groups[1].batch < 10  # what takes long
    short = plan_training(spec(widths=(50, 100), seeds=10), 4, 50, 2)
    assert [group.batch for group in short.groups] == [10, 10]


@pytest.mark.parametrize("workers", [1, 2, 3, 7, 50])
def test_units_are_dealt_out_whole_and_evenly(workers):
    asked = spec(widths=(500, 2000, 10_000), seeds=10, time=200.0)
    plan = plan_training(asked, 100, 98, 2)
    everything = units(asked, plan)
    parts = spread(asked, plan, workers)
    places = [place for part in parts for place in part.places]
    assert len(places) == len(everything)
    assert all(unit.place in places for unit in everything)
    loads = [part.seconds for part in parts]
    # The longest first leaves nobody with more than its share and one unit.
    assert max(loads) <= sum(loads) / len(parts) + max(unit.seconds for unit in everything)
    assert len({part.name for part in parts}) == len(parts)
    assert [Part.from_json(json.loads(json.dumps(part.to_json()))) for part in parts] == list(parts)


def test_sampling_follows_few_points_more_closely():
    assert budget.sampling_tolerance(spec(), 4) < budget.sampling_tolerance(spec(), 100) < spec().tolerance


def test_a_heavy_ball_that_swings_long_is_planned_as_long_and_goes_step_by_step():
    """Leaps would follow every swing; sampled weights have no other way, and are told to take longer."""
    fields = {"widths": (200,), "rule": "momentum", "learning_rate": 0.1, "time": 50.0}

    def planned(mu, **more):
        plan = plan_training(spec(**fields, momentum=mu, **more), 4, 10, 2)
        return plan.groups[0].method, plan.seconds

    assert planned(0.9)[0] == "leaps"
    assert planned(0.999)[0] == "steps"
    assert planned(0.999, weights="sampled")[0] == "leaps"
    assert planned(0.999, weights="sampled")[1] > 5 * planned(0.9, weights="sampled")[1]


@pytest.mark.parametrize("n_out", [1, 2])
def test_the_eigenvalues_are_those_of_every_networks_own_kernel(n_out):
    made = spec(widths=(20,), time=2.0, snapshots=2)
    updates = list(train_together(made, X, np.zeros((4, n_out)), n_in=2, n_out=n_out))
    at_first, later = updates
    assert torch.equal(at_first.eigenvalues, later.eigenvalues)
    for k in range(3):
        kernel = Network.init(Architecture(made.depth, 20, n_in=2, n_out=n_out), k).tangent_kernel(X)
        kernel = kernel.reshape(4, 4, n_out, n_out)
        full = np.empty((4 * n_out, 4 * n_out))
        for i, j, a, b in np.ndindex(4, 4, n_out, n_out):
            full[n_out * i + a, n_out * j + b] = kernel[i, j, a, b]
        values = np.linalg.eigvalsh(full) / 4
        assert at_first.eigenvalues[k].numpy() == pytest.approx(values, rel=1e-5, abs=1e-6 * values[-1])


def test_kernels_are_looked_at_without_training_where_that_is_wanted():
    made = spec(widths=(20,), time=0.0)
    for wanted in (False, True):
        (update,) = train_together(made, X, Y, n_in=2, own_kernels=wanted)
        assert bool(torch.isfinite(update.eigenvalues).all()) is wanted


def test_looking_at_kernels_beforehand_changes_nothing_in_training(monkeypatch):
    made = spec(widths=(300,), weights="sampled", time=10.0)
    ends = []
    for most in (600, 0):
        monkeypatch.setattr(lockstep, "MOST_JUDGED", most)
        *_, end = train_together(made, X, Y, n_in=2)
        ends.append(end)
    assert torch.isfinite(ends[0].eigenvalues).all()
    assert torch.isnan(ends[1].eigenvalues).all()
    assert torch.equal(ends[0].outputs, ends[1].outputs)


def test_the_tolerance_of_kernels_reaches_the_leaps(monkeypatch):
    monkeypatch.setattr("ntk_core.training.crew.worth", lambda *a: 0.0)  # short leaps are leapt
    fields = {"widths": (40,), "snapshots": 2, "method": "leaps", "time": 60.0}
    few, many = (list(train_together(spec(**fields, kernel_tolerance=k), X, Y, n_in=2))[-1].state for k in (1.0, 1e-3))
    assert (many.leaps + many.walked > few.leaps + few.walked).all()
    assert (many.kernel_error < few.kernel_error).all()
    with pytest.raises(ValueError, match="kernel_tolerance"):
        spec(kernel_tolerance=0.0)
