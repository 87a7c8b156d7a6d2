"""Training: gradient descent step by step, and by leaps. Both are generators of states, and move the network in place.

A leap is an exponential integrator. A wide network is nearly linear in its parameters, so the linear part is taken
exactly for many steps at once (a spectral filter of the tangent kernel, one backward pass), and only the nonlinearity
is taken in finite steps. The outputs that the linear part predicts, against the outputs found, are a free estimate of
the error, which sets the next leap.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from ntk_core import costs
from ntk_core.device import as_tensor
from ntk_core.finite.network import Network
from ntk_core.finite.tangent import Features
from ntk_core.rules import GradientDescent, GradientFlow, Rule, check_whole_steps
from ntk_core.training.leaps import Leaper
from ntk_core.training.resolution import resolve
from ntk_core.training.state import State
from ntk_core.training.steps import take_steps


def train(
    network: Network,
    X: Any,
    y: Any,
    times: Sequence[float],
    *,
    rule: Rule | None = None,
    method: str = "leaps",
    tolerance: float = 0.01,
    kernel_tolerance: float = 0.1,
    order: int | None = None,
    cost: str | costs.Cost = "squared",
    features: Features | None = None,
) -> Iterator[State]:
    """Trains in place and yields a state at every leap (or now and then) and exactly at every requested time.

    Args:
        network: a network or an ensemble of S seeds.
        X: (N, n_in) training inputs.
        y: (N,), (N, n_out) or, one target a seed, (S, N, n_out).
        times: increasing, the first may be 0; multiples of the rate except for gradient flow.
        rule: GradientDescent(rate), GradientFlow() or Momentum(rate, momentum); by default GradientDescent(1).
        method: "leaps" or "steps".
        tolerance: error of f aimed at, relative to how far f has moved; > 0 and <= 1. Where a narrow network's kernel
            changes by a fifth or more it may be missed; what came of it is estimated in `State.error`.
        kernel_tolerance: the largest error of the kernel, relative to it, that one leap may be estimated to make; > 0.
            `State.kernel_error` is the estimate for all of them.
        order: 1 or 2 (midpoint) for leaps; None lets the measured nonlinearity decide, leap by leap.
        cost: a name from `ntk_core.costs`, or a `Cost`; others than "squared" are linearized anew at every leap.
        features: the tangent features of the network at X as it is now, where they are known already.

    Raises:
        ValueError: the sentence names the argument.
    """
    chosen: Rule = GradientDescent(1.0) if rule is None else rule
    if method not in ("leaps", "steps"):
        raise ValueError(f"method: must be leaps or steps, got {method!r}")
    if not (math.isfinite(tolerance) and 0 < tolerance <= 1):
        raise ValueError(f"tolerance: must be above 0 and at most 1, got {tolerance}")
    if not (math.isfinite(kernel_tolerance) and kernel_tolerance > 0):
        raise ValueError(f"kernel_tolerance: must be a finite number above 0, got {kernel_tolerance}")
    if order not in (None, 1, 2):
        raise ValueError(f"order: must be 1, 2 or None, got {order!r}")
    if method == "steps" and isinstance(chosen, GradientFlow):
        raise ValueError("method: gradient flow has no steps; choose leaps, or gradient descent")
    goals = check_times(times, chosen)
    inputs = network.inputs(X)
    targets = check_targets(y, network, inputs.shape[1])
    loss = costs.get(cost)
    loss.check_targets(targets)
    if resolve(network, inputs, targets, chosen, loss, goals[-1], tolerance):
        features = None
    if method == "steps":
        return take_steps(network, inputs, targets, goals, chosen, loss)
    return Leaper(network, inputs, targets, chosen, loss, tolerance, kernel_tolerance, order, features).run(goals)


def check_times(times: Sequence[float], rule: Rule) -> list[float]:
    """The requested times, of a rule with steps as the multiples of a step that they are to rounding.

    Raises:
        ValueError: unless they increase and the rule can land on them; or it is no rule.
    """
    if not hasattr(rule, "respond"):
        raise ValueError(f"rule: GradientDescent(rate), GradientFlow() or Momentum(rate, mu) is needed, got {rule!r}")
    try:
        goals = [float(t) for t in times]
    except (TypeError, ValueError) as error:
        raise ValueError(f"times: a sequence of numbers is needed, got {times!r}") from error
    if not goals or not all(math.isfinite(t) and t >= 0 for t in goals):
        raise ValueError("times: one or more finite numbers >= 0 are needed")
    for t in goals:
        check_whole_steps("times", t, rule)
    if rule.unit:
        goals = [round(t / rule.unit) * rule.unit for t in goals]
    if any(b <= a for a, b in pairwise(goals)):
        raise ValueError("times: must increase")
    return goals


def check_targets(y: Any, network: Network, n_points: int) -> Tensor:
    """y as (S, N, n_out) in the network's precision; a ValueError that quotes the shapes if it does not fit."""
    y = as_tensor(y).to(network.device, network.dtype)
    n_out = network.arch.n_out
    if not n_points:
        raise ValueError("X: one or more training points are needed, got none")
    if y.ndim == 3 and y.shape[0] != network.size:
        raise ValueError(f"y: targets for S = {network.size} seeds are needed, got {y.shape[0]}")
    if y.ndim == 1:
        y = y[:, None]
    if y.ndim == 2:
        y = y.expand(network.size, *y.shape)
    if y.shape != (network.size, n_points, n_out):
        raise ValueError(f"y: targets of shape ({n_points}, {n_out}) are needed, got {tuple(y.shape[-2:])}")
    if not bool(torch.isfinite(y).all()):
        raise ValueError("y: every target must be a finite number")
    return y
