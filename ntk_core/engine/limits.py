"""How much is too much: bounds on runs, each refused with a sentence that says what to lower."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ntk_core.runs.plan import Plan


@dataclass(frozen=True)
class Limits:
    """Bounds of an engine.

    Attributes:
        seconds: predicted for a run.
        result_bytes: of a run's result.
        parts: of a run.
        runs: under way at once that one viewer started.
        queue: runs that wait for a worker.
        detached: seconds for which a run goes on that nobody watches.
        stalled: seconds after which a part of which nothing was heard is given up.
    """

    seconds: float = 14_400.0
    result_bytes: int = 256 * 10**6
    parts: int = 5_000
    runs: int = 4
    queue: int = 100
    detached: float = 600.0
    stalled: float = 900.0

    def refuse(self, plan: Plan, result_bytes: int) -> str | None:
        """Why a run must not start, or None: its plan's own reason, or a bound of this engine."""
        if plan.refusal:
            return plan.refusal
        if plan.seconds > self.seconds:
            return (
                f"time: this run would take about {plan.seconds / 60:,.0f} minutes and {self.seconds / 60:,.0f} are "
                f"allowed here; lower the training time, the widths or the number of seeds"
            )
        if result_bytes > self.result_bytes:
            return (
                f"snapshots: the results of this run would take {result_bytes / 1e6:,.0f} MB and "
                f"{self.result_bytes / 1e6:,.0f} MB are allowed here; lower the output times, the seeds or the widths"
            )
        return None
