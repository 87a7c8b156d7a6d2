"""The engine against the toy experiment: streaming, sharing, cancelling, errors, deaths."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from distributed import LocalCluster

from ntk_core.engine import Engine, EngineError
from ntk_core.engine.child import ROOT
from ntk_core.engine.errors import ENGINE_LOST, UNEXPECTED, WORKER_DIED
from tests.conftest import THREADS

LONG = 200.0  # seconds: a run that is still going unless somebody stops it
PATIENCE = 60.0


def until(condition, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def starts(trace: Path) -> int:
    return len(trace.read_text().splitlines())


# Streaming


def test_snapshots_arrive_one_by_one_in_order(engine, toy):
    run = engine.submit(toy(frames=6, pause=0.05))

    async def follow():
        return [(version, len(run.snapshots)) async for version in run.changes()]

    seen = asyncio.run(asyncio.wait_for(follow(), PATIENCE))
    versions, counts = zip(*seen, strict=True)
    assert list(versions) == sorted(set(versions))
    assert set(range(1, 7)) <= set(counts)  # no snapshot waited for the next
    assert [s.index for s in run.snapshots] == list(range(6))
    assert [s["values"][0] for s in run.snapshots] == list(range(6))
    assert run.state == "finished"
    assert run.progress == 1


def test_complete_snapshots_replace_partial_ones(engine, toy):
    run = engine.submit(toy(frames=3, pause=0.25, partial=2))
    partial = False
    while not run.final:
        partial |= any(not s.complete for s in run.snapshots)
        time.sleep(0.02)
    assert partial
    assert [(s.index, s.complete) for s in run.snapshots] == [(0, True), (1, True), (2, True)]


def test_torch_has_the_threads_that_were_asked_for(engine, toy):
    run = engine.submit(toy(frames=1))
    assert run.wait(PATIENCE) == "finished"
    assert run.info["threads"] == THREADS


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
    until(lambda: len(first.snapshots) == 1)
    first.stop()
    assert first.state == "stopped"
    second = engine.submit(spec)
    assert second is not first
    assert second.wait(PATIENCE) == "finished"
    assert len(first.snapshots) == 1  # what was computed stays, and nothing of the second run is mixed in
    assert starts(tmp_path / "trace") == 2


def test_a_second_process_gets_the_frames_so_far_and_the_live_ones(engine, toy, tmp_path):
    spec = toy(frames=6, pause=0.3, trace=str(tmp_path / "trace"))
    first = engine.submit(spec)
    until(lambda: len(first.snapshots) >= 3)
    other = Engine.start(engine.address)
    try:
        late = other.submit(spec)
        assert late is not first
        assert late.wait(PATIENCE) == "finished"
        assert [s.index for s in late.snapshots] == list(range(6))
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
    assert first.wait(PATIENCE) == "finished"


# Stopping


def test_stop_frees_the_worker(engine, toy):
    long, next_one = engine.submit(toy(pause=LONG)), engine.submit(toy(frames=1))
    until(lambda: long.state == "running")
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
    assert [s.index for s in run.snapshots] == [0, 1]
    assert engine.submit(run.spec) is not run


def test_a_run_that_diverged_says_so_itself(engine, toy):
    run = engine.submit(toy(trouble="arithmetic"))
    assert run.wait(PATIENCE) == "failed"
    assert "diverged" in run.error
    assert run.snapshots


def test_progress_is_told_between_snapshots(engine, toy):
    run = engine.submit(toy(frames=1, pause=60.0))
    with run.watch("somebody"):
        until(lambda: run.progress > 0)
        assert not run.snapshots
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
    assert [s.index for s in run.snapshots] == [0, 1]
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
            assert len(run.snapshots) == 2
        finally:
            server_state.close()
            workers.communicate(timeout=PATIENCE)


def test_a_task_given_up_by_another_process_goes_on_under_a_new_name(engine, toy):
    class GivenUp:
        def result(self, timeout):
            return {"state": "stopped", "error": None, "traceback": None}

    run = engine.submit(toy(frames=4, pause=0.2))
    until(lambda: run.snapshots)
    first, engine._futures[run] = run.task, GivenUp()
    engine._settle(run, engine._futures[run])
    assert run.task != first
    assert run.wait(PATIENCE) == "finished"
    assert [s.index for s in run.snapshots] == [0, 1, 2, 3]
