"""A browser's part of Streamlit's protocol, as far as a visit goes: connect, ask for a page, read until it is done."""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import connect


def visit(port: int, page: str = "", base: str = "", **query: str) -> list[ForwardMsg]:
    """Everything that the server sends for one run of a page's script."""
    return asyncio.run(asyncio.wait_for(_visit(port, page, base, urlencode(query)), 60))


def hurry(port: int, page: str, base: str, times: int, pause: float) -> list[ForwardMsg]:
    """Everything that the server sends to a session whose reruns are asked for faster than they end."""
    return asyncio.run(asyncio.wait_for(_hurry(port, page, base, times, pause), 120))


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
        await socket.send(ask.SerializeToString())
        messages = []
        while True:
            message = ForwardMsg.FromString(await socket.recv())  # type: ignore[arg-type]
            messages.append(message)
            if message.WhichOneof("type") == "script_finished":
                return messages
