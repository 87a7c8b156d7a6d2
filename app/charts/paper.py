"""The paper's own curves and numbers, for showing beside ours where the settings are the paper's."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

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


@cache
def figures() -> dict[str, Any]:
    """The file with the paper's curves; FileNotFoundError where the assets are incomplete."""
    return json.loads(_FILE.read_text(encoding="utf-8"))


def matches(spec: Any, figure: str) -> bool:
    """Whether a spec has the settings of that figure."""
    return all(getattr(spec, name) == value for name, value in _SETTINGS[figure].items())
