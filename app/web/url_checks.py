"""What a URL may say: run keys, viewers and chart options, each checked before anything else sees it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.requests import Request

MAX_OPTIONS = 500  # characters
MAX_TEXT = 40

_KEY = re.compile(r"[a-z][a-z0-9_]{0,39}-[0-9a-f]{20}")
_VIEWER = re.compile(r"[A-Za-z0-9_-]{1,64}")


class UrlError(ValueError):
    """A URL that is not one of ours; the message is a sentence, `status` the HTTP status."""

    def __init__(self, message: str, status: int = 400):
        super().__init__(message)
        self.status = status


def key(request: Request) -> str:
    """The run's key in the path."""
    text = request.path_params["key"]
    if not _KEY.fullmatch(text):
        raise UrlError("key: this is not the name of a run")
    return text


def viewer(request: Request) -> str:
    """The parameter `viewer`: a name that the page made up for itself."""
    text = request.query_params.get("viewer", "")
    if not _VIEWER.fullmatch(text):
        raise UrlError("viewer: must be 1 to 64 letters, digits, - or _")
    return text


def options(request: Request, known: Collection[str]) -> dict[str, Any]:
    """The parameter `options`: the chart's options by name, all of them `known`, without those that are off."""
    text = request.query_params.get("options", "{}")
    if len(text) > MAX_OPTIONS:
        raise UrlError(f"options: must be at most {MAX_OPTIONS} characters, got {len(text)}")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise UrlError("options: this is not JSON") from None
    if not isinstance(values, dict):
        raise UrlError("options: must be a JSON object")
    for name, value in values.items():
        if name not in known:
            raise UrlError(f"options: {name[:MAX_TEXT]!r} is not known")
        if not _plain(value):
            raise UrlError(f"options: {name} must be true, false, a number or a short text")
    return {name: value for name, value in values.items() if value is not False and value is not None}


def _plain(value: Any) -> bool:
    if isinstance(value, bool) or value is None:
        return True
    if isinstance(value, int | float):
        return math.isfinite(value) and abs(value) < 1e15
    return isinstance(value, str) and len(value) <= MAX_TEXT
