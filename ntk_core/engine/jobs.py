"""What runs on a worker: previews (theory and plan) and runs (the stream of snapshots).

A job returns plain data, errors included: nothing but the death of its worker looks like an error to Dask. This module
is also the workers' preload: it imports torch before the first job asks for it.
"""

from __future__ import annotations

import ctypes
import json
import os
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypedDict

from distributed import get_worker

from ntk_core import experiments
from ntk_core.engine.errors import OUT_OF_MEMORY, TOO_LONG, UNEXPECTED
from ntk_core.progress import Listener, checkpoint, listening
from ntk_core.runs.spec import sentences

if TYPE_CHECKING:
    from distributed import Worker

    from ntk_core.runs.snapshot import Snapshot
    from ntk_core.runs.spec import ExperimentSpec

TOPIC = "ntk-runs"
PARTIAL_EVERY = 0.2  # seconds between partial snapshots at most; complete ones are always posted
PROGRESS_EVERY = 0.5  # seconds between reports of progress where no snapshot is ready
RUNS_REMEMBERED = 2  # whose snapshots a worker can repeat to a late client: the running one and the one before


class Cancelled(Exception):  # noqa: N818 - nothing went wrong
    """Nobody wants this task any more."""


class Outcome(TypedDict):
    """How a run ended."""

    state: str  # "finished", "stopped" or "failed"
    error: str | None  # a sentence for the page
    traceback: str | None  # for the server's log, when the error is not about the spec


def dask_setup(worker: Worker) -> None:
    """Preload hook: torch is imported now; training yields the processor to theory and to the web process."""
    import torch  # noqa: F401

    if "training" in worker.state.total_resources and "theory" not in worker.state.total_resources:
        os.nice(5)


def preview(fields: str) -> dict[str, Any]:
    """The limit's theory and the run's plan of a spec (JSON): {"theory", "plan"}, or {"error", "traceback"}."""
    _set_threads()
    try:
        with listening(still_wanted()):
            spec = _parse(fields)
            experiment = experiments.load(spec.experiment)
            return {"theory": experiment.theory(spec).to_bytes(), "plan": experiment.plan(spec).to_json()}
    except Cancelled:
        return {"error": TOO_LONG, "traceback": None}
    except ValueError as error:
        return {"error": "; ".join(sentences(error)), "traceback": None}
    except Exception:
        return {"error": None, "traceback": traceback.format_exc()}


def run(fields: str) -> Outcome:
    """Iterates the experiment's run(spec), posting each snapshot on the topic, until the end or until cancelled."""
    worker = get_worker()
    post = Post(worker, worker.get_current_task())
    _set_threads()
    try:
        with listening(still_wanted(post.progress)):
            _iterate(fields, post)
    except Cancelled:
        return Outcome(state="stopped", error=None, traceback=None)
    except ValueError as error:
        return Outcome(state="failed", error="; ".join(sentences(error)), traceback=None)
    except ArithmeticError as error:  # a run that diverged or lost its precision says so itself
        return Outcome(state="failed", error=str(error), traceback=None)
    except MemoryError:
        return Outcome(state="failed", error=OUT_OF_MEMORY, traceback=traceback.format_exc())
    except Exception:
        return Outcome(state="failed", error=UNEXPECTED, traceback=traceback.format_exc())
    finally:
        _return_memory()
    return Outcome(state="finished", error=None, traceback=None)


def still_wanted(tell: Callable[[float], None] | None = None) -> Listener:
    """A listener that raises Cancelled when no client wants the present task any more: Dask marks it then.

    It passes the shares of the work that it hears of on to `tell`.
    """
    worker = get_worker()
    key = worker.get_current_task()

    def check(share: float | None = None) -> None:
        if share is not None and tell is not None:
            tell(share)
        task = worker.state.tasks.get(key)
        if task is None or task.state not in ("executing", "long-running"):
            raise Cancelled

    return check


def posted(task: str) -> list[dict[str, Any]] | None:
    """The messages that a run on this worker has posted so far, or None if it was not here."""
    return list(_posted[task]) if task in _posted else None


def _iterate(fields: str, post: Post) -> None:
    spec = _parse(fields)
    experiment = experiments.load(spec.experiment)
    post.started()
    refusal = experiment.plan(spec).refusal
    if refusal:
        raise ValueError(refusal)
    for snapshot in experiment.run(spec):
        post.frame(snapshot)
        checkpoint()


def _parse(fields: str) -> ExperimentSpec:
    """The spec, on the device that NTK_DEVICE names if it leaves the choice open."""
    spec = experiments.parse(json.loads(fields))
    device = os.environ.get("NTK_DEVICE") or "auto"
    return spec.model_copy(update={"device": device}) if getattr(spec, "device", "") == "auto" else spec


_posted: OrderedDict[str, list[dict[str, Any]]] = OrderedDict()


class Post:
    """One run's way out of its worker."""

    def __init__(self, worker: Worker, task: Any):
        self.worker, self.task = worker, task
        self.last = self.told = -float("inf")
        self.sent = _posted[task] = []
        _posted.move_to_end(task)
        while len(_posted) > RUNS_REMEMBERED:
            _posted.popitem(last=False)

    def started(self) -> None:
        """Says that the run has left the queue."""
        self._send({"kind": "started"})

    def frame(self, snapshot: Snapshot) -> None:
        """Posts a snapshot, unless it is partial and the last one left a moment ago."""
        now = time.monotonic()
        if snapshot.complete or now - self.last >= PARTIAL_EVERY:
            self.last = now
            self._send({"kind": "frame", "data": snapshot.to_bytes()})

    def progress(self, share: float) -> None:
        """Says how much of the work is done, now and then; not kept for late clients."""
        now = time.monotonic()
        if now - max(self.last, self.told) >= PROGRESS_EVERY:
            self.told = now
            self.worker.log_event(TOPIC, {"kind": "progress", "task": self.task, "share": share})

    def _send(self, message: dict[str, Any]) -> None:
        message |= {"task": self.task, "number": len(self.sent)}
        self.sent.append(message)
        self.worker.log_event(TOPIC, message)


def _set_threads() -> None:
    """Gives torch its threads. Dask starts workers with one; OpenMP keeps the number for each calling thread."""
    import torch

    torch.set_num_threads(int(os.environ.get("NTK_THREADS") or cores()))


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _return_memory() -> None:
    """Hands freed memory back to the system: the workers' allocator keeps it between the steps of a run."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return  # not glibc: its allocator decides by itself
