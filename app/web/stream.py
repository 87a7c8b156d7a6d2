"""The stream of a run as server-sent events, and the viewer's way out of it.

GET  {base}/ntk/runs/{key}/stream?viewer=ID&options=JSON     events `frame`, `problem`, `status`, `end`
POST {base}/ntk/runs/{key}/leave?viewer=ID                   the viewer's Stop button
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.controls.forms import Control
from app.web import events, url_checks
from app.web.frames import Draw, FrameCache

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from ntk_core.engine import Engine, Run
    from ntk_core.engine.run import Frame
    from ntk_core.runs.snapshot import Snapshot

logger = logging.getLogger(__name__)

TICK = 1.0  # seconds between status events while nothing else happens in a running run
KEEP_ALIVE = 15.0  # seconds between comments that keep proxies from closing a quiet stream
QUEUED = "waiting for a free worker"
NOT_DRAWN = "this moment could not be drawn; the server's log has the details"
BROKEN = "the stream of this run broke; the server's log has the details"


class Streams:
    """The open streams of a server: all show drawings of the same cache, and end together when the server closes.

    Args:
        engine: gives the engine.
        draw: `app.charts.draw`, or another function of the same signature.
        caption: `app.charts.caption`: spec and time -> the clock's line.
        options: the controls of the options that a spec's chart takes, by name.
    """

    def __init__(
        self,
        engine: Callable[[], Engine],
        draw: Draw,
        caption: Callable[[Any, float], str],
        options: Callable[[Any], Mapping[str, Control]],
    ):
        self.engine, self.options = engine, options
        self.frames = FrameCache(draw, caption)
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
        except url_checks.UrlError as problem:
            return _refuse(problem)
        return events.EventStream(lambda send: self._watched(run, viewer, options, send))

    async def leave(self, request: Request) -> Response:
        """The viewer leaves for good; a run that nobody watches is cancelled at once."""
        try:
            run, viewer = self._run(request), url_checks.viewer(request)
        except url_checks.UrlError as problem:
            return _refuse(problem)
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

    async def _watched(self, run: Run, viewer: str, options: dict[str, Any], send: events.SendBytes) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self.closing:
            return
        self._open.add(task)
        try:
            with run.watch(viewer):
                await self._follow(run, viewer, options, send)
        except Exception:
            # The browser would reconnect to a stream that broke, and meet the same error for ever.
            logger.exception("the stream of run %s broke", run.key)
            await send(events.event("end", {"state": "failed", "error": BROKEN}))
        finally:
            self._open.discard(task)

    async def _follow(self, run: Run, viewer: str, options: dict[str, Any], send: events.SendBytes) -> None:
        sent: dict[int, int] = {}  # index -> number of the edition sent
        quiet = 0.0
        with run.listening() as changed:
            theory = await asyncio.to_thread(lambda: self.engine().preview(run.spec).theory)
            while True:
                changed.clear()
                final, left = run.final, viewer not in run.viewers
                if quiet == 0 or run.state == "running":
                    await send(events.event("status", status(run)))
                await self._send_new(run, theory, options, sent, send)
                if final or left:
                    state = run.state if final else "left"
                    await send(events.event("status", status(run)))
                    await send(events.event("end", {"state": state, "error": run.error}))
                    return
                quiet = 0.0 if await _wait(changed, TICK) else quiet + TICK
                if quiet >= KEEP_ALIVE:
                    await send(events.COMMENT)
                    quiet = TICK

    async def _send_new(
        self, run: Run, theory: Snapshot, options: dict[str, Any], sent: dict[int, int], send: events.SendBytes
    ) -> None:
        """Sends what this viewer has not seen: every complete frame, and the newest partial one."""
        frames = run.frames
        for frame in frames:
            index = frame.snapshot.index
            wanted = frame.snapshot.complete or frame is frames[-1]
            if wanted and sent.get(index) != frame.number:
                sent[index] = frame.number
                await send(await self._picture(run, theory, frame, options))

    async def _picture(self, run: Run, theory: Snapshot, frame: Frame, options: dict[str, Any]) -> bytes:
        """The frame's event; a sentence in its place where it cannot be drawn, so that the others still come."""
        try:
            return await self.frames.get(run, theory, frame, options)
        except Exception:
            logger.exception("picture %d of run %s could not be drawn", frame.snapshot.index, run.key)
            return events.event("problem", {"index": frame.snapshot.index, "message": NOT_DRAWN})


def status(run: Run) -> dict[str, Any]:
    """The data of a `status` event."""
    message = QUEUED if run.state == "queued" else run.error or ""
    return {
        "state": run.state,
        "progress": run.progress,
        "elapsed": run.elapsed,
        "remaining": run.remaining,
        "time": run.time,
        "message": message,
        "info": run.info,
    }


async def _wait(changed: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(changed.wait(), seconds)
    except TimeoutError:
        return False
    return True


def _refuse(problem: url_checks.UrlError) -> JSONResponse:
    return JSONResponse({"error": str(problem)}, status_code=problem.status)
