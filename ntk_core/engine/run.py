"""One run as the web process sees it: its snapshots so far, its state, and who watches it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from ntk_core.engine.viewers import Viewers
from ntk_core.runs.snapshot import Snapshot

if TYPE_CHECKING:
    from ntk_core.runs.spec import ExperimentSpec

FINAL = ("finished", "stopped", "failed")


class Frame(NamedTuple):
    """A snapshot and the number of the message that brought it: a higher number replaces a lower one."""

    number: int
    snapshot: Snapshot


class Run:
    """A submitted spec. Filled by the engine's threads, read from any thread; `changes()` serves an asyncio loop.

    Attributes:
        key: the spec's key; `task` is the name of this attempt on the cluster.
        state: "queued", "running", "finished", "stopped" or "failed".
        error: a sentence when the state is "failed".
        version: grows at every change.
        bytes: size of the snapshots received.
    """

    def __init__(self, spec: ExperimentSpec, task: str, abandoned: Callable[[Run], None], grace: float = 10.0):
        self.spec, self.key, self.task = spec, spec.key, task
        self.state = "queued"
        self.error: str | None = None
        self.version = 0
        self.bytes = 0
        self.viewers = Viewers(lambda: abandoned(self), grace)
        self._frames: dict[int, Frame] = {}
        self._last: Snapshot | None = None
        self._sizes: dict[int, int] = {}
        self._started = self._ended = 0.0
        self._progress = self._progress_at = 0.0
        self._changed = threading.Condition()
        self._listeners: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    # What is known so far

    @property
    def frames(self) -> list[Frame]:
        """The newest snapshot of every index so far, in order of index, with the number that names its edition."""
        with self._changed:
            return [self._frames[index] for index in sorted(self._frames)]

    @property
    def snapshots(self) -> list[Snapshot]:
        """The newest snapshot of every index so far, in order of index."""
        return [frame.snapshot for frame in self.frames]

    @property
    def final(self) -> bool:
        """Whether nothing more will come."""
        return self.state in FINAL

    @property
    def progress(self) -> float:
        """Share of the work done, 0 to 1."""
        if self.state == "finished":
            return 1.0
        return self._progress

    @property
    def time(self) -> float:
        """The training time t reached."""
        return self._last.time if self._last else 0.0

    @property
    def info(self) -> dict[str, Any]:
        """Facts for the status line, from the last snapshot."""
        return dict(self._last.info) if self._last else {}

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
        """Counts this viewer while the block runs; when the last viewer has gone the run is cancelled."""
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
        """Yields the version now and after every change, until the run has ended."""
        with self.listening() as event:
            while True:
                event.clear()
                final = self.final
                yield self.version
                if final:
                    return
                await event.wait()

    # Filled by the engine

    def start(self) -> None:
        """The run left the queue."""
        with self._changed:
            if self.state == "queued":
                self.state, self._started = "running", time.monotonic()
                self._notify()

    def accept(self, number: int, data: bytes) -> None:
        """Takes a snapshot, unless a later edition of the same index is here or the run has ended."""
        self.start()
        snapshot = Snapshot.from_bytes(data)
        with self._changed:
            old = self._frames.get(snapshot.index)
            newer = old is None or number > old.number or snapshot.complete > old.snapshot.complete
            if self.final or not newer:
                return
            self._frames[snapshot.index] = Frame(number, snapshot)
            self.bytes += len(data) - self._sizes.get(snapshot.index, 0)
            self._sizes[snapshot.index] = len(data)
            if self._last is None or snapshot.progress >= self._last.progress:
                self._last = snapshot
            self._note(snapshot.progress)
            self._notify()

    def report(self, progress: float) -> None:
        """Takes word of progress between snapshots."""
        self.start()
        with self._changed:
            if not self.final:
                self._note(progress)
                self._notify()

    def _note(self, progress: float) -> None:
        if progress >= self._progress:
            self._progress, self._progress_at = progress, time.monotonic()

    def end(self, state: str, error: str | None = None) -> bool:
        """Ends the run; False if it had ended before."""
        with self._changed:
            if self.final:
                return False
            self.state, self.error, self._ended = state, error, time.monotonic()
            self._notify()
        self.viewers.close()
        return True

    def _notify(self) -> None:
        self.version += 1
        self._changed.notify_all()
        for event, loop in self._listeners.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)
