"""Figure 3 of the paper: training along a kernel principal component.

The goal is f_0 + c f^(k), with f^(k) the k-th principal component of the batch under the limiting kernel. In the
limit f_t moves along a straight line: f_t - f* is g_t along f^(k), |g_t| = c e^(-lambda_k t), and the rest h_t = 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from ntk_core import data, digits
from ntk_core.experiments import _common as common
from ntk_core.snapshot import Snapshot, labelled
from ntk_core.spec import TrainingSpec, Width

if TYPE_CHECKING:
    from torch import Tensor

    from ntk_core.budget import Plan
    from ntk_core.lockstep import Update
    from ntk_core.network import Network
    from ntk_core.spectrum import Components

Data = Literal["digits", "mnist", "gaussian", "circle"]
Digit = Annotated[int, Field(ge=0, le=9)]
MAX_COMPONENT = 20
SHOWN = 10  # eigenvalues in the chart


class Spec(TrainingSpec):
    """Defaults are the paper's figure 3: four hidden layers, hence five weight matrices."""

    experiment: Literal["components"] = "components"
    depth: int = Field(5, ge=1, le=32)
    widths: tuple[Width, ...] = Field((100, 1000, 10000), min_length=1, max_length=6)
    seeds: int = Field(2, ge=1, le=100, description="how many networks of each width")
    time: float = Field(2000.0, ge=0, description="t = steps x learning rate")
    data: Data = Field("digits", description="mnist: the full set, where NTK_MNIST_DIR names its folder")
    n_train: int = Field(512, ge=3, le=2048, description="points in the batch")
    digits: tuple[Digit, ...] = Field(digits.CLASSES, max_length=10, description="classes to draw from")
    batch_seed: int = Field(0, ge=0, le=2**31 - 1, description="draws the batch")
    component: int = Field(2, ge=1, le=MAX_COMPONENT, description="k of the goal f_0 + scale f^(k)")
    scale: float = Field(0.5, gt=0, le=100)

    @model_validator(mode="after")
    def _check_batch(self) -> Spec:
        if self.data in ("digits", "mnist"):
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
        return self


class Batch(NamedTuple):
    """inputs (N, n_in); label (N,) the digit, or the sign of the target; picture (N,) index of the digit, or -1."""

    inputs: data.Floats
    label: np.ndarray
    picture: np.ndarray


def theory(spec: Spec) -> Snapshot:
    """Eigenvalues, the batch in components 2 and 3, and the limit's |g_t|."""
    import torch

    batch, components = _batch(spec), _components(spec)
    largest, chosen = float(components.values[0]), components.values[spec.component - 1]
    rule, rule_name = common.theory_rule(spec, largest)
    left = [1.0 - float(chosen * rule.respond(chosen, t).moved_r) for t in spec.times]
    if rule_name == "gradient_flow":
        left = torch.exp(-chosen * torch.tensor(spec.times, dtype=chosen.dtype)).tolist()
    functions = components.functions.numpy()
    arrays = labelled(
        values=(("component",), components.values[:SHOWN].numpy()),
        x=(("point",), functions[:, 1].astype(np.float32)),
        y=(("point",), functions[:, 2].astype(np.float32)),
        goal=(("point",), functions[:, spec.component - 1].astype(np.float32)),
        label=(("point",), batch.label),
        picture=(("point",), batch.picture),
        times=(("times",), spec.times),
        decay=(("times",), spec.scale * np.abs(left)),
    )
    info = {
        "eigenvalue": float(chosen),
        "largest_eigenvalue": largest,
        "stable_rate": common.stable_rate(spec, largest),
        "rule": rule_name,
        "half_time": float(np.log(2) / chosen) if chosen > 0 else None,
    }
    return Snapshot(0, 0.0, arrays, progress=1.0, info=info)


def plan(spec: Spec) -> Plan:
    """Predicted cost of the run, with warnings."""
    from ntk_core.budget import plan_training

    n_train, n_in = _batch(spec).inputs.shape
    largest = float(_components(spec).values[0])
    return common.with_warnings(plan_training(spec, n_train, 0, n_in), spec, largest, _standstill(spec))


def run(spec: Spec) -> Iterator[Snapshot]:
    """Trains all networks towards their own f_0 + scale f^(k); every snapshot has |g| and |h| up to its time."""
    from ntk_core.lockstep import train_together

    X = _batch(spec).inputs
    direction = _components(spec).functions[:, spec.component - 1]

    def goal(network: Network) -> Tensor:
        f_0 = network(X)  # (S, N, 1)
        return f_0 + spec.scale * direction.to(f_0)[:, None]

    history = common.Histories(spec, "g", "h", "cost")
    diverged = np.zeros((len(spec.widths), spec.seeds), dtype=bool)
    for update in train_together(spec, X, goal, n_in=X.shape[1], plan=plan(spec)):
        g, h = _split(update, direction)
        history.record(update, g=g.abs(), h=h, cost=common.squared_cost(update))
        diverged[update.width_index, update.seeds] = common.flags(update.diverged)
        arrays = labelled(width=(("width",), spec.widths), diverged=(("width", "seed"), diverged.copy()))
        yield common.snapshot(update, arrays | history.until(update.index))


def _split(update: Update, direction: Tensor) -> tuple[Tensor, Tensor]:
    """f_t - f* as its signed part along f^(k) and the norm of the rest, (S,) each; |f|^2 is the mean over points."""
    rest = (update.outputs - update.targets)[..., 0].double().cpu()  # (S, N)
    g = (rest * direction).mean(-1)
    h = (rest - g[:, None] * direction).square().mean(-1).sqrt()
    return g, h


def _standstill(spec: Spec) -> str | None:
    values = _components(spec).values
    if float(values[spec.component - 1]) > 1e-12 * float(values[0]):
        return None
    return (
        f"Component {spec.component} has eigenvalue 0 under this kernel: "
        f"in the limit the networks do not move along it at all. Choose a smaller component."
    )


def _batch(spec: Spec) -> Batch:
    return _cached_batch(spec.data, spec.n_train, spec.digits, spec.batch_seed)


@lru_cache(maxsize=8)
def _cached_batch(kind: Data, n_train: int, classes: tuple[int, ...], seed: int) -> Batch:
    if kind in ("digits", "mnist"):
        drawn = digits.batch(n_train, classes, seed, kind)
        # Only the digits that come with the project have pictures to point at.
        picture = drawn.index if kind == "digits" else np.full(n_train, -1)
        return Batch(drawn.inputs, drawn.labels.astype(np.int16), picture.astype(np.int32))
    if kind == "gaussian":
        X, y = data.gaussian_product(n_train, seed)
    else:
        gamma = data.even_angles(n_train)
        X, y = data.circle(gamma), data.circle_target("product", gamma)
    return Batch(X, np.sign(y).astype(np.int16), np.full(n_train, -1, dtype=np.int32))


def _components(spec: Spec) -> Components:
    batch = (spec.data, spec.n_train, spec.digits, spec.batch_seed)
    return _cached_components(spec.depth, spec.activation, spec.beta, batch)


@lru_cache(maxsize=8)
def _cached_components(
    depth: int, activation: str, beta: float, batch: tuple[Data, int, tuple[int, ...], int]
) -> Components:
    """The leading components of the batch: as many as a spec may ask for, so that changing the component is free."""
    from ntk_core.limit import limiting_kernels
    from ntk_core.spectrum import principal_components

    X = _cached_batch(*batch).inputs
    kernel = limiting_kernels(common.limit_of(depth, activation, beta, X.shape[1]), X).ntk
    return principal_components(kernel, min(MAX_COMPONENT, len(X)))
