"""What takes time to draw: done once, in a thread, for all who ask, and kept within bounds."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sized
from typing import Generic, TypeVar

Drawing = TypeVar("Drawing", bound=Sized)


class DrawnOnce(Generic[Drawing]):
    """Drawings by group and name, for one asyncio loop.

    Beyond `limit` (the sum of their lengths) whole groups are forgotten, those first that were unused for longest. The
    group used last stays whole, however large: who goes through one that does not fit would else find each drawing
    forgotten just before asking for it.
    """

    def __init__(self, limit: int):
        self._limit, self._size = limit, 0
        self._groups: OrderedDict[Hashable, dict[Hashable, Drawing]] = OrderedDict()
        self._drawing: dict[tuple[Hashable, Hashable], asyncio.Task[Drawing]] = {}

    async def get(self, group: Hashable, name: Hashable, draw: Callable[[], Drawing]) -> Drawing:
        """The drawing of that name; whoever asks first has it drawn, the others wait for the same one."""
        if group in self._groups:
            self._groups.move_to_end(group)
            if name in self._groups[group]:
                return self._groups[group][name]
        task = self._drawing.get((group, name))
        if task is None:
            task = asyncio.create_task(asyncio.to_thread(draw))
            self._drawing[group, name] = task
            task.add_done_callback(lambda done: self._keep(group, name, done))
        return await asyncio.shield(task)  # a viewer who leaves must not take the drawing from the others

    def _keep(self, group: Hashable, name: Hashable, task: asyncio.Task[Drawing]) -> None:
        del self._drawing[group, name]
        if task.cancelled() or task.exception() is not None:
            return  # those who waited for it have the exception
        self._groups.setdefault(group, {})[name] = task.result()
        self._groups.move_to_end(group)
        self._size += len(task.result())
        while self._size > self._limit and len(self._groups) > 1:
            forgotten = self._groups.popitem(last=False)[1]
            self._size -= sum(map(len, forgotten.values()))
