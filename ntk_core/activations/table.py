"""The activations by name."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ntk_core.activations.activation import Activation, Elementwise
from ntk_core.activations.known_names import ACTIVATIONS, check_activation, check_slope, leaky_slope
from ntk_core.duals import closed_forms as duals
from ntk_core.duals.mehler import Mehler


def names() -> tuple[str, ...]:
    """Names that `get` knows, besides 'leaky_relu(0.2)' with any slope."""
    return ACTIVATIONS


def get(activation: str | Activation) -> Activation:
    """The activation of that name, or the one given.

    Raises:
        ValueError: no activation has that name; the sentence lists the names there are.
    """
    if isinstance(activation, Activation):
        return activation
    check_activation(activation)
    slope = leaky_slope(activation)
    if slope is not None:
        return leaky_relu(slope)
    return _TABLE[activation]


def leaky_relu(slope: float) -> Activation:
    """max(z, 0) + slope min(z, 0).

    Raises:
        ValueError: the slope is not a number of up to a million in size.
    """
    check_slope(slope)
    return Activation(
        f"leaky_relu({np.format_float_positional(slope, trim='-')})",
        lambda z: torch.where(z > 0, z, slope * z),
        lambda z: torch.where(z > 0, torch.ones_like(z), slope),
        duals.Homogeneous(slope),
        smooth=slope == 1,
    )


def _gelu_derivative(z: Tensor) -> Tensor:
    return torch.special.ndtr(z) + z * torch.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def _softplus(z: Tensor) -> Tensor:
    return z.clamp_min(0) + torch.log1p(torch.exp(-z.abs()))


def _silu_derivative(z: Tensor) -> Tensor:
    s = torch.sigmoid(z)
    return s * (1 + z * (1 - s))


def _mish_derivative(z: Tensor) -> Tensor:
    t = torch.tanh(_softplus(z))
    return t + z * torch.sigmoid(z) * (1 - t * t)


_SELU_SCALE, _SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717


def _exponential_unit(name: str, scale: float, alpha: float) -> Activation:
    """scale z above 0, scale alpha (exp(z) - 1) below: elu, selu."""

    def value(z: Tensor) -> Tensor:
        return torch.where(z > 0, scale * z, scale * alpha * torch.expm1(z.clamp_max(0)))

    def derivative(z: Tensor) -> Tensor:
        return torch.where(z > 0, scale, scale * alpha * torch.exp(z.clamp_max(0)))

    # Jumps at 0 of the derivatives of order 0, 1, 2, ...: the exponential's are all alpha, the line's 1, 0, 0, ...
    jumps = [0.0, scale * (1 - alpha)] + [-scale * alpha] * 7
    return Activation(name, value, derivative, Mehler(value, derivative, jumps, name=name), smooth=False)


def _smooth(name: str, value: Elementwise, derivative: Elementwise) -> Activation:
    return Activation(name, value, derivative, Mehler(value, derivative, analytic=True, name=name))


def _named(name: str, slope: float, value: Elementwise, derivative: Elementwise) -> Activation:
    return Activation(name, value, derivative, duals.Homogeneous(slope), smooth=slope == 1)


_ALL = (
    _named("relu", 0.0, torch.relu, lambda z: (z > 0).to(z.dtype)),
    _named(
        "leaky_relu",
        0.01,
        lambda z: torch.where(z > 0, z, 0.01 * z),
        lambda z: torch.where(z > 0, torch.ones_like(z), 0.01),
    ),
    _named("abs", -1.0, torch.abs, torch.sign),
    _named("identity", 1.0, lambda z: z.clone(), torch.ones_like),
    Activation("step", lambda z: (z > 0).to(z.dtype), torch.zeros_like, duals.Step(), smooth=False),
    Activation("erf", torch.erf, lambda z: 2 / math.sqrt(math.pi) * torch.exp(-z * z), duals.Erf()),
    Activation("gelu", lambda z: z * torch.special.ndtr(z), _gelu_derivative, duals.Gelu()),
    Activation("sin", torch.sin, torch.cos, duals.Sine()),
    Activation("cos", torch.cos, lambda z: -torch.sin(z), duals.Sine(cosine=True)),
    Activation("gaussian", lambda z: torch.exp(-z * z), lambda z: -2 * z * torch.exp(-z * z), duals.Gaussian()),
    _smooth("tanh", torch.tanh, lambda z: 1 - torch.tanh(z).square()),
    _smooth("sigmoid", torch.sigmoid, lambda z: torch.sigmoid(z) * torch.sigmoid(-z)),
    _smooth("softplus", _softplus, torch.sigmoid),
    _smooth("silu", lambda z: z * torch.sigmoid(z), _silu_derivative),
    _smooth("mish", lambda z: z * torch.tanh(_softplus(z)), _mish_derivative),
    _exponential_unit("elu", 1.0, 1.0),
    _exponential_unit("selu", _SELU_SCALE, _SELU_ALPHA),
)
_TABLE = {activation.name: activation for activation in _ALL}
