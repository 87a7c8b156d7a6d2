"""What the engine keeps in the web process, and for whom: runs, previews, viewers, estimates. No cluster needed."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from ntk_core import experiments
from ntk_core.engine import run as run_module
from ntk_core.engine.cluster import theory_bytes
from ntk_core.engine.deadlines import SHARED, Deadlines
from ntk_core.engine.launch import Launch
from ntk_core.engine.previews import Preview, PreviewCache
from ntk_core.engine.run import Run
from ntk_core.engine.runs import Runs
from ntk_core.engine.viewers import Viewers
from ntk_core.runs.parts import Part
from ntk_core.runs.plan import Plan
from ntk_core.runs.result import Increment
from ntk_core.runs.theory import Theory

HEAVY = 2_500  # numbers
SIZE = 4 * HEAVY  # bytes


def increment(index: int, progress: float = 0.5) -> bytes:
    values = {"values": np.zeros(HEAVY, np.float32), "pid": np.float32(1), "threads": np.float32(1)}
    return Increment({"time": index, "who": 0}, values, progress).to_bytes()


def made(toy, nonce: int = 0, **fields) -> Run:
    """A run of SIZE bytes, with one part."""
    spec = toy(**({"nonce": nonce, "frames": 1, "heavy": HEAVY} | fields))
    run = Run(spec, f"task-{nonce}", experiments.load("toy").schema(spec), lambda run: None)
    run.begin([Part("all", seconds=1.0)])
    return run


def accept(run: Run, number: int, index: int, progress: float = 0.5) -> None:
    run.accept(next(iter(run.parts)), number, [increment(index, progress)], progress)


def ended_run(toy, nonce: int) -> Run:
    run = made(toy, nonce)
    accept(run, 0, 0)
    run.end("finished")
    return run


def test_ended_runs_are_forgotten_oldest_first(toy):
    runs = Runs(limit=int(2.5 * SIZE))
    all_runs = [ended_run(toy, nonce) for nonce in range(4)]
    for run in all_runs:
        runs.add(run)
        runs.ended(run)
        runs.get(all_runs[0].key)  # somebody keeps looking at the first
    assert [run.key for run in all_runs if runs.get(run.key)] == [all_runs[0].key, all_runs[3].key]


def test_watched_and_running_runs_stay(toy):
    runs = Runs(limit=1)
    watched, going, last = ended_run(toy, 0), made(toy, 1), ended_run(toy, 2)
    watched.viewers.connect("somebody")
    for run in (watched, going, last):
        runs.add(run)
    runs.ended(watched)
    runs.ended(last)
    assert all(runs.get(run.key) is run for run in (watched, going, last))
    assert runs.of_task("task-1") is going
    assert runs.of_task("task-0") is None


def test_previews_stay_within_their_bytes():
    cache = PreviewCache(limit=100)
    for key in "abcd":
        cache.put(key, Preview(None, Theory({}), Plan((), 0, 0.0), bytes=40))
        cache.get("a")
    assert [key for key in "abcd" if cache.get(key)] == ["a", "d"]


def test_size_is_that_of_the_result(toy):
    run = made(toy)
    assert SIZE <= run.size < 1.1 * SIZE
    for number in range(5):
        accept(run, number, 0)
    assert SIZE <= run.size < 1.1 * SIZE


def test_a_message_that_comes_again_changes_nothing(toy):
    run = made(toy, frames=3)
    for number in (0, 1, 0, 1, 1):
        accept(run, number, number, 0.3 * (number + 1))
    assert [(f.index, f.number, f.complete) for f in run.frames] == [(0, 1, True), (1, 1, True)]
    assert run.progress == pytest.approx(0.6)


def test_nothing_is_accepted_after_the_end(toy):
    run = made(toy, frames=3)
    accept(run, 0, 0)
    run.end("stopped")
    accept(run, 1, 1)
    assert not run.end("finished")
    assert run.state == "stopped"
    assert len(run.frames) == 1


def test_remaining_follows_the_pace_so_far(toy, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(run_module.time, "monotonic", lambda: now)
    run = made(toy)
    assert run.elapsed == 0
    assert run.remaining is None
    run.start()
    now += 10
    accept(run, 0, 0, 0.2)
    assert run.elapsed == 10
    assert run.remaining == pytest.approx(40)
    now += 4
    assert run.remaining == pytest.approx(36)
    now += 100
    assert run.remaining == 0
    run.end("finished")
    now += 100
    assert run.elapsed == pytest.approx(114)


@pytest.fixture
def abandoned():
    calls = []
    return calls


def test_reconnecting_resets_the_grace_time(abandoned):
    viewers = Viewers(lambda: abandoned.append(1), grace=0.2)
    for _ in range(3):
        viewers.connect("a")
        viewers.disconnect("a")
        time.sleep(0.1)
    assert not abandoned
    time.sleep(0.3)
    assert abandoned == [1]


def test_two_tabs_of_one_viewer(abandoned):
    viewers = Viewers(lambda: abandoned.append(1), grace=0.05)
    viewers.connect("a")
    viewers.connect("a")
    viewers.disconnect("a")
    time.sleep(0.15)
    assert not abandoned
    viewers.leave("a")
    assert abandoned == [1]


def test_the_expected_viewer_may_never_come(abandoned):
    viewers = Viewers(lambda: abandoned.append(1), grace=10)
    viewers.expect("", grace=0.05)
    time.sleep(0.2)
    assert abandoned == [1]


def test_an_expected_viewer_with_a_name_keeps_the_run_while_others_leave(abandoned):
    viewers = Viewers(lambda: abandoned.append(1), grace=10)
    viewers.expect("a", grace=10)
    viewers.connect("b")
    viewers.leave("b")
    assert not abandoned
    viewers.leave("a")
    assert abandoned == [1]


ENDINGS = {
    "watched and left within the grace": lambda run: (run.viewers.connect("a"), run.viewers.disconnect("a")),
    "expected, never watched": lambda run: run.viewers.expect("a", 30.0),
    "unnamed": lambda run: run.viewers.expect("", 30.0),
    "left": lambda run: (run.viewers.connect("a"), run.viewers.leave("a")),
    "nobody": lambda run: None,
}


@pytest.mark.parametrize("size", [0, SIZE])
@pytest.mark.parametrize("state", ["finished", "failed", "stopped"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_thousand_ended_runs_take_no_more_than_a_hundred(toy, ending, state, size):
    runs = Runs(limit=5 * SIZE)
    counts = []
    for nonce in range(1000):
        run = made(toy, nonce, heavy=HEAVY if size else 0, frames=1 if size else 0)
        runs.add(run)
        if size:
            accept(run, 0, 0)
        ENDINGS[ending](run)
        run.end(state)
        runs.ended(run)
        counts.append(len(runs))
    assert counts[-1] <= max(counts[:300])
    assert runs.get(run.key) is run  # the newest is still there for whoever asks


def test_running_runs_count_too(toy):
    runs = Runs(limit=int(1.5 * SIZE))
    old = ended_run(toy, 0)
    runs.add(old)
    runs.ended(old)
    going = made(toy, 1)
    runs.add(going)
    accept(going, 0, 0)
    going.viewers.connect("somebody")
    runs.add(made(toy, 2))
    assert runs.get(old.key) is None
    assert runs.get(going.key) is going


def test_three_hundred_visits_need_one_thread():
    before = threading.active_count()
    everybody = [Viewers(lambda: None, grace=30.0) for _ in range(300)]
    for k, viewers in enumerate(everybody):
        viewers.connect(str(k))
        viewers.disconnect(str(k))
    assert threading.active_count() <= before + 1
    for viewers in everybody:
        viewers.close()


def test_deadlines_pass_in_order_and_cancelled_ones_never():
    passed, deadlines = [], Deadlines()
    for seconds in (0.15, 0.05, 0.1):
        deadlines.after(seconds, lambda seconds=seconds: passed.append(seconds))
    deadlines.after(0.07, lambda: passed.append("never")).cancel()
    deadlines.after(0.06, lambda: 1 / 0)  # is logged, and the others still pass
    time.sleep(0.4)
    assert passed == [0.05, 0.1, 0.15]
    assert len(deadlines) == 0


@pytest.mark.parametrize(
    ("asked", "machine", "expected"),
    [(0, 10**9, 10**9), (0, 20 * 10**9, 4 * 10**9), (2 * 10**9, 20 * 10**9, 2 * 10**9), (10**8, 10**9, 10**9)],
)
def test_the_theory_worker_has_room_and_heeds_the_limit(asked, machine, expected):
    assert theory_bytes(asked, machine) == expected


def test_a_run_that_nobody_watches_goes_on_for_a_while(abandoned):
    viewers = Viewers(lambda: abandoned.append(1), grace=0.05, patience=0.4)
    viewers.connect("a")
    viewers.disconnect("a")
    time.sleep(0.25)
    assert not abandoned
    viewers.connect("b")  # somebody comes back
    time.sleep(0.4)
    assert not abandoned
    viewers.disconnect("b")
    time.sleep(0.7)
    assert abandoned == [1]
    assert not viewers.left


def test_a_stranger_cannot_stop_a_run_that_goes_on_by_itself(abandoned):
    viewers = Viewers(lambda: abandoned.append(1), grace=0.05, patience=10)
    viewers.connect("a")
    viewers.disconnect("a")
    time.sleep(0.2)
    assert "a" not in viewers
    for stranger in ("stranger", "a"):
        viewers.leave(stranger)
    assert not abandoned
    assert not viewers.left
    viewers.leave("")  # whoever has the run itself in hand
    assert abandoned == [1]


def test_other_deadlines_do_not_wait_for_a_worker_that_does_not_answer(toy):
    run, ends, free = made(toy), [], threading.Event()

    def restart(workers, **options):
        assert free.wait(30)

    client = SimpleNamespace(restart_workers=restart)
    connection = SimpleNamespace(client=lambda: client)
    launch = Launch(run, connection, lambda *end: ends.append(end), stalled=0.05)
    (part,) = run.parts
    launch._open, launch._tasks = {part}, {part: SimpleNamespace(cancel=lambda: None)}
    launch._expect_more(part)
    due = threading.Event()
    SHARED.after(0.2, due.set)
    assert due.wait(10)
    free.set()
    assert [state for state, _ in ends] == ["failed"]


def test_who_stops_a_run_is_not_waited_for(abandoned):
    viewers = Viewers(lambda: abandoned.append(1), grace=10, patience=10)
    viewers.connect("a")
    viewers.leave("a")
    assert abandoned == [1]
    assert viewers.left
