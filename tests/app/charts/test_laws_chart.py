"""Pictures of the laws in width and depth: what networks found, named and valid for Plotly; holes are holes."""

import json
import re
from functools import cache

import numpy as np
import pytest
from plotly import graph_objects
from scipy import stats

from app import charts
from app.charts import arrays
from ntk_core import experiments
from ntk_core.runs.result import Result

MEASURES = ("spread", "training", "outputs", "depth")


def spec_of(measure, **fields):
    small = {"widths": [8, 16, 32], "depths": [2, 3], "seeds": 30, "trained": 3, "piece": 10, "layers": 4, "time": 4.0}
    return experiments.parse({"experiment": "laws", "measure": measure, **small, **fields})


@cache
def found(measure):
    return experiments.compute(spec_of(measure))


def drawn(measure, result=None, **fields):
    spec = spec_of(measure, **fields)
    theory = experiments.load("laws").theory(spec)
    return theory, charts.draw(charts.side_by_side([charts.Entry(spec, theory, result)]), 0.0)


def named(figure, start):
    return next(trace for trace in figure["data"] if trace["name"].startswith(start))


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("state", ["theory", "empty", "part", "whole"])
def test_every_picture_is_valid(measure, state):
    spec = spec_of(measure)
    laws = experiments.load("laws")
    result = {"theory": lambda: None, "whole": lambda: found(measure)}.get(state, lambda: Result(laws.schema(spec)))()
    if state == "part":
        part = laws.parts(spec, laws.plan(spec), 1)[0]
        for increment in laws.run(spec, part):
            result.add(increment)
    _, figures = drawn(measure, result)
    assert 3 <= len(figures) <= 4
    assert set(figures) < set(charts.load("laws").PANELS)
    assert [charts.load("laws").PANELS[name].place for name in figures].count("main") == 1
    for figure in figures.values():
        text = json.dumps(arrays.expanded(figure), allow_nan=False)
        graph_objects.Figure(json.loads(re.sub(r'"@(ink|muted|grid|paper|c[0-5])(/[0-9.]+)?"', '"#000"', text)))
        assert all(trace["name"] for trace in figure["data"])
        for axis in ("xaxis", "yaxis"):
            assert figure["layout"][axis]["title"]["text"]


def test_points_are_the_networks_and_the_slope_is_named():
    theory, figures = drawn("spread", found("spread"))
    kernel = found("spread")["kernel"][:, 1].astype(float)
    points = named(figures["spread"], "L = 3: slope")
    np.testing.assert_allclose(arrays.numbers(points["y"]), kernel.std(1, ddof=1) / kernel.mean(1), rtol=1e-5)
    np.testing.assert_array_equal(arrays.numbers(points["x"]), [8, 16, 32])
    exact = named(figures["spread"], "L = 3 exact: in ")
    np.testing.assert_allclose(arrays.numbers(exact["y"]) ** 2, theory["exact_relative_variance"][1], rtol=1e-5)


def test_a_width_without_networks_is_a_hole():
    spec = spec_of("spread")
    result = Result(experiments.load("laws").schema(spec))
    result.values["kernel"][:] = found("spread")["kernel"]
    result.values["kernel"][1] = np.nan
    _, figures = drawn("spread", result)
    np.testing.assert_array_equal(arrays.numbers(named(figures["mean"], "L = 2")["x"]), [8, 32])


def test_without_a_closed_form_there_is_the_laws_slope():
    result = experiments.compute(spec_of("spread", beta=0.3))
    _, figures = drawn("spread", result, beta=0.3)
    guide = named(figures["spread"], "slope −0.5")
    x, y = np.log(arrays.numbers(guide["x"])), np.log(arrays.numbers(guide["y"]))
    assert (y[1] - y[0]) / (x[1] - x[0]) == pytest.approx(-0.5, abs=1e-4)


def test_clock_and_facts():
    chart = charts.load("laws")
    for measure in MEASURES:
        spec = spec_of(measure)
        assert "networks" in chart.caption(spec, 0.0)
        assert any("weight matrices" in fact for fact in chart.facts(spec, None))


def test_what_outputs_share_is_drawn_in_the_units_of_its_exact_curve():
    """At one depth and width with many networks, the points lie on the curves: a shared size of variance v."""
    fields = {"widths": [64], "depths": [3], "seeds": 3000, "piece": 500}
    _, figures = drawn("outputs", experiments.compute(spec_of("outputs", **fields)), **fields)
    for panel, effect, reach in (("kurtosis", 3.0, 0.25), ("independence", 0.5, 0.04)):
        curve, point = named(figures[panel], "L = 3: exact"), figures[panel]["data"][1]
        v = (1 + 5 / 64) ** 2 - 1
        at = np.interp(64, arrays.numbers(curve["x"]), arrays.numbers(curve["y"]))
        assert at == pytest.approx(effect * v, rel=0.02)
        assert arrays.numbers(point["y"])[0] == pytest.approx(effect * v, abs=reach)
        assert point["error_y"]["arrayminus"][0] > abs(arrays.numbers(point["y"])[0] - at) / 2
        assert named(figures[panel], "least that would be noticed in 9 of 10 sweeps")


def test_intervals_of_heavy_tails_are_the_networks_own_and_histograms_differ_in_dashes():
    """Deep narrow networks: 95 % intervals of the law itself, +-1.96 sqrt(24/N), would leave out the exact value."""
    fields = {"widths": [16, 32], "depths": [6], "seeds": 200, "piece": 200}
    result = experiments.compute(spec_of("outputs", **fields))
    _, figures = drawn("outputs", result, **fields)
    f = result["f"][0, 0].astype(float)
    each = (f**4 - 6 * f**2 + 3).mean(axis=1)
    point = figures["kurtosis"]["data"][1]
    assert arrays.numbers(point["y"])[0] == pytest.approx(each.mean(), rel=1e-5)
    expected = stats.t.ppf(0.975, len(each) - 1) * each.std(ddof=1) / np.sqrt(len(each))
    assert point["error_y"]["array"][0] == pytest.approx(expected, rel=1e-5)
    bars = [trace for trace in figures["outputs"]["data"] if trace["name"].startswith("n = ")]
    assert len({trace["line"]["dash"] for trace in bars}) == 2
