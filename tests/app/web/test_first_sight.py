"""A page's first answer: Streamlit's own page, with the page's picture in it under its default settings alone."""

from __future__ import annotations

import asyncio
import gzip
import re
import tomllib
from pathlib import Path

import pytest
from starlette.requests import Request
from streamlit import file_util

from app import charts, views
from app.views import first_pictures, home
from app.web import shared_engine
from app.web.first_sight import SCRIPT, SCRIPTS, FirstSight
from ntk_core import experiments
from ntk_core.engine import EngineError
from tests.app import synthetic

ROOT = Path(__file__).parents[3]
SHOW_NETWORKS = {  # in their main panel, unasked
    "circle": "n = 50", "function_space": "n = 50", "spectral": "n = 300", "any_cost": "n = 50", "laws": "slope −0.",
    "lazy": "linearized, n = 256",
}  # fmt: skip


def ask(sight, path, query=""):
    """The page at a path, as the route of that path answers it; None where none does."""
    route = next((r for r in sight.routes("/base") if r.path == f"/base/{path}"), None)
    if route is None:
        return None
    headers = [(b"accept-encoding", b"gzip")]
    scope = {"type": "http", "method": "GET", "path": route.path, "query_string": query.encode(), "headers": headers}
    answer = asyncio.run(route.endpoint(Request(scope)))
    assert answer.status_code == 200
    assert answer.media_type == "text/html"
    assert answer.headers["cache-control"] == "no-cache"
    return gzip.decompress(answer.body).decode()


@pytest.fixture
def streamlits():
    return (Path(file_util.get_static_dir()) / "index.html").read_text(encoding="utf-8")


def test_a_page_starts_as_streamlits_until_its_picture_is_there(streamlits):
    sight = FirstSight(["", "circle"])
    scripts = "".join(f"<script>{script.read_text(encoding='utf-8')}</script>" for script in SCRIPTS)
    named = streamlits.replace("<title>Streamlit</title>", f"<title>NTK Explorer</title>{scripts}")
    assert named != streamlits
    assert ask(sight, "circle") == ask(sight, "") == named
    assert ask(sight, "elsewhere") is None
    sight.put("circle", "A <b>heading</b>", "What it & all shows.", "Panel", "<svg></svg>")
    page = ask(sight, "circle")
    assert "<h3>A &lt;b&gt;heading&lt;/b&gt;</h3>" in page
    assert "<p>What it &amp; all shows.</p>" in page
    still = page[page.index('<div id="ntk-still"') : page.index(SCRIPT) + len(f"{SCRIPT}</script>")]
    assert page.replace(still, "").split() == named.split()  # nothing of Streamlit's is lost
    assert page.index("<body>") < page.index('id="ntk-still"') < page.index('id="root"')


def test_the_colours_are_those_of_the_charts_and_of_the_theme():
    """One list each: the charts' script, Streamlit's theme and the first picture have the same curves' colours."""
    script = (ROOT / "app/live_chart/theme.js").read_text(encoding="utf-8")
    theme = tomllib.loads((ROOT / ".streamlit/config.toml").read_text(encoding="utf-8"))["theme"]
    sight = FirstSight(["circle"])
    sight.put("circle", "Heading", "Sentence.", "Panel", "<svg></svg>")
    pairs = re.findall(r"--ntk-([a-z0-9]+): light-dark\((#\w+), (#\w+)\);", ask(sight, "circle"))
    tokens = {name: colours for name, *colours in pairs}
    keys = {"paper": "backgroundColor", "ink": "textColor", "edge": "borderColor", "side": "secondaryBackgroundColor"}
    assert {token: tokens[token] for token in keys} == {
        token: [theme[kind][key] for kind in ("light", "dark")] for token, key in keys.items()
    }
    curves = [[tokens[f"c{k}"][i] for k in range(6)] for i in (0, 1)]
    assert len(tokens) == len(keys) + 6
    for kind, ours in zip(("light", "dark"), curves, strict=True):
        assert ours == theme[kind]["chartCategoricalColors"]
        assert ours == re.findall(r"#\w+", re.search(rf"{kind}: \[(.*?)\]", script)[1])


@pytest.mark.parametrize("query", ["depth=3", "x", "embed=true"])
def test_other_settings_have_no_picture_of_the_default_ones(query):
    sight = FirstSight(["circle"])
    sight.put("circle", "Heading", "Sentence.", "Panel", "<svg></svg>")
    assert "ntk-still" not in ask(sight, "circle", query)
    assert "ntk-still" in ask(sight, "circle")


def test_every_page_that_trains_shows_its_networks_and_every_other_its_limit(engine, monkeypatch):
    """With the real engine: what is drawn before training is what the pages themselves ask for."""
    monkeypatch.setattr(shared_engine, "engine", lambda: engine)
    monkeypatch.setattr(first_pictures, "engine", lambda: engine)
    sight = FirstSight(["", *experiments.names()])
    first_pictures.prepare(sight)
    for name, module in views.modules().items():
        if not hasattr(module, "VIEW"):
            continue
        page = ask(sight, name)
        assert f"<h3>{module.VIEW.title}</h3>" in page
        assert any(curve in page for curve in SHOW_NETWORKS.values()) is (name in SHOW_NETWORKS), name
        assert SHOW_NETWORKS.get(name, "") in page, name
        title = next(p.title for p in charts.load(name).PANELS.values() if p.place in ("main", "wide"))
        assert title.split()[0] in page
    assert home.HEADING in ask(sight, "")
    assert "n = 64" in ask(sight, "")


def test_an_engine_that_cannot_answer_is_an_error_and_nothing_is_kept(monkeypatch):
    class Broken(synthetic.Engine):
        def preview(self, spec, seconds=0.0):
            raise EngineError("nobody is there")

    engine = Broken()
    monkeypatch.setattr(first_pictures, "engine", lambda: engine)
    sight = FirstSight(["circle"])
    with pytest.raises(EngineError):
        first_pictures.prepare(sight)
    assert "ntk-still" not in ask(sight, "circle")
    engine.close()
