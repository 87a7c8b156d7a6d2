"""Limits of controls, read from the fields of a spec: a limit stands once."""

from __future__ import annotations

from ntk_core.runs.spec import ExperimentSpec


def bounds(spec: type[ExperimentSpec], field: str) -> tuple[float, float]:
    """(lowest, highest) of a number in a spec, both allowed.

    Raises:
        ValueError: the field has no closed limit on either side.
    """
    found = {
        name: getattr(m, name) for m in spec.model_fields[field].metadata for name in ("ge", "le") if hasattr(m, name)
    }
    if set(found) != {"ge", "le"}:
        raise ValueError(f"{field}: has no closed limits in {spec.__name__}")
    return found["ge"], found["le"]
