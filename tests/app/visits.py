"""A browser's part of Streamlit's protocol, as far as a visit goes: connect, ask for a page, read until it is done."""

from __future__ import annotations

import asyncio
import re
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
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


_HELD: dict[str, Callable[[Any], tuple[str, Any]]] = {
    "slider": lambda w: ("double_array_value", list(w.value if w.set_value else w.default)),
    "number_input": lambda w: ("double_value", w.value if w.set_value else w.default),
    "checkbox": lambda w: ("bool_value", w.value if w.set_value else w.default),
    "selectbox": lambda w: ("string_value", w.raw_value if w.set_value else w.options[w.default]),
    "multiselect": lambda w: ("string_array_value", list(w.raw_values)),
    "button_group": lambda w: ("string_array_value", list(w.raw_values)),
    "text_input": lambda w: ("string_value", w.value if w.set_value else w.default),
    "text_area": lambda w: ("string_value", w.value if w.set_value else w.default),
}


class Tab:
    """One tab of a browser: what its address says, and what its widgets hold (id -> field of the protocol, value).

    A widget begins with its default unless it comes with a value, and keeps what it holds until another value comes.
    """

    def __init__(self, socket: ClientConnection, page: str, query: str = ""):
        self.socket, self.page, self.query = socket, page, query
        self.widgets: dict[str, tuple[str, Any]] = {}

    async def ask(self) -> None:
        """Asks for a run of the script."""
        ask = BackMsg()
        ask.rerun_script.page_name, ask.rerun_script.query_string = self.page, self.query
        for name, (kind, value) in self.widgets.items():
            widget = ask.rerun_script.widget_states.widgets.add(id=name)
            if kind.endswith("array_value"):
                getattr(widget, kind).data.extend(value)
            else:
                setattr(widget, kind, value)
        await self.socket.send(ask.SerializeToString())

    async def run(self) -> list[ForwardMsg]:
        """One run of the script, and all that it sends."""
        await self.ask()
        messages = []
        while not messages or messages[-1].WhichOneof("type") != "script_finished":
            messages.append(await self.take())
        return messages

    async def rest(self, seconds: float) -> list[ForwardMsg]:
        """What comes until nothing has come for so long."""
        messages = []
        while True:
            try:
                messages.append(await asyncio.wait_for(self.take(), seconds))
            except TimeoutError:
                return messages

    async def take(self) -> ForwardMsg:
        """The next message, in effect."""
        message = ForwardMsg.FromString(await self.socket.recv())  # type: ignore[arg-type]
        if message.WhichOneof("type") == "page_info_changed":
            self.query = message.page_info_changed.query_string
        kind = message.delta.new_element.WhichOneof("type")
        if kind in _HELD:
            widget = getattr(message.delta.new_element, kind)
            if widget.set_value or widget.id not in self.widgets:
                self.widgets[widget.id] = _HELD[kind](widget)
        if expander := message.delta.add_block.expandable.id:
            self.widgets.setdefault(expander, ("bool_value", message.delta.add_block.expandable.expanded))
        return message

    def named(self, control: str) -> str:
        """The id of a control's widget, or of what unfolds."""
        (name,) = [name for name in self.widgets if re.search(f"-{self.page}[.:]{control}$", name)]
        return name

    def move(self, control: str, value: Any) -> None:
        """Has a control's widget hold another value, as a visitor does."""
        name = self.named(control)
        self.widgets[name] = (self.widgets[name][0], value)


@asynccontextmanager
async def opened(port: int, page: str, base: str, query: str = "") -> AsyncIterator[Tab]:
    """A tab that has been led to a page, and has asked for nothing yet."""
    address = f"ws://127.0.0.1:{port}{base}/_stcore/stream"
    async with connect(address, subprotocols=["streamlit"], max_size=None) as socket:  # type: ignore[list-item]
        yield Tab(socket, page, query)


async def _reruns(port: int, page: str, base: str, times: int, clock: Callable[[], float]) -> tuple[float, int]:
    async with opened(port, page, base) as tab:
        for _ in range(6):  # until what is made once is made
            messages = await tab.run()
        began = clock()
        for _ in range(times):
            messages = await tab.run()
        return (clock() - began) / times, sum(m.ByteSize() for m in messages)


async def _moves(port: int, page: str, base: str, control: str, values: Iterable[float]) -> list[Moved]:
    async with opened(port, page, base) as tab:
        await tab.run()
        found = []
        for value in values:
            tab.move(control, [value])
            began = time.perf_counter()
            await tab.ask()
            limit, start = await _limit(tab.socket)
            address = f"http://127.0.0.1:{port}{base}{limit}"
            await asyncio.to_thread(_fetched, f"{address}&at={start}")
            seen = time.perf_counter() - began
            await asyncio.to_thread(_fetched, address)
            found.append(Moved(seen, time.perf_counter() - began))
            while (await tab.take()).WhichOneof("type") != "script_finished":
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


async def _hurry(port: int, page: str, base: str, times: int, pause: float) -> list[ForwardMsg]:
    async with opened(port, page, base) as tab:
        for _ in range(times):
            await tab.ask()
            await asyncio.sleep(pause)
        messages = [await asyncio.wait_for(tab.take(), 5.0)]
        return messages + await tab.rest(2.0)


async def _visit(port: int, page: str, base: str, query: str) -> list[ForwardMsg]:
    async with opened(port, page, base, query) as tab:
        return await tab.run()
