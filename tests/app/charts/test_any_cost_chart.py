"""The pictures of any cost and any direction: what they draw is the limit's and the networks', named, and valid."""

import json
import re

import numpy as np
import pytest
from plotly import graph_objects

from app import charts
from app.charts import arrays
from ntk_core import experiments
from ntk_core.experiments.any_cost import Spec, theory
from ntk_core.runs.result import Result

SMALL = {"widths": (16, 32), "seeds": 3, "snapshots": 4, "time": 6.0, "angles": 21, "n_train": 4, "device": "cpu"}
DRIVES = ("squared", "logistic", "huber", "cross_entropy", "direction", "players")


@pytest.fixture(scope="module")
def entries():
    specs = {drive: Spec(drive=drive, **SMALL) for drive in DRIVES}
    return {drive: charts.Entry(spec, theory(spec), experiments.compute(spec)) for drive, spec in specs.items()}


def coloured(figure):
    return json.loads(re.sub(r'"@(ink|muted|grid|paper|c[0-5])(/[0-9.]+)?"', '"#000"', json.dumps(figure)))


def named(figure, start):
    return next(trace for trace in figure["data"] if trace["name"].startswith(start))


@pytest.mark.parametrize("drive", DRIVES)
@pytest.mark.parametrize("time", [0.0, 3.0, 6.0])
@pytest.mark.parametrize("options", [{}, {"band": True}])
@pytest.mark.parametrize("trained", [False, True])
def test_every_panel_is_named_and_valid(entries, drive, time, options, trained):
    entry = entries[drive] if trained else charts.Entry(entries[drive].spec, entries[drive].theory)
    figures = charts.draw([entry], time, options)
    second = {"players": "critic", "direction": "change"}.get(drive, "decrease")  # under a direction nothing need fall
    assert list(figures) == ["f", second, "movement", "cost"]
    for panel, figure in figures.items():
        json.dumps(figure, allow_nan=False)
        graph_objects.Figure(coloured(arrays.expanded(figure)))
        for axis in ("xaxis", "yaxis"):
            assert figure["layout"][axis]["title"]["text"], (panel, axis)
        assert all(trace["name"] for trace in figure["data"])
        assert figure["data"]


def test_classes_are_drawn_as_probabilities(entries):
    for drive in ("logistic", "cross_entropy"):
        entry = entries[drive]
        figure = charts.draw([entry], 6.0, {})["f"]
        middle = arrays.numbers(named(figure, "limit from")["y"])
        np.testing.assert_allclose(middle, 1 / (1 + np.exp(-entry.theory["f"][-1])), atol=1e-6)
        dots = arrays.numbers(named(figure, "training points")["y"])
        assert set(dots) == {0.0, 1.0}
        assert figure["layout"]["yaxis"]["title"]["text"] == "probability of class 1"
    plain = charts.draw([entries["squared"]], 6.0, {})["f"]
    np.testing.assert_allclose(
        arrays.numbers(named(plain, "limit from")["y"]), entries["squared"].theory["f"][-1], atol=1e-6
    )


def test_both_sides_of_the_costs_fall_are_drawn(entries):
    entry = entries["huber"]
    figure = charts.draw([entry], 6.0, {})["decrease"]
    line, dots = (arrays.numbers(named(figure, f"limit: {name}")["y"]) for name in ("‖d‖²", "−dC/dt"))
    np.testing.assert_allclose(line, entry.theory["power"], rtol=1e-6)
    at = np.searchsorted(entry.theory["moment"], entry.theory["times"])
    np.testing.assert_allclose(dots, line[at], rtol=2e-3)
    history = named(figure, "n = 16")["history"]
    np.testing.assert_array_equal(arrays.numbers(history["y"]), entry.result["power"][:, 0].T)
    fell = named(figure, "n = 32: −dC/dt")
    cost, times = entry.result["cost"][:, 1].T, entry.result.times
    np.testing.assert_allclose(
        arrays.numbers(fell["y"]), ((cost[:, :-1] - cost[:, 1:]) / np.diff(times)).ravel(), rtol=1e-5
    )


def test_the_kernels_movement_stands_against_the_integral(entries):
    entry = entries["direction"]
    figure = charts.draw([entry], 3.0, {})["movement"]
    found = named(figure, "n = 16")
    now = entry.result.index_of(3.0) + 1
    x, y = (arrays.numbers(found[name]).reshape(3, now + 1) for name in ("x", "y"))
    assert np.isnan(x[:, -1]).all()  # a gap after every network
    np.testing.assert_array_equal(x[:, :-1], entry.result["length"][:now, 0].T)
    np.testing.assert_array_equal(y[:, :-1], entry.result["movement"][:now, 0].T)
    assert (arrays.numbers(named(figure, "limit: Θ∞")["y"]) == 0).all()


def test_half_a_result_is_drawn(entries):
    spec = entries["logistic"].spec
    module = experiments.load("any_cost")
    result = Result(module.schema(spec))
    for increment, _ in zip(module.run(spec), range(3), strict=False):
        result.add(increment)
    figures = charts.draw([charts.Entry(spec, entries["logistic"].theory, result)], 6.0, {})
    for figure in figures.values():
        json.dumps(figure, allow_nan=False)


def test_a_network_that_diverges_breaks_no_picture():
    spec = Spec(**SMALL | {"drive": "squared", "learning_rate": 60.0, "time": 6000.0})
    result = experiments.compute(spec)
    assert result["diverged"][-1].any()
    for figure in charts.draw([charts.Entry(spec, theory(spec), result)], spec.times[-1], {}).values():
        json.dumps(figure, allow_nan=False)


def test_facts_name_what_drives():
    facts = charts.load("any_cost").facts
    assert "Huber cost, linear beyond |f − f*| = 0.2" in facts(Spec(drive="huber"), None)
    assert "d = f - y, f* = y" in facts(Spec(drive="direction", direction="f - y"), None)
    assert "players d = (h, 0.5 h − (f − y))" in facts(Spec(drive="players"), None)
    assert "logistic cost mean log(1 + e^(−yf))" in facts(Spec(), None)
    assert charts.moments(Spec(), theory(Spec(**SMALL))) == Spec(**SMALL).times
