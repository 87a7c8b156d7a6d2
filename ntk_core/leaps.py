"""Training by leaps: many steps at once, as long as the network stays linear in its parameters.

At parameters theta with tangent kernel K = Theta/N, a rule's k steps move them by -J^T e / N, where e is a spectral
filter of K applied to the cost's derivative (`filters`). First order takes J at the start of the leap. The midpoint
method goes half the way first and takes J there, which makes it second order. Other costs than the squared error are
linearized at the start of each leap, by the diagonal H of their second derivative.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ntk_core.filters import GradientFlow, Modes, Momentum, Response, Rule
from ntk_core.network import Direction, Network
from ntk_core.progress import checkpoint
from ntk_core.steps import Divergence
from ntk_core.tangent import Features, tangent_kernel
from ntk_core.training import State

LONGEST_GROWTH = 5.0  # a leap is at most this many times longer than the last
SAFETY = 0.8
# The outputs found after a leap enter the next one, so most of a leap's error is trained away again: measured over
# widths 50 to 2,000 the error that remains is under a tenth of the largest single one.
LOCAL = 10.0
# The kernel has no such feedback: its change comes from the path of the parameters, which a leap replaces by a chord.
# So a leap covers at most this share of the whole path (times the tolerance, or its root at second order).
PATH = {1: 5.0, 2: 1.5}
FLATTEST = 1e-10  # second derivatives below this are lifted to it: the filter's limit there is a plain step
FORGOTTEN = 1e-7  # a velocity decayed to this share no longer moves anything
CREDIT = 0.02  # a leap's error is weighed against its own movement plus this share of all movement so far
MAX_TRIES = 30


@dataclass
class _Move:
    """A leap that has been worked out: where the parameters go, and what the linear part says about f."""

    direction: Direction
    time: float
    predicted: Tensor  # change of f by the linear part, (S, P)
    carried: float  # how much of the velocity goes into the movement
    velocity: list[tuple[float, Direction]]  # afterwards


class Leaper:
    """Trains one ensemble by leaps; `run` is the generator. Arguments as checked by `training.train`."""

    def __init__(
        self, network: Network, X: Tensor, y: Tensor, rule: Rule, cost: Any, tolerance: float, order: int | None
    ):
        self.network, self.X, self.y, self.rule, self.cost = network, X, y, rule, cost
        self.tolerance, self.order = tolerance, order
        self.done = network.forward(X)
        self.start = self.done.outputs
        self.watch = Divergence(self.start, y)
        self.velocity: list[tuple[float, Direction]] = []
        self.leaps, self.error = 0, 0.0
        self.step = _StepSize(min(1.0, LOCAL * tolerance), rule.unit)
        self.path = 0.0  # length of the whole way, as far as the linear parts have seen it
        # Heavy ball moves 1 / (1 - mu) times as fast as plain descent, once under way.
        self.speed = 1 / (1 - rule.momentum) if isinstance(rule, Momentum) else 1.0

    def run(self, goals: list[float]) -> Iterator[State]:
        """Yields a state after every leap and at every goal."""
        t = 0.0
        for index, goal in enumerate(goals):
            while goal - t > 1e-9 * max(goal, 1.0) and not self.watch.all_diverged:
                t += self._leap(goal - t, goals[-1] - t)
                checkpoint()
                if goal - t > 1e-9 * max(goal, 1.0):
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
        here = _Linear(self, Features(self.network, self.done, self.network.backward(self.done)))
        if not self.rule.stable(here.largest):
            # The linear part itself grows: nothing may be skipped, the divergence is shown step by step.
            return self._accept(here.move(self.rule.unit))
        caps = self._caps(here, until_end)
        for _ in range(MAX_TRIES):
            order, length = self.step.propose(remaining, caps, here.largest, self.order)
            halfway = None
            if order == 2:
                move, halfway = self._by_midpoint(here, length)
            else:
                move = here.move(length)
                self.network.shift(*self._parts(move))
            found = self.network.forward(self.X)
            error, share = self._defect(move, found.outputs)
            exact = bool(self.rule.unit) and length <= 1.5 * self.rule.unit  # one step is itself, whatever the cost
            self.step.learn(order, length, share, halfway)
            if share <= self.step.limit or exact or length < 1e-9 * remaining:
                self.error += 0.0 if exact else error
                return self._settle(move, found)
            self.network.shift(*self._parts(move, -1.0))
        raise ArithmeticError(
            f"leaps: no leap near t meets the tolerance {self.tolerance:g}; raise it, or train step by step"
        )

    def _caps(self, here: _Linear, until_end: float) -> dict[int, float]:
        """Longest leap of either order that covers no more than its share of the parameters' path."""
        times = until_end * torch.logspace(-6, 0, 61, dtype=torch.float64, device=here.K.device)
        lengths = here.travel(times)
        self.path = max(self.path, float(lengths[-1]))
        shares = {1: PATH[1] * self.tolerance, 2: PATH[2] * math.sqrt(self.tolerance)}
        return {order: float(times[int((lengths <= share * self.path).sum()) - 1]) for order, share in shares.items()}

    def _accept(self, move: _Move) -> float:
        self.network.shift(*self._parts(move))
        return self._settle(move, self.network.forward(self.X))

    def _settle(self, move: _Move, found: Any) -> float:
        self.done, self.velocity = found, move.velocity
        self.watch.look(found.outputs)
        return move.time

    def _parts(self, move: _Move, sign: float = 1.0) -> list[tuple[float, Direction]]:
        """A move, or its inverse, as terms of `Network.shift`."""
        carried = [(sign * factor * move.carried, d) for factor, d in self.velocity] if move.carried else []
        return [(sign, move.direction), *carried]

    def _by_midpoint(self, here: _Linear, length: float) -> tuple[_Move, tuple[float, float]]:
        """Makes the second-order leap; returns it, and the (length, share of error) that its first half showed."""
        half = here.move(length, "halfway")
        self.network.shift(*self._parts(half))
        middle = self.network.forward(self.X)
        _, share = self._defect(half, middle.outputs)
        features = Features(self.network, middle, self.network.backward(middle))
        move = _Linear(self, features, at=self.done.outputs).move(length)
        # Back to the start and on to the end in one sweep over the weights.
        self.network.shift(*self._parts(half, -1.0), *self._parts(move))
        return move, (length / 2, share)

    def _defect(self, move: _Move, found: Tensor) -> tuple[float, float]:
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


class _Linear:
    """The linear part of training at one set of parameters."""

    def __init__(self, leaper: Leaper, features: Features, at: Tensor | None = None):
        self.leaper, self.features = leaper, features
        outputs = features.done.outputs if at is None else at
        S, self.N, n_out = outputs.shape
        kernel = tangent_kernel(features, features)
        if n_out > 1:
            kernel = kernel.permute(0, 1, 3, 2, 4).reshape(S, self.N * n_out, -1)
        alive = ~leaper.watch.diverged
        self.K = _clean(kernel.double() / self.N, alive)
        self.pushed = self._pushforward(alive)
        f, y = outputs.double().flatten(1), leaper.y.double().flatten(1)
        slope = _clean(leaper.cost.derivative(f, y), alive)
        self.root = leaper.cost.second_derivative(f, y).nan_to_num(1.0).clamp_min(FLATTEST).sqrt()
        limit = {"dense_up_to": self.K.shape[-1]} if self.pushed is not None else {}
        operator = self.root[:, :, None] * self.K * self.root[:, None, :]
        self.modes = Modes((operator + operator.mT) / 2, slope / self.root, **limit)

    @property
    def largest(self) -> float:
        """Largest eigenvalue of the linear dynamics, over the seeds."""
        return self.modes.largest

    def travel(self, times: Tensor) -> Tensor:
        """Length of the parameters' movement by gradient flow over each of the times (T,), worst seed: (T,)."""
        return self.modes.travel(lambda values: GradientFlow().respond(values, times * self.leaper.speed).moved_r)

    def move(self, time: float, moved: str = "moved_r") -> _Move:
        """The rule's movement over `time`, this linear part frozen."""
        leaper, rule = self.leaper, self.leaper.rule
        kept: dict[str, float] = {"carried": 0.0, "kept": 0.0}

        def filtered(name: str) -> Any:
            def values(eigenvalues: Tensor) -> Tensor:
                response: Response = rule.respond(eigenvalues, time)
                kept.update(carried=response.carried, kept=response.kept)
                return getattr(response, name)

            return values

        signal = self.root * self.modes.act(filtered(moved))
        velocity: list[tuple[float, Direction]] = []
        if self.pushed is not None:
            drift = self.root * self.modes.act(filtered("moved_p"), self.root * self.pushed)
            signal = signal + (drift / 2 if moved == "halfway" else drift)
        if isinstance(rule, Momentum):
            final = self.root * self.modes.act(filtered("velocity_r"))
            if self.pushed is not None:
                final = final + self.root * self.modes.act(filtered("velocity_p"), self.root * self.pushed)
            old = [(f * kept["kept"], d) for f, d in leaper.velocity if abs(f * kept["kept"]) > FORGOTTEN]
            velocity = [*old, (1.0, self._direction(final))]
        carried = kept["carried"] * (0.5 if moved == "halfway" else 1.0)
        predicted = -(self.K @ signal[..., None])[..., 0]
        if self.pushed is not None:
            predicted = predicted + carried * self.pushed
        return _Move(self._direction(signal), time, predicted, carried, velocity)

    def _direction(self, signal: Tensor) -> Direction:
        """-J^T signal / N as a direction."""
        network = self.leaper.network
        S = signal.shape[0]
        coefficients = (-signal / self.N).reshape(S, self.N, -1).mT.to(network.dtype)
        return network.direction(self.features.done, self.features.deltas, coefficients)

    def _pushforward(self, alive: Tensor) -> Tensor | None:
        if not self.leaper.velocity:
            return None
        moved = self.leaper.network.pushforward(self.features.done, self.leaper.velocity)
        return _clean(moved.double().flatten(1), alive)


class _StepSize:
    """Chooses order and length from the measured error: c1 h at first order, c2 h^2 at the midpoint's second."""

    def __init__(self, limit: float, unit: float):
        self.limit, self.unit = limit, unit
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

    def learn(self, order: int, length: float, share: float, halfway: tuple[float, float] | None) -> None:
        """Takes in the error of a leap, and of the first half of a midpoint leap."""
        share = min(share, 1e6)
        if order == 1:
            self.c1 = max(share / length, 1e-12)
            # The second order's constant follows the first's until a midpoint leap has measured it.
            self.c2 = max(self.c1**2, 0.1 * self.c2) if self.c2 is not None else self.c1**2
        else:
            self.c2 = max(share / length**2, 1e-24)
        if halfway is not None:
            self.c1 = max(min(halfway[1], 1e6) / halfway[0], 1e-12)
        # A rejected leap is at least halved, whatever its error says.
        self.last = max(length, self.last / 2) if share <= self.limit else length / (2 * LONGEST_GROWTH)

    def _length(self, order: int) -> float:
        if order == 1:
            return SAFETY * self.limit / (self.c1 or 1e-12)
        return SAFETY * math.sqrt(self.limit / (self.c2 or 1e-24))

    def _fit(self, order: int, length: float, remaining: float) -> tuple[int, float]:
        """Splits what remains into equal leaps no longer than `length`; a step is never cut."""
        if not self.unit:
            return order, remaining / math.ceil(remaining / max(length, 1e-9 * remaining) - 1e-9)
        left = round(remaining / self.unit)
        parts = math.ceil(left / max(1, math.floor(length / self.unit + 1e-9)))
        steps = math.ceil(left / parts)
        return (order if steps > 1 else 1), steps * self.unit


def _rms(v: Tensor) -> Tensor:
    return v.square().mean(-1).sqrt()


def _clean(values: Tensor, alive: Tensor) -> Tensor:
    """Values of the seeds still alive; zero for the others, so that they stand still."""
    mask = alive.reshape(-1, *([1] * (values.ndim - 1)))
    return torch.where(mask, values, torch.zeros((), dtype=values.dtype, device=values.device))
