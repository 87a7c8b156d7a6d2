"""The experiments: one module each, found by its file name; no list to keep.

A module `ntk_core/experiments/NAME.py` offers

    class Spec(ExperimentSpec)      with `experiment: Literal["NAME"] = "NAME"`; importing it must not import torch
    theory(spec) -> Theory          what the infinite limit says, in milliseconds

and, where finite networks (or anything that takes longer) stand beside it,

    schema(spec) -> Schema          the shape of the result, without torch
    plan(spec) -> Plan              what a run will cost and how it will be done; refuses what would not fit
    run(spec, part) -> Iterator[Increment]                  fills the cells of one part, or of all if part is None
    parts(spec, plan, workers) -> tuple[Part, ...]          (optional) how the run is spread; else it is one part
    slow(spec) -> bool                                      (optional) whether `theory` takes more than a moment
    trained(spec) -> Spec                                   (optional) the spec without what only `theory` sees
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

from ntk_core.runs.parts import Part
from ntk_core.runs.provenance import provenance
from ntk_core.runs.result import Result

if TYPE_CHECKING:
    from ntk_core.runs.plan import Plan
    from ntk_core.runs.result import Increment, Schema
    from ntk_core.runs.spec import ExperimentSpec
    from ntk_core.runs.theory import Theory


class TheoryAlone(Protocol):
    """What every module of this package offers."""

    Spec: type[ExperimentSpec]

    def theory(self, spec: Any) -> Theory:
        """What the infinite limit says."""


class Experiment(TheoryAlone, Protocol):
    """What a module offers that can be run."""

    def schema(self, spec: Any) -> Schema:
        """The shape of the result."""

    def plan(self, spec: Any) -> Plan:
        """What a run will cost, and how it will be done."""

    def run(self, spec: Any, part: Part | None = None) -> Iterator[Increment]:
        """The finite networks, trained."""


def runs(name: str) -> bool:
    """Whether the experiment can be run, or is theory alone."""
    return hasattr(load(name), "run")


def is_slow(spec: ExperimentSpec) -> bool:
    """Whether this spec's theory takes more than a moment, and should not be waited for by quick ones."""
    slow = getattr(load(spec.experiment), "slow", None)
    return bool(slow and slow(spec))


def trained(spec: ExperimentSpec) -> ExperimentSpec:
    """The spec whose run stands beside this one's theory: specs that differ in what only theory sees share a run."""
    strip = getattr(load(spec.experiment), "trained", None)
    return strip(spec) if strip else spec


def parts_of(spec: ExperimentSpec, plan: Plan, workers: int) -> tuple[Part, ...]:
    """The parts of a run on that many workers."""
    spread = getattr(load(spec.experiment), "parts", None)
    return spread(spec, plan, workers) if spread else (Part("the run", seconds=plan.seconds),)


def names() -> tuple[str, ...]:
    """Names of all experiments."""
    return _names(tuple(__path__))


@functools.cache
def _names(folders: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(m.name for m in pkgutil.iter_modules(folders) if not m.name.startswith("_")))


def load(name: str) -> Any:
    """The module of that name, or a ValueError that lists the names there are."""
    if name not in names():
        raise ValueError(f"experiment: {name[:40]!r} is not known; choose one of {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{name}")


def compute(spec: ExperimentSpec, tell: Callable[[Result, float], object] = lambda result, progress: None) -> Result:
    """The whole result of a spec, computed in this process.

    Args:
        spec: what to run.
        tell: called after every increment with the result so far and the share of the work that is done.

    Raises:
        ValueError: the experiment is theory alone, or its plan refuses the spec (a sentence says what to lower).
    """
    if not runs(spec.experiment):
        raise ValueError(f"experiment: {spec.experiment} is theory alone, there is nothing to run")
    experiment = cast(Experiment, load(spec.experiment))
    began = time.perf_counter()
    refusal = experiment.plan(spec).refusal
    if refusal:
        raise ValueError(refusal)
    result = Result(experiment.schema(spec))
    for increment in experiment.run(spec):
        result.add(increment)
        tell(result, increment.progress)
    result.attrs |= provenance(spec, time.perf_counter() - began)
    return result


def parse(fields: Mapping[str, Any]) -> ExperimentSpec:
    """A validated spec from plain data (JSON), or a ValueError that names the field."""
    return load(str(fields.get("experiment", ""))).Spec.model_validate(fields)
