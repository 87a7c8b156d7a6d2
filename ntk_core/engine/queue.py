"""Where a run stands in the queue, and when its turn may come."""

from __future__ import annotations

from typing import NamedTuple

from ntk_core.engine.run import Run
from ntk_core.engine.runs import Runs

HARDLY = 0.05  # of a run's work: before that its pace says little


class Place(NamedTuple):
    """How many runs are before this one, and the seconds until it may start as far as that can be told."""

    ahead: int
    seconds: float


class Queue:
    """The order of this process's runs. Runs of other processes on the same cluster are not seen."""

    def __init__(self, runs: Runs):
        self._runs = runs
        self.workers = 1  # that train; set whenever it becomes known

    def place(self, run: Run) -> Place:
        """The place of a run that waits; nobody is before one that runs."""
        if run.state != "queued":
            return Place(0, 0.0)
        before = []
        for other in self._runs.active():
            if other is run:
                break
            if not other.aside:
                before.append(other)
        left = sum(_left(other) for other in before)
        return Place(len(before), left / self.workers)


def _left(run: Run) -> float:
    """Seconds of work that a run still has: at its pace so far, or as predicted where it has hardly begun."""
    pace = run.remaining if run.progress > HARDLY else None
    return run.predicted * (1 - run.progress) if pace is None else pace
