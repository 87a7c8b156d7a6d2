"""Frames as bytes: each is drawn once, for all who watch the run with the same options."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.charts import arrays
from app.charts.entry import Entry
from app.web import events
from app.web.drawn_once import DrawnOnce

if TYPE_CHECKING:
    from ntk_core.engine import Run
    from ntk_core.engine.run import Frame
    from ntk_core.runs.theory import Theory

Draw = Callable[[Sequence[Entry], float, Mapping[str, Any]], Mapping[str, Any]]  # -> figures by panel


@dataclass(frozen=True)
class Picture:
    """One drawn frame, compressed: its data as JSON, in which arrays are named, and the arrays by name, as JSON too."""

    text: bytes
    arrays: Mapping[str, bytes]

    @classmethod
    def of(cls, data: Mapping[str, Any], found: Mapping[str, Any]) -> Picture:
        """The picture of these data and arrays."""
        return cls(_packed(data), {name: _packed(array) for name, array in found.items()})

    def __len__(self) -> int:
        return len(self.text) + sum(map(len, self.arrays.values()))

    def event(self, name: str, known: set[str]) -> bytes:
        """The event of that id, with the arrays that this viewer does not know yet; it knows them from now on."""
        new = [f'"{key}":{_unpacked(packed)}' for key, packed in self.arrays.items() if key not in known]
        known.update(self.arrays)
        return events.raw("frame", f'{_unpacked(self.text)[:-1]},"arrays":{{{",".join(new)}}}}}', name)


class FrameCache:
    """Drawn frames of runs, for one asyncio loop; runs whose frames are unused for longest are forgotten first.

    Args:
        draw: entries, time, options -> figures by panel.
        caption: spec, time -> the clock's line.
        summary: entries, time -> how the networks were trained, in words.
        limit: bytes of compressed frames kept; one run beyond it is kept whole.
    """

    def __init__(
        self,
        draw: Draw,
        caption: Callable[[Any, float], str],
        summary: Callable[[Sequence[Entry], float], str],
        limit: int = 32 << 20,
    ):
        self._draw, self._caption, self._summary = draw, caption, summary
        self._drawn: DrawnOnce[Picture] = DrawnOnce(limit)

    async def get(self, run: Run, spec: Any, theory: Theory, frame: Frame, options: Mapping[str, Any]) -> Picture:
        """The picture of this frame."""
        group = (run.task, spec.key, json.dumps(options, sort_keys=True))
        draw = lambda: self._encode(run, spec, theory, frame, options)  # noqa: E731
        return await self._drawn.get(group, frame.index, draw, frame.number)

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
        return Picture.of(data, found)


def _packed(data: Any) -> bytes:
    return zlib.compress(events.to_json(data).encode(), 1)


def _unpacked(packed: bytes) -> str:
    return zlib.decompress(packed).decode()
