"""The linear part of training: what a rule does while the tangent kernel stands still."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ntk_core.costs import Cost
from ntk_core.finite.layer_terms import as_matrix
from ntk_core.finite.network import Network, Term
from ntk_core.finite.passes import ParameterDirection
from ntk_core.finite.tangent import Features, tangent_kernel
from ntk_core.products import times_vector
from ntk_core.rules import GradientFlow, Momentum, Response, Rule
from ntk_core.training.curvature import Curvature
from ntk_core.training.misplaced import misplaced
from ntk_core.training.modes import Modes
from ntk_core.training.steps import finite


@dataclass
class Move:
    """A leap of every seed that has been worked out: where the parameters go, and what the linear part says about f."""

    terms: list[Term]
    times: Tensor  # (S,)
    signal: Tensor  # that the parameters follow through J, (S, P)
    predicted: Tensor  # change of f by the linear part, (S, P)
    kept: Tensor  # how much of the old velocity is left, (S,)
    gained: ParameterDirection | None  # what is new in it, if the rule has one


class LinearPart:
    """The linear part of training at one set of parameters, of every seed by itself.

    Args:
        network: what trains.
        features: its tangent features on the N training points, at these parameters.
        y: targets, (S, N, n_out).
        rule: the update rule.
        cost: the cost, linearized here by its second derivative.
        velocity: of the parameters, if the rule has one.
        alive: which seeds still train, (S,).
        outputs: f where the leap starts, if that is not where the features were taken.
        kernel: Theta/N of the features (S, P, P), if it is known.
    """

    def __init__(
        self,
        network: Network,
        features: Features,
        y: Tensor,
        rule: Rule,
        cost: Cost,
        velocity: ParameterDirection | None,
        alive: Tensor,
        outputs: Tensor | None = None,
        kernel: Tensor | None = None,
    ):
        self.network, self.features, self.rule, self.velocity = network, features, rule, velocity
        self._cost = cost
        outputs = features.done.outputs if outputs is None else outputs
        self.N, self._outputs = outputs.shape[1], outputs.double().flatten(1)
        kernel = matrix(features) if kernel is None else kernel
        self.K = clean(kernel, alive & finite(kernel))
        self.pushed = None
        if velocity is not None:
            pushed = network.pushforward(features.done, [(1.0, velocity)])
            self.pushed = clean(pushed.double().flatten(1), alive)
        f, self._y = outputs.double(), y.double()
        self._slope = clean(cost.derivative(f, self._y).flatten(1), alive)
        self.root = Curvature(cost, f, self._y)
        limit = {"dense_up_to": self.K.shape[-1]} if self.pushed is not None else {}
        operator = self.root.around(self.K)
        self._answered: tuple[Tensor, Tensor, Response] | None = None
        self.modes = Modes((operator + operator.mT) / 2, self.root.over(self._slope), **limit)

    @property
    def largest(self) -> Tensor:
        """Largest eigenvalue of the linear dynamics of every seed, (S,)."""
        return self.modes.largest

    def travel(self, times: Tensor) -> Tensor:
        """Length of the parameters' movement by gradient flow over each of the times (S, T): (S, T)."""
        # Heavy ball moves 1 / (1 - mu) times as fast as plain descent, once under way.
        speed = 1 / (1 - self.rule.momentum) if isinstance(self.rule, Momentum) else 1.0
        return self.modes.travel(lambda values: GradientFlow().respond(values, times[:, None] * speed).moved_r)

    def remaining(self, times: Tensor) -> Callable[[Tensor], Tensor]:
        """The function of eigenvalues that says what is left of a residual after the times (S,)."""
        return lambda values: 1.0 - values * self._response(values, times).moved_r

    def bent(self, kernel: Tensor, times: Tensor) -> Tensor:
        """How the change of f over the times (S,) bends to another kernel (S, P, P), to first order: (S, P)."""
        change = self.root.around(kernel - self.K)
        return self.root.over(self.modes.perturbed(change, self.remaining(times)))

    def curved(self, outputs: Tensor, times: Tensor) -> Tensor:
        """How f moves over the times (S,) by what the cost's linearization leaves out until the outputs: (S, P).

        What is left out grows like the square of the time at least; half of its end is more than its mean, a third.
        """
        if self._cost.name == "squared":
            return torch.zeros_like(self._outputs)
        f = outputs.double()
        linear = self._slope + self.root.times(self.root.times(f.flatten(1) - self._outputs))
        rest = self._cost.derivative(f, self._y).flatten(1) - linear
        filtered = self.modes.act(lambda values: self._response(values, times).moved_r, self.root.over(rest))
        return -times_vector(self.K, self.root.times(filtered)) / 2

    def decayed(self, error: Tensor, times: Tensor) -> Tensor:
        """What is left of an error of f (S, P) after the times (S,)."""
        return self.root.over(self.modes.filtered(self.remaining(times), self.root.times(error)))

    def misplaced(self, times: Tensor) -> tuple[Tensor, Tensor]:
        """The share of a change of J over the times (S,) that acts wrongly, by the order of a leap: (S,) each."""
        pushed = torch.zeros_like(self.modes.r) if self.pushed is None else self.root.times(self.pushed)
        return misplaced(self.rule, self.modes.values, self.modes.coordinates, self.modes.in_basis(pushed), times)

    def move(self, times: Tensor, halfway: bool = False) -> Move:
        """The rule's movement over the times (S,), this linear part frozen; or to where such a leap is centred."""
        responses: list[Response] = []

        def filtered(name: str) -> Callable[[Tensor], Tensor]:
            def values(eigenvalues: Tensor) -> Tensor:
                responses.append(self._response(eigenvalues, times))
                return getattr(responses[-1], name)

            return values

        signal = self.root.times(self.modes.act(filtered("halfway" if halfway else "moved_r")))
        if self.pushed is not None:
            drift = self.root.times(self.modes.act(filtered("moved_p"), self.root.times(self.pushed)))
            signal = signal + (drift / 2 if halfway else drift)
        terms: list[Term] = [(1.0, direction(self.network, self.features, signal))]
        predicted = -times_vector(self.K, signal)
        kept, gained = torch.ones_like(times), None
        if isinstance(self.rule, Momentum):
            carried, kept = (torch.as_tensor(v).reshape(-1) for v in (responses[-1].carried, responses[-1].kept))
            if self.velocity is not None and self.pushed is not None:
                carried = carried * (0.5 if halfway else 1.0)
                terms.append((carried, self.velocity))
                predicted = predicted + carried[:, None] * self.pushed
            if not halfway:
                gained = direction(self.network, self.features, self._final(filtered))
        return Move(terms, times, signal, predicted, kept, gained)

    def part_way(self, times: Tensor, whole: Tensor, late: bool) -> Tensor:
        """What this J carries of the signal after the times (S,) of leaps over the whole (S,), as that of their start
        or, if `late`, of their middle: (S, P); not for a rule with a velocity."""

        def carried(values: Tensor) -> Tensor:
            now, end = (self.rule.respond(values, _beside(t, values)) for t in (times, whole))
            centred = end.halfway.abs() > 1e-300
            come = torch.where(centred, now.halfway / torch.where(centred, end.halfway, 1.0), 0.0).clamp(0.0, 1.0)
            return now.moved_r * (come if late else 1.0 - come)

        return self.root.times(self.modes.act(carried))

    def _response(self, values: Tensor, times: Tensor) -> Response:
        """The rule's filters on eigenvalues (S, ...) for the times (S,); others ask again for the last."""
        if self._answered is not None and self._answered[0] is values and self._answered[1] is times:
            return self._answered[2]
        answer = self.rule.respond(values, _beside(times, values))
        if values is self.modes.values:
            self._answered = values, times, answer
        return answer

    def _final(self, filtered: Callable[[str], Callable[[Tensor], Tensor]]) -> Tensor:
        """The signal of what a leap adds to the velocity."""
        final = self.root.times(self.modes.act(filtered("velocity_r")))
        if self.pushed is not None:
            final = final + self.root.times(self.modes.act(filtered("velocity_p"), self.root.times(self.pushed)))
        return final


def direction(network: Network, features: Features, signal: Tensor) -> ParameterDirection:
    """-J^T e / N for a signal e (S, P) at features of N points."""
    S, N = features.done.outputs.shape[:2]
    coefficients = (-signal / N).reshape(S, N, -1).mT.to(network.dtype)
    return network.direction(features.done, features.deltas, coefficients)


def matrix(features: Features) -> Tensor:
    """Theta/N of features at N points as a matrix over points and outputs, (S, P, P), in float64."""
    kernel = tangent_kernel(features, features)
    return as_matrix(kernel, ensemble=True) / kernel.shape[1]


def clean(values: Tensor, alive: Tensor) -> Tensor:
    """Values of the seeds still alive; zero for the others, so that they stand still."""
    mask = alive.reshape(-1, *([1] * (values.ndim - 1)))
    return torch.where(mask, values, torch.zeros((), dtype=values.dtype, device=values.device))


def _beside(times: Tensor, values: Tensor) -> Tensor:
    """One time a seed (S,), to broadcast against eigenvalues (S, ...)."""
    return times.reshape(-1, *([1] * (values.ndim - 1)))
