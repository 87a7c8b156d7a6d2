"""How far seeds that leap together go next: each at its own pace, learnt from what its last leaps did wrong."""

from __future__ import annotations

import math
from typing import NamedTuple, Self

import torch
from torch import Tensor

from ntk_core.finite.per_seed import PerSeed
from ntk_core.rules import GradientDescent, Rule
from ntk_core.training.errors import Verdict
from ntk_core.training.linear_part import LinearPart
from ntk_core.training.step_size import StepSize

# A leap replaces the path of the parameters by a chord: it covers at most this share of the whole path, times the
# tolerance, or its root at second order.
PATH = {1: 5.0, 2: 1.5}
MAX_TRIES = 60  # leaps in a row that meet no tolerance
STRETCH = 4.0  # a walk is as long as so many leaps are worth: the look around after it costs about half a leap


class Course(NamedTuple):
    """Where seeds are and where they may go: times, (S,) or of all."""

    time: Tensor  # (S,)
    goal: float  # that they may leap to
    stops: Tensor  # (S,), the next output times, which steps cannot go past
    end: float  # of the training


class Turn(NamedTuple):
    """What every seed is about to do, (S,) each; a seed that waits leaps by nothing."""

    orders: Tensor
    times: Tensor  # of leaps, and of whole walks
    steps: Tensor  # that are taken now, one after the other, of a walk; 0 for leaps
    arriving: Tensor  # a leap, or the end of a walk, which pauses at output times
    exact: Tensor  # walks, and leaps of a single step, which are that step
    steady: Tensor  # the rule is stable where the seed is


class Pace(PerSeed):
    """The step sizes of seeds, and how they are learnt.

    Where leaps would be shorter than the steps that could be taken meanwhile, seeds walk: they take the steps. A walk
    is as long whether or not it pauses at output times on its way.

    Args:
        seeds: their number S.
        rule: the update rule.
        tolerance, order: as of `training.train`.
        worth: the plain steps that take as long as a leap; 0 where none can be taken.
    """

    def __init__(self, seeds: int, rule: Rule, tolerance: float, order: int | None, worth: float):
        self.rule, self.tolerance, self.order = rule, tolerance, order
        # A heavy ball's velocity is one of leaps; it does not take steps in between.
        self.worth = worth if isinstance(rule, GradientDescent) else 0.0
        self.path = torch.zeros(seeds, dtype=torch.float64)  # length of the whole way, as far as linear parts saw it
        self.tries = torch.zeros(seeds, dtype=torch.long)  # leaps in a row that met no tolerance
        self.walk, self.walked = (torch.zeros(seeds, dtype=torch.long) for _ in range(2))  # steps, and those taken
        self.sizes = tuple(StepSize(rule.unit) for _ in range(seeds))

    def part(self, index: Tensor) -> Self:
        """Some seeds (K,) by themselves."""
        pace = super().part(index)
        pace.sizes = tuple(self.sizes[k] for k in index.tolist())
        return pace

    def merged(self, index: Tensor, part: Self) -> Self:
        """With the seeds (K,) as a part has them; what it learnt stays."""
        pace, sizes = super().merged(index, part), list(self.sizes)
        for place, size in zip(index.tolist(), part.sizes, strict=True):
            sizes[place] = size
        pace.sizes = tuple(sizes)
        return pace

    def forget(self) -> None:
        """Starts again: what leaps did wrong was not their fault, and shall not make the next ones short."""
        self.sizes = tuple(StepSize(self.rule.unit) for _ in self.sizes)
        self.tries = torch.zeros_like(self.tries)

    @property
    def paused(self) -> Tensor:
        """Which seeds are in the midst of a walk, (S,)."""
        return self.walked > 0

    def plan(self, here: LinearPart, waiting: Tensor, course: Course) -> Turn:
        """What the waiting seeds (S,) do next from the linear parts `here`: in a walk, those of its start."""
        none, unit = torch.zeros_like(self.tries), self.rule.unit
        times, still = torch.zeros_like(course.time), torch.zeros_like(waiting)
        turn = Turn(torch.ones_like(none), times, none, waiting.clone(), still, ~still)
        caps = self.caps(here, waiting & ~self.paused, course)
        largest = here.largest.tolist()
        for s in waiting.nonzero()[:, 0].tolist():
            steady = bool(self.rule.stable(largest[s]))
            turn.steady[s] = steady
            if not self.walk[s]:
                caps_of = {order: float(cap[s]) for order, cap in caps.items()}
                turn.orders[s], turn.times[s] = self._leap(s, steady, caps_of, largest[s], course)
            if self.walk[s]:
                left = round(float(course.stops[s] - course.time[s]) / unit)
                turn.steps[s] = min(int(self.walk[s] - self.walked[s]), left)
                turn.orders[s], turn.times[s] = 1, float(self.walk[s]) * unit
                turn.arriving[s] = self.walked[s] + turn.steps[s] == self.walk[s]
            turn.exact[s] = bool(self.walk[s]) or (bool(unit) and turn.times[s] <= 1.5 * unit)
        return Turn(*(part.to(here.K.device) for part in turn))

    def _leap(self, s: int, steady: bool, caps: dict[int, float], largest: float, course: Course) -> tuple[int, float]:
        """Order and time of a seed's next leap; it begins a walk where that would be too short."""
        time, unit = float(course.time[s]), self.rule.unit
        if steady:
            order, length = self.sizes[s].propose(course.goal - time, caps, largest, self.order)
            short = self.sizes[s].reach(caps, self.order) < self.worth * unit
        else:
            # The linear part itself grows: nothing may be skipped, the divergence is shown step by step.
            order, length, short = 1, unit, self.worth > 0
        if short:
            self.walk[s] = min(math.ceil(STRETCH * self.worth), round((course.end - time) / unit))
        return order, length

    def stepped(self, turn: Turn) -> None:
        """The walks have gone on, some to their ends."""
        self.walked = self.walked + turn.steps.cpu()
        ended = self.walked == self.walk
        self.walk, self.walked = (torch.where(ended, 0, count) for count in (self.walk, self.walked))

    def caps(self, here: LinearPart, waiting: Tensor, course: Course) -> dict[int, Tensor]:
        """Longest leap of either order that covers no more than its share of the parameters' path, (S,) each."""
        until_end = (course.end - course.time).clamp_min(0.0).to(here.K.device)
        times = until_end[:, None] * torch.logspace(-6, 0, 61, dtype=torch.float64, device=until_end.device)
        lengths = here.travel(times)
        self.path = torch.where(waiting, torch.maximum(self.path, lengths[:, -1].cpu()), self.path)
        caps = {}
        for order, share in {1: PATH[1] * self.tolerance, 2: PATH[2] * self.tolerance**0.5}.items():
            within = (lengths <= share * self.path.to(lengths.device)[:, None]).sum(-1)
            caps[order] = times.gather(1, (within - 1).clamp_min(0)[:, None])[:, 0].cpu()
        return caps

    def progress(self, here: LinearPart, times: Tensor) -> Tensor:
        """The share of the parameters' whole path that leaps over the times (S,) cover, (S,)."""
        return here.travel(times[:, None])[:, 0] / self.path.to(times.device).clamp_min(1e-300)

    def learn(self, turn: Turn, verdict: Verdict, course: Course) -> Tensor:
        """Which of those that arrive stay where they were led, (S,); all learn from it how far the next leap may go.

        Raises:
            ArithmeticError: no leap of one of them, however short, meets the tolerance.
        """
        shares, firsts = verdict.share.tolist(), verdict.first_order.tolist()
        accepted = torch.zeros_like(turn.arriving)
        for s in turn.arriving.nonzero()[:, 0].tolist():
            order, time, share, exact = int(turn.orders[s]), float(turn.times[s]), shares[s], bool(turn.exact[s])
            if exact:  # no leap need be shorter than one step
                share = min(share, max(1.0, round(time / self.rule.unit)))
            self.sizes[s].learn(order, time, share, firsts[s], exact)
            met = exact or share <= 1.0
            accepted[s] = met or time < 2e-9 * (course.goal - float(course.time[s]))  # such a moment may be of a jump
            self.tries[s] = 0 if met else self.tries[s] + 1
        if int(self.tries.max()) >= MAX_TRIES:
            raise ArithmeticError(
                f"leaps: no leap near t = {float(course.time[self.tries.argmax()]):.3g} meets the tolerance "
                f"{self.tolerance:g}; raise it, or train step by step"
            )
        return accepted
