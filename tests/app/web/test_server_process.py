"""The whole server as a process of its own: what it imports and holds, its routes, and how it leaves."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import json
import signal
import time

import numpy as np
import psutil
import pytest

from app.views import home
from app.web import resources
from ntk_core import experiments
from tests.app.server_process import PATIENCE, ROOT, ServerProcess
from tests.app.visits import hurry, opened, visit

BASE = "/some/where"
FIRST_PICTURES = ("", "circle", "components", "laws", "random_functions", "spectral")  # spectral's is drawn last


@pytest.fixture(scope="module")
def server():
    server = ServerProcess(base=BASE)
    server.suspend_training()
    yield server
    server.end()


def test_visits_bring_no_torch_and_little_memory(server):
    visit(server.port, base=BASE)
    deadline = time.monotonic() + PATIENCE
    while not all(b"ntk-still" in server.get(f"/{page}")[1] for page in FIRST_PICTURES):
        assert time.monotonic() < deadline, "the first pictures are not drawn"
        time.sleep(0.2)
    health = server.health()
    assert health["modules"] == []
    assert health["rss"] < 150e6
    for page in ("circle", "function_space", "components"):
        messages = visit(server.port, page, BASE)
        assert not [m for m in messages if m.delta.new_element.HasField("exception")]
        assert "Train" in [m.delta.new_element.button.label for m in messages]
    health = server.health()
    assert health["modules"] == []  # no torch above all; nor pandas, xarray, scipy
    assert health["pid"] == server.process.pid


def test_health_asks_nobody_and_tells_no_address(server):
    assert set(server.health()) == {"status", "pid", "rss", "modules"}
    deadline = time.monotonic() + PATIENCE
    while (answer := server.get("/ntk/ready"))[0].status == 503 and time.monotonic() < deadline:
        assert json.loads(answer[1])["ready"] is False  # the workers still import torch
        time.sleep(0.2)
    response, body = answer
    assert response.status == 200
    status = json.loads(body)
    assert set(status) == {"ready", "theory", "training", "queued", "running"}
    assert (status["ready"], status["theory"], status["training"]) == (True, 1, 1)
    assert b"tcp://" not in body


@pytest.mark.parametrize("page", ["circle", "function_space", "components"])
def test_a_session_survives_runs_that_are_interrupted(server, page):
    """Widgets that a cut-off run of the script never drew have lost their state; the page must not need it."""
    for pause in (0.0, 0.02, 0.05, 0.08):
        messages = hurry(server.port, page, BASE, times=25, pause=pause)
        assert not [m for m in messages if m.delta.new_element.HasField("exception")]


@pytest.mark.parametrize("page", ["circle", "lazy"])
def test_settings_survive_runs_that_are_interrupted(server, page):
    """A run that is cut off while "Advanced" unfolds has given its widgets values that the browser never heard of: it
    then shows, and sends, what such widgets begin with, which must not become the page's settings.
    """

    async def unfold(pause):
        async with opened(server.port, page, BASE) as tab:
            await tab.run()
            tab.move("advanced", True)
            await tab.ask()
            await asyncio.sleep(pause)
            await tab.ask()
            await tab.rest(0.3)
            await tab.run()
            assert tab.named("seed")
            await tab.run()
            return tab.query

    found = {pause: asyncio.run(unfold(pause / 1000)) for pause in range(0, 32, 2)}
    assert {pause: query for pause, query in found.items() if query} == {}


def test_what_an_address_says_survives_runs_that_are_interrupted(server):
    """Widgets that stand already were to hold another value, and never heard of it."""
    wanted = "activation=tanh&depth=6&beta=0.5&seed=7"

    async def follow(pause):
        async with opened(server.port, "circle", BASE) as tab:
            await tab.run()
            tab.move("advanced", True)
            await tab.run()
            await tab.rest(0.2)
            tab.query = wanted
            await tab.ask()
            await asyncio.sleep(pause)
            await tab.ask()
            await tab.rest(0.3)
            await tab.run()
            await tab.run()
            return sorted(tab.query.split("&")), tab.widgets[tab.named("depth")][1], tab.widgets[tab.named("seed")][1]

    found = {pause: asyncio.run(follow(pause / 1000)) for pause in range(0, 32, 2)}
    right = (sorted(wanted.split("&")), [6], 7)
    assert {pause: held for pause, held in found.items() if held != right} == {}


def test_a_rerun_sends_no_picture_and_no_script_again(server):
    """They have addresses of their own, which a browser asks once."""
    messages = visit(server.port, "function_space", BASE)
    assert sum(m.ByteSize() for m in messages) < 25_000
    (chart,) = [m.delta.new_element.bidi_component for m in messages if m.delta.new_element.HasField("bidi_component")]
    (data,) = json.loads(chart.json)
    response, body = server.get(data["script"], **{"accept-encoding": "gzip"})
    assert response.headers["cache-control"] == resources.YEAR
    assert b"export default function" in gzip.decompress(body)
    response, body = server.get(data["limit"], **{"accept-encoding": "gzip"})
    assert "immutable" in response.headers["cache-control"]
    found = json.loads(gzip.decompress(body))
    assert len(found["frames"]) == data["start"] + 2  # the page begins with the last before infinite time
    assert list(found["frames"][-1]["panels"]) == [panel["name"] for panel in data["panels"]]


def test_plotly_is_compressed_once_and_cached(server):
    response, body = server.get("/ntk/plotly.min.js", **{"accept-encoding": "gzip"})
    assert response.headers["content-encoding"] == "gzip"
    assert "max-age" in response.headers["cache-control"]
    script = gzip.decompress(body)
    assert script.startswith(b"/**\n* plotly.js (cartesian - minified) v" + resources.PLOTLY_VERSION.encode())
    plain, unpacked = server.get("/ntk/plotly.min.js", **{"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert unpacked == script
    unchanged, nothing = server.get("/ntk/plotly.min.js", **{"if-none-match": response.headers["etag"]})
    assert (unchanged.status, nothing) == (304, b"")


def test_digits_are_the_pictures_of_the_data(server):
    from io import BytesIO

    from PIL import Image

    with np.load(ROOT / "ntk_core" / "data" / "mnist_5k.npz") as data:
        for index in (0, 4999):
            response, body = server.get(f"/ntk/digits/{index}.png")
            assert response.headers["content-type"] == "image/png"
            assert (np.asarray(Image.open(BytesIO(body))) == data["images"][index]).all()
    assert server.get("/ntk/digits/5000.png")[0].status == 404
    assert server.get("/ntk/digits/-1.png")[0].status == 404


def test_unknown_runs_are_not_found(server):
    key = "circle-" + "0" * 20
    assert server.get(f"/ntk/runs/{key}/stream?viewer=v")[0].status == 404
    assert server.get(f"/ntk/runs/{key}/leave?viewer=v", method="POST")[0].status == 404
    assert server.get(f"/ntk/runs/{key}/leave?viewer=v")[0].status == 404


def test_the_server_leaves_with_everyone_it_started(server):
    """Last of this module: ends the server while a page's stream is open."""
    web = psutil.Process(server.process.pid)
    family = [web, *web.children(recursive=True)]
    assert len(family) >= 4  # server, scheduler, two workers
    spec = experiments.parse({"experiment": "function_space", **home.MOVIE})
    visit(server.port, base=BASE)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    connection.request("GET", f"{BASE}/ntk/runs/{spec.key}/stream?viewer=v")
    response = connection.getresponse()
    assert response.readline() == b"event: status\n"
    assert json.loads(response.readline().removeprefix(b"data: "))["state"] in ("queued", "running")
    server.process.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=PATIENCE)
    assert not alive
