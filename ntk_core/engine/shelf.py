"""The store as the web process sees it: it never reads or writes files of results itself, a worker does."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from ntk_core.engine import aside, store_jobs
from ntk_core.engine.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ntk_core.engine.connection import Connection
    from ntk_core.engine.run import Run
    from ntk_core.runs.spec import ExperimentSpec

LISTED_SECONDS = 30.0  # for which the list of what is stored is believed; others may write to the same store


class Shelf:
    """Stored results: a list of their keys that is at hand, and what a worker fetches and keeps."""

    def __init__(self, connection: Connection):
        self._connection = connection
        self._keys: frozenset[str] = frozenset()
        self._listed = -float("inf")
        self._lock = threading.Lock()

    def might_have(self, spec: ExperimentSpec) -> bool:
        """Whether a result of this spec was there when the store was last looked at; does not wait for anything."""
        with self._lock:
            old = time.monotonic() - self._listed > LISTED_SECONDS
            if old:
                self._listed = time.monotonic()
        if old:
            threading.Thread(target=self.refresh, name="shelf", daemon=True).start()
        return spec.key in self._keys

    def refresh(self) -> None:
        """Looks at what is stored."""
        keys = self._ask(store_jobs.keys)
        if keys is not None:
            self._keys, self._listed = frozenset(keys), time.monotonic()

    def load(self, spec: ExperimentSpec) -> tuple[bytes, dict[str, Any]] | None:
        """The stored result as `Run.fill` takes it, or None: the store has none, or cannot be reached."""
        found = self._ask(store_jobs.load, spec.model_dump_json())
        return None if found is None else (found["data"], found["record"])

    def keep(self, run: Run) -> None:
        """Has a worker store a finished run; where that fails the run gets a note that says why. Does not wait."""

        def keep() -> None:
            text = run.spec.model_dump_json()
            problem = self._ask(store_jobs.keep, text, run.result.to_bytes(), run.elapsed)
            if problem:
                run.remark(problem)
            elif problem == "":
                self._keys |= {run.key}

        threading.Thread(target=keep, name="shelf", daemon=True).start()

    def export(self, what: str, kind: str, spec: ExperimentSpec, data: bytes) -> bytes:
        """A result ("result") or a limit ("theory") as a file of that kind, made by a worker.

        Raises:
            ValueError: the kind of file is not known.
            EngineError: no worker answers.
        """
        answer = self._ask(store_jobs.export, what, kind, spec.model_dump_json(), data)
        if answer is None:
            raise EngineError("the file could not be made: the engine does not answer")
        if answer["error"]:
            raise ValueError(answer["error"])
        return answer["file"]

    def _ask(self, job: Callable[..., Any], *arguments: Any) -> Any:
        """A job's answer, or None where there is none: what is stored is a convenience, and never in the way."""
        return aside.ask(self._connection, job, *arguments)
