"""What an architecture accepts, and what it refuses with a sentence that names the field."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ntk_core import Architecture


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("w_std", 0.0), ("w_std", -1.0), ("w_std", 10.1), ("w_std", math.nan), ("w_std", math.inf), ("w_std", True),
        ("w_std", "1"), ("w_std", None), ("beta", -0.1), ("beta", math.nan), ("beta", "1"), ("beta", True),
    ],
)  # fmt: skip
def test_factors_that_are_not_allowed_are_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"^{field}: must be "):
        Architecture(3, **{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("activation", [math.tanh, None, 3.0])
def test_a_function_is_no_activation_and_the_sentence_says_what_makes_it_one(activation: object) -> None:
    with pytest.raises(ValueError, match=r"^activation: a name or an Activation is needed, got .*activations.custom"):
        Architecture(3, activation=activation)  # type: ignore[arg-type]


def test_the_weights_deviation_is_one_unless_given() -> None:
    assert Architecture(3).w_std == 1.0
    given = Architecture(3, w_std=np.float32(1.5))  # type: ignore[arg-type]
    assert (type(given.w_std), given.w_std) == (float, 1.5)
    assert given != Architecture(3)
    assert Architecture(3, w_std=10).w_std == 10.0
