"""The tangent kernel on the circle, beside its limit (paper, section 6.1 and figure 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from app.charts import arrays, histories, paper, style
from app.charts.entry import Entry
from app.charts.style import Panel

LEVEL = 0.9  # of the intervals around a spread of few networks
_HOVER = "γ = %{x:.3f}<br>Θ = %{y:.4f}"


def _kernel(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any]:
    traces: list[dict[str, Any]] = []
    top, low = 0.0, 0.0
    for entry in entries:
        limit = entry.theory["ntk"]
        top, low = max(top, _expected_top(entry.spec, limit)), min(low, float(limit.min()) * 1.2)
        if options.get("paper") and paper.matches(entry.spec, "figure1"):
            traces += _paper_curves(time)
        if entry.there(time):
            now, start = entry.now("kernel", time), entry.now("kernel", 0.0)
            finite = [a[np.isfinite(a)] for a in (now, start)]
            top = max(top, *(float(a.max()) for a in finite if a.size), 0.0)
            traces += _initial(entry, start) if options.get("initial") and time > 0 else []
            traces += histories.over_x(entry, entry.theory["gamma"], now, _HOVER, as_band=bool(options.get("band")))
        traces += _limit(entry, bool(options.get("nngp")))
    y = style.axis("Θₜ(x₀, x)", range=[low, top * 1.05])
    return {"data": traces, "layout": style.layout(style.angle_axis(), y)}


def _initial(entry: Entry, start: np.ndarray) -> list[dict[str, Any]]:
    """The kernels before training, faint."""
    faint = {"opacity": 0.3, "hoverinfo": "skip", "width": 1}
    return [
        style.lines(
            arrays.curves(entry.theory["gamma"], start[i]), entry.named("t = 0 (faint)"),
            style.COLOURS[(entry.first + i) % 6], showlegend=i == 0, **faint,
        )
        for i in range(len(start))
    ]  # fmt: skip


def _limit(entry: Entry, nngp: bool) -> list[dict[str, Any]]:
    gamma, traces = entry.theory["gamma"], []
    dash = style.DASHES[0 if entry.first == 0 else 1]
    if nngp:
        name = entry.named("NNGP kernel Σ∞")
        traces.append(style.line(gamma, entry.theory["nngp"], name, style.INK, dash="dot", hovertemplate=_HOVER))
    name = entry.named("limit Θ∞ (n → ∞)")
    thick = {"width": 4, "opacity": 0.9, "dash": dash, "hovertemplate": _HOVER}
    return [*traces, style.line(gamma, entry.theory["ntk"], name, style.INK, **thick)]


def _expected_top(spec: Any, limit: np.ndarray) -> float:
    """A height that leaves room for the narrowest networks' spread and drift, so that the axis seldom moves."""
    narrowest = min(spec.widths)
    return float(limit.max()) * min(1.1 + 2 / narrowest**0.5 + 10 / narrowest, 1.7)


def _paper_curves(now: float) -> list[dict[str, Any]]:
    """The paper's ten networks of each width, at whichever of its two times is nearer."""
    data = paper.figures()
    time = 0 if now < 100 else 200
    gamma = np.asarray(data["gamma"])
    traces = []
    for n, dash in ((500, "dot"), (10_000, "dashdot")):
        curves = np.asarray(data["figure1"][f"n={n}, t={time}"])
        name = f"paper, n = {style.thousands(n)}, t = {time}"
        traces.append(
            style.lines(arrays.curves(gamma, curves), name, style.MUTED, width=1, dash=dash, hovertemplate=_HOVER)
        )
    return traces


def _spread(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any]:
    title, traces, alone, still = "std of Θ(x₀, x₀)", [], False, False
    for entry in entries:
        if not entry.there(time):
            continue
        alone |= entry.spec.seeds < 2
        rows = [(0.0, "t = 0", "circle", True)] + [(time, "now", "diamond", False)] * (time > 0)
        for t, name, symbol, first in rows:
            peaks, last = entry.now("peak", t), t == time  # intervals of both would hide each other
            spread = style.over_seeds(_std, peaks.T)
            still |= bool((spread == 0).any())
            traces += histories.law(
                entry.spec.widths, spread, -0.5, entry.named(f"{name}, 90 % interval" if last else name), symbol,
                first=first and time > 0, colours_from=entry.first, reach=_reach(spread, peaks) if last else None,
            )  # fmt: skip
    if traces:
        return _law_figure(traces, title)
    sentence = "A spread needs two seeds or more" if alone else "The spread stands here once there are networks"
    sentence = "The spread is exactly 0: every seed has the same" if still else sentence
    return style.empty(sentence, style.width_axis(), style.log_axis(title))


def _drift(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any]:
    title, traces, still = "|mean of Θₜ/Θ₀ − 1|", [], False
    for entry in entries:
        if time > 0 and entry.there(time) and entry.index(time) > 0:
            growth = entry.now("peak", time) / entry.now("peak", 0.0) - 1
            now = abs(style.over_seeds(np.nanmean, growth.T))
            still |= bool((now == 0).any())
            name = entry.named("now")
            traces += histories.law(entry.spec.widths, now, -1, name, "diamond", colours_from=entry.first)
    if traces:
        return _law_figure(traces, title)
    sentence = "The drift is exactly 0: the kernel has not moved" if still else "The drift stands here after training"
    return style.empty(sentence, style.width_axis(), style.log_axis(title))


def _law_figure(traces: list[dict[str, Any]], title: str) -> dict[str, Any]:
    drawn = [arrays.numbers(trace["y"]) for trace in traces]
    drawn += [np.ravel(trace["customdata"]) for trace in traces if "customdata" in trace]
    return {
        "data": traces,
        "layout": style.layout(style.width_axis(), style.log_axis(title, np.concatenate([[], *drawn]))),
    }


def _reach(spread: np.ndarray, peaks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the 90 % intervals of standard deviations (width,) of as many networks as there are in `peaks` (width,
    seed): wide networks' peaks are Gaussian.
    """
    from ntk_core.finite.chi_squared import around_std

    counts = np.isfinite(peaks).sum(axis=1)
    factors = np.array([around_std(LEVEL, int(c)) if c > 1 else (np.nan, np.nan) for c in counts])
    return spread * factors[:, 0], spread * factors[:, 1]


def _std(values: np.ndarray, axis: int) -> np.ndarray:
    """Standard deviation over seeds, unbiased variance; NaN where a width has fewer than two networks."""
    count = np.isfinite(values).sum(axis=axis)
    squares = np.nansum((values - np.nanmean(values, axis=axis)) ** 2, axis=axis)
    return np.sqrt(squares / np.where(count > 1, count - 1, np.nan))


def _peak(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any]:
    x, y = histories.time_axis(entries), style.axis("Θₜ(x₀, x₀)")
    hover = "t = %{x:.4g}<br>Θ = %{y:.4f}"
    traces = histories.against_time(entries, "peak", time, hover, as_band=bool(options.get("band")))
    if not traces:
        return style.empty("The peak stands here once networks are drawn", x, y)
    for entry in entries:
        level = float(entry.theory["ntk"][np.argmin(abs(entry.theory["gamma"]))])
        ends = np.array([0.0, max(entry.spec.times[-1], 1e-9)])
        name = entry.named("limit Θ∞")
        traces.append(style.line(ends, [level, level], name, style.INK, width=3, hoverinfo="skip"))
    return {"data": traces, "layout": style.layout(x, y)}


def _cost(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any]:
    hover = "t = %{x:.4g}<br>cost %{y:.3g}"
    traces = histories.against_time(entries, "cost", time, hover, as_band=bool(options.get("band")))
    traces += histories.costs_of_limits(entries)
    return {"data": traces, "layout": histories.cost_layout(entries, time)}


PANELS = {
    "kernel": Panel(
        "Tangent kernel Θₜ(x₀, x), seen from x₀ = (1, 0)", "main",
        "Kernel against the angle between two points of the circle: one thin curve a network, the limit thick.",
        _kernel,
    ),
    "spread": Panel(
        "Spread: networks of one width differ less as it grows", "side",
        "Standard deviation over seeds of the kernel's peak, against width, both axes logarithmic.", _spread,
    ),
    "drift": Panel(
        "Drift: training moves the kernel less as width grows", "side",
        "Mean relative change of the kernel's peak since the start, against width, both axes logarithmic.", _drift,
    ),
    "peak": Panel(
        "Kernel's peak Θₜ(x₀, x₀) while training", "foot",
        "The kernel's peak against training time, one curve a network, the limit as a level line.", _peak,
    ),
    "cost": Panel(
        "Cost while training", "foot", "Cost of every network against training time, logarithmic.", _cost
    ),
}  # fmt: skip
