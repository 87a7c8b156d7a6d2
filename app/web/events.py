"""Server-sent events: their text, and a response that ends at once when the browser leaves."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

SendBytes = Callable[[bytes], Awaitable[None]]

COMMENT = b": keep-alive\n\n"
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # proxies pass every event on at once
]


def event(name: str, data: Any) -> bytes:
    """One event with JSON data."""
    return raw(name, to_json(data))


def raw(name: str, text: str, number: str = "") -> bytes:
    """One event whose data are JSON already; a browser that comes back names the last `number` that it has."""
    head = f"id: {number}\n" if number else ""
    return f"{head}event: {name}\ndata: {text}\n\n".encode()


def to_json(data: Any) -> str:
    """Plain data as JSON on one line; numbers that JSON does not have become null."""
    return json.dumps(finite(data), separators=(",", ":"), allow_nan=False)


def finite(data: Any) -> Any:
    """The same plain data with None for every infinite or undefined number."""
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, dict):
        return {key: finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [finite(value) for value in data]
    return data


class EventStream:
    """An ASGI response whose body is written by `write(send)`, cancelled as soon as the client disconnects."""

    def __init__(self, write: Callable[[SendBytes], Awaitable[None]]):
        self._write = write

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the body until `write` returns or the client leaves."""
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})

        async def send_bytes(body: bytes) -> None:
            await send({"type": "http.response.body", "body": body, "more_body": True})

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
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
