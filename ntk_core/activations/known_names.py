"""Names of the activations, apart from their mathematics so that a spec can be checked without torch."""

from __future__ import annotations

import re

ACTIVATIONS = (
    "relu", "leaky_relu", "abs", "step", "erf", "gelu", "sin", "cos", "gaussian", "identity",
    "tanh", "sigmoid", "softplus", "silu", "mish", "elu", "selu",
)  # fmt: skip

# Activations that jump have a derivative with mass at a point: gradient descent does not see it.
UNTRAINABLE = ("step",)

_LEAKY = re.compile(r"leaky_relu\((-?\d+(\.\d+)?)\)")


def check_activation(name: str) -> str:
    """Returns the name, or raises a ValueError that lists what is allowed."""
    if name in ACTIVATIONS or _LEAKY.fullmatch(name):
        return name
    raise ValueError(f"activation: {name[:40]!r} is not known; choose one of {', '.join(ACTIVATIONS)}")


def leaky_slope(name: str) -> float | None:
    """The slope in a name such as 'leaky_relu(0.2)', else None."""
    match = _LEAKY.fullmatch(name)
    return float(match[1]) if match else None
