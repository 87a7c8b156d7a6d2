"""The spec of lazy and feature learning: which networks stand side by side, and on which points."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from ntk_core import data
from ntk_core.experiments import _own_points as own
from ntk_core.runs.spec import ActivationName, ExperimentSpec, output_times

MOST_CASES = 6
MOST_PARTS = 500
MOST_STEPS = 20_000
ZERO = 1e-9  # targets below this are zero but for rounding
Parametrization = Literal["ntk", "standard", "standard_one_rate", "mup"]
Points = Annotated[str, AfterValidator(partial(data.check_reference, sets=("paper", "even"), field="points"))]
Target = Literal["product", "sine", "cosine_3", "square", "bump"]  # the names of data.TARGETS
TrainedWidth = Annotated[int, Field(ge=1, le=8192)]
Alpha = Annotated[float, Field(ge=1e-4, le=1e4)]


class Case(NamedTuple):
    """One of the kinds of networks that are compared, by its places in the spec's lists."""

    parametrization: int
    alpha: int


class Spec(ExperimentSpec):
    """By default three parametrizations at four widths, tanh, on eight points of a square wave."""

    experiment: Literal["lazy"] = "lazy"
    parametrizations: tuple[Parametrization, ...] = Field(
        ("ntk", "standard_one_rate", "mup"), min_length=1, max_length=4
    )
    alphas: tuple[Alpha, ...] = Field((1.0,), min_length=1, max_length=6, description="output scales")
    centred: bool = Field(True, description="outputs are alpha (f - f_0) rather than alpha f")
    widths: tuple[TrainedWidth, ...] = Field((32, 64, 128, 256), min_length=1, max_length=6)
    depth: int = Field(3, ge=2, le=12, description="weight matrices")
    activation: ActivationName = "tanh"
    beta: float = Field(0.1, ge=0, le=1)
    w_std: float = Field(1.0, ge=0.25, le=2, description="standard deviation of the weights; the paper's is 1")
    points: Points = Field(
        "even", description="paper: its four; even: on the circle; own: and a digest: a table of one's own"
    )
    n_train: int = Field(8, ge=1, le=256, description="how many even points, or rows of a table")
    n_test: int = Field(100, ge=1, le=500, description="at most so many other rows of a table, to be looked at")
    target: Target = Field("square", description="target at the even points")
    seeds: int = Field(3, ge=1, le=50, description="networks of each kind and width")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="the first seed; network k uses seed + k")
    learning_rate: float = Field(1.0, gt=0, le=1000, description="in the paper's parametrization, before 1/alpha^2")
    time: float = Field(100.0, gt=0, description="t = steps x learning rate")
    snapshots: int = Field(13, ge=2, le=100, description="output times, t = 0 included")
    angles: int = Field(73, ge=9, le=501, description="points of the curves, from -pi to pi")
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @model_validator(mode="after")
    def _check(self) -> Spec:
        for field in ("parametrizations", "alphas", "widths"):
            values = getattr(self, field)
            if len(set(values)) < len(values):
                raise ValueError(f"{field}: {', '.join(f'{v}' for v in values)} names one of them twice")
        if len(self.cases) > MOST_CASES:
            raise ValueError(
                f"alphas: {len(self.parametrizations)} parametrizations and {len(self.alphas)} output scales are "
                f"{len(self.cases)} kinds of networks; at most {MOST_CASES} are compared"
            )
        if not 1 <= self.steps <= MOST_STEPS:
            raise ValueError(
                f"time: {self.time:g} at learning rate {self.learning_rate:g} is {self.steps:,} steps; "
                f"1 to {MOST_STEPS:,} are allowed"
            )
        if not self.of_a_table and np.abs(circle_points(self)[1]).max() < ZERO:
            raise ValueError(
                f"n_train: this target is zero at {self.n_train} even point{'s' * (self.n_train > 1)}, so there is "
                f"nothing to learn; take more points, or another target"
            )
        return self

    @property
    def of_a_table(self) -> bool:
        """Whether the points are of a table of one's own, and not on the circle."""
        return own.is_own(self.points)

    @property
    def cases(self) -> tuple[Case, ...]:
        """Every parametrization at every output scale."""
        return tuple(Case(p, a) for p in range(len(self.parametrizations)) for a in range(len(self.alphas)))

    @property
    def steps(self) -> int:
        """Steps of gradient descent that reach `time`."""
        return round(self.time / self.learning_rate)

    @property
    def times(self) -> tuple[float, ...]:
        """Output times from 0 to `time`, denser at the start where everything moves; multiples of the rate."""
        return output_times(self.steps, self.snapshots, self.learning_rate)


def circle_points(spec: Spec) -> tuple[data.Floats, data.Floats]:
    """Angles (N,) and targets (N,) of the points on the circle."""
    if spec.points == "paper":
        return data.paper_points()
    gamma = data.even_angles(spec.n_train)
    return gamma, data.circle_target(spec.target, gamma)
