"""The ASGI application: `streamlit run app/server.py`.

Streamlit serves the pages; beside them are the routes of streams and files. The engine starts before the first visit.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import os
import pkgutil
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

# Streamlit puts this folder on the path; the packages `app` and `ntk_core` are in the one above it.
sys.path[:0] = [root for root in [str(Path(__file__).resolve().parents[1])] if root not in sys.path]

import streamlit as st  # noqa: E402

import app as package  # noqa: E402
from app import charts  # noqa: E402
from app.controls.forms import Control  # noqa: E402
from app.web import downloads, memory, resources  # noqa: E402
from app.web import shared_engine as server_state  # noqa: E402
from app.web.first_sight import FirstSight  # noqa: E402
from app.web.limit_pictures import LimitPictures  # noqa: E402
from app.web.settings import Settings  # noqa: E402
from app.web.stream import Streams  # noqa: E402
from ntk_core import experiments, presets  # noqa: E402
from ntk_core.engine import EngineError  # noqa: E402

logger = logging.getLogger("app.server")

SCRIPTS = ("app.main", "app.server")  # not for import: one runs inside sessions, the other is this


def base_path() -> str:
    """Where the app is served, "" or "/path": Streamlit prefixes its own routes, not ours."""
    path = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{path}" if path else ""


def chart_options(spec: Any) -> dict[str, Control]:
    """The options that the chart of this spec takes: the page's controls of the group "chart", by name."""
    view = importlib.import_module(f"app.views.{spec.experiment}").VIEW
    return {control.name: control for control in view.table if control.group == "chart"}


def warm_up() -> None:
    """Imports what the first visit would import, and compresses plotly.js."""
    for module in pkgutil.walk_packages(package.__path__, "app."):
        if module.name not in SCRIPTS:
            importlib.import_module(module.name)
    for name in experiments.names():
        experiments.load(name)
    resources.compressed_plotly()
    resources.chart_script_version()


def prime() -> None:
    """Runs what Home plays and works out every experiment's defaults: the pages' first sight is then at hand, and the
    paper's figures, which come recorded, after it.
    """
    engine = server_state.engine()
    movie = importlib.import_module("app.views.home").movie
    first_pictures = importlib.import_module("app.views.first_pictures")
    try:
        engine.shelf.refresh()
        engine.submit(movie())
        for name in experiments.names():
            engine.preview(experiments.load(name).Spec(experiment=name))
        first_pictures.prepare(first)
        for preset in presets.load():
            engine.preview(preset.spec)
            engine.recall(experiments.trained(preset.spec))
    except EngineError as error:
        logger.warning("the defaults are not worked out: %s", error)
    memory.give_back()


@asynccontextmanager
async def lifespan(_: Any) -> AsyncIterator[None]:
    """Starts the engine and warms up; closes both when the server leaves."""
    memory.share_heaps()
    await asyncio.gather(asyncio.to_thread(server_state.engine), asyncio.to_thread(warm_up))
    gc.collect()
    gc.freeze()  # what is here now stays: the collector need not walk it again
    _on_signal(streams.close)
    priming = asyncio.create_task(asyncio.to_thread(prime))
    try:
        yield
    finally:
        streams.close()
        await asyncio.to_thread(server_state.close, True)
        await priming


def _on_signal(close: Callable[[], None]) -> None:
    """Also calls `close` at SIGINT and SIGTERM: the server waits for open streams before it ends the lifespan."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        previous = signal.getsignal(number)

        def handle(received: int, frame: Any, previous: Any = previous) -> None:
            loop.call_soon_threadsafe(close)
            if callable(previous):
                previous(received, frame)

        signal.signal(number, handle)


# The workers, which read files of results, are told where those are that come with the app.
os.environ.setdefault("NTK_RECORDINGS", str(resources.ASSETS / "recordings"))
base = base_path()
STREAMS = Settings.from_environment().streams
streams = Streams(server_state.engine, charts.draw, charts.caption, charts.summary, chart_options, STREAMS)
pictures = LimitPictures(server_state.engine, chart_options)
first = FirstSight(["", *experiments.names(), "own_data"])
routes = [*streams.routes(base), *pictures.routes(base), *first.routes(base)]
for module in (downloads, resources):
    routes += module.routes(base, server_state.engine)
app = st.App("main.py", lifespan=lifespan, routes=routes)
