"""What is known of a spec before it runs, the limit's theory and the plan: asked for once, however many wait for it."""

from __future__ import annotations

import logging
import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from distributed import KilledWorker

from ntk_core import experiments
from ntk_core.engine import jobs
from ntk_core.engine.errors import NO_ANSWER, TOO_LONG, UNEXPECTED, WORKER_DIED, EngineError
from ntk_core.engine.priorities import FIRST, LATER
from ntk_core.runs.plan import Plan
from ntk_core.runs.theory import Theory

if TYPE_CHECKING:
    from ntk_core.engine.connection import Connection
    from ntk_core.runs.spec import ExperimentSpec

logger = logging.getLogger(__name__)

PREVIEW_SECONDS = 120.0  # a preview takes milliseconds; the first one waits for the workers to start


@dataclass(frozen=True)
class Preview:
    """The infinite limit of a spec, and how its networks would be trained; no plan where there is nothing to run."""

    spec: ExperimentSpec
    theory: Theory
    plan: Plan | None
    bytes: int = 0


class PreviewCache:
    """The previews asked for last, by the spec's key, within `limit` bytes; safe between threads."""

    def __init__(self, limit: int):
        self.limit, self.bytes = limit, 0
        self._entries: OrderedDict[str, Preview] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> Preview | None:
        """The preview of that key, now the most recent one."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def put(self, key: str, preview: Preview) -> None:
        """Keeps a preview; the ones unused for longest make room."""
        with self._lock:
            if key in self._entries:
                return
            self._entries[key] = preview
            self.bytes += preview.bytes
            while self.bytes > self.limit and len(self._entries) > 1:
                self.bytes -= self._entries.popitem(last=False)[1].bytes


class Asked:
    """A preview that somebody waits for."""

    def __init__(self, spec: ExperimentSpec):
        self.spec, self.waiting = spec, 0
        self.answer: Future[Preview] = Future()
        self.task: Any = None  # Dask's future, once it is sent

    def wait(self, seconds: float) -> bool:
        """Whether the answer, or the reason why there is none, is here within so many seconds."""
        try:
            self.answer.exception(timeout=seconds)
        except TimeoutError:
            return False
        return True

    def result(self, seconds: float = PREVIEW_SECONDS) -> Preview:
        """The preview.

        Raises:
            ValueError: the experiment's own sentence about the spec.
            EngineError: the computation failed for another reason, or took longer than so many seconds.
        """
        try:
            return self.answer.result(timeout=seconds)
        except TimeoutError:
            raise EngineError(TOO_LONG) from None


class Previews:
    """Asks the theory worker; whoever asks for what is already asked for waits for the same answer.

    An answer that nobody waits for any more is given up, without disturbing anybody else.
    """

    def __init__(self, connection: Connection, cache_bytes: int):
        self._connection, self.cache = connection, PreviewCache(cache_bytes)
        self._lock = threading.Lock()
        self._asked: dict[str, Asked] = {}

    @contextmanager
    def ask(self, spec: ExperimentSpec) -> Iterator[Asked]:
        """The preview of a spec, asked for; it is given up when the last `with` block that wants it is left."""
        asked, new = self._join(spec)
        try:
            if new:
                self._send(asked)
            yield asked
        finally:
            self._leave(asked)

    def _join(self, spec: ExperimentSpec) -> tuple[Asked, bool]:
        with self._lock:
            known = self.cache.get(spec.key)
            if known is not None:
                asked = Asked(spec)
                asked.answer.set_result(known)
                return asked, False
            new = spec.key not in self._asked
            asked = self._asked.setdefault(spec.key, Asked(spec))
            asked.waiting += 1
            return asked, new

    def _leave(self, asked: Asked) -> None:
        with self._lock:
            asked.waiting -= 1
            unwanted = asked.waiting <= 0 and not asked.answer.done()
            if unwanted:
                self._forget(asked)
        if unwanted and asked.task is not None:
            asked.task.cancel()

    def _forget(self, asked: Asked) -> None:
        if self._asked.get(asked.spec.key) is asked:
            del self._asked[asked.spec.key]

    def _send(self, asked: Asked) -> None:
        spec = asked.spec
        slot = "aside" if experiments.is_slow(spec) else "theory"
        try:
            client = self._connection.client()
            self._connection.check_slots()
            # A name of its own each time: a task that was given up may still be at its last step.
            name = f"theory-{spec.key}-{uuid.uuid4().hex[:8]}"
            asked.task = client.submit(
                jobs.preview,
                spec.model_dump_json(),
                key=name,
                resources={slot: 1},
                priority=FIRST if slot == "theory" else LATER,
                pure=False,
            )
            asked.task.add_done_callback(lambda task: self._land(asked, task))
        except Exception as error:
            self._answer(asked, error if isinstance(error, EngineError) else _no_answer(error))

    def _land(self, asked: Asked, task: Any) -> None:
        try:
            answer = task.result(timeout=30)
            self._answer(asked, _preview(asked.spec, answer))
        except KilledWorker:
            self._answer(asked, EngineError(WORKER_DIED))
        except (CancelledError, TimeoutError, OSError) as error:
            self._answer(asked, _no_answer(error))
        except Exception as error:
            logger.exception("the preview of %s cannot be read", asked.spec.key)
            self._answer(asked, EngineError(UNEXPECTED + f" ({type(error).__name__})"))

    def _answer(self, asked: Asked, answer: Preview | Exception) -> None:
        with self._lock:
            self._forget(asked)
            if isinstance(answer, Preview):
                self.cache.put(asked.spec.key, answer)
            if asked.answer.done():
                return
            if isinstance(answer, Preview):
                asked.answer.set_result(answer)
            else:
                asked.answer.set_exception(answer)


def _preview(spec: ExperimentSpec, answer: dict[str, Any]) -> Preview | Exception:
    if "theory" in answer:
        plan = None if answer["plan"] is None else Plan.from_json(answer["plan"])
        return Preview(spec, Theory.from_bytes(answer["theory"]), plan, len(answer["theory"]))
    if answer["error"] is not None:
        return ValueError(answer["error"])
    logger.error("preview of %s failed:\n%s", spec.key, answer["traceback"])
    return EngineError(UNEXPECTED)


def _no_answer(error: BaseException) -> EngineError:
    logger.warning("a preview got no answer: %r", error)
    return EngineError(NO_ANSWER)
