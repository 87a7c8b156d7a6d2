"""What can wait in a worker stands still while something goes first, and not for ever."""

import threading

import pytest

from ntk_core.engine import giving_way
from ntk_core.engine.giving_way import give_way, going_first

MOMENT = 0.2  # seconds


@pytest.fixture
def waiting():
    """Starts a thread that gives way; returns an event that is set once it goes on."""

    def start():
        went_on = threading.Event()
        threading.Thread(target=lambda: (give_way(), went_on.set()), daemon=True).start()
        return went_on

    return start


def test_nothing_waits_where_nobody_goes_first(waiting):
    assert waiting().wait(5)


def test_what_can_wait_goes_on_when_the_last_that_goes_first_is_done(waiting, monkeypatch):
    monkeypatch.setattr(giving_way, "LONGEST", 60.0)
    with going_first():
        with going_first():
            one = waiting()
            assert not one.wait(MOMENT)
        assert not one.wait(MOMENT)
    assert one.wait(5)


def test_an_error_frees_the_way(waiting, monkeypatch):
    monkeypatch.setattr(giving_way, "LONGEST", 60.0)
    started = []

    def fail():
        started.append(waiting())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), going_first():
        fail()
    assert started[0].wait(5)


def test_nobody_waits_longer_than_that(waiting, monkeypatch):
    monkeypatch.setattr(giving_way, "LONGEST", MOMENT)
    with going_first():
        assert waiting().wait(5)
