"""Seeds that leap together: what each of them is doing, and one round of leaps of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor

from ntk_core.costs import Cost
from ntk_core.finite.network import Network, Term
from ntk_core.finite.passes import Direction
from ntk_core.finite.per_seed import PerSeed
from ntk_core.finite.tangent import Features
from ntk_core.rules import Momentum, Rule
from ntk_core.training.errors import Errors, Leap, Verdict, finite
from ntk_core.training.linear_part import LinearPart, Move, matrix
from ntk_core.training.passing import MOST_BYTES, Passing
from ntk_core.training.resolution import closest
from ntk_core.training.state import State
from ntk_core.training.step_size import StepSize
from ntk_core.training.steps import Divergence
from ntk_core.training.velocity import accumulated

# A leap replaces the path of the parameters by a chord: it covers at most this share of the whole path, times the
# tolerance, or its root at second order.
PATH = {1: 5.0, 2: 1.5}
MAX_TRIES = 60  # leaps in a row that meet no tolerance
NOISY_TRIES, CLOSER = 3, 0.125  # after so many sampled weights are looked at more closely, by so much


class _Plan(NamedTuple):
    """What every seed is about to do, (S,) each; a seed that waits leaps by nothing."""

    orders: Tensor
    times: Tensor
    exact: Tensor  # single steps, which are themselves
    steady: Tensor  # the rule is stable where the seed is


class Crew(PerSeed):
    """The seeds of an ensemble, or some of them, with all that is each one's own: weights, time, pace, errors.

    Args:
        network: what trains, in place.
        X: inputs (S, N, n_in).
        y: targets (S, N, n_out).
        rule: the update rule.
        cost: the cost.
        tolerance, kernel_tolerance, order: as of `training.train`.
        features: those of the network at X, if they are known.
    """

    def __init__(
        self,
        network: Network,
        X: Tensor,
        y: Tensor,
        rule: Rule,
        cost: Cost,
        tolerance: float,
        kernel_tolerance: float,
        order: int | None,
        features: Features | None = None,
    ):
        self.network, self.X, self.y, self.rule, self.cost = network, X, y, rule, cost
        self.tolerance, self.order = tolerance, order
        self.features = network.features(X) if features is None else features
        self.kernel = matrix(self.features)
        self.velocity: Direction | None = None
        outputs = self.features.done.outputs
        S = outputs.shape[0]
        self.watch = Divergence(outputs, y)
        self.sizes = tuple(StepSize(rule.unit) for _ in range(S))
        self.time = torch.zeros(S, dtype=torch.float64)
        self.path = torch.zeros(S, dtype=torch.float64)  # length of the whole way, as far as the linear parts saw it
        self.leaps, self.rejected, self.tries = (torch.zeros(S, dtype=torch.long) for _ in range(3))
        lasting = 1 / (1 - rule.momentum) if isinstance(rule, Momentum) else 1.0
        smooth = network.arch.sigma.smooth
        self.errors = Errors(outputs, self.kernel, smooth, tolerance, kernel_tolerance, lasting)
        self._here: LinearPart | None = None
        self.goals: tuple[float, ...] = ()
        self.passing: Passing | None = None

    def expect(self, goals: Sequence[float]) -> None:
        """Output times, increasing, that leaps may go past. A heavy ball's cannot: its velocity is of one time."""
        self.goals = tuple(float(t) for t in goals)
        if not isinstance(self.rule, Momentum) and 16 * self.y.numel() * len(goals) <= MOST_BYTES:
            self.passing = Passing.nothing(self.features, len(goals))

    def part(self, index: Tensor) -> Self:
        """Some seeds (K,) as a crew of their own."""
        crew = super().part(index)
        crew.network, crew._here = self.network.part(index), None
        crew.sizes = tuple(self.sizes[k] for k in index.tolist())  # shared: what a part learns stays
        return crew

    def take_back(self, index: Tensor, crew: Self) -> None:
        """The seeds (K,) of a part are where it has brought them."""
        vars(self).update(vars(self.merged(index, crew)))
        self.network.put(index, crew.network)
        self._here = None

    @property
    def here(self) -> LinearPart:
        """The linear part where the seeds are, worked out when a leap first asks for it."""
        if self._here is None:
            self._here = self._linear_part(self.features, self.velocity, self._alive, kernel=self.kernel)
        return self._here

    def waiting(self, goal: float) -> Tensor:
        """Which seeds have not reached the goal, (S,)."""
        return (goal - self.time > 1e-9 * goal) & self._alive.cpu()

    def state(self, t: float, output: int | None) -> State:
        """What there is to say at the time t; an output time may lie before the ends of the last leaps."""
        found = self.features.done.outputs
        if output is not None and self.network.on_trial:
            with self.network.looking():  # where a network is seen shall not change where it goes
                found = self.network.forward(self.X).outputs
        return State(
            time=t,
            output=output,
            outputs=self.watch.shown(found),
            steps=round(t / self.rule.unit) if self.rule.unit else 0,
            leaps=self.leaps.clone(),
            rejected=self.rejected.clone(),
            error=self.errors.function.cpu(),
            kernel_error=self.errors.kernel.cpu(),
            diverged=self.watch.diverged,
        )

    def _linear_part(
        self,
        features: Features,
        velocity: Direction | None,
        alive: Tensor,
        outputs: Tensor | None = None,
        kernel: Tensor | None = None,
    ) -> LinearPart:
        return LinearPart(self.network, features, self.y, self.rule, self.cost, velocity, alive, outputs, kernel)

    @property
    def _alive(self) -> Tensor:
        return ~self.watch.diverged

    def back_to(self, output: int) -> list[Term]:
        """What brings the seeds, none of which waits for it any more, to an output time; none where all are there."""
        return [] if self.passing is None else self.passing.terms(self.network, output)

    def round(self, waiting: Tensor, goal: float, end: float) -> None:
        """One leap towards the goal or past it, accepted or not, of every waiting seed (S,)."""
        goal = goal if self.passing is None else end
        plan = self._plan(waiting, goal, end)
        move, middle = self._worked_out(plan)
        self.network.try_on(*move.terms)
        features = self.network.features(self.X)
        leap = Leap(self.here, middle, move, features, matrix(features), plan.orders)
        verdict = self.errors.judge(leap, self._progress(plan.times))
        before = self.time
        accepted = self._accepted(waiting, plan, verdict, goal)
        self.network.keep(accepted)
        if bool(accepted.any()):
            self._pass(before, middle, move)
            self.errors.add(leap, verdict, accepted, plan.exact, plan.steady)
            self._arrive(features, leap.kernel, move, accepted)
        if self.network.tolerance and int(self.tries.max()) >= NOISY_TRIES:
            self._look_closer(end)

    def _look_closer(self, end: float) -> None:
        """Sharpens sampled weights that may be why leaps fail, and starts again where the seeds are.

        What was no leap's fault must not make the next ones short.
        """
        left = (end - self.time).clamp_min(0.0).to(self.here.K.device)
        least = closest(self.here, left, self.errors.moved, self.tolerance)
        if not self.network.sharpen(max(CLOSER * self.network.tolerance, least)):
            return
        self.features = self.network.features(self.X)
        self.kernel = matrix(self.features)
        self.sizes = tuple(StepSize(self.rule.unit) for _ in self.sizes)
        self.tries = torch.zeros_like(self.tries)
        self._here = None

    def _pass(self, before: Tensor, middle: LinearPart | None, move: Move) -> None:
        """Keeps what tells where the seeds were at the output times between `before` and now."""
        if self.passing is None:
            return
        goals = torch.tensor(self.goals, dtype=torch.float64)
        after, since = self.time[:, None] - goals, goals - before[:, None]
        inside = ((since > 1e-9 * goals) & (after > 1e-9 * goals)).to(move.times.device)
        if bool(inside.any()):
            self.passing = self.passing.passed(self.here, middle, move, since.to(inside.device), inside)

    def _arrive(self, features: Features, kernel: Tensor, move: Move, accepted: Tensor) -> None:
        """The accepted seeds are where their leap led."""
        if move.gained is not None:
            kept = torch.where(accepted, move.kept, 1.0)
            self.velocity = accumulated(self.velocity, kept, move.gained.where(accepted))
        everyone = bool(accepted.all())
        self.features = features if everyone else features.where(accepted, self.features)
        self.kernel = kernel if everyone else torch.where(accepted[:, None, None], kernel, self.kernel)
        self.watch.look(self.features.done.outputs)
        self._here = None

    def _plan(self, waiting: Tensor, goal: float, end: float) -> _Plan:
        zeros = torch.zeros_like(waiting)
        plan = _Plan(torch.ones_like(self.leaps), torch.zeros_like(self.time), zeros, ~zeros)
        caps = self._caps(waiting, end)
        largest = self.here.largest.tolist()
        for s in waiting.nonzero()[:, 0].tolist():
            if self.rule.stable(largest[s]):
                remaining = goal - float(self.time[s])
                caps_of = {order: float(cap[s]) for order, cap in caps.items()}
                order, time = self.sizes[s].propose(remaining, caps_of, largest[s], self.order)
            else:
                # The linear part itself grows: nothing may be skipped, the divergence is shown step by step.
                order, time = 1, self.rule.unit
                plan.steady[s] = False
            plan.orders[s], plan.times[s] = order, time
            plan.exact[s] = bool(self.rule.unit) and time <= 1.5 * self.rule.unit
        device = self.here.K.device
        return _Plan(*(part.to(device) for part in plan))

    def _caps(self, waiting: Tensor, end: float) -> dict[int, Tensor]:
        """Longest leap of either order that covers no more than its share of the parameters' path, (S,) each."""
        until_end = (end - self.time).clamp_min(0.0).to(self.here.K.device)
        times = until_end[:, None] * torch.logspace(-6, 0, 61, dtype=torch.float64, device=until_end.device)
        lengths = self.here.travel(times)
        self.path = torch.where(waiting, torch.maximum(self.path, lengths[:, -1].cpu()), self.path)
        caps = {}
        for order, share in {1: PATH[1] * self.tolerance, 2: PATH[2] * self.tolerance**0.5}.items():
            within = (lengths <= share * self.path.to(lengths.device)[:, None]).sum(-1)
            caps[order] = times.gather(1, (within - 1).clamp_min(0)[:, None])[:, 0].cpu()
        return caps

    def _progress(self, times: Tensor) -> Tensor:
        """The share of the parameters' whole path that leaps over the times (S,) cover, (S,)."""
        return self.here.travel(times[:, None])[:, 0] / self.path.to(times.device).clamp_min(1e-300)

    def _worked_out(self, plan: _Plan) -> tuple[Move, LinearPart | None]:
        """The move that is planned, and the linear part at the middle of second-order leaps if there are any.

        A first-order leap has its middle at its start. Where the middle is beyond all numbers, so is the move.
        """
        midway = torch.where(plan.orders == 2, plan.times, 0.0)
        if not bool(midway.any()):
            return self.here.move(plan.times), None
        self.network.try_on(*self.here.move(midway, halfway=True).terms)
        features = self.network.features(self.X)
        second, outputs = plan.orders == 2, self.here.features.done.outputs
        if bool(((plan.times > 0) & ~second).any()):
            features = features.where(second, self.here.features)
        middle = self._linear_part(features, self.here.velocity, self._alive & finite(features.done.outputs), outputs)
        return middle.move(plan.times), middle

    def _accepted(self, waiting: Tensor, plan: _Plan, verdict: Verdict, goal: float) -> Tensor:
        """Which seeds stay where their leap led, (S,); all learn from it how far the next may go."""
        shares, firsts = verdict.share.tolist(), verdict.first_order.tolist()
        accepted = torch.zeros_like(waiting)
        for s in waiting.nonzero()[:, 0].tolist():
            order, time, share = int(plan.orders[s]), float(plan.times[s]), shares[s]
            self.sizes[s].learn(order, time, min(share, 1.0) if plan.exact[s] else share, firsts[s])
            met = bool(plan.exact[s]) or share <= 1.0
            accepted[s] = met or time < 2e-9 * (goal - float(self.time[s]))  # such a moment may be one of a jump
            self.tries[s] = 0 if met else self.tries[s] + 1
        if int(self.tries.max()) >= MAX_TRIES:
            raise ArithmeticError(
                f"leaps: no leap near t = {float(self.time[self.tries.argmax()]):.3g} meets the tolerance "
                f"{self.tolerance:g}; raise it, or train step by step"
            )
        self.time = self.time + torch.where(accepted, plan.times.cpu(), 0.0)
        self.leaps += accepted
        self.rejected += waiting & ~accepted
        return accepted.to(plan.times.device)
