"""Figure 2 of the paper: networks trained on points of the circle, beside the infinite ensemble's Gaussian.

Another kernel may take the NTK's place in the theory: `kernel`. The networks stay what they are, and beside each stands
kernel gradient descent with its own tangent kernel, of t = 0 and of the time shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from ntk_core import data
from ntk_core.experiments import _common as common
from ntk_core.experiments import _kernel_choice as choice
from ntk_core.experiments import _own_points as own
from ntk_core.runs.arrays import Labelled, labelled
from ntk_core.runs.parts import Part, Unit, spread
from ntk_core.runs.result import Increment, Schema, Variable
from ntk_core.runs.spec import TrainingSpec, Width
from ntk_core.runs.theory import Theory

if TYPE_CHECKING:
    from ntk_core.limit.ensemble import InfiniteEnsemble
    from ntk_core.runs.plan import Plan

MADE = ("paper", "even", "custom")
Points = Annotated[str, AfterValidator(partial(data.check_reference, sets=MADE, field="points"))]
Target = Literal["product", "sine", "cosine_3", "square", "bump"]  # the names of data.TARGETS
Angle = Annotated[float, Field(ge=-2 * math.pi, le=2 * math.pi)]
Value = Annotated[float, Field(ge=-100, le=100)]


class Spec(TrainingSpec):
    """Figure 2 of the paper, at widths that answer in seconds; the paper's own are a preset."""

    experiment: Literal["function_space"] = "function_space"
    widths: tuple[Width, ...] = Field((50, 500), min_length=1, max_length=6)
    time: float = Field(1000.0, ge=0, description="t = steps x learning rate")
    points: Points = Field(
        "paper", description="paper: its four; even; custom: below; own: and a digest: a table put on the circle"
    )
    n_train: int = Field(8, ge=1, le=256, description="how many even points, or rows of a table")
    target: Target = Field("product", description="target at the even points")
    custom: tuple[tuple[Angle, Value], ...] = Field((), max_length=64, description="one's own points (angle, target)")
    output: int = Field(1, ge=1, le=data.MAX_OUTPUTS, description="which of a table's targets, the first is 1")
    angles: int = Field(121, ge=3, le=1001, description="points of the curves, from -pi to pi")
    kernel: choice.KernelName = "ntk"
    length: choice.Length = 1.0
    nu: choice.Nu = 1.5

    @model_validator(mode="after")
    def _check_points(self) -> Spec:
        if self.points == "custom" and not self.custom:
            raise ValueError("custom: no training point is given; add at least one pair of angle and target")
        return self


def training_set(spec: Spec) -> tuple[data.Floats, data.Floats]:
    """Angles (N,) and targets (N,) of the spec."""
    if spec.points == "paper":
        return data.paper_points()
    if spec.points == "even":
        gamma = data.even_angles(spec.n_train)
        return gamma, data.circle_target(spec.target, gamma)
    if own.is_own(spec.points):
        return own.on_circle(spec.points, spec.n_train, spec.output)[:2]
    gamma, y = np.array(spec.custom).T
    return own.on_one_turn(gamma), y


def theory(spec: Spec) -> Theory:
    """Mean and standard deviation of f_t along the circle at every output time and at infinity."""
    train_gamma, train_y = training_set(spec)
    gamma = data.angle_grid(spec.angles)
    ensemble = _driven(spec)
    rule, rule_name = common.theory_rule(spec, float(ensemble.values[-1]))
    ensemble, largest = ensemble.under(rule), float(_ensemble(spec).values[-1])
    view = ensemble.on(data.circle(gamma))
    times = (*spec.times, math.inf)
    mean, std = view.marginals(times)
    posterior = ensemble.ntk_posterior(data.circle(gamma))
    arrays = labelled(
        gamma=(("gamma",), gamma),
        times=(("times",), times),
        mean=(("times", "gamma"), mean.numpy()),
        std=(("times", "gamma"), std.numpy()),
        cost=(("times",), [ensemble.expected_cost(t) for t in times]),
        gp_mean=(("gamma",), posterior.mean.numpy()),
        gp_std=(("gamma",), posterior.std.numpy()),
        train_gamma=(("point",), train_gamma),
        train_y=(("point",), train_y),
    )
    info = {
        "largest_eigenvalue": largest,
        "stable_rate": common.stable_rate(spec, largest),
        "rule": rule_name,
        "inverted": choice.inverted(spec, ensemble),
        "conflict": _conflict(spec),
        "notes": _notes(spec),
    }
    return Theory(arrays | _beside(spec, gamma, times), info)


def _beside(spec: Spec, gamma: data.Floats, times: tuple[float, ...]) -> dict[str, Labelled]:
    """The mean under the NTK, where another kernel drives."""
    if spec.kernel == "ntk":
        return {}
    ensemble = _ensemble(spec)
    rule, _ = common.theory_rule(spec, float(ensemble.values[-1]))
    mean = ensemble.under(rule).on(data.circle(gamma)).means(times).numpy()
    return labelled(ntk_mean=(("times", "gamma"), mean, "mean of f_t in the limit, which the NTK drives"))


def plan(spec: Spec) -> Plan:
    """Predicted cost of the run, with warnings."""
    from ntk_core.runs.plan import plan_training

    n_train = len(training_set(spec)[0])
    largest = float(_ensemble(spec).values[-1])
    return common.with_warnings(plan_training(spec, n_train, spec.angles, 2), spec, largest, _conflict(spec))


def schema(spec: Spec) -> Schema:
    """Every network as a function on the circle, at every output time."""
    gamma = (("gamma",), data.angle_grid(spec.angles), "angle of x", "rad")
    dims = (*common.NETWORK, "gamma")
    still = "f_t(x) by kernel gradient descent from f_0 with the network's own kernel of"
    return common.schema(
        spec,
        labelled(gamma=gamma),
        f=Variable(dims, "output f_t(x)"),
        own_start=Variable(dims, f"{still} t = 0"),
        own_now=Variable(dims, f"{still} time t"),
    )


def trained(spec: Spec) -> Spec:
    """The spec of the same networks beside the NTK: what drives the theory is nothing to them."""
    return choice.without(spec)


def sketch(spec: Spec) -> Spec:
    """The same networks before training."""
    return common.before_training(trained(spec))


def parts(spec: Spec, plan: Plan, workers: int) -> tuple[Part, ...]:
    """The networks spread over the workers."""
    return spread(spec, plan, workers)


def run(spec: Spec, part: Part | None = None) -> Iterator[Increment]:
    """Trains the networks of a part (by default all), and looks at them along the circle at every output time."""
    from ntk_core.experiments._own_kernel import OwnKernels
    from ntk_core.runs.lockstep import rule_of, train_together

    train_gamma, y = training_set(spec)
    points = data.circle(data.angle_grid(spec.angles))
    train_X = data.circle(train_gamma)
    own_kernels: dict[Unit, OwnKernels] = {}
    for update in train_together(spec, train_X, y, points=points, n_in=2, plan=plan(spec), part=part):
        with update.network.looking(once=True):
            if spec.time:
                mine = own_kernels.setdefault(update.unit, OwnKernels(train_X, points, rule_of(spec)))
                seen = mine.look(update)
            else:  # before any training there is nothing to tell apart; asked as above, to the last digit
                f = update.network(np.concatenate([train_X, points]))[:, len(y) :, 0]
                seen = dict.fromkeys(("f", "own_start", "own_now"), f)
        yield common.increment(update, **seen)


def _notes(spec: Spec) -> list[str]:
    """How a table's columns became points of the circle, and under which rule another kernel is drawn."""
    notes = list(own.on_circle(spec.points, spec.n_train, spec.output).notes) if own.is_own(spec.points) else []
    return notes + choice.too_fast(spec, *(float(e.values[-1]) for e in (_driven(spec), _ensemble(spec))))


def _conflict(spec: Spec) -> str | None:
    gamma, y = training_set(spec)
    return data.conflict_sentence(data.circle(gamma), y)


def _ensemble(spec: Spec) -> InfiniteEnsemble:
    return choice.ensembles(spec, *training_set(spec))[0]


def _driven(spec: Spec) -> InfiniteEnsemble:
    """The ensemble that is drawn: from the networks' own f_0, under the kernel of the spec."""
    return choice.ensembles(spec, *training_set(spec))[1]
