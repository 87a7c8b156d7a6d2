"""A spec as a file for people: JSON with the version of the results that it stands for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ntk_core.runs.spec import RESULTS_VERSION

if TYPE_CHECKING:
    from ntk_core.runs.spec import ExperimentSpec

MAX_BYTES = 1_000_000
VERSION = "results_version"


def write(spec: ExperimentSpec) -> str:
    """The spec's fields, all of them, as JSON."""
    return json.dumps({VERSION: RESULTS_VERSION} | spec.model_dump(mode="json"), indent=2) + "\n"


def read(data: bytes) -> dict[str, Any]:
    """The fields in a spec's file, not validated: `ntk_core.experiments.parse` does that.

    Raises:
        ValueError: the file is too large, empty, not JSON, not an object, or of another version.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"spec: a file of {MAX_BYTES:,} bytes at most is read, got {len(data):,}")
    if not data.strip():
        raise ValueError("spec: the file is empty; it must be a JSON object with the fields of a spec")
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"spec: the file is not JSON ({_where(error)})") from error
    if not isinstance(fields, dict):
        raise ValueError(f"spec: the file must be a JSON object with the fields of a spec, got {_KINDS[type(fields)]}")
    version = fields.pop(VERSION, RESULTS_VERSION)
    if version != RESULTS_VERSION:
        raise ValueError(
            f"{VERSION}: the file is of version {str(version)[:20]}, this program of version {RESULTS_VERSION}, whose "
            f"numbers differ; without that line it is run all the same"
        )
    return fields


_KINDS = {list: "a list", str: "a text", int: "a number", float: "a number", bool: "a truth value", type(None): "null"}


def _where(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}: {error.msg[0].lower()}{error.msg[1:]}"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return "its text is not UTF-8" if isinstance(error, UnicodeError) else "a number in it is too long"
