"""Training by leaps: many steps at once, as long as the network stays linear in its parameters.

At parameters theta with tangent kernel K = Theta/N, a rule's k steps move them by -J^T e / N, where e is a spectral
filter of K applied to the cost's derivative (`rules`). First order takes J at the start of the leap. The midpoint
method goes half the way first and takes J there, which makes it second order. Other costs than the squared error are
linearized at the start of each leap, by the diagonal H of their second derivative.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ntk_core.costs import Cost
from ntk_core.finite.network import Network
from ntk_core.finite.passes import Direction, Pass
from ntk_core.progress import checkpoint
from ntk_core.rules import Rule
from ntk_core.training.linear_part import LinearPart, Move
from ntk_core.training.state import State
from ntk_core.training.step_size import StepSize
from ntk_core.training.steps import Divergence

# The outputs found after a leap enter the next one, so most of a leap's error is trained away again: measured over
# widths 50 to 2,000 the error that remains is under a tenth of the largest single one.
LOCAL = 10.0
# The kernel has no such feedback: its change comes from the path of the parameters, which a leap replaces by a chord.
# So a leap covers at most this share of the whole path (times the tolerance, or its root at second order).
PATH = {1: 5.0, 2: 1.5}
CREDIT = 0.02  # a leap's error is weighed against its own movement plus this share of all movement so far
MAX_TRIES = 30


class Leaper:
    """Trains one ensemble by leaps; `run` is the generator. Arguments as checked by `training.train`."""

    def __init__(
        self, network: Network, X: Tensor, y: Tensor, rule: Rule, cost: Cost, tolerance: float, order: int | None
    ):
        self.network, self.X, self.y, self.rule, self.cost = network, X, y, rule, cost
        self.tolerance, self.order = tolerance, order
        self.done = network.forward(X)
        self.start = self.done.outputs
        self.watch = Divergence(self.start, y)
        self.velocity: list[tuple[float, Direction]] = []
        self.leaps, self.error = 0, 0.0
        self.step = StepSize(min(1.0, LOCAL * tolerance), rule.unit)
        self.path = 0.0  # length of the whole way, as far as the linear parts have seen it

    def run(self, goals: list[float]) -> Iterator[State]:
        """Yields a state after every leap and at every goal."""
        t = 0.0
        for index, goal in enumerate(goals):
            while goal - t > 1e-9 * goal and not self.watch.all_diverged:
                t += self._leap(goal - t, goals[-1] - t)
                checkpoint()
                if goal - t > 1e-9 * goal:
                    yield self._state(t, None)
            t = goal
            yield self._state(t, index)

    def _state(self, t: float, output: int | None) -> State:
        steps = round(t / self.rule.unit) if self.rule.unit else 0
        shown = self.watch.shown(self.done.outputs)
        return State(t, output, shown, steps, self.leaps, self.error, self.watch.diverged)

    def _leap(self, remaining: float, until_end: float) -> float:
        """Takes one leap of at most `remaining`; returns its length."""
        self.leaps += 1
        here = self._linear_part(self.done)
        if not self.rule.stable(here.largest):
            # The linear part itself grows: nothing may be skipped, the divergence is shown step by step.
            return self._accept(here.move(self.rule.unit))
        caps, mark = self._caps(here, until_end), self.network.mark()
        for _ in range(MAX_TRIES):
            order, length = self.step.propose(remaining, caps, here.largest, self.order)
            move, halfway = self._by_midpoint(here, length, mark) if order == 2 else (here.move(length), None)
            found = self._tried(move) if move is not None else None
            error, share = self._defect(move, found.outputs) if move and found else (math.inf, math.inf)
            exact = bool(self.rule.unit) and length <= 1.5 * self.rule.unit  # one step is itself, whatever the cost
            self.step.learn(order, length, share, halfway)
            if move and found and (share <= self.step.limit or exact or length < 1e-9 * remaining):
                self.error += 0.0 if exact else error
                return self._settle(move, found)
            self.network.restore(mark)
        raise ArithmeticError(
            f"leaps: no leap near t meets the tolerance {self.tolerance:g}; raise it, or train step by step"
        )

    def _linear_part(self, done: Pass) -> LinearPart:
        """Of a leap that starts at the present outputs, with the kernel where this pass was made."""
        features = self.network.features(self.X, done)
        alive = ~self.watch.diverged
        return LinearPart(self.network, features, self.y, self.rule, self.cost, self.velocity, alive, self.done.outputs)

    def _caps(self, here: LinearPart, until_end: float) -> dict[int, float]:
        """Longest leap of either order that covers no more than its share of the parameters' path."""
        times = until_end * torch.logspace(-6, 0, 61, dtype=torch.float64, device=here.K.device)
        lengths = here.travel(times)
        self.path = max(self.path, float(lengths[-1]))
        shares = {1: PATH[1] * self.tolerance, 2: PATH[2] * math.sqrt(self.tolerance)}
        return {
            order: float(times[max(int((lengths <= share * self.path).sum()) - 1, 0)])
            for order, share in shares.items()
        }

    def _accept(self, move: Move) -> float:
        self.network.shift(*self._parts(move))
        return self._settle(move, self.network.forward(self.X))

    def _settle(self, move: Move, found: Pass) -> float:
        self.network.keep()
        self.done, self.velocity = found, move.velocity
        self.watch.look(found.outputs)
        return move.time

    def _parts(self, move: Move) -> list[tuple[float, Direction]]:
        """A move as terms of `Network.shift`."""
        carried = [(factor * move.carried, d) for factor, d in self.velocity] if move.carried else []
        return [(1.0, move.direction), *carried]

    def _by_midpoint(self, here: LinearPart, length: float, mark: Any) -> tuple[Move | None, tuple[float, float]]:
        """The second-order leap from the mark, and the (length, share of error) that its first half showed.

        There is none where the first half leaves the finite numbers, or reaches a kernel on which the rule diverges.
        """
        half = here.move(length, "halfway")
        middle = self._tried(half)
        share = self._defect(half, middle.outputs)[1] if middle else math.inf
        there = self._linear_part(middle) if middle and math.isfinite(share) else None
        self.network.restore(mark)
        move = there.move(length) if there is not None and self.rule.stable(there.largest) else None
        return move, (length / 2, share)

    def _tried(self, move: Move) -> Pass | None:
        """The outputs after a move, which stays made; None where they are beyond all numbers."""
        self.network.shift(*self._parts(move))
        try:
            found = self.network.forward(self.X)
        except FloatingPointError:  # sampled weights notice before the outputs do
            return None
        return found if bool(torch.isfinite(found.outputs[~self.watch.diverged]).all()) else None

    def _defect(self, move: Move, found: Tensor) -> tuple[float, float]:
        """Error of f by the linear prediction: root mean square, and relative to the movement; worst seed of both."""
        before = self.done.outputs
        change = (found - before).double().flatten(1)
        noise = 30 * torch.finfo(found.dtype).eps * _rms(before.double().flatten(1))
        error = (_rms(change - move.predicted) - noise).clamp_min(0.0)
        movement = _rms(move.predicted) + CREDIT * _rms((found - self.start).double().flatten(1)) + noise
        share = error / movement
        if self.cost.name != "squared":
            share = torch.maximum(share, self._curvature(found))
        active = ~self.watch.diverged & torch.isfinite(share)
        grown = ~self.watch.diverged & ~torch.isfinite(share)
        if bool(grown.any()):
            return math.inf, math.inf
        if not bool(active.any()):
            return 0.0, 0.0
        return float(error[active].max()), float(share[active].max())

    def _curvature(self, found: Tensor) -> Tensor:
        """How far the cost's derivative ran from its linearization, relative to its own change."""
        before = self.done.outputs.double().flatten(1)
        y, after = self.y.double().flatten(1), found.double().flatten(1)
        old, new = self.cost.derivative(before, y), self.cost.derivative(after, y)
        linear = old + self.cost.second_derivative(before, y) * (after - before)
        return _rms(new - linear) / (_rms(new - old) + CREDIT * _rms(old)).clamp_min(1e-300)


def _rms(v: Tensor) -> Tensor:
    return v.square().mean(-1).sqrt()
