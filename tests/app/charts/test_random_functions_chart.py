"""The pictures of random functions: what the theory says, named and valid for Plotly."""

import json
import re

import numpy as np
import pytest
from plotly import graph_objects

from app import charts
from app.charts import arrays
from ntk_core import experiments


def drawn(time=None, options=None, **fields):
    spec = experiments.parse({"experiment": "random_functions", **fields})
    theory = experiments.load("random_functions").theory(spec)
    time = charts.moments(spec, theory)[-1] if time is None else time
    return spec, theory, charts.draw(charts.side_by_side([charts.Entry(spec, theory)]), time, options)


@pytest.mark.parametrize("options", [{}, {"functions_shown": True}])
@pytest.mark.parametrize("kernel", ["ntk", "rbf"])
def test_every_panel_is_valid(options, kernel):
    spec, _, figures = drawn(options=options, kernel=kernel)
    assert list(figures) == list(charts.load("random_functions").PANELS)
    for figure in figures.values():
        text = json.dumps(arrays.expanded(figure), allow_nan=False)
        graph_objects.Figure(json.loads(re.sub(r'"@(ink|muted|grid|paper|c[0-5])(/[0-9.]+)?"', '"#000"', text)))
        assert all(trace["name"] for trace in figure["data"])
    assert charts.load("random_functions").facts(spec, None)


def test_time_moves_both_paths():
    spec, theory, figures = drawn(time=0.0)
    model = next(t for t in figures["f"]["data"] if t["name"].startswith("f<sub>θ</sub> of P = 100"))
    np.testing.assert_array_equal(arrays.numbers(model["y"]), 0)
    figures = charts.draw([charts.Entry(spec, theory)], spec.times[5])
    model = next(t for t in figures["f"]["data"] if t["name"].startswith("f<sub>θ</sub> of P = 100"))
    np.testing.assert_allclose(arrays.numbers(model["y"]), theory["random_path"][5], rtol=1e-6, atol=1e-7)
    assert "P = 100" in charts.caption(spec, spec.times[5])


def test_the_chosen_number_stands_in_the_picture_of_convergence():
    _, theory, figures = drawn(functions=300)
    mark = next(t for t in figures["convergence"]["data"] if t["name"].startswith("this one"))
    assert arrays.numbers(mark["x"])[0] == 300
    assert arrays.numbers(mark["y"])[0] == pytest.approx(theory.info["error"])
