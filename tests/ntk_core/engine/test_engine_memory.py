"""What the engine keeps in the web process, and for whom: runs, previews, viewers, estimates. No cluster needed."""

from __future__ import annotations

import time

import numpy as np
import pytest

from ntk_core.engine import run as run_module
from ntk_core.engine.preview import Preview, PreviewCache
from ntk_core.engine.run import Run
from ntk_core.engine.runs import Runs
from ntk_core.engine.viewers import Viewers
from ntk_core.runs.plan import Plan
from ntk_core.runs.snapshot import Snapshot, labelled

SIZE = 10_000


def snapshot(index: int, progress: float = 0.5, complete: bool = True) -> bytes:
    return Snapshot(index, float(index), labelled(x=(("x",), np.zeros(SIZE, np.uint8))), complete, progress).to_bytes()


def ended_run(toy, nonce: int) -> Run:
    run = Run(toy(nonce=nonce), f"task-{nonce}", lambda run: None)
    run.accept(0, snapshot(0))
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
    watched, going, last = ended_run(toy, 0), Run(toy(nonce=1), "task-1", lambda run: None), ended_run(toy, 2)
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
    theory = Snapshot(0, 0.0, {})
    for key in "abcd":
        cache.put(key, Preview(theory, Plan((), 0, 0.0), bytes=40))
        cache.get("a")
    assert [key for key in "abcd" if cache.get(key)] == ["a", "d"]


def test_size_counts_what_is_kept(toy):
    run = Run(toy(), "task", lambda run: None)
    for number in range(5):
        run.accept(number, snapshot(0, complete=False))
    assert SIZE < run.bytes < 1.1 * SIZE


def test_late_editions_do_not_replace_newer_ones(toy):
    run = Run(toy(), "task", lambda run: None)
    run.accept(2, snapshot(0, 0.3))
    run.accept(1, snapshot(0, 0.2, complete=False))
    run.accept(0, snapshot(0, 0.1))
    assert [(f.number, f.snapshot.complete, f.snapshot.progress) for f in run.frames] == [(2, True, 0.3)]


def test_nothing_is_accepted_after_the_end(toy):
    run = Run(toy(), "task", lambda run: None)
    run.accept(0, snapshot(0))
    run.end("stopped")
    run.accept(1, snapshot(1))
    assert not run.end("finished")
    assert run.state == "stopped"
    assert len(run.snapshots) == 1


def test_remaining_follows_the_pace_so_far(toy, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(run_module.time, "monotonic", lambda: now)
    run = Run(toy(), "task", lambda run: None)
    assert run.elapsed == 0
    assert run.remaining is None
    run.start()
    now += 10
    run.accept(0, snapshot(0, progress=0.2))
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
