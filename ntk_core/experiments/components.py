"""Figure 3 of the paper: training along a kernel principal component.

The goal is f_0 + c f^(k), with f^(k) the k-th principal component of the batch under the limiting kernel. In the
limit f_t moves along a straight line: f_t - f* is g_t along f^(k), |g_t| = c e^(-lambda_k t), and the rest h_t = 0.

The paper took the components of one network of width 10,000 instead. Theirs are a few degrees away from the limit's, so
that even infinitely wide networks bend away from them, by about 0.02 in its figure; `components_of` chooses.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from ntk_core import data
from ntk_core.data import digits
from ntk_core.experiments import _common as common
from ntk_core.experiments._batch import (
    KERNEL_WIDTH,
    MAX_COMPONENT,
    Data,
    batch_of,
    largest_eigenvalue,
    leading_components,
    limiting_kernel,
    limiting_values,
)
from ntk_core.runs.arrays import labelled
from ntk_core.runs.parts import Part, spread
from ntk_core.runs.result import Increment, Schema, Variable
from ntk_core.runs.spec import TrainingSpec, Width
from ntk_core.runs.theory import Theory

if TYPE_CHECKING:
    from torch import Tensor

    from ntk_core.finite.network import Network
    from ntk_core.rules import Rule
    from ntk_core.runs.lockstep import Update
    from ntk_core.runs.plan import Plan

Digit = Annotated[int, Field(ge=0, le=9)]
KERNEL_POINTS, KERNEL_DEPTH = 600, 8  # the most that its kernel may cost: some ten seconds
SHOWN = 10  # eigenvalues in the chart


class Spec(TrainingSpec):
    """Figure 3 of the paper (four hidden layers, hence five weight matrices) at widths and a batch that answer in
    seconds; the paper's own are a preset."""

    experiment: Literal["components"] = "components"
    depth: int = Field(5, ge=1, le=32)
    widths: tuple[Width, ...] = Field((50, 200), min_length=1, max_length=6)
    seeds: int = Field(2, ge=1, le=100, description="how many networks of each width")
    time: float = Field(2000.0, ge=0, description="t = steps x learning rate")
    data: Data = Field("digits", description="mnist, fashion: in folders; own: and a digest: a table of one's own")
    n_train: int = Field(100, ge=3, le=2048, description="points in the batch")
    digits: tuple[Digit, ...] = Field(digits.CLASSES, max_length=10, description="classes to draw from")
    batch_seed: int = Field(0, ge=0, le=2**31 - 1, description="draws the batch")
    component: int = Field(2, ge=1, le=MAX_COMPONENT, description="k of the goal f_0 + scale f^(k)")
    scale: float = Field(0.5, gt=0, le=100)
    components_of: Literal["limit", "network"] = Field(
        "limit", description="network: of one network of width 10,000, as in the paper"
    )

    @model_validator(mode="after")
    def _check_batch(self) -> Spec:
        if self.data in data.PICTURES:
            if not self.digits:
                raise ValueError("digits: no digit is chosen; choose at least one of 0 to 9")
            object.__setattr__(self, "digits", digits.check_classes(self.digits))
        if self.data == "digits" and self.n_train > 500 * len(self.digits):
            raise ValueError(
                f"n_train: {self.n_train:,} digits were asked for; {500 * len(self.digits):,} of the chosen classes "
                f"come with the project"
            )
        if self.component > self.n_train:
            raise ValueError(f"component: {self.n_train} points have {self.n_train} components, got {self.component}")
        if self.components_of == "network" and (self.n_train > KERNEL_POINTS or self.depth > KERNEL_DEPTH):
            raise ValueError(
                f"components_of: the kernel of a network of width {KERNEL_WIDTH:,} is offered for {KERNEL_POINTS} "
                f"points and depth {KERNEL_DEPTH} at most, got {self.n_train:,} points and depth {self.depth}"
            )
        return self


def theory(spec: Spec) -> Theory:
    """Eigenvalues, the batch in components 2 and 3, and the limit's |g_t| and |h_t|."""
    batch, components = batch_of(spec), leading_components(spec)
    largest, chosen = largest_eigenvalue(spec), float(components.values[spec.component - 1])
    rule, rule_name = common.theory_rule(spec, largest)
    decay, bend = _limit_path(spec, rule)
    functions = components.functions.numpy()
    arrays = labelled(
        values=(("component",), components.values[:SHOWN].numpy()),
        x=(("point",), functions[:, 1].astype(np.float32)),
        y=(("point",), functions[:, 2].astype(np.float32)),
        goal=(("point",), functions[:, spec.component - 1].astype(np.float32)),
        label=(("point",), batch.label),
        picture=(("point",), batch.picture),
        times=(("times",), spec.times),
        decay=(("times",), decay),
        bend=(("times",), bend),
    )
    info = {
        "eigenvalue": chosen,
        "largest_eigenvalue": largest,
        "stable_rate": common.stable_rate(spec, largest),
        "rule": rule_name,
        "half_time": math.log(2) / chosen if chosen > 0 else None,
        "classes": list(batch.classes),
    }
    return Theory(arrays, info)


def plan(spec: Spec) -> Plan:
    """Predicted cost of the run, with warnings."""
    from ntk_core.runs.plan import plan_training

    n_train, n_in = batch_of(spec).inputs.shape
    return common.with_warnings(
        plan_training(spec, n_train, 0, n_in), spec, largest_eigenvalue(spec), _standstill(spec)
    )


def slow(spec: Spec) -> bool:
    """The kernel of one network of width 10,000 takes seconds."""
    return spec.components_of == "network"


def schema(spec: Spec) -> Schema:
    """What is left along the component and across it at every output time, and what every network begins with."""
    shown = np.arange(1, min(SHOWN, spec.n_train) + 1)
    return common.schema(
        spec,
        labelled(component=(("component",), shown, "principal component k, the strongest first", "1")),
        g=Variable(common.NETWORK, "|g_t|, norm of f_t - f* along the component"),
        h=Variable(common.NETWORK, "|h_t|, norm of f_t - f* across the component"),
        eigenvalues=Variable(
            (*common.NETWORK, "component"), "eigenvalues of the network's own Theta_0(X, X)/N; at t = 0 alone"
        ),
    )


def sketch(spec: Spec) -> Spec:
    """The same networks before training, when their kernels are no more than near the limit's."""
    return common.before_training(spec)


def parts(spec: Spec, plan: Plan, workers: int) -> tuple[Part, ...]:
    """The networks spread over the workers."""
    return spread(spec, plan, workers)


def run(spec: Spec, part: Part | None = None) -> Iterator[Increment]:
    """Trains the networks of a part (by default all) towards their own f_0 + scale f^(k)."""
    from ntk_core.runs.lockstep import train_together

    X = batch_of(spec).inputs
    direction = leading_components(spec).functions[:, spec.component - 1]

    def goal(network: Network) -> Tensor:
        f_0 = network(X)  # (S, N, 1)
        return f_0 + spec.scale * direction.to(f_0)[:, None]

    for update in train_together(spec, X, goal, n_in=X.shape[1], plan=plan(spec), part=part, own_kernels=True):
        g, h = _split(update, direction)
        yield common.increment(update, g=g.abs(), h=h, eigenvalues=_strongest(update))


def _limit_path(spec: Spec, rule: Rule) -> tuple[np.ndarray, np.ndarray]:
    """|g_t| and |h_t| of the limit at the output times, (T,) each.

    Along a component of the limit's own the residual keeps its direction; any other splits over all of them.
    """
    import torch

    from ntk_core.eigen import eigh
    from ntk_core.rules import remaining

    if spec.components_of == "limit":
        value = leading_components(spec).values[spec.component - 1]
        return spec.scale * np.abs([float(remaining(rule, value, t)) for t in spec.times]), np.zeros(len(spec.times))
    direction = leading_components(spec).functions[:, spec.component - 1]
    values, modes = eigh(limiting_kernel(spec) / spec.n_train)
    shares = modes.T @ direction
    path = [modes @ (remaining(rule, values.clamp_min(0.0), t) * shares) for t in spec.times]
    g, h = _parts(-spec.scale * torch.stack(path), direction)
    return g.abs().numpy(), h.numpy()


def _split(update: Update, direction: Tensor) -> tuple[Tensor, Tensor]:
    """f_t - f* as its signed part along f^(k) and the norm of the rest, (S,) each."""
    return _parts((update.outputs - update.targets)[..., 0].double().cpu(), direction)


def _strongest(update: Update) -> np.ndarray:
    """The first eigenvalues of the networks' own kernels, (S, k), the largest first; at t = 0, where they are known."""
    S, N = update.outputs.shape[:2]
    shown = np.full((S, min(SHOWN, N)), np.nan)
    found = update.eigenvalues.flip(-1)[:, :SHOWN].numpy()
    if update.index == 0:
        shown[:, : found.shape[1]] = found
    return shown


def _parts(rest: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """Functions (S, N) as signed parts along f^(k) and norms of what remains, (S,); |f|^2 is the mean over points."""
    g = (rest * direction).mean(-1)
    h = (rest - g[:, None] * direction).square().mean(-1).sqrt()
    return g, h


def _standstill(spec: Spec) -> str | None:
    values = limiting_values(spec)  # at once, where those of one wide network take seconds
    if float(values[spec.component - 1]) > 1e-12 * float(values[0]):
        return None
    return (
        f"Component {spec.component} has eigenvalue 0 under this kernel: "
        f"in the limit the networks do not move along it at all. Choose a smaller component."
    )
