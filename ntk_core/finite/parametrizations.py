r"""Parametrizations side by side: the paper's, standard, mean-field / muP, as scales of one and the same network.

Each layer has weights `multiplier` x w with w ~ N(0, std^2), trained at `rate` x the learning rate; so have its biases.
Written in the paper's variables, W ~ N(0, 1) and h = w_std W a / sqrt(n_l) + beta b, a parametrization is nothing but

    a gain of the initial values    multiplier std sqrt(n_l) / w_std     and
    a speed of learning             rate multiplier^2 n_l / w_std^2

(for biases: multiplier std / beta and rate multiplier^2 / beta^2). Two parametrizations of equal gains and speeds train
alike: the paper's and the standard one with rates 1/n_l do (the remark in section 2), to the last digit.

Sources: Yang and Hu 2021, "Feature learning in infinite-width neural networks" (arXiv:2011.14522), table 1, for the
maximal update parametrization; for one hidden layer it is the mean-field one (Mei, Montanari and Nguyen 2018). Chizat,
Oyallon and Bach 2019 (arXiv:1812.07956) for the output scale: muP is the paper's network with output scale n^(-1/2).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ntk_core.architecture import Architecture
from ntk_core.finite.layer_terms import Speed


@dataclass(frozen=True)
class Scale:
    """How a kind of parameter enters, starts and learns: it is multiplier x w, w ~ N(0, std^2), dw = -rate grad."""

    multiplier: float
    std: float
    rate: float


@dataclass(frozen=True)
class LayerScale:
    """Scales of a layer's weights and biases."""

    weights: Scale
    biases: Scale


def ntk(arch: Architecture) -> list[LayerScale]:
    """The paper's (section 2): multiplier w_std/sqrt(n_l) and beta, everything from N(0, 1), one rate."""
    return [LayerScale(Scale(arch.w_std * n**-0.5, 1.0, 1.0), Scale(arch.beta, 1.0, 1.0)) for n in arch.widths[:-1]]


def standard(arch: Architecture) -> list[LayerScale]:
    """Weights from N(0, w^2/n_l), biases from N(0, beta^2), rates w^2/n_l and beta^2: the paper's training exactly."""
    w = arch.w_std
    return [
        LayerScale(Scale(1.0, w * n**-0.5, w**2 / n), Scale(1.0, arch.beta, arch.beta**2)) for n in arch.widths[:-1]
    ]


def standard_one_rate(arch: Architecture) -> list[LayerScale]:
    """As `standard`, but one rate 1/n for all, n the width: the first layer and the biases hardly learn."""
    rate = 1.0 / _width(arch)
    return [LayerScale(Scale(1.0, arch.w_std * n**-0.5, rate), Scale(1.0, arch.beta, rate)) for n in arch.widths[:-1]]


def mup(arch: Architecture) -> list[LayerScale]:
    """Maximal update: outputs smaller by sqrt(n), everything below learning n times as fast; features move at any n."""
    n, w = _width(arch), arch.w_std
    last = arch.depth - 1
    scales = []
    for layer, fan_in in enumerate(arch.widths[:-1]):
        if layer == last:
            weights, biases = Scale(w * fan_in**-0.5, n**-0.5, 1.0), Scale(arch.beta, n**-0.5, 1.0)
        elif layer == 0:
            weights, biases = Scale(w * (n / fan_in) ** 0.5, n**-0.5, 1.0), Scale(arch.beta, 1.0, float(n))
        else:
            weights, biases = Scale(w, fan_in**-0.5, n / fan_in), Scale(arch.beta, 1.0, float(n))
        scales.append(LayerScale(weights, biases))
    return scales


PARAMETRIZATIONS: dict[str, Callable[[Architecture], list[LayerScale]]] = {
    "ntk": ntk,
    "standard": standard,
    "standard_one_rate": standard_one_rate,
    "mup": mup,
}


def scales(name: str, arch: Architecture) -> list[LayerScale]:
    """Scales of every layer, l = 0..L-1; a ValueError names the parametrizations there are."""
    if name not in PARAMETRIZATIONS:
        raise ValueError(
            f"parametrization: must be one of {', '.join(PARAMETRIZATIONS)}, got {str(name)[:40]!r} "
            f"(mean-field is mup with one hidden layer)"
        )
    return PARAMETRIZATIONS[name](arch)


def gains(arch: Architecture, layers: list[LayerScale]) -> list[tuple[float, float]]:
    """Standard deviations of the initial W_l and b_l in the paper's variables."""
    return [
        (scale.weights.multiplier * scale.weights.std * math.sqrt(n) / arch.w_std, _over_beta(arch, scale.biases, 1.0))
        for n, scale in zip(arch.widths[:-1], layers, strict=True)
    ]


def speeds(arch: Architecture, layers: list[LayerScale]) -> list[Speed]:
    """Rates of W_l and b_l in the paper's variables; without biases (beta = 0) they do not learn."""
    return [
        Speed(
            scale.weights.rate * scale.weights.multiplier**2 * n / arch.w_std**2,
            scale.biases.rate * (scale.biases.multiplier / arch.beta) ** 2 if arch.beta else 0.0,
        )
        for n, scale in zip(arch.widths[:-1], layers, strict=True)
    ]


def limiting_speeds(name: str, arch: Architecture) -> list[Speed]:
    """Speeds at which the layers of infinitely wide networks of a parametrization begin to learn.

    All 1 but for one rate 1/n, where only the weights behind the first layer learn, at 1/w^2. muP starts with the
    paper's kernel, its small outputs and fast lower layers in balance; there the kernel does not stay.
    """
    scales(name, arch)
    if name != "standard_one_rate":
        return [Speed()] * arch.depth
    return [Speed(0.0, 0.0)] + [Speed(arch.w_std**-2, 0.0)] * (arch.depth - 1)


def _over_beta(arch: Architecture, biases: Scale, without: float) -> float:
    return biases.multiplier * biases.std / arch.beta if arch.beta else without


def _width(arch: Architecture) -> int:
    """The width that a rate refers to: the last hidden layer's (1 without hidden layers)."""
    return arch.widths[-2] if arch.depth > 1 else 1
