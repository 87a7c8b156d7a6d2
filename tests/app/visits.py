"""A browser's part of Streamlit's protocol, as far as a visit goes: connect, ask for a page, read until it is done."""

from __future__ import annotations

import asyncio
import re
import time
import urllib.request
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import urlencode

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect


def visit(port: int, page: str = "", base: str = "", **query: str) -> list[ForwardMsg]:
    """Everything that the server sends for one run of a page's script."""
    return asyncio.run(asyncio.wait_for(_visit(port, page, base, urlencode(query)), 60))


def hurry(port: int, page: str, base: str, times: int, pause: float) -> list[ForwardMsg]:
    """Everything that the server sends to a session whose reruns are asked for faster than they end."""
    return asyncio.run(asyncio.wait_for(_hurry(port, page, base, times, pause), 120))


def reruns(port: int, page: str, base: str, times: int, clock: Callable[[], float]) -> tuple[float, int]:
    """A session whose controls stay as they are asks for so many runs, one after the other: what the clock says that
    one costs, and how many bytes come.
    """
    return asyncio.run(asyncio.wait_for(_reruns(port, page, base, times, clock), 600))


class Moved(NamedTuple):
    """What a control's move took: seconds until the picture of the limit had come, and those of its other moments."""

    seen: float
    whole: float


def moves(port: int, page: str, base: str, control: str, values: Iterable[float]) -> list[Moved]:
    """A session whose control takes these values, one after the other, each when the answer to the last is there."""
    return asyncio.run(asyncio.wait_for(_moves(port, page, base, control, values), 600))


def held(messages: Iterable[ForwardMsg]) -> dict[str, tuple[str, Any]]:
    """What a browser's widgets hold after these messages: id -> (field of the protocol, value)."""
    found = {}
    for message in messages:
        kind = message.delta.new_element.WhichOneof("type")
        if kind in _HELD:
            widget = getattr(message.delta.new_element, kind)
            found[widget.id] = _HELD[kind](widget)
    return found


_HELD: dict[str, Callable[[Any], tuple[str, Any]]] = {
    "slider": lambda w: ("double_array_value", list(w.value if w.set_value else w.default)),
    "number_input": lambda w: ("double_value", w.value if w.set_value else w.default),
    "checkbox": lambda w: ("bool_value", w.value if w.set_value else w.default),
    "selectbox": lambda w: ("string_value", w.raw_value if w.set_value else w.options[w.default]),
    "multiselect": lambda w: ("string_array_value", list(w.raw_values)),
    "button_group": lambda w: ("string_array_value", list(w.raw_values)),
    "text_input": lambda w: ("string_value", w.value if w.set_value else w.default),
}


async def _reruns(port: int, page: str, base: str, times: int, clock: Callable[[], float]) -> tuple[float, int]:
    address = f"ws://127.0.0.1:{port}{base}/_stcore/stream"
    async with connect(address, subprotocols=["streamlit"], max_size=None) as socket:  # type: ignore[list-item]
        ask = BackMsg()
        ask.rerun_script.page_name = page
        messages = await _run(socket, ask)
        for name, (kind, value) in held(messages).items():
            widget = ask.rerun_script.widget_states.widgets.add(id=name)
            if kind.endswith("array_value"):
                getattr(widget, kind).data.extend(value)
            else:
                setattr(widget, kind, value)
        for _ in range(5):  # until what is made once is made
            messages = await _run(socket, ask)
        began = clock()
        for _ in range(times):
            messages = await _run(socket, ask)
        return (clock() - began) / times, sum(m.ByteSize() for m in messages)


async def _moves(port: int, page: str, base: str, control: str, values: Iterable[float]) -> list[Moved]:
    address = f"ws://127.0.0.1:{port}{base}/_stcore/stream"
    async with connect(address, subprotocols=["streamlit"], max_size=None) as socket:  # type: ignore[list-item]
        ask = BackMsg()
        ask.rerun_script.page_name = page
        controls = held(await _run(socket, ask))
        (moved,) = [name for name in controls if name.endswith(f"-{page}.{control}")]
        widgets = {}
        for name, (kind, value) in controls.items():
            widgets[name] = ask.rerun_script.widget_states.widgets.add(id=name)
            if kind.endswith("array_value"):
                getattr(widgets[name], kind).data.extend(value)
            else:
                setattr(widgets[name], kind, value)
        found = []
        for value in values:
            getattr(widgets[moved], controls[moved][0]).data[:] = [value]
            began = time.perf_counter()
            await socket.send(ask.SerializeToString())
            limit, start = await _limit(socket)
            address = f"http://127.0.0.1:{port}{base}{limit}"
            await asyncio.to_thread(_fetched, f"{address}&at={start}")
            seen = time.perf_counter() - began
            await asyncio.to_thread(_fetched, address)
            found.append(Moved(seen, time.perf_counter() - began))
            while ForwardMsg.FromString(await socket.recv()).WhichOneof("type") != "script_finished":  # type: ignore[arg-type]
                pass
        return found


async def _limit(socket: ClientConnection) -> tuple[str, int]:
    """Where the pictures of the limit are, and which is seen first, as soon as the page says so."""
    while True:
        message: bytes = await socket.recv()  # type: ignore[assignment]
        if address := re.search(rb"/ntk/limits/[^\"\\\\]+", message):
            start = re.search(rb'"start": *([0-9]+)', message)
            assert start, "the page does not say which picture is seen first"
            return address[0].decode(), int(start[1])
        if ForwardMsg.FromString(message).WhichOneof("type") == "script_finished":
            raise AssertionError("the page shows no limit")


def _fetched(address: str) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(address, headers={"accept-encoding": "gzip"})) as answer:
        return answer.read()


async def _run(socket: ClientConnection, ask: BackMsg) -> list[ForwardMsg]:
    await socket.send(ask.SerializeToString())
    messages = []
    while True:
        messages.append(ForwardMsg.FromString(await socket.recv()))  # type: ignore[arg-type]
        if messages[-1].WhichOneof("type") == "script_finished":
            return messages


async def _hurry(port: int, page: str, base: str, times: int, pause: float) -> list[ForwardMsg]:
    address = f"ws://127.0.0.1:{port}{base}/_stcore/stream"
    async with connect(address, subprotocols=["streamlit"], max_size=None) as socket:  # type: ignore[list-item]
        ask = BackMsg()
        ask.rerun_script.page_name = page
        for _ in range(times):
            await socket.send(ask.SerializeToString())
            await asyncio.sleep(pause)
        messages = []
        while True:
            try:
                message = await asyncio.wait_for(socket.recv(), 5.0 if not messages else 2.0)
            except TimeoutError:
                return messages  # nothing more comes: the last run has ended
            messages.append(ForwardMsg.FromString(message))  # type: ignore[arg-type]


async def _visit(port: int, page: str, base: str, query: str) -> list[ForwardMsg]:
    address = f"ws://127.0.0.1:{port}{base}/_stcore/stream"
    async with connect(address, subprotocols=["streamlit"], max_size=None) as socket:  # type: ignore[list-item]
        ask = BackMsg()
        ask.rerun_script.query_string = query
        ask.rerun_script.page_name = page
        return await _run(socket, ask)
