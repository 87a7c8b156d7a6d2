"""Seeds that leap together: what each of them is doing, and one round of leaps of all."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Self

import torch
from torch import Tensor

from ntk_core.costs import Cost
from ntk_core.finite.network import Network, Term
from ntk_core.finite.passes import ParameterDirection
from ntk_core.finite.per_seed import PerSeed
from ntk_core.finite.tangent import Features
from ntk_core.rules import Momentum, Rule
from ntk_core.training.errors import Errors, Leap
from ntk_core.training.linear_part import LinearPart, Move, matrix
from ntk_core.training.pace import Course, Pace, Turn
from ntk_core.training.passing import MOST_BYTES, Passing
from ntk_core.training.resolution import closest
from ntk_core.training.state import State
from ntk_core.training.steps import Divergence, finite, walk
from ntk_core.training.velocity import accumulated
from ntk_core.training.worth import leap_in_steps

NOISY_TRIES, CLOSER = 3, 0.125  # after so many sampled weights are looked at more closely, by so much


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
        self.features = network.features(X) if features is None else features
        self.kernel = matrix(self.features)
        self.velocity: ParameterDirection | None = None
        outputs = self.features.done.outputs
        S = outputs.shape[0]
        self.watch = Divergence(outputs, y)
        self.watch.look(outputs, self.kernel)
        self.pace = Pace(S, rule, tolerance, order, worth(network, X))
        self.time = torch.zeros(S, dtype=torch.float64)
        self.leaps, self.rejected, self.walked = (torch.zeros(S, dtype=torch.long) for _ in range(3))
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
        found, errors = self.features.done.outputs, self.errors
        if output is not None and self.network.on_trial:
            with self.network.looking():  # where a network is seen shall not change where it goes
                found = self.network.forward(self.X).outputs
        if output is not None and bool(self.pace.paused.any()):
            found, errors = self._midway(found)
        return State(
            time=t,
            output=output,
            outputs=self.watch.shown(found),
            steps=round(t / self.rule.unit) if self.rule.unit else 0,
            leaps=self.leaps.clone(),
            rejected=self.rejected.clone(),
            walked=self.walked.clone(),
            error=errors.function.cpu(),
            kernel_error=errors.kernel.cpu(),
            diverged=self.watch.diverged,
        )

    def _midway(self, found: Tensor) -> tuple[Tensor, Errors]:
        """Outputs, and errors as they are where some seeds pause in their walks."""
        paused = self.pace.paused.to(found.device)
        features = self.network.features(self.X)
        times = torch.where(paused, self.pace.walked.to(found.device).double() * self.rule.unit, 0.0)
        first = torch.ones_like(times)
        steady = torch.tensor([bool(self.rule.stable(v)) for v in self.here.largest.tolist()])
        leap = Leap(self.here, None, self.here.move(times), features, matrix(features), first)
        errors = self.errors.copy()
        verdict = errors.judge(leap, self.pace.progress(self.here, times))
        errors.add(leap, verdict, paused, exact=paused, steady=steady.to(found.device))
        return torch.where(paused[:, None, None], features.done.outputs, found), errors

    def _linear_part(
        self,
        features: Features,
        velocity: ParameterDirection | None,
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
        """A leap towards the goal or past it, accepted or not, or a walk towards it, of every waiting seed (S,)."""
        course = Course(self.time, goal if self.passing is None else end, self._stops(goal), end)
        turn = self.pace.plan(self.here, waiting, course)
        self._walk(turn.steps)
        self.time = self.time + turn.steps.cpu().double() * self.rule.unit
        self.walked = self.walked + turn.steps.cpu()
        if bool(turn.arriving.any()):
            self._arrive(turn, course)
        self.pace.stepped(turn)
        if self.network.tolerance and int(self.pace.tries.max()) >= NOISY_TRIES:
            self._look_closer(end)

    def _stops(self, goal: float) -> Tensor:
        """The next output time of every seed, (S,)."""
        goals = torch.tensor([*self.goals, goal], dtype=torch.float64)
        ahead = goals - self.time[:, None] > 1e-9 * goals
        return torch.where(ahead, goals, torch.inf).min(1).values

    def _walk(self, steps: Tensor) -> None:
        """Takes as many plain steps as each seed is told (S,): in a copy of their weights where others take none."""
        index = steps.nonzero()[:, 0]
        if len(index) == len(steps):
            walk(self.network, self.X, self.y, self.rule.unit, self.cost, steps, self.watch)
        elif len(index):
            network, watch = self.network.part(index), self.watch.part(index)
            walk(network, self.X[index], self.y[index], self.rule.unit, self.cost, steps[index], watch)
            self.network.put(index, network)
            self.watch = self.watch.merged(index, watch)

    def _arrive(self, turn: Turn, course: Course) -> None:
        """The leaps, and the ends of walks: looks where they led, and who stays there."""
        leaping = turn.arriving & (turn.steps == 0)
        move, middle = self._worked_out(turn)
        if bool(leaping.any()):  # who has walked stays where it is
            terms = [(factor, direction.where(turn.steps == 0)) for factor, direction in move.terms]
            self.network.try_on(*terms)
        features = self.network.features(self.X)
        leap = Leap(self.here, middle, move, features, matrix(features), turn.orders)
        verdict = self.errors.judge(leap, self.pace.progress(self.here, turn.times))
        accepted = self.pace.learn(turn, verdict, course).to(leaping.device)
        leapt = accepted & leaping
        self.network.keep(leapt)
        before, self.time = self.time, self.time + torch.where(leapt, turn.times, 0.0).cpu()
        self.leaps, self.rejected = self.leaps + (leapt & ~turn.exact).cpu(), self.rejected + (leaping & ~leapt).cpu()
        self.walked = self.walked + (leapt & turn.exact).cpu()  # a leap of one step is that step
        if bool(accepted.any()):
            self._pass(before, middle, move)
            self.errors.add(leap, verdict, accepted, turn.exact, turn.steady)
            self._stay(features, leap.kernel, move, accepted)

    def _look_closer(self, end: float) -> None:
        """Sharpens sampled weights that may be why leaps fail, and starts again where the seeds are.

        What was no leap's fault must not make the next ones short.
        """
        left = (end - self.time).clamp_min(0.0).to(self.here.K.device)
        least = closest(self.here, left, self.errors.moved, self.pace.tolerance)
        if not self.network.sharpen(max(CLOSER * self.network.tolerance, least)):
            return
        self.features = self.network.features(self.X)
        self.kernel = matrix(self.features)
        self.pace.forget()
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

    def _stay(self, features: Features, kernel: Tensor, move: Move, accepted: Tensor) -> None:
        """The accepted seeds are where they were led."""
        if move.gained is not None:
            kept = torch.where(accepted, move.kept, 1.0)
            self.velocity = accumulated(self.velocity, kept, move.gained.where(accepted))
        everyone = bool(accepted.all())
        self.features = features if everyone else features.where(accepted, self.features)
        self.kernel = kernel if everyone else torch.where(accepted[:, None, None], kernel, self.kernel)
        self.watch.look(self.features.done.outputs, self.kernel)
        self._here = None

    def _worked_out(self, turn: Turn) -> tuple[Move, LinearPart | None]:
        """The move that is planned, and the linear part at the middle of second-order leaps if there are any.

        A first-order leap has its middle at its start. Where the middle is beyond all numbers, so is the move.
        """
        midway = torch.where(turn.orders == 2, turn.times, 0.0)
        if not bool(midway.any()):
            return self.here.move(turn.times), None
        self.network.try_on(*self.here.move(midway, halfway=True).terms)
        features = self.network.features(self.X)
        second, outputs = turn.orders == 2, self.here.features.done.outputs
        if bool(((turn.times > 0) & ~second).any()):
            features = features.where(second, self.here.features)
        middle = self._linear_part(features, self.here.velocity, self._alive & finite(features.done.outputs), outputs)
        return middle.move(turn.times), middle


def worth(network: Network, X: Tensor) -> float:
    """How many plain steps take as long as a leap; 0 for sampled weights, which steps make dear."""
    if network.tolerance:
        return 0.0
    weights, N = sum(n * m for n, m in pairwise(network.arch.widths)), X.shape[1]
    return leap_in_steps(network.arch.depth, 2.0 * N * weights, network.dtype.itemsize, N * network.arch.n_out, weights)
