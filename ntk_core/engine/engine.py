"""The client side of the engine: previews at once, runs in the background, both on Dask workers."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any, cast

from ntk_core import experiments
from ntk_core.engine.connection import Connection
from ntk_core.engine.errors import ENGINE_LOST, UNEXPECTED, UNWATCHED, EngineError
from ntk_core.engine.launch import Launch
from ntk_core.engine.limits import Limits
from ntk_core.engine.own_data import OwnData
from ntk_core.engine.previews import PREVIEW_SECONDS, Asked, Preview, Previews
from ntk_core.engine.queue import Queue
from ntk_core.engine.run import Run
from ntk_core.engine.runs import Runs
from ntk_core.engine.shelf import Shelf
from ntk_core.experiments import Experiment
from ntk_core.runs.parts import Part
from ntk_core.runs.plan import Plan
from ntk_core.runs.spec import ExperimentSpec

logger = logging.getLogger(__name__)

FIRST_GRACE = 30.0  # seconds a page may take from submitting a run to opening its stream
SKETCH_GRACE = 2.0  # seconds for which networks before training are worked on when nobody looks any more
# One thread: it shares its worker's processor with the limit of a control that has moved meanwhile.
SKETCH = Part("the networks before training", fields={"at_most_seconds": 5.0, "at_most_share": 0.5, "threads": 1})


class Engine:
    """Runs experiments for a web process (or a script). Make one with `Engine.start`; every method is thread-safe.

    Previews, runs and what stands between them (networks before training, stored results) never wait for each other:
    each has a Dask resource of its own, "theory", "training" and "aside".
    """

    def __init__(
        self,
        address: str | None,
        options: dict[str, int],
        timeout: float,
        grace: float,
        keep_bytes: int,
        cache_bytes: int,
        limits: Limits,
    ):
        self._grace, self.limits = grace, limits
        self._runs, self._lock = Runs(keep_bytes), threading.Lock()
        self._launches: dict[Run, Launch] = {}
        self.connection = Connection(address, options, timeout, self._on_message, self._lost)
        self.previews = Previews(self.connection, cache_bytes)
        self.shelf = Shelf(self.connection)
        self.own_data = OwnData(self.connection)
        self.queue = Queue(self._runs)

    @classmethod
    def start(
        cls,
        address: str | None = None,
        *,
        workers: int = 0,
        threads: int = 0,
        memory_limit: int = 0,
        grace: float = 10.0,
        keep_bytes: int = 64 << 20,
        cache_bytes: int = 16 << 20,
        timeout: float = 20.0,
        limits: Limits | None = None,
    ) -> Engine:
        """Connects to the Dask scheduler at `address`, or starts a child process tree if there is none.

        Args:
            address: of a scheduler whose workers offer the resources "theory", "aside" and "training".
            workers: training workers of the child; 0: one for every four cores.
            threads: torch's threads in each worker of the child; 0: the cores shared out.
            memory_limit: bytes for each training worker of the child; 0: a share of this machine's memory.
            grace: seconds a dropped viewer may take to come back before it is counted out.
            timeout: seconds to wait for the scheduler's answer.
            keep_bytes, cache_bytes: bounds on the ended runs and on the previews kept in memory.
            limits: bounds on runs.

        Raises:
            EngineError: no scheduler answers, or the child does not start.
        """
        options = {"workers": workers, "threads": threads, "memory_limit": memory_limit}
        engine = cls(address, options, timeout, grace, keep_bytes, cache_bytes, limits or Limits())
        engine.connection.client()
        return engine

    @property
    def address(self) -> str:
        """The scheduler's address."""
        return self.connection.client().scheduler_info(n_workers=0)["address"]

    # Previews

    def ask(self, spec: ExperimentSpec) -> AbstractContextManager[Asked]:
        """The preview of a spec, for a `with` block that waits for it and may give it up."""
        return self.previews.ask(spec)

    def preview(self, spec: ExperimentSpec, seconds: float = PREVIEW_SECONDS) -> Preview:
        """The limit's theory and the plan of a spec; blocks for milliseconds, or not at all if it is cached.

        Raises:
            ValueError: the experiment's own sentence about the spec.
            EngineError: the computation failed for another reason.
        """
        with self.ask(spec) as asked:
            return asked.result(seconds)

    def refusal(self, spec: ExperimentSpec, plan: Plan) -> str | None:
        """Why a spec must not be run here, or None."""
        return self.limits.refuse(plan, _result_bytes(spec))

    # Runs

    def submit(self, spec: ExperimentSpec, viewer: str = "", *, again: bool = False) -> Run:
        """The run of this spec: the one that is queued, running or finished, else a new one.

        A new one takes its result from the store where it is there.

        Args:
            spec: what to run.
            viewer: who will watch it, if known.
            again: computes it anew, whatever is known.

        Raises:
            EngineError: too many runs are under way.
            ValueError: the experiment is theory alone.
        """
        if not experiments.runs(spec.experiment):
            raise ValueError(f"experiment: {spec.experiment} is theory alone, there is nothing to run")
        with self._lock:
            run = self._runs.get(spec.key)
            going = run is not None and not run.final
            if run is not None and (going or (run.state == "finished" and not again)):
                if going:
                    run.viewers.expect(viewer, FIRST_GRACE)
                return run
            self._check_room(viewer)
            # After a stop the worker may still be at the old task's last step: a new attempt has a name of its own.
            run = self._new_run(spec, viewer, spec.key if run is None else _new_name(spec), self.limits.detached)
        self._in_background(run, lambda: self._bring(run, again))
        return run

    def recall(self, spec: ExperimentSpec, viewer: str = "") -> Run | None:
        """The run of this spec if it is known, or its stored result as a run, if there is one; starts no training."""
        run = self._runs.get(spec.key)
        if run is not None or not experiments.runs(spec.experiment) or not self.shelf.might_have(spec):
            return run
        with self._lock:
            run = self._runs.get(spec.key)
            if run is not None:
                return run
            run = self._new_run(spec, viewer, _new_name(spec), 0.0)
            run.recalled = run.aside = True
        self._in_background(run, lambda: self._fetch(run))
        return run

    def sketch(self, spec: ExperimentSpec, viewer: str = "") -> Run | None:
        """The spec's networks before training, where its experiment offers them: a run that nobody waits for."""
        make = getattr(experiments.load(spec.experiment), "sketch", None)
        sketch = make(spec) if make else None
        if sketch is None:
            return None
        with self._lock:
            run = self._runs.get(sketch.key)
            failed = run is not None and run.state == "failed" and run.error != ENGINE_LOST  # it would fail again
            if run is not None and (failed or run.state in ("queued", "running", "finished")):
                if not run.final:
                    run.viewers.expect(viewer, FIRST_GRACE)
                return run
            run = self._new_run(sketch, viewer, _new_name(sketch), 0.0, SKETCH_GRACE)
            run.aside = True
        self._in_background(run, lambda: self._send(run, "aside", lambda workers: (SKETCH,)))
        return run

    def get(self, key: str) -> Run | None:
        """The run of that key, if this process knows it."""
        return self._runs.get(key)

    def known_spec(self, key: str) -> ExperimentSpec | None:
        """The spec of that key, if a run or a preview of it is known here."""
        run, preview = self._runs.get(key), self.previews.cache.get(key)
        return run.spec if run is not None else preview.spec if preview is not None else None

    def status(self) -> dict[str, Any]:
        """Facts about the engine: workers by slot, runs by state."""
        slots = [slot for worker in self.connection.workers() for slot in worker["resources"]]
        states = [run.state for run in self._runs.active()]
        return {
            "theory": slots.count("theory"),
            "training": slots.count("training"),
            "queued": states.count("queued"),
            "running": states.count("running"),
        }

    def close(self) -> None:
        """Cancels everything that runs for this process and ends the child."""
        for run in self._runs.active():
            self._end(run, "stopped", None)
        self.connection.close()

    def _check_room(self, viewer: str) -> None:
        active = [run for run in self._runs.active() if not run.aside]
        mine = sum(run.owner == viewer for run in active) if viewer else 0
        if mine >= self.limits.runs:
            raise EngineError(f"{mine} runs of yours are under way, and no more are allowed: stop one of them first")
        if sum(run.state == "queued" for run in active) >= self.limits.queue:
            raise EngineError(f"{self.limits.queue} runs are waiting already: try again in a few minutes")

    def _new_run(
        self, spec: ExperimentSpec, viewer: str, task: str, patience: float, grace: float | None = None
    ) -> Run:
        schema = _experiment(spec).schema(spec)
        grace = self._grace if grace is None else grace
        run = Run(spec, task, schema, self._abandoned, grace, patience, viewer)
        run.viewers.expect(viewer, FIRST_GRACE)
        self._runs.add(run)
        return run

    def _in_background(self, run: Run, work: Any) -> None:
        """Network calls happen in a thread of their own, without any lock."""

        def guarded() -> None:
            try:
                work()
            except (EngineError, ValueError) as error:
                self._end(run, "failed", str(error))
            except Exception:
                logger.exception("run %s could not be started", run.key)
                self._end(run, "failed", UNEXPECTED)

        threading.Thread(target=guarded, name="launch", daemon=True).start()

    def _bring(self, run: Run, again: bool) -> None:
        if again or not self._take_stored(run):
            self._train(run)

    def _fetch(self, run: Run) -> None:
        if not self._take_stored(run):
            self._end(run, "stopped", None)
            self._runs.forget(run)

    def _take_stored(self, run: Run) -> bool:
        stored = self.shelf.load(run.spec)
        if stored is None:
            return False
        run.fill(*stored)
        self._end(run, "finished", None)
        return True

    def _train(self, run: Run) -> None:
        plan = self.preview(run.spec).plan
        assert plan is not None
        refusal = self.refusal(run.spec, plan)
        if refusal:
            raise ValueError(refusal)
        run.predicted = plan.seconds

        def parts(workers: int) -> tuple[Part, ...]:
            self.queue.workers = workers
            return experiments.parts_of(run.spec, plan, workers)

        self._send(run, "training", parts)

    def _send(self, run: Run, slot: str, parts: Callable[[int], tuple[Part, ...]]) -> None:
        launch = Launch(run, self.connection, lambda s, e: self._concluded(run, s, e), self.limits.stalled, slot)
        with self._lock:
            if run.final:
                return
            self._launches[run] = launch
        launch.start(parts)

    def _concluded(self, run: Run, state: str, error: str | None) -> None:
        self._end(run, state, error)
        if run.state == "finished" and not run.aside:
            self.shelf.keep(run)

    def _on_message(self, event: tuple[float, dict[str, Any]]) -> None:
        """Handler of the topic, in the client's own thread."""
        message = event[1]
        task, _, part = message["task"].partition("/")
        run = self._runs.of_task(task)
        launch = self._launches.get(run) if run is not None else None
        if launch is not None:
            launch.hear(part, message)

    def _abandoned(self, run: Run) -> None:
        unwatched = not run.aside and not run.viewers.left
        self._end(run, "stopped", UNWATCHED.format(minutes=run.viewers.patience / 60) if unwatched else None)

    def _lost(self) -> None:
        # Runs that start meanwhile are of the next connection: their launches are made after it.
        for run in [run for run, launch in list(self._launches.items()) if launch.lost]:
            self._end(run, "failed", ENGINE_LOST)

    def _end(self, run: Run, state: str, error: str | None) -> None:
        with self._lock:
            if not run.end(state, error):
                return
            launch = self._launches.pop(run, None)
            self._runs.ended(run)
        if launch is not None:
            launch.cancel()


def _experiment(spec: ExperimentSpec) -> Experiment:
    return cast(Experiment, experiments.load(spec.experiment))


@lru_cache(maxsize=1024)  # every run of a page's script asks
def _result_bytes(spec: ExperimentSpec) -> int:
    return _experiment(spec).schema(spec).nbytes


def _new_name(spec: ExperimentSpec) -> str:
    return f"{spec.key}-{uuid.uuid4().hex[:8]}"
