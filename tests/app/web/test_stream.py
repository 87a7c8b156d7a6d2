"""The stream of a run over real connections: order, sharing, options, leaving, hostile URLs."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import io
import itertools
import json
import math
import threading
import time
import zlib
from collections import Counter
from types import SimpleNamespace
from urllib.parse import quote, urlencode

import pandas
import pytest
import uvicorn
from starlette.applications import Starlette

from app import charts
from app.charts import arrays
from app.controls.forms import Control
from app.web import downloads, events
from app.web import stream as stream_module
from app.web.frames import FrameCache
from app.web.stream import NOT_DRAWN, Streams
from ntk_core import experiments
from ntk_core.engine import EngineError
from ntk_core.engine.run import Frame
from ntk_core.runs import files

LONG = 200.0
PATIENCE = 60.0
OPTIONS = {name: Control(name, "toggle", name, group="chart", default=False) for name in ("band", "other")}


class Server:
    """The stream's routes behind a real server, with a drawing function that counts."""

    def __init__(self, engine):
        self.drawn: Counter = Counter()
        self.broken_index = None
        self.streams = Streams(
            lambda: engine, self.draw, lambda spec, time: f"t = {time:g}", lambda entries, time: "counted",
            lambda spec: OPTIONS, most=3,
        )  # fmt: skip
        app = Starlette(routes=[*self.streams.routes("/base"), *downloads.routes("/base", lambda: engine)])
        self.uvicorn = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", timeout_graceful_shutdown=1))
        self.thread = threading.Thread(target=self.uvicorn.run, daemon=True)  # no test that fails keeps the process
        self.thread.start()
        while not self.uvicorn.started:
            time.sleep(0.01)
        self.port = self.uvicorn.servers[0].sockets[0].getsockname()[1]

    def draw(self, entries, time, options):
        (entry,) = entries
        index = entry.index(time)
        if index == self.broken_index:
            raise KeyError("a defect of the chart")
        self.drawn[entry.result.schema.nbytes, entry.spec.key, index, json.dumps(options)] += 1
        assert entry.theory["values"].size == entry.spec.frames
        seen = entry.until("values", time)[..., 0, :]  # (who, time)
        return {
            "panel": {
                "data": [
                    {"name": "now", "y": {"dtype": "f4", "bdata": "A" * 400}, "value": float(seen[0, -1])},
                    {"name": "so far", **arrays.history("so far", entry.times(time), seen)},
                ],
                "layout": {"options": dict(options), "inf": math.inf},
            }
        }

    def request(self, method, key, action, *, last="", **query):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        headers = {"Last-Event-ID": last} if last else {}
        path = f"/base/ntk/runs/{quote(key, safe='')}/{action}?{urlencode(query)}"
        connection.request(method, path, headers=headers)
        return connection, connection.getresponse()

    def stream(self, run, viewer="v", **query):
        """Yields (event, data) until the server ends the stream; comments are ("comment", text)."""
        connection, response = self.request("GET", run.key, "stream", viewer=viewer, **query)
        assert response.status == 200
        name = ""
        for line in response:
            text = line.decode().rstrip("\n")
            if text.startswith("event: "):
                name = text[7:]
            elif text.startswith("id: "):
                self.last = text[4:]
            elif text.startswith("data: "):
                yield name, json.loads(text[6:])
            elif text.startswith(":"):
                yield "comment", text
        connection.close()

    def close(self):
        self.uvicorn.should_exit = True
        self.thread.join(PATIENCE)


@pytest.fixture(scope="module")
def server(engine):
    with contextlib.closing(Server(engine)) as server:
        yield server


def frames(sent):
    return [data for name, data in sent if name == "frame"]


def test_complete_frames_in_order_then_the_end(server, engine, toy):
    sent = list(server.stream(engine.submit(toy(frames=5, pause=0.1))))
    assert [f["index"] for f in frames(sent)] == [0, 1, 2, 3, 4]
    third = frames(sent)[3]
    (name,) = {trace["y"]["ref"] for frame in frames(sent) for trace in frame["panels"]["panel"]["data"][:1]}
    assert (third["index"], third["time"], third["complete"]) == (3, 3.0, True)
    assert (third["caption"], third["summary"]) == ("t = 3", "counted")
    panel = third["panels"]["panel"]
    assert panel["layout"] == {"options": {}, "inf": None}
    assert panel["data"][0] == {"name": "now", "y": {"ref": name}, "value": 3.0}
    assert panel["data"][1]["history"]["x"] == 3.0  # the newest column alone
    # An array is sent once, with the first frame that has it.
    assert [list(frame["arrays"]) for frame in frames(sent)] == [[name], [], [], [], []]
    assert sent[0][0] == "status"
    assert sent[-2][0] == "status"
    assert sent[-2][1]["state"] == "finished"
    assert sent[-2][1]["progress"] == 1
    assert sent[-2][1]["remaining"] == 0
    assert sent[-1] == ("end", {"state": "finished", "error": None, "record": None})
    assert [name for name, _ in sent].count("end") == 1


def test_frames_are_live(server, engine, toy):
    run = engine.submit(toy(frames=4, pause=0.3))
    for name, _ in server.stream(run):
        if name == "frame":
            assert not run.final  # the first frame is here long before the last is computed
            break
    assert run.wait(PATIENCE) in ("stopped", "finished")


def test_partial_frames_are_replaced(server, engine, toy):
    sent = frames(server.stream(engine.submit(toy(frames=2, pause=0.3, who=2))))
    assert (0, False) in [(f["index"], f["complete"]) for f in sent]
    assert [f["index"] for f in sent if f["complete"]] == [0, 1]


def test_a_late_viewer_gets_everything_drawn_once(server, engine, toy):
    run = engine.submit(toy(frames=4))
    run.wait(PATIENCE)
    first = list(server.stream(run, "early", options='{"band": true, "other": false}'))
    again = list(server.stream(run, "late", options='{"band": true}'))
    assert [f["index"] for f in frames(again)] == [0, 1, 2, 3]
    assert frames(first) == frames(again)
    assert frames(again)[0]["panels"]["panel"]["layout"]["options"] == {"band": True}
    assert {count for key, count in server.drawn.items() if key[1] == run.key} == {1}
    assert sum(1 for key in server.drawn if key[1] == run.key) == 4


def test_a_run_larger_than_the_cache_is_drawn_once_for_all_who_watch(server, engine, toy, monkeypatch):
    monkeypatch.setattr(server.streams.frames._drawn, "_limit", 100)  # less than two frames
    run = engine.submit(toy(frames=6))
    run.wait(PATIENCE)
    first, again = (frames(server.stream(run, viewer)) for viewer in ("early", "late"))
    assert [f["index"] for f in again] == list(range(6))
    assert first == again
    assert [count for key, count in server.drawn.items() if key[1] == run.key] == [1] * 6


def test_a_queued_run_says_so_and_keeps_the_line_open(server, engine, toy, monkeypatch):
    monkeypatch.setattr(stream_module, "TICK", 0.05)
    monkeypatch.setattr(stream_module, "KEEP_ALIVE", 0.1)
    busy = engine.submit(toy(pause=LONG))
    while busy.state != "running":
        time.sleep(0.02)
    run = engine.submit(toy())
    sent = server.stream(run)
    name, status = next(sent)
    assert (name, status["state"]) == ("status", "queued")
    assert status["message"].startswith("waiting: one run before this one, about ")
    seen = list(itertools.islice(sent, 20))
    assert any(name == "comment" for name, _ in seen), seen
    run.stop("v")
    assert list(sent)[-1] == ("end", {"state": "stopped", "error": None, "record": None})
    busy.stop()


def test_a_failed_runs_sentence_ends_its_stream(server, engine, toy):
    sent = list(server.stream(engine.submit(toy(trouble="value"))))
    assert sent[-1] == ("end", {"state": "failed", "error": "frames: went wrong in the middle", "record": None})
    assert sent[-2][1]["message"] == "frames: went wrong in the middle"


def test_a_picture_that_cannot_be_drawn_leaves_the_others_and_the_training(server, engine, toy, monkeypatch, caplog):
    monkeypatch.setattr(server, "broken_index", 1)
    run = engine.submit(toy(frames=4))
    sent = list(server.stream(run))
    assert [f["index"] for f in frames(sent)] == [0, 2, 3]
    assert [data for name, data in sent if name == "problem"] == [{"index": 1, "message": NOT_DRAWN}]
    assert sent[-1] == ("end", {"state": "finished", "error": None, "record": None})
    assert run.state == "finished"
    assert "a defect of the chart" in caplog.text


def test_equal_options_are_drawn_once_however_they_are_written(server, engine, toy):
    run = engine.submit(toy(frames=2))
    run.wait(PATIENCE)
    ways = ['{"band": true}', '{"band": 1}', '{"band": "1"}', '{"other": false, "band": true}', '{"band": 1.0}']
    answers = [frames(server.stream(run, options=way)) for way in ways]
    assert all(answer == answers[0] for answer in answers)
    assert sum(count for key, count in server.drawn.items() if key[1] == run.key) == 2


def test_leaving_stops_a_run_that_nobody_else_watches(server, engine, toy):
    run = engine.submit(toy(pause=LONG))
    alone, both = server.stream(run, "one"), server.stream(run, "two")
    next(alone), next(both)
    assert server.request("POST", run.key, "leave", viewer="one")[1].status == 200
    assert list(alone)[-1] == ("end", {"state": "left", "error": None, "record": None})
    assert not run.final
    _, response = server.request("POST", run.key, "leave", viewer="two")
    assert json.loads(response.read()) == {"state": "stopped"}
    assert list(both)[-1] == ("end", {"state": "stopped", "error": None, "record": None})


def test_a_closed_page_stops_its_run_after_the_grace_time(server, engine, toy):
    run = engine.submit(toy(pause=LONG))
    connection, response = server.request("GET", run.key, "stream", viewer="v")
    response.readline()
    assert len(run.viewers) == 1
    response.close()
    connection.close()
    assert run.wait(PATIENCE) == "stopped"


def test_headers_keep_proxies_and_caches_away(server, engine, toy):
    run = engine.submit(toy(frames=1))
    response = server.request("GET", run.key, "stream", viewer="v")[1]
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-accel-buffering"] == "no"


KEY = "toy-0123456789abcdef0123"


@pytest.mark.parametrize(
    ("key", "query", "status", "sentence"),
    [
        (KEY, {"viewer": "v"}, 404, "not known"),
        ("toy", {"viewer": "v"}, 400, "key:"),
        ("../../etc/passwd", {"viewer": "v"}, 404, "Not Found"),
        (KEY + "0" * 10_000, {"viewer": "v"}, 400, "key:"),
        (None, {}, 400, "viewer:"),
        (None, {"viewer": "<script>"}, 400, "viewer:"),
        (None, {"viewer": "v" * 65}, 400, "viewer:"),
        (None, {"viewer": "v", "options": "{"}, 400, "not JSON"),
        (None, {"viewer": "v", "options": "[" * 400}, 400, "options:"),
        (None, {"viewer": "v", "options": "[]"}, 400, "JSON object"),
        (None, {"viewer": "v", "options": '{"band": {"b": 1}}'}, 400, "band must be"),
        (None, {"viewer": "v", "options": '{"band": NaN}'}, 400, "band must be"),
        (None, {"viewer": "v", "options": '{"band": 2}'}, 400, "band must be 1 (on) or 0 (off)"),
        (None, {"viewer": "v", "options": '{"A<b>": 1}'}, 400, "not known"),
        (None, {"viewer": "v", "options": '{"a": "' + "x" * 600 + '"}'}, 400, "at most 500"),
    ],
)
def test_hostile_urls_get_a_sentence(server, engine, toy, key, query, status, sentence):
    run = engine.submit(toy(frames=1))
    _, response = server.request("GET", key or run.key, "stream", **query)
    body = response.read().decode()
    assert response.status == status
    assert sentence in body
    assert len(body) < 200


def test_json_has_no_infinities():
    assert (
        events.event("x", {"a": [math.inf, 1.5], "b": (math.nan,)})
        == b'event: x\ndata: {"a":[null,1.5],"b":[null]}\n\n'
    )


def test_a_closing_server_ends_its_streams(engine, toy):
    run = engine.submit(toy(pause=LONG))
    try:
        with contextlib.closing(Server(engine)) as server:
            sent = server.stream(run)
            next(sent)
            server.uvicorn.servers[0].get_loop().call_soon_threadsafe(server.streams.close)
            assert "end" not in [name for name, _ in sent]  # ended by the server: the page will try again
    finally:
        run.stop("v")


@pytest.mark.parametrize(("method", "action"), [("GET", "stream"), ("POST", "leave")])
def test_an_engine_that_is_closing_is_said_to_be(server, monkeypatch, method, action):
    def refuse():
        raise EngineError("the engine is closing")

    monkeypatch.setattr(server.streams, "engine", refuse)
    _, response = server.request(method, KEY, action, viewer="v")
    assert (response.status, json.loads(response.read())["error"]) == (503, "the engine is closing")


def test_a_stream_that_is_told_something_as_it_is_closed_ends_too():
    async def close_as_something_happens():
        changed = asyncio.Event()
        waiting = asyncio.create_task(stream_module._wait(changed, PATIENCE))
        await asyncio.sleep(0)
        changed.set()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return waiting.cancelled()

    assert asyncio.run(close_as_something_happens())


def test_a_browser_that_comes_back_is_not_sent_what_it_has(server, engine, toy):
    run = engine.submit(toy(frames=5))
    run.wait(PATIENCE)
    whole = frames(server.stream(run))
    assert [f["index"] for f in whole] == [0, 1, 2, 3, 4]
    assert server.last == "5.4.1"
    rest = frames(server.stream(run, last="3.2.1"))
    assert [f["index"] for f in rest] == [3, 4]
    assert rest[1]["panels"] == whole[4]["panels"]
    for nonsense in ("x", "9" * 30, "1.2", "-1.0.0"):
        assert len(frames(server.stream(run, last=nonsense))) == 5


def test_the_limit_of_the_page_is_drawn_beside_a_sketch(server, engine, toy):
    page = toy(frames=6)
    engine.preview(page)
    sketch = engine.sketch(page)
    sketch.wait(PATIENCE)
    sent = frames(server.stream(sketch, of=page.key))  # `draw` asserts that the theory has the page's frames
    assert [f["index"] for f in sent] == [0]
    _, response = server.request("GET", sketch.key, "stream", viewer="v", of="circle-0123456789abcdef0123")
    assert response.status == 404
    _, response = server.request("GET", sketch.key, "stream", viewer="v", of="<script>")
    assert (response.status, "of:" in response.read().decode()) == (400, True)


def test_a_viewer_has_only_so_many_streams(server, engine, toy):
    run = engine.submit(toy(pause=LONG))
    open_ones = [server.stream(run, "many") for _ in range(3)]
    for stream in open_ones:
        next(stream)
    _, response = server.request("GET", run.key, "stream", viewer="many")
    assert response.status == 429
    assert "streams are open already" in response.read().decode()
    run.stop("many")
    for stream in open_ones:
        list(stream)
    _, response = server.request("GET", run.key, "stream", viewer="many")
    assert response.status == 200


def download(server, spec, name):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    connection.request("GET", f"/base/ntk/specs/{spec.key}/{name}")
    response = connection.getresponse()
    return response, response.read()


def test_downloads_are_the_spec_a_script_and_the_numbers(server, engine, toy):
    spec = toy(frames=3, who=2)
    engine.submit(spec).wait(PATIENCE)
    response, body = download(server, spec, "spec.json")
    assert response.status == 200
    assert json.loads(body)["frames"] == 3
    assert response.headers["content-disposition"] == f'attachment; filename="{spec.key}.json"'
    assert b"toy" in download(server, spec, "replay.py")[1]
    rows = download(server, spec, "result.csv")[1].decode().splitlines()
    assert rows[0].startswith("time,who,x,values")
    assert len(rows) == 1 + 3 * 2 * 3
    result = files.result_from_netcdf(download(server, spec, "result.nc")[1])
    assert result["values"][2, 1].tolist() == [102, 102, 102]
    assert pandas.read_parquet(io.BytesIO(download(server, spec, "result.parquet")[1])).shape[0] == 18
    assert files.theory_from_netcdf(download(server, spec, "theory.nc")[1])["values"].tolist() == [0, 1, 2]


def test_what_cannot_be_downloaded_gets_a_sentence(server, engine, toy):
    spec = toy(frames=4)
    assert download(server, spec, "spec.json")[0].status == 404  # not known here yet
    engine.preview(spec)
    response, body = download(server, spec, "result.csv")
    assert (response.status, json.loads(body)["error"]) == (
        404, "nothing has been trained with these settings yet: press Train first",
    )  # fmt: skip
    for name in ("result.exe", "passwd", "theory", "theory.csv.nc"):
        assert download(server, spec, name)[0].status == 404


@pytest.mark.parametrize("sizes", [{}, {"widths": (30, 60, 90), "seeds": 20, "snapshots": 60}])
def test_a_viewer_is_sent_a_fifth_of_every_number_each_time(sizes):
    """The whole would be x and y of every curve in 32 bits, and all histories anew, in every frame. Real networks:
    invented curves would compress too well.
    """
    spec = experiments.load("function_space").Spec(**{"widths": (30, 60), "seeds": 8} | sizes)
    theory, result = experiments.load("function_space").theory(spec), experiments.compute(spec)
    run, cache = SimpleNamespace(result=result), FrameCache(charts.draw, charts.caption, charts.summary)
    sent, known = events._Packed(), set()
    new = old = 0
    for index, time_ in enumerate(spec.times):
        picture = cache._encode(run, spec, theory, Frame(index, 1, True), {})
        new += len(sent.add(picture.event("1.1.1", known)))
        whole = charts.draw((charts.Entry(spec, theory, result),), time_)
        old += len(json.dumps({name: arrays.expanded(figure) for name, figure in whole.items()}))
    assert new < 0.2 * old


def test_a_compressed_stream_is_read_event_by_event(server, engine, toy):
    run = engine.submit(toy(frames=3))
    run.wait(PATIENCE)
    plain = b"".join(server.request("GET", run.key, "stream", viewer="v")[1])
    for accepted in ("deflate, gzip;q=0.5", "gzip;q=0, identity"):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        address = f"/base/ntk/runs/{run.key}/stream?viewer=v"
        connection.request("GET", address, headers={"accept-encoding": accepted})
        response = connection.getresponse()
        body = response.read()
        packed = response.headers.get("content-encoding") == "gzip"
        assert packed == (accepted == "deflate, gzip;q=0.5")
        text = zlib.decompress(body, wbits=31) if packed else body
        assert [line for line in text.splitlines() if line.startswith(b"event")] == [
            line for line in plain.splitlines() if line.startswith(b"event")
        ]
        connection.close()


def test_every_piece_of_a_compressed_stream_is_whole():
    packed, reader = events._Packed(), zlib.decompressobj(wbits=31)
    for piece in (events.event("a", [1, 2]), events.event("b", [3]) * 50, events.COMMENT):
        assert reader.decompress(packed.add(piece)) == piece
    assert reader.decompress(packed.end()) == b""
    assert reader.eof
