"""Frames as bytes: each is drawn once, for all who watch the run with the same options."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from app.web import events

if TYPE_CHECKING:
    from ntk_core.engine import Run
    from ntk_core.engine.run import Frame
    from ntk_core.runs.snapshot import Snapshot

Draw = Callable[..., Mapping[str, Any]]  # (spec, theory, snapshot, index, options) -> figures by panel


class FrameCache:
    """Encoded `frame` events, the ones unused for longest forgotten beyond `limit` bytes. For one asyncio loop.

    Args:
        draw: spec, theory, snapshot, index, options -> figures by panel.
        caption: spec, time -> the clock's line.
        limit: bytes kept.
    """

    def __init__(self, draw: Draw, caption: Callable[[Any, float], str], limit: int = 32 << 20):
        self._draw, self._caption, self._limit = draw, caption, limit
        self._drawn: OrderedDict[tuple, bytes] = OrderedDict()
        self._drawing: dict[tuple, asyncio.Task[bytes]] = {}
        self._bytes = 0

    async def get(self, run: Run, theory: Snapshot, frame: Frame, options: Mapping[str, Any]) -> bytes:
        """The event of this frame; whoever asks first draws it in a thread, the others wait for the same drawing."""
        key = (run.task, json.dumps(options, sort_keys=True), frame.snapshot.index, frame.number)
        if key in self._drawn:
            self._drawn.move_to_end(key)
            return self._drawn[key]
        task = self._drawing.get(key)
        if task is None:
            task = asyncio.create_task(asyncio.to_thread(self._encode, run.spec, theory, frame.snapshot, options))
            self._drawing[key] = task
            task.add_done_callback(lambda done: self._keep(key, done))
        return await asyncio.shield(task)  # a viewer who leaves must not take the drawing from the others

    def _encode(self, spec: Any, theory: Snapshot, snapshot: Snapshot, options: Mapping[str, Any]) -> bytes:
        data = {
            "index": snapshot.index,
            "time": snapshot.time,
            "complete": snapshot.complete,
            "panels": self._draw(spec, theory, snapshot, snapshot.index, options),
            "caption": self._caption(spec, snapshot.time),
        }
        return events.event("frame", data)

    def _keep(self, key: tuple, task: asyncio.Task[bytes]) -> None:
        del self._drawing[key]
        if task.cancelled() or task.exception() is not None:
            return  # those who waited for it have the exception
        self._drawn[key] = task.result()
        self._bytes += len(task.result())
        while self._bytes > self._limit and len(self._drawn) > 1:
            self._bytes -= len(self._drawn.popitem(last=False)[1])
