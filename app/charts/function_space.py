"""An ensemble of networks and its limiting Gaussian, as functions on the circle (paper, section 6.2 and figure 2)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from app.charts import arrays, histories, paper, style
from app.charts.entry import Entry
from app.charts.style import Panel
from app.charts.theories import kernel_of, theory_of

if TYPE_CHECKING:
    from ntk_core.runs.theory import Theory

Z90 = 1.2815515655446004  # the 90th percentile of a standard normal
MARKS = 40  # of a curve drawn as such
WILD = 2.0  # times as far as at all finite times: what the limit does at infinity shall not flatten them
_HOVER = "γ = %{x:.3f}<br>f = %{y:.3f}"


def moments(spec: Any, theory: Theory) -> tuple[float, ...]:
    """Every output time, and infinity."""
    return tuple(float(t) for t in theory["times"])


def _at(theory: Theory, name: str, time: float) -> np.ndarray:
    """A curve of the limit at the last of its times that is not after `time`."""
    index = np.searchsorted(theory["times"], time * (1 + 1e-12), side="right") - 1
    return theory[name][max(int(index), 0)]


def _functions(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any]:
    traces: list[dict[str, Any]] = []
    for entry in entries:
        gamma = entry.theory["gamma"]
        mean, std = (_at(entry.theory, name, time) for name in ("mean", "std"))
        name = entry.named(f"{theory_of(entry)}: 10–90 %")
        traces += style.band(gamma, mean - Z90 * std, mean + Z90 * std, name, style.INK, 0.13)
        if options.get("gp"):
            traces += _posterior(entry)
        # At infinity the limit is alone: no network has been there.
        if entry.there(time) and not math.isinf(time):
            traces += histories.over_x(entry, gamma, entry.now("f", time), _HOVER, as_band=bool(options.get("band")))
        if options.get("paper") and paper.matches(entry.spec, "figure2"):
            traces += _paper_curves()
        middle = {"width": 4, "opacity": 0.9, "hovertemplate": _HOVER}
        if "ntk_mean" in entry.theory:
            ntk = {"dash": "dash", "width": 2.5, "hovertemplate": _HOVER}
            traces.append(
                style.line(gamma, _at(entry.theory, "ntk_mean", time), entry.named("limit: mean"), style.MUTED, **ntk)
            )
        traces.append(style.line(gamma, mean, entry.named(f"{theory_of(entry)}: median"), style.INK, **middle))
    traces += [_training_points(entry) for entry in entries]
    reach = max(_reach(entry.theory, time, bool(options.get("gp"))) for entry in entries)
    return {
        "data": traces,
        "layout": style.layout(style.angle_axis(), style.axis("output f(x)", range=[-reach, reach])),
    }


def _training_points(entry: Entry) -> dict[str, Any]:
    x, y = entry.theory["train_gamma"], entry.theory["train_y"]
    name = entry.named("training points")
    dots = style.points(x, y, name, style.INK, "circle", size=13, outline=2, hovertemplate=_HOVER)
    dots["marker"]["line"]["color"] = style.PAPER
    return dots


def _reach(theory: Theory, time: float, posterior: bool = False) -> float:
    """Half the height of the picture: the same at all times, so that only the functions move; but at infinity more, if
    points that nearly coincide or conflict take the limit far beyond all that is seen before.
    """
    widest = np.nanmax(np.abs(theory["mean"]) + 2.2 * theory["std"], axis=1)
    finite = np.isfinite(theory["times"])
    reach = float(np.max(widest[finite], initial=0.0))
    if math.isinf(time) or widest.max() < WILD * reach:
        reach = float(widest.max())
    if posterior:
        reach = max(reach, float(np.nanmax(np.abs(theory["gp_mean"]) + 1.4 * theory["gp_std"])))
    targets = np.max(np.abs(theory["train_y"]), initial=0.0)
    return 1.08 * float(max(reach, targets, 1e-3))


def _posterior(entry: Entry) -> list[dict[str, Any]]:
    """What regression with the kernel as a Gaussian process's prior would give: another distribution, named so."""
    gamma, mean, std = (entry.theory[name] for name in ("gamma", "gp_mean", "gp_std"))
    name, colour = entry.named(f"GP posterior with the {kernel_of(entry)} as prior"), style.COLOURS[3]
    edges = arrays.curves(gamma, np.stack([mean - Z90 * std, mean + Z90 * std]))
    return [
        style.line(gamma, mean, name, colour, dash="longdash", width=2.5, hovertemplate=_HOVER),
        style.lines(edges, entry.named("its 10 and 90 %"), colour, dash="dot", hovertemplate=_HOVER),
    ]


def _paper_curves() -> list[dict[str, Any]]:
    """The paper's networks and percentiles, at its end of training (t = 1,000; percentiles for infinite time)."""
    data = paper.figures()
    gamma, figure = np.asarray(data["gamma"]), data["figure2"]
    rows = (("n=50", "paper, n = 50, t = 1,000", "dot"), ("n=1000", "paper, n = 1,000, t = 1,000", "dashdot"))
    traces = [
        style.lines(arrays.curves(gamma, np.asarray(figure[key])), name, style.MUTED, width=1, dash=dash)
        for key, name, dash in rows
    ]
    limits = arrays.curves(gamma, np.concatenate([figure["P50"], figure["P10 and P90"]]))
    return [*traces, style.lines(limits, "paper, percentiles, t = ∞", style.COLOURS[2], dash="dash")]


def _cost(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any]:
    hover = "t = %{x:.4g}<br>cost %{y:.3g}"
    traces = histories.against_time(entries, "cost", time, hover, as_band=bool(options.get("band")))
    traces += histories.costs_of_limits(entries, theory_of)
    marks = [] if math.isinf(time) else [_now_line(time)]
    return {"data": traces, "layout": histories.cost_layout(entries, time, shapes=marks)}


def _now_line(time: float) -> dict[str, Any]:
    edge = {"color": style.MUTED, "width": 1.5, "dash": "dot"}
    return {"type": "line", "xref": "x", "yref": "paper", "x0": time, "x1": time, "y0": 0, "y1": 1, "line": edge}


def _spread(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any]:
    traces: list[dict[str, Any]] = []
    for entry in entries:
        gamma = entry.theory["gamma"]
        if entry.there(time) and not math.isinf(time):
            traces += _spreads(entry, gamma, entry.now("f", time))
        name, std = entry.named(theory_of(entry)), _at(entry.theory, "std", time)
        traces.append(style.line(gamma, std, name, style.INK, width=3, hovertemplate=_HOVER))
    top = 1.3 * max(float(np.nanmax(entry.theory["std"])) for entry in entries)
    axes = style.angle_axis(), style.axis("std of f(x) over seeds", range=[0, max(top, 1e-6)])
    return {"data": traces, "layout": style.layout(*axes)}


def _spreads(entry: Entry, gamma: np.ndarray, curves: np.ndarray) -> list[dict[str, Any]]:
    """Standard deviation over the seeds of every width that has two networks or more."""
    traces = []
    for i, n in enumerate(entry.spec.widths):
        there = curves[i][np.isfinite(curves[i]).all(axis=1)]
        if len(there) > 1:
            k = (entry.first + i) % 6
            name = entry.named(f"n = {style.thousands(n)}")
            traces.append(
                style.line(
                    gamma, there.std(axis=0, ddof=1), name, style.COLOURS[k], dash=style.DASHES[k],
                    hovertemplate=_HOVER,
                )
            )  # fmt: skip
    return traces


def _own(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any]:
    """The first network of every width beside kernel gradient descent with its own kernel, of t = 0 and of now."""
    reach = max(_reach(entry.theory, time) for entry in entries)
    axes = style.angle_axis(), style.axis("output f(x)", range=[-reach, reach])
    if math.isinf(time):
        return style.empty("No network has been there: choose an earlier time", *axes)
    traces = [trace for entry in entries if entry.there(time) for trace in _beside_their_kernels(entry, time)]
    if not traces:
        return style.empty("Networks stand here beside their own kernels once they are there", *axes)
    traces += [_training_points(entry) for entry in entries]
    return {"data": traces, "layout": style.layout(*axes)}


def _beside_their_kernels(entry: Entry, time: float) -> list[dict[str, Any]]:
    """Networks as lines with the dashes of their width, what their kernels say as marks on top."""
    gamma, traces = entry.theory["gamma"], []
    f, start, now = (entry.now(name, time) for name in ("f", "own_start", "own_now"))
    for i, n in enumerate(entry.spec.widths):
        if not np.isfinite(f[i, 0]).all():
            continue
        k = (entry.first + i) % 6
        name, colour = entry.named(f"n = {style.thousands(n)}"), style.COLOURS[k]
        look = {"dash": style.DASHES[k], "width": 2, "hovertemplate": _HOVER}
        traces.append(style.line(gamma, f[i, 0], f"{name}: trained", colour, **look))
        kernels = (("t = 0", start[i], "circle"), ("now", now[i], "x-thin")) if time else ()
        for which, curves, symbol in kernels:
            if np.isfinite(curves[0]).all():
                label = f"{name}: its kernel of {which}{_off(f[i] - curves)}"
                marks = style.points(gamma, curves[0], label, colour, symbol, open=True, size=7, outline=1.5)
                marks["marker"]["maxdisplayed"] = MARKS
                traces.append(marks | {"hovertemplate": _HOVER})
    return traces


def _off(apart: np.ndarray) -> str:
    """How far all networks of a width are away, root mean square; the first angle is the last."""
    there = apart[np.isfinite(apart).all(1), 1:]
    return f" ({np.sqrt(np.mean(there.astype(float) ** 2)):.2g} off)" if there.size else ""


PANELS = {
    "f": Panel(
        "Networks as functions, and the limit's 10–90 % band", "main",
        "Output against angle: one thin curve a network, the limit's median thick in its band, training points.",
        _functions, clickable=True,
    ),
    "cost": Panel(
        "Cost while training", "side", "Cost of every network against time, and the limit's expected cost, thick.",
        _cost, history=True,
    ),
    "fit": Panel(
        "Spread at each angle", "side", "Standard deviation over seeds against angle, beside the limit's, thick.",
        _spread,
    ),
    "own": Panel(
        "What is left is the kernel's movement: networks beside regression with their own kernels", "foot",
        "The first network of every width, and kernel gradient descent from its start with its own tangent kernel, "
        "of t = 0 (circles) and of the time shown (crosses).", _own,
    ),
}  # fmt: skip
