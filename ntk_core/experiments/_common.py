"""What the experiments on trained networks share: the limit's architecture and rule, warnings, the result's shape."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ntk_core.activations.known_names import UNTRAINABLE
from ntk_core.architecture import Architecture
from ntk_core.runs.arrays import Labelled, labelled
from ntk_core.runs.result import Increment, Schema, Variable
from ntk_core.runs.spec import TrainingSpec

if TYPE_CHECKING:
    from torch import Tensor

    from ntk_core.rules import Rule
    from ntk_core.runs.lockstep import Update
    from ntk_core.runs.plan import Plan

NETWORK = ("time", "width", "seed")  # the cells of a result: a network at an output time


class Net(NamedTuple):
    """What of a spec decides its limit, inputs aside."""

    depth: int
    activation: str
    beta: float
    w_std: float


def net_of(spec: Any) -> Net:
    """Depth, activation, beta and w_std of a spec."""
    return Net(spec.depth, spec.activation, spec.beta, spec.w_std)


def limit_of(net: Net, n_in: int) -> Architecture:
    """The architecture whose limit is meant; its width plays no part."""
    return Architecture(width=1, n_in=n_in, **net._asdict())


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
    from ntk_core.runs.lockstep import rule_of

    limit = rule_of(spec).largest_rate(largest)
    return limit if math.isfinite(limit) else None


def with_warnings(plan: Plan, spec: TrainingSpec, largest: float, *more: str | None) -> Plan:
    """The plan with a sentence for each thing that a person should know before starting."""
    sentences = [_divergence(spec, largest), _untrainable(spec), *more]
    return replace(plan, warnings=plan.warnings + tuple(s for s in sentences if s))


PER_NETWORK = {
    "cost": Variable(NETWORK, "cost 1/2 mean (f - f*)^2"),
    "diverged": Variable(NETWORK, "whether the network has left the finite numbers", dtype="bool"),
    "leaps": Variable(NETWORK, "leaps taken so far"),
    "walked": Variable(NETWORK, "steps taken one after the other so far, by themselves or in place of short leaps"),
    "error": Variable(NETWORK, "estimated error of f by leaping, root mean square over the training points"),
    "kernel_error": Variable(NETWORK, "estimated error of the tangent kernel by leaping, relative"),
    "largest": Variable(NETWORK, "largest eigenvalue of the network's own kernel Theta_0(X, X)/N"),
}


def before_training(spec: Any) -> Any:
    """The spec of the same networks at t = 0 alone, with defaults for what plays no part there: it is shared."""
    defaults = type(spec).model_fields
    unimportant = ("learning_rate", "snapshots", "rule", "momentum", "method", "kernel_tolerance")
    return spec.model_copy(update={"time": 0.0, **{name: defaults[name].default for name in unimportant}})


def schema(spec: TrainingSpec, coords: dict[str, Labelled], **variables: Variable) -> Schema:
    """The result of an experiment that trains the spec's networks: its own variables and what all of them have."""
    axes = labelled(
        time=(("time",), spec.times, "training time t = steps x learning rate", "1"),
        width=(("width",), spec.widths, "neurons in a hidden layer", "1"),
        seed=(("seed",), [spec.seed + k for k in range(spec.seeds)], "seed of the network", "1"),
    )
    return Schema(axes | coords, variables | PER_NETWORK, NETWORK)


def increment(update: Update, **values: Any) -> Increment:
    """What an update adds to the result: its own values (S, ...) and those of `PER_NETWORK`."""
    state = update.state
    size = len(update.outputs)

    def each(value: Any) -> np.ndarray:
        return np.broadcast_to(numbers(value), (size,))

    common = {
        "cost": numbers(squared_cost(update)),
        "diverged": flags(state.diverged),
        "leaps": each(state.leaps),
        "walked": each(state.walked),
        "error": each(state.error),
        "kernel_error": each(state.kernel_error),
        "largest": each(update.eigenvalues[:, -1]),
    }
    place = {"time": update.index} | dict(update.unit.place)
    return Increment(place, common | {name: numbers(value) for name, value in values.items()}, update.progress)


def numbers(values: Any) -> np.ndarray:
    """Numbers as float32 for the wire; what is too large for it becomes infinite."""
    with np.errstate(over="ignore"):
        return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values).astype(np.float32)


def flags(values: Tensor) -> np.ndarray:
    """A tensor of booleans for the wire."""
    return values.detach().cpu().numpy().astype(bool)


def squared_cost(update: Update) -> Tensor:
    """C(f) of every network in the update, (S,)."""
    from ntk_core import costs

    return costs.get("squared").value(update.outputs.double(), update.targets.double())


def _divergence(spec: TrainingSpec, largest: float) -> str | None:
    limit = stable_rate(spec, largest)
    return None if limit is None or spec.learning_rate < limit else diverges(spec.learning_rate, limit)


def diverges(rate: float, limit: float, kernel: str = "this kernel") -> str:
    """The sentence that says so before training, of a learning rate above the limit that the kernel sets."""
    return (
        f"Gradient descent will diverge: the learning rate {rate:g} is above the stability limit "
        f"{_down(limit)} of {kernel}. Lower it below {_down(limit)}."
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
