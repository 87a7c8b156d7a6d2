"""Figure 1 of the paper: the tangent kernel Theta(x0, x) on the circle, for several widths, before and after training.

x0 = (1, 0) and x = (cos gamma, sin gamma). Networks train meanwhile on f*(x) = x1 x2 (or on four points of the circle).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from ntk_core import data
from ntk_core.experiments import _common as common
from ntk_core.runs.snapshot import Snapshot, labelled
from ntk_core.runs.spec import TrainingSpec, Width

if TYPE_CHECKING:
    from ntk_core.limit.ensemble import InfiniteEnsemble
    from ntk_core.runs.plan import Plan

Data = Literal["gaussian", "circle", "four_points"]
X0 = np.array([[1.0, 0.0]])


class Spec(TrainingSpec):
    """Defaults are the paper's figure 1."""

    experiment: Literal["circle"] = "circle"
    widths: tuple[Width, ...] = Field((500, 10000), min_length=1, max_length=6)
    data: Data = Field("gaussian", description="what the networks are trained on")
    snapshots: int = Field(13, ge=2, le=200, description="output times, t = 0 included")
    n_train: int = Field(100, ge=1, le=1000, description="training inputs (four_points always has 4)")
    data_seed: int = Field(0, ge=0, le=2**31 - 1, description="draws the Gaussian inputs")
    angles: int = Field(97, ge=3, le=1001, description="points of the kernel curve, from -pi to pi")


def training_set(spec: Spec) -> tuple[data.Floats, data.Floats]:
    """Inputs (N, 2) and targets (N,) of the spec."""
    return _training_set(spec.data, spec.n_train, spec.data_seed)


def theory(spec: Spec) -> Snapshot:
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
    return Snapshot(0, 0.0, arrays, progress=1.0, info=info)


def plan(spec: Spec) -> Plan:
    """Predicted cost of the run, with warnings."""
    from ntk_core.runs.plan import plan_training

    X, y = training_set(spec)
    largest = float(_ensemble(spec).values[-1])
    return common.with_warnings(
        plan_training(spec, len(X), spec.angles + 1, 2), spec, largest, data.conflict_sentence(X, y)
    )


def run(spec: Spec) -> Iterator[Snapshot]:
    """Trains all networks; every snapshot has Theta_t(x0, x) for each width and seed."""
    from ntk_core.runs.lockstep import train_together

    X, y = training_set(spec)
    gamma = data.angle_grid(spec.angles)
    points = np.concatenate([data.circle(gamma), X0])
    kernel = np.full((len(spec.widths), spec.seeds, spec.angles), np.nan, dtype=np.float32)
    initial = kernel.copy()
    diverged = np.zeros(kernel.shape[:2], dtype=bool)
    history = common.Histories(spec, "peak", "cost")
    for update in train_together(spec, X, y, points=points, n_in=2, plan=plan(spec)):
        group = (update.width_index, update.seeds)
        with update.network.looking():
            curve = update.network.tangent_kernel(X0, points)[:, 0]  # (S, angles + 1)
        kernel[group] = common.numbers(curve[:, :-1])
        if update.index == 0:
            initial[group] = kernel[group]
        diverged[group] = common.flags(update.diverged)
        history.record(update, peak=curve[:, -1], cost=common.squared_cost(update))
        arrays = labelled(
            gamma=(("gamma",), gamma),
            width=(("width",), spec.widths),
            kernel=(("width", "seed", "gamma"), kernel.copy()),
            initial=(("width", "seed", "gamma"), initial.copy()),
            diverged=(("width", "seed"), diverged.copy()),
        )
        yield common.snapshot(update, arrays | history.until(update.index))


def _ensemble(spec: Spec) -> InfiniteEnsemble:
    return _cached_ensemble(spec.depth, spec.activation, spec.beta, spec.data, spec.n_train, spec.data_seed)


@lru_cache(maxsize=8)
def _cached_ensemble(
    depth: int, activation: str, beta: float, kind: Data, n_train: int, data_seed: int
) -> InfiniteEnsemble:
    from ntk_core.limit.ensemble import InfiniteEnsemble

    return InfiniteEnsemble(common.limit_of(depth, activation, beta, 2), *_training_set(kind, n_train, data_seed))


def _training_set(kind: Data, n_train: int, data_seed: int) -> tuple[data.Floats, data.Floats]:
    if kind == "gaussian":
        return data.gaussian_product(n_train, data_seed)
    if kind == "circle":
        gamma = data.even_angles(n_train)
        return data.circle(gamma), data.circle_target("product", gamma)
    gamma, y = data.paper_points()
    return data.circle(gamma), y
