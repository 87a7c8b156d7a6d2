"""Lazy or learning features: parametrizations and output scales side by side, each beside its linearized network.

All start from the same draws and nearly the same kernel. In the paper's parametrization, and in the standard one with
the learning rates of section 2's remark, the kernel moves less and less as networks widen (theorem 2), so that they
follow their linearizations; so does any network whose output scale alpha is large (Chizat, Oyallon and Bach 2019). In
muP, which with one hidden layer is mean-field, it moves as much at every width (Yang and Hu 2021).

On the circle functions are curves. A table of one's own may have any inputs and outputs: outputs are looked at on rows
that were not learned from, or on the training points where there are no others.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ntk_core import data
from ntk_core.experiments._lazy_points import architecture, points_of
from ntk_core.experiments._lazy_spec import Spec, circle_points
from ntk_core.runs.arrays import Labelled, labelled
from ntk_core.runs.result import Increment, Schema, Variable
from ntk_core.runs.theory import Theory

if TYPE_CHECKING:
    from ntk_core.architecture import Architecture
    from ntk_core.experiments._lazy_points import Points
    from ntk_core.limit.ensemble import InfiniteEnsemble
    from ntk_core.runs.parts import Part
    from ntk_core.runs.plan import Plan

CELLS = ("time", "parametrization", "alpha", "width", "seed")
ONE_RATE = "standard_one_rate"
SKETCH_SECONDS = 2.0  # expected of networks that are trained unasked, at most


def theory(spec: Spec) -> Theory:
    """Mean of f_t in the limit and what its kernel sees of the target: the paper's, and one rate's where it is asked.

    For muP this is where the infinite network's linearization goes, and not the infinite network.
    """
    points = points_of(spec)
    arrays = _table_arrays(points) if spec.of_a_table else _circle_arrays(spec)
    arrays |= labelled(times=(("times",), spec.times, "training time t = steps x learning rate", "1"))
    for suffix, one_rate in (("", False), ("_one_rate", True))[: 1 + (ONE_RATE in spec.parametrizations)]:
        arrays |= _limit(spec, points, suffix, one_rate)
    info = {"stable_rate": stable_rate(spec), "rule": _rule_name(spec), "notes": list(points.notes)}
    return Theory(arrays, info | {"apart": points.apart, "n_train": len(points.X)})


def _circle_arrays(spec: Spec) -> dict[str, Labelled]:
    """The curve's angles, the training points, and the target where it is a function."""
    gamma, (train_gamma, train_y) = data.angle_grid(spec.angles), circle_points(spec)
    arrays = labelled(
        gamma=(("gamma",), gamma, "angle of x", "rad"),
        train_gamma=(("point",), train_gamma),
        train_y=(("point",), train_y),
    )
    if spec.points == "even":
        arrays |= labelled(goal=(("gamma",), data.circle_target(spec.target, gamma), "target f*"))
    return arrays


def _table_arrays(points: Points) -> dict[str, Labelled]:
    """The rows that outputs are looked at, and their targets."""
    where = _seen(points)
    return labelled(
        row=(("row",), points.rows, "row of the table", "1"), goal=(tuple(where), points.goal, "target at the row")
    )


def _seen(points: Points) -> dict[str, Labelled]:
    """The dimensions of outputs at the rows that are looked at, with their coordinates."""
    row = labelled(row=(("row",), points.rows, "row of the table", "1"))
    if points.y.ndim == 1:
        return row
    return row | labelled(output=(("output",), np.arange(1, points.n_out + 1), "output of the network", "1"))


def _limit(spec: Spec, points: Points, suffix: str, one_rate: bool) -> dict[str, Labelled]:
    from ntk_core.rules import GradientDescent, GradientFlow

    ensemble = _ensemble(spec, one_rate)
    flows = _rule_name(spec) == "gradient_flow"
    ensemble = ensemble.under(GradientFlow() if flows else GradientDescent(spec.learning_rate))
    where = tuple(_seen(points)) if spec.of_a_table else ("gamma",)
    mean = ensemble.on(points.seen).means(spec.times).numpy()
    return labelled(
        **{
            f"mean{suffix}": (("times", *where), mean, "mean of f_t(x) in the limit"),
            f"alignment{suffix}": ((), _alignment(ensemble), "y . Theta y / (|Theta| |y|^2) of the limit"),
        }
    )


def _alignment(ensemble: InfiniteEnsemble) -> float:
    """What the limit's kernel sees of the targets; that of K outputs is Theta for each, its norm sqrt(K) |Theta|."""
    from ntk_core.finite.movement import alignment

    columns = ensemble.y.reshape(len(ensemble.y), -1).T
    shares = columns.square().sum(1) / columns.square().sum()
    seen = [float(alignment(ensemble.K, y)) * float(share) for y, share in zip(columns, shares, strict=True) if share]
    return sum(seen) / len(columns) ** 0.5


def _rule_name(spec: Spec) -> str:
    """Gradient descent, or gradient flow in its place where that diverges on the limit's kernels."""
    return "gradient_descent" if spec.learning_rate < stable_rate(spec) else "gradient_flow"


def stable_rate(spec: Spec) -> float:
    """2 / lambda_max(Theta/N) of the limit: the smaller of the kernels' that play a part."""
    from ntk_core.rules import GradientDescent

    sources = {name == ONE_RATE for name in spec.parametrizations} | {False}
    largest = max(float(_ensemble(spec, source).values[-1]) for source in sources)
    return GradientDescent().largest_rate(largest)


def _ensemble(spec: Spec, one_rate: bool) -> InfiniteEnsemble:
    """The limit from f_0 = 0 under the paper's kernel, or the one that trains at one rate; may refuse `w_std`."""
    points, arch = points_of(spec), architecture(spec)
    _check_growth(spec, arch, points)
    return _cached_ensemble(arch, points.X.tobytes(), points.y.tobytes(), one_rate)


def _check_growth(spec: Spec, arch: Architecture, points: Points) -> None:
    from ntk_core.limit.depth_path import check_growth

    largest = max(float((X**2).sum(1).max()) for X in (points.X, points.seen)) / arch.n_in
    try:
        check_growth(arch, largest)
    except ValueError as error:
        if not spec.of_a_table:
            raise
        raise ValueError(
            f"points: the table's inputs reach |x|² / n₀ = {largest:.3g}, with which the variances of "
            f"{spec.activation} at w_std = {spec.w_std:g} grow beyond what can be computed; "
            f"standardize the inputs, or lower w_std"
        ) from error


@lru_cache(maxsize=8)
def _cached_ensemble(arch: Architecture, inputs: bytes, targets: bytes, one_rate: bool) -> InfiniteEnsemble:
    from ntk_core.finite.parametrizations import limiting_speeds
    from ntk_core.limit.ensemble import InfiniteEnsemble
    from ntk_core.limit.layer_speeds import kernel_with_speeds

    X = np.frombuffer(inputs).reshape(-1, arch.n_in)
    y = np.frombuffer(targets).reshape((len(X), arch.n_out) if arch.n_out > 1 else len(X))
    speeds = limiting_speeds(ONE_RATE if one_rate else "ntk", arch)
    return InfiniteEnsemble(
        arch, X.copy(), y.copy(), kernel=lambda X, X2: kernel_with_speeds(arch, speeds, X, X2), prior="zero"
    )


def plan(spec: Spec) -> Plan:
    """Predicted cost of the sweep, with warnings; refuses what does not fit."""
    from ntk_core.experiments import _lazy_pieces

    return _lazy_pieces.plan(spec, stable_rate(spec))


def schema(spec: Spec) -> Schema:
    """Every network and its linearization as functions, and how far its kernel has come."""
    coords = labelled(
        time=(("time",), spec.times, "training time t = steps x learning rate", "1"),
        parametrization=(("parametrization",), np.array(spec.parametrizations), "how layers are scaled and learn"),
        alpha=(("alpha",), spec.alphas, "output scale", "1"),
        width=(("width",), spec.widths, "neurons in a hidden layer", "1"),
        seed=(("seed",), [spec.seed + k for k in range(spec.seeds)], "seed of the network", "1"),
    )
    at = labelled(gamma=(("gamma",), data.angle_grid(spec.angles), "angle of x", "rad"))
    if spec.of_a_table:
        at = _seen(points_of(spec))
    scale = "alpha (f_t(x) - f_0(x))" if spec.centred else "alpha f_t(x)"
    variables = {
        "f": Variable((*CELLS, *at), f"output {scale}"),
        "linearized": Variable((*CELLS, *at), f"output {scale} of the network linearized at t = 0"),
        "distance": Variable(CELLS, "root mean square over these x of the output minus the linearized one's"),
        "kernel_change": Variable(CELLS, f"|Theta_t - Theta_0| / |Theta_0| {_where_moved(spec)}, Frobenius norm"),
        "alignment": Variable(CELLS, "y . Theta_t y / (|Theta_t| |y|^2) on the training points, Frobenius norm"),
        "cost": Variable(CELLS, "cost 1/2 mean (output - f*)^2"),
        "diverged": Variable(CELLS, "whether the network has left the finite numbers", dtype="bool"),
    }
    return Schema(coords | at, variables, CELLS)


def _where_moved(spec: Spec) -> str:
    return "on the training points" if spec.of_a_table else "on the circle"


def sketch(spec: Spec) -> Spec | None:
    """One network of every kind and width, trained: before training there is nothing to tell them apart by. None where
    that takes long, and of a table, which may be gone by the time that somebody looks.
    """
    from ntk_core.experiments import _lazy_pieces

    one = spec.model_copy(update={"seeds": 1})
    if spec.of_a_table or spec.seeds == 1:
        return None
    return one if _lazy_pieces.total_seconds(one) <= SKETCH_SECONDS else None


def parts(spec: Spec, plan: Plan, workers: int) -> tuple[Part, ...]:
    """A part for every few networks of one kind and width, the cheapest first; the same for any number of workers."""
    from ntk_core.experiments import _lazy_pieces

    return _lazy_pieces.parts(spec, plan)


def run(spec: Spec, part: Part | None = None) -> Iterator[Increment]:
    """Trains the networks of a part (by default all), and looks at them at every output time."""
    from ntk_core.experiments import _lazy_sweep

    return _lazy_sweep.run(spec, part)
