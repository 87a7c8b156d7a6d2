"""The spec of the experiment on spectral bias, and the data that it draws."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from ntk_core import data
from ntk_core.experiments import _kernel_choice as choice
from ntk_core.runs.spec import TrainingSpec, Width

Frequency = Annotated[int, Field(ge=0, le=12)]


CLASSED = ("circle", *data.PICTURES)  # the circle has frequencies in place of classes
Data = Annotated[str, AfterValidator(partial(data.check_reference, sets=CLASSED))]


class Spec(TrainingSpec):
    """Defaults are the network of the paper's figure 2, on three frequencies and noise."""

    experiment: Literal["spectral"] = "spectral"
    widths: tuple[Width, ...] = Field((300,), min_length=1, max_length=6)
    seeds: int = Field(3, ge=1, le=100, description="how many networks of each width")
    # A third of what is stable: few steps are taken one by one, without an error to speak of.
    learning_rate: float = Field(5.0, gt=0, le=1000)
    time: float = Field(2000.0, ge=0, description="t = steps x learning rate")
    # Heavy ball has a clock of its own: a penalty 1/t could not stand beside it.
    rule: Literal["gradient_descent", "gradient_flow"] = "gradient_descent"
    data: Data = Field(
        "circle", description="circle; digits, mnist or fashion; own: and a digest: a table whose target names classes"
    )
    frequencies: tuple[Frequency, ...] = Field(
        (1, 3, 5), min_length=1, max_length=6, description="k of the target, the sum of cos(k gamma)"
    )
    n_train: int = Field(64, ge=4, le=256, description="training points, evenly spaced on the circle")
    noise: float = Field(0.5, ge=0, le=3, description="standard deviation of the noise on the training targets")
    data_seed: int = Field(0, ge=0, le=2**31 - 1, description="draws the noise, or the points")
    angles: int = Field(121, ge=9, le=1001, description="test points, and of the curves, from -pi to pi")
    n_labelled: int = Field(300, ge=2, le=4000, description="points of known class to learn from")
    n_test: int = Field(500, ge=1, le=1000, description="others to be told apart")
    kernel: choice.KernelName = "ntk"
    length: choice.Length = 1.0
    nu: choice.Nu = 1.5

    @model_validator(mode="after")
    def _check_frequencies(self) -> Spec:
        if len(set(self.frequencies)) < len(self.frequencies):
            raise ValueError(f"frequencies: {list(self.frequencies)} names a frequency twice")
        if 2 * max(self.frequencies) >= self.n_train:
            raise ValueError(
                f"frequencies: {self.n_train} points tell frequencies below {self.n_train / 2:g} from each other, "
                f"got {max(self.frequencies)}"
            )
        return self


class Circle(NamedTuple):
    """gamma, y (N,): training angles and noisy targets; grid, target (M,): the curve's angles and f* there."""

    gamma: data.Floats
    y: data.Floats
    grid: data.Floats
    target: data.Floats


class Split(NamedTuple):
    """Points to learn from and others to be told apart: inputs (N, n_in) and (M, n_in), labels (N,) and (M,), and the
    names of the classes.
    """

    X: data.Floats
    labels: np.ndarray
    X_test: data.Floats
    labels_test: np.ndarray
    classes: tuple[str, ...]


def circle_of(spec: Spec) -> Circle:
    """The circle's points and targets."""
    gamma, grid = data.even_angles(spec.n_train), data.angle_grid(spec.angles)
    noise = spec.noise * np.random.default_rng(spec.data_seed).standard_normal(spec.n_train)
    return Circle(gamma, _target(spec, gamma) + noise, grid, _target(spec, grid))


@lru_cache(maxsize=4)
def split_of(reference: str, n_labelled: int, n_test: int, seed: int) -> Split:
    """The points of both kinds, none twice.

    Raises:
        ValueError: there are not so many, or their target is a number.
    """
    there = data.available(reference)
    if there is not None and n_labelled + n_test > there:
        raise ValueError(
            f"n_labelled: {n_labelled:,} points to learn from and {n_test:,} others were asked for; there are "
            f"{there:,} in all"
        )
    drawn, n = data.resolve(reference, n_labelled + n_test, seed=seed), n_labelled
    if not drawn.classes:
        raise ValueError("data: the target of this table is a number; accuracy needs one that names classes")
    labels = drawn.labels.astype(np.int64)
    return Split(drawn.inputs[:n], labels[:n], drawn.inputs[n:], labels[n:], drawn.classes)


def waves(spec: Spec) -> data.Floats:
    """The rows that take a function on the training points to its amplitude of every cos(k gamma), (F, N).

    On evenly spaced points cosines below N/2 are orthogonal, so that an amplitude is a scalar product.
    """
    k = np.asarray(spec.frequencies)[:, None]
    return np.where(k == 0, 1.0, 2.0) * np.cos(k * data.even_angles(spec.n_train)) / spec.n_train


def _target(spec: Spec, gamma: data.Floats) -> data.Floats:
    return np.cos(np.asarray(spec.frequencies)[:, None] * gamma).sum(0)
