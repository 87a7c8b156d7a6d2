"""What the experiments on trained networks share: the limit's architecture and rule, warnings, histories over time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ntk_core.activations.known_names import UNTRAINABLE
from ntk_core.architecture import Architecture
from ntk_core.runs.snapshot import Labelled, Snapshot
from ntk_core.runs.spec import TrainingSpec

if TYPE_CHECKING:
    from torch import Tensor

    from ntk_core.rules import Rule
    from ntk_core.runs.lockstep import Update
    from ntk_core.runs.plan import Plan


def limit_of(depth: int, activation: str, beta: float, n_in: int) -> Architecture:
    """The architecture whose limit is meant; its width plays no part."""
    return Architecture(depth=depth, width=1, activation=activation, beta=beta, n_in=n_in)


def theory_rule(spec: TrainingSpec, largest: float) -> tuple[Rule, str]:
    """The rule that the limit is drawn under, and its name: the spec's own, or gradient flow where that diverges."""
    from ntk_core.rules import GradientFlow
    from ntk_core.runs.lockstep import rule_of

    rule = rule_of(spec)
    if rule.stable(largest):
        return rule, spec.rule
    return GradientFlow(), "gradient_flow"


def stable_rate(spec: TrainingSpec, largest: float) -> float | None:
    """The learning rate above which the spec's rule diverges on a kernel Theta/N with this eigenvalue; None: never."""
    if spec.rule == "gradient_flow" or largest <= 0:
        return None
    return 2.0 * (1.0 + (spec.momentum if spec.rule == "momentum" else 0.0)) / largest


def with_warnings(plan: Plan, spec: TrainingSpec, largest: float, *more: str | None) -> Plan:
    """The plan with a sentence for each thing that a person should know before starting."""
    sentences = [_divergence(spec, largest), _untrainable(spec), *more]
    return replace(plan, warnings=plan.warnings + tuple(s for s in sentences if s))


class Histories:
    """Numbers per width, seed and output time, NaN until a group of networks gets there."""

    def __init__(self, spec: TrainingSpec, *names: str):
        self.times = np.array(spec.times)
        shape = (len(spec.widths), spec.seeds, len(self.times))
        self._arrays = {name: np.full(shape, np.nan, dtype=np.float32) for name in names}

    def record(self, update: Update, **values: Tensor) -> None:
        """Stores one number for each seed (S,) of the update's group."""
        for name, value in values.items():
            self._arrays[name][update.width_index, update.seeds, update.index] = numbers(value)

    def until(self, index: int) -> dict[str, Labelled]:
        """history_time and every history up to and including this output time."""
        out = {"history_time": Labelled(("history_time",), self.times[: index + 1])}
        for name, values in self._arrays.items():
            out[name] = Labelled(("width", "seed", "history_time"), values[:, :, : index + 1].copy())
        return out


def numbers(values: Any) -> np.ndarray:
    """A tensor as float32 for the wire; what is too large for it becomes infinite."""
    with np.errstate(over="ignore"):
        return values.detach().cpu().numpy().astype(np.float32)


def flags(values: Tensor) -> np.ndarray:
    """A tensor of booleans for the wire."""
    return values.detach().cpu().numpy().astype(bool)


def snapshot(update: Update, arrays: dict[str, Labelled]) -> Snapshot:
    """The snapshot that belongs to an update."""
    return Snapshot(update.index, update.time, arrays, update.complete, update.progress, update.info)


def squared_cost(update: Update) -> Tensor:
    """C(f) of every network in the update, (S,)."""
    from ntk_core import costs

    return costs.get("squared").value(update.outputs.double(), update.targets.double())


def _divergence(spec: TrainingSpec, largest: float) -> str | None:
    limit = stable_rate(spec, largest)
    if limit is None or spec.learning_rate < limit:
        return None
    return (
        f"Gradient descent will diverge: the learning rate {spec.learning_rate:g} is above the stability limit "
        f"{_down(limit)} of this kernel. Lower it below {_down(limit)}."
    )


def _untrainable(spec: TrainingSpec) -> str | None:
    if spec.activation not in UNTRAINABLE:
        return None
    return (
        f"The {spec.activation} activation has derivative zero almost everywhere: "
        f"gradient descent trains the last layer and leaves the others as they are."
    )


def _down(value: float) -> str:
    """Three significant digits, rounded down so that the number shown is itself safe."""
    digits = 2 - int(np.floor(np.log10(value)))
    return f"{np.floor(value * 10.0**digits) / 10.0**digits:.6g}"
