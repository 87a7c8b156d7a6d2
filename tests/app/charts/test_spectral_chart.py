"""The pictures of spectral bias: what they draw is the theory's and the networks', named, and fit for plotly.js."""

import json
import math
import re

import numpy as np
import pytest
from plotly import graph_objects

from app import charts
from app.charts import arrays, style
from app.views.spectral import VIEW
from ntk_core import experiments
from ntk_core.experiments.spectral import Spec, theory

SMALL = {"widths": (20, 30), "seeds": 3, "snapshots": 4, "time": 30.0, "angles": 21, "n_train": 16}
DIGITS = {**SMALL, "data": "digits", "n_labelled": 40, "n_test": 30}


@pytest.fixture(scope="module")
def entries():
    specs = {name: Spec(**fields) for name, fields in (("circle", SMALL), ("digits", DIGITS))}
    return {name: charts.Entry(spec, theory(spec), experiments.compute(spec)) for name, spec in specs.items()}


def coloured(figure):
    return json.loads(re.sub(r'"@(ink|muted|grid|paper|c[0-5])(/[0-9.]+)?"', '"#000"', json.dumps(figure)))


def named(figure, start):
    return next(trace for trace in figure["data"] if trace["name"].startswith(start))


@pytest.mark.parametrize("name", ["circle", "digits"])
@pytest.mark.parametrize("time", [0.0, 10.0, 30.0, math.inf])
@pytest.mark.parametrize("options", [{}, {"ridge": True, "band": True}])
@pytest.mark.parametrize("trained", [False, True])
def test_every_panel_is_named_and_valid(entries, name, time, options, trained):
    entry = entries[name] if trained else charts.Entry(entries[name].spec, entries[name].theory)
    figures = charts.draw([entry], time, options)
    assert list(figures) == ["f", "eigenvalues", "modes", "errors"]
    for panel, figure in figures.items():
        json.dumps(figure, allow_nan=False)
        graph_objects.Figure(coloured(arrays.expanded(figure)))
        for axis in ("xaxis", "yaxis"):
            assert figure["layout"][axis]["title"]["text"], (panel, axis)
        assert all(trace["name"] for trace in figure["data"])


@pytest.mark.parametrize(
    ("kernel", "name"), [("nngp", "NNGP kernel"), ("rbf", "RBF kernel"), ("matern", "Matérn kernel")]
)
@pytest.mark.parametrize("fields", [SMALL, DIGITS], ids=["circle", "digits"])
def test_another_kernel_is_named_wherever_it_drives(entries, fields, kernel, name):
    """Beside the networks of the NTK, whose eigenvalues stay in the picture."""
    spec = Spec(kernel=kernel, length=2.0, **fields)
    result = entries["digits" if "data" in fields else "circle"].result
    figures = charts.draw([charts.Entry(spec, theory(spec), result)], 10.0, {"ridge": True})
    for panel in ("f", "eigenvalues", "errors"):
        graph_objects.Figure(coloured(arrays.expanded(figures[panel])))
        assert named(figures[panel], name), panel
        assert not [trace for trace in figures[panel]["data"] if trace["name"].startswith("limit")]
    assert named(figures["eigenvalues"], "NTK")
    assert any(trace["name"].startswith("n = 20") for trace in figures["errors"]["data"])


def test_moments_are_the_output_times_and_infinity(entries):
    spec = entries["circle"].spec
    assert charts.moments(spec, entries["circle"].theory) == (*spec.times, math.inf)


def test_the_function_is_that_of_the_moment(entries):
    entry = entries["circle"]
    for j, t in enumerate((*entry.spec.times, math.inf)):
        figure = charts.draw([entry], t, {"ridge": True})["f"]
        mean, ridge = (arrays.numbers(named(figure, start)["y"]) for start in ("limit", "ridge"))
        np.testing.assert_allclose(mean, entry.theory["mean"][j], atol=1e-6)
        np.testing.assert_allclose(ridge, entry.theory["ridge"][j], atol=1e-6)
    assert not [t for t in figure["data"] if t["name"].startswith("n = ")]  # no network was at infinity


def test_a_mode_of_the_networks_is_their_history(entries):
    entry = entries["circle"]
    figure = charts.draw([entry], 30.0, {})["modes"]
    thin = named(figure, "cos 3γ, n = 20")["history"]
    np.testing.assert_array_equal(arrays.numbers(thin["y"]), entry.result["learned"][:, 0, :, 1].T)
    thick = next(t for t in figure["data"] if t["name"] == "cos 3γ")
    np.testing.assert_allclose(arrays.numbers(thick["y"]), entry.theory["learned"][1], atol=1e-6)
    assert thick["line"]["color"] == named(figure, "cos 3γ, n = 20")["line"]["color"]


def test_the_star_is_at_the_best_time_and_only_where_there_is_one(entries):
    entry = entries["circle"]
    star = named(charts.draw([entry], 0.0, {})["errors"], "best at t = ")
    assert arrays.numbers(star["x"])[0] == pytest.approx(entry.theory["best"][0], rel=1e-6)
    clean = Spec(**SMALL | {"noise": 0.0})
    figure = charts.draw([charts.Entry(clean, theory(clean))], 0.0, {"ridge": True})["errors"]
    assert not [t for t in figure["data"] if t["name"].startswith("best")]


def test_slopes_are_named_where_there_is_a_power_law(entries):
    figure = charts.draw([entries["circle"]], 0.0, {})["eigenvalues"]
    assert named(figure, "NTK")["name"] == "NTK Θ∞ ~ k<sup>−2.0</sup>"
    smooth = Spec(activation="erf")
    figure = charts.draw([charts.Entry(smooth, theory(smooth))], 0.0, {})["eigenvalues"]
    assert named(figure, "NTK")["name"] == "NTK Θ∞"


def test_a_frequency_of_zero_has_no_ring_and_a_curve(entries):
    spec = Spec(frequencies=(0, 2), n_train=8)
    figures = charts.draw([charts.Entry(spec, theory(spec))], 0.0, {})
    assert arrays.numbers(named(figures["eigenvalues"], "followed")["x"]).tolist() == [2]
    assert named(figures["modes"], "constant")


def test_the_page_has_a_control_for_every_field_and_no_heavy_ball():
    names = {c.name for c in VIEW.table if c.group != "chart"}
    assert names == set(Spec.model_fields) - {"experiment", "angles"}
    assert not next(c for c in VIEW.table if c.name == "momentum").shown_if({"rule": "gradient_flow"})
    assert set(next(c for c in VIEW.table if c.name == "rule").options) == {"gradient_descent", "gradient_flow"}


def test_the_accuracys_axis_has_room_for_the_label_of_all(entries):
    y = charts.draw([entries["digits"]], 30.0, {})["f"]["layout"]["yaxis"]
    assert y["range"][1] > 1
    assert y["dtick"] == 0.2


@pytest.mark.parametrize("panel", ["modes", "errors"])
def test_widths_are_named_beside_what_is_learned_and_the_errors(entries, panel):
    figure = charts.draw([entries["circle"]], 30.0, {})[panel]
    for n, dash in (("n = 20", style.DASHES[panel == "modes"]), ("n = 30", style.DASHES[1 + (panel == "modes")])):
        named_so = [t for t in figure["data"] if t["name"] == n and t.get("showlegend", True)]
        assert [t["line"]["dash"] for t in named_so] == [dash]
