"""One run as the web process sees it: its result so far, its parts, its state, and who watches it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ntk_core.engine.viewers import Viewers
from ntk_core.runs.parts import Part
from ntk_core.runs.result import Increment, Result, Schema

if TYPE_CHECKING:
    from ntk_core.runs.spec import ExperimentSpec

FINAL = ("finished", "stopped", "failed")


@dataclass(frozen=True)
class Frame:
    """A moment of the result: which output time, how many times it has changed, whether it is all there."""

    index: int
    number: int
    complete: bool


@dataclass
class PartState:
    """A part of a run on its way.

    `heard`: numbers of the messages that have arrived; `attempt`: 0, then 1, ...; `deaths`: of workers under it;
    `worker`: the address of the one that it began on.
    """

    part: Part
    state: str = "queued"
    progress: float = 0.0
    attempt: int = 0
    deaths: int = 0
    worker: str = ""
    heard: set[int] = field(default_factory=set)


class Run:
    """A submitted spec. Filled by the engine's threads, read from any thread; `changes()` serves an asyncio loop.

    Attributes:
        key: the spec's key; `task` is the name of this attempt on the cluster.
        state: "queued", "running", "finished", "stopped" or "failed".
        error: a sentence when the state is "failed"; what was finished is in the result.
        result: what has arrived; `size` is the memory that it takes, in bytes.
        version: grows at every change.
        owner: the viewer who asked for it.
        recalled: whether it only fetches what is stored.
        aside: whether it takes no training worker: networks before training, or a stored result.
        record: facts of a stored result (machine, seconds, created) where this one was not computed now, else None.
        note: a sentence about the run that is no failure, e.g. that its result could not be stored.
    """

    def __init__(
        self,
        spec: ExperimentSpec,
        task: str,
        schema: Schema,
        abandoned: Callable[[Run], None],
        grace: float = 10.0,
        patience: float = 0.0,
        owner: str = "",
    ):
        self.spec, self.key, self.task, self.owner = spec, spec.key, task, owner
        self.result, self.size = Result(schema), schema.nbytes
        self.state = "queued"
        self.error: str | None = None
        self.note: str | None = None
        self.record: dict[str, Any] | None = None
        self.recalled = self.aside = False
        self.facts: list[dict[str, Any]] = []
        self.version = 0
        self.predicted = 0.0
        self.viewers = Viewers(lambda: abandoned(self), grace, patience)
        self.parts: dict[str, PartState] = {}
        self._newest: dict[str, str] = {}  # the part that began last on each worker
        self._editions = [0] * len(self.result.times)
        self._reached = -1
        self._started = self._ended = 0.0
        self._progress = self._progress_at = 0.0
        self._changed = threading.Condition()
        self._listeners: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    # What is known so far

    @property
    def frames(self) -> list[Frame]:
        """Every output time that something has reached, in order."""
        with self._changed:
            editions = list(self._editions)
        return [Frame(i, number, self.result.complete(i)) for i, number in enumerate(editions) if number]

    @property
    def final(self) -> bool:
        """Whether nothing more will come."""
        return self.state in FINAL

    @property
    def progress(self) -> float:
        """Share of the work done, 0 to 1."""
        return 1.0 if self.state == "finished" else self._progress

    @property
    def time(self) -> float:
        """The training time t reached."""
        return float(self.result.times[self._reached]) if self._reached >= 0 else 0.0

    @property
    def elapsed(self) -> float:
        """Seconds since the run left the queue, until it ended."""
        return (self._ended or time.monotonic()) - self._started if self._started else 0.0

    @property
    def remaining(self) -> float | None:
        """Seconds still to go at the pace so far; None while there is no pace, 0 at the end."""
        if self.final:
            return 0.0
        if not 0 < self._progress <= 1:
            return None
        used, now = self._progress_at - self._started, time.monotonic()
        return max(0.0, used * (1 / self._progress - 1) - (now - self._progress_at))

    # Watching

    @contextmanager
    def watch(self, viewer: str = "viewer") -> Iterator[Run]:
        """Counts this viewer while the block runs; a run that nobody watches is given up after a while."""
        self.viewers.connect(viewer)
        try:
            yield self
        finally:
            self.viewers.disconnect(viewer)

    def stop(self, viewer: str = "") -> None:
        """This viewer needs the run no more; it is cancelled at once if nobody else watches it."""
        if not self.final:
            self.viewers.leave(viewer)

    def wait(self, timeout: float | None = None) -> str:
        """Blocks until the run ends or `timeout` seconds have passed, and returns its state."""
        with self._changed:
            self._changed.wait_for(lambda: self.final, timeout)
        return self.state

    @contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """An event of the running loop that is set at every change; clear it before you read."""
        event = asyncio.Event()
        with self._changed:
            self._listeners[event] = asyncio.get_running_loop()
        try:
            yield event
        finally:
            with self._changed:
                self._listeners.pop(event, None)

    async def changes(self) -> AsyncIterator[int]:
        """Yields the version now and after every change, each once, until the run has ended."""
        last = None
        with self.listening() as event:
            while True:
                event.clear()
                with self._changed:
                    final, version = self.final, self.version
                if version != last:  # of two changes at once, the second's call comes when both were seen
                    yield (last := version)
                if final:
                    return
                await event.wait()

    # Filled by the engine

    def begin(self, parts: Iterable[Part]) -> None:
        """The parts are known."""
        with self._changed:
            self.parts = {part.name: PartState(part) for part in parts}
            self._notify()

    def start(self, name: str = "", at: float | None = None, worker: str = "") -> None:
        """A part left the queue, at that moment of `time.time()` and on that worker if they are known."""
        with self._changed:
            if name in self.parts and worker:
                self.parts[name].worker = worker
                self._newest[worker] = name
            if name in self.parts and self.parts[name].state == "queued":
                self.parts[name].state = "running"
            if self.state == "queued":
                late = max(time.time() - at, 0.0) if at is not None else 0.0
                self.state, self._started = "running", time.monotonic() - late
                self._notify()

    def accept(self, name: str, number: int, increments: Iterable[bytes], progress: float | None = None) -> None:
        """Takes what a part adds, unless this message was here before or the run has ended."""
        self.start(name)
        with self._changed:
            part = self.parts.get(name)
            if self.final or (part is not None and number in part.heard):
                return
            if part is not None:
                part.heard.add(number)
            for data in increments:
                self._add(Increment.from_bytes(data))
            self._note(name, progress)
            self._notify()

    def _add(self, increment: Increment) -> None:
        self.result.add(increment)
        index = increment.place.get("time", 0)
        assert isinstance(index, int)
        self._editions[index] += 1
        self._reached = max(self._reached, index)

    def report(self, name: str, progress: float) -> None:
        """Takes word of a part's progress between increments."""
        self.start(name)
        with self._changed:
            if not self.final:
                self._note(name, progress)
                self._notify()

    def _note(self, name: str, progress: float | None) -> None:
        part = self.parts.get(name)
        if part is not None and progress is not None:
            part.progress = max(part.progress, progress)
        weights = [(max(p.part.seconds, 1e-9), p.progress) for p in self.parts.values()]
        total = sum(w for w, _ in weights)
        share = sum(w * p for w, p in weights) / total if total else progress or 0.0
        if share >= self._progress:
            self._progress, self._progress_at = share, time.monotonic()

    def retry(self, name: str) -> PartState:
        """The part begins again. A worker died of the part that it had begun last, not of those that had ended or not
        begun, whose outcome or place was lost with it.
        """
        with self._changed:
            part = self.parts[name]
            part.deaths += part.state == "running" and self._newest.get(part.worker, name) == name
            part.attempt, part.state, part.heard = part.attempt + 1, "queued", set()
            return part

    def end_part(self, name: str, state: str, facts: dict[str, Any] | None = None) -> None:
        """A part ended; one that failed leaves holes."""
        with self._changed:
            part = self.parts[name]
            part.state = state
            if facts:
                self.facts.append(facts)
            if state == "finished":
                self._note(name, 1.0)
            elif not self.final:
                self._leave_holes(part.part)
            self._notify()

    def _leave_holes(self, part: Part) -> None:
        for place in part.places:
            self.result.give_up(place)
        # Moments that are complete now, holes and all, are drawn once more.
        self._editions = [number + (number > 0) for number in self._editions]

    def fill(self, data: bytes, record: dict[str, Any]) -> None:
        """Takes a whole stored result."""
        result = Result.from_bytes(self.result.schema, data)
        with self._changed:
            if self.final:
                return
            self.result, self.record = result, record
            self._editions = [int(result.begun(i)) for i in range(len(self._editions))]
            self._reached = len(self._editions) - 1
            self._notify()

    def end(self, state: str, error: str | None = None) -> bool:
        """Ends the run; False if it had ended before."""
        with self._changed:
            if self.final:
                return False
            self.state, self.error, self._ended = state, error, time.monotonic()
            self._notify()
        self.viewers.close()
        return True

    def remark(self, note: str) -> None:
        """Adds a sentence that is no failure."""
        with self._changed:
            self.note = note
            self._notify()

    def _notify(self) -> None:
        self.version += 1
        self._changed.notify_all()
        for event, loop in self._listeners.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)
