"""Kernel principal components, and networks that learn along one of them (paper, section 6.3 and figure 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from app.charts import histories, paper, style
from app.charts.entry import Entry
from app.charts.style import Panel

_SHAPES = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star", "triangle-down", "pentagon", "hexagram")
_HOVER = "t = %{x:.4g}<br>%{y:.4f}"


def _papers(entry: Entry, options: Mapping[str, Any]) -> bool:
    return bool(options.get("paper")) and paper.matches(entry.spec, "figure3")


def _batch(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any]:
    theory = entries[0].theory
    x, y, labels, pictures = (theory[name] for name in ("x", "y", "label", "picture"))
    classes = theory.info["classes"]
    signs = {-1: "f* < 0", 0: "f* = 0", 1: "f* > 0"}
    traces = []
    for k, label in enumerate(np.unique(labels)):
        rows = labels == label
        name = style.foreign(classes[label]) if classes else signs[int(label)]
        trace = style.points(
            x[rows], y[rows], name, style.COLOURS[k % 6], _SHAPES[k % 10],
            size=8, outline=0.5, hovertemplate="f⁽²⁾ = %{x:.3f}<br>f⁽³⁾ = %{y:.3f}", opacity=0.9,
        )  # fmt: skip
        trace["marker"]["line"]["color"] = style.PAPER
        if (pictures[rows] >= 0).all():
            trace["customdata"] = pictures[rows].tolist()
        traces.append(trace)
    axes = style.axis("component f⁽²⁾(x)"), style.axis("component f⁽³⁾(x)")
    return {"data": traces, "layout": style.layout(*axes)}


def _along(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any]:
    band = bool(options.get("band"))
    traces = histories.against_time(entries, "g", time, _HOVER, as_band=band)
    top = 0.0
    for entry in entries:
        decay = entry.theory["decay"]
        top = max(top, 1.15 * float(decay[0]))
        law = "" if entry.spec.components_of == "network" else " c·e<sup>−λt</sup>"
        name = entry.named("limit" + law)
        traces.append(style.line(entry.theory["times"], decay, name, style.INK, width=3.5, hovertemplate=_HOVER))
        if _papers(entry, options):
            halves = paper.figures()["figure3"]["time_to_half_g"]
            rows = {n: (t, float(decay[0]) / 2) for n, t in halves.items() if n != "theory"}
            traces += _paper_points(rows, "half-times")
    axes = histories.time_axis(entries), style.axis("|gₜ|", range=[0, top])
    return {"data": traces, "layout": style.layout(*axes)}


def _across(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any]:
    traces = histories.against_time(entries, "h", time, _HOVER, as_band=bool(options.get("band")))
    top = 0.0
    for entry in entries:
        theory = entry.theory
        name = entry.named("limit" if entry.spec.components_of == "network" else "limit: 0")
        traces.append(style.line(theory["times"], theory["bend"], name, style.INK, width=3.5, hovertemplate=_HOVER))
        if _papers(entry, options):
            figure = paper.figures()["figure3"]
            peaks, at = figure["orthogonal_norm_peak"], figure["orthogonal_norm_peak_time"]
            traces += _paper_points({n: (at[n], values) for n, values in peaks.items()}, "peaks")
        seen = entry.until("h", time) if entry.there(time) else np.zeros(1)
        top = max(top, float(np.max(seen[np.isfinite(seen)], initial=0.3 * entry.spec.scale)))
    axes = histories.time_axis(entries), style.axis("|hₜ|", range=[0, 1.15 * top])
    return {"data": traces, "layout": style.layout(*axes)}


def _paper_points(rows: Mapping[str, Any], what: str) -> list[dict[str, Any]]:
    """The paper's numbers, {width: (times, values)} with one or two trials each, as open markers: a shape a width."""
    traces = []
    for k, (n, row) in enumerate(rows.items()):
        times, values = np.broadcast_arrays(*(np.atleast_1d(part) for part in row))
        name = f"paper's {what}, n = {style.thousands(int(n))}"
        more = {"open": True, "hovertemplate": f"{_HOVER}<extra>{name}</extra>"}
        traces.append(style.points(times, values, name, style.MUTED, style.MARKERS[k % 6], **more))
    return traces


def _values(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any]:
    traces, seen = [], []
    for entry in entries:
        values, k, own = entry.theory["values"], entry.spec.component, _own(entry)
        seen += [values, own[np.isfinite(own)]]
        traces += _own_values(entry, own)
        order = np.arange(1, len(values) + 1)
        for which, name, symbol, size in (
            (order != k, "limit", "circle", 10), (order == k, f"limit, the chosen k = {k}", "diamond", 15)
        ):  # fmt: skip
            more = {"size": size, "open": True, "hovertemplate": "λ<sub>%{x}</sub> = %{y:.5f}"}
            traces.append(style.points(order[which], values[which], entry.named(name), style.INK, symbol, **more))
        if _papers(entry, options):
            printed = paper.figures()["figure3"]["eigenvalues"]
            more = {"size": 12, "hovertemplate": "λ<sub>%{x}</sub> = %{y:.5f}"}
            traces.append(style.points(order[: len(printed)], printed, "paper", style.MUTED, "x-thin", **more))
    axes = style.axis("component k", dtick=1), style.log_axis("eigenvalue λₖ", np.concatenate(seen))
    return {"data": traces, "layout": style.layout(*axes)}


def _own(entry: Entry) -> np.ndarray:
    """The networks' own positive eigenvalues before training, (width, seed, component), NaN where none is known."""
    if not entry.there(0.0):
        return np.full((len(entry.spec.widths), 0, 0), np.nan)
    values = entry.now("eigenvalues", 0.0)
    return np.where(values > 0, values, np.nan)


def _own_values(entry: Entry, own: np.ndarray) -> list[dict[str, Any]]:
    """They stand to the right of the limit's, in the order of their widths."""
    traces = []
    for i, n in enumerate(entry.spec.widths):
        seed, k = np.nonzero(np.isfinite(own[i]))
        if not seed.size:
            continue
        index = entry.first + i
        traces.append(style.points(
            k + 1 + 0.6 * (i + 1) / (len(own) + 1), own[i][seed, k], entry.named(f"n = {style.thousands(n)}"),
            style.COLOURS[index % 6], style.MARKERS[index % 6], size=7, outline=0, opacity=0.75,
            customdata=(k + 1).tolist(), hovertemplate="λ<sub>%{customdata}</sub> = %{y:.5f}",
        ))  # fmt: skip
    return traces


PANELS = {
    "batch": Panel(
        "The batch in components 2 and 3", "main",
        "Every input of the batch at its values of the second and third kernel principal component.", _batch,
        pictures=True,
    ),
    "g": Panel(
        "|gₜ|: what is left along the component", "side",
        "Norm of the part of f minus goal along the component against time; the limit decays exponentially.", _along,
    ),
    "h": Panel(
        "|hₜ|: how far the path bends away", "side",
        "Norm of the part of f minus goal orthogonal to the component against time; the limit is zero along its own "
        "components.", _across,
    ),
    "values": Panel(
        "Eigenvalues λₖ of Θ₀/N: the networks' own beside the limit's", "base",
        "The first eigenvalues of the limiting kernel, and of every network's own before training, on a logarithmic "
        "axis.",
        _values,
    ),
}  # fmt: skip
