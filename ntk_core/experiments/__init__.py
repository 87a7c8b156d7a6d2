"""The experiments: one module each, found by its file name; no list to keep.

A module `ntk_core/experiments/NAME.py` offers

    class Spec(ExperimentSpec)           with `experiment: Literal["NAME"] = "NAME"`; importing it must not import torch
    theory(spec) -> Snapshot             what the infinite limit says, in milliseconds
    plan(spec) -> Plan                   what a run will cost and how it will be done; refuses what would not fit
    run(spec) -> Iterator[Snapshot]      the finite networks, one snapshot an output time (and partial ones between)
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from ntk_core.runs.plan import Plan
    from ntk_core.runs.snapshot import Snapshot
    from ntk_core.runs.spec import ExperimentSpec


class Experiment(Protocol):
    """What every module of this package offers."""

    Spec: type[ExperimentSpec]

    def theory(self, spec: Any) -> Snapshot:
        """What the infinite limit says."""

    def plan(self, spec: Any) -> Plan:
        """What a run will cost, and how it will be done."""

    def run(self, spec: Any) -> Iterator[Snapshot]:
        """The finite networks, trained."""


def names() -> tuple[str, ...]:
    """Names of all experiments."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")))


def load(name: str) -> Experiment:
    """The module of that name, or a ValueError that lists the names there are."""
    if name not in names():
        raise ValueError(f"experiment: {name[:40]!r} is not known; choose one of {', '.join(names())}")
    return cast(Experiment, importlib.import_module(f"{__name__}.{name}"))


def parse(fields: Mapping[str, Any]) -> ExperimentSpec:
    """A validated spec from plain data (JSON), or a ValueError that names the field."""
    return load(str(fields.get("experiment", ""))).Spec.model_validate(fields)
