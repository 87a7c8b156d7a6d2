"""Spectral bias and early stopping (paper, section 5): what a kernel's eigenvalues say of the order of learning.

On the circle the eigenfunctions are cosines and sines, so that every frequency of a target is learned at its own rate,
the kernel's Fourier eigenvalue; noise, which has all frequencies, comes last, and so it pays to stop early. On digits
the same goes for the kernel's principal components, and accuracy takes the place of the picture of a function. Another
kernel may drive the theory in the NTK's place: `kernel`.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING

from ntk_core.experiments import _common as common
from ntk_core.experiments import _kernel_choice as choice
from ntk_core.experiments import _spectral_circle, _spectral_classes
from ntk_core.experiments._spectral_spec import Spec
from ntk_core.runs.parts import Part, spread

if TYPE_CHECKING:
    from ntk_core.runs.plan import Plan
    from ntk_core.runs.result import Increment, Schema
    from ntk_core.runs.theory import Theory

__all__ = ["Spec", "parts", "plan", "run", "schema", "sketch", "slow", "theory", "trained"]


def theory(spec: Spec) -> Theory:
    """Eigenvalues, what is learned at every time, errors beside ridge with penalty 1/t, and the best time to stop."""
    return _kind(spec).theory(spec)


def slow(spec: Spec) -> bool:
    """Many points take the limit more than a moment."""
    return spec.data != "circle" and _spectral_classes.slow(spec)


def plan(spec: Spec) -> Plan:
    """Predicted cost of the run, with warnings."""
    return _kind(spec).plan(spec)


def schema(spec: Spec) -> Schema:
    """What every network has learned at every output time."""
    return _kind(spec).schema(spec)


def trained(spec: Spec) -> Spec:
    """The spec of the same networks beside the NTK: what drives the theory is nothing to them."""
    return choice.without(spec)


def sketch(spec: Spec) -> Spec:
    """The same networks before training."""
    return common.before_training(trained(spec))


def parts(spec: Spec, plan: Plan, workers: int) -> tuple[Part, ...]:
    """The networks spread over the workers."""
    return spread(spec, plan, workers)


def run(spec: Spec, part: Part | None = None) -> Iterator[Increment]:
    """Trains the networks of a part (by default all)."""
    yield from _kind(spec).run(spec, plan(spec), part)


def _kind(spec: Spec) -> ModuleType:
    return _spectral_circle if spec.data == "circle" else _spectral_classes
