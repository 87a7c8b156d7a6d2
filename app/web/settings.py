"""Settings of the server: environment variables, read and checked once.

| variable | default | meaning |
|---|---|---|
| `DASK_SCHEDULER_ADDRESS` | none | a Dask scheduler, e.g. `tcp://10.0.0.5:8786`; else the server starts its own |
| `NTK_WORKERS` | one for every four cores | training workers that the server starts |
| `NTK_THREADS` | the cores shared out | torch's threads in each worker that the server starts |
| `NTK_MEMORY_LIMIT` | a share of the memory | what a training worker may use, e.g. `4GB`; beyond it, it is replaced |
| `NTK_DEVICE` | `auto` | where runs that ask for `auto` happen: `auto`, `cpu` or `cuda` (read by the workers) |
| `NTK_KEEP` | `64MB` | finished runs kept in the server's memory |
| `NTK_GRACE` | `10` | seconds a dropped page may take to come back before it is counted out |
| `NTK_DETACHED_SECONDS` | `600` | seconds for which a run goes on that nobody watches |
| `NTK_MAX_SECONDS` | `14400` | predicted seconds beyond which a run is refused |
| `NTK_MAX_RESULT` | `256MB` | size of a result beyond which a run is refused |
| `NTK_MAX_RUNS` | `4` | runs that one visitor may have under way |
| `NTK_MAX_QUEUE` | `100` | runs that may wait for a worker |
| `NTK_MAX_STREAMS` | `12` | streams that one visitor may have open |

The port, the address and the path under which the app is served are Streamlit's own: `server.port`, `server.address`,
`server.baseUrlPath`, or `STREAMLIT_SERVER_PORT` and so on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ntk_core.engine.limits import Limits
from ntk_core.runs.machine import parse_bytes

SMALLEST_SIZE = 10**6  # bytes; only a missing unit would mean less
_ADDRESS = re.compile(r"[a-z]+://\S+")


@dataclass(frozen=True)
class Settings:
    """The settings in the units that the engine takes; 0 lets it choose."""

    scheduler_address: str | None = None
    workers: int = 0
    threads: int = 0
    memory_limit: int = 0
    device: str = "auto"
    keep_bytes: int = 64 * 10**6
    grace: float = 10.0
    streams: int = 12
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Reads the table above; an empty variable counts as unset.

        Raises:
            ValueError: names the variable, what it holds and what is allowed.
        """
        given = {name: text.strip() for name, text in environment.items() if text.strip()}
        return cls(
            scheduler_address=_address(given, "DASK_SCHEDULER_ADDRESS"),
            workers=_whole(given, "NTK_WORKERS", 256),
            threads=_whole(given, "NTK_THREADS", 1024),
            memory_limit=_size(given, "NTK_MEMORY_LIMIT", 0),
            device=_choice(given, "NTK_DEVICE", ("auto", "cpu", "cuda")),
            keep_bytes=_size(given, "NTK_KEEP", cls.keep_bytes),
            grace=_seconds(given, "NTK_GRACE", cls.grace),
            streams=_whole(given, "NTK_MAX_STREAMS", 1000) or cls.streams,
            limits=Limits(
                seconds=_seconds(given, "NTK_MAX_SECONDS", Limits.seconds, 10**7),
                result_bytes=_size(given, "NTK_MAX_RESULT", Limits.result_bytes),
                runs=_whole(given, "NTK_MAX_RUNS", 1000) or Limits.runs,
                queue=_whole(given, "NTK_MAX_QUEUE", 100_000) or Limits.queue,
                detached=_seconds(given, "NTK_DETACHED_SECONDS", Limits.detached, 10**6),
            ),
        )


def _address(given: Mapping[str, str], name: str) -> str | None:
    text = given.get(name)
    if text is not None and not _ADDRESS.fullmatch(text):
        raise ValueError(f"{name}: must be an address such as tcp://10.0.0.5:8786, got {text!r}")
    return text


def _whole(given: Mapping[str, str], name: str, largest: int) -> int:
    text = given.get(name)
    if text is None:
        return 0
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= largest:
        raise ValueError(f"{name}: must be a whole number from 1 to {largest}, got {text!r}")
    return int(text)


def _size(given: Mapping[str, str], name: str, default: int) -> int:
    text = given.get(name)
    return default if text is None else parse_bytes(text, name, least=SMALLEST_SIZE)


def _choice(given: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> str:
    text = given.get(name, allowed[0])
    if text not in allowed:
        raise ValueError(f"{name}: must be one of {', '.join(allowed)}, got {text!r}")
    return text


def _seconds(given: Mapping[str, str], name: str, default: float, most: int = 3600) -> float:
    text = given.get(name)
    if text is None:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= most:
        raise ValueError(f"{name}: must be seconds from 0 to {most}, got {text!r}")
    return seconds
