"""Where a result comes from: the spec, the code, the machine and the time it took, as attributes of a data set."""

from __future__ import annotations

import importlib.metadata
import platform
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ntk_core.runs.machine import cores
from ntk_core.runs.spec import RESULTS_VERSION

if TYPE_CHECKING:
    from ntk_core.runs.spec import ExperimentSpec

PACKAGES = ("torch", "numpy", "scipy")


def provenance(spec: ExperimentSpec, seconds: float) -> dict[str, str | int | float]:
    """Attributes of a finished result of `spec` that took so many seconds; texts and numbers only."""
    return {
        "title": f"NTK Explorer: {spec.experiment}",
        "key": spec.key,
        "spec": spec.model_dump_json(),
        "seed": int(getattr(spec, "seed", 0)),
        "results_version": RESULTS_VERSION,
        "versions": versions(),
        "machine": machine(),
        "seconds": round(float(seconds), 3),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def versions() -> str:
    """Python and the packages that make the numbers, as one line."""
    numbers = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    return ", ".join([f"Python {platform.python_version()}", *numbers])


def machine() -> str:
    """The kind of machine and its cores, in words; nothing that names it."""
    count = cores()
    return f"{platform.system()} {platform.machine()}, {count} core{'s' * (count != 1)}"
