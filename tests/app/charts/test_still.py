"""Pictures without a script: every curve where its numbers say, words escaped, what cannot be drawn left alone."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from app import charts, views
from app.charts import arrays, style
from app.charts.still import DASHES, SIZE, still
from ntk_core import experiments

X = style.axis("x of this", range=[0, 4])
Y = style.axis("y of this", range=[-1, 1])


class Markup(HTMLParser):
    """Every element with its attributes and its text, well nested."""

    VOID = ("path", "meta", "link", "br")

    def __init__(self, text):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "text": "", **dict(attrs)}
        self.elements.append(element)
        if tag not in self.VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop()["tag"] == tag

    def handle_data(self, data):
        for element in self.open:
            element["text"] += data

    def all(self, tag, **wanted):
        named = {k.rstrip("_"): v for k, v in wanted.items()}
        return [e for e in self.elements if e["tag"] == tag and named.items() <= e.items()]


def picture(*traces, x=X, y=Y):
    return Markup(still({"data": list(traces), "layout": style.layout(x, y)}))


def curve(path):
    """The points of a path, in the axes' shares; one list a stroke."""
    strokes = [re.findall(r"(-?\d+) (-?\d+)", stroke) for stroke in path["d"].split("M")[1:]]
    return [[(int(a) / SIZE, int(b) / SIZE) for a, b in stroke] for stroke in strokes]


def test_a_line_goes_where_its_numbers_say_and_breaks_where_there_are_none():
    made = picture(style.line([0, 1, 2, 4], [-1, 0, np.nan, 1], "a", "@c1/0.5", width=3, dash="dash"))
    (line,) = [p for p in made.all("path") if "stroke:" in p.get("style", "")]
    assert curve(line) == [[(0, 1), (0.25, 0.5)], [(1, 0)]]
    assert line["style"] == f"stroke:var(--ntk-c1);stroke-width:3;opacity:0.5;stroke-dasharray:{DASHES['dash']}"


def test_many_curves_of_one_trace_are_told_apart():
    y = np.array([[0.0, 1.0], [-1.0, 0.0]])
    made = picture(style.lines(arrays.curves([0, 4], y), "networks", "@c0"))
    (line,) = [p for p in made.all("path") if "stroke:" in p.get("style", "")]
    assert curve(line) == [[(0, 0.5), (1, 0)], [(0, 1), (1, 0.5)]]


def test_a_logarithmic_axis():
    x = style.log_axis("width", range=[0, 4])
    made = picture(style.line([1, 100, 0], [0, 0, 0], "a", "@c0"), x=x)
    (line,) = [p for p in made.all("path") if "stroke:" in p.get("style", "")]
    assert curve(line) == [[(0, 0.5), (0.5, 0.5)]]  # zero has no place
    ticks = {e["text"]: e["style"] for e in made.all("span", class_="x")}
    assert ticks == {
        "1": "left:0.0%",
        "10": "left:25.0%",
        "100": "left:50.0%",
        "1000": "left:75.0%",
        "1e+04": "left:100.0%",
    }


def test_a_band_is_closed_and_points_are_dots_inside():
    made = picture(
        *style.band([0, 4], [-1, -1], [0, 1], "band", "@ink"), style.points([2, 9], [0, 0], "data", "@c2", "circle")
    )
    (filled,) = [p for p in made.all("path") if "fill:" in p.get("style", "")]
    assert sorted(curve(filled)[0]) == [(0, 0.5), (0, 1), (1, 0), (1, 1)]
    assert "opacity:0.22" in filled["style"]
    assert [e["style"] for e in made.all("i") if "left" in e["style"]] == ["color:var(--ntk-c2);left:50.0%;top:50.0%"]
    assert [e["text"] for e in made.all("li")] == ["band", "data"]


def test_axes_are_titled_and_marked_with_round_numbers():
    made = picture(style.line([0, 1], [0.13, 0.97], "a", "@c0"), y=style.axis("Θ<sub>t</sub>"))
    assert [e["text"] for e in made.all("b")] == ["x of this", "Θt"]
    assert len(made.all("sub")) == 1
    assert [e["text"] for e in made.all("span", class_="y")] == ["0.2", "0.4", "0.6", "0.8", "1"]
    negative = picture(style.line([0, 1], [-3, 3], "a", "@c0"), y=style.axis("y"))
    assert "−2" in [e["text"] for e in negative.all("span", class_="y")]


def test_constant_curves_have_an_axis_around_them():
    made = picture(style.line([0, 4], [2, 2], "a", "@c0"), y=style.axis("y"))
    (line,) = [p for p in made.all("path") if "stroke:" in p.get("style", "")]
    assert curve(line) == [[(0, 0.5), (1, 0.5)]]


def test_a_name_is_a_text():
    made = picture(style.line([0, 1], [0, 1], '<script>alert("1")</script> & <b>n</b>', "@c0"))
    assert made.all("script") == []
    assert [e["text"] for e in made.all("li")] == ['<script>alert("1")</script> & n']


@pytest.mark.parametrize(
    "trace",
    [
        {"type": "heatmap", "z": [[1]]},
        {**style.line([0, 1], [0, 1], "a", "@c0"), "yaxis": "y2"},
        {**style.line([0, 1], [0, 1], "a", "@c0"), "visible": "legendonly"},
    ],
)
def test_what_has_no_lines_on_two_axes_is_left_alone(trace):
    assert still({"data": [trace], "layout": style.layout(X, Y)}) is None
    assert (
        still({"data": [style.line([np.nan], [np.nan], "a", "@c0")], "layout": style.layout(X, style.axis("y"))})
        is None
    )


@pytest.mark.parametrize("name", [name for name, module in views.modules().items() if hasattr(module, "VIEW")])
def test_the_main_panel_of_every_page_has_one(name):
    spec = experiments.load(name).Spec(experiment=name)
    view = views.modules()[name].VIEW
    options = {c.name: c.default for c in view.table if c.group == "chart"}
    theory = experiments.load(name).theory(spec)
    panel = next(n for n, p in charts.load(name).PANELS.items() if p.place in ("main", "wide"))
    figure = charts.draw((charts.Entry(spec, theory),), charts.moments(spec, theory)[0], options, (panel,))[panel]
    made = Markup(still(figure))
    assert len(made.all("b")) == 2
    assert made.all("li")
