"""The stream of a run as server-sent events, and the viewer's way out of it.

GET  {base}/ntk/runs/{key}/stream?viewer=ID&options=JSON&of=KEY     events `frame`, `problem`, `status`, `end`
POST {base}/ntk/runs/{key}/leave?viewer=ID                          the viewer's Stop button

`of` names another spec whose limit is drawn beside the run: that of the page, where the run is of its networks before
training. A frame's id is {complete}.{index}.{edition}: how many leading moments were sent whole, and which one this is.
A browser that comes back with it as Last-Event-ID is not sent again what it has.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.controls.forms import Control
from app.web import events, url_checks
from app.web.frames import Draw, FrameCache
from ntk_core.engine.errors import EngineError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from app.charts.entry import Entry
    from ntk_core.engine import Engine, Run
    from ntk_core.engine.run import Frame
    from ntk_core.runs.theory import Theory

logger = logging.getLogger(__name__)

TICK = 1.0  # seconds between status events while nothing else happens in a running run
KEEP_ALIVE = 15.0  # seconds between comments that keep proxies from closing a quiet stream
QUEUED = "waiting for a free worker"
QUEUED_BEHIND = "waiting: {runs} before this one, about {wait} to go"
NOT_DRAWN = "this moment could not be drawn; the server's log has the details"
BROKEN = "the stream of this run broke; the server's log has the details"


class Streams:
    """The open streams of a server: all show drawings of the same cache, and end together when the server closes.

    Args:
        engine: gives the engine.
        draw: `app.charts.draw`, or another function of the same signature.
        caption: `app.charts.caption`: spec and time -> the clock's line.
        summary: `app.charts.summary`: entries and time -> how the networks were trained.
        options: the controls of the options that a spec's chart takes, by name.
        most: streams that one viewer may have open.
    """

    def __init__(
        self,
        engine: Callable[[], Engine],
        draw: Draw,
        caption: Callable[[Any, float], str],
        summary: Callable[[Sequence[Entry], float], str],
        options: Callable[[Any], Mapping[str, Control]],
        most: int = 12,
    ):
        self.engine, self.options, self.most = engine, options, most
        self.frames = FrameCache(draw, caption, summary)
        self._viewers: Counter[str] = Counter()
        self._open: set[asyncio.Task] = set()
        self.closing = False

    def routes(self, base: str) -> list[Route]:
        """The two routes under the path `base`."""
        return [
            Route(f"{base}/ntk/runs/{{key}}/stream", self.stream, methods=["GET"]),
            Route(f"{base}/ntk/runs/{{key}}/leave", self.leave, methods=["POST"]),
        ]

    async def stream(self, request: Request) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
        """All complete frames so far in order, then live ones, until the run has ended."""
        try:
            run, viewer = self._run(request), url_checks.viewer(request)
            options = url_checks.options(request, self.options(run.spec))
            spec, seen = self._spec(request, run), url_checks.last_event(request)
            if self._viewers[viewer] >= self.most:
                raise url_checks.UrlError(f"{self.most} streams are open already: close another page", 429)
        except (url_checks.UrlError, EngineError) as problem:
            return url_checks.refusal(problem)
        return events.EventStream(lambda send: self._watched(run, spec, viewer, options, seen, send))

    async def leave(self, request: Request) -> Response:
        """The viewer leaves for good; a run that nobody watches is cancelled at once."""
        try:
            run, viewer = self._run(request), url_checks.viewer(request)
        except (url_checks.UrlError, EngineError) as problem:
            return url_checks.refusal(problem)
        await asyncio.to_thread(run.stop, viewer)
        return JSONResponse({"state": run.state})

    def close(self) -> None:
        """Ends every stream: a server that shuts down waits for its open connections."""
        self.closing = True
        for task in self._open:
            task.cancel()

    def _run(self, request: Request) -> Run:
        run = self.engine().get(url_checks.key(request))
        if run is None:
            raise url_checks.UrlError("this run is not known here any more: start it again", 404)
        return run

    def _spec(self, request: Request, run: Run) -> Any:
        """The spec whose limit is drawn: the run's own, or the one that `of` names."""
        name = url_checks.other_key(request)
        spec = run.spec if name is None else self.engine().known_spec(name)
        if spec is None:
            raise url_checks.UrlError("of: this page's settings are not known here any more: reload the page", 404)
        if spec.experiment != run.spec.experiment:
            raise url_checks.UrlError("of: must be of the same experiment as the run")
        return spec

    async def _watched(
        self, run: Run, spec: Any, viewer: str, options: dict[str, Any], seen: int, send: events.SendBytes
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self.closing:
            return
        self._open.add(task)
        self._viewers[viewer] += 1
        try:
            with run.watch(viewer):
                await self._follow(run, viewer, _View(spec, options, seen), send)
        except Exception:
            # The browser would reconnect to a stream that broke, and meet the same error for ever.
            logger.exception("the stream of run %s broke", run.key)
            await send(events.event("end", {"state": "failed", "error": BROKEN}))
        finally:
            self._open.discard(task)
            self._viewers -= Counter([viewer])  # drops what falls to zero

    async def _follow(self, run: Run, viewer: str, view: _View, send: events.SendBytes) -> None:
        quiet = 0.0
        with run.listening() as changed:
            theory = await asyncio.to_thread(lambda: self.engine().preview(view.spec).theory)
            while True:
                changed.clear()
                final, left = run.final, viewer not in run.viewers
                if quiet == 0 or run.state == "running":
                    await send(events.event("status", status(run, self.engine())))
                await self._send_new(run, theory, view, send)
                if final or left:
                    state = run.state if final else "left"
                    await send(events.event("status", status(run, self.engine())))
                    await send(events.event("end", {"state": state, "error": run.error, "record": run.record}))
                    return
                quiet = 0.0 if await _wait(changed, TICK) else quiet + TICK
                if quiet >= KEEP_ALIVE:
                    await send(events.COMMENT)
                    quiet = TICK

    async def _send_new(self, run: Run, theory: Theory, view: _View, send: events.SendBytes) -> None:
        """Sends what this viewer has not seen: every complete frame, and the newest partial one."""
        frames = run.frames
        for frame in frames:
            wanted = frame.complete or frame is frames[-1]
            if wanted and view.sent.get(frame.index) != frame.number and frame.index >= view.seen:
                view.sent[frame.index] = frame.number
                await send(await self._picture(run, theory, frame, view))

    async def _picture(self, run: Run, theory: Theory, frame: Frame, view: _View) -> bytes:
        """The frame's event; a sentence in its place where it cannot be drawn, so that the others still come."""
        try:
            picture = await self.frames.get(run, view.spec, theory, frame, view.options)
        except Exception:
            logger.exception("picture %d of run %s could not be drawn", frame.index, run.key)
            return events.event("problem", {"index": frame.index, "message": NOT_DRAWN})
        view.whole += frame.complete and frame.index == view.whole
        return picture.event(f"{view.whole}.{frame.index}.{frame.number}", view.arrays)


class _View:
    """What one open stream shows, and what its browser has.

    Attributes:
        spec, options: whose limit is drawn, with which options.
        seen: how many leading moments the browser had when it connected.
        whole: how many leading moments it has now.
        sent: the edition sent of every other moment.
        arrays: names of the arrays sent.
    """

    def __init__(self, spec: Any, options: dict[str, Any], seen: int):
        self.spec, self.options, self.seen, self.whole = spec, options, seen, seen
        self.sent: dict[int, int] = {}
        self.arrays: set[str] = set()


def status(run: Run, engine: Engine) -> dict[str, Any]:
    """The data of a `status` event."""
    message = run.error or run.note or ""
    if run.state == "queued":
        place = engine.queue.place(run)
        message = QUEUED if not place.ahead else QUEUED_BEHIND.format(
            runs="one run" if place.ahead == 1 else f"{place.ahead} runs", wait=_about(place.seconds)
        )  # fmt: skip
    return {
        "state": run.state,
        "progress": run.progress,
        "elapsed": run.elapsed,
        "remaining": run.remaining,
        "time": run.time,
        "message": message,
    }


def _about(seconds: float) -> str:
    if seconds < 1:
        return "a moment"
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


async def _wait(changed: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):  # wait_for loses a cancellation that meets the event (Python 3.11)
            await changed.wait()
    except TimeoutError:
        return False
    return True
