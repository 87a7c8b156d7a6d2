"""Kernel principal components, and networks that learn along one of them (paper, section 6.3 and figure 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from app.charts import histories, paper, style
from app.charts.style import Panel

if TYPE_CHECKING:
    from ntk_core.runs.snapshot import Snapshot

PANELS = {
    "batch": Panel(
        "The batch in components 2 and 3", "main",
        "Every input of the batch at its values of the second and third kernel principal component.", pictures=True,
    ),
    "g": Panel(
        "|gₜ|: what is left along the component", "side",
        "Norm of the part of f minus goal along the component against time; the limit decays exponentially.",
    ),
    "h": Panel(
        "|hₜ|: how far the path bends away", "side",
        "Norm of the part of f minus goal orthogonal to the component against time; the limit is zero along its own "
        "components.",
    ),
    "values": Panel(
        "Eigenvalues λₖ of Θ/N", "base", "The first eigenvalues of the kernel, on a logarithmic axis."
    ),
}  # fmt: skip

OPTIONS = ("band", "paper")

_SHAPES = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star", "triangle-down", "pentagon", "hexagram")
_HOVER = "t = %{x:.4g}<br>%{y:.4f}"


def draw(
    spec: Any, theory: Snapshot, snapshot: Snapshot | None, index: int, options: Mapping[str, Any]
) -> dict[str, dict]:
    """The figures of one moment; see `app.charts.draw`."""
    shown = bool(options.get("paper")) and paper.matches(spec, "figure3")
    return {
        "batch": _batch(spec, theory),
        "g": _along(spec, theory, snapshot, bool(options.get("band")), shown),
        "h": _across(spec, theory, snapshot, bool(options.get("band")), shown),
        "values": _values(spec, theory, shown),
    }


def _batch(spec: Any, theory: Snapshot) -> dict[str, Any]:
    x, y, labels, pictures = (theory[name] for name in ("x", "y", "label", "picture"))
    digits = spec.data in ("digits", "mnist")
    signs = {-1: "f* < 0", 0: "f* = 0", 1: "f* > 0"}
    traces = []
    for k, label in enumerate(np.unique(labels)):
        rows = labels == label
        trace = style.points(
            x[rows], y[rows], f"digit {label}" if digits else signs[int(label)], style.COLOURS[k % 6], _SHAPES[k % 10],
            size=8, outline=0.5, hovertemplate="f⁽²⁾ = %{x:.3f}<br>f⁽³⁾ = %{y:.3f}", opacity=0.9,
        )  # fmt: skip
        trace["marker"]["line"]["color"] = style.PAPER
        if (pictures[rows] >= 0).all():
            trace["customdata"] = pictures[rows].tolist()
        traces.append(trace)
    axes = style.axis("component f⁽²⁾(x)"), style.axis("component f⁽³⁾(x)")
    return {"data": traces, "layout": style.layout(*axes)}


def _along(spec: Any, theory: Snapshot, snapshot: Snapshot | None, as_band: bool, shown: bool) -> dict[str, Any]:
    traces = _networks(snapshot, "g", as_band, legend=True)
    decay = theory["decay"]
    law = "" if spec.components_of == "network" else " c·e<sup>−λt</sup>"
    traces.append(style.line(theory["times"], decay, "limit" + law, style.INK, width=3.5, hovertemplate=_HOVER))
    if shown:
        halves = paper.figures()["figure3"]["time_to_half_g"]
        rows = {n: (t, float(decay[0]) / 2) for n, t in halves.items() if n != "theory"}
        traces.append(_paper_points(rows, "half-times"))
    y = style.axis("|gₜ|", range=[0, 1.15 * float(decay[0])])
    # Everything decays from the upper left: the upper right corner is free.
    corner = {"orientation": "v", "x": 1, "y": 1, "xanchor": "right", "yanchor": "top", "bgcolor": "@paper/0.6"}
    return {"data": traces, "layout": style.layout(style.axis(style.TIME_AXIS), y, legend=corner)}


def _across(spec: Any, theory: Snapshot, snapshot: Snapshot | None, as_band: bool, shown: bool) -> dict[str, Any]:
    traces = _networks(snapshot, "h", as_band, legend=False)
    times = theory["times"]
    name = "limit" if spec.components_of == "network" else "limit: 0"
    traces.append(style.line(times, theory["bend"], name, style.INK, width=3.5, hovertemplate=_HOVER))
    if shown:
        figure = paper.figures()["figure3"]
        peaks, at = figure["orthogonal_norm_peak"], figure["orthogonal_norm_peak_time"]
        traces.append(_paper_points({n: (at[n], values) for n, values in peaks.items()}, "peaks"))
    seen = np.abs(snapshot["h"]) if snapshot is not None else np.zeros(1)
    top = 1.15 * float(np.max(seen[np.isfinite(seen)], initial=0.3 * spec.scale))
    y = style.axis("|hₜ|", range=[0, top])
    return {"data": traces, "layout": style.layout(style.axis(style.TIME_AXIS), y)}


def _networks(snapshot: Snapshot | None, name: str, as_band: bool, legend: bool) -> list[dict[str, Any]]:
    if snapshot is None:
        return []
    curves = np.abs(snapshot[name])
    times, widths = snapshot["history_time"], snapshot["width"]
    return histories.against_time(times, curves, widths, _HOVER, as_band=as_band, legend=legend)


def _paper_points(rows: Mapping[str, Any], what: str) -> dict[str, Any]:
    """The paper's numbers, {width: (times, values)} with one or two trials each, as open markers of one trace."""
    x: list[float] = []
    y: list[float] = []
    labels: list[str] = []
    symbols: list[str] = []
    for k, (n, row) in enumerate(rows.items()):
        times, values = np.broadcast_arrays(*(np.atleast_1d(part) for part in row))
        x += times.tolist()
        y += values.tolist()
        labels += [f"n = {style.thousands(int(n))}"] * len(times)
        symbols += [f"{style.MARKERS[k % 6]}-open"] * len(times)
    hover = "%{text}<br>" + _HOVER
    trace = style.points(x, y, f"paper's {what}", style.MUTED, "circle", text=labels, hovertemplate=hover)
    trace["marker"]["symbol"] = symbols
    return trace


def _values(spec: Any, theory: Snapshot, shown: bool) -> dict[str, Any]:
    values = theory["values"]
    order = np.arange(1, len(values) + 1)
    chosen = order == spec.component
    hover = "λ<sub>%{x}</sub> = %{y:.5f}"
    traces = [
        style.points(order[~chosen], values[~chosen], "λₖ", style.COLOURS[0], "circle", hovertemplate=hover),
        style.points(
            order[chosen], values[chosen], f"λ of the chosen component, k = {spec.component}", style.COLOURS[1],
            "diamond", size=14, hovertemplate=hover,
        ),
    ]  # fmt: skip
    if shown:
        printed = paper.figures()["figure3"]["eigenvalues"]
        k = np.arange(1, len(printed) + 1)
        traces.append(style.points(k, printed, "paper", style.MUTED, "x-thin", size=12, hovertemplate=hover))
    axes = style.axis("component k", dtick=1), style.log_axis("eigenvalue λₖ", values)
    return {"data": traces, "layout": style.layout(*axes)}
