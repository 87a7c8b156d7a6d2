"""Spectral bias and early stopping (paper, section 5): what a kernel's eigenvalues say of the order of learning.

On the circle the eigenfunctions are cosines and sines, so that every frequency of a target is learned at its own rate,
the kernel's Fourier eigenvalue; noise, which has all frequencies, comes last, and so it pays to stop early. On digits
the same goes for the kernel's principal components, and accuracy takes the place of the picture of a function.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING

from ntk_core.experiments import _common as common
from ntk_core.experiments import _spectral_circle, _spectral_digits
from ntk_core.experiments._spectral_spec import Spec
from ntk_core.runs.parts import Part, spread

if TYPE_CHECKING:
    from ntk_core.runs.plan import Plan
    from ntk_core.runs.result import Increment, Schema
    from ntk_core.runs.theory import Theory

__all__ = ["Spec", "parts", "plan", "run", "schema", "sketch", "slow", "theory"]

_DATA: dict[str, ModuleType] = {"circle": _spectral_circle, "digits": _spectral_digits}


def theory(spec: Spec) -> Theory:
    """Eigenvalues, what is learned at every time, errors beside ridge with penalty 1/t, and the best time to stop."""
    return _DATA[spec.data].theory(spec)


def slow(spec: Spec) -> bool:
    """Many digits take the limit more than a moment."""
    return spec.data == "digits" and _spectral_digits.slow(spec)


def plan(spec: Spec) -> Plan:
    """Predicted cost of the run, with warnings."""
    return _DATA[spec.data].plan(spec)


def schema(spec: Spec) -> Schema:
    """What every network has learned at every output time."""
    return _DATA[spec.data].schema(spec)


def sketch(spec: Spec) -> Spec:
    """The same networks before training."""
    return common.before_training(spec)


def parts(spec: Spec, plan: Plan, workers: int) -> tuple[Part, ...]:
    """The networks spread over the workers."""
    return spread(spec, plan, workers)


def run(spec: Spec, part: Part | None = None) -> Iterator[Increment]:
    """Trains the networks of a part (by default all)."""
    yield from _DATA[spec.data].run(spec, plan(spec), part)
