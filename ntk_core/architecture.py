"""The shape of a fully connected network, validated once."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from ntk_core.activations.known_names import check_activation

if TYPE_CHECKING:
    from ntk_core.activations.activation import Activation

MAX_DEPTH = 100
MAX_WIDTH = 10_000_000
MAX_W_STD = 10.0


@dataclass(frozen=True)
class Architecture:
    """A network of `depth` weight matrices, hence `depth - 1` hidden layers (paper, section 2).

    With a_0 = x, the network computes h_{l+1} = w_std W_l a_l / sqrt(n_l) + beta b_l and a_l = sigma(h_l); its
    output is h_L. All parameters are iid N(0, 1) at initialization. The paper has w_std = 1.

    Args:
        depth: number of weight matrices L, 1 to 100.
        width: neurons of every hidden layer, or a sequence of depth - 1 widths, one a hidden layer.
        activation: a name from `ntk_core.activations.names()` or an `Activation`.
        beta: factor of the biases, >= 0.
        n_in: dimension of the inputs.
        n_out: number of outputs.
        w_std: standard deviation of the weights before the factor 1 / sqrt(n_l), above 0 and at most 10.

    Raises:
        ValueError: the sentence names the field and what is allowed.
    """

    depth: int
    width: int | tuple[int, ...] = 500
    activation: str | Activation = "relu"
    beta: float = 0.1
    n_in: int = 2
    n_out: int = 1
    w_std: float = 1.0

    def __post_init__(self) -> None:
        self._set("depth", _whole("depth", self.depth, MAX_DEPTH))
        if hasattr(self.width, "tolist"):  # NumPy's scalars and arrays
            self._set("width", self.width.tolist())
        if isinstance(self.width, Sequence) and not isinstance(self.width, str):
            self._set("width", tuple(self.width))
            if len(self.width) != self.depth - 1:
                raise ValueError(
                    f"width: {len(self.width)} widths were given for depth {self.depth}, "
                    f"which has {self.depth - 1} hidden layers"
                )
            self._set("width", tuple(_whole("width", width, MAX_WIDTH) for width in self.width))
        else:
            self._set("width", _whole("width", self.width, MAX_WIDTH))
        self._set("n_in", _whole("n_in", self.n_in, MAX_WIDTH))
        self._set("n_out", _whole("n_out", self.n_out, MAX_WIDTH))
        self._set("beta", _real("beta", self.beta, "a finite number >= 0"))
        if self.beta < 0:
            raise ValueError(f"beta: must be >= 0, got {self.beta}")
        self._set("w_std", _real("w_std", self.w_std, f"a number above 0 and at most {MAX_W_STD:g}"))
        if not 0 < self.w_std <= MAX_W_STD:
            raise ValueError(f"w_std: must be above 0 and at most {MAX_W_STD:g}, got {self.w_std}")
        if isinstance(self.activation, str):
            check_activation(self.activation)
        elif not hasattr(self.activation, "duals"):  # an Activation, whose module imports torch
            raise ValueError(
                f"activation: a name or an Activation is needed, got {self.activation!r}; "
                f"activations.custom makes one of a function"
            )

    def _set(self, field: str, value: object) -> None:
        object.__setattr__(self, field, value)

    @property
    def widths(self) -> tuple[int, ...]:
        """All layer sizes (n_0, ..., n_L), input and outputs included."""
        hidden = self.width if isinstance(self.width, tuple) else (self.width,) * (self.depth - 1)
        return (self.n_in, *hidden, self.n_out)

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases, P in the paper."""
        sizes = self.widths
        return sum((n + 1) * m for n, m in pairwise(sizes))

    @property
    def sigma(self) -> Activation:
        """The activation as functions of tensors."""
        from ntk_core.activations.table import get

        return get(self.activation)


def _real(field: str, value: object, allowed: str) -> float:
    """The value as a plain finite float, NumPy's numbers included."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise ValueError(f"{field}: must be {allowed}, got {value!r}")
    return float(value)


def _whole(field: str, value: object, largest: int) -> int:
    """The value as a plain int, NumPy's whole numbers included."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise ValueError(f"{field}: must be a whole number, got {value!r}")
    number = int(value)
    if not 1 <= number <= largest:
        raise ValueError(f"{field}: must be between 1 and {largest:,}, got {number:,}")
    return number
