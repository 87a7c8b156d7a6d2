"""The engine against the toy experiment: streaming, sharing, cancelling, errors, deaths."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from distributed import LocalCluster

from ntk_core.engine import Engine, EngineError
from ntk_core.engine.aside import ask
from ntk_core.engine.child import ROOT
from ntk_core.engine.errors import ENGINE_LOST, UNEXPECTED, WORKER_DIED
from ntk_core.engine.priorities import LATER
from tests.conftest import THREADS

LONG = 200.0  # seconds: a run that is still going unless somebody stops it
PATIENCE = 60.0


def until(condition, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def indices(run):
    """The output times that are all there."""
    return [frame.index for frame in run.frames if frame.complete]


def starts(trace: Path) -> int:
    return len(trace.read_text().splitlines())


# Streaming


def test_changes_at_the_same_moment_are_told_once(engine, toy):
    run = engine.submit(toy(frames=1, pause=0.5))

    async def follow():
        seen = []
        async for version in run.changes():
            seen.append(version)
            if len(seen) == 1:  # the second comes when the first has woken this loop, which then sees both
                run.remark("one")
                asyncio.get_running_loop().call_soon(run.remark, "two")
        return seen

    versions = asyncio.run(asyncio.wait_for(follow(), PATIENCE))
    assert versions == sorted(set(versions))
    assert run.state == "finished"


def test_increments_arrive_one_by_one_in_order(engine, toy):
    run = engine.submit(toy(frames=6, pause=0.15))

    async def follow():
        return [(version, len(run.frames)) async for version in run.changes()]

    seen = asyncio.run(asyncio.wait_for(follow(), PATIENCE))
    versions, counts = zip(*seen, strict=True)
    assert list(versions) == sorted(set(versions))
    assert set(range(1, 7)) <= set(counts)  # nothing waited for the next
    assert indices(run) == list(range(6))
    assert run.result["values"][:, 0, 0].tolist() == list(range(6))
    assert run.state == "finished"
    assert run.progress == 1


def test_moments_are_seen_before_they_are_whole(engine, toy):
    run = engine.submit(toy(frames=3, pause=0.25, who=3))
    partial = False
    while not run.final:
        partial |= any(not frame.complete for frame in run.frames)
        time.sleep(0.02)
    assert partial
    assert indices(run) == [0, 1, 2]
    assert run.result["values"][2, :, 0].tolist() == [2, 102, 202]


def test_small_increments_share_a_message(engine, toy):
    run = engine.submit(toy(frames=300, who=2))
    assert run.wait(PATIENCE) == "finished"
    assert indices(run) == list(range(300))
    (part,) = run.parts.values()
    assert len(part.heard) < 100


def test_torch_has_the_threads_that_were_asked_for(engine, toy):
    run = engine.submit(toy(frames=1))
    assert run.wait(PATIENCE) == "finished"
    assert run.result["threads"][0, 0] == THREADS


def test_an_experiment_may_print(engine, toy):
    run = engine.submit(toy(frames=3, chatter=100_000))  # more than a pipe holds
    assert run.wait(PATIENCE) == "finished"


# Sharing


def test_equal_specs_run_once(engine, toy, tmp_path):
    spec = toy(frames=3, pause=0.1, trace=str(tmp_path / "trace"))
    runs = []
    threads = [threading.Thread(target=lambda: runs.append(engine.submit(spec))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, runs))) == 1
    assert runs[0].wait(PATIENCE) == "finished"
    assert engine.submit(spec.model_copy()) is runs[0]
    assert engine.get(spec.key) is runs[0]
    assert starts(tmp_path / "trace") == 1


def test_a_stopped_run_starts_anew(engine, toy, tmp_path):
    spec = toy(frames=3, pause=0.3, trace=str(tmp_path / "trace"))
    first = engine.submit(spec)
    until(lambda: len(first.frames) == 1)
    first.stop()
    assert first.state == "stopped"
    second = engine.submit(spec)
    assert second is not first
    assert second.wait(PATIENCE) == "finished"
    assert len(first.frames) == 1  # what was computed stays, and nothing of the second run is mixed in
    assert starts(tmp_path / "trace") == 2


def test_a_second_process_gets_the_frames_so_far_and_the_live_ones(engine, toy, tmp_path):
    spec = toy(frames=6, pause=0.3, trace=str(tmp_path / "trace"))
    first = engine.submit(spec)
    until(lambda: len(first.frames) >= 3)
    other = Engine.start(engine.address)
    try:
        late = other.submit(spec)
        assert late is not first
        assert late.wait(PATIENCE) == "finished"
        assert indices(late) == list(range(6))
        assert first.wait(PATIENCE) == "finished"
    finally:
        other.close()
    assert starts(tmp_path / "trace") == 1


def test_a_second_process_that_leaves_does_not_stop_the_first(engine, toy):
    spec = toy(frames=3, pause=0.4)
    first = engine.submit(spec)
    other = Engine.start(engine.address)
    late = other.submit(spec)
    until(lambda: late.state == "running")
    other.close()
    assert late.state == "stopped"
    assert (first.wait(PATIENCE), first.error) == ("finished", None)


# Stopping


def test_stop_frees_the_worker(engine, toy):
    long = engine.submit(toy(pause=LONG))
    until(lambda: long.state == "running")  # which of two that come together begins is the scheduler's to choose
    next_one = engine.submit(toy(frames=1))
    assert next_one.state == "queued"
    long.stop()
    stopped = time.monotonic()
    assert next_one.wait(PATIENCE) == "finished"
    assert time.monotonic() - stopped < LONG / 10


def test_the_last_viewer_to_leave_stops_the_run(engine, toy):
    run = engine.submit(toy(pause=LONG), viewer="a")
    with run.watch("a"), run.watch("b"):
        run.stop("a")
        assert run.state in ("queued", "running")
        run.stop("b")
        assert run.state == "stopped"


def test_a_dropped_viewer_may_come_back_for_a_while(engine, toy):
    run = engine.submit(toy(pause=LONG))
    with run.watch("a"):
        pass
    with run.watch("a"):  # within the grace time
        time.sleep(1.5 * run.viewers.grace)
        assert run.state in ("queued", "running")
    assert run.wait(10 * run.viewers.grace) == "stopped"


# Errors


def test_a_value_error_is_the_pages_sentence_and_snapshots_stay(engine, toy):
    run = engine.submit(toy(trouble="value", frames=5))
    assert run.wait(PATIENCE) == "failed"
    assert run.error == "frames: went wrong in the middle"
    assert indices(run) == [0, 1]
    assert engine.submit(run.spec) is not run


def test_a_run_that_diverged_says_so_itself(engine, toy):
    run = engine.submit(toy(trouble="arithmetic"))
    assert run.wait(PATIENCE) == "failed"
    assert "diverged" in run.error
    assert run.frames


def test_progress_is_told_between_snapshots(engine, toy):
    run = engine.submit(toy(frames=1, pause=60.0))
    with run.watch("somebody"):
        until(lambda: run.progress > 0)
        assert not run.frames
        assert run.remaining is not None
        run.stop("somebody")


def test_another_error_is_logged_with_its_traceback(engine, toy, caplog):
    with caplog.at_level(logging.ERROR, "ntk_core.engine"):
        run = engine.submit(toy(trouble="other"))
        assert run.wait(PATIENCE) == "failed"
    assert run.error == UNEXPECTED
    assert "_make_trouble" in caplog.text
    assert "a defect" in caplog.text


def test_a_refused_plan_does_not_start(engine, toy, tmp_path):
    run = engine.submit(toy(trouble="refusal", trace=str(tmp_path / "trace")))
    assert run.wait(PATIENCE) == "failed"
    assert run.error == "frames: would take 3 TB; lower it"
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("trouble", ["death", "memory"])
def test_a_dead_worker_is_reported_and_replaced(engine, toy, trouble):
    run = engine.submit(toy(trouble=trouble, frames=5, pause=0.1))
    assert run.wait(PATIENCE) == "failed"
    assert run.error == WORKER_DIED
    assert indices(run) == [0, 1]
    assert engine.submit(toy(frames=1)).wait(PATIENCE) == "finished"


# Previews


def test_a_preview_does_not_wait_for_training(engine, toy):
    run = engine.submit(toy(pause=LONG))
    until(lambda: run.state == "running")
    preview = engine.preview(toy(frames=4))
    assert run.state == "running"
    run.stop()
    assert preview.theory["values"].tolist() == [0, 1, 2, 3]
    assert preview.plan.warnings == ("toy",)
    assert preview.plan.bytes == 32


def test_previews_are_computed_once(engine, toy):
    assert engine.preview(toy(frames=7)) is engine.preview(toy(frames=7))


def test_a_previews_error_is_its_sentence(engine, toy):
    with pytest.raises(ValueError, match=r"^frames: too many for the theory$"):
        engine.preview(toy(trouble="theory"))


# Processes


def test_status_counts_workers_and_runs(engine, toy):
    run = engine.submit(toy(pause=LONG))
    until(lambda: run.state == "running")
    waiting = engine.submit(toy(pause=LONG, frames=2))
    status = engine.status()
    run.stop()
    waiting.stop()
    assert (status["theory"], status["training"]) == (1, 1)
    assert (status["running"], status["queued"]) == (1, 1)


def test_workers_without_the_resources_are_named(toy):
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
        engine = Engine.start(cluster.scheduler_address)
        with pytest.raises(EngineError, match="no worker of the cluster offers"):
            engine.preview(toy())
        engine.close()


def test_no_scheduler_is_an_engine_error(monkeypatch):
    with pytest.raises(EngineError, match=r"no Dask scheduler answers at tcp://127.0.0.1:9"):
        Engine.start("tcp://127.0.0.1:9", timeout=1)


def test_nobody_outlives_a_killed_parent():
    script = "from ntk_core.engine import Engine; e = Engine.start(workers=1); print(e.address, flush=True); input()"
    parent = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout
    assert parent.stdout.readline().startswith("tcp://")
    until(lambda: len(psutil.Process(parent.pid).children(recursive=True)) >= 3)  # scheduler and two workers
    family = psutil.Process(parent.pid).children(recursive=True)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _, alive = psutil.wait_procs(family, timeout=PATIENCE)
    assert not alive


def test_a_lost_cluster_fails_its_runs_and_a_new_one_takes_over(engine, toy):
    # `engine` has put the toy experiment into the environment of children.
    own = Engine.start(workers=1, threads=1)
    try:
        run = own.submit(toy(pause=LONG))
        until(lambda: run.state == "running")
        assert own.connection.child
        os.killpg(own.connection.child.process.pid, signal.SIGKILL)
        assert run.wait(PATIENCE) == "failed"
        assert run.error == ENGINE_LOST
        assert own.submit(toy(frames=1)).wait(PATIENCE) == "finished"
    finally:
        own.close()


def test_a_cluster_started_elsewhere(engine, toy, monkeypatch):
    from app.web import shared_engine as server_state

    with LocalCluster(n_workers=0, processes=True, dashboard_address=None) as scheduler:
        address = scheduler.scheduler_address
        command = [sys.executable, "-m", "ntk_core.engine.cluster", "--workers=1", "--threads=1", "--connect", address]
        workers = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE)
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", address)
        monkeypatch.setattr(server_state, "_engine", None)
        try:
            own = server_state.engine()
            assert own.connection.child is None
            run = own.submit(toy(frames=2))
            assert run.wait(PATIENCE) == "finished"
            assert len(run.frames) == 2
        finally:
            server_state.close()
            workers.communicate(timeout=PATIENCE)


def test_a_task_given_up_by_another_process_goes_on_under_a_new_name(engine, toy):
    run = engine.submit(toy(frames=4, pause=0.2))
    until(lambda: run.frames)
    launch = engine._launches[run]
    (name,) = run.parts
    task = launch._tasks[name]
    launch._take(name, {"state": "stopped", "error": None, "traceback": None, "messages": 0, "facts": {}})
    assert launch._tasks[name] is not task
    assert run.wait(PATIENCE) == "finished"
    assert indices(run) == [0, 1, 2, 3]


# Parts


def test_parts_fill_one_result_and_go_on_when_one_fails(engine, toy):
    spec = toy(frames=4, who=4, split=True, trouble="value", troubled=2)
    run = engine.submit(spec)
    assert run.wait(PATIENCE) == "failed"
    assert run.error == "1 of 4 parts failed, the others are there: counter 2: frames: went wrong in the middle"
    assert run.result.present.sum(axis=0).tolist() == [4, 4, 2, 4]
    assert indices(run) == [0, 1, 2, 3]  # holes and all
    assert math.isnan(run.result["values"][3, 2, 0])


@pytest.mark.parametrize("troubled", [0, 1])  # before the other on their worker, and after it
@pytest.mark.parametrize("pause", [0.0, 0.1])  # of 0: its last words may die with it, and the other's outcome too
def test_a_part_whose_worker_dies_is_tried_again_and_named_when_it_dies_twice(engine, toy, tmp_path, troubled, pause):
    trace = tmp_path / "trace"
    spec = toy(frames=2, who=2, split=True, trouble="death", troubled=troubled, pause=pause, trace=str(trace))
    run = engine.submit(spec)
    with run.watch("a"):  # what nobody watches is stopped after half a minute; a worker takes seconds to come back
        assert run.wait(3 * PATIENCE) == "failed"
    assert run.error == f"1 of 2 parts failed, the others are there: counter {troubled}: {WORKER_DIED}"
    assert starts(trace) >= 3  # twice this one, once the other, or more where its outcome died too
    assert run.result.present[:, 1 - troubled].all()


def test_a_part_that_kills_its_workers_goes_alone_after_the_others(engine, toy, tmp_path):
    trace = tmp_path / "trace"
    spec = toy(frames=2, who=6, split=True, trouble="death", troubled=2, pause=0.1, trace=str(trace))
    run = engine.submit(spec)
    with run.watch("a"):
        assert run.wait(3 * PATIENCE) == "failed"
    assert run.error == f"1 of 6 parts failed, the others are there: counter 2: {WORKER_DIED}"
    assert {part.part.label: part.deaths for part in run.parts.values() if part.deaths} == {"counter 2": 2}
    assert len(set(trace.read_text().split())) == 2  # processes: until the first death, and all the others' after it


@pytest.mark.parametrize("troubled", [0, 1])
def test_a_part_that_never_ends_is_given_up_and_frees_its_worker(engine, toy, monkeypatch, troubled):
    monkeypatch.setattr(engine, "limits", replace(engine.limits, stalled=2.0))
    run = engine.submit(toy(frames=2, who=2, split=True, trouble="silence", troubled=troubled, pause=0.05))
    with run.watch("a"):
        assert run.wait(PATIENCE) == "failed"
    assert f"1 of 2 parts failed, the others are there: counter {troubled}: nothing was heard of it" in run.error
    assert run.result.present[:, 1 - troubled].all()
    assert engine.submit(toy(frames=1)).wait(PATIENCE) == "finished"


def test_parts_are_the_same_on_any_number_of_workers():
    from ntk_core import experiments

    spec = experiments.parse({"experiment": "circle", "widths": [500, 10_000], "seeds": 10, "n_train": 100})
    plan = experiments.load("circle").plan(spec)
    for workers in (1, 2, 4, 100):
        parts = experiments.parts_of(spec, plan, workers)
        assert 1 <= len(parts) <= workers
        cells = sorted((p["width"], k) for part in parts for p in part.places for k in range(*p["seed"]))
        assert cells == [(i, k) for i in (0, 1) for k in range(10)]
    units = {str(place) for part in experiments.parts_of(spec, plan, 1) for place in part.places}
    assert units == {str(place) for part in experiments.parts_of(spec, plan, 4) for place in part.places}


# Limits and the queue


def test_limits_refuse_with_what_to_lower(engine, toy, monkeypatch):
    monkeypatch.setattr(engine, "limits", replace(engine.limits, seconds=60.0, result_bytes=10**6))
    run = engine.submit(toy(seconds=600.0))
    assert run.wait(PATIENCE) == "failed"
    assert run.error.startswith("time: this run would take about 10 minutes and 1 are allowed here; lower")
    run = engine.submit(toy(heavy=10**6))
    assert run.wait(PATIENCE) == "failed"
    assert run.error.startswith("snapshots: the results of this run would take 20 MB and 1 MB are allowed here; lower")


def test_a_viewer_has_only_so_many_runs_and_the_queue_is_bounded(engine, toy, monkeypatch):
    monkeypatch.setattr(engine, "limits", replace(engine.limits, runs=2, queue=2))
    mine = [engine.submit(toy(pause=LONG, frames=k), viewer="me") for k in (1, 2)]
    with pytest.raises(EngineError, match="2 runs of yours are under way"):
        engine.submit(toy(pause=LONG, frames=3), viewer="me")
    until(lambda: any(run.state == "running" for run in mine))  # whichever reaches the worker first
    other = engine.submit(toy(pause=LONG, frames=4), viewer="other")
    with pytest.raises(EngineError, match="2 runs are waiting already"):
        engine.submit(toy(pause=LONG, frames=5), viewer="third")
    for run in (*mine, other):
        run.stop(run.owner)


def test_the_place_in_the_queue_and_the_time_until_it_starts(engine, toy):
    first = engine.submit(toy(frames=4, pause=30.0))
    until(lambda: first.state == "running")
    second, third = (engine.submit(toy(frames=k, pause=10.0)) for k in (2, 3))
    until(lambda: second.parts and third.parts)
    assert engine.queue.place(first).ahead == 0
    assert engine.queue.place(second).ahead == 1
    assert engine.queue.place(third).ahead == 2
    assert 100 < engine.queue.place(second).seconds <= 121
    assert 120 < engine.queue.place(third).seconds <= 141
    for run in (first, second, third):
        run.stop()


def test_a_run_goes_on_unwatched_for_a_while(engine, toy, monkeypatch):
    monkeypatch.setattr(engine, "limits", replace(engine.limits, detached=3.0))
    run = engine.submit(toy(pause=LONG), viewer="a")
    with run.watch("a"):
        until(lambda: run.state == "running")
    time.sleep(3 * run.viewers.grace)
    assert run.state == "running"
    with run.watch("b"):  # somebody comes back
        time.sleep(3.5)
        assert run.state == "running"
    assert run.wait(PATIENCE) == "stopped"
    assert run.error.startswith("nobody watched it")


# Previews of many


def test_whoever_asks_for_the_same_preview_waits_for_the_same_answer(engine, toy):
    spec = toy(thinking=0.5)
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(engine.preview(spec))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, answers))) == 1


def test_a_preview_given_up_by_one_stays_for_the_others_and_a_forgotten_one_frees_the_worker(engine, toy):
    spec, other = toy(thinking=0.8), toy(thinking=0.9)
    with engine.ask(spec) as mine:
        assert not mine.wait(0.1)
        with engine.ask(spec) as theirs:
            pass
        assert theirs is mine
        assert mine.result(PATIENCE).theory["values"].size == spec.frames
    with engine.ask(other) as unwanted:
        assert not unwanted.wait(0.2)
    began = time.monotonic()
    assert engine.preview(toy(frames=9)).theory["values"].size == 9
    assert time.monotonic() - began < 0.6


def test_jobs_that_wait_for_another_slot_do_not_hold_up_the_limit(engine, toy):
    """Dask begins tasks in order, whatever slot they want: networks before training, asked for at every move of a
    control, waited in front of the next limit.
    """
    client = engine.connection.client()
    aside = {"resources": {"aside": 1}, "priority": LATER, "pure": False}
    waiting = [client.submit(time.sleep, 2.0, key=f"waits-{k}", **aside) for k in range(5)]
    assert engine.preview(toy(frames=11)).theory["values"].size == 11
    assert [task.done() for task in waiting[1:]] == [False] * 4
    assert ask(engine.connection, abs, -3) == 3  # a stored result, say
    assert [task.done() for task in waiting[2:]] == [False] * 3
    for task in waiting:
        task.cancel()


def test_a_slow_preview_does_not_hold_up_quick_ones(engine, toy):
    with engine.ask(toy(thinking=5.0)) as slow:
        time.sleep(0.2)
        engine.preview(toy(frames=8))
        assert not slow.answer.done()


def test_a_sketch_does_not_wait_for_training(engine, toy):
    busy = engine.submit(toy(pause=LONG))
    until(lambda: busy.state == "running")
    sketch = engine.sketch(toy(frames=7))
    assert sketch.wait(PATIENCE) == "finished"
    assert indices(sketch) == [0]
    assert busy.state == "running"
    busy.stop()


def test_a_sketch_that_is_too_large_is_refused_once_and_theory_lives(engine, toy):
    """A million neurons drawn for a preview alone took the theory worker's memory, and the worker with it."""
    spec = toy(needs=10**15)
    sketch = engine.sketch(spec)
    assert sketch.wait(PATIENCE) == "failed"
    assert sketch.error.startswith("they would need about 1,000,000.0 GB, and ")
    assert "set aside for a preview" in sketch.error
    assert indices(sketch) == []
    assert engine.sketch(spec) is sketch  # nothing is gained by another attempt
    assert engine.submit(spec).wait(PATIENCE) == "finished"


def test_networks_before_training_stand_still_while_the_limit_is_worked_out(engine, toy):
    assert engine.sketch(toy(nonce=1)).wait(PATIENCE) == "finished"  # the worker is there, and quick
    began, thinking = time.monotonic(), 1.0
    with engine.ask(toy(thinking=thinking)) as asked:
        assert not asked.wait(0.3)  # by now it is being worked out
        assert engine.sketch(toy(nonce=2)).wait(PATIENCE) == "finished"
        assert time.monotonic() - began > thinking
        asked.result(PATIENCE)


def test_a_closed_engine_stays_closed(engine, toy):
    own = Engine.start(engine.address)
    own.close()
    with pytest.raises(EngineError, match="closed"):
        own.preview(toy())
    run = own.submit(toy())
    assert run.wait(PATIENCE) == "failed"
