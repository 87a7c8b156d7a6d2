"""Clusters started elsewhere: two web processes on one scheduler and one store; the death of each process in turn."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import psutil
import pytest

from ntk_core import experiments
from ntk_core.engine import Engine, Limits
from ntk_core.engine.child import ROOT
from ntk_core.engine.errors import ENGINE_LOST
from ntk_core.engine.post import TOPIC

PATIENCE = 90.0
SCHEDULER = """
import asyncio, sys
from distributed import Scheduler
async def main():
    async with Scheduler(host="127.0.0.1", port=int(sys.argv[1]), dashboard=False) as scheduler:
        print(scheduler.address, flush=True)
        await scheduler.finished()
asyncio.run(main())
"""


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def kill(process: subprocess.Popen) -> None:
    """SIGKILL to a process and whatever it started."""
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.kill()
    for member in family:
        member.kill()
    process.wait()


class Cluster:
    """A scheduler with its default configuration, and workers that know the toy experiment."""

    def __init__(self, port: int = 0):
        command = [sys.executable, "-c", SCHEDULER, str(port)]
        self.scheduler = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.scheduler.stdout
        self.address = self.scheduler.stdout.readline().strip()
        self.workers = self.add_workers()

    def add_workers(self) -> subprocess.Popen:
        command = [sys.executable, "-m", "ntk_core.engine.cluster", "--workers=1", "--threads=1", "--connect"]
        return subprocess.Popen([*command, self.address], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        for process in (self.workers, self.scheduler):
            kill(process)


@contextmanager
def connected(address: str) -> Iterator[Engine]:
    engine = Engine.start(address, grace=0.5, limits=Limits(detached=60.0))
    try:
        yield engine
    finally:
        engine.close()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A store that this module's workers share."""
    folder = str(tmp_path_factory.mktemp("store"))
    before = {name: os.environ.get(name) for name in ("NTK_STORE", "DASK_DISTRIBUTED__WORKER__PRELOAD")}
    os.environ |= {"NTK_STORE": folder, "DASK_DISTRIBUTED__WORKER__PRELOAD": '["tests.toys"]'}
    yield folder
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


@pytest.fixture(scope="module")
def cluster(store: str) -> Iterator[Cluster]:
    cluster = Cluster()
    yield cluster
    cluster.kill()


def test_what_one_process_computed_the_other_finds_in_the_store(cluster, toy, store, tmp_path):
    spec = toy(frames=3, pause=0.2, trace=str(tmp_path / "trace"))
    with connected(cluster.address) as first:
        run = first.submit(spec)
        assert run.wait(PATIENCE) == "finished"
        assert run.record is None
        until(lambda: os.listdir(store))
    with connected(cluster.address) as second:
        second.shelf.refresh()
        recalled = second.recall(spec)
        assert recalled is not None
        assert recalled.wait(PATIENCE) == "finished"
        assert 0.6 <= recalled.record["seconds"] <= run.elapsed + 1.0  # of the first time, not of the reading
        assert (recalled.result["values"] == run.result["values"]).all()
        again = second.submit(spec, again=True)
        assert again.wait(PATIENCE) == "finished"
        assert again.record is None
    assert len((tmp_path / "trace").read_text().splitlines()) == 2  # the first time, and the one that was asked for


def test_a_process_that_joins_in_the_last_moment_has_everything(cluster, toy):
    spec = toy(frames=5, pause=0.3)
    with connected(cluster.address) as first, connected(cluster.address) as second:
        run = first.submit(spec)
        until(lambda: len(run.frames) == 5)
        late = second.submit(spec)
        assert late.wait(PATIENCE) == "finished"
        assert [frame.index for frame in late.frames if frame.complete] == [0, 1, 2, 3, 4]
        assert run.wait(PATIENCE) == "finished"


def test_a_late_process_counts_from_when_the_run_began(cluster, toy):
    with connected(cluster.address) as first, connected(cluster.address) as second:
        spec = toy(frames=4, pause=1.0)
        first.submit(spec)
        until(lambda: first.get(spec.key).state == "running")
        time.sleep(1.5)
        late = second.submit(spec)
        until(lambda: late.state == "running")
        assert late.elapsed > 1.4


def test_the_scheduler_keeps_few_of_our_messages(cluster, toy):
    with connected(cluster.address) as engine:
        run = engine.submit(toy(frames=150, pause=0.02))
        assert run.wait(PATIENCE) == "finished"
        kept = engine.connection.client().run_on_scheduler(
            lambda dask_scheduler, topic=TOPIC: len(dask_scheduler._broker._topics[topic].events)
        )
        assert kept <= 64


def test_killed_workers_are_survived(cluster, toy):
    with connected(cluster.address) as engine:
        run = engine.submit(toy(frames=3, pause=0.5))
        until(lambda: run.frames)
        kill(cluster.workers)
        cluster.workers = cluster.add_workers()
        assert run.wait(PATIENCE) == "finished"
        assert run.result.present.all()


def test_a_scheduler_that_was_killed_and_came_back_runs_again(store, toy):
    cluster = Cluster()
    port = int(cluster.address.rpartition(":")[2])
    with connected(cluster.address) as engine:
        run = engine.submit(toy(pause=100.0))
        until(lambda: run.state == "running")
        cluster.kill()
        until(lambda: run.final)
        assert (run.state, run.error) == ("failed", ENGINE_LOST)
        cluster = Cluster(port)
        try:
            until(lambda: engine.submit(toy(frames=4)).wait(PATIENCE) == "finished")
            assert len(engine.get(toy(frames=4).key).frames) == 4
        finally:
            cluster.kill()


def test_a_killed_web_process_leaves_the_others_run_alone(cluster, toy):
    spec = toy(frames=4, pause=0.5)
    script = (
        "import sys, time; from ntk_core import experiments; from ntk_core.engine import Engine; import tests.toys; "
        "engine = Engine.start(sys.argv[1]); run = engine.submit(experiments.parse(eval(sys.argv[2]))); "
        "print('there', flush=True); time.sleep(100)"
    )
    command = [sys.executable, "-c", script, cluster.address, repr(spec.model_dump())]
    other = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert other.stdout
    assert other.stdout.readline().strip() == "there"
    with connected(cluster.address) as engine:
        run = engine.submit(spec)
        until(lambda: run.frames)
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert run.wait(PATIENCE) == "finished"


def test_a_sweep_of_two_hundred_parts_survives_a_worker_and_is_kept(store):
    spec = experiments.parse({
        "experiment": "laws", "measure": "training", "widths": [8, 16], "depths": [2, 3], "trained": 50, "piece": 1,
        "time": 4.0,
    })  # fmt: skip
    cluster = Cluster()
    other = cluster.add_workers()
    try:
        with connected(cluster.address) as engine:
            until(lambda: engine.status()["training"] == 2)
            run = engine.submit(spec)
            until(lambda: sum(part.state == "finished" for part in run.parts.values()) > 20)
            kill(other)
            assert run.wait(PATIENCE) == "finished"
            assert len(run.parts) == 200
            until(lambda: f"{spec.key}.nc" in os.listdir(store))
        with connected(cluster.address) as engine:
            again = engine.submit(spec)
            assert again.wait(PATIENCE) == "finished"
            assert not again.parts  # answered from the store
    finally:
        kill(other)
        cluster.kill()
    alone = experiments.compute(spec)
    for name in run.result.schema.variables:
        np.testing.assert_array_equal(run.result[name], alone[name])
        np.testing.assert_array_equal(again.result[name], alone[name])
