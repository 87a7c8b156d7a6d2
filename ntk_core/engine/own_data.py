"""Tables of one's own as the web process sees them: a worker reads and keeps them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ntk_core.engine import aside, data_jobs
from ntk_core.engine.errors import EngineError

if TYPE_CHECKING:
    from ntk_core.engine.connection import Connection


class OwnData:
    """Reads and keeps tables. Its methods block for as long as a worker takes."""

    def __init__(self, connection: Connection):
        self._connection = connection

    def look(self, content: bytes) -> dict[str, Any]:
        """What a table holds: rows, columns, the first cells; see `data_jobs.look`.

        Raises:
            ValueError: one sentence on what is wrong with the table, and in which line.
            EngineError: no worker answers.
        """
        return self._ask(data_jobs.look, content)

    def keep(self, content: bytes, choices: dict[str, Any]) -> dict[str, Any]:
        """Keeps the chosen columns; "reference" is what a spec's `data` names them by; see `data_jobs.keep`.

        Raises:
            ValueError: one sentence that names the column.
            EngineError: no worker answers.
        """
        return self._ask(data_jobs.keep, content, choices)

    def _ask(self, job: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
        answer = aside.ask(self._connection, job, *arguments)
        if answer is None:
            raise EngineError("the table could not be read: the engine does not answer")
        if answer["error"]:
            raise ValueError(answer["error"])
        return answer
