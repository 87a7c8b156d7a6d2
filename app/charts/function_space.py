"""An ensemble of networks and its limiting Gaussian, as functions on the circle (paper, section 6.2 and figure 2)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from app.charts import histories, paper, style
from app.charts.style import Panel

if TYPE_CHECKING:
    from ntk_core.runs.snapshot import Snapshot

PANELS = {
    "f": Panel(
        "Networks as functions, and the limit's 10–90 % band", "main",
        "Output against angle: one thin curve a network, the limit's median thick in its band, training points.",
        clickable=True,
    ),
    "cost": Panel(
        "Cost while training", "side", "Cost of every network against time, and the limit's expected cost, thick."
    ),
    "fit": Panel(
        "Spread at each angle", "side", "Standard deviation over seeds against angle, beside the limit's, thick."
    ),
}  # fmt: skip

OPTIONS = ("band", "gp", "paper")

Z90 = 1.2815515655446004  # the 90th percentile of a standard normal
_HOVER = "γ = %{x:.3f}<br>f = %{y:.3f}"


def frames(spec: Any, theory: Snapshot) -> tuple[float, ...]:
    """Every output time, and infinity."""
    return tuple(float(t) for t in theory["times"])


def draw(
    spec: Any, theory: Snapshot, snapshot: Snapshot | None, index: int, options: Mapping[str, Any]
) -> dict[str, dict]:
    """The figures of one moment; see `app.charts.draw`."""
    index = min(index, len(theory["times"]) - 1)
    return {
        "f": _functions(spec, theory, snapshot, index, options),
        "cost": _cost(theory, snapshot, index, bool(options.get("band"))),
        "fit": _spread(theory, snapshot, index),
    }


def _functions(
    spec: Any, theory: Snapshot, snapshot: Snapshot | None, index: int, options: Mapping[str, Any]
) -> dict[str, Any]:
    gamma, mean, std = theory["gamma"], theory["mean"][index], theory["std"][index]
    traces = style.band(gamma, mean - Z90 * std, mean + Z90 * std, "limit: 10–90 %", style.INK, 0.13)
    if options.get("gp"):
        traces += _posterior(theory)
    if snapshot is not None:
        for i, n in enumerate(snapshot["width"]):
            new = style.ensemble(gamma, snapshot["f"][i], f"n = {style.thousands(n)}", i, bool(options.get("band")))
            traces += [{"hovertemplate": _HOVER, **trace} for trace in new]
    if options.get("paper") and paper.matches(spec, "figure2"):
        traces += _paper_curves()
    traces.append(style.line(gamma, mean, "limit: median", style.INK, width=4, opacity=0.9, hovertemplate=_HOVER))
    x, y = theory["train_gamma"], theory["train_y"]
    dots = style.points(x, y, "training points", style.INK, "circle", size=13, outline=2, hovertemplate=_HOVER)
    dots["marker"]["line"]["color"] = style.PAPER
    traces.append(dots)
    reach = _reach(theory, bool(options.get("gp")))
    return {
        "data": traces,
        "layout": style.layout(style.angle_axis(), style.axis("output f(x)", range=[-reach, reach])),
    }


def _reach(theory: Snapshot, posterior: bool) -> float:
    """Half the height of the picture: the same at all times, so that only the functions move."""
    widest = np.nanmax(np.abs(theory["mean"]) + 2.2 * theory["std"])
    if posterior:
        widest = max(widest, np.nanmax(np.abs(theory["gp_mean"]) + 1.4 * theory["gp_std"]))
    targets = np.max(np.abs(theory["train_y"]), initial=0.0)
    return 1.08 * float(max(widest, targets, 1e-3))


def _posterior(theory: Snapshot) -> list[dict[str, Any]]:
    """What regression with the NTK as a Gaussian process's prior would give: another distribution, so it is named."""
    gamma, mean, std = theory["gamma"], theory["gp_mean"], theory["gp_std"]
    name = "GP posterior with the NTK as prior"
    edges = np.stack([mean - Z90 * std, mean + Z90 * std])
    return [
        style.line(gamma, mean, name, style.COLOURS[3], dash="longdash", width=2.5, hovertemplate=_HOVER),
        style.line(*style.joined(gamma, edges), "its 10 and 90 %", style.COLOURS[3], dash="dot", hovertemplate=_HOVER),
    ]


def _paper_curves() -> list[dict[str, Any]]:
    """The paper's networks and percentiles, at its end of training (t = 1,000; percentiles for infinite time)."""
    data = paper.figures()
    gamma, figure = np.asarray(data["gamma"]), data["figure2"]
    rows = (("n=50", "paper, n = 50", "dot"), ("n=1000", "paper, n = 1,000", "dashdot"))
    traces = [
        style.line(*style.joined(gamma, np.asarray(figure[key])), name, style.MUTED, width=1, dash=dash)
        for key, name, dash in rows
    ]
    limits = np.concatenate([figure["P50"], figure["P10 and P90"]])
    traces.append(style.line(*style.joined(gamma, limits), "paper, percentiles", style.COLOURS[2], dash="dash"))
    return traces


def _cost(theory: Snapshot, snapshot: Snapshot | None, index: int, as_band: bool) -> dict[str, Any]:
    times = theory["times"]
    finite = np.isfinite(times)
    traces: list[dict[str, Any]] = []
    if snapshot is not None:
        hover = "t = %{x:.4g}<br>cost %{y:.3g}"
        history = snapshot["history_time"]
        traces += histories.against_time(history, snapshot["cost"], snapshot["width"], hover, as_band=as_band)
    hover = "t = %{x:.4g}<br>%{y:.3g}<extra>expected cost</extra>"
    expected = theory["cost"][finite]
    traces.append(style.line(times[finite], expected, "limit: expected", style.INK, width=3, hovertemplate=hover))
    now = float(times[index])
    marks = [] if math.isinf(now) else [_now_line(now)]
    y = style.cost_axis(expected, *([snapshot["cost"]] if snapshot is not None else []))
    return {
        "data": traces,
        "layout": style.layout(style.axis(style.TIME_AXIS), y, shapes=marks),
    }


def _now_line(time: float) -> dict[str, Any]:
    edge = {"color": style.MUTED, "width": 1.5, "dash": "dot"}
    return {"type": "line", "xref": "x", "yref": "paper", "x0": time, "x1": time, "y0": 0, "y1": 1, "line": edge}


def _spread(theory: Snapshot, snapshot: Snapshot | None, index: int) -> dict[str, Any]:
    gamma = theory["gamma"]
    traces: list[dict[str, Any]] = []
    if snapshot is not None and snapshot["f"].shape[1] > 1:
        for i, n in enumerate(snapshot["width"]):
            curves = snapshot["f"][i]
            there = curves[np.isfinite(curves).all(axis=1)]
            if len(there) > 1:
                colour, dash = style.COLOURS[i % 6], style.DASHES[i % 6]
                spread = there.std(axis=0, ddof=1)
                traces.append(
                    style.line(
                        gamma,
                        spread,
                        f"n = {style.thousands(n)}",
                        colour,
                        dash=dash,
                        showlegend=False,
                        hovertemplate=_HOVER,
                    )
                )
    traces.append(style.line(gamma, theory["std"][index], "limit", style.INK, width=3, hovertemplate=_HOVER))
    top = 1.3 * float(np.nanmax(theory["std"]))
    axes = style.angle_axis(), style.axis("std of f(x) over seeds", range=[0, max(top, 1e-6)])
    return {"data": traces, "layout": style.layout(*axes)}
