"""The single pictures of laws in width and depth: entries to figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from app.charts import arrays, law_marks, style
from app.charts.entry import Entry
from app.charts.law_marks import Dots

Figure = dict[str, Any]
Draw = Callable[[Sequence[Entry], float, Mapping[str, Any]], Figure]
RATIO_AXIS = "(L − 1) / n, hidden layers over width"


def spread(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> Figure:
    """Relative standard deviation of the kernel against width."""
    return _laws(entries, "std / mean of Θ₀(x₀, x₀)", -0.5, lambda e, j: _roots(_variances(e, j)), _exact_spread)


def ratio(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> Figure:
    """Relative variance of the kernel against depth over width."""
    traces: list[Figure] = []
    for entry in entries:
        for j, L in enumerate(entry.spec.depths):
            colour, name = _colour(entry, j), entry.named(f"L = {L}")
            exact = "exact_relative_variance" in entry.theory
            if exact:
                n, curve = entry.theory["n"], entry.theory["exact_relative_variance"][j]
                traces.append(_dashed((L - 1) / n, curve, f"{name}: exact", colour))
            dots = _variances(entry, j)
            at = (L - 1) / np.array(entry.spec.widths, float)
            traces += law_marks.marks(at, dots, name, colour, j, showlegend=not exact)
    x = style.log_axis(RATIO_AXIS, [1e-4, 1.0])
    return _figure(traces, x, "Var / mean² of Θ₀(x₀, x₀)")


def mean(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> Figure:
    """Mean of the kernel over the limit."""
    traces: list[Figure] = []
    for entry in entries:
        for j, L in enumerate(entry.spec.depths):
            dots = _means(entry, "kernel", j)
            traces += law_marks.marks(np.array(entry.spec.widths), dots, entry.named(f"L = {L}"), _colour(entry, j), j)
    y = style.axis("mean of Θ₀(x₀, x₀) over its limit")
    if not traces:
        return style.empty(law_marks.NOT_YET, _width_axis(entries), y)
    ends = np.array([min(e.spec.widths[0] for e in entries) / 2, 2 * max(max(e.spec.widths) for e in entries)])
    traces.append(style.line(ends, [1.0, 1.0], "limit Θ∞", style.INK, width=3, hoverinfo="skip"))
    return {"data": traces, "layout": style.layout(_width_axis(entries), y)}


def trained(variable: str, title: str, slope: float) -> Draw:
    """The picture of a change in training against width."""

    def draw(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> Figure:
        return _laws(entries, title, slope, lambda entry, j: _means(entry, variable, j))

    return draw


def mixed(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> Figure:
    """Size of the kernel between different outputs."""
    return _laws(entries, "rms Θ₀ between outputs / Θ∞", -0.5, lambda entry, j: _means(entry, "mixed", j))


def histogram(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> Figure:
    """Outputs of the deepest networks over the limit's standard deviation, one histogram a width."""
    traces: list[Figure] = []
    for entry in entries:
        j = int(np.argmax(entry.spec.depths))
        for i, n in enumerate(entry.spec.widths):
            f = _numbers(entry, "f", i, j)
            if f.size < 3:
                continue
            edges = np.linspace(-4, 4, 33)
            density = np.histogram(f, edges)[0] / (f.size * np.diff(edges))
            name = entry.named(f"n = {style.thousands(n)}, L = {entry.spec.depths[j]}")
            more: dict[str, Any] = {"shape": "hvh", "hovertemplate": "%{x:.2f}: %{y:.3f}"}
            k = (entry.first + i) % 6
            more["dash"] = style.DASHES[k]
            line = style.line((edges[1:] + edges[:-1]) / 2, density, name, style.COLOURS[k], **more)
            line["line"]["shape"] = line.pop("shape")
            traces.append(line)
    z, density = entries[0].theory["z"], entries[0].theory["density"]
    traces.append(style.line(z, density, "N(0, 1), the limit", style.INK, width=4, opacity=0.9))
    return {
        "data": traces,
        "layout": style.layout(style.axis("f₀(x₀) / √Σ∞(x₀, x₀)"), style.axis("density", rangemode="tozero")),
    }


def kurtosis(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> Figure:
    """Excess kurtosis against width."""
    return _verdicts(entries, "normality", 1.0, "E[f⁴] − 6 E[f²] + 3, f over its limit's std")


def independence(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> Figure:
    """Covariance of squares against width: with a size s that the outputs share, a sixth of the excess kurtosis."""
    return _verdicts(entries, "independence", 1 / 6, "E[(f₁² − 1)(f₂² − 1)] / 2")


def correlation(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> Figure:
    """Correlations of the limit by layer, and of the widest and narrowest networks."""
    traces: list[Figure] = []
    for entry in entries:
        layer = entry.theory["layer"]
        for a, angle in enumerate(entry.theory["angle"]):
            colour = style.COLOURS[(entry.first + a) % 6]
            name = entry.named(_angle(angle))
            traces.append(style.line(layer, entry.theory["correlation"][:, a], name, colour, width=3))
            traces += _finite_correlations(entry, a, colour)
    y = style.axis("correlation Σₗ(x₀, x) / Σₗ(x₀, x₀)", range=[-1.05, 1.05])
    return {"data": traces, "layout": style.layout(_depth_axis(), y)}


def tangent(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> Figure:
    """The normalized NTK by depth."""
    traces = [
        style.line(
            entry.theory["layer"], entry.theory["tangent_correlation"][:, a], entry.named(_angle(angle)),
            style.COLOURS[(entry.first + a) % 6],
        )
        for entry in entries
        for a, angle in enumerate(entry.theory["angle"])
    ]  # fmt: skip
    y = style.axis("Θₗ(x₀, x) / Θₗ(x₀, x₀)", range=[-1.05, 1.05])
    return {"data": traces, "layout": style.layout(_depth_axis(), y)}


def chi(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> Figure:
    """chi by depth, and the edge."""
    traces: list[Figure] = []
    for entry in entries:
        layer, info = entry.theory["layer"], entry.theory.info
        name = entry.named(f"χ = w² E[σ′(u)²]: {info['phase']}, {info['chi']:.4g} at the end")
        traces.append(style.line(layer, entry.theory["chi"], name, style.COLOURS[entry.first % 6], width=3))
        ends = [float(layer[0]), float(layer[-1])]
        traces.append(style.line(ends, [1.0, 1.0], "edge, 1", style.INK, dash="dot", hoverinfo="skip"))
    return {"data": traces, "layout": style.layout(_depth_axis(), style.axis("χₗ", rangemode="tozero"))}


def _laws(
    entries: Sequence[Entry],
    title: str,
    slope: float,
    dots_of: Callable[[Entry, int], Dots],
    exact: Callable[[Entry, int, Dots], list[Figure]] = lambda entry, j, dots: [],
) -> Figure:
    """Points against width with their fitted slopes; a line of the law's own slope where nothing exact is known."""
    traces: list[Figure] = []
    for entry in entries:
        n = np.array(entry.spec.widths, float)
        for j, L in enumerate(entry.spec.depths):
            dots, colour = dots_of(entry, j), _colour(entry, j)
            known = exact(entry, j, dots)
            traces += known
            if not np.isfinite(dots.value).any():
                continue
            name = entry.named(f"L = {L}{law_marks.fitted_slope(n, dots.value)}")
            traces += [] if known else [law_marks.guide(n, dots.value, slope, colour)]
            traces += law_marks.marks(n, dots, name, colour, j)
    return _figure(traces, _width_axis(entries), title)


def _figure(traces: list[Figure], x: dict[str, Any], title: str) -> Figure:
    shown = [arrays.numbers(trace["y"]) for trace in traces]
    if not shown:
        return style.empty(law_marks.NOT_YET, x, style.log_axis(title))
    return {"data": traces, "layout": style.layout(x, style.log_axis(title, np.concatenate(shown)))}


def _exact_spread(entry: Entry, j: int, dots: Dots) -> list[Figure]:
    """The exact curve, and at how many points it lies within the interval."""
    if "exact_relative_variance" not in entry.theory:
        return []
    theory = entry.theory
    here = np.sqrt(theory["exact_relative_variance_at"][:, j])
    there = np.isfinite(dots.value)
    inside = int(((dots.low <= here) & (here <= dots.high) & there).sum())
    words = f": in {inside} of {int(there.sum())} intervals" if there.any() else ""
    name = entry.named(f"L = {entry.spec.depths[j]} exact{words}")
    return [_dashed(theory["n"], np.sqrt(theory["exact_relative_variance"][j]), name, _colour(entry, j))]


def _verdicts(entries: Sequence[Entry], test: str, share: float, title: str) -> Figure:
    """An effect against width: estimates with 95 % intervals, exact curves (`share` of the kurtosis), and the least
    effect that so many networks show reliably.
    """
    from ntk_core.finite import gaussian_outputs

    traces: list[Figure] = []
    ends = np.array([min(min(e.spec.widths) for e in entries) / 2, 2 * max(max(e.spec.widths) for e in entries)])
    for entry in entries:
        for j, L in enumerate(entry.spec.depths):
            colour, name = _colour(entry, j), entry.named(f"L = {L}")
            exact = "exact_kurtosis" in entry.theory
            if exact:
                curve = share * entry.theory["exact_kurtosis"][j]
                traces.append(_dashed(entry.theory["n"], curve, f"{name}: exact", colour))
            found = np.full((3, len(entry.spec.widths)), np.nan)
            for i in range(len(entry.spec.widths)):
                f = _outputs(entry, i, j)
                if len(f) > 2:
                    found[:, i] = law_marks.interval(gaussian_outputs.of_each(test, f, 1.0))
            traces += law_marks.marks(np.array(entry.spec.widths), Dots(*found), name, colour, j, showlegend=not exact)
        least = entry.theory.info[f"detectable_{'kurtosis' if test == 'normality' else 'correlation'}"]
        name = entry.named(f"least that would be noticed in 9 of 10 sweeps: {least:.2g}")
        traces.append(style.line(ends, [least, least], name, style.MUTED, dash="dot", hoverinfo="skip"))
    return {"data": traces, "layout": style.layout(_width_axis(entries), style.axis(title))}


def _finite_correlations(entry: Entry, a: int, colour: str) -> list[Figure]:
    """10th to 90th percentile over the widest networks that are there."""
    if entry.result is None:
        return []
    for i in np.argsort(entry.spec.widths)[::-1]:
        values = entry.result["correlation"][i, 0, :, :, a]
        if np.isfinite(values).all(axis=1).sum() < 3:
            continue
        low, high = (style.over_seeds(lambda v, axis, q=q: np.nanpercentile(v, q, axis=axis), values) for q in (10, 90))
        name = entry.named(f"n = {style.thousands(entry.spec.widths[i])}, {_angle(entry.theory['angle'][a])}: 10–90 %")
        band = style.band(entry.theory["layer"], low, high, name, colour)
        return [{**trace, "showlegend": False} for trace in band]
    return []


def _dashed(x: Any, y: Any, name: str, colour: str) -> Figure:
    return style.line(x, y, name, colour, dash="dash", hovertemplate="%{x:.4g}: %{y:.4g}<extra>" + name + "</extra>")


def _numbers(entry: Entry, name: str, i: int, j: int) -> np.ndarray:
    """A variable of the networks of one width and depth that are there and have a finite number."""
    if entry.result is None:
        return np.empty(0)
    values = entry.result[name][i, j].astype(float).ravel()
    return values[np.isfinite(values)]


def _outputs(entry: Entry, i: int, j: int) -> np.ndarray:
    """Outputs (S, n_out) of the networks that are there."""
    if entry.result is None:
        return np.empty((0, 2))
    f = entry.result["f"][i, j].astype(float)
    return f[np.isfinite(f).all(axis=1)]


def _variances(entry: Entry, j: int) -> Dots:
    """Relative variances of the kernel of one depth, by width, with the jackknife's intervals."""
    from ntk_core.finite.laws import relative_variance

    found = np.full((3, len(entry.spec.widths)), np.nan)
    for i in range(len(entry.spec.widths)):
        values = _numbers(entry, "kernel", i, j)
        if len(values) >= 3 and np.ptp(values) > 0 and values.mean() > 0:
            found[:, i] = relative_variance(values)
    return Dots(*found)


def _roots(dots: Dots) -> Dots:
    return Dots(*(np.sqrt(part) for part in dots))


def _means(entry: Entry, name: str, j: int) -> Dots:
    """Means over seeds of one depth, by width, with Student's intervals."""
    found = np.full((3, len(entry.spec.widths)), np.nan)
    for i in range(len(entry.spec.widths)):
        found[:, i] = law_marks.interval(_numbers(entry, name, i, j))
    return Dots(*found)


def _colour(entry: Entry, j: int) -> str:
    return style.COLOURS[(entry.first + j) % 6]


def _angle(angle: float) -> str:
    share = angle / np.pi
    return f"angle {'' if share == 1 else f'{share:g}'}π at first"


def _depth_axis() -> dict[str, Any]:
    return style.axis("depth l (weight matrices)")


def _width_axis(entries: Sequence[Entry]) -> dict[str, Any]:
    """The logarithmic axis of widths, labelled at the widths that are swept."""
    widths = sorted({n for entry in entries for n in entry.spec.widths})
    names = [style.thousands(n) for n in widths]
    return style.axis("width n (neurons in a hidden layer)", type="log", tickvals=widths, ticktext=names)
