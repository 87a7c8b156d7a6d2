"""The pictures of positive definiteness: what they draw is the theory's, named, and fit for plotly.js."""

import json
import re

import numpy as np
import pytest
from plotly import graph_objects

from app import charts
from app.charts import arrays
from app.charts.conditioning import PANELS, facts
from app.views.conditioning import VIEW
from ntk_core import data
from ntk_core.experiments import conditioning

OF_TABLES = ("spectrum", "others")


def drawn(**fields):
    spec = conditioning.Spec(**{"points": 8} | fields)
    entry = charts.Entry(spec, conditioning.theory(spec))
    return entry, charts.draw([entry], 0.0, {"nngp": True})


def coloured(figure):
    return json.loads(re.sub(r'"@(ink|muted|grid|paper|c[0-5])(/[0-9.]+)?"', '"#000"', json.dumps(figure)))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"depth": 2, "beta": 0.0, "activation": "erf", "against": "points"},
        {"activation": "identity", "depth": 1, "against": "dimension"},
        {"beta": 0.0, "w_std": 0.01, "depth": 16, "against": "beta"},
    ],
)
def test_every_panel_is_named_and_valid(fields):
    _, figures = drawn(**fields)
    assert list(figures) == [name for name in PANELS if name not in OF_TABLES]
    check(figures)


def check(figures):
    for name, figure in figures.items():
        json.dumps(figure, allow_nan=False)
        graph_objects.Figure(coloured(arrays.expanded(figure)))
        for axis in ("xaxis", "yaxis"):
            assert figure["layout"][axis]["title"]["text"], (name, axis)
        assert all(trace["name"] for trace in figure["data"])


@pytest.mark.parametrize("repeated", [False, True])
def test_a_tables_eigenvalues_are_in_order_and_other_activations_beside(repeated):
    X = np.random.default_rng(0).standard_normal((8, 3))
    X = np.concatenate([X[:4], X[:4]]) if repeated else X
    table = data.Table(X, np.arange(8.0), np.ones(8, np.int16), ("a", "b", "c"), ("y",))
    entry, figures = drawn(data=data.keep(table))
    assert list(figures) == ["spectrum", "smallest", "number", "others"]
    check(figures)
    seen = arrays.numbers(figures["spectrum"]["data"][0]["y"])
    there = entry.theory["values"][0] > entry.theory["level"][0]
    assert there.sum() == (4 if repeated else 8)
    np.testing.assert_allclose(seen[there], entry.theory["values"][0][there], rtol=1e-6)
    assert np.isnan(seen[~there]).all()
    if repeated:
        assert "singular to rounding" in figures["others"]["layout"]["annotations"][0]["text"]
    else:
        dots = arrays.numbers(figures["others"]["data"][0]["x"])
        np.testing.assert_allclose(dots, entry.theory["others_number"][:4], rtol=1e-6)
        assert figures["others"]["layout"]["yaxis"]["ticktext"][-1] == "identity: singular"  # of rank 4
    assert "8 rows of a table as they are, drawn by seed 0" in facts(entry.spec, None)


def test_eigenvalues_and_missing_degrees_are_the_theorys():
    entry, figures = drawn(depth=2, beta=0.0)
    ntk, nngp, missing = figures["degrees"]["data"]
    y = arrays.numbers(ntk["y"])
    np.testing.assert_allclose(y[[0, 1, 2, 4]], entry.theory["ntk"][[0, 1, 2, 4]], rtol=1e-6)
    assert np.isnan(y[[3, 5, 7]]).all()
    assert nngp["name"] == "NNGP kernel Σ∞"
    assert arrays.numbers(missing["x"]).tolist() == entry.theory.info["missing"]


def test_degrees_that_rounding_hides_are_marked_apart_from_those_that_are_zero():
    _, figures = drawn(depth=2, beta=0.0, activation="cos")
    *_, missing, hidden = figures["degrees"]["data"]
    assert arrays.numbers(missing["x"]).tolist() == list(range(1, 17, 2))
    assert hidden["name"] == "NTK below rounding"
    assert arrays.numbers(hidden["x"]).tolist() == [12, 14, 16]


def test_what_is_below_rounding_is_marked_not_drawn_as_a_value():
    entry, figures = drawn(activation="identity")
    lines = [t for t in figures["smallest"]["data"] if t["mode"] == "lines+markers"]
    marks = [t for t in figures["smallest"]["data"] if t["name"] == "below rounding"]
    assert all(np.isnan(arrays.numbers(t["y"])).all() for t in lines)
    np.testing.assert_allclose(arrays.numbers(marks[0]["y"]), entry.theory["rounding"][0], rtol=1e-6)
    assert "singular to rounding" in figures["number"]["layout"]["annotations"][0]["text"]


def test_rows_of_activations_say_lost_or_kept():
    _, figures = drawn(beta=0.1)
    ticks = figures["activations"]["layout"]["yaxis"]["ticktext"]
    assert ticks == ["relu: kept", "gelu: kept", "abs: kept", "erf: kept", "identity: lost"]


def test_the_page_has_a_control_for_every_field_and_says_its_conventions():
    names = {c.name for c in VIEW.table if c.group != "chart"}
    assert names == set(conditioning.Spec.model_fields) - {"experiment"}
    assert "8 points drawn uniformly, seed 0" in facts(conditioning.Spec(points=8), None)
