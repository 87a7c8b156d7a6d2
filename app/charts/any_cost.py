"""Any cost, any direction: functions, how the cost falls, and how little wide kernels move (sections 3, 4.2)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from app.charts import arrays, histories, style
from app.charts.entry import Entry
from app.charts.style import Panel
from app.charts.theories import THEORIES, theory_of
from ntk_core.experiments._any_cost_spec import DRAWS

if TYPE_CHECKING:
    from ntk_core.runs.theory import Theory

COSTS = {
    "squared": "cost ½ mean (f − f*)²", "logistic": "logistic cost", "huber": "Huber cost",
    "cross_entropy": "cross-entropy",
}  # fmt: skip
FORMULAS = {"logistic": "mean log(1 + e^(−yf))", "cross_entropy": "mean −log p(class)"}
LENGTH_AXIS = "∫ |dₛ| ds from 0 to t"
_T_HOVER = "t = %{x:.4g}<br>%{y:.3g}"
_M_HOVER = "∫|d| = %{x:.4g}<br>%{y:.3g}"


def moments(spec: Any, theory: Theory) -> tuple[float, ...]:
    """Every output time."""
    return tuple(map(float, theory["times"]))


def facts(spec: Any, plan: Any) -> list[str]:
    """What the numbers stand on."""
    last = f"seeds {spec.seed:,} to {spec.seed + spec.seeds - 1:,}" if spec.seeds > 1 else f"seed {spec.seed:,}"
    networks = f"networks: {spec.steps:,} steps × rate {spec.learning_rate:g}"
    if spec.rule == "gradient_flow":
        networks = f"networks: gradient flow up to t = {spec.time:g}"
    return [
        f"depth {spec.depth} = weight matrices, {spec.activation}, β = {spec.beta:g}", _driven(spec), networks,
        f"{THEORIES[spec.kernel]}: gradient flow, its band of {DRAWS} draws of f₀", last, spec.precision,
    ]  # fmt: skip


def _driven(spec: Any) -> str:
    if spec.drive == "direction":
        return f"d = {spec.direction}, f* = y"
    if spec.drive == "players":
        return f"players d = (h, {spec.penalty:g} h − (f − y))"
    if spec.drive == "huber":
        return f"Huber cost, linear beyond |f − f*| = {spec.delta:g}"
    return " ".join(filter(None, [COSTS[spec.drive], FORMULAS.get(spec.drive)]))


def _at(theory: Theory, name: str, time: float) -> np.ndarray:
    """A variable of the limit at the last of its times that is not after `time`."""
    index = int(np.searchsorted(theory["times"], time * (1 + 1e-12), side="right")) - 1
    return theory[name][max(index, 0)]


def _until(theory: Theory, name: str, time: float) -> tuple[np.ndarray, np.ndarray]:
    """Times up to `time`, and the limit's values there."""
    count = max(int(np.searchsorted(theory["times"], time * (1 + 1e-12), side="right")), 1)
    return theory["times"][:count], theory[name][:count]


def _probability(log_odds: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * log_odds))


def _functions(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any]:
    first = entries[0].spec
    same = [e for e in entries if e.spec.classes == first.classes]
    traces = [trace for entry in same for trace in _function(entry, "f", time, options)]
    for entry in same:
        goal = entry.theory["train_y"]
        goal = (1 + goal) / 2 if entry.spec.drive == "logistic" else goal
        name = entry.named("training points")
        dots = style.points(entry.theory["train_gamma"], goal, name, style.INK, "circle", size=12)
        dots["marker"]["line"]["color"] = style.PAPER
        traces.append(dots)
    if first.classes:
        y = style.axis("probability of class 1", range=[-0.04, 1.04])
    else:
        reach = _reach(same, ("low", "high", "f", "train_y"))
        y = style.axis("output f(x)", range=[-reach, reach])
    return {"data": traces, "layout": style.layout(style.angle_axis(), y)}


def _function(entry: Entry, name: str, time: float, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The limit's band and path, and every network, as functions on the circle."""
    gamma, theory = entry.theory["gamma"], entry.theory
    change = _probability if entry.spec.classes else np.asarray
    hover = "γ = %{x:.3f}<br>%{y:.3f}"
    edges = ("low", "high") if name == "f" else ("critic_low", "critic_high")
    low, high, middle = (change(_at(theory, key, time)) for key in (*edges, name))
    traces = style.band(gamma, low, high, entry.named(f"{theory_of(entry)}: 10–90 %"), style.INK, 0.13)
    if entry.there(time):
        band = bool(options.get("band"))
        traces += histories.over_x(entry, gamma, change(entry.now(name, time)), hover, as_band=band)
    label = entry.named(f"{theory_of(entry)} from f₀ = 0")
    thick = {"width": 4, "opacity": 0.9, "hovertemplate": hover}
    return [*traces, style.line(gamma, middle, label, style.INK, **thick)]


def _critic(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any] | None:
    """The second player, where there are two."""
    playing = [e for e in entries if e.spec.drive == "players"]
    if not playing:
        return None
    traces = [trace for entry in playing for trace in _function(entry, "critic", time, options)]
    reach = _reach(playing, ("critic_low", "critic_high", "critic"))
    y = style.axis("critic's output h(x)", range=[-reach, reach])
    return {"data": traces, "layout": style.layout(style.angle_axis(), y)}


def _reach(entries: Sequence[Entry], names: Sequence[str]) -> float:
    """Half the height of a picture: the same at all times, so that only the functions move."""
    return 1.08 * max(1e-3, *(float(np.abs(e.theory[name]).max()) for e in entries for name in names))


def _falling(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any] | None:
    """Where the cost's own gradient drives, so that it falls."""
    gradient = all(e.spec.has_cost for e in _driven_by_one(entries))
    return _decrease(entries, time, gradient=True) if gradient else None


def _changing(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any] | None:
    """Where a direction of one's own drives, under which the squared error may rise too."""
    gradient = all(e.spec.has_cost for e in _driven_by_one(entries))
    return None if gradient else _decrease(entries, time, gradient=False)


def _driven_by_one(entries: Sequence[Entry]) -> list[Entry]:
    return [e for e in entries if e.spec.drive != "players"]


def _decrease(entries: Sequence[Entry], time: float, *, gradient: bool) -> dict[str, Any] | None:
    """|d|_K^2 as lines and -dC/dt as dots: for networks between output times, for the limit at them."""
    driven = _driven_by_one(entries)
    if not driven:
        return None
    symbol = "‖d‖²_K" if gradient else "⟨∂C, d⟩_K"
    traces = histories.against_time(driven, "power", time, _T_HOVER)
    for entry in (e for e in driven if e.there(time)):
        traces += _slopes(entry, time)
    for entry in driven:
        moment, power, times = (entry.theory[key] for key in ("moment", "power", "times"))
        name = entry.named(f"{theory_of(entry)}: {symbol.replace('_K', '<sub>K</sub>')}")
        traces.append(style.line(moment, power, name, style.INK, width=4, opacity=0.9, hovertemplate=_T_HOVER))
        fell = times, entry.theory["decrease"], entry.named(f"{theory_of(entry)}: −dC/dt")
        rings = style.points(*fell, style.INK, "circle", open=True, size=9, outline=1.5, cliponaxis=False)
        traces.append(rings | {"hovertemplate": _T_HOVER})
    y = _decrease_axis(driven, time) if gradient else style.axis("−dC/dt")
    return {"data": traces, "layout": style.layout(histories.time_axis(entries), y)}


def _slopes(entry: Entry, time: float) -> list[dict[str, Any]]:
    """How much every network's cost fell between two output times, over their distance: dots in its width's colour."""
    times, cost = entry.times(time), entry.until("cost", time)
    if len(times) < 2:
        return []
    with np.errstate(all="ignore"):
        fell = (cost[..., :-1] - cost[..., 1:]) / np.diff(times)
    middle = (times[1:] + times[:-1]) / 2
    traces = []
    for i, n in enumerate(entry.spec.widths):
        there = np.isfinite(fell[i])
        x = np.broadcast_to(middle, fell[i].shape)[there]
        name, colour = entry.named(f"n = {style.thousands(n)}: −dC/dt"), style.COLOURS[(entry.first + i) % 6]
        dots = style.points(x, fell[i][there], name, colour, "circle", size=4, outline=0)
        traces.append(dots | {"hovertemplate": _T_HOVER, "showlegend": False})
    return traces


def _decrease_axis(entries: Sequence[Entry], time: float) -> dict[str, Any]:
    """Logarithmic, down to a millionth of the largest: below it there is nothing but rounding."""
    seen = [entry.theory["power"] for entry in entries]
    seen += [entry.until("power", time).ravel() for entry in entries if entry.there(time)]
    values = np.concatenate(seen)
    values = values[np.isfinite(values) & (values > 0)]
    if not values.size:
        return style.axis("−dC/dt")
    top = float(values.max())
    low = max(float(values.min()), 1e-6 * top)
    return style.log_axis("−dC/dt", [low, top], range=[math.log10(low / 1.5), math.log10(top * 1.5)])


def _movement(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any]:
    """How far every network's kernel has gone against the integral of |d|; the limit's stays where it is."""
    traces: list[dict[str, Any]] = []
    reach = 1e-9
    for entry in entries:
        reach = max(reach, float(entry.theory["length"][-1]))
        if entry.there(time):
            length, moved = entry.until("length", time), entry.until("movement", time)
            finite = length[np.isfinite(length)]
            reach = max(reach, float(finite.max())) if finite.size else reach
            traces += _paths(entry, length, moved)
    for entry in entries:
        _, length = _until(entry.theory, "length", time)
        still = "limit: Θ∞" if entry.spec.kernel == "ntk" else f"{theory_of(entry)}:"
        name = entry.named(f"{still} stays put")
        traces.append(style.line(length, 0 * length, name, style.INK, width=4, opacity=0.9, hoverinfo="skip"))
        dot = style.points(length[-1:], [0.0], entry.named(f"{theory_of(entry)}, now"), style.INK, "circle", size=10)
        traces.append(dot | {"showlegend": False, "hovertemplate": _M_HOVER})
    top = max([0.1, *(float(np.nanmax(arrays.numbers(t["y"]), initial=0.0)) for t in traces)])
    x = style.axis(LENGTH_AXIS, range=[-0.02 * reach, 1.05 * reach])
    y = style.axis("|Θₜ − Θ₀| / |Θ₀|", range=[-0.05 * top, 1.08 * top])
    return {"data": traces, "layout": style.layout(x, y)}


def _paths(entry: Entry, length: np.ndarray, moved: np.ndarray) -> list[dict[str, Any]]:
    """One trace a width: (length, movement) of every seed, gaps between them."""
    traces = []
    for i, n in enumerate(entry.spec.widths):
        good = np.isfinite(length[i]) & np.isfinite(moved[i])
        pairs = [np.where(good, a[i], np.nan) for a in (length, moved)]
        x, y = (np.pad(a, ((0, 0), (0, 1)), constant_values=np.nan).ravel() for a in pairs)
        k = (entry.first + i) % 6
        name = entry.named(f"n = {style.thousands(n)}")
        style_of = {"dash": style.DASHES[k], "width": 1.6, "opacity": 0.9, "hovertemplate": _M_HOVER}
        traces.append(style.line(x, y, name, style.COLOURS[k], **style_of))
    return traces


def _cost(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any]:
    hover = "t = %{x:.4g}<br>cost %{y:.3g}"
    traces = histories.against_time(entries, "cost", time, hover, as_band=bool(options.get("band")))
    for entry in entries:
        times, cost = entry.theory["moment"], entry.theory["cost"]
        name = entry.named(f"{theory_of(entry)} from f₀ = 0")
        traces.append(style.line(times, cost, name, style.INK, width=4, opacity=0.9, hovertemplate=hover))
    layout = histories.cost_layout(entries, time)
    layout["yaxis"]["title"]["text"] = COSTS[entries[0].spec.cost_name]
    return {"data": traces, "layout": layout}


PANELS = {
    "f": Panel(
        "What is learned on the circle", "main",
        "Output, or probability of the first class, against angle: networks thin, the limit thick in its band.",
        _functions,
    ),
    "decrease": Panel(
        "The cost falls as the kernel says", "side",
        "Rate at which the cost falls (dots) and squared norm of the direction in the kernel's space (lines), "
        "against time.", _falling,
    ),
    "change": Panel(
        "How the squared error changes, and what the kernel says", "side",
        "Rate at which the squared error falls, or rises where negative (dots), and what the kernel makes of the "
        "direction (lines), against time.", _changing,
    ),
    "critic": Panel(
        "The critic, the other player", "side", "Critic's output against angle: networks thin, the limit thick.",
        _critic,
    ),
    "movement": Panel(
        "While ∫|d| is bounded, wide kernels stay put", "side",
        "Relative movement of every network's kernel against the integral of |d|: less the wider it is.", _movement,
    ),
    "cost": Panel(
        "Cost while training", "foot", "Cost of every network against time, and of the limit, thick.", _cost
    ),
}  # fmt: skip
