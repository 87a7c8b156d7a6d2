"""The spec of the experiment on any cost and any direction, and the points and targets that it means."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from ntk_core import data
from ntk_core.directions import LONGEST, Formula
from ntk_core.experiments import _kernel_choice as choice
from ntk_core.runs.spec import TrainingSpec, Width

Drive = Literal["squared", "logistic", "huber", "cross_entropy", "direction", "players"]
Target = Literal["product", "sine", "cosine_3", "square", "bump"]  # the names of data.TARGETS

COSTS = ("squared", "logistic", "huber", "cross_entropy")
DRAWS = 100  # initial functions behind the limit's percentiles
CLASSES = 3  # of cross-entropy: arcs of the circle
STEEPEST = {"logistic": 0.25, "cross_entropy": 0.5, "squared": 1.0, "huber": 1.0}  # largest second derivatives
LABELLED = ("logistic", "cross_entropy")  # costs whose targets are classes


class Spec(TrainingSpec):
    """Eight points of two classes, learned by the logistic cost."""

    experiment: Literal["any_cost"] = "any_cost"
    drive: Drive = Field("logistic", description="a cost, a direction by formula, or two players")
    delta: float = Field(0.2, ge=1e-3, le=10, description="residual beyond which the Huber cost is linear")
    direction: str = Field(
        "f - y + 0.5*sin(0.1*t)", min_length=1, max_length=LONGEST, description="d_t of f, y, x, x2 and t"
    )
    penalty: float = Field(0.5, ge=0, le=10, description="of the critic, in the game of two players")
    depth: int = Field(3, ge=1, le=16)
    widths: tuple[Width, ...] = Field((50, 200, 800), min_length=1, max_length=6)
    w_std: float = Field(1.0, gt=0, le=3, description="standard deviation of the weights; the paper's is 1")
    seeds: int = Field(3, ge=1, le=100, description="how many networks of each width")
    learning_rate: float = Field(0.5, gt=0, le=1000)
    time: float = Field(100.0, ge=0, le=1e5, description="t = steps x learning rate")
    snapshots: int = Field(20, ge=2, le=60, description="output times, t = 0 included")
    rule: Literal["gradient_descent", "gradient_flow"] = "gradient_descent"
    # Leaps linearize a cost anew so often that at these widths and times single steps are as fast, and exact.
    method: Literal["auto", "steps", "leaps"] = "steps"
    n_train: int = Field(8, ge=1, le=32, description="training points, evenly spaced")
    target: Target = Field("sine", description="target at these points; its sign where the cost wants classes")
    angles: int = Field(121, ge=3, le=401, description="points of the curves, from -pi to pi")
    kernel: choice.KernelName = "ntk"
    length: choice.Length = 1.0
    nu: choice.Nu = 1.5

    @model_validator(mode="after")
    def _check_drive(self) -> Spec:
        Formula(self.direction).check_inputs(2)
        if not self.has_cost and self.rule != "gradient_descent":
            raise ValueError("rule: a direction is followed step by step; choose gradient descent")
        if not self.has_cost and self.method == "leaps":
            raise ValueError("method: a direction is followed step by step; choose auto or steps")
        return self

    @property
    def has_cost(self) -> bool:
        """Whether the gradient of a cost drives, rather than another direction."""
        return self.drive in COSTS

    @property
    def classes(self) -> bool:
        """Whether targets are classes, and a probability is what one looks at."""
        return self.drive in LABELLED

    @property
    def cost_name(self) -> str:
        """The cost that is watched: the one that drives, or squared error where a direction does."""
        return self.drive if self.has_cost else "squared"

    @property
    def steepness(self) -> float:
        """The largest second derivative of the cost that drives; 0 where none does."""
        return STEEPEST.get(self.drive, 0.0)

    @property
    def n_out(self) -> int:
        """Two players, or three classes, are outputs of one network, which in the limit know nothing of each other."""
        return {"players": 2, "cross_entropy": CLASSES}.get(self.drive, 1)


class TrainingSet(NamedTuple):
    """Training angles gamma (N,), and targets (N, n_out)."""

    gamma: data.Floats
    targets: data.Floats


def training_set(spec: Spec) -> TrainingSet:
    """The points: with targets, labels -1 and +1 for the logistic cost, or one row of an identity for each class."""
    gamma = data.even_angles(spec.n_train)
    if spec.drive == "cross_entropy":
        return TrainingSet(gamma, np.eye(CLASSES)[np.arange(spec.n_train) * CLASSES // spec.n_train])
    y = data.circle_target(spec.target, gamma)
    if spec.drive == "logistic":
        y = np.where(y >= (0.5 if spec.target == "bump" else 0.0), 1.0, -1.0)
    return TrainingSet(gamma, np.repeat(y[:, None], spec.n_out, 1))
