"""Curves against time and laws against width, drawn alike on every page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from app.charts import arrays, style
from app.charts.entry import Entry


def against_time(
    entries: Sequence[Entry], variable: str, time: float, hover: str, *, as_band: bool = False
) -> list[dict[str, Any]]:
    """Every network's history of a variable up to `time`, one trace a width (gaps where not yet there)."""
    more = {"hovertemplate": hover}
    traces: list[dict[str, Any]] = []
    for k, entry in enumerate(e for e in entries if e.there(time)):
        times, values = entry.times(time), entry.until(variable, time)
        for i, n in enumerate(entry.spec.widths):

            def numbers(what: str, y: np.ndarray, i: int = i, k: int = k, times: np.ndarray = times) -> dict[str, Any]:
                return arrays.history(f"{k}/{i}/{what}", times, y)

            name = entry.named(f"n = {style.thousands(n)}")
            found = style.ensemble(values[i], name, entry.first + i, as_band, numbers, more)
            traces += found if len(times) > 1 else [_dotted(trace, entry.first + i) for trace in found]
    return traces


def _dotted(trace: dict[str, Any], index: int) -> dict[str, Any]:
    """A curve of one moment would not be seen."""
    if not trace["line"]["width"]:
        return trace
    marker = {"symbol": style.MARKERS[index % 6], "size": 8, "color": trace["line"]["color"]}
    return trace | {"mode": "lines+markers", "marker": marker, "cliponaxis": False}


def over_x(
    entry: Entry, x: np.ndarray, curves: np.ndarray, hover: str, *, as_band: bool = False
) -> list[dict[str, Any]]:
    """Every network's curve over x (P,), of curves (width, seed, P): one trace a width."""
    traces: list[dict[str, Any]] = []
    for i, n in enumerate(entry.spec.widths):
        name = entry.named(f"n = {style.thousands(n)}")
        traces += style.ensemble(
            curves[i], name, entry.first + i, as_band, lambda _, y: arrays.curves(x, y), {"hovertemplate": hover}
        )
    return traces


def costs_of_limits(
    entries: Sequence[Entry], whose: Callable[[Entry], str] = lambda entry: "limit"
) -> list[dict[str, Any]]:
    """The limit's expected cost of every entry against time, or that of whose theory is drawn."""
    hover = "t = %{x:.4g}<br>%{y:.3g}<extra>expected cost of the limit</extra>"
    out = []
    for entry in entries:
        times, cost = entry.theory["times"], entry.theory["cost"]
        shown = np.isfinite(times)
        name = entry.named(f"{whose(entry)}: expected")
        out.append(style.line(times[shown], cost[shown], name, style.INK, width=3, hovertemplate=hover))
    return out


def cost_layout(entries: Sequence[Entry], time: float, **more: Any) -> dict[str, Any]:
    """The axes of a panel of costs against time."""
    seen = [entry.theory["cost"] for entry in entries]
    seen += [entry.until("cost", time) for entry in entries if entry.there(time)]
    return style.layout(time_axis(entries), style.cost_axis(*seen), **more)


def time_axis(entries: Sequence[Entry]) -> dict[str, Any]:
    """The axis of the whole training, from its first moment on: it does not move while networks learn."""
    last = max(float(entry.spec.times[-1]) for entry in entries)
    return style.axis(style.TIME_AXIS, **({"range": [0, last]} if last > 0 else {}))


def law(
    widths: Sequence[int] | np.ndarray,
    values: np.ndarray,
    slope: float,
    name: str,
    symbol: str,
    *,
    first: bool = False,
    colours_from: int = 0,
    reach: tuple[np.ndarray, np.ndarray] | None = None,
) -> list[dict[str, Any]]:
    """Points (width, value) on logarithmic axes, and the line of the given slope through their middle.

    Args:
        widths: the widths n.
        values: (width,) positive numbers; those not finite or not positive are left out.
        slope: the slope that theory gives the line.
        name: what the points are, for the legend.
        symbol: shape of the points; `first` draws them open.
        colours_from: the colour of the first width.
        reach: (width,) each, the ends of the points' 90 % intervals, drawn as error bars.
    """
    n = np.asarray(widths, dtype=float)
    good = np.isfinite(values) & (values > 0)
    if not good.any():
        return []
    colours = [style.COLOURS[(colours_from + i) % 6] for i in np.flatnonzero(good)]
    marks = style.points(n[good], values[good], name, style.INK, symbol, open=first)
    marks["marker"]["color"] = colours
    marks["marker"]["line"]["color"] = colours
    marks["hovertemplate"] = "n = %{x:,}<br>%{y:.3g}<extra>" + name + "</extra>"
    if reach:
        low, high = (part[good] for part in reach)
        marks["error_y"] = {
            "type": "data", "symmetric": False, "array": (high - values[good]).tolist(),
            "arrayminus": (values[good] - low).tolist(), "color": style.MUTED, "thickness": 1.2, "width": 4,
        }  # fmt: skip
        marks["customdata"] = np.stack([low, high], axis=1).tolist()
        marks["hovertemplate"] = (
            "n = %{x:,}<br>%{y:.3g}, 90 % interval %{customdata[0]:.3g} to %{customdata[1]:.3g}<extra>" + name
            + "</extra>"
        )  # fmt: skip
    if first:
        return [marks]
    middle = np.exp(np.mean(np.log(values[good]) - slope * np.log(n[good])))
    ends = np.array([n.min() / 2, n.max() * 2])
    guide = style.line(
        ends, middle * ends**slope, f"slope {slope:g}".replace("-", "−"), style.MUTED, dash="dot", hoverinfo="skip"
    )
    return [guide, marks]
