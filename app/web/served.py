"""Bytes that are compressed once and served to all: with `content-encoding: gzip` to whoever takes that."""

from __future__ import annotations

import gzip
import re
from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request

_GZIP = re.compile(r"\s*gzip\s*(;\s*q=(?!0(\.0*)?\s*$).*)?")


def takes_gzip(accepted: str) -> bool:
    """Whether the header `accept-encoding` allows gzip."""
    return any(_GZIP.fullmatch(part) for part in accepted.split(","))


def packed_answer(request: Request, packed: bytes, kind: str, keep: str, etag: str = "") -> Response:
    """The answer whose body is `packed` (gzip): of a media type, with `cache-control: keep`, under a name if there is
    one; 304 to a browser that has it.
    """
    headers = {"cache-control": keep, "vary": "accept-encoding"} | ({"etag": etag} if etag else {})
    if etag and request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    if not takes_gzip(request.headers.get("accept-encoding", "")):
        return Response(gzip.decompress(packed), media_type=kind, headers=headers)
    return Response(packed, media_type=kind, headers=headers | {"content-encoding": "gzip"})
