"""Names of the activations, apart from their mathematics so that a spec can be checked without torch."""

from __future__ import annotations

import math
import re

ACTIVATIONS = (
    "relu", "leaky_relu", "abs", "step", "erf", "gelu", "sin", "cos", "gaussian", "identity",
    "tanh", "sigmoid", "softplus", "silu", "mish", "elu", "selu",
)  # fmt: skip

# Activations that jump have a derivative with mass at a point: gradient descent does not see it.
UNTRAINABLE = ("step",)

LARGEST_SLOPE = 1e6  # of leaky_relu, in size: its square is part of every layer's variance

_LEAKY = re.compile(r"leaky_relu\((-?\d+(\.\d+)?)\)")


def check_activation(name: str) -> str:
    """Returns the name, or raises a ValueError that lists what is allowed."""
    if name in ACTIVATIONS:
        return name
    slope = leaky_slope(name)
    if slope is not None:
        check_slope(slope)
        return name
    raise ValueError(f"activation: {name[:40]!r} is not known; choose one of {', '.join(ACTIVATIONS)}")


def check_slope(slope: float) -> None:
    """Raises a ValueError unless leaky_relu may have the slope."""
    if not math.isfinite(slope):
        raise ValueError(f"activation: the slope of leaky_relu must be finite, got {slope}")
    if abs(slope) > LARGEST_SLOPE:
        raise ValueError(f"activation: the slope of leaky_relu must be at most {LARGEST_SLOPE:,.0f}, got {slope:g}")


def leaky_slope(name: str) -> float | None:
    """The slope in a name such as 'leaky_relu(0.2)', else None."""
    match = _LEAKY.fullmatch(name)
    return float(match[1]) if match else None
