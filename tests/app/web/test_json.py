"""Pictures as JSON: numbers that JSON does not have are null, NumPy's are numbers."""

import json
import math

import numpy as np
import pytest

from app.web.events import to_json


def test_numbers_that_json_does_not_have_are_null():
    data = {"y": [1.5, math.nan, -math.inf, (math.inf, 2)], "deep": [{"x": math.nan}]}
    assert json.loads(to_json(data)) == {"y": [1.5, None, None, [None, 2]], "deep": [{"x": None}]}


def test_numpys_numbers_are_numbers():
    data = [np.float64(0.1), np.float32(0.5), np.int64(-3), np.bool_(True), np.float64("nan")]
    assert json.loads(to_json(data)) == [0.1, 0.5, -3, True, None]


@pytest.mark.parametrize("value", [0.1, 1e-300, 1.7976931348623157e308, 2.0**53 + 2, -0.0])
def test_numbers_come_back_to_the_last_digit(value):
    assert math.copysign(1, json.loads(to_json([value]))[0]) == math.copysign(1, value)
    assert json.loads(to_json([value]))[0] == value


def test_it_is_one_line_whatever_a_name_holds():
    text = to_json({"n\na\r\nme": "ä ∞ \u2028"})
    assert "\n" not in text
    assert "\r" not in text
    assert json.loads(text) == {"n\na\r\nme": "ä ∞ \u2028"}
