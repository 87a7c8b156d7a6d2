"""How far the next leap may go, and by which order."""

from __future__ import annotations

import math

LONGEST_GROWTH = 5.0  # a leap is at most this many times longer than the last
SAFETY = 0.8
SLACKENING = 0.5  # a constant falls to no less than this share of itself at a time


class StepSize:
    """Chooses order and length from the measured share of what a leap may do wrong: c1 h, and c2 h^2 by midpoints."""

    def __init__(self, unit: float):
        self.unit = unit
        self.c1: float | None = None
        self.c2: float | None = None
        self.last = 0.0

    def propose(self, remaining: float, caps: dict[int, float], largest: float, order: int | None) -> tuple[int, float]:
        """Order and length of the next leap; the order of fewer passes where it is free."""
        if self.c1 is None:
            first = 1.0 / largest if largest > 0 else remaining
            lengths = {o: min(first, caps[o]) for o in (1, 2)}
        else:
            lengths = {o: min(LONGEST_GROWTH * self.last, self._length(o), caps[o]) for o in (1, 2)}
        if order is None:
            passes = {o: o * math.ceil(remaining / max(length, 1e-9 * remaining)) for o, length in lengths.items()}
            order = 1 if passes[1] <= passes[2] else 2
        return self._fit(order, lengths[order], remaining)

    def reach(self, caps: dict[int, float], order: int | None) -> float:
        """How far a leap could go by all that was learnt so far; infinite where nothing was."""
        if self.c1 is None:
            return math.inf
        return max(min(self._length(o), caps[o]) for o in ((1, 2) if order is None else (order,)))

    def learn(self, order: int, length: float, share: float, first_order: float, exact: bool = False) -> None:
        """Takes in the share of a leap, and that of a first-order leap in its place.

        Where steps were taken instead (`exact`), the share is the one that a first-order leap would have had.
        """
        share, first_order = min(share, 1e6), min(first_order, 1e6)
        if order == 1:
            self.c1 = max(share / length, 1e-300)
            # The second order's constant follows the first's until a midpoint leap has measured it.
            guess = self.c1**2
            self.c2 = guess if self.c2 is None else max(guess, SLACKENING * self.c2)
        else:
            self.c1 = max(first_order / length, 1e-300)
            self.c2 = max(share / length**2, 1e-300)
        # A rejected leap is at least halved, whatever its share says.
        self.last = max(length, self.last / 2) if exact or share <= 1.0 else length / (2 * LONGEST_GROWTH)

    def _length(self, order: int) -> float:
        if order == 1:
            return SAFETY / (self.c1 or 1e-300)
        return SAFETY / math.sqrt(self.c2 or 1e-300)

    def _fit(self, order: int, length: float, remaining: float) -> tuple[int, float]:
        """Splits what remains into equal leaps no longer than `length`; a step is never cut."""
        if not self.unit:
            return order, remaining / math.ceil(remaining / max(length, 1e-9 * remaining) - 1e-9)
        left = round(remaining / self.unit)
        parts = math.ceil(left / max(1, math.floor(length / self.unit + 1e-9)))
        steps = math.ceil(left / parts)
        return (order if steps > 1 else 1), steps * self.unit
