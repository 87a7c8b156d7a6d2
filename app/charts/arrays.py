"""Arrays of figures as the screen needs them: 32-bit numbers, or 16-bit ones over their own range, in base64.

Many curves over the same x are one trace: `{"curves": {"x": array, "y": matrix}}` in place of x and y. A history is the
same with `{"history": {"id", "x", "y"}}`, one column an output time: a stream sends each column once, and the browser
puts them together. `expanded` makes the plain figure that Plotly reads, as the browser does.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

Token = dict[str, Any]

LEVELS = 32_000  # of a 16-bit number; -32,768 stands for what is not there
MISSING = -32_768
LISTS, NESTED = (list, tuple), (dict, list, tuple)  # of plain data
SMALL = 120  # characters of base64 below which an array is not worth a name of its own


def f4(values: Any) -> Token:
    """An array as float32."""
    return _token(np.asarray(values), "<f4")


def i2(values: Any) -> Token:
    """An array over its own range in 64,000 levels: finer than any screen, and half the size."""
    values = np.asarray(values, dtype=float)
    finite = np.isfinite(values)
    low, high = (float(values[finite].min()), float(values[finite].max())) if finite.any() else (0.0, 0.0)
    middle, scale = (low + high) / 2, max((high - low) / 2, 1e-300) / LEVELS
    levels = np.full(values.shape, MISSING, np.int16)
    levels[finite] = np.rint((values[finite] - middle) / scale)
    return _token(levels, "<i2") | {"offset": middle, "scale": scale}


def _token(values: np.ndarray, dtype: str) -> Token:
    data = np.ascontiguousarray(values, dtype=dtype)
    token: Token = {"dtype": dtype[1:], "bdata": base64.b64encode(data.tobytes()).decode("ascii")}
    return token | {"shape": list(values.shape)} if values.ndim > 1 else token


def numbers(token: Token) -> np.ndarray:
    """The inverse of `f4` and `i2`."""
    raw = np.frombuffer(base64.b64decode(token["bdata"]), "<" + token["dtype"]).reshape(token.get("shape", (-1,)))
    if token["dtype"] == "f4":
        return raw
    return np.where(raw == MISSING, np.nan, token["offset"] + token["scale"] * raw.astype(float))


def curves(x: Any, y: np.ndarray, *, exact: bool = False) -> dict[str, Token]:
    """Curves y (C, P) over one x (P,), as a part of a trace; `exact` keeps float32, for logarithmic axes."""
    return {"curves": {"x": f4(x), "y": (f4 if exact else i2)(y)}}


def history(name: str, times: Any, y: np.ndarray) -> dict[str, Token]:
    """Histories y (C, T) up to now, as a part of a trace; `name` tells it from the others of its panel."""
    return {"history": {"id": name, "x": f4(times), "y": f4(y)}}


def newest(figures: Any) -> Any:
    """The same figures with only the newest column of every history, which is what a stream adds."""
    return mapped(figures, lambda key, value: _last_column(value) if key == "history" else value)


def _last_column(token: Token) -> Token:
    x, y = numbers(token["x"]), numbers(token["y"])
    return {"id": token["id"], "x": float(x[-1]), "y": f4(y[:, -1])}


def mapped(data: Any, change: Callable[[str, Any], Any]) -> Any:
    """The same plain data with every dictionary that has a key replaced by change(key, dictionary); arrays stay."""
    if isinstance(data, dict):
        if "bdata" in data:
            return data
        out = dict(data)
        for key, value in data.items():
            if isinstance(value, dict):
                out[key] = change(key, mapped(value, change))
            elif isinstance(value, LISTS):
                out[key] = mapped(value, change)
        return out
    return [mapped(item, change) if isinstance(item, NESTED) else item for item in data]


def expanded(figure: Token) -> Token:
    """The plain figure: x and y of every trace as float32, curves joined with gaps between them."""
    return {**figure, "data": [_expanded(trace) for trace in figure["data"]]}


def _expanded(trace: Token) -> Token:
    token = trace.get("curves") or trace.get("history")
    if token is None:
        return {k: f4(numbers(v)) if isinstance(v, dict) and v.get("dtype") == "i2" else v for k, v in trace.items()}
    x, y = joined(numbers(token["x"]), numbers(token["y"]))
    return {k: v for k, v in trace.items() if k not in ("curves", "history")} | {"x": f4(x), "y": f4(y)}


def joined(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Many curves as one, a gap between each two: x (P,), y (C, P) -> two arrays (C (P + 1),)."""
    gap = np.full((len(y), 1), np.nan)
    return np.concatenate([np.tile(x, (len(y), 1)), gap], 1).ravel(), np.concatenate([y, gap], 1).ravel()


def shared(data: Any) -> tuple[Any, dict[str, Token]]:
    """The same data with every large array replaced by its name {"ref": name}, and the arrays by name.

    Equal arrays have equal names, so that whoever has seen one need not be sent it again.
    """
    found: dict[str, Token] = {}

    def replace(_: str, value: Any) -> Any:
        data = value.get("bdata", "")
        if len(data) < SMALL:
            return value
        rest = [(key, value[key]) for key in sorted(value) if key != "bdata"]
        name = hashlib.blake2b(f"{rest!r} {data}".encode(), digest_size=9).hexdigest()
        found[name] = value
        return {"ref": name}

    return mapped(data, replace), found
