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
from ntk_core.experiments import conditioning


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
    assert list(figures) == list(PANELS)
    for name, figure in figures.items():
        json.dumps(figure, allow_nan=False)
        graph_objects.Figure(coloured(arrays.expanded(figure)))
        for axis in ("xaxis", "yaxis"):
            assert figure["layout"][axis]["title"]["text"], (name, axis)
        assert all(trace["name"] for trace in figure["data"])


def test_eigenvalues_and_missing_degrees_are_the_theorys():
    entry, figures = drawn(depth=2, beta=0.0)
    ntk, nngp, missing = figures["degrees"]["data"]
    y = arrays.numbers(ntk["y"])
    np.testing.assert_allclose(y[[0, 1, 2, 4]], entry.theory["ntk"][[0, 1, 2, 4]], rtol=1e-6)
    assert np.isnan(y[[3, 5, 7]]).all()
    assert nngp["name"] == "NNGP kernel Σ∞"
    assert arrays.numbers(missing["x"]).tolist() == entry.theory.info["missing"]


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
