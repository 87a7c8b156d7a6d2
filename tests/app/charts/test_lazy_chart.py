"""Pictures of lazy and feature learning: what networks found, named and valid for Plotly; holes are holes."""

import json
import re
from functools import cache

import numpy as np
import pytest
from plotly import graph_objects

from app import charts
from app.charts import arrays
from ntk_core import data, experiments
from ntk_core.experiments import lazy
from ntk_core.runs.result import Result

SMALL = {"widths": [32, 8, 16], "seeds": 3, "time": 10.0, "snapshots": 4, "angles": 9}


def spec_of(**fields):
    return experiments.parse({"experiment": "lazy", **SMALL, **fields})


@cache
def found(**fields):
    return experiments.compute(spec_of(**fields))


def drawn(result=None, at=10.0, options=None, **fields):
    spec = spec_of(**fields)
    theory = lazy.theory(spec)
    return charts.draw(charts.side_by_side([charts.Entry(spec, theory, result)]), at, options or {})


def named(figure, start):
    return next(trace for trace in figure["data"] if trace["name"].startswith(start))


def values(trace, axis="y"):
    return arrays.numbers(trace[axis])


@pytest.mark.parametrize("state", ["theory", "empty", "part", "start", "whole"])
@pytest.mark.parametrize("fields", [{}, {"points": "paper"}, {"parametrizations": ["standard_one_rate"]}])
def test_every_picture_is_valid(state, fields):
    spec = spec_of(**fields)
    result = {"theory": lambda: None, "empty": lambda: Result(lazy.schema(spec))}.get(
        state, lambda: experiments.compute(spec)
    )()
    if state == "part":
        result = Result(lazy.schema(spec))
        for increment in lazy.run(spec, lazy.parts(spec, lazy.plan(spec), 1)[0]):
            result.add(increment)
    figures = drawn(result, 0.0 if state == "start" else 10.0, **fields)
    panels = charts.load("lazy").PANELS
    assert list(figures) == list(panels)
    assert [panel.place for panel in panels.values()].count("main") == 1
    for figure in figures.values():
        text = json.dumps(arrays.expanded(figure), allow_nan=False)
        graph_objects.Figure(json.loads(re.sub(r'"@(ink|muted|grid|paper|c[0-5])(/[0-9.]+)?"', '"#000"', text)))
        assert all(trace["name"] for trace in figure["data"])
        for axis in ("xaxis", "yaxis"):
            assert figure["layout"][axis]["title"]["text"]


def test_points_are_the_networks_by_width_and_the_slope_is_named():
    figures, result = drawn(found()), found()
    for panel, name in (("movement", "kernel_change"), ("distance", "distance")):
        points = named(figures[panel], "muP: slope ")
        np.testing.assert_array_equal(values(points, "x"), [8, 16, 32])
        expected = result[name][-1, 2, 0].mean(1)[[1, 2, 0]]
        np.testing.assert_allclose(values(points), expected, rtol=1e-5)
        slopes = [t["name"] for t in figures[panel]["data"] if t["name"].startswith("slope")]
        assert slopes == ["slope −1", "slope −1", "slope 0"]


def test_more_output_scales_than_widths_are_the_axis():
    fields = {"parametrizations": ("ntk",), "alphas": (8.0, 2.0, 4.0), "widths": (16,)}
    figures, result = drawn(found(**fields), **fields), found(**fields)
    points = named(figures["movement"], "the paper's: slope ")
    np.testing.assert_array_equal(values(points, "x"), [2, 4, 8])
    np.testing.assert_allclose(values(points), result["kernel_change"][-1, 0, [1, 2, 0], 0].mean(1), rtol=1e-5)
    assert figures["movement"]["layout"]["xaxis"]["title"]["text"] == "output scale α"


def test_functions_are_those_of_the_width_that_is_asked_for():
    result = found()
    for shown, place in (("widest", 0), ("narrowest", 1)):
        figure = drawn(result, options={"shown": shown})["f"]
        curves = arrays.numbers(named(figure, "muP")["curves"]["y"])
        np.testing.assert_allclose(curves, result["f"][-1, 2, 0, place], atol=1e-3)
        dashed = values(named(figure, "muP, linearized"))
        np.testing.assert_allclose(dashed, result["linearized"][-1, 2, 0, place].mean(0), rtol=1e-5)
        assert named(figure, f"linearized, n = {(32, 8)[place]}")
        history = arrays.numbers(named(drawn(result, options={"shown": shown})["alignment"], "muP")["history"]["y"])
        np.testing.assert_allclose(history, np.moveaxis(result["alignment"][:, 2, 0, place], 0, -1), rtol=1e-5)


def test_the_limit_is_drawn_at_the_time_shown():
    theory = lazy.theory(spec_of())
    for k, time in enumerate(spec_of().times):
        np.testing.assert_allclose(values(named(drawn(at=time)["f"], "limit Θ∞")), theory["mean"][k], rtol=1e-5)
    assert charts.moments(spec_of(), theory) == spec_of().times
    alone = drawn(parametrizations=["standard_one_rate"])["f"]["data"]
    assert [t["name"] for t in alone if "limit" in t["name"]] == ["limit at one rate"]


def test_the_standard_one_is_seen_on_top_of_the_papers():
    fields = {"parametrizations": ("ntk", "standard")}
    figures = drawn(found(**fields), **fields)
    assert named(figures["f"], "standard")["line"]["dash"] == "dot"
    assert named(figures["movement"], "standard")["marker"]["symbol"].endswith("-open")
    np.testing.assert_allclose(
        values(named(figures["movement"], "standard")), values(named(figures["movement"], "the paper's")), rtol=1e-3
    )


def test_networks_that_diverge_are_counted_and_left_out():
    fields = {"learning_rate": 40.0, "time": 4000.0}
    figures = drawn(found(**fields), 4000.0, **fields)
    assert named(figures["f"], "the paper's (3 diverged)")
    for panel in ("movement", "distance"):
        assert figures[panel]["layout"]["annotations"][0]["text"] == "Every network has diverged"


def test_before_anything_has_moved_the_pictures_say_so():
    notes = [drawn(result, 0.0)["movement"]["layout"]["annotations"][0]["text"] for result in (None, found())]
    notes = [note.replace("<br>", " ") for note in notes]
    assert notes == ["The points stand here once networks are there", "Nothing has moved yet"]


def test_clock_and_facts():
    chart, spec = charts.load("lazy"), spec_of(alphas=[2.0], centred=False, w_std=1.5)
    assert chart.caption(spec, 4.0) == "t = 4 (4 steps × rate 1)"
    words = " · ".join(chart.facts(spec, None))
    for fact in ("weight matrices, 2 hidden layers", "tanh, β = 0.1", "w = 1.5", "output αf", "α = 2", "seeds 0 to 2"):
        assert fact in words


@pytest.mark.parametrize("several", [False, True])
def test_outputs_at_a_tables_rows_stand_beside_the_limits(several):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((9, 3)), rng.standard_normal((9, 2) if several else 9)
    table = data.Table(X, y, np.ones(9, np.int16), ("a", "b", "c"), ("y",))
    fields = {"points": data.keep(table), "n_train": 5, "parametrizations": ("ntk",)}
    spec = spec_of(**fields)
    theory, result = lazy.theory(spec), experiments.compute(spec)
    alone = drawn(**fields)["f"]
    assert [trace["name"] for trace in alone["data"]] == ["limit Θ∞ at other rows", "as the limit"]
    figures = drawn(result, **fields)
    for figure in figures.values():
        text = json.dumps(arrays.expanded(figure), allow_nan=False)
        graph_objects.Figure(json.loads(re.sub(r'"@(ink|muted|grid|paper|c[0-5])(/[0-9.]+)?"', '"#000"', text)))
    dots = named(figures["f"], "the paper's")
    expected = np.broadcast_to(theory["mean"][-1].ravel(), (3, theory["mean"][-1].size))
    np.testing.assert_allclose(values(dots, "x"), expected.ravel(), rtol=1e-5)
    np.testing.assert_allclose(values(dots), result["f"][-1, 0, 0, 0].ravel(), rtol=1e-5)  # of the widest
    rings = named(figures["f"], "the paper's, linearized")
    np.testing.assert_allclose(values(rings), result["linearized"][-1, 0, 0, 0].mean(0).ravel(), rtol=1e-5)


def test_kinds_differ_in_their_dashes_and_are_named_beside_their_alignment():
    kinds = ("ntk", "standard_one_rate", "mup")
    figures = drawn(found(parametrizations=kinds), parametrizations=kinds)
    curves = [t for t in figures["alignment"]["data"] if "history" in t]
    assert len({t["line"]["dash"] for t in curves}) == len(curves) == 3
    assert all(t.get("showlegend", True) for t in curves)
    limits = [t for t in figures["alignment"]["data"] if "limit" in t["name"]]
    assert limits[-1]["name"] == "limit Θ∞ stays"  # on top, and dashed: what it lies on is seen through it
    assert limits[-1]["line"]["dash"] == "dash"
