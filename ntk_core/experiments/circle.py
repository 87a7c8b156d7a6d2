"""Figure 1 of the paper: the tangent kernel Theta(x0, x) on the circle, for several widths, before and after training.

x0 = (1, 0) and x = (cos gamma, sin gamma). Networks train meanwhile on f*(x) = x1 x2 (or on four points of the circle).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field

from ntk_core import data
from ntk_core.experiments import _common as common
from ntk_core.runs.arrays import labelled
from ntk_core.runs.parts import Part, spread
from ntk_core.runs.result import Increment, Schema, Variable
from ntk_core.runs.spec import TrainingSpec, Width
from ntk_core.runs.theory import Theory

if TYPE_CHECKING:
    from ntk_core.limit.ensemble import InfiniteEnsemble
    from ntk_core.runs.plan import Plan

MADE = ("gaussian", "circle", "four_points")
Data = Annotated[str, AfterValidator(partial(data.check_reference, sets=MADE))]
X0 = np.array([[1.0, 0.0]])


class Spec(TrainingSpec):
    """Figure 1 of the paper, at widths that answer in seconds; the paper's own are a preset."""

    experiment: Literal["circle"] = "circle"
    widths: tuple[Width, ...] = Field((50, 200, 800), min_length=1, max_length=6)
    data: Data = Field(
        "gaussian", description="what the networks are trained on; own: and a digest: a table with two inputs"
    )
    seeds: int = Field(4, ge=1, le=100, description="how many networks of each width")
    snapshots: int = Field(13, ge=2, le=200, description="output times, t = 0 included")
    n_train: int = Field(20, ge=1, le=1000, description="training inputs (four_points always has 4)")
    data_seed: int = Field(0, ge=0, le=2**31 - 1, description="draws the Gaussian inputs")
    angles: int = Field(97, ge=3, le=1001, description="points of the kernel curve, from -pi to pi")


def training_set(spec: Spec) -> tuple[data.Floats, data.Floats]:
    """Inputs (N, 2) and targets (N,) of the spec."""
    return _training_set(spec.data, spec.n_train, spec.data_seed)


def theory(spec: Spec) -> Theory:
    """The limiting kernels along the circle, and the expected cost of the infinite ensemble."""
    from ntk_core.limit.kernels import limiting_kernels

    gamma = data.angle_grid(spec.angles)
    ensemble = _ensemble(spec)
    largest = float(ensemble.values[-1])
    rule, rule_name = common.theory_rule(spec, largest)
    ensemble = ensemble.under(rule)
    kernels = limiting_kernels(ensemble.arch, X0, np.concatenate([data.circle(gamma), X0]))
    X, y = training_set(spec)
    arrays = labelled(
        gamma=(("gamma",), gamma),
        ntk=(("gamma",), kernels.ntk[0, :-1].numpy()),
        nngp=(("gamma",), kernels.nngp[0, :-1].numpy()),
        times=(("times",), spec.times),
        cost=(("times",), [ensemble.expected_cost(t) for t in spec.times]),
        train_x=(("point", "axis"), X),
        train_y=(("point",), y),
    )
    info = {
        "peak": float(kernels.ntk[0, -1]),
        "largest_eigenvalue": largest,
        "stable_rate": common.stable_rate(spec, largest),
        "rule": rule_name,
    }
    return Theory(arrays, info)


def plan(spec: Spec) -> Plan:
    """Predicted cost of the run, with warnings."""
    from ntk_core.runs.plan import plan_training

    X, y = training_set(spec)
    largest = float(_ensemble(spec).values[-1])
    return common.with_warnings(
        plan_training(spec, len(X), spec.angles + 1, 2), spec, largest, data.conflict_sentence(X, y)
    )


def schema(spec: Spec) -> Schema:
    """The kernel curve of every network at every output time, and its peak."""
    gamma = (("gamma",), data.angle_grid(spec.angles), "angle between x and x0", "rad")
    return common.schema(
        spec,
        labelled(gamma=gamma),
        kernel=Variable((*common.NETWORK, "gamma"), "tangent kernel Theta_t(x0, x)"),
        peak=Variable(common.NETWORK, "tangent kernel Theta_t(x0, x0)"),
    )


def sketch(spec: Spec) -> Spec:
    """The same networks before training."""
    return common.before_training(spec)


def parts(spec: Spec, plan: Plan, workers: int) -> tuple[Part, ...]:
    """The networks spread over the workers."""
    return spread(spec, plan, workers)


def run(spec: Spec, part: Part | None = None) -> Iterator[Increment]:
    """Trains the networks of a part (by default all), and looks at their kernels at every output time."""
    from ntk_core.finite.sampled import FOR_KERNELS
    from ntk_core.finite.tangent import tangent_kernel
    from ntk_core.runs.lockstep import train_together

    X, y = training_set(spec)
    points = np.concatenate([data.circle(data.angle_grid(spec.angles)), X0])
    for update in train_together(spec, X, y, points=points, n_in=2, plan=plan(spec), part=part):
        with update.network.looking(once=True, left_out=FOR_KERNELS):
            features = update.network.features(points)
        curve = tangent_kernel(features.at(slice(-1, None)), features)[:, 0]  # (S, angles + 1)
        yield common.increment(update, kernel=curve[:, :-1], peak=curve[:, -1])


def _ensemble(spec: Spec) -> InfiniteEnsemble:
    return _cached_ensemble(common.net_of(spec), spec.data, spec.n_train, spec.data_seed)


@lru_cache(maxsize=8)
def _cached_ensemble(net: common.Net, kind: str, n_train: int, data_seed: int) -> InfiniteEnsemble:
    from ntk_core.limit.ensemble import InfiniteEnsemble

    return InfiniteEnsemble(common.limit_of(net, 2), *_training_set(kind, n_train, data_seed))


def _training_set(kind: str, n_train: int, data_seed: int) -> tuple[data.Floats, data.Floats]:
    if kind == "gaussian":
        return data.gaussian_product(n_train, data_seed)
    if kind == "circle":
        gamma = data.even_angles(n_train)
        return data.circle(gamma), data.circle_target("product", gamma)
    if kind == "four_points":
        gamma, y = data.paper_points()
        return data.circle(gamma), y
    sample = data.resolve(kind, n_train, seed=data_seed)
    if sample.inputs.shape[1] != 2 or sample.targets.ndim != 1:
        raise ValueError(
            f"data: points of the plane with one target are needed here, and this table has {sample.inputs.shape[1]} "
            f"input(s) and {1 if sample.targets.ndim == 1 else sample.targets.shape[1]} output(s)"
        )
    return sample.inputs, sample.targets
