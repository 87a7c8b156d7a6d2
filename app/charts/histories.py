"""Curves against time and laws against width, drawn alike on every page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from app.charts import style


def against_time(
    times: np.ndarray,
    curves: np.ndarray,
    widths: Sequence[int] | np.ndarray,
    hover: str,
    *,
    as_band: bool = False,
    legend: bool = False,
) -> list[dict[str, Any]]:
    """Every network's history: times (T,), curves (width, seed, T), one trace a width (gaps where not yet there).

    Without `legend` the colours are those that another panel of the page explains.
    """
    traces: list[dict[str, Any]] = []
    for i, n in enumerate(widths):
        new = style.ensemble(times, curves[i], f"n = {style.thousands(n)}", i, as_band)
        traces += [{"hovertemplate": hover, **trace, **({} if legend else {"showlegend": False})} for trace in new]
    return traces


def law(
    widths: Sequence[int] | np.ndarray, values: np.ndarray, slope: float, name: str, symbol: str, *, first: bool = False
) -> list[dict[str, Any]]:
    """Points (width, value) on logarithmic axes, and the line of the given slope through their middle.

    Args:
        widths: the widths n.
        values: (width,) positive numbers; those not finite or not positive are left out.
        slope: the slope that theory gives the line.
        name: what the points are, for the legend.
        symbol: shape of the points; `first` draws them open.
    """
    n = np.asarray(widths, dtype=float)
    good = np.isfinite(values) & (values > 0)
    if not good.any():
        return []
    colours = [style.COLOURS[i % 6] for i in np.flatnonzero(good)]
    marks = style.points(n[good], values[good], name, style.INK, symbol, open=first)
    marks["marker"]["color"] = colours
    marks["marker"]["line"]["color"] = colours
    marks["hovertemplate"] = "n = %{x:,}<br>%{y:.3g}<extra>" + name + "</extra>"
    if first:
        return [marks]
    middle = np.exp(np.mean(np.log(values[good]) - slope * np.log(n[good])))
    ends = np.array([n.min() / 2, n.max() * 2])
    guide = style.line(
        ends, middle * ends**slope, f"slope {slope:g}".replace("-", "−"), style.MUTED, dash="dot", hoverinfo="skip"
    )
    return [guide, marks]
