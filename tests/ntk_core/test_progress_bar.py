"""The bar: what a terminal and what a log get to see."""

from __future__ import annotations

import io

import pytest

from ntk_core import progress_bar
from ntk_core.progress_bar import ProgressBar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress_bar.time, "monotonic", lambda: now[0])
    return now


def test_a_terminal_sees_one_line_that_changes(clock):
    bar = ProgressBar("circle", stream := Terminal())
    clock[0] = 10.0
    bar.at(0.25)
    clock[0] = 10.01
    bar.at(0.26)  # too soon to be seen
    bar.at(1.0)
    bar.close()
    assert stream.getvalue() == (
        f"\rcircle [{'#' * 8}{'.' * 24}]  25 %, 0:30 left\x1b[K\rcircle [{'#' * 32}] 100 %\x1b[K\n"
    )


def test_a_log_gets_a_line_every_tenth(clock):
    bar = ProgressBar("circle", stream := io.StringIO())
    for k in range(101):
        clock[0] = float(k)
        bar.at(k / 100)
    bar.close()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[4] == "circle  50 %, 0:50 left"
    assert lines[-1] == "circle 100 %"


def test_it_never_goes_back(clock):
    bar = ProgressBar("x", io.StringIO())
    for share in (0.5, 0.2, None, 7.0):
        bar.at(share)
    assert bar.share == 1.0


def test_hours(clock):
    bar = ProgressBar("x", io.StringIO())
    clock[0] = 3600.0
    bar.at(0.25)
    assert bar.line() == "x  25 %, 3:00:00 left"


def test_nothing_done_leaves_no_line(clock):
    ProgressBar("x", stream := Terminal()).close()
    assert stream.getvalue() == ""
