"""Files that the pages' scripts ask for, and the server's health.

GET {base}/ntk/plotly.min.js       plotly.js from assets, compressed once
GET {base}/ntk/live_chart.js       the charts' script, of the parts in app/live_chart
GET {base}/ntk/digits/{i}.png      digit i of the digits that come with the library, 28 x 28
GET {base}/ntk/health              whether this process lives: facts of its own, nothing asked of anybody
GET {base}/ntk/ready               whether runs can start: 200, or 503 while workers are missing
"""

from __future__ import annotations

import asyncio
import functools
import gzip
import hashlib
import os
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.web.served import packed_answer
from ntk_core.engine.errors import EngineError

if TYPE_CHECKING:
    from starlette.requests import Request

    from ntk_core.engine import Engine

ASSETS = Path(__file__).resolve().parents[2] / "assets"
DIGITS = Path(__file__).resolve().parents[2] / "ntk_core" / "data" / "mnist_5k.npz"
# The plotly package ships every kind of chart, three times this size, and that is most of what a page waits for.
PLOTLY_VERSION = "4.1.1"
PLOTLY = ASSETS / f"plotly-cartesian-{PLOTLY_VERSION}.min.js"
CHARTS = Path(__file__).resolve().parents[1] / "live_chart"
CHART_SCRIPT = "/ntk/live_chart.js"
CHART_PARTS = (
    "mount.js", "limit.js", "panels.js", "legend.js", "arrays.js", "events.js", "stream.js", "time_bar.js",
    "downloads.js", "theme.js",
)  # fmt: skip
HEAVY = ("torch", "pandas", "xarray", "scipy")  # what the web process should do without
YEAR = "public, max-age=31536000, immutable"
DAY = "public, max-age=86400"


def routes(base: str, engine: Callable[[], Engine]) -> list[Route]:
    """The routes of this module under the path `base`."""

    async def health(request: Request) -> JSONResponse:
        return JSONResponse(facts())

    async def ready(request: Request) -> JSONResponse:
        try:
            status = await asyncio.to_thread(lambda: engine().status())
        except EngineError as error:
            return JSONResponse({"ready": False, "error": str(error)}, status_code=503)
        there = bool(status["theory"] and status["training"])
        return JSONResponse({"ready": there} | status, status_code=200 if there else 503)

    return [
        Route(f"{base}/ntk/plotly.min.js", plotly_js),
        Route(f"{base}{CHART_SCRIPT}", chart_js),
        Route(f"{base}/ntk/digits/{{index:int}}.png", digit_png),
        Route(f"{base}/ntk/health", health),
        Route(f"{base}/ntk/ready", ready),
        Route(f"{base}/ntk/{{rest:path}}", nothing_here),  # Streamlit would answer with its page
    ]


def facts() -> dict[str, Any]:
    """This process: its id, resident memory in bytes, and which heavy packages it has imported."""
    rss = psutil.Process().memory_info().rss
    return {"status": "ok", "pid": os.getpid(), "rss": rss, "modules": [m for m in HEAVY if m in sys.modules]}


async def nothing_here(request: Request) -> JSONResponse:
    """What everything else under /ntk gets."""
    return JSONResponse({"error": "there is nothing at this address"}, status_code=404)


async def plotly_js(request: Request) -> Response:
    """plotly.js."""
    return await _versioned(request, compressed_plotly, PLOTLY_VERSION)


async def chart_js(request: Request) -> Response:
    """The charts' own script."""
    return await _versioned(request, compressed_chart_script, chart_script_version())


async def _versioned(request: Request, packed: Callable[[], bytes], version: str) -> Response:
    """A script; for ever where the URL names its version (?v=...), else for a day."""
    keep = YEAR if request.query_params.get("v") == version else DAY
    return packed_answer(request, await asyncio.to_thread(packed), "text/javascript", keep, f'"script-{version}"')


async def digit_png(request: Request) -> Response:
    """One digit, white on black."""
    index = request.path_params["index"]
    images = await asyncio.to_thread(_digits)
    if not 0 <= index < len(images):
        return JSONResponse({"error": f"digit: must be from 0 to {len(images) - 1}"}, status_code=404)
    body = png(images[index])
    headers = {"cache-control": DAY, "etag": f'"{hashlib.sha256(body).hexdigest()[:16]}"'}
    return Response(body, media_type="image/png", headers=headers)


def png(image: np.ndarray) -> bytes:
    """A PNG file of a grey image, uint8 (height, width)."""
    height, width = image.shape
    rows = np.zeros((height, width + 1), np.uint8)  # each row starts with its filter: 0, none
    rows[:, 1:] = image

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows.tobytes()))
        + chunk(b"IEND", b"")
    )


@functools.cache
def compressed_plotly() -> bytes:
    """plotly.js, gzipped (a tenth of a second, once)."""
    return gzip.compress(PLOTLY.read_bytes(), 6)


@functools.cache
def compressed_chart_script() -> bytes:
    """The parts of the charts' script as one module, gzipped."""
    return gzip.compress("\n".join((CHARTS / name).read_text(encoding="utf-8") for name in CHART_PARTS).encode(), 6)


@functools.cache
def chart_script_version() -> str:
    """Changes with the script."""
    return hashlib.sha256(gzip.decompress(compressed_chart_script())).hexdigest()[:12]


@functools.cache
def _digits() -> np.ndarray:
    with np.load(DIGITS) as file:
        return file["images"]
