"""Jobs on stored results, for workers: they read and write files with packages that the web process does without."""

from __future__ import annotations

import functools
import logging
from typing import Any, cast

from ntk_core import experiments
from ntk_core.engine import jobs
from ntk_core.experiments import Experiment
from ntk_core.runs.provenance import provenance
from ntk_core.runs.result import Result
from ntk_core.runs.theory import Theory

logger = logging.getLogger(__name__)


def keys() -> list[str]:
    """The keys of all stored results."""
    return _store().keys()


def load(fields: str) -> dict[str, Any] | None:
    """The stored result of a spec (JSON) as {"data", "record"}, or None."""
    from ntk_core.runs.store import FOUND

    spec = jobs.parse(fields)
    experiment = cast(Experiment, experiments.load(spec.experiment))
    result = _store().load(spec)
    if result is None or result.schema.shape(result.schema.cells) != experiment.schema(spec).shape(result.schema.cells):
        return None
    return {"data": result.to_bytes(), "record": {k: result.attrs[k] for k in FOUND if k in result.attrs}}


def keep(fields: str, data: bytes, seconds: float) -> str:
    """Stores a result; returns "" or a sentence that says why it could not be."""
    from ntk_core.runs.store import StoreError

    spec = jobs.parse(fields)
    experiment = cast(Experiment, experiments.load(spec.experiment))
    result = Result.from_bytes(experiment.schema(spec), data)
    result.attrs |= provenance(spec, seconds)
    try:
        _store().save(spec, result)
    except StoreError as error:
        return str(error)
    return ""


def export(what: str, kind: str, fields: str, data: bytes) -> dict[str, Any]:
    """A result ("result") or a limit ("theory") as the bytes of a file of that kind: {"file", "error"}."""
    from ntk_core.runs import files, tables

    writers = {"nc": files.to_netcdf, "csv": tables.to_csv, "parquet": tables.to_parquet}
    if kind not in writers:
        return {"file": b"", "error": f"kind: must be one of {', '.join(writers)}, got {kind[:20]!r}"}
    spec = jobs.parse(fields)
    if what == "theory":
        return {"file": writers[kind](Theory.from_bytes(data)), "error": None}
    experiment = cast(Experiment, experiments.load(spec.experiment))
    result = Result.from_bytes(experiment.schema(spec), data)
    result.attrs = provenance(spec, 0.0) | result.attrs
    return {"file": writers[kind](result), "error": None}


@functools.cache
def _store() -> Any:
    from ntk_core.runs.store import from_environment

    return from_environment()
