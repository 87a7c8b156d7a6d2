"""Random functions, the kernel that they approximate, and what both learn (paper, section 3.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from app.charts import arrays, law_marks, style
from app.charts.entry import Entry
from app.charts.style import Panel

if TYPE_CHECKING:
    from ntk_core.runs.theory import Theory

NAMES = {"ntk": "Θ∞ (NTK)", "nngp": "Σ∞ (NNGP)", "rbf": "RBF", "matern": "Matérn 3/2"}
P_AXIS = "number of random functions P"


def moments(spec: Any, theory: Theory) -> tuple[float, ...]:
    """Every output time."""
    return tuple(map(float, theory["times"]))


def caption(spec: Any, time: float) -> str:
    """The clock's line."""
    return f"t = {time:,.6g} (gradient flow), P = {style.thousands(spec.functions)}"


def facts(spec: Any, plan: Any) -> list[str]:
    """What the numbers stand on."""
    kernel = NAMES[spec.kernel]
    if spec.kernel in ("ntk", "nngp"):
        kernel += f" of depth {spec.depth} = weight matrices, {spec.activation}, β = {spec.beta:g}"
        kernel += f", w = {spec.w_std:g}" if spec.w_std != 1 else ""
    else:
        kernel += f" of length {spec.length:g}"
    return [f"K = {kernel}", "cost ½ mean (f − f*)²", "gradient flow from θ = 0", f"seed {spec.seed:,}", "float64"]


def _functions(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any]:
    traces: list[dict[str, Any]] = []
    low, high = np.inf, -np.inf
    for entry in entries:
        theory, gamma = entry.theory, entry.theory["gamma"]
        j = _index(theory, time)
        if options.get("functions_shown"):
            drawn = theory["function"]
            name = entry.named("first random functions f⁽ᵖ⁾")
            traces.append(style.lines(arrays.curves(gamma, drawn), name, style.MUTED, width=1, dash="dot"))
            low, high = min(low, float(drawn.min())), max(high, float(drawn.max()))
        name = entry.named(f"f<sub>θ</sub> of {_count(entry.spec.functions)}")
        hover = {"hovertemplate": "γ = %{x:.3f}<br>f = %{y:.4f}"}
        colour = style.COLOURS[entry.first % 6]
        wanted = entry.named("kernel gradient descent with K")
        traces.append(style.line(gamma, theory["kernel_path"][j], wanted, style.INK, width=4, opacity=0.9, **hover))
        traces.append(style.line(gamma, theory["random_path"][j], name, colour, width=2.5, **hover))
        points = theory["train_gamma"], theory["train_y"]
        traces.append(style.points(*points, entry.named("training points"), style.INK, "circle", size=9))
        every = [theory["random_path"], theory["kernel_path"], theory["train_y"]]
        low, high = min(low, *(float(a.min()) for a in every)), max(high, *(float(a.max()) for a in every))
    room = 0.06 * (high - low) or 1.0
    # So many ticks at any height: labels that grow wider as the picture is made smaller would run into the title.
    y = style.axis("f(x) at time t", range=[low - room, high + room], nticks=8)
    return {"data": traces, "layout": style.layout(style.angle_axis(), y)}


def _kernel(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any]:
    traces, hover = [], {"hovertemplate": "γ = %{x:.3f}<br>K = %{y:.4f}"}
    for entry in entries:
        gamma, theory = entry.theory["gamma"], entry.theory
        name = entry.named(f"K = {NAMES[entry.spec.kernel]}")
        traces.append(style.line(gamma, theory["kernel"], name, style.INK, width=4, opacity=0.9, **hover))
        name = entry.named(f"K̃, {_count(entry.spec.functions)}")
        traces.append(style.line(gamma, theory["approximate"], name, style.COLOURS[entry.first % 6], **hover))
    return {"data": traces, "layout": style.layout(style.angle_axis(), style.axis("K(x₀, x)"))}


def _convergence(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any]:
    traces: list[dict[str, Any]] = []
    shown: list[Any] = []
    for entry in entries:
        count, error, exact = (entry.theory[name] for name in ("count", "error", "expected_error"))
        shown += [error, exact]
        hover = {"hovertemplate": "P = %{x:,}<br>%{y:.3g}"}
        name = entry.named("exact root mean square, ∝ 1/√P")
        traces.append(style.line(count, exact, name, style.INK, width=3, **hover))
        each = np.broadcast_to(count, error.shape).ravel()
        name = entry.named(f"{len(error)} draws; {_slope(count, error)}")
        traces.append(style.points(each, error.ravel(), name, style.MUTED, "circle", size=5, outline=0, **hover))
        name = entry.named(f"this one, {_count(entry.spec.functions)}")
        here = np.array([entry.spec.functions]), np.array([entry.theory.info["error"]])
        traces.append(style.points(*here, name, style.COLOURS[entry.first % 6], "diamond", size=13, **hover))
        shown.append(here[1])
    x = style.axis(P_AXIS, type="log", tickformat=",.0f", dtick=1)
    y = style.log_axis("|K̃ − K| / |K|", np.concatenate([np.ravel(a) for a in shown]))
    return {"data": traces, "layout": style.layout(x, y)}


def _gap(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any]:
    traces = []
    for entry in entries:
        times, gap, colour = entry.theory["times"], entry.theory["gap"], style.COLOURS[entry.first % 6]
        name, hover = entry.named(_count(entry.spec.functions)), "t = %{x:.4g}<br>%{y:.3g}"
        traces.append(style.line(times, gap, name, colour, hovertemplate=hover))
        j = _index(entry.theory, time)
        now = entry.named("now")
        traces.append(style.points(times[j : j + 1], gap[j : j + 1], now, colour, "diamond", hovertemplate=hover))
    y = style.axis("rms difference", rangemode="tozero")
    return {"data": traces, "layout": style.layout(style.axis("time t of gradient flow"), y)}


def _index(theory: Theory, time: float) -> int:
    """The last of its times that is not after `time`."""
    return max(int(np.searchsorted(theory["times"], time * (1 + 1e-12), side="right")) - 1, 0)


def _slope(count: np.ndarray, error: np.ndarray) -> str:
    """The slope of the draws' root mean square in log-log, by least squares."""
    fit = law_marks.fitted(tuple(count), tuple(np.sqrt(np.mean(error**2, axis=0))))
    return f"slope {fit.slope:.2f}".replace("-", "−")


def _count(functions: int) -> str:
    return f"P = {style.thousands(functions)}"


PANELS = {
    "f": Panel(
        "What P random functions learn, and what the kernel learns", "main",
        "Function on the circle at time t: the model of P random functions, kernel gradient descent, training points.",
        _functions,
    ),
    "kernel": Panel(
        "The kernels, seen from x₀ = (1, 0)", "side",
        "Kernel K and its approximation by P random functions, against the angle on the circle.", _kernel,
    ),
    "convergence": Panel(
        "K̃ approaches K like 1/√P", "side",
        "Relative error of the approximate kernel against the number of functions, both axes logarithmic.",
        _convergence,
    ),
    "gap": Panel(
        "Distance between the two paths", "foot",
        "Root mean square over the circle of the difference of the two paths, against time.", _gap,
    ),
}  # fmt: skip
