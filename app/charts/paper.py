"""The paper's own curves and numbers, for showing beside ours where the settings are the paper's."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from ntk_core.data.references import OWN

_FILE = Path(__file__).parents[2] / "assets" / "paper_figures.json"

# Its networks took single steps of rate 1; its curves are of the times at which these runs end.
_NETWORK = {"activation": "relu", "beta": 0.1, "rule": "gradient_descent", "learning_rate": 1.0}

# The settings under which a figure's curves may stand beside ours. Figure 3 is of five weight matrices: the paper does
# not say so, but only they have its eigenvalues.
_SETTINGS: dict[str, dict[str, Any]] = {
    "figure1": {**_NETWORK, "depth": 4, "data": "gaussian", "n_train": 100, "time": 200.0},
    "figure2": {**_NETWORK, "depth": 4, "points": "paper", "time": 1000.0},
    "figure3": {
        **_NETWORK, "depth": 5, "data": "digits", "n_train": 512, "digits": tuple(range(10)),
        "component": 2, "scale": 0.5, "time": 2000.0,
    },
}  # fmt: skip


# What a setting is called where it differs, and values that do not speak for themselves.
_NAMES = {
    "activation": "activation", "beta": "β =", "rule": "rule", "learning_rate": "rate", "depth": "depth",
    "data": "data:", "points": "training points:", "n_train": "N =", "time": "t =", "digits": "digits",
    "component": "k =", "scale": "c =",
}  # fmt: skip
_WORDS = {
    ("data", "gaussian"): "random inputs", ("data", "four_points"): "four points", ("points", "paper"): "its four",
    ("points", "even"): "evenly spaced", ("points", "custom"): "one's own", ("rule", "gradient_descent"): "gradient "
    "descent", ("rule", "gradient_flow"): "gradient flow", ("digits", tuple(range(10))): "of all classes",
}  # fmt: skip


@cache
def figures() -> dict[str, Any]:
    """The file with the paper's curves; FileNotFoundError where the assets are incomplete."""
    return json.loads(_FILE.read_text(encoding="utf-8"))


def matches(spec: Any, figure: str) -> bool:
    """Whether a spec has the settings of that figure."""
    return all(getattr(spec, name) == value for name, value in _SETTINGS[figure].items())


def differs(spec: Any, figure: str) -> str:
    """Why that figure's curves may not stand beside a spec's, in a sentence; "" where they may."""
    other = {name: value for name, value in _SETTINGS[figure].items() if getattr(spec, name) != value}
    if not other:
        return ""
    here = {name: _value(name, getattr(spec, name)) for name in other}
    told = ", ".join(f"{_NAMES[name]} {_value(name, value)} (here {here[name]})" for name, value in other.items())
    return f"The paper's own curves are not drawn, because they are of {told}."


def _value(name: str, value: Any) -> str:
    if isinstance(value, str) and value.startswith(OWN):
        return "a table"
    if isinstance(value, tuple):
        return _WORDS.get((name, value), ", ".join(map(str, value)))
    return _WORDS.get((name, value), f"{value:,.6g}" if isinstance(value, int | float) else str(value))
