"""Sends a run to the workers part by part, follows every part's task to its end, and tries a part again whose worker
died. Whoever may have killed it waits for the others and then goes alone, so that the next death says whose it was.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

from distributed import Future, KilledWorker

from ntk_core.engine import jobs
from ntk_core.engine.deadlines import SHARED, Deadline
from ntk_core.engine.errors import ENGINE_LOST, INCOMPLETE, STALLED, UNEXPECTED, WORKER_DIED, EngineError
from ntk_core.engine.post import posted
from ntk_core.engine.priorities import LATER
from ntk_core.engine.run import Run

if TYPE_CHECKING:
    from distributed import Client

    from ntk_core.engine.connection import Connection
    from ntk_core.runs.parts import Part

logger = logging.getLogger(__name__)

DEATHS = 2  # of workers under a part, after which it is given up
ATTEMPTS = 20  # at a part that never even began, since its workers died of others


class Launch:
    """One run on its way over the cluster. Its tasks are named after the run's task, the part and the attempt.

    Args:
        run: what to run.
        connection: the way to the cluster.
        ended: called once with (state, error) when the last part has ended.
        stalled: seconds after which a part that says nothing is given up.
        slot: the Dask resource that its tasks take.
    """

    def __init__(
        self,
        run: Run,
        connection: Connection,
        ended: Callable[[str, str | None], None],
        stalled: float,
        slot: str = "training",
    ):
        self.run, self._connection, self._ended = run, connection, ended
        self._stalled, self._slot = stalled, slot
        self._client: Client | None = None
        self._lock = threading.Lock()
        self._tasks: dict[str, Future] = {}  # by part
        self._deadlines: dict[str, Deadline] = {}
        self._problems: dict[str, str] = {}  # by the label of the part
        self._open: set[str] = set()
        self._suspects: list[str] = []  # parts that may have killed a worker, waiting until no other is on its way

    def start(self, parts: Callable[[int], tuple[Part, ...]]) -> None:
        """Sends every part; `parts` says which, for that many workers.

        Raises:
            EngineError: the cluster cannot be reached.
        """
        client = self._client = self._connection.client()
        self._connection.check_slots()
        self.run.begin(parts(max(1, self._connection.count(self._slot))))
        with self._lock:
            self._open = set(self.run.parts)
        for name in list(self.run.parts):
            self._send(client, name)
        if self._connection.external:
            # Another web process may have started the same tasks: what they added so far is with the workers.
            for name in list(self.run.parts):
                self._catch_up(client, name)

    @property
    def lost(self) -> bool:
        """Whether its tasks are of a connection that is no more."""
        return self._client is not None and not (self._connection.alive and self._connection.is_current(self._client))

    def hear(self, name: str, message: dict[str, Any]) -> None:
        """Takes a message of a part's task."""
        part, _, attempt = name.partition("~")
        state = self.run.parts.get(part)
        if state is None or int(attempt or 0) != state.attempt:
            return
        self._expect_more(part)
        if message["kind"] == "started":
            self.run.start(part, message["at"], message["worker"])
            state.heard.add(message["number"])
        elif message["kind"] == "progress":
            self.run.report(part, message["share"])
        else:
            try:
                self.run.accept(part, message["number"], message["data"], message["share"])
            except Exception:
                logger.exception("part %s of run %s adds what does not fit its result", part, self.run.key)
                self._end_part(part, "failed", UNEXPECTED)

    def cancel(self) -> None:
        """Drops this client's interest in all tasks; a worker notices if it was the last."""
        with self._lock:
            tasks, self._tasks = list(self._tasks.values()), {}
            deadlines, self._deadlines = list(self._deadlines.values()), {}
        for deadline in deadlines:
            deadline.cancel()
        for task in tasks:
            if task.client.status == "running":
                task.cancel()

    def _task_name(self, name: str) -> str:
        attempt = self.run.parts[name].attempt
        return f"{self.run.task}/{name}" + (f"~{attempt}" if attempt else "")

    def _send(self, client: Client, name: str) -> None:
        run, part = self.run, self.run.parts[name].part
        task = client.submit(
            jobs.run,
            run.spec.model_dump_json(),
            part.to_json(),
            key=self._task_name(name),
            resources={self._slot: 1},
            priority=LATER,
            pure=False,
        )
        with self._lock:
            if run.final:
                task.cancel()
                return
            self._tasks[name] = task
        task.add_done_callback(lambda done: self._settle(name, done))

    def _settle(self, name: str, task: Future) -> None:
        """Ends a part by its task's outcome, or by what became of its worker."""
        with self._lock:
            if self._tasks.get(name) is not task:
                return
        if self.run.final:
            return
        try:
            outcome = task.result(timeout=30)
        except KilledWorker:
            self._suspect_of_death(name)
        except (CancelledError, TimeoutError, OSError):
            self._end_part(name, "failed", ENGINE_LOST)
        except Exception:
            logger.exception("a part of run %s failed outside its job", self.run.key)
            self._end_part(name, "failed", UNEXPECTED)
        else:
            self._take(name, outcome)

    def _take(self, name: str, outcome: jobs.Outcome) -> None:
        if outcome["traceback"]:
            logger.error("run %s failed:\n%s", self.run.key, outcome["traceback"])
        if outcome["state"] == "stopped":
            # Another process gave this task up at the moment when we asked for it: ours goes on under a new name.
            if self._may_go_on(name, ENGINE_LOST):
                self._send_again(name)
            return
        if len(self.run.parts[name].heard) < outcome["messages"]:
            self._catch_up(self._connection.client(), name)
        error = outcome["error"]
        if error is None and len(self.run.parts[name].heard) < outcome["messages"]:
            error = INCOMPLETE
        self._end_part(name, "failed" if error else outcome["state"], error, outcome["facts"])

    def _suspect_of_death(self, name: str) -> None:
        """A worker died, of this part or of another that it had.

        What a part says last may die with its worker, so deaths in company do not say for certain whose they were.
        """
        if self._may_go_on(name, WORKER_DIED):
            part = self.run.parts[name]
            if not part.deaths and part.attempt == 1:
                self._send_again(name)
                return
            with self._lock:
                self._suspects.append(name)
            self._try_suspects()

    def _try_suspects(self) -> None:
        with self._lock:
            if not self._suspects or len(self._open) > len(self._suspects):
                return
            name = self._suspects.pop(0)
        self._send_again(name)

    def _may_go_on(self, name: str, error: str) -> bool:
        """Whether the part has another attempt; it ends with this error if not."""
        self._expect_no_more(name)
        part = self.run.retry(name)
        spent = part.deaths >= DEATHS or part.attempt >= ATTEMPTS
        if spent:
            self._end_part(name, "failed", error)
        return not spent

    def _send_again(self, name: str) -> None:
        try:
            self._send(self._connection.client(), name)
        except EngineError as problem:
            self._end_part(name, "failed", str(problem))

    def _catch_up(self, client: Client, name: str) -> None:
        """Asks the workers for what the part has said so far."""
        task = self._task_name(name)
        try:
            for messages in client.run(posted, task, on_error="ignore").values():
                for message in messages or ():
                    self.hear(task.rpartition("/")[2], message)
        except (OSError, CancelledError, TimeoutError):
            logger.exception("could not ask the workers for what %s has said so far", task)

    def _expect_no_more(self, name: str) -> None:
        """The part is not on its way now, so nothing will be heard of it."""
        with self._lock:
            deadline = self._deadlines.pop(name, None)
        if deadline is not None:
            deadline.cancel()

    def _expect_more(self, name: str) -> None:
        """The part must be heard of again before long."""
        self._expect_no_more(name)
        with self._lock:
            if name in self._open and not self.run.final:
                self._deadlines[name] = SHARED.after(self._stalled, lambda: self._begin_to_give_up(name))

    def _begin_to_give_up(self, name: str) -> None:
        """Talking to a cluster that does not answer takes its time, which other deadlines do not have."""
        threading.Thread(target=self._give_up, args=(name,), name=f"gives up {name}", daemon=True).start()

    def _give_up(self, name: str) -> None:
        with self._lock:
            task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
            self._end_part(name, "failed", STALLED.format(minutes=self._stalled / 60))
            self._free(self.run.parts[name].worker)

    def _free(self, worker: str) -> None:
        """A worker that does not look up any more keeps its slot from all the others: it begins anew."""
        try:
            self._connection.client().restart_workers([worker], timeout=10, raise_for_error=False)
        except (EngineError, OSError, ValueError, TimeoutError, CancelledError):
            logger.exception("worker %s says nothing and could not be restarted", worker)

    def _end_part(self, name: str, state: str, error: str | None, facts: dict[str, Any] | None = None) -> None:
        with self._lock:
            if name not in self._open:
                return
            self._open.discard(name)
            self._tasks.pop(name, None)
            if error:
                self._problems[self.run.parts[name].part.label] = error
            last = not self._open
        self._expect_no_more(name)
        self.run.end_part(name, state, facts)
        self._try_suspects()
        if last:
            self._conclude()

    def _conclude(self) -> None:
        if not self._problems:
            self._ended("finished", None)
            return
        count, total = len(self._problems), len(self.run.parts)
        if count == total and len(set(self._problems.values())) == 1:
            self._ended("failed", next(iter(self._problems.values())))
            return
        told = [f"{label}: {error}" for label, error in self._problems.items()]
        shown = "; ".join(told[:3]) + (f"; and {count - 3} more" if count > 3 else "")
        self._ended("failed", f"{count} of {total} parts failed, the others are there: {shown}")
