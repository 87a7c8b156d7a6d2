"""Short jobs for a worker's slot beside the training: files, stored results, tables."""

from __future__ import annotations

import logging
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

from distributed import KilledWorker

from ntk_core.engine.errors import EngineError
from ntk_core.engine.priorities import SOON

if TYPE_CHECKING:
    from collections.abc import Callable

    from ntk_core.engine.connection import Connection

logger = logging.getLogger(__name__)

SECONDS = 60.0


def ask(connection: Connection, job: Callable[..., Any], *arguments: Any) -> Any:
    """A job's answer, or None (and a line in the log) where there is none."""
    try:
        task = connection.client().submit(job, *arguments, resources={"aside": 1}, priority=SOON, pure=False)
        return task.result(timeout=SECONDS)
    except (EngineError, KilledWorker, CancelledError, TimeoutError, OSError) as error:
        logger.warning("%s got no answer: %r", job.__name__, error)
    except Exception:
        logger.exception("%s failed", job.__name__)
    return None
