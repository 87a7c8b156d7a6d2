"""What takes time to draw: done once, in a thread, for all who ask, and kept within bounds."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sized
from typing import Generic, TypeVar

Drawing = TypeVar("Drawing", bound=Sized)


class DrawnOnce(Generic[Drawing]):
    """Drawings by group and name, for one asyncio loop; of each name the newest edition is kept.

    Beyond `limit` (the sum of their lengths) whole groups are forgotten, those first that were unused for longest. The
    group used last stays whole, however large: who goes through one that does not fit would else find each drawing
    forgotten just before asking for it.
    """

    def __init__(self, limit: int):
        self._limit, self._size = limit, 0
        self._groups: OrderedDict[Hashable, dict[Hashable, tuple[int, Drawing]]] = OrderedDict()
        self._drawing: dict[tuple[Hashable, Hashable, int], asyncio.Task[Drawing]] = {}

    async def get(self, group: Hashable, name: Hashable, draw: Callable[[], Drawing], edition: int = 0) -> Drawing:
        """The drawing of that name; whoever asks first has it drawn, the others wait for the same one."""
        if group in self._groups:
            self._groups.move_to_end(group)
            kept, drawing = self._groups[group].get(name, (None, None))
            if drawing is not None and kept == edition:
                return drawing
        task = self._drawing.get((group, name, edition))
        if task is None:
            task = asyncio.create_task(asyncio.to_thread(draw))
            self._drawing[group, name, edition] = task
            task.add_done_callback(lambda done: self._keep(group, name, edition, done))
        return await asyncio.shield(task)  # a viewer who leaves must not take the drawing from the others

    def _keep(self, group: Hashable, name: Hashable, edition: int, task: asyncio.Task[Drawing]) -> None:
        del self._drawing[group, name, edition]
        if task.cancelled() or task.exception() is not None:
            return  # those who waited for it have the exception
        drawings = self._groups.setdefault(group, {})
        self._groups.move_to_end(group)
        if name in drawings:
            if drawings[name][0] > edition:
                return  # it came late: nobody will ask for it again
            self._size -= len(drawings[name][1])
        drawings[name] = edition, task.result()
        self._size += len(task.result())
        while self._size > self._limit and len(self._groups) > 1:
            forgotten = self._groups.popitem(last=False)[1]
            self._size -= sum(len(drawing) for _, drawing in forgotten.values())
