"""How far kernels and functions move, against widths or output scales: the laws of lazy learning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from app.charts import arrays, law_marks, lazy_kinds, style
from app.charts.entry import Entry

Figure = dict[str, Any]


def movement(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> Figure:
    """The kernel's relative change."""
    return _law(entries, time, "kernel_change", "|Θₜ − Θ₀| / |Θ₀|")


def distance(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> Figure:
    """How far functions are from those of linearized networks."""
    return _law(entries, time, "distance", "rms distance")


def _law(entries: Sequence[Entry], time: float, variable: str, title: str) -> Figure:
    """Means over seeds with intervals, and fitted slopes: against output scales or widths, whichever are more."""
    scales = len(entries[0].spec.alphas) > len(entries[0].spec.widths)
    traces: list[Figure] = []
    for entry in entries:
        traces += _against_scales(entry, time, variable) if scales else _against_widths(entry, time, variable)
    x = _ticks_axis("output scale α", [a for e in entries for a in e.spec.alphas]) if scales else _widths_axis(entries)
    if not traces:
        return style.empty(_why_empty(entries, time), x, style.log_axis(title))
    drawn = np.concatenate([arrays.numbers(trace["y"]) for trace in traces])
    return {"data": traces, "layout": style.layout(x, style.log_axis(title, drawn))}


def _why_empty(entries: Sequence[Entry], time: float) -> str:
    there = [entry for entry in entries if entry.there(time)]
    if not there:
        return law_marks.NOT_YET
    lost = any((entry.now("diverged", time) > 0).any() for entry in there)
    return "Every network has diverged" if lost else "Nothing has moved yet"


def _against_widths(entry: Entry, time: float, variable: str) -> list[Figure]:
    """A series for each kind of network; dotted, the law's slope: 0 in muP, where features are learned."""
    traces: list[Figure] = []
    for k, case in enumerate(entry.spec.cases):
        slope = 0.0 if entry.spec.parametrizations[case.parametrization] == "mup" else -1.0
        places = [(*case, i) for i in range(len(entry.spec.widths))]
        ring = {"size": 17, "open": True} if lazy_kinds.same_as_papers(entry.spec, case.parametrization) else {}
        traces += _series(
            entry, time, variable, entry.spec.widths, places, lazy_kinds.name(entry.spec, case), slope, k, ring
        )
    return traces


def _against_scales(entry: Entry, time: float, variable: str) -> list[Figure]:
    """A series for each parametrization and width; dotted, the slope -1 of large output scales."""
    traces: list[Figure] = []
    several, k = len(entry.spec.widths) > 1, 0
    for p, parametrization in enumerate(entry.spec.parametrizations):
        for i, n in enumerate(entry.spec.widths):
            places = [(p, a, i) for a in range(len(entry.spec.alphas))]
            name = lazy_kinds.NAMES[parametrization] + (f", n = {style.thousands(n)}" if several else "")
            ring = {"size": 17, "open": True} if lazy_kinds.same_as_papers(entry.spec, p) else {}
            traces += _series(entry, time, variable, entry.spec.alphas, places, name, -1.0, k, ring)
            k += 1
    return traces


def _series(
    entry: Entry, time: float, variable: str, x: Sequence[float], places: Sequence[tuple[int, ...]], name: str,
    slope: float, k: int, look: Mapping[str, Any],
) -> list[Figure]:  # fmt: skip
    """Points of one series, at the places that have moved at all, with its slope in the legend."""
    if not entry.there(time):
        return []
    values = entry.now(variable, time)
    found = [law_marks.interval(v[np.isfinite(v)].astype(float)) for v in (values[place] for place in places)]
    dots = law_marks.Dots(*np.array(found).T)
    dots = dots._replace(value=np.where(dots.value > 0, dots.value, np.nan))
    if not np.isfinite(dots.value).any():
        return []
    at, colour = np.array(x, float), style.COLOURS[(entry.first + k) % 6]
    order = np.argsort(at)
    at, dots = at[order], law_marks.Dots(*(part[order] for part in dots))
    words = entry.named(name) + law_marks.fitted_slope(at, dots.value)
    guide = [law_marks.guide(at, dots.value, slope, colour)] if np.isfinite(dots.value).sum() > 1 else []
    return [*guide, *law_marks.marks(at, dots, words, colour, k, **look)]


def _widths_axis(entries: Sequence[Entry]) -> dict[str, Any]:
    return _ticks_axis("width n (neurons in a hidden layer)", [n for entry in entries for n in entry.spec.widths])


def _ticks_axis(title: str, values: Sequence[float]) -> dict[str, Any]:
    """A logarithmic axis labelled at the values that are swept."""
    at = sorted(set(values))
    return style.axis(title, type="log", tickvals=at, ticktext=[f"{value:,g}" for value in at])
