"""Lazy or learning features: functions beside their linearizations, how far kernels move, and what they turn to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from app.charts import arrays, histories, lazy_kinds, lazy_laws, style
from app.charts.entry import Entry
from app.charts.style import Panel

if TYPE_CHECKING:
    from ntk_core.experiments._lazy_spec import Spec
    from ntk_core.runs.plan import Plan
    from ntk_core.runs.theory import Theory

Figure = dict[str, Any]
MOST_DOTS = 400  # of one kind of network
_F_HOVER = "γ = %{x:.3f}<br>f = %{y:.3f}"
_DOT_HOVER = "limit %{x:.4g}<br>%{y:.4g}"
_T_HOVER = "t = %{x:.4g}<br>%{y:.4g}"


def moments(spec: Spec, theory: Theory) -> tuple[float, ...]:
    """Every output time."""
    return tuple(float(t) for t in theory["times"])


def caption(spec: Spec, time: float) -> str:
    """The clock's line: the time, and the steps that make it."""
    return f"t = {time:,.6g} ({round(time / spec.learning_rate):,} steps × rate {spec.learning_rate:g})"


def facts(spec: Spec, plan: Plan | None) -> list[str]:
    """The conventions behind the numbers."""
    hidden = spec.depth - 1
    words = [f"depth {spec.depth} = weight matrices, {hidden} hidden layer{'s' * (hidden != 1)}"]
    words += [f"{spec.activation}, β = {spec.beta:g}"]
    words += [f"w = {spec.w_std:g}"] if spec.w_std != 1 else []
    words += ["output α(f − f₀)" if spec.centred else "output αf", "rates × 1/α²", "cost ½ mean (output − f*)²"]
    words += [f"α = {spec.alphas[0]:g}"] if len(spec.alphas) == 1 else []
    words += ["outputs compared on other rows of the table, or on those learned"] if spec.of_a_table else []
    words += [f"seeds {spec.seed:,} to {spec.seed + spec.seeds - 1:,}", "float32, steps"]
    return words + ([plan.device] if plan else [])


def _learned(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> Figure:
    """Functions on the circle, or outputs at a table's rows: whichever the first entry has."""
    same = [entry for entry in entries if entry.spec.of_a_table == entries[0].spec.of_a_table]
    return (_outputs if entries[0].spec.of_a_table else _functions)(same, time, options)


def _outputs(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> Figure:
    """Outputs at a table's rows against the limit's mean there: on the diagonal they agree."""
    reach = 1.15 * max(_reach(entry) for entry in entries)
    traces: list[Figure] = []
    for entry in entries:
        at = int(np.searchsorted(entry.theory["times"], time * (1 + 1e-12), side="right")) - 1
        where = "other rows" if entry.theory.info["apart"] else "training points"
        if entry.there(time):
            traces += _dots(entry, time, _shown(entry, options))
        mean = entry.theory["mean"][max(at, 0)].ravel()
        limit = {"size": 5, "outline": 0, "hovertemplate": _DOT_HOVER}
        traces.append(style.points(mean, mean, entry.named(f"limit Θ∞ at {where}"), style.INK, "circle", **limit))
    diagonal = {"dash": "dot", "width": 1.5, "hoverinfo": "skip"}
    traces.append(style.line([-reach, reach], [-reach, reach], "as the limit", style.MUTED, **diagonal))
    x, y = (style.axis(title, range=[-reach, reach]) for title in ("mean of fₜ in the limit Θ∞", "output at time t"))
    return {"data": traces, "layout": style.layout(x, y)}


def _dots(entry: Entry, time: float, width: int) -> list[Figure]:
    """Every network's outputs at one width (full), and the mean of their linearizations' (open)."""
    at = int(np.searchsorted(entry.theory["times"], time * (1 + 1e-12), side="right")) - 1
    x = entry.theory["mean"][max(at, 0)].ravel()
    f, linearized, lost = (entry.now(name, time)[:, :, width] for name in ("f", "linearized", "diverged"))
    traces: list[Figure] = []
    for case in entry.spec.cases:
        count, outputs = int(np.sum(lost[case] > 0)), f[case].reshape(len(f[case]), -1)
        there = np.isfinite(outputs)
        if not there.any() and not count:
            continue  # not yet there
        name, colour = entry.named(lazy_kinds.name(entry.spec, case)), lazy_kinds.colour(entry, case)
        told = f"{name} ({count} diverged)" if count else name
        step = max(1, int(there.sum()) // MOST_DOTS)
        seen = np.broadcast_to(x, outputs.shape)[there][::step], outputs[there][::step]
        full = {"size": 6, "outline": 0, "opacity": 0.6, "hovertemplate": _DOT_HOVER}
        traces.append(style.points(*seen, told, colour, "circle", **full))
        mean = style.over_seeds(np.nanmean, linearized[case].reshape(len(outputs), -1))
        rings = {"open": True, "size": 8, "outline": 1.2, "hovertemplate": _DOT_HOVER}
        traces.append(style.points(x, mean, f"{name}, linearized", colour, "circle", **rings))
    return traces


def _functions(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> Figure:
    traces: list[Figure] = []
    for entry in entries:
        gamma, theory = entry.theory["gamma"], entry.theory
        at = int(np.searchsorted(theory["times"], time * (1 + 1e-12), side="right")) - 1
        if "goal" in theory:
            goal = {"width": 1.5, "dash": "dot", "hovertemplate": _F_HOVER}
            traces.append(style.line(gamma, theory["goal"], entry.named("target f*"), style.INK, **goal))
        traces += _limits(entry, max(at, 0))
        if entry.there(time):
            traces += _networks(entry, time, _shown(entry, options))
        points = theory["train_gamma"], theory["train_y"]
        traces.append(style.points(*points, entry.named("training points"), style.INK, "circle", size=10))
    reach = 1.15 * max(_reach(entry) for entry in entries)
    y = style.axis("output at time t", range=[-reach, reach])
    return {"data": traces, "layout": style.layout(style.angle_axis(), y)}


def _limits(entry: Entry, at: int) -> list[Figure]:
    """The limit's mean: of the kernel that all but one rate start from, and of one rate's."""
    gamma, theory = entry.theory["gamma"], entry.theory
    more = {"hovertemplate": _F_HOVER, "opacity": 0.9}
    found = [style.line(gamma, theory["mean"][at], entry.named("limit Θ∞"), style.INK, width=4, **more)]
    if "mean_one_rate" in theory:
        name = entry.named("limit at one rate")
        found.append(style.line(gamma, theory["mean_one_rate"][at], name, style.MUTED, width=3, **more))
    return found if any(name != "standard_one_rate" for name in entry.spec.parametrizations) else found[-1:]


def _networks(entry: Entry, time: float, width: int) -> list[Figure]:
    """Every network of one width, thin; the mean of their linearizations, dashed."""
    gamma = entry.theory["gamma"]
    f, linearized, lost = (entry.now(name, time)[:, :, width] for name in ("f", "linearized", "diverged"))
    traces: list[Figure] = []
    for case in entry.spec.cases:
        count = int(np.sum(lost[case] > 0))
        if not np.isfinite(f[case]).any() and not count:
            continue  # not yet there
        name, colour = entry.named(lazy_kinds.name(entry.spec, case)), lazy_kinds.colour(entry, case)
        more = {"width": 1.8, "dash": lazy_kinds.dash(entry, case), "opacity": 0.85, "hovertemplate": _F_HOVER}
        told = f"{name} ({count} diverged)" if count else name
        traces.append(style.lines(arrays.curves(gamma, f[case]), told, colour, **more))
        mean = style.over_seeds(np.nanmean, linearized[case])
        dashed = {"dash": "dash", "width": 2.5, "showlegend": False, "hovertemplate": _F_HOVER}
        traces.append(style.line(gamma, mean, f"{name}, linearized", colour, **dashed))
    if traces:
        words = entry.named(f"linearized, n = {style.thousands(entry.spec.widths[width])}")
        traces.append(style.line([None], [None], words, style.MUTED, dash="dash", width=2.5, hoverinfo="skip"))
    return traces


def _reach(entry: Entry) -> float:
    """Half the height of the picture: the same at all times, so that only the functions move."""
    names = [name for name in ("mean", "mean_one_rate", "train_y", "goal") if name in entry.theory]
    return max(float(np.abs(entry.theory[name]).max()) for name in names) or 1.0


def _alignment(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> Figure:
    traces: list[Figure] = []
    for e, entry in enumerate(entries):
        if entry.there(time):
            traces += _alignments(entry, time, str(e), _shown(entry, options))
        if "alignment_one_rate" in entry.theory:
            traces.append(
                _still(entry, "alignment_one_rate", "limit at one rate stays", style.MUTED) | {"opacity": 0.9}
            )
        traces.append(_still(entry, "alignment", "limit Θ∞ stays", style.INK, dash="dash"))
    x = histories.time_axis(entries)
    return {"data": traces, "layout": style.layout(x, style.axis("y·Θₜy / (|Θₜ| |y|²)", range=[0, 1.03]))}


def _alignments(entry: Entry, time: float, name: str, width: int) -> list[Figure]:
    """Every network's history at one width."""
    values = entry.until("alignment", time)[:, :, width]  # (parametrization, alpha, seed, time)
    values = np.where(np.isfinite(values), values, np.nan)
    return [
        style.lines(
            arrays.history(f"{name}/{k}", entry.times(time), values[case]),
            entry.named(lazy_kinds.name(entry.spec, case)), lazy_kinds.colour(entry, case),
            width=1.6, dash=lazy_kinds.dash(entry, case), opacity=0.85, hovertemplate=_T_HOVER,
        )
        for k, case in enumerate(entry.spec.cases)
        if np.isfinite(values[case]).any()
    ]  # fmt: skip


def _still(entry: Entry, variable: str, name: str, colour: str, dash: str = "solid") -> Figure:
    """What the limit's kernel sees of the target, which training does not change."""
    ends, level = [0.0, entry.spec.times[-1]], float(entry.theory[variable])
    return style.line(ends, [level, level], entry.named(name), colour, width=3, dash=dash, hovertemplate="%{y:.4g}")


def _shown(entry: Entry, options: Mapping[str, Any]) -> int:
    """The place of the width whose networks are shown one by one."""
    choose = np.argmin if options.get("shown") == "narrowest" else np.argmax
    return int(choose(entry.spec.widths))


PANELS = {
    "f": Panel(
        "What is learned by time t: networks, their linearizations, the limit", "main",
        "Output against angle: networks thin, the mean of their linearizations dashed, the limit thick, training "
        "points. Of a table, outputs against the limit's mean at its rows.", _learned,
    ),
    "movement": Panel(
        "How far the kernel has moved by time t", "side",
        "Relative change of the tangent kernel against width or output scale, both axes logarithmic, one series a "
        "kind of network, with fitted slopes.", lazy_laws.movement,
    ),
    "alignment": Panel(
        "Does the kernel turn to the target?", "side",
        "Alignment of the tangent kernel with the targets against time, one thin curve a network, beside the limit's.",
        _alignment,
    ),
    "distance": Panel(
        "Distance of the function from the linearized network's", "foot",
        "Root mean square distance, over the circle or a table's rows, between networks and their linearizations "
        "against width or output scale, both axes logarithmic, with fitted slopes.", lazy_laws.distance,
    ),
}  # fmt: skip
