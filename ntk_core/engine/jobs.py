"""What runs on a worker: previews (theory and plan), parts of runs (streams of increments), and the store.

A job returns plain data, errors included: nothing but the death of its worker looks like an error to Dask. This module
is also the workers' preload: it imports torch before the first job asks for it.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypedDict

from distributed import get_worker

from ntk_core import experiments
from ntk_core.engine.errors import OUT_OF_MEMORY, TOO_LONG, UNEXPECTED
from ntk_core.engine.giving_way import give_way, going_first
from ntk_core.engine.post import Post
from ntk_core.progress import Listener, checkpoint, listening
from ntk_core.runs.machine import cores
from ntk_core.runs.parts import Part
from ntk_core.runs.provenance import machine, versions
from ntk_core.runs.spec import sentences

if TYPE_CHECKING:
    from distributed import Worker

    from ntk_core.runs.spec import ExperimentSpec
    from ntk_core.runs.theory import Theory


SWITCH_SECONDS = 0.0005  # after which a thread of the theory worker hands the interpreter on; Python's own is ten times


class Cancelled(Exception):  # noqa: N818 - nothing went wrong
    """Nobody wants this task any more."""


class Outcome(TypedDict):
    """How a part of a run ended."""

    state: str  # "finished", "stopped" or "failed"
    error: str | None  # a sentence for the page
    traceback: str | None  # for the server's log, when the error is not about the spec
    messages: int  # how many were posted
    facts: dict[str, Any]  # of the worker: machine, versions, seconds


def dask_setup(worker: Worker) -> None:
    """Preload hook: torch is imported now; training yields the processor to theory and to the web process."""
    import torch  # noqa: F401

    if "theory" in worker.state.total_resources:
        sys.setswitchinterval(SWITCH_SECONDS)
    elif "training" in worker.state.total_resources:
        os.nice(5)


def preview(fields: str) -> dict[str, Any]:
    """The limit's theory of a spec (JSON) and the run's plan: {"theory", "plan"}, or {"error", "traceback"}.

    The plan is None where there is nothing to run.
    """
    set_threads()
    try:
        asked = experiments.parse(json.loads(fields))
        slow = experiments.is_slow(asked)
        with listening(still_wanted(waits=slow)), nullcontext() if slow else going_first():
            spec, experiment = on_device(asked), experiments.load(asked.experiment)
            plan = experiment.plan(spec).to_json() if experiments.runs(spec.experiment) else None
            theory = recorded_theory(asked) or experiment.theory(spec)
            return {"theory": theory.to_bytes(), "plan": plan}
    except Cancelled:
        return {"error": TOO_LONG, "traceback": None}
    except ValueError as error:
        return {"error": "; ".join(sentences(error)), "traceback": None}
    except Exception:
        return {"error": None, "traceback": traceback.format_exc()}


def recorded_theory(spec: ExperimentSpec) -> Theory | None:
    """The limit that came with the program, of a spec whose limit takes more than a moment."""
    if not experiments.is_slow(spec):
        return None
    from ntk_core.runs.store import from_environment

    recordings = from_environment().recordings
    return recordings.load_theory(spec) if recordings else None


def run(fields: str, part: dict[str, Any]) -> Outcome:
    """Iterates the experiment's run(spec, part), posting what it adds, until the end or until cancelled."""
    worker = get_worker()
    post = Post(worker, worker.get_current_task())
    began = time.perf_counter()
    set_threads(part["fields"].get("threads"))

    def outcome(state: str, error: str | None = None, trace: str | None = None) -> Outcome:
        facts = {"machine": machine(), "versions": versions(), "seconds": time.perf_counter() - began}
        return Outcome(state=state, error=error, traceback=trace, messages=post.close(), facts=facts)

    try:
        with listening(still_wanted(post.progress, waits=True)):
            _iterate(fields, Part.from_json(part), post)
    except Cancelled:
        return outcome("stopped")
    except ValueError as error:
        return outcome("failed", "; ".join(sentences(error)))
    except ArithmeticError as error:  # a run that diverged or lost its precision says so itself
        return outcome("failed", str(error))
    except MemoryError:
        return outcome("failed", OUT_OF_MEMORY, traceback.format_exc())
    except Exception:
        return outcome("failed", UNEXPECTED, traceback.format_exc())
    finally:
        _return_memory()
    return outcome("finished")


def _iterate(fields: str, part: Part, post: Post) -> None:
    spec = parse(fields)
    experiment = experiments.load(spec.experiment)
    post.started()
    plan = experiment.plan(spec)
    if plan.refusal:
        raise ValueError(plan.refusal)
    _check_share(plan.bytes, part.fields.get("at_most_share"))
    until = time.monotonic() + part.fields.get("at_most_seconds", float("inf"))
    for increment in experiment.run(spec, part):
        post.add(increment)
        checkpoint(increment.progress)
        if time.monotonic() > until:
            return  # what is there will do


def _check_share(size: int, share: float | None) -> None:
    """Refuses what would take more than a share of this worker's memory, which others need: theory, and previews."""
    limit = get_worker().memory_manager.memory_limit
    if share is not None and limit and size > share * limit:
        raise ValueError(
            f"they would need about {size / 1e9:,.1f} GB, and {share * limit / 1e9:,.1f} GB are set aside for a preview"
        )


def still_wanted(tell: Callable[[float], None] | None = None, *, waits: bool = False) -> Listener:
    """A listener that raises Cancelled when no client wants the present task any more: Dask marks it then.

    It passes the shares of the work that it hears of on to `tell`, and lets what goes first go first if it `waits`.
    """
    worker = get_worker()
    key = worker.get_current_task()

    def check(share: float | None = None) -> None:
        if share is not None and tell is not None:
            tell(share)
        if waits:
            give_way()
        task = worker.state.tasks.get(key)
        if task is None or task.state not in ("executing", "long-running"):
            raise Cancelled

    return check


def parse(fields: str) -> ExperimentSpec:
    """The spec as it is computed here."""
    return on_device(experiments.parse(json.loads(fields)))


def on_device(spec: ExperimentSpec) -> ExperimentSpec:
    """The spec, on the device that NTK_DEVICE names if it leaves the choice open."""
    device = os.environ.get("NTK_DEVICE") or "auto"
    return spec.model_copy(update={"device": device}) if getattr(spec, "device", "") == "auto" else spec


def set_threads(count: int | None = None) -> None:
    """Gives torch its threads, all that the worker has unless told otherwise.

    Dask starts workers with one; OpenMP keeps the number for each calling thread.
    """
    import torch

    torch.get_num_threads()  # a new thread takes the default now, rather than over the next line
    torch.set_num_threads(count or int(os.environ.get("NTK_THREADS") or cores()))


def _return_memory() -> None:
    """Hands freed memory back to the system: the workers' allocator keeps it between the steps of a run."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return  # not glibc: its allocator decides by itself
