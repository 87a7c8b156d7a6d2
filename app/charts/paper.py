"""The paper's own curves and numbers, for showing beside ours where the settings are the paper's."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).parents[2] / "assets" / "paper_figures.json"

# Depth, activation and beta of each figure (depth 5 of figure 3: see `targets` in the file's own words).
_NETWORKS = {"figure1": (4, "relu", 0.1), "figure2": (4, "relu", 0.1), "figure3": (5, "relu", 0.1)}


@cache
def figures() -> dict[str, Any]:
    """The file with the paper's curves; FileNotFoundError where the assets are incomplete."""
    return json.loads(_FILE.read_text(encoding="utf-8"))


def matches(spec: Any, figure: str) -> bool:
    """Whether a spec has the network of that figure, so that the paper's curves may stand beside it."""
    return (spec.depth, spec.activation, spec.beta) == _NETWORKS[figure]
