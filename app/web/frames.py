"""Frames as bytes: each is drawn once, for all who watch the run with the same options."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from app.charts import arrays
from app.charts.entry import Entry
from app.web import events

if TYPE_CHECKING:
    from ntk_core.engine import Run
    from ntk_core.engine.run import Frame
    from ntk_core.runs.theory import Theory

Draw = Callable[[Sequence[Entry], float, Mapping[str, Any]], Mapping[str, Any]]  # -> figures by panel


@dataclass(frozen=True)
class Picture:
    """One drawn frame: its data as JSON, in which arrays are named, and the arrays by name, as JSON too."""

    text: str
    arrays: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Characters."""
        return len(self.text) + sum(map(len, self.arrays.values()))

    def event(self, name: str, known: set[str]) -> bytes:
        """The event of that id, with the arrays that this viewer does not know yet; it knows them from now on."""
        new = [f'"{key}":{text}' for key, text in self.arrays.items() if key not in known]
        known.update(self.arrays)
        return events.raw("frame", f'{self.text[:-1]},"arrays":{{{",".join(new)}}}}}', name)


class FrameCache:
    """Drawn frames, the ones unused for longest forgotten beyond `limit` characters. For one asyncio loop.

    Args:
        draw: entries, time, options -> figures by panel.
        caption: spec, time -> the clock's line.
        summary: entries, time -> how the networks were trained, in words.
        limit: characters kept.
    """

    def __init__(
        self,
        draw: Draw,
        caption: Callable[[Any, float], str],
        summary: Callable[[Sequence[Entry], float], str],
        limit: int = 32 << 20,
    ):
        self._draw, self._caption, self._summary, self._limit = draw, caption, summary, limit
        self._drawn: OrderedDict[tuple, Picture] = OrderedDict()
        self._drawing: dict[tuple, asyncio.Task[Picture]] = {}
        self._size = 0

    async def get(self, run: Run, spec: Any, theory: Theory, frame: Frame, options: Mapping[str, Any]) -> Picture:
        """The picture of this frame; whoever asks first draws it in a thread, the others wait for the same drawing."""
        key = (run.task, spec.key, json.dumps(options, sort_keys=True), frame.index, frame.number)
        if key in self._drawn:
            self._drawn.move_to_end(key)
            return self._drawn[key]
        task = self._drawing.get(key)
        if task is None:
            task = asyncio.create_task(asyncio.to_thread(self._encode, run, spec, theory, frame, options))
            self._drawing[key] = task
            task.add_done_callback(lambda done: self._keep(key, done))
        return await asyncio.shield(task)  # a viewer who leaves must not take the drawing from the others

    def _encode(self, run: Run, spec: Any, theory: Theory, frame: Frame, options: Mapping[str, Any]) -> Picture:
        time = float(run.result.times[frame.index])
        entries = (Entry(spec, theory, run.result),)
        figures, found = arrays.shared(arrays.newest(self._draw(entries, time, options)))
        data = {
            "index": frame.index,
            "time": time,
            "complete": frame.complete,
            "panels": figures,
            "caption": self._caption(spec, time),
            "summary": self._summary(entries, time),
        }
        return Picture(events.to_json(data), {name: events.to_json(array) for name, array in found.items()})

    def _keep(self, key: tuple, task: asyncio.Task[Picture]) -> None:
        del self._drawing[key]
        if task.cancelled() or task.exception() is not None:
            return  # those who waited for it have the exception
        self._drawn[key] = task.result()
        self._size += task.result().size
        while self._size > self._limit and len(self._drawn) > 1:
            self._size -= self._drawn.popitem(last=False)[1].size
