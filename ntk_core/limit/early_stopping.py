"""Early stopping and ridge: errors of the limit against time, on the training points and on others (section 5).

The mean of the infinite ensemble starts at f = 0 and fits the target along each eigendirection by 1 - e^(-lambda t);
ridge regression with the penalty 1/t fits it by lambda / (lambda + 1/t). Both end at the same interpolant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ntk_core.limit.ensemble import InfiniteEnsemble

GRID, FINER = 60, 24  # times at which the best one is looked for: at first, and around the best so far
PRECISION = 1e-4  # of the best time, relative


@dataclass(frozen=True)
class ErrorCurves:
    """Mean squared errors (summed over outputs) at T times; ridge with penalty 1/t beside gradient flow stopped at t.

    Attributes:
        times: (T,), infinity allowed.
        train, test: of gradient flow, (T,).
        ridge_train, ridge_test: of ridge regression, (T,).
        variance: of the ensemble's functions around their mean at the test points, on average (T,): what one network's
            expected squared error has on top of `test` for each output.
    """

    times: tuple[float, ...]
    train: Tensor
    test: Tensor
    ridge_train: Tensor
    ridge_test: Tensor
    variance: Tensor


@dataclass(frozen=True)
class Best:
    """The time with the least test error; 0 or infinity where the error only grows or only falls."""

    time: float
    error: float


def errors(ensemble: InfiniteEnsemble, X_test: Any, y_test: Any, times: Sequence[float]) -> ErrorCurves:
    """Errors of the ensemble's mean, and of ridge regression, against time.

    Args:
        ensemble: without a ridge of its own.
        X_test: (M, n_in).
        y_test: (M,) or (M, n_out), as the training targets.
        times: >= 0, math.inf allowed.

    Raises:
        ValueError: targets that do not fit, a negative time, an ensemble with a ridge.
    """
    y = _targets(ensemble, X_test, y_test)
    view, N = ensemble.on(X_test), len(ensemble.y)
    energy = ensemble.coefficients.square().sum(1) / N
    means, std = view.marginals(times)
    return ErrorCurves(
        tuple(times),
        ensemble.decays(times).square() @ energy,
        _errors(means, y),
        ridge_decays(ensemble, times).square() @ energy,
        _errors(view.filtered(ridge_gains(ensemble, times)), y),
        std.square().mean(1),
    )


def best_time(ensemble: InfiniteEnsemble, X_test: Any, y_test: Any, *, ridge: bool = False) -> Best:
    """When to stop: the least test error over all times, to a relative 1e-4 of the time (ridge: over penalties 1/t).

    A grid of times finds the neighbourhood, finer ones in it the time; each is one product for all its times.

    Under a rule that takes steps, the times are whole steps.

    Raises:
        ValueError: as `errors`.
    """
    y, unit = _targets(ensemble, X_test, y_test), 0.0 if ridge else ensemble.rule.unit
    view = ensemble.on(X_test)

    def landing(log_t: float) -> float:
        t = math.exp(log_t)
        return max(round(t / unit), 1) * unit if unit else t

    def found(times: list[float]) -> Tensor:
        return _errors(view.filtered(ridge_gains(ensemble, times) if ridge else ensemble.gains(times)), y)

    grid = _grid(ensemble)
    while True:
        times = [landing(v) for v in grid]
        errors_there = found(times)
        k = int(errors_there.argmin())
        low, high = grid[max(k - 1, 0)], grid[min(k + 1, len(grid) - 1)]
        if high - low <= PRECISION:
            break
        grid = np.linspace(low, high, FINER)
    at_zero, at_infinity = float(_errors(torch.zeros_like(y)[None], y)), float(found([math.inf]))
    least, time = min((at_zero, 0.0), (at_infinity, math.inf), (float(errors_there[k]), times[k]))
    # Flat to rounding at the end of the grid: the error only falls, and infinity is the answer.
    return Best(math.inf, at_infinity) if at_infinity <= least * (1 + 1e-12) else Best(time, least)


def ridge_mean(ensemble: InfiniteEnsemble, X_test: Any, t: float) -> Tensor:
    """K(x, X) (K + N/t)^-1 y at X_test: ridge regression with the penalty (1/2t) |f|_K^2, (M,) or (M, n_out)."""
    if not t >= 0:
        raise ValueError(f"t: a time must be >= 0 (math.inf is allowed), got {t}")
    return ensemble.on(X_test).filtered(ridge_gains(ensemble, [t]))[0]


def ridge_gains(ensemble: InfiniteEnsemble, times: Sequence[float]) -> Tensor:
    """1 / (lambda + 1/t) along each eigendirection (T, N): what ridge with penalty 1/t has for flow's E_t(lambda)."""
    t = torch.tensor(list(times), dtype=ensemble.values.dtype)[:, None]
    at_infinity = torch.where(ensemble.values > 0, 1 / ensemble.values, 0.0)  # the pseudo-inverse, as `gain`
    return torch.where(t.isinf(), at_infinity, t / (1 + ensemble.values * torch.where(t.isinf(), 0.0, t)))


def ridge_decays(ensemble: InfiniteEnsemble, times: Sequence[float]) -> Tensor:
    """1 / (1 + lambda t) along each eigendirection (T, N): what ridge with penalty 1/t leaves of the targets."""
    t = torch.tensor(list(times), dtype=ensemble.values.dtype)[:, None]
    # At infinity a null direction is left as it is, and infinity times zero is no number.
    return 1 / (1 + torch.where(ensemble.values > 0, ensemble.values * t, 0.0))


def _grid(ensemble: InfiniteEnsemble) -> np.ndarray:
    """Logarithms of times from before anything is learned until everything is."""
    there = ensemble.values[ensemble.values > 0]
    if not len(there):
        return np.linspace(0.0, 1.0, GRID)
    return np.linspace(math.log(1e-3 / float(there[-1])), math.log(30 / float(there[0])), GRID)


def _errors(f: Tensor, y: Tensor) -> Tensor:
    """Mean squared errors (T,), summed over outputs: f (T, M) or (T, M, n_out), y without times."""
    r = (f - y).square()
    return r.mean(1) if y.ndim == 1 else r.sum(-1).mean(1)


def _targets(ensemble: InfiniteEnsemble, X_test: Any, y_test: Any) -> Tensor:
    if ensemble.ridge:
        raise ValueError(f"ensemble: early stopping is compared with ridge here, got one with ridge {ensemble.ridge:g}")
    y = torch.as_tensor(y_test, dtype=torch.float64)
    expected = (len(X_test), *ensemble.y.shape[1:])
    if tuple(y.shape) != expected:
        raise ValueError(f"y_test: shape {expected} is needed, got {tuple(y.shape)}")
    if not bool(torch.isfinite(y).all()):
        raise ValueError("y_test: every number must be finite")
    return y
