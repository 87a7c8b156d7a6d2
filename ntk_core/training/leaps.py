"""Training by leaps: many steps at once, as long as the network stays linear in its parameters.

At parameters theta with tangent kernel K = Theta/N, a rule's k steps move them by -J^T e / N, where e is a spectral
filter of K applied to the cost's derivative (`rules`). First order takes J at the start of the leap. The midpoint
method goes half the way first and takes J there, which makes it second order. Other costs than the squared error are
linearized at the start of each leap, by their second derivative H.

The seeds of an ensemble share passes, not fates: each has its own time, chooses its own leaps and takes back its own
mistakes. They wait for each other at the requested times only, which their leaps may go past: see `passing`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ntk_core.progress import checkpoint
from ntk_core.training.crew import Crew
from ntk_core.training.state import State

# Of a crew that still waits: then copying their weights twice costs less than one more leap of all.
WORTH_LEAVING = 0.5


class Leaper:
    """Trains one ensemble by leaps; `run` is the generator. Arguments as of `Crew`."""

    def __init__(self, *args: Any, **options: Any):
        self.crew = Crew(*args, **options)

    def run(self, goals: list[float]) -> Iterator[State]:
        """Yields a state after every round of leaps and at every goal."""
        self.crew.expect(goals)
        for index, goal in enumerate(goals):
            yield from self._reach(goal, goals[-1])
            yield from self._shown(goal, index)

    def _shown(self, goal: float, index: int) -> Iterator[State]:
        """The state at a goal that every seed has reached or passed; the network is there meanwhile."""
        crew, back = self.crew, self.crew.back_to(index)
        stays = torch.zeros(len(crew.time), dtype=torch.bool, device=crew.X.device)
        if back:
            crew.network.try_on(*back)
        try:
            yield crew.state(goal, index)
        except GeneratorExit:
            stays = ~stays  # nobody wants to go on: the network is left where it was last seen
            raise
        finally:
            if back:
                crew.network.keep(stays)

    def _reach(self, goal: float, end: float) -> Iterator[State]:
        """Leaps until every seed has reached the goal; those that have no longer take part."""
        crew, members = self.crew, None
        while bool((waiting := crew.waiting(goal)).any()):
            if int(waiting.sum()) <= WORTH_LEAVING * len(waiting):
                crew, members = self._left(crew, members, waiting)
                waiting = waiting[waiting]
            crew.round(waiting, goal, end)
            checkpoint()
            left = crew.waiting(goal)
            if bool(left.any()):
                yield self._between(crew, members, float(crew.time[left].min()))
        if members is not None:
            self.crew.take_back(members, crew)

    def _left(self, crew: Crew, members: Tensor | None, waiting: Tensor) -> tuple[Crew, Tensor]:
        """The seeds that still wait as a crew of their own, and who they are, (K,)."""
        chosen = waiting.nonzero()[:, 0].to(crew.X.device)
        if members is None:
            return self.crew.part(chosen), chosen
        self.crew.take_back(members, crew)
        return self.crew.part(members[chosen]), members[chosen]

    def _between(self, crew: Crew, members: Tensor | None, time: float) -> State:
        """Where everybody is, while some are still on their way."""
        state = crew.state(time, None)
        return state if members is None else self.crew.state(time, None).merged(members, state)
