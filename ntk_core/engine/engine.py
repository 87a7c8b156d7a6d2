"""The client side of the engine: previews at once, runs in the background, both on Dask workers."""

from __future__ import annotations

import logging
import threading
import uuid
from concurrent.futures import CancelledError
from typing import Any

from distributed import Client, Future, KilledWorker

from ntk_core.engine import jobs
from ntk_core.engine.connection import Connection
from ntk_core.engine.errors import ENGINE_LOST, TOO_LONG, UNEXPECTED, WORKER_DIED, EngineError
from ntk_core.engine.preview import Preview, PreviewCache
from ntk_core.engine.run import Run
from ntk_core.engine.runs import Runs
from ntk_core.runs.plan import Plan
from ntk_core.runs.snapshot import Snapshot
from ntk_core.runs.spec import ExperimentSpec

logger = logging.getLogger(__name__)

PREVIEW_SECONDS = 120.0  # a preview takes milliseconds; the first one waits for the workers to start
FIRST_GRACE = 30.0  # seconds a page may take from submitting a run to opening its stream


class Engine:
    """Runs experiments for a web process (or a script). Make one with `Engine.start`; every method is thread-safe.

    Two kinds of work never wait for each other: previews have a worker of their own (Dask resource "theory"), runs have
    the others ("training").
    """

    def __init__(
        self,
        address: str | None,
        options: dict[str, int],
        timeout: float,
        grace: float,
        keep_bytes: int,
        cache_bytes: int,
    ):
        self._grace = grace
        self._runs, self._previews = Runs(keep_bytes), PreviewCache(cache_bytes)
        self._lock = threading.RLock()
        self._futures: dict[Run, Future] = {}
        self.connection = Connection(address, options, timeout, self._on_message, self._lost)

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
    ) -> Engine:
        """Connects to the Dask scheduler at `address`, or starts a child process tree if there is none.

        Args:
            address: of a scheduler whose workers offer the resources "theory" and "training".
            workers: training workers of the child; 0: one for every four cores.
            threads: torch's threads in each worker of the child; 0: the cores shared out.
            memory_limit: bytes for each training worker of the child; 0: a share of this machine's memory.
            grace: seconds a dropped viewer may take to come back before a run is cancelled.
            timeout: seconds to wait for the scheduler's answer.
            keep_bytes, cache_bytes: bounds on the ended runs and on the previews kept in memory.

        Raises:
            EngineError: no scheduler answers, or the child does not start.
        """
        options = {"workers": workers, "threads": threads, "memory_limit": memory_limit}
        engine = cls(address, options, timeout, grace, keep_bytes, cache_bytes)
        engine.connection.client()
        return engine

    @property
    def address(self) -> str:
        """The scheduler's address."""
        return self.connection.client().scheduler_info(n_workers=0)["address"]

    def preview(self, spec: ExperimentSpec) -> Preview:
        """The limit's theory and the plan of a spec; blocks for milliseconds, or not at all if it is cached.

        Raises:
            ValueError: the experiment's own sentence about the spec.
            EngineError: the computation failed for another reason.
        """
        preview = self._previews.get(spec.key)
        if preview is None:
            preview = self._compute_preview(spec)
            self._previews.put(spec.key, preview)
        return preview

    def submit(self, spec: ExperimentSpec, viewer: str = "") -> Run:
        """The run of this spec: the one that is queued, running or finished, else a new one.

        Args:
            spec: what to run.
            viewer: who will watch it, if known; the run is cancelled if nobody does within half a minute.
        """
        with self._lock:
            run = self._runs.get(spec.key)
            if run is not None and run.state in ("queued", "running", "finished"):
                if not run.final:
                    run.viewers.expect(viewer, FIRST_GRACE)
                return run
            # After a stop the worker may still be at the old task's last step: a new attempt has a name of its own.
            task = spec.key if run is None else _new_name(spec)
            return self._submit(spec, task, viewer)

    def get(self, key: str) -> Run | None:
        """The run of that key, if this process knows it."""
        return self._runs.get(key)

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

    def _lost(self) -> None:
        for run in self._runs.active():
            self._end(run, "failed", ENGINE_LOST)

    # Previews

    def _compute_preview(self, spec: ExperimentSpec) -> Preview:
        client = self.connection.client()
        self.connection.check_slots()
        key = f"theory-{spec.key}"
        future = client.submit(jobs.preview, spec.model_dump_json(), key=key, resources={"theory": 1})
        try:
            answer = future.result(timeout=PREVIEW_SECONDS)
        except KilledWorker:
            raise EngineError(WORKER_DIED) from None
        except TimeoutError:
            future.cancel()
            raise EngineError(TOO_LONG) from None
        except (CancelledError, OSError) as error:
            raise EngineError("the engine does not answer; try again in a moment") from error
        if "theory" not in answer:
            raise _preview_error(spec, answer)
        theory = Snapshot.from_bytes(answer["theory"])
        return Preview(theory, Plan.from_json(answer["plan"]), bytes=len(answer["theory"]))

    # Runs

    def _submit(self, spec: ExperimentSpec, task: str, viewer: str) -> Run:
        client = self.connection.client()
        self.connection.check_slots()
        run = Run(spec, task, self._abandoned, self._grace)
        run.viewers.expect(viewer, FIRST_GRACE)
        self._runs.add(run)
        self._send(client, run)
        if self.connection.external:
            # Another web process may have started the same task: its snapshots so far are with the worker.
            threading.Thread(target=self._catch_up, args=[client, run], name="catch-up", daemon=True).start()
        return run

    def _send(self, client: Client, run: Run) -> None:
        fields = run.spec.model_dump_json()
        future = client.submit(jobs.run, fields, key=run.task, resources={"training": 1}, pure=False)
        self._futures[run] = future
        future.add_done_callback(lambda done: self._settle(run, done))

    def _catch_up(self, client: Client, run: Run) -> None:
        try:
            for messages in client.run(jobs.posted, run.task, on_error="ignore").values():
                for message in messages or ():
                    self._deliver(run, message)
        except (OSError, CancelledError):
            logger.exception("could not ask the workers for the snapshots of %s so far", run.task)

    def _on_message(self, event: tuple[float, dict[str, Any]]) -> None:
        """Handler of the topic, in the client's own thread."""
        message = event[1]
        run = self._runs.of_task(message["task"])
        if run is not None:
            self._deliver(run, message)

    @staticmethod
    def _deliver(run: Run, message: dict[str, Any]) -> None:
        if message["kind"] == "started":
            run.start()
        elif message["kind"] == "progress":
            run.report(message["share"])
        else:
            run.accept(message["number"], message["data"])

    def _settle(self, run: Run, future: Future) -> None:
        """Ends the run by its task's outcome, or by what became of its worker."""
        if run.final or future is not self._futures.get(run):
            return
        try:
            outcome = future.result(timeout=30)
        except KilledWorker:
            self._end(run, "failed", WORKER_DIED)
        except (CancelledError, TimeoutError, OSError):
            self._end(run, "failed", ENGINE_LOST)
        except Exception:
            logger.exception("run %s failed outside its job", run.key)
            self._end(run, "failed", UNEXPECTED)
        else:
            if outcome["traceback"]:
                logger.error("run %s failed:\n%s", run.key, outcome["traceback"])
            if outcome["state"] == "stopped":
                self._send_again(run)
            else:
                self._end(run, outcome["state"], outcome["error"])

    def _send_again(self, run: Run) -> None:
        """Another process gave this task up at the moment when we asked for it: ours goes on under a new name."""
        with self._lock:
            if not run.final:
                self._runs.rename(run, _new_name(run.spec))
                self._send(self.connection.client(), run)

    def _abandoned(self, run: Run) -> None:
        self._end(run, "stopped", None)

    def _end(self, run: Run, state: str, error: str | None) -> None:
        with self._lock:
            if not run.end(state, error):
                return
            future = self._futures.pop(run, None)
            self._runs.ended(run)
            if future is not None and future.client.status == "running":
                future.cancel()  # drops this client's interest; the worker notices if it was the last


def _new_name(spec: ExperimentSpec) -> str:
    return f"{spec.key}-{uuid.uuid4().hex[:8]}"


def _preview_error(spec: ExperimentSpec, answer: dict[str, Any]) -> Exception:
    if answer["error"] is not None:
        return ValueError(answer["error"])
    logger.error("preview of %s failed:\n%s", spec.key, answer["traceback"])
    return EngineError(UNEXPECTED)
