"""Specs: everything that decides a run's numbers, frozen, validated once, and importable without torch."""

from __future__ import annotations

import hashlib
import json
import math
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from ntk_core.activations.known_names import check_activation

RESULTS_VERSION = 11  # raise it when a change of the code changes a run's numbers

MAX_STEPS = 1_000_000
MAX_FLOW = 1e9  # time of gradient flow, which has no steps: as far as the most steps of the largest rate

ActivationName = Annotated[str, AfterValidator(check_activation)]
Width = Annotated[int, Field(ge=1, le=1_000_000)]


class ExperimentSpec(BaseModel):
    """Base of every experiment's spec. Two equal specs give equal numbers and share one run."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    experiment: str

    @property
    def key(self) -> str:
        """Hash that names the run: experiment and 20 hexadecimal digits."""
        return _key(self, RESULTS_VERSION)


@lru_cache(maxsize=4096)  # a run of a page's script asks ten times
def _key(spec: ExperimentSpec, version: int) -> str:
    text = json.dumps([version, spec.model_dump(mode="json")], sort_keys=True)
    return f"{spec.experiment}-{hashlib.sha256(text.encode()).hexdigest()[:20]}"


class TrainingSpec(ExperimentSpec):
    """Fields common to the experiments that train finite networks beside their limit."""

    depth: int = Field(4, ge=1, le=32)
    widths: tuple[Width, ...] = Field((500,), min_length=1, max_length=6)
    activation: ActivationName = "relu"
    beta: float = Field(0.1, ge=0, le=2)
    w_std: float = Field(1.0, gt=0, le=10, description="standard deviation of the weights; the paper's is 1")
    seeds: int = Field(10, ge=1, le=100, description="how many networks of each width")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="the first seed; network k uses seed + k")
    learning_rate: float = Field(1.0, gt=0, le=1000)
    time: float = Field(200.0, ge=0, description="t = steps x learning rate")
    snapshots: int = Field(24, ge=2, le=200, description="output times, t = 0 included")
    rule: Literal["gradient_descent", "gradient_flow", "momentum"] = "gradient_descent"
    momentum: float = Field(0.9, ge=0, lt=1)
    method: Literal["auto", "steps", "leaps"] = "auto"
    weights: Literal["auto", "dense", "sampled"] = "auto"
    tolerance: float = Field(0.01, gt=0, le=1, description="error allowed to leaps, relative to the change of f")
    kernel_tolerance: float = Field(
        0.1, gt=0, le=1, description="change of the kernel allowed to a leap, relative to it"
    )
    precision: Literal["float32", "float64"] = "float32"
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @model_validator(mode="after")
    def _check(self) -> TrainingSpec:
        if len(set(self.widths)) < len(self.widths):
            raise ValueError(f"widths: {list(self.widths)} names a width twice")
        if self.rule == "gradient_flow" and self.method == "steps":
            raise ValueError("method: gradient flow has no steps; choose leaps, or gradient descent as the rule")
        if (self.rule, self.method, self.weights) == ("momentum", "steps", "sampled") and self.depth > 2:
            raise ValueError("method: momentum step by step needs dense weights; choose leaps, or dense weights")
        if self.rule == "gradient_flow":
            if self.time > MAX_FLOW:
                raise ValueError(
                    f"time: gradient flow up to {self.time:g} was asked for; at most {MAX_FLOW:g} is allowed"
                )
            if any(b <= a for a, b in pairwise(self.times)):
                raise ValueError(
                    f"time: {self.snapshots} output times up to {self.time:g} are not told from each other"
                )
        elif self.time / self.learning_rate > MAX_STEPS:
            raise ValueError(
                f"time: {self.time:g} at learning rate {self.learning_rate:g} is {self.time / self.learning_rate:,.0f} "
                f"steps; at most {MAX_STEPS:,} are allowed"
            )
        return self

    @property
    def steps(self) -> int:
        """Steps of gradient descent that reach `time`; 0 for gradient flow, which has none."""
        return 0 if self.rule == "gradient_flow" else round(self.time / self.learning_rate)

    @property
    def times(self) -> tuple[float, ...]:
        """Output times from 0 to `time`, denser at the start where everything moves; multiples of the rate."""
        if self.rule == "gradient_flow":
            last = self.snapshots - 1
            return tuple(self.time * (j / last) ** 2 for j in range(self.snapshots)) if self.time else (0.0,)
        return output_times(self.steps, self.snapshots, self.learning_rate)


def output_times(steps: int, snapshots: int, rate: float) -> tuple[float, ...]:
    """Times from 0 to steps x rate, denser at the start where everything moves; multiples of the rate."""
    last = snapshots - 1
    found = {math.ceil(steps * (j / last) ** 2 - 1e-9) for j in range(snapshots)}
    return tuple(k * rate for k in sorted(found))


def sentences(error: ValueError) -> list[str]:
    """One clear sentence a problem, each naming its field, from a pydantic or plain ValueError."""
    if not isinstance(error, ValidationError):
        return [str(error)]
    problems = error.errors()
    places = {p["loc"] for p in problems}
    # A list whose entry was refused is also reported as too short; the entry's own sentence is enough.
    return [_sentence(dict(p)) for p in problems if not any(loc[:-1] == p["loc"] != loc for loc in places)]


def _sentence(problem: dict) -> str:
    message = problem["msg"].removeprefix("Value error, ")
    field = ".".join(str(part) for part in problem["loc"])
    if not field or message.startswith(f"{problem['loc'][0]}:"):
        return message
    if problem["type"] == "too_short":
        return f"{field}: choose at least {problem['ctx']['min_length']}, got none"
    if problem["type"] == "too_long":
        return f"{field}: choose at most {problem['ctx']['max_length']}, got {problem['ctx']['actual_length']}"
    shown = repr(problem["input"])
    return f"{field}: {message[0].lower()}{message[1:]}, got {shown if len(shown) <= 60 else shown[:57] + '...'}"
