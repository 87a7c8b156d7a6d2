"""Drawings are made once for all who ask, however they come and go, and kept by whole groups."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

import pytest

from app.web.drawn_once import DrawnOnce


class Pen:
    """Draws texts of ten characters and counts."""

    def __init__(self):
        self.drawn: Counter[str] = Counter()
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def of(self, name):
        def draw():
            self.drawn[name] += 1
            assert self.may_go_on.wait(10)
            return name.ljust(10)

        return draw


@pytest.fixture
def pen():
    return Pen()


def all_of(kept, pen, group, count):
    """Goes through a group in order, as a viewer does."""

    async def go():
        return [await kept.get(group, i, pen.of(f"{group}{i}")) for i in range(count)]

    return go()


def test_those_who_ask_together_wait_for_one_drawing(pen):
    async def ask():
        kept = DrawnOnce[str](100)
        pen.may_go_on.clear()
        asked = [asyncio.create_task(kept.get("a", 0, pen.of("a0"))) for _ in range(5)]
        await asyncio.sleep(0.05)
        asked[0].cancel()  # who came first leaves
        await asyncio.sleep(0)
        pen.may_go_on.set()
        return await asyncio.gather(*asked, return_exceptions=True)

    first, *others = asyncio.run(ask())
    assert isinstance(first, asyncio.CancelledError)
    assert others == ["a0        "] * 4
    assert pen.drawn == {"a0": 1}


def test_a_group_beyond_the_limit_is_drawn_once_for_everyone_who_goes_through_it(pen):
    async def watch():
        kept = DrawnOnce[str](50)
        for _ in range(3):
            await all_of(kept, pen, "large", 20)

    asyncio.run(watch())
    assert set(pen.drawn.values()) == {1}


def test_groups_unused_for_longest_make_room(pen):
    async def watch():
        kept = DrawnOnce[str](50)
        await all_of(kept, pen, "a", 2)
        await all_of(kept, pen, "b", 2)
        await all_of(kept, pen, "a", 2)  # used again: b goes first
        await all_of(kept, pen, "c", 2)
        assert kept._size == 40
        await all_of(kept, pen, "a", 2)
        await all_of(kept, pen, "b", 2)

    asyncio.run(watch())
    assert [pen.drawn[name] for name in ("a0", "b0", "c0")] == [1, 2, 1]


def test_of_a_drawing_that_is_replaced_the_newest_is_kept(pen):
    async def watch():
        kept = DrawnOnce[str](50)
        for edition in range(1, 30):
            for _ in range(2):
                assert await kept.get("a", 0, pen.of(f"{edition}"), edition) == str(edition).ljust(10)
        assert kept._size == 10
        assert await kept.get("a", 0, pen.of("late"), 3) == "late      "
        await kept.get("a", 0, pen.of("29"), 29)
        assert kept._size == 10

    asyncio.run(watch())
    assert set(pen.drawn.values()) == {1}


def test_what_could_not_be_drawn_is_tried_again(pen):
    def fail():
        raise KeyError("a defect of the chart")

    async def ask():
        kept = DrawnOnce[str](50)
        with pytest.raises(KeyError, match="a defect of the chart"):
            await kept.get("a", 0, fail)
        return await kept.get("a", 0, pen.of("a0"))

    assert asyncio.run(ask()) == "a0        "
