"""Spectral bias and early stopping: what is learned first, and when to stop (paper, section 5)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from app.charts import arrays, histories, style
from app.charts.entry import Entry
from app.charts.style import Panel
from app.charts.theories import kernel_of, theory_of

if TYPE_CHECKING:
    from ntk_core.runs.theory import Theory

KERNELS = (
    ("NTK Θ∞", "ntk", style.COLOURS[0], "circle"),
    ("NNGP kernel Σ∞", "nngp", style.COLOURS[1], "square"),
    ("RBF kernel", "rbf", style.COLOURS[2], "diamond"),
    ("Matérn kernel", "matern", style.COLOURS[2], "diamond"),
)
RIDGE = style.COLOURS[3]
BELOW = 8.0  # how far below the least test error the axis goes: training errors fall to nothing
_F_HOVER = "γ = %{x:.3f}<br>f = %{y:.3f}"
_T_HOVER = "t = %{x:.4g}<br>%{y:.4g}"


def moments(spec: Any, theory: Theory) -> tuple[float, ...]:
    """Every output time, and infinity."""
    return tuple(float(t) for t in theory["times"])


def _learned(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any]:
    """The function on the circle, or the accuracy on classes: whichever the first entry has."""
    same = [e for e in entries if (e.spec.data == "circle") == (entries[0].spec.data == "circle")]
    draw = _functions if entries[0].spec.data == "circle" else _accuracies
    return draw(same, time, options)


def _functions(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any]:
    traces: list[dict[str, Any]] = []
    for entry in entries:
        theory, gamma = entry.theory, entry.theory["gamma"]
        at = int(np.searchsorted(theory["times"], time * (1 + 1e-12), side="right")) - 1
        if entry.there(time) and not math.isinf(time):
            band = bool(options.get("band"))
            traces += histories.over_x(entry, gamma, entry.now("f", time), _F_HOVER, as_band=band)
        target = {"width": 2, "dash": "dot", "hovertemplate": _F_HOVER}
        traces.append(style.line(gamma, theory["target"], entry.named("target f*, without noise"), style.INK, **target))
        if options.get("ridge"):
            name = entry.named("ridge, penalty 1/t")
            traces.append(style.line(gamma, theory["ridge"][at], name, RIDGE, dash="dash", hovertemplate=_F_HOVER))
        name = entry.named(f"{theory_of(entry)}: mean")
        traces.append(style.line(gamma, theory["mean"][at], name, style.INK, width=4, opacity=0.9))
        traces.append(_training_points(entry))
    reach = 1.08 * max(float(np.abs(e.theory[name]).max()) for e in entries for name in ("train_y", "target", "mean"))
    return {
        "data": traces,
        "layout": style.layout(style.angle_axis(), style.axis("output f(x)", range=[-reach, reach])),
    }


def _training_points(entry: Entry) -> dict[str, Any]:
    x, y = entry.theory["train_gamma"], entry.theory["train_y"]
    name = entry.named("training points, with noise")
    return style.points(x, y, name, style.MUTED, "circle", size=6, outline=0, hovertemplate=_F_HOVER)


def _accuracies(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any]:
    traces = histories.against_time(entries, "accuracy", time, _T_HOVER, as_band=bool(options.get("band")))
    for entry in entries:
        theory, shown = entry.theory, np.isfinite(entry.theory["moment"])
        t = theory["moment"][shown]
        if options.get("ridge"):
            name, y = entry.named("ridge, penalty 1/t"), theory["ridge_accuracy"][shown]
            traces.append(style.line(t, y, name, RIDGE, dash="dash", hovertemplate=_T_HOVER))
        name = entry.named(f"{theory_of(entry)} ({100 * theory['accuracy'][-1]:.1f} % at t = ∞)")
        thick = {"width": 4, "opacity": 0.9, "hovertemplate": _T_HOVER}
        traces.append(style.line(t, theory["accuracy"][shown], name, style.INK, **thick))
    y = style.axis("share of the test points told right", range=[0, 1.04], tickformat=".0%", dtick=0.2)
    return {"data": traces, "layout": style.layout(_time_axis(entries), y, shapes=_now(time))}


def _eigenvalues(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any]:
    """Eigenvalues against frequency or component, those of the target marked."""
    traces: list[dict[str, Any]] = []
    circle = entries[0].spec.data == "circle"
    for entry in entries:
        traces += _fourier(entry) if entry.spec.data == "circle" else _components(entry)
        traces.append(_targets(entry))
    drawn = np.concatenate([arrays.numbers(trace["y"]) for trace in traces])
    x = "frequency k of cos kγ" if circle else "kernel principal component k"
    y = "Fourier eigenvalue λₖ" if circle else "eigenvalue λₖ of the kernel / N"
    return {"data": traces, "layout": style.layout(_log_counts(x), style.log_axis(y, drawn))}


def _fourier(entry: Entry) -> list[dict[str, Any]]:
    k, traces = entry.theory["frequency"][1:], []
    for name, key, colour, symbol in KERNELS:
        if key not in entry.theory:
            continue
        values, error = entry.theory[key][1:], entry.theory[f"{key}_error"][1:]
        slope = entry.theory.info.get(f"{key}_slope")
        power = f" ~ k<sup>{slope:.1f}</sup>".replace("-", "−") if slope is not None else ""
        seen = np.where(values > error, values, np.nan)
        mark = style.points(k, seen, entry.named(name + power), colour, symbol, size=6, outline=0)
        traces.append(mark | {"hovertemplate": "k = %{x}<br>λ = %{y:.4g}<extra>" + name + "</extra>"})
    return traces


def _components(entry: Entry) -> list[dict[str, Any]]:
    hover, drawn = "k = %{x}<br>λ = %{y:.4g}", [("values", "NTK Θ∞", KERNELS[0][2])]
    if "driving" in entry.theory:
        drawn.append(("driving", kernel_of(entry), next(c for _, key, c, _ in KERNELS if key == entry.spec.kernel)))
    traces = []
    for key, name, colour in drawn:
        values = entry.theory[key]
        seen = np.where(values > 0, values, np.nan)
        name = entry.named(f"{name} on the points")
        traces.append(style.line(entry.theory["component"], seen, name, colour, hovertemplate=hover))
    return traces


def _targets(entry: Entry) -> dict[str, Any]:
    """Rings around the eigenvalues of what is followed, in its colours; frequency 0 has no place on the axis."""
    k, rate = entry.theory["mode"], entry.theory["rate"]
    error = entry.theory["rate_error"] if "rate_error" in entry.theory else 0 * rate
    shown = (k > 0) & (rate > error)
    mark = style.points(k[shown], rate[shown], entry.named("followed below"), style.INK, "circle", open=True, size=14)
    colours = [style.COLOURS[j % 6] for j in np.flatnonzero(shown)]
    mark["marker"]["color"] = colours
    mark["marker"]["line"]["color"] = colours
    return mark | {"hovertemplate": "k = %{x}: learned in a time 1/λ<br>λ = %{y:.4g}"}


def _modes(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any]:
    """What has been learned of every frequency or component: a colour each; networks thin, the limit thick."""
    traces: list[dict[str, Any]] = []
    circle = entries[0].spec.data == "circle"
    for e, entry in enumerate(entries):
        for j, k in enumerate(entry.theory["mode"]):
            word = ("constant" if k == 0 else f"cos {'' if k == 1 else k}γ") if circle else f"component {k}"
            colour, name = style.COLOURS[j % 6], entry.named(word)
            traces += _network_modes(entry, j, time, f"{e}/{j}", name, colour)
            thick = {"width": 4, "opacity": 0.9, "hovertemplate": _T_HOVER}
            traces.append(style.line(entry.theory["t"], entry.theory["learned"][j], name, colour, **thick))
        traces += _widths(entry) if entry.there(time) else []
    top = max(1.0, *(float(entry.theory["learned"].max()) for entry in entries))
    title = "amplitude of cos kγ in fₜ" if circle else "share of the component learned"
    y = style.axis(title, range=[-0.35 * top, 1.25 * top])
    return {"data": traces, "layout": style.layout(_time_axis(entries), y, shapes=_now(time))}


def _network_modes(entry: Entry, j: int, time: float, name: str, label: str, colour: str) -> list[dict[str, Any]]:
    """Every network's history of one mode, one trace a width, each width its own dash."""
    if not entry.there(time):
        return []
    values = entry.until("learned", time)[:, :, j]  # (width, seed, time)
    values = np.where(np.isfinite(values), values, np.nan)
    more = {"width": 1.2, "opacity": 0.7, "showlegend": False}
    return [
        style.lines(
            arrays.history(f"{name}/{i}", entry.times(time), values[i]), f"{label}, n = {style.thousands(n)}", colour,
            dash=style.DASHES[(i + 1) % 6], hovertemplate=_T_HOVER, **more,
        )
        for i, n in enumerate(entry.spec.widths)
    ]  # fmt: skip


def _widths(entry: Entry) -> list[dict[str, Any]]:
    """Names of the widths' dashes, whose colours are those of what is learned."""
    return [
        style.line(
            [None], [None], entry.named(f"n = {style.thousands(n)}"), style.MUTED, dash=style.DASHES[(i + 1) % 6],
            width=1.2, hoverinfo="skip",
        )
        for i, n in enumerate(entry.spec.widths)
    ]  # fmt: skip


def _errors(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any]:
    """Errors of the limit's mean on training and test points, with the best time; ridge and networks beside it."""
    traces = histories.against_time(entries, "test", time, _T_HOVER, as_band=bool(options.get("band")))
    for entry in entries:
        theory, t = entry.theory, entry.theory["t"]
        whose = theory_of(entry)
        curves = [("test", f"{whose}: test", style.INK, "solid", 4)]
        curves += [("train", f"{whose}: training", style.INK, "dash", 2)]
        if options.get("ridge"):
            curves += [("ridge_test", "ridge 1/t: test", RIDGE, "solid", 2)]
            curves += [("ridge_train", "ridge 1/t: training", RIDGE, "dash", 2)]
        for key, name, colour, dash, width in curves:
            more = {"dash": dash, "width": width, "hovertemplate": _T_HOVER}
            traces.append(style.line(t, theory[key], entry.named(name), colour, **more))
        traces += _best(entry, bool(options.get("ridge")))
    test, train = (np.concatenate([e.theory[name] for e in entries]) for name in ("test", "train"))
    high = float(max(test.max(), train.max()))
    low = max(float(min(test.min(), train.min())), float(test.min()) / BELOW, 1e-12 * high)
    y = style.log_axis("mean squared error", [low, high], range=[math.log10(low / 1.5), math.log10(high * 1.5)])
    return {"data": traces, "layout": style.layout(_time_axis(entries), y, shapes=_now(time))}


def _best(entry: Entry, ridge: bool) -> list[dict[str, Any]]:
    """Stars where the test error is least, if that is at a time of the axis."""
    out = []
    for i, (what, colour) in enumerate((("stop", style.INK), ("ridge", RIDGE))[: 1 + ridge]):
        t, error = float(entry.theory["best"][i]), float(entry.theory["best_error"][i])
        if 0 < t < math.inf:
            name = entry.named(f"{'best' if what == 'stop' else 'best ridge'} at t = {float(f'{t:.3g}'):,.6g}")
            out.append(style.points([t], [error], name, colour, "star", size=14, hovertemplate=_T_HOVER))
    return out


def _time_axis(entries: Sequence[Entry]) -> dict[str, Any]:
    t = np.concatenate([entry.theory["t"] for entry in entries])
    low, high = math.log10(float(t.min())), math.log10(float(t.max()))
    return style.log_axis(style.TIME_AXIS, t, range=[low, max(high, low + 0.5)])


def _log_counts(title: str) -> dict[str, Any]:
    return style.axis(title, type="log", tickformat="~g", dtick="D2")


def _now(time: float) -> list[dict[str, Any]]:
    """A line at the moment that the first picture shows; zero and infinity have no place on a logarithmic axis."""
    if not 0 < time < math.inf:
        return []
    edge = {"color": style.MUTED, "width": 1.5, "dash": "dot"}
    return [{"type": "line", "xref": "x", "yref": "paper", "x0": time, "x1": time, "y0": 0, "y1": 1, "line": edge}]


PANELS = {
    "f": Panel(
        "What has been learned by time t", "main",
        "On the circle, output against angle: target, noisy points, the limit's mean, networks. On classes, accuracy "
        "against time.", _learned,
    ),
    "eigenvalues": Panel(
        "Eigenvalues: the rates of learning", "side",
        "Eigenvalues against frequency or component, both axes logarithmic, those that are followed in rings.",
        _eigenvalues,
    ),
    "modes": Panel(
        "Each frequency or component at its own rate", "foot",
        "What has been learned of each, against time on a logarithmic axis: the limit thick, networks thin.", _modes,
    ),
    "errors": Panel(
        "Errors, and when to stop", "foot",
        "Training and test error against time, both axes logarithmic, the least test error starred, beside ridge.",
        _errors,
    ),
}  # fmt: skip
