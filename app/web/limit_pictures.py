"""Pictures of the limit alone: drawn once for all who look at it, and sent to a browser once.

GET {base}/ntk/limits/{key}      every moment that the limit of that spec can show:
                                 {"frames": [...], "arrays": {...}, "count": how many there are}
    options    the chart's options, as for a run's stream
    panels     names of panels, separated by commas; all where there is none
    finite     1 leaves infinite time out
    at         only the picture of the moment of that number, or of the last where there are fewer
"""

from __future__ import annotations

import gzip
import json
import logging
import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app import charts
from app.charts import arrays
from app.controls.forms import Control
from app.web import events, url_checks
from app.web.drawn_once import DrawnOnce
from app.web.served import packed_answer
from ntk_core import experiments
from ntk_core.engine.errors import EngineError

if TYPE_CHECKING:
    from starlette.requests import Request

    from ntk_core.engine import Engine

logger = logging.getLogger(__name__)

KEPT = 16 << 20  # bytes of compressed pictures
NOT_DRAWN = "the limit could not be drawn; the server's log has the details"
_EDITION = secrets.token_hex(4)  # another server may draw otherwise: its addresses are others, so a browser asks again


def address(spec: Any, options: Mapping[str, Any], panels: Sequence[str] = (), finite: bool = False) -> str:
    """Where the pictures of a spec's limit are, without the server's base path."""
    asked = {"options": json.dumps(dict(options), sort_keys=True, separators=(",", ":"))}
    asked |= {"panels": ",".join(panels)} if panels else {}
    asked |= {"finite": "1"} if finite else {}
    return f"/ntk/limits/{spec.key}?{urlencode(asked | {'edition': _EDITION})}"


def moments(spec: Any, theory: Any, finite: bool = False) -> list[float]:
    """The times of the pictures."""
    return [t for t in charts.moments(spec, theory) if not finite or math.isfinite(t)]


class LimitPictures:
    """The route of the limit's pictures.

    Args:
        engine: gives the engine.
        options: the controls of the options that a spec's chart takes, by name.
    """

    def __init__(self, engine: Callable[[], Engine], options: Callable[[Any], Mapping[str, Control]]):
        self.engine, self.options = engine, options
        self._drawn: DrawnOnce[bytes] = DrawnOnce(KEPT)

    def routes(self, base: str) -> list[Route]:
        """The route under the path `base`."""
        return [Route(f"{base}/ntk/limits/{{key}}", self.pictures, methods=["GET"])]

    async def pictures(self, request: Request) -> Response:
        """The pictures, compressed; the address names all that decides them, so a browser keeps them."""
        try:
            spec = url_checks.known_spec(self.engine(), url_checks.key(request))
            options = url_checks.options(request, self.options(spec))
            panels = url_checks.panels(request, list(charts.load(spec.experiment).PANELS))
            finite = url_checks.flag(request, "finite")
            at = url_checks.number(request, "at")
            name = (spec.key, json.dumps(options), panels, finite)
            body = await self._drawn.get(name, at, lambda: self._draw(spec, options, panels, finite, at))
        except (ValueError, EngineError) as problem:
            return url_checks.refusal(problem)
        except Exception:
            logger.exception("the limit of %s could not be drawn", request.path_params["key"])
            return JSONResponse({"error": NOT_DRAWN}, status_code=500)
        return packed_answer(request, body, "application/json", "private, max-age=86400, immutable")

    def _draw(
        self, spec: Any, options: Mapping[str, Any], panels: Sequence[str], finite: bool, at: int | None
    ) -> bytes:
        theory = self.engine().preview(spec).theory
        times = moments(spec, theory, finite)
        entries = (charts.Entry(spec, theory),)
        timed = len(times) > 1 or experiments.runs(spec.experiment)  # one moment of what is never trained has no clock
        frames = [
            {
                "index": i,
                "caption": charts.limit_caption(spec, times, i) if timed else "",
                "panels": charts.draw(entries, t, options, panels or None),
            }
            for i, t in enumerate(times)
            if at is None or i == min(at, len(times) - 1)
        ]
        shared, found = arrays.shared(frames)
        answer = {"frames": shared, "arrays": found, "count": len(times)}
        return gzip.compress(events.to_json(answer).encode(), 4, mtime=0)
