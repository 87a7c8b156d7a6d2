"""What a URL may say: run keys, viewers and chart options, each checked before anything else sees it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

from app.controls.forms import FORMS, Control
from ntk_core.engine.errors import EngineError

if TYPE_CHECKING:
    from starlette.requests import Request

    from ntk_core.engine import Engine
    from ntk_core.runs.spec import ExperimentSpec

MAX_OPTIONS = 500  # characters
MAX_TEXT = 40

_KEY = re.compile(r"[a-z][a-z0-9_]{0,39}-[0-9a-f]{20}")
_EVENT = re.compile(r"([0-9]{1,6})\.[0-9]{1,6}\.[0-9]{1,9}")
_NUMBER = re.compile(r"[0-9]{1,6}")
_VIEWER = re.compile(r"[A-Za-z0-9_-]{1,64}")


class UrlError(ValueError):
    """A URL that is not one of ours; the message is a sentence, `status` the HTTP status."""

    def __init__(self, message: str, status: int = 400):
        super().__init__(message)
        self.status = status


def refusal(problem: ValueError | EngineError) -> JSONResponse:
    """The answer that says what is wrong: with a URL, with what it asks for, or with the engine."""
    status = problem.status if isinstance(problem, UrlError) else 503 if isinstance(problem, EngineError) else 400
    return JSONResponse({"error": str(problem)}, status_code=status)


def known_spec(engine: Engine, key: str) -> ExperimentSpec:
    """The spec of that key, if a page has asked for it."""
    spec = engine.known_spec(key)
    if spec is None:
        raise UrlError("these settings are not known here any more: reload the page", 404)
    return spec


def key(request: Request) -> str:
    """The run's key in the path."""
    text = request.path_params["key"]
    if not _KEY.fullmatch(text):
        raise UrlError("key: this is not the name of a run")
    return text


def other_key(request: Request) -> str | None:
    """The parameter `of`: the key of another spec, or None."""
    text = request.query_params.get("of")
    if text is not None and not _KEY.fullmatch(text):
        raise UrlError("of: this is not the name of a spec")
    return text


def last_event(request: Request) -> int:
    """How many leading moments the browser says that it has (header Last-Event-ID); what is not ours counts as none."""
    match = _EVENT.fullmatch(request.headers.get("last-event-id", ""))
    return int(match[1]) if match else 0


def viewer(request: Request) -> str:
    """The parameter `viewer`: a name that the page made up for itself."""
    text = request.query_params.get("viewer", "")
    if not _VIEWER.fullmatch(text):
        raise UrlError("viewer: must be 1 to 64 letters, digits, - or _")
    return text


def panels(request: Request, known: Sequence[str]) -> tuple[str, ...]:
    """The parameter `panels`: names of a chart's panels, in its own order; none where all are meant."""
    names = set(filter(None, request.query_params.get("panels", "").split(",")))
    if not names <= set(known):
        raise UrlError(f"panels: must be some of {', '.join(known)}, separated by commas")
    return tuple(name for name in known if name in names)


def flag(request: Request, name: str) -> bool:
    """A parameter that is 1 or 0; not there, it is 0."""
    text = request.query_params.get(name, "0")
    if text not in ("0", "1"):
        raise UrlError(f"{name}: must be 1 or 0")
    return text == "1"


def number(request: Request, name: str) -> int | None:
    """A parameter that is a whole number below a million, or None where it is not there."""
    text = request.query_params.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise UrlError(f"{name}: must be a whole number from 0 to 999999")
    return int(text)


def options(request: Request, known: Mapping[str, Control]) -> dict[str, Any]:
    """The parameter `options`: the chart's options by name, read by the page's own forms, without those that are off.

    What means the same is the same afterwards, so that it is drawn once: `true`, `1` and `"1"` for a toggle.
    """
    text = request.query_params.get("options", "{}")
    if len(text) > MAX_OPTIONS:
        raise UrlError(f"options: must be at most {MAX_OPTIONS} characters, got {len(text)}")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise UrlError("options: this is not JSON") from None
    if not isinstance(values, dict):
        raise UrlError("options: must be a JSON object")
    for name in values:
        if name not in known:
            raise UrlError(f"options: {name[:MAX_TEXT]!r} is not known")
    parsed = {name: _option(name, value, known[name]) for name, value in values.items() if value is not None}
    return {name: value for name, value in sorted(parsed.items()) if value is not False}


def _option(name: str, value: Any, control: Control) -> Any:
    """The value as the control's own form reads it."""
    if isinstance(value, bool):
        text = "1" if value else "0"
    elif isinstance(value, int | float) and math.isfinite(value) and abs(value) < 1e15:
        text = f"{value:.17g}"
    elif isinstance(value, str) and len(value) <= MAX_TEXT:
        text = value
    else:
        raise UrlError(f"options: {name} must be true, false, a number or a short text")
    try:
        return FORMS[control.kind].parse(text, control)
    except ValueError as error:
        raise UrlError(f"options: {name} {error}") from None
