"""Random functions as features (section 3.1): the tangent kernel of a linear model, and how it approximates K.

With f^(p) ~ GP(0, K), p = 1..P, the model f_theta = P^(-1/2) sum_p theta_p f^(p) has the constant tangent kernel

    K~ = (1/P) sum_p f^(p) f^(p)^T ,    E[K~] = K ,    E|K~ - K|_F^2 = ((tr K)^2 + |K|_F^2) / P

(the last by Wick's formula), and gradient descent on theta is kernel gradient descent with K~.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ntk_core.data.synthetic import check_seed
from ntk_core.eigen import eigh, without_null
from ntk_core.limit.semidefinite import check_semidefinite, symmetric
from ntk_core.rules import GradientFlow, Rule, check_whole_steps

MOST_FUNCTIONS = 1_000_000


@dataclass(frozen=True)
class Paths:
    """Functions at T times on all M points: what random functions learn, and what the kernel K learns.

    Attributes:
        random: f_theta(t), (T, M).
        kernel: by K itself, (T, M).
        theta: (T, P).
    """

    times: tuple[float, ...]
    random: Tensor
    kernel: Tensor
    theta: Tensor


def draw(K: Any, P: int, seed: int = 0) -> Tensor:
    """P functions of the Gaussian process with covariance K (M, M) at its points: (M, P).

    The first functions of a larger P are those of a smaller one.

    Raises:
        ValueError: K is no kernel matrix, P is not a whole number from 1 to a million, a bad seed.
    """
    R = root(K)
    return R @ noise(len(R), P, seed)


def root(K: Any) -> Tensor:
    """The symmetric square root of a kernel matrix, (M, M).

    Raises:
        ValueError: K is no kernel matrix.
    """
    values, vectors = eigh(symmetric(torch.as_tensor(K, dtype=torch.float64).detach()))
    check_semidefinite(values)
    return (vectors * values.clamp_min(0.0).sqrt()) @ vectors.mT


def noise(M: int, P: int, seed: int = 0) -> Tensor:
    """Standard normal numbers (M, P), of which a root of K makes P functions; the first P of more are the same.

    Raises:
        ValueError: P is not a whole number from 1 to a million, a bad seed.
    """
    if isinstance(P, bool) or not isinstance(P, numbers.Integral) or not 1 <= P <= MOST_FUNCTIONS:
        raise ValueError(f"P: must be a whole number between 1 and {MOST_FUNCTIONS:,}, got {P!r}")
    z = np.random.default_rng(check_seed("seed", seed)).standard_normal((int(P), M))
    return torch.from_numpy(z).mT


def tangent_kernel(F: Tensor) -> Tensor:
    """K~ = F F^T / P, (M, M), of functions F (M, P)."""
    return F @ F.mT / F.shape[1]


def expected_error(K: Any, P: int) -> float:
    """Root of E|K~ - K|_F^2 over |K|_F: exact for every P, and of order P^(-1/2)."""
    matrix = torch.as_tensor(K, dtype=torch.float64)
    square = float(matrix.square().sum())
    return math.sqrt((float(matrix.trace()) ** 2 + square) / P / square)


def learn(
    F: Tensor, K: Any, y: Any, times: Sequence[float], rule: Rule | None = None, theta_0: Tensor | None = None
) -> Paths:
    """Gradient descent on theta for C = (1/2) mean |f - y|^2 over the first N of M points, beside K's own.

    Args:
        F: functions (M, P) at all points, those of the N training points first.
        K: kernel (M, M) at the same points.
        y: targets (N,), N <= M.
        times: finite, >= 0.
        rule: gradient flow, or another rule of `ntk_core.rules`.
        theta_0: (P,), zero if not given; both paths start at its function.

    Raises:
        ValueError: shapes that do not fit, numbers that are not finite, a time that is not one of the rule.
    """
    rule, targets = rule or GradientFlow(), torch.as_tensor(y, dtype=torch.float64)
    matrix = torch.as_tensor(K, dtype=torch.float64)
    (M, P), N = F.shape, len(targets)
    if targets.ndim != 1 or not 1 <= N <= M or matrix.shape != (M, M):
        raise ValueError(
            f"y: functions of shape {tuple(F.shape)}, a kernel of shape {tuple(matrix.shape)} and targets of shape "
            f"{tuple(targets.shape)} do not fit; (M, P), (M, M) and (N,) with N <= M are needed"
        )
    if not bool(torch.isfinite(targets).all()):
        raise ValueError("y: every target must be a finite number")
    for t in times:
        if not (math.isfinite(t) and t >= 0):
            raise ValueError(f"times: every time must be finite and >= 0, got {t}")
        check_whole_steps("times", t, rule)
    start = torch.zeros(P, dtype=torch.float64) if theta_0 is None else theta_0.double()
    J = F / math.sqrt(P)  # df/dtheta, (M, P)
    f_0 = J @ start
    signals = [_signals(tangent_kernel(F[:N]), f_0[:N] - targets, times, rule)]
    signals.append(_signals(matrix[:N, :N], f_0[:N] - targets, times, rule))
    theta = start - signals[0] @ J[:N] / N
    return Paths(tuple(times), theta @ J.mT, f_0 - signals[1] @ matrix[:N] / N, theta)


def _signals(K: Tensor, r: Tensor, times: Sequence[float], rule: Rule) -> Tensor:
    """The accumulated residual E_t r along each eigendirection, (T, N): theta moves by -J^T of it / N."""
    values, U = eigh(K / len(r))
    values, c = without_null(values, torch.finfo(values.dtype).eps), U.mT @ r
    return torch.stack([U @ (_gain(rule, values, t) * c) for t in times])


def _gain(rule: Rule, values: Tensor, t: float) -> Tensor:
    """E_t; nothing in the null space, which neither J^T nor K(x, X) sees."""
    return torch.zeros_like(values) if t == 0 else torch.where(values > 0, rule.respond(values, t).moved_r, 0.0)
