"""Compressed bodies go compressed to whoever takes that, and plain to the others."""

from __future__ import annotations

import gzip

import pytest
from starlette.requests import Request

from app.web.served import packed_answer, takes_gzip

BODY = b"a text that repeats, a text that repeats"


def answer(**headers):
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    request = Request({"type": "http", "headers": raw})
    return packed_answer(request, gzip.compress(BODY), "text/plain", "max-age=1", '"one"')


@pytest.mark.parametrize(
    ("header", "taken"),
    [("gzip", True), ("deflate, gzip;q=0.5", True), ("br", False), ("", False), ("gzip;q=0, br", False)],
)
def test_what_a_browser_accepts(header, taken):
    assert takes_gzip(header) is taken
    found = answer(accept_encoding=header)
    assert found.headers.get("content-encoding") == ("gzip" if taken else None)
    assert (gzip.decompress(found.body) if taken else found.body) == BODY
    assert (found.headers["cache-control"], found.headers["vary"]) == ("max-age=1", "accept-encoding")


def test_who_has_it_is_not_sent_it_again():
    found = answer(if_none_match='"one"')
    assert (found.status_code, found.body) == (304, b"")
