"""Lazy or learning features: parametrizations and output scales side by side, each beside its linearized network.

All start from the same draws and nearly the same kernel. In the paper's parametrization, and in the standard one with
the learning rates of section 2's remark, the kernel moves less and less as networks widen (theorem 2), so that they
follow their linearizations; so does any network whose output scale alpha is large (Chizat, Oyallon and Bach 2019). In
muP, which with one hidden layer is mean-field, it moves as much at every width (Yang and Hu 2021).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ntk_core import data
from ntk_core.experiments._lazy_spec import Spec, architecture, training_set
from ntk_core.runs.arrays import Labelled, labelled
from ntk_core.runs.result import Increment, Schema, Variable
from ntk_core.runs.theory import Theory

if TYPE_CHECKING:
    from ntk_core.architecture import Architecture
    from ntk_core.limit.ensemble import InfiniteEnsemble
    from ntk_core.runs.parts import Part
    from ntk_core.runs.plan import Plan

CELLS = ("time", "parametrization", "alpha", "width", "seed")
ONE_RATE = "standard_one_rate"
HALF_NORM = 0.5  # |x|^2 / n_0 on the circle


def theory(spec: Spec) -> Theory:
    """Mean of f_t in the limit and what its kernel sees of the target: the paper's, and one rate's where it is asked.

    For muP this is where the infinite network's linearization goes, and not the infinite network.
    """
    gamma = data.angle_grid(spec.angles)
    train_gamma, train_y = training_set(spec)
    arrays = labelled(
        gamma=(("gamma",), gamma, "angle of x", "rad"),
        times=(("times",), spec.times, "training time t = steps x learning rate", "1"),
        train_gamma=(("point",), train_gamma),
        train_y=(("point",), train_y),
    )
    if spec.points == "even":
        arrays |= labelled(goal=(("gamma",), data.circle_target(spec.target, gamma), "target f*"))
    for suffix, one_rate in (("", False), ("_one_rate", True))[: 1 + (ONE_RATE in spec.parametrizations)]:
        arrays |= _limit(spec, gamma, suffix, one_rate)
    return Theory(arrays, {"stable_rate": stable_rate(spec), "rule": _rule_name(spec), "notes": []})


def _limit(spec: Spec, gamma: data.Floats, suffix: str, one_rate: bool) -> dict[str, Labelled]:
    from ntk_core.finite.movement import alignment
    from ntk_core.rules import GradientDescent, GradientFlow

    ensemble = _ensemble(architecture(spec), *map(tuple, training_set(spec)), one_rate)
    flows = _rule_name(spec) == "gradient_flow"
    ensemble = ensemble.under(GradientFlow() if flows else GradientDescent(spec.learning_rate))
    mean = ensemble.on(data.circle(gamma)).means(spec.times).numpy()
    seen = float(alignment(ensemble.K, ensemble.y))
    return labelled(
        **{
            f"mean{suffix}": (("times", "gamma"), mean.reshape(len(spec.times), -1), "mean of f_t(x) in the limit"),
            f"alignment{suffix}": ((), seen, "y . Theta y / (|Theta| |y|^2) of the limit"),
        }
    )


def _rule_name(spec: Spec) -> str:
    """Gradient descent, or gradient flow in its place where that diverges on the limit's kernels."""
    return "gradient_descent" if spec.learning_rate < stable_rate(spec) else "gradient_flow"


def stable_rate(spec: Spec) -> float:
    """2 / lambda_max(Theta/N) of the limit: the smaller of the kernels' that play a part."""
    sources = {name == ONE_RATE for name in spec.parametrizations} | {False}
    points = tuple(map(tuple, training_set(spec)))
    largest = max(float(_ensemble(architecture(spec), *points, source).values[-1]) for source in sources)
    return 2 / largest if largest > 0 else np.inf


@lru_cache(maxsize=8)
def _ensemble(arch: Architecture, gamma: tuple[float, ...], y: tuple[float, ...], one_rate: bool) -> InfiniteEnsemble:
    """The limit from f_0 = 0 under the paper's kernel, or the one that trains at one rate; may refuse `w_std`."""
    from ntk_core.finite.parametrizations import limiting_speeds
    from ntk_core.limit.depth_path import check_growth
    from ntk_core.limit.ensemble import InfiniteEnsemble
    from ntk_core.limit.layer_speeds import kernel_with_speeds

    check_growth(arch, HALF_NORM)
    speeds = limiting_speeds(ONE_RATE if one_rate else "ntk", arch)
    return InfiniteEnsemble(
        arch, data.circle(gamma), y, kernel=lambda X, X2: kernel_with_speeds(arch, speeds, X, X2), prior="zero"
    )


def plan(spec: Spec) -> Plan:
    """Predicted cost of the sweep, with warnings; refuses what does not fit."""
    from ntk_core.experiments import _lazy_sweep

    return _lazy_sweep.plan(spec, stable_rate(spec))


def schema(spec: Spec) -> Schema:
    """Every network and its linearization as functions on the circle, and how far its kernel has come."""
    coords = labelled(
        time=(("time",), spec.times, "training time t = steps x learning rate", "1"),
        parametrization=(("parametrization",), np.array(spec.parametrizations), "how layers are scaled and learn"),
        alpha=(("alpha",), spec.alphas, "output scale", "1"),
        width=(("width",), spec.widths, "neurons in a hidden layer", "1"),
        seed=(("seed",), [spec.seed + k for k in range(spec.seeds)], "seed of the network", "1"),
        gamma=(("gamma",), data.angle_grid(spec.angles), "angle of x", "rad"),
    )
    scale = "alpha (f_t(x) - f_0(x))" if spec.centred else "alpha f_t(x)"
    variables = {
        "f": Variable((*CELLS, "gamma"), f"output {scale}"),
        "linearized": Variable((*CELLS, "gamma"), f"output {scale} of the network linearized at t = 0"),
        "distance": Variable(CELLS, "root mean square over the circle of the output minus the linearized one's"),
        "kernel_change": Variable(CELLS, "|Theta_t - Theta_0| / |Theta_0| on the circle, Frobenius norm"),
        "alignment": Variable(CELLS, "y . Theta_t y / (|Theta_t| |y|^2) on the training points, Frobenius norm"),
        "cost": Variable(CELLS, "cost 1/2 mean (output - f*)^2"),
        "diverged": Variable(CELLS, "whether the network has left the finite numbers", dtype="bool"),
    }
    return Schema(coords, variables, CELLS)


def parts(spec: Spec, plan: Plan, workers: int) -> tuple[Part, ...]:
    """A part for every few networks of one kind and width, the cheapest first; the same for any number of workers."""
    from ntk_core.experiments import _lazy_sweep

    return _lazy_sweep.parts(spec, plan)


def run(spec: Spec, part: Part | None = None) -> Iterator[Increment]:
    """Trains the networks of a part (by default all), and looks at them at every output time."""
    from ntk_core.experiments import _lazy_sweep

    return _lazy_sweep.run(spec, part)
