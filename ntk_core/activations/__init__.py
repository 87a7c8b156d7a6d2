"""Activations: value, derivative and dual activations, by name or of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ntk_core._lazy import public

if TYPE_CHECKING:
    from ntk_core.activations.activation import Activation as Activation
    from ntk_core.activations.from_function import custom as custom
    from ntk_core.activations.table import get as get
    from ntk_core.activations.table import leaky_relu as leaky_relu
    from ntk_core.activations.table import names as names

_HOMES = {
    "Activation": "activation",
    "custom": "from_function",
    "get": "table",
    "leaky_relu": "table",
    "names": "table",
}

__all__ = ["Activation", "custom", "get", "leaky_relu", "names"]

__getattr__ = public(__name__, _HOMES)
