"""Any cost, any direction: convex costs beyond squared error, and directions d_t that are no gradient at all.

Points on the circle. Networks are driven by the gradient of a cost (section 3), by a direction d_t as a formula, or by
each other in a game of two players; while the integral of |d_t| stays bounded the limit is df/dt = -Theta_inf/N d_t
(section 4.2, theorem 2). Another kernel may take the NTK's place in the theory: `kernel`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ntk_core import data
from ntk_core.experiments import _common as common
from ntk_core.experiments import _kernel_choice as choice
from ntk_core.experiments._any_cost_spec import DRAWS, Spec, training_set
from ntk_core.runs.arrays import labelled
from ntk_core.runs.parts import Part, spread
from ntk_core.runs.result import Increment, Schema, Variable
from ntk_core.runs.theory import Theory

if TYPE_CHECKING:
    from ntk_core.experiments._any_cost_drive import Watched
    from ntk_core.runs.lockstep import Update
    from ntk_core.runs.parts import Unit
    from ntk_core.runs.plan import Plan

__all__ = ["Spec", "parts", "plan", "run", "schema", "sketch", "theory", "trained"]


def theory(spec: Spec) -> Theory:
    """The limit's path from f_0 = 0, its percentiles over draws of f_0, the cost's decrease, the integral of |d_t|.

    Raises:
        ValueError: a direction under which the limit grows without bound, is not a finite number, or changes so fast
            that its differential equation cannot be solved.
    """
    from ntk_core.experiments._any_cost_limit import limit_paths

    found = limit_paths(spec)
    points = training_set(spec)
    arrays = labelled(
        gamma=(("gamma",), data.angle_grid(spec.angles), "angle of x", "rad"),
        times=(("times",), spec.times, "training time t", "1"),
        train_gamma=(("point",), points.gamma),
        train_y=(("point",), points.targets[:, 0]),
    )
    return Theory(arrays | found.arrays, {"largest_eigenvalue": found.largest, "draws": DRAWS})


def plan(spec: Spec) -> Plan:
    """Predicted cost of the run, with warnings."""
    from ntk_core.experiments._any_cost_limit import largest_eigenvalue
    from ntk_core.runs.plan import plan_training

    stepwise = spec if spec.has_cost else spec.model_copy(update={"method": "steps"})
    found = plan_training(stepwise, spec.n_train, spec.angles, 2, spec.n_out)
    largest = largest_eigenvalue(spec)
    return common.with_warnings(found, spec, spec.steepness * largest, _spiral(spec, largest))


def schema(spec: Spec) -> Schema:
    """Every network as a function on the circle, how fast its cost falls, and how far its kernel has moved."""
    gamma = (("gamma",), data.angle_grid(spec.angles), "angle of x", "rad")
    named = "log-odds of the first class at x" if spec.classes else "output f_t(x)"
    variables = {
        "f": Variable((*common.NETWORK, "gamma"), named),
        "power": Variable(common.NETWORK, "-dC/dt by the network's own kernel; |d|_K^2 where d is the gradient of C"),
        "size": Variable(common.NETWORK, "|d_t|, root mean square over the training points"),
        "length": Variable(common.NETWORK, "integral of |d_t| over time, by the trapezoid rule over output times"),
        "movement": Variable(common.NETWORK, "|Theta_t - Theta_0| / |Theta_0| on the training points"),
    }
    if spec.drive == "players":
        variables["critic"] = Variable((*common.NETWORK, "gamma"), "the critic's output h_t(x)")
    found = common.schema(spec, labelled(gamma=gamma), **variables)
    cost = Variable(common.NETWORK, f"{spec.cost_name.replace('_', ' ')} cost, mean over the training points")
    return Schema(found.coords, {**found.variables, "cost": cost}, found.cells)


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
    """Trains the networks of a part (by default all), and looks at functions and kernels at every output time."""
    from ntk_core.experiments._any_cost_drive import Watched, cost_of, direction_of
    from ntk_core.runs.lockstep import train_together

    points = training_set(spec)
    X, grid = data.circle(points.gamma), data.circle(data.angle_grid(spec.angles))
    watched: dict[Unit, Watched] = {}
    for update in train_together(
        spec, X, points.targets, points=grid, n_in=2, plan=plan(spec), part=part, n_out=spec.n_out,
        cost=cost_of(spec), direction=direction_of(spec),
    ):  # fmt: skip
        mine = watched.setdefault(update.unit, Watched(spec))
        yield common.increment(update, **_seen(spec, update, X, grid, mine))


def _seen(spec: Spec, update: Update, X: data.Floats, grid: data.Floats, watched: Watched) -> dict[str, Any]:
    """What the networks of an update show."""
    from ntk_core.experiments._any_cost_drive import shown
    from ntk_core.finite.layer_terms import as_matrix

    with update.network.looking():
        f = update.network(grid).double()
        kernel = as_matrix(update.network.tangent_kernel(X), ensemble=True)  # (S, N n_out, N n_out)
    found = watched.look(kernel, update.outputs.double(), update.targets.double(), X, update.time)
    critic = {"critic": f[..., 1]} if spec.drive == "players" else {}
    return found | critic | {"f": shown(spec, f)}


def _spiral(spec: Spec, largest: float) -> str | None:
    """Steps of two players' game go along the tangent of a circle, and leave it where the penalty is too weak."""
    if spec.drive != "players":
        return None
    step = spec.learning_rate * largest
    # d(f, h) = M (f - y, h) with the eigenvalues m of [[0, 1], [-1, penalty]]; a step multiplies by 1 - step m.
    root = complex(spec.penalty**2 / 4 - 1) ** 0.5
    if max(abs(1 - step * (spec.penalty / 2 + sign * root)) for sign in (1, -1)) <= 1:
        return None
    return (
        f"Two players will spiral outwards: at penalty {spec.penalty:g} single steps at the learning rate "
        f"{spec.learning_rate:g} add to their distance from y, which the limit's flow does not. "
        f"Lower the rate, or raise the penalty."
    )
