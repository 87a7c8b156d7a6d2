"""The spec of the laws in width and depth, and the networks and points that it means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from ntk_core import data
from ntk_core.runs.spec import ActivationName, ExperimentSpec

if TYPE_CHECKING:
    from ntk_core.architecture import Architecture

MOST_PARTS = 500
MOST_STEPS = 10_000
ANGLES = (0.05, 0.25, 0.5, 0.75, 1.0)  # between two points, in units of pi
Measure = Literal["spread", "training", "outputs", "depth"]
SweptWidth = Annotated[int, Field(ge=1, le=8192)]
SweptDepth = Annotated[int, Field(ge=2, le=32)]


class Spec(ExperimentSpec):
    """Without biases by default: there the finite networks' moments are known in closed form."""

    experiment: Literal["laws"] = "laws"
    measure: Measure = Field(
        "spread", description="of the kernel at initialization; change in training; law of the outputs; what depth does"
    )
    widths: tuple[SweptWidth, ...] = Field((32, 64, 128, 256), min_length=1, max_length=6)
    depths: tuple[SweptDepth, ...] = Field((2, 4, 8), min_length=1, max_length=6, description="weight matrices")
    layers: int = Field(16, ge=2, le=24, description="depth up to which `depth` looks")
    activation: ActivationName = "relu"
    beta: float = Field(0.0, ge=0, le=1)
    w_std: float = Field(1.0, ge=0.25, le=2, description="standard deviation of the weights; the paper's is 1")
    seeds: int = Field(200, ge=1, le=5000, description="networks of each width and depth that are only looked at")
    trained: int = Field(16, ge=1, le=500, description="networks of each width and depth that are trained")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="the first seed; network k uses seed + k")
    outputs: int = Field(4, ge=2, le=16, description="outputs of the networks whose law of outputs is looked at")
    time: float = Field(60.0, gt=0, description="t = steps x learning rate")
    learning_rate: float = Field(1.0, gt=0, le=1000)
    piece: int = Field(200, ge=1, le=500, description="networks of one part of the run")
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @model_validator(mode="after")
    def _check(self) -> Spec:
        for field in ("widths", "depths"):
            values = getattr(self, field)
            if len(set(values)) < len(values):
                raise ValueError(f"{field}: {list(values)} names one of them twice")
        if not 1 <= self.steps <= MOST_STEPS:
            raise ValueError(
                f"time: {self.time:g} at learning rate {self.learning_rate:g} is {self.steps:,} steps; "
                f"1 to {MOST_STEPS:,} are allowed"
            )
        parts = len(self.widths) * len(self.swept_depths) * -(-self.networks // self.piece)
        if parts > MOST_PARTS:
            raise ValueError(
                f"piece: {len(self.widths)} widths, {len(self.swept_depths)} depths and {self.networks:,} networks of "
                f"each, {self.piece} at a time, are {parts:,} parts; at most {MOST_PARTS} are allowed: "
                f"take fewer networks, or more of them at a time"
            )
        return self

    @property
    def steps(self) -> int:
        """Steps of gradient descent that reach `time`."""
        return round(self.time / self.learning_rate)

    @property
    def networks(self) -> int:
        """How many networks of each width and depth."""
        return self.trained if self.measure == "training" else self.seeds

    @property
    def swept_depths(self) -> tuple[int, ...]:
        """The depths of the networks: one alone where its layers are looked at."""
        return (self.layers,) if self.measure == "depth" else self.depths


def architecture(spec: Spec, depth: int, width: int = 1, n_out: int = 1) -> Architecture:
    """The spec's network of one depth and width."""
    from ntk_core.architecture import Architecture

    return Architecture(depth, width, spec.activation, spec.beta, 2, n_out, spec.w_std)


def training_set() -> tuple[data.Floats, data.Floats]:
    """Inputs (4, 2) and targets (4,) of the paper's figure 2."""
    gamma, y = data.paper_points()
    return data.circle(gamma), y
