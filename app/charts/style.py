"""What all charts share: colours, dashes and markers of the widths, arrays, axes, layouts."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from app.charts.arrays import f4

INK, MUTED, GRID, PAPER = "@ink", "@muted", "@grid", "@paper"

# Colours that colour-blind readers tell apart; the browser knows a set each for light and dark.
COLOURS = ("@c0", "@c1", "@c2", "@c3", "@c4", "@c5")
DASHES = ("solid", "dash", "dashdot", "dot", "longdash", "longdashdot")
MARKERS = ("circle", "square", "diamond", "triangle-up", "cross", "star")

TIME_AXIS = "time t = steps × learning rate"
ANGLE_AXIS = "angle γ (radians) of x = (cos γ, sin γ)"
PI = np.pi
ACROSS = 34  # letters of a sentence in a picture that a phone has room for


@dataclass(frozen=True)
class Panel:
    """One picture of a page: its heading, its place ("main", "side", "foot" or "base") and what it shows, in words."""

    title: str
    place: str
    alt: str
    draw: Callable[..., dict[str, Any] | None]  # entries, time, options -> figure; None: no place for it
    pictures: bool = False  # its points carry the number of a digit, shown on hover
    clickable: bool = False  # a click on it can add a training point
    history: bool = False  # what it shows of networks stays where the limit alone goes on

    def placed(self, place: str) -> Panel:
        """The same panel in another place."""
        return replace(self, place=place)

    def plain(self) -> dict[str, Any]:
        """What the browser must know of it."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "draw"}


def thousands(n: int) -> str:
    """A whole number with commas, as in 10,000."""
    return f"{int(n):,}"


def line(x: Any, y: Any, name: str, colour: str, **more: Any) -> dict[str, Any]:
    """A line trace; `width` and `dash` style it, everything else goes to the trace as it is."""
    return lines({"x": f4(x), "y": f4(y)}, name, colour, **more)


def lines(numbers: dict[str, Any], name: str, colour: str, **more: Any) -> dict[str, Any]:
    """A trace of one line or many: x and y, or what `arrays.curves` and `arrays.history` make in their place."""
    style = {"color": colour, "width": more.pop("width", 2), "dash": more.pop("dash", "solid"), "simplify": False}
    return {"type": "scatter", "mode": "lines", "name": name, **numbers, "line": style, **more}


def points(x: Any, y: Any, name: str, colour: str, symbol: str, **more: Any) -> dict[str, Any]:
    """A trace of markers; `size` and `open` style it."""
    marker = {"color": colour, "size": more.pop("size", 10), "symbol": symbol + ("-open" * more.pop("open", False))}
    marker["line"] = {"color": colour, "width": more.pop("outline", 2)}
    return {"type": "scatter", "mode": "markers", "name": name, "x": f4(x), "y": f4(y), "marker": marker, **more}


def band(x: Any, low: Any, high: Any, name: str, colour: str, opacity: float = 0.22) -> list[dict[str, Any]]:
    """The region between two curves: an invisible lower edge and a filled upper one."""
    return filled({"x": f4(x), "y": f4(low)}, {"x": f4(x), "y": f4(high)}, name, colour, opacity)


def filled(
    low: dict[str, Any], high: dict[str, Any], name: str, colour: str, opacity: float = 0.22
) -> list[dict[str, Any]]:
    """The region between two lines, given as in `lines`."""
    edge = {"width": 0, "hoverinfo": "skip", "legendgroup": name}
    lower = lines(low, name, colour, showlegend=False, **edge)
    return [lower, lines(high, name, colour, fill="tonexty", fillcolor=f"{colour}/{opacity:g}", **edge)]


Draw = Callable[[str, np.ndarray], dict[str, Any]]  # what the curves are, the curves (C, P) -> a part of a trace


def ensemble(
    curves: np.ndarray, name: str, index: int, as_band: bool, numbers: Draw, more: dict[str, Any]
) -> list[dict[str, Any]]:
    """The networks of one width: thin lines, or their mean and 10th to 90th percentile.

    Args:
        curves: (seed, P), NaN where nothing is known; networks that grew beyond all numbers are counted in the name.
        name, index: the curves' name, and which of the colours and dashes they have.
        as_band: mean and percentiles instead of lines, where there are three networks or more.
        numbers: makes the traces' numbers, e.g. `lambda what, y: arrays.curves(x, y)`.
        more: what else every trace shall have.
    """
    colour, dash = COLOURS[index % 6], DASHES[index % 6]
    lost = int(np.isinf(curves).any(axis=1).sum())
    name = f"{name} ({lost} diverged)" if lost else name
    curves = np.where(np.isfinite(curves), curves, np.nan)
    there = int((~np.isnan(curves).all(axis=1)).sum())
    if not there:
        return []
    if not as_band or there < 3:
        thin = {"width": 1.4, "opacity": 0.85} if there > 1 else {"width": 2.5}
        return [lines(numbers("lines", curves), name, colour, dash=dash, **(thin | more))]
    low, high, mean = (over_seeds(reduce, curves)[None] for reduce in (_low, _high, np.nanmean))
    edges = filled(numbers("low", low), numbers("high", high), f"{name}: 10–90 %", colour)
    middle = lines(numbers("mean", mean), f"{name}: mean", colour, dash=dash, width=2.5)
    return [{**more, **trace} for trace in (*edges, middle)]


def over_seeds(reduce: Callable[..., np.ndarray], curves: np.ndarray) -> np.ndarray:
    """A NaN-skipping reduction over the seeds of curves (seed, P): (P,), NaN where no network has a finite number."""
    curves = np.where(np.isfinite(curves), curves, np.nan).astype(float)
    there = ~np.isnan(curves).all(axis=0)
    out = np.full(curves.shape[1], np.nan)
    out[there] = reduce(curves[:, there], axis=0)
    return out


def _low(curves: np.ndarray, axis: int) -> np.ndarray:
    return _percentile(curves, 10, axis)


def _high(curves: np.ndarray, axis: int) -> np.ndarray:
    return _percentile(curves, 90, axis)


def _percentile(curves: np.ndarray, q: float, axis: int) -> np.ndarray:
    # Where nothing is missing, the plain function gives the same numbers many times faster.
    return (np.nanpercentile if np.isnan(curves).any() else np.percentile)(curves, q, axis=axis)


def axis(title: str, **more: Any) -> dict[str, Any]:
    """An axis with its title; everything else as Plotly names it."""
    return {
        "title": {"text": title, "standoff": 8}, "gridcolor": GRID, "linecolor": MUTED, "tickcolor": MUTED,
        "zeroline": False, "showline": True, "ticks": "outside", "ticklen": 4, "automargin": True, **more,
    }  # fmt: skip


def log_axis(title: str, values: Any = (), **more: Any) -> dict[str, Any]:
    """A logarithmic axis labelled for the `values` it shows: 1, 2, 5 over few decades, powers of ten over many."""
    positive = _positive(values)
    decades = math.log10(positive.max() / positive.min()) if positive.size else 0.0
    if decades > 3:
        return axis(title, type="log", exponentformat="power", dtick=1 if decades < 6 else 2, **more)
    return axis(title, type="log", tickformat="~g", dtick="D2", minorloglabels="complete", **more)


def cost_axis(*costs: Any) -> dict[str, Any]:
    """The logarithmic axis of costs: down to a millionth of the largest one, below which nothing can be seen anyway."""
    title = "cost ½ mean (f − f*)²"
    seen = _positive(np.concatenate([np.ravel(c) for c in costs]))
    if not seen.size:
        return log_axis(title)
    top = float(seen.max())
    low = max(float(seen.min()), 1e-6 * min(top, 1.0))
    return log_axis(title, [low, top], range=[math.log10(low / 1.5), math.log10(top * 1.5)])


def _positive(values: Any) -> np.ndarray:
    flat = np.asarray(values, dtype=float).ravel()
    return flat[np.isfinite(flat) & (flat > 0)]


def width_axis() -> dict[str, Any]:
    """The logarithmic axis of widths."""
    return axis("width n (neurons in a hidden layer)", type="log", tickformat=",.0f", nticks=6, dtick=1)


def angle_axis() -> dict[str, Any]:
    """From -pi to pi, labelled in multiples of pi."""
    marks = [-PI, -PI / 2, 0, PI / 2, PI]
    return axis(ANGLE_AXIS, range=[-PI, PI], tickvals=marks, ticktext=["−π", "−π/2", "0", "π/2", "π"])


def layout(x: dict[str, Any], y: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A layout with these axes and the theme's colours; the legend is that of saved pages."""
    legend = {"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom", "bgcolor": "@paper/0"}
    return {
        "xaxis": x, "yaxis": y, "legend": legend, "paper_bgcolor": "@paper/0", "plot_bgcolor": "@paper/0",
        "font": {"color": INK, "size": 14}, "hovermode": "closest",
        "hoverlabel": {"bgcolor": PAPER, "bordercolor": MUTED, "font": {"color": INK}}, "dragmode": "zoom",
        "modebar": {"orientation": "v", "bgcolor": "@paper/0.6", "color": MUTED, "activecolor": INK}, **more,
    }  # fmt: skip


def foreign(text: str) -> str:
    """A text from outside as the name of a curve: Plotly reads tags in names, and this one shall have none."""
    return text.translate({ord("<"): "‹", ord(">"): "›", ord("&"): "+"})


def empty(sentence: str, x: dict[str, Any], y: dict[str, Any]) -> dict[str, Any]:
    """Axes with one sentence in their middle, for what is not there yet."""
    text = "<br>".join(textwrap.wrap(sentence, ACROSS))
    note = {
        "text": text, "xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5, "showarrow": False,
        "font": {"color": MUTED, "size": 14},
    }  # fmt: skip
    bare = {"showticklabels": False, "ticks": "", "showgrid": False}
    return {"data": [], "layout": layout({**x, **bare}, {**y, **bare}, annotations=[note])}
