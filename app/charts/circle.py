"""The tangent kernel on the circle, beside its limit (paper, section 6.1 and figure 1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from app.charts import histories, paper, style
from app.charts.style import Panel

if TYPE_CHECKING:
    from ntk_core.runs.snapshot import Snapshot

PANELS = {
    "kernel": Panel(
        "Tangent kernel Θₜ(x₀, x), seen from x₀ = (1, 0)", "main",
        "Kernel against the angle between two points of the circle: one thin curve a network, the limit thick.",
    ),
    "spread": Panel(
        "Spread: networks of one width differ less as it grows", "side",
        "Standard deviation over seeds of the kernel's peak, against width, both axes logarithmic.",
    ),
    "drift": Panel(
        "Drift: training moves the kernel less as width grows", "side",
        "Mean relative change of the kernel's peak since the start, against width, both axes logarithmic.",
    ),
    "peak": Panel(
        "Kernel's peak Θₜ(x₀, x₀) while training", "foot",
        "The kernel's peak against training time, one curve a network, the limit as a level line.",
    ),
    "cost": Panel("Cost while training", "foot", "Cost of every network against training time, logarithmic."),
}  # fmt: skip

OPTIONS = ("band", "initial", "nngp", "paper")

_HOVER = "γ = %{x:.3f}<br>Θ = %{y:.4f}"


def draw(
    spec: Any, theory: Snapshot, snapshot: Snapshot | None, index: int, options: Mapping[str, Any]
) -> dict[str, dict]:
    """The figures of one moment; see `app.charts.draw`."""
    return {
        "kernel": _kernel(spec, theory, snapshot, index, options),
        "spread": _spread(snapshot),
        "drift": _drift(snapshot),
        "peak": _peak(theory, snapshot, bool(options.get("band"))),
        "cost": _cost(theory, snapshot, bool(options.get("band"))),
    }


def _kernel(
    spec: Any, theory: Snapshot, snapshot: Snapshot | None, index: int, options: Mapping[str, Any]
) -> dict[str, Any]:
    gamma, limit = theory["gamma"], theory["ntk"]
    traces: list[dict[str, Any]] = []
    top = _expected_top(spec, limit)
    if options.get("paper") and paper.matches(spec, "figure1"):
        traces += _paper_curves(snapshot)
    if snapshot is not None:
        now, start = snapshot["kernel"], snapshot["initial"]
        finite = [a[np.isfinite(a)] for a in (now, start)]
        top = max(top, *(float(a.max()) for a in finite if a.size), 0.0)
        for i, n in enumerate(snapshot["width"]):
            if options.get("initial") and index > 0:
                xy = style.joined(gamma, start[i])
                old = style.line(*xy, "t = 0 (faint)", style.COLOURS[i % 6], showlegend=i == 0)
                traces.append({**old, "opacity": 0.3, "hoverinfo": "skip", "line": {**old["line"], "width": 1}})
            traces += [
                {"hovertemplate": _HOVER, **trace}
                for trace in style.ensemble(gamma, now[i], f"n = {style.thousands(n)}", i, bool(options.get("band")))
            ]
    if options.get("nngp"):
        traces.append(style.line(gamma, theory["nngp"], "NNGP kernel Σ∞", style.INK, dash="dot", hovertemplate=_HOVER))
    traces.append(style.line(gamma, limit, "limit Θ∞ (n → ∞)", style.INK, width=4, opacity=0.9, hovertemplate=_HOVER))
    low = min(0.0, float(limit.min()) * 1.2)
    y = style.axis("Θₜ(x₀, x)", range=[low, top * 1.05])
    return {"data": traces, "layout": style.layout(style.angle_axis(), y)}


def _expected_top(spec: Any, limit: np.ndarray) -> float:
    """A height that leaves room for the narrowest networks' spread and drift, so that the axis seldom moves."""
    narrowest = min(spec.widths)
    return float(limit.max()) * min(1.15 + 3 / narrowest**0.5 + 40 / narrowest, 2.2)


def _paper_curves(snapshot: Snapshot | None) -> list[dict[str, Any]]:
    """The paper's ten networks of each width, at whichever of its two times is nearer."""
    data = paper.figures()
    time = 0 if snapshot is None or snapshot.time < 100 else 200
    gamma = np.asarray(data["gamma"])
    traces = []
    for n, colour in ((500, style.MUTED), (10_000, style.MUTED)):
        curves = np.asarray(data["figure1"][f"n={n}, t={time}"])
        name = f"paper, n = {style.thousands(n)}, t = {time}"
        dash = "dot" if n == 500 else "dashdot"
        traces.append(style.line(*style.joined(gamma, curves), name, colour, width=1, dash=dash, hovertemplate=_HOVER))
    return traces


def _spread(snapshot: Snapshot | None) -> dict[str, Any]:
    title = "std of Θ(x₀, x₀)"
    if snapshot is None or snapshot["kernel"].shape[1] < 2:
        sentence = "Train, and the spread appears here" if snapshot is None else "A spread needs two seeds or more"
        return style.empty(sentence, style.width_axis(), style.log_axis(title))
    start, now = (style.over_seeds(_std, peaks.T) for peaks in (snapshot["peak"][:, :, 0], _latest(snapshot)))
    traces = histories.law(snapshot["width"], start, -0.5, "t = 0", "circle", first=True)
    return _law_figure([*traces, *histories.law(snapshot["width"], now, -0.5, "now", "diamond")], title)


def _drift(snapshot: Snapshot | None) -> dict[str, Any]:
    title = "|mean of Θₜ/Θ₀ − 1|"
    if snapshot is None or snapshot.index == 0:
        return style.empty("Train, and the drift appears here", style.width_axis(), style.log_axis(title))
    growth = _latest(snapshot) / snapshot["peak"][:, :, 0] - 1
    now = abs(style.over_seeds(np.nanmean, growth.T))
    return _law_figure(histories.law(snapshot["width"], now, -1, "now", "diamond"), title)


def _law_figure(traces: list[dict[str, Any]], title: str) -> dict[str, Any]:
    drawn = [style.numbers(trace["y"]) for trace in traces]
    return {
        "data": traces,
        "layout": style.layout(style.width_axis(), style.log_axis(title, np.concatenate([[], *drawn]))),
    }


def _latest(snapshot: Snapshot) -> np.ndarray:
    """The peak (width, seed) at this snapshot's own time, NaN for networks that are not there yet."""
    return snapshot["peak"][:, :, min(snapshot.index, snapshot["peak"].shape[2] - 1)]


def _std(values: np.ndarray, axis: int) -> np.ndarray:
    """Standard deviation over seeds, unbiased variance; NaN where a width has fewer than two networks."""
    count = np.isfinite(values).sum(axis=axis)
    squares = np.nansum((values - np.nanmean(values, axis=axis)) ** 2, axis=axis)
    return np.sqrt(squares / np.where(count > 1, count - 1, np.nan))


def _peak(theory: Snapshot, snapshot: Snapshot | None, as_band: bool) -> dict[str, Any]:
    gamma, limit = theory["gamma"], theory["ntk"]
    level = float(limit[np.argmin(abs(gamma))])
    x, y = style.axis(style.TIME_AXIS), style.axis("Θₜ(x₀, x₀)")
    if snapshot is None:
        return style.empty("Train, and the peak's path appears here", x, y)
    times = snapshot["history_time"]
    traces = histories.against_time(
        times, snapshot["peak"], snapshot["width"], "t = %{x:.4g}<br>Θ = %{y:.4f}", as_band=as_band
    )
    ends = np.array([0.0, max(float(np.nanmax(times)), 1e-9)])
    traces.append(style.line(ends, [level, level], "limit Θ∞", style.INK, width=3, hoverinfo="skip"))
    return {"data": traces, "layout": style.layout(x, y)}


def _cost(theory: Snapshot, snapshot: Snapshot | None, as_band: bool) -> dict[str, Any]:
    x = style.axis(style.TIME_AXIS)
    y = style.cost_axis(theory["cost"], *([snapshot["cost"]] if snapshot is not None else []))
    traces: list[dict[str, Any]] = []
    if snapshot is not None:
        hover = "t = %{x:.4g}<br>cost %{y:.3g}"
        history = snapshot["history_time"]
        traces += histories.against_time(history, snapshot["cost"], snapshot["width"], hover, as_band=as_band)
    hover = "t = %{x:.4g}<br>%{y:.3g}<extra>expected cost of the limit</extra>"
    limit = style.line(theory["times"], theory["cost"], "limit: expected", style.INK, width=3, hovertemplate=hover)
    return {"data": [*traces, limit], "layout": style.layout(x, y)}
