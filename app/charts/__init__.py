"""Pictures of the experiments: pure functions from snapshots to figure dicts. No Streamlit, no Plotly, no torch.

The module `app/charts/NAME.py` draws the experiment NAME and is found by that name. It offers

    PANELS: dict[str, Panel]                                   the panels, in reading order
    draw(spec, theory, snapshot, index, options) -> dict       figures {data, layout} a panel; snapshot may be None
    frames(spec, theory) -> tuple[float, ...]                  (optional) the times that theory alone can show

Colours are tokens such as "@ink" or "@c0/0.2" (with its opacity): the browser puts the theme's colours in their place.
Arrays are {"dtype": "f4", "bdata": base64}.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

from app.charts.style import Panel
from ntk_core import experiments

if TYPE_CHECKING:
    from ntk_core.runs.snapshot import Snapshot

Figure = dict[str, Any]

__all__ = ["Chart", "Figure", "Panel", "caption", "draw", "frames", "load"]


class Chart(Protocol):
    """What a module of this package offers when it is named after an experiment."""

    PANELS: dict[str, Panel]

    def draw(
        self, spec: Any, theory: Snapshot, snapshot: Snapshot | None, index: int, options: Mapping[str, Any]
    ) -> dict[str, Figure]:
        """One figure a panel."""
        ...


def load(name: str) -> Chart:
    """The chart module of the experiment `name`; ValueError where there is no such experiment."""
    if name not in experiments.names():
        raise ValueError(f"experiment: {name[:40]!r} is not known; choose one of {', '.join(experiments.names())}")
    return cast(Chart, importlib.import_module(f"{__name__}.{name}"))


def draw(
    spec: Any, theory: Snapshot, snapshot: Snapshot | None, index: int, options: Mapping[str, Any] | None = None
) -> dict[str, Figure]:
    """The figures of one moment, by panel.

    Args:
        spec: the experiment's spec.
        theory: what the limit says.
        snapshot: the networks at output time `index`, or None where none has got there.
        index: which moment; also those that `frames` lists beyond the spec's own times.
        options: the chart's options, e.g. {"band": True}; those not named are off.
    """
    return load(spec.experiment).draw(spec, theory, snapshot, index, options or {})


def frames(spec: Any, theory: Snapshot) -> tuple[float, ...]:
    """The moments that theory alone can show, at least one."""
    own = getattr(load(spec.experiment), "frames", None)
    return own(spec, theory) if own else (0.0,)


def caption(spec: Any, time: float) -> str:
    """The clock's line: the time, and the steps that make it."""
    if math.isinf(time):
        return "t = ∞"
    if spec.rule == "gradient_flow":
        return f"t = {time:,.6g} (gradient flow)"
    return f"t = {time:,.6g} ({round(time / spec.learning_rate):,} steps × rate {spec.learning_rate:g})"
