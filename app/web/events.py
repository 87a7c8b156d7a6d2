"""Server-sent events: their text, and a compressed response that ends at once when the browser leaves."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import orjson

from app.web.served import takes_gzip

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

SendBytes = Callable[[bytes], Awaitable[None]]

COMMENT = b": keep-alive\n\n"
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # proxies pass every event on at once
    (b"vary", b"accept-encoding"),
]
LEVEL = 4  # of compression: half a millisecond a frame


def event(name: str, data: Any) -> bytes:
    """One event with JSON data."""
    return raw(name, to_json(data))


def raw(name: str, text: str, number: str = "") -> bytes:
    """One event whose data are JSON already; a browser that comes back names the last `number` that it has."""
    head = f"id: {number}\n" if number else ""
    return f"{head}event: {name}\ndata: {text}\n\n".encode()


def to_json(data: Any) -> str:
    """Plain data, NumPy's numbers among them, as JSON on one line; numbers that JSON does not have become null."""
    return orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY).decode()


class EventStream:
    """An ASGI response whose body is written by `write(send)`, cancelled as soon as the client disconnects."""

    def __init__(self, write: Callable[[SendBytes], Awaitable[None]]):
        self._write = write

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the body until `write` returns or the client leaves."""
        packed = _Packed() if _takes_gzip(scope) else None
        headers = HEADERS + ([(b"content-encoding", b"gzip")] if packed else [])
        await send({"type": "http.response.start", "status": 200, "headers": headers})

        async def send_bytes(body: bytes) -> None:
            await send({"type": "http.response.body", "body": packed.add(body) if packed else body, "more_body": True})

        writing = asyncio.ensure_future(self._write(send_bytes))
        leaving = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writing, leaving):
                task.cancel()
            await asyncio.wait({writing, leaving})
        if not writing.cancelled():
            writing.result()  # an error of the writer is the server's to log
        await send({"type": "http.response.body", "body": packed.end() if packed else b"", "more_body": False})


class _Packed:
    """A gzip stream of which every piece can be read as soon as it has arrived; what a frame repeats of those before
    it costs next to nothing.
    """

    def __init__(self) -> None:
        self._zip = zlib.compressobj(LEVEL, wbits=31)

    def add(self, body: bytes) -> bytes:
        """The piece, compressed."""
        return self._zip.compress(body) + self._zip.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        """The stream's last bytes."""
        return self._zip.flush()


def _takes_gzip(scope: Scope) -> bool:
    accepted = b",".join(value for name, value in scope["headers"] if name == b"accept-encoding")
    return takes_gzip(accepted.decode("latin-1"))


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
