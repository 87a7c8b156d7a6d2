"""Pictures of the experiments: pure functions from results to figure dicts. No Streamlit, no Plotly, no torch.

The module `app/charts/NAME.py` draws the experiment NAME and is found by that name. It offers

    PANELS: dict[str, Panel]                       the panels in reading order, each with its function
                                                   draw(entries, time, options) -> figure {data, layout}
    moments(spec, theory) -> tuple[float, ...]     (optional) the times that theory alone can show
    facts(spec, plan) -> list[str]                 (optional) the conventions behind the numbers; else those of training
    caption(spec, time) -> str                     (optional) the clock's line

`entries` are specs, their limits and what their networks have found (`Entry`), usually one. Colours are tokens such as
"@ink" or "@c0/0.2" (with its opacity): the browser puts the theme's colours in their place. Arrays are tokens of
`app.charts.arrays`.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from app.charts import networks
from app.charts.entry import Entry
from app.charts.style import Panel
from ntk_core import experiments

if TYPE_CHECKING:
    from ntk_core.runs.theory import Theory

Figure = dict[str, Any]

__all__ = [
    "Chart", "Entry", "Figure", "Panel", "caption", "draw", "limit_caption", "load", "moments", "side_by_side",
    "summary",
]  # fmt: skip


class Chart(Protocol):
    """What a module of this package offers when it is named after an experiment."""

    PANELS: dict[str, Panel]


def load(name: str) -> Chart:
    """The chart module of the experiment `name`; ValueError where there is no such experiment."""
    if name not in experiments.names():
        raise ValueError(f"experiment: {name[:40]!r} is not known; choose one of {', '.join(experiments.names())}")
    return cast(Chart, importlib.import_module(f"{__name__}.{name}"))


def draw(
    entries: Sequence[Entry],
    time: float,
    options: Mapping[str, Any] | None = None,
    panels: Iterable[str] | None = None,
) -> dict[str, Figure]:
    """The figures of one moment, by panel; a panel that draws None has no place under this spec.

    Args:
        entries: what to draw, of one experiment; one at least.
        time: the moment; infinity where the limit knows it.
        options: the chart's options, e.g. {"band": True}; those not named are off.
        panels: which panels; by default all.
    """
    known = load(entries[0].spec.experiment).PANELS
    drawn = ((name, known[name].draw(entries, time, options or {})) for name in (known if panels is None else panels))
    return {name: figure for name, figure in drawn if figure is not None}


def side_by_side(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """The entries, each with the colours that follow those of the one before it."""
    out: list[Entry] = []
    first = 0
    for entry in entries:
        out.append(Entry(entry.spec, entry.theory, entry.result, entry.label, first))
        first += len(getattr(entry.spec, "widths", (0,)))
    return tuple(out)


def moments(spec: Any, theory: Theory) -> tuple[float, ...]:
    """The moments that theory alone can show, at least one."""
    own = getattr(load(spec.experiment), "moments", None)
    return own(spec, theory) if own else (0.0,)


def caption(spec: Any, time: float) -> str:
    """The clock's line: the time, and the steps that make it."""
    own = getattr(load(spec.experiment), "caption", None)
    if own:
        return own(spec, time)
    if math.isinf(time):
        return "t = ∞"
    if spec.rule == "gradient_flow":
        return f"t = {time:,.6g} (gradient flow)"
    return f"t = {time:,.6g} ({round(time / spec.learning_rate):,} steps × rate {spec.learning_rate:g})"


def limit_caption(spec: Any, times: Sequence[float], index: int) -> str:
    """The clock's line under a picture of the limit alone, one of those at `times`."""
    if len(times) == 1:
        return "the limit, before any training"
    if math.isinf(times[index]):
        return "t = ∞: the limit alone"
    return caption(spec, times[index])


def summary(entries: Sequence[Entry], time: float) -> str:
    """How the networks were trained up to `time` and how far that may be trusted, in words; "" where none are seen."""
    return "; ".join(sentence for entry in entries for sentence in networks.told(entry, time))
