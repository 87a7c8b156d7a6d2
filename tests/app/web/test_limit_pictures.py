"""The limit's pictures by their address: those of every page, drawn once, refused with a sentence."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections import Counter
from types import SimpleNamespace
from urllib.parse import urlencode, urlsplit

import pytest
from starlette.requests import Request

from app import charts, views
from app.charts import arrays
from app.web import limit_pictures
from app.web.limit_pictures import NOT_DRAWN, LimitPictures
from ntk_core import experiments
from ntk_core.engine import EngineError
from tests.app import synthetic

PAGES = [name for name, module in views.modules().items() if hasattr(module, "VIEW")]


def options_of(spec):
    return {c.name: c for c in views.modules()[spec.experiment].VIEW.table if c.group == "chart"}


@pytest.fixture
def pictures():
    """The route over invented limits; `known` are the specs that a page has shown."""
    engine, known = synthetic.Engine(), {}
    engine.known_spec = known.get
    made = LimitPictures(lambda: engine, options_of)
    yield SimpleNamespace(route=made, engine=engine, know=lambda spec: known.setdefault(spec.key, spec))
    engine.close()


def ask(pictures, address):
    """(status, data) of the answer."""
    found = urlsplit(address)
    scope = {
        "type": "http", "method": "GET", "headers": [(b"accept-encoding", b"gzip")], "path": found.path,
        "query_string": found.query.encode(), "path_params": {"key": found.path.rpartition("/")[2]},
    }  # fmt: skip
    answer = asyncio.run(pictures.route.pictures(Request(scope)))
    packed = answer.headers.get("content-encoding") == "gzip"
    return answer.status_code, json.loads(gzip.decompress(answer.body) if packed else answer.body)


def refs(data):
    """Names of arrays that plain data mention."""
    found = set()
    arrays.mapped(data, lambda key, value: found.add(value["ref"]) if "ref" in value else value)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_every_page_has_a_picture_of_each_moment_with_all_arrays(pictures, page):
    spec = pictures.know(experiments.load(page).Spec())
    theory = pictures.engine.preview(spec).theory
    status, found = ask(pictures, limit_pictures.address(spec, {}))
    assert status == 200
    times = limit_pictures.moments(spec, theory)
    assert [frame["index"] for frame in found["frames"]] == list(range(len(times)))
    drawn = charts.draw((charts.Entry(spec, theory),), times[-1])
    assert list(found["frames"][-1]["panels"]) == list(drawn)
    assert refs(found["frames"]) == set(found["arrays"])
    captions = [frame["caption"] for frame in found["frames"]]
    assert all(captions) == (len(times) > 1 or experiments.runs(page))


@pytest.mark.parametrize("page", PAGES)
def test_one_moment_may_come_before_the_others(pictures, page):
    spec = pictures.know(experiments.load(page).Spec())
    address = limit_pictures.address(spec, {})
    _, everything = ask(pictures, address)
    assert everything["count"] == len(everything["frames"])
    for at in (0, everything["count"] - 1, 999_999):  # beyond the end is the end: the bar may stand where none is now
        status, alone = ask(pictures, f"{address}&at={at}")
        assert status == 200
        assert alone["count"] == everything["count"]
        assert alone["frames"] == [everything["frames"][min(at, everything["count"] - 1)]]
        assert set(alone["arrays"]) == refs(alone["frames"])
        assert alone["arrays"].items() <= everything["arrays"].items()


def test_panels_and_infinite_time_can_be_left_out(pictures):
    spec = pictures.know(experiments.load("function_space").Spec())
    _, everything = ask(pictures, limit_pictures.address(spec, {}))
    assert everything["frames"][-1]["caption"] == "t = ∞: the limit alone"
    _, some = ask(pictures, limit_pictures.address(spec, {}, panels=("f",), finite=True))
    assert len(some["frames"]) == len(everything["frames"]) - 1
    assert {tuple(frame["panels"]) for frame in some["frames"]} == {("f",)}
    assert some["frames"][3]["panels"]["f"] == everything["frames"][3]["panels"]["f"]


def test_options_are_the_charts_own(pictures):
    spec = pictures.know(experiments.load("circle").Spec())
    plain = ask(pictures, limit_pictures.address(spec, {"nngp": False}))
    assert plain == ask(pictures, limit_pictures.address(spec, {}))
    assert plain != ask(pictures, limit_pictures.address(spec, {"nngp": True}))


def test_it_is_drawn_once(pictures, monkeypatch):
    drawn, draw = Counter(), charts.draw
    monkeypatch.setattr(charts, "draw", lambda *args: drawn.update(["circle"]) or draw(*args))
    spec = pictures.know(experiments.load("circle").Spec())
    for options in ({}, {"band": False}, {}):
        assert ask(pictures, limit_pictures.address(spec, options))[0] == 200
    assert drawn["circle"] == len(limit_pictures.moments(spec, pictures.engine.preview(spec).theory))


@pytest.mark.parametrize(
    ("key", "query", "status", "sentence"),
    [
        ("circle-0123456789abcdef0123", {}, 404, "reload the page"),
        ("../../etc/passwd", {}, 400, "key:"),
        (None, {"options": "{"}, 400, "not JSON"),
        (None, {"options": '{"what": 1}'}, 400, "not known"),
        (None, {"panels": "kernel,<script>"}, 400, "panels: must be some of kernel, "),
        (None, {"finite": "yes"}, 400, "finite: must be 1 or 0"),
        (None, {"at": "-1"}, 400, "at: must be a whole number from 0 to 999999"),
        (None, {"at": "٣"}, 400, "at: must be a whole number"),
        (None, {"at": "1000000"}, 400, "at: must be a whole number"),
    ],
)
def test_what_is_not_ours_gets_a_sentence(pictures, key, query, status, sentence):
    spec = pictures.know(experiments.load("circle").Spec())
    found, data = ask(pictures, f"/ntk/limits/{(key or spec.key).rpartition('/')[2]}?{urlencode(query)}")
    assert found == status
    assert sentence in data["error"]


def test_an_engine_that_does_not_answer_and_a_defect_are_told_apart(pictures, monkeypatch, caplog):
    spec = pictures.know(experiments.load("circle").Spec())
    pictures.engine.refused = EngineError("the engine does not answer; try again in a moment")
    assert ask(pictures, limit_pictures.address(spec, {}))[0] == 503
    pictures.engine.refused = ValueError("beta: too much")
    assert ask(pictures, limit_pictures.address(spec, {})) == (400, {"error": "beta: too much"})
    pictures.engine.refused = None
    with monkeypatch.context() as broken:
        broken.setattr(charts, "draw", lambda *args: 1 / 0)
        assert ask(pictures, limit_pictures.address(spec, {})) == (500, {"error": NOT_DRAWN})
    assert "ZeroDivisionError" in caplog.text
    assert ask(pictures, limit_pictures.address(spec, {}))[0] == 200  # nothing of it is kept
