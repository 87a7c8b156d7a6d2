"""A figure as HTML that needs no script: curves, bands and points of one panel, to be seen before Plotly is there.

Colours are CSS variables named like the charts' tokens ("@c0" is --ntk-c0). The picture takes any size: curves are a
stretched SVG whose lines keep their width, and words stand beside it. `app/web/first_sight.css` has its looks.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.charts import arrays

DASHES = {"dash": "8 5", "dot": "2 3", "dashdot": "8 4 2 4", "longdash": "12 5", "longdashdot": "12 4 2 4"}
SIZE = 1000  # units of the SVG, either way
MARGIN = 0.05  # of the range, beyond what is drawn
TICKS = 5
_TAGS = re.compile(r"&lt;(/?(?:sub|sup|b|i))&gt;")


@dataclass(frozen=True)
class Axis:
    """From numbers to shares of the picture's width or height; ticks are (share, text)."""

    low: float
    high: float
    log: bool
    title: str
    ticks: tuple[tuple[float, str], ...]

    def shares(self, values: np.ndarray) -> np.ndarray:
        """Where numbers stand, 0 to 1 between the ends; NaN where they have no place."""
        return (_scaled(values, self.log) - self.low) / (self.high - self.low)


def still(figure: Mapping[str, Any]) -> str | None:
    """The picture, or None of what is not drawn in lines and points on two axes."""
    traces = [t for t in arrays.expanded(dict(figure))["data"] if t.get("visible", True) is True]
    plain = all(t["type"] == "scatter" and t.get("xaxis", "x") == "x" and t.get("yaxis", "y") == "y" for t in traces)
    if not traces or not plain:
        return None
    points = [tuple(_numbers(t[k]) for k in ("x", "y")) for t in traces]
    x, y = (_axis(figure["layout"][f"{k}axis"], [p[i] for p in points]) for i, k in enumerate("xy"))
    if x is None or y is None:
        return None
    placed = [(x.shares(a), 1 - y.shares(b)) for a, b in points]
    marks = "".join(_marks(t, p) for t, p in zip(traces, placed, strict=True) if "markers" in t.get("mode", "lines"))
    return (
        f'<ul class="ntk-still-legend">{"".join(_legend(traces))}</ul><div class="ntk-still-plot">'
        f'<svg viewBox="0 0 {SIZE} {SIZE}" preserveAspectRatio="none">{_grid(x, y)}{_curves(traces, placed)}</svg>'
        f"{marks}{_words(x, y)}</div>"
    )


def plain(text: str) -> str:
    """A text with Plotly's few tags as HTML, nothing else in it being read as such."""
    return _TAGS.sub(r"<\1>", html.escape(text.replace("<br>", " ")))


def _numbers(values: Any) -> np.ndarray:
    return np.asarray(arrays.numbers(values) if isinstance(values, dict) else values, dtype=float).ravel()


def _scaled(values: np.ndarray, log: bool) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        out = np.log10(values) if log else values
    return np.where(np.isfinite(out), out, np.nan)


def _axis(layout: Mapping[str, Any], values: list[np.ndarray]) -> Axis | None:
    """The axis that a layout describes, around the values that it shows."""
    log = layout.get("type") == "log"
    seen = _scaled(np.concatenate(values), log)
    seen = seen[~np.isnan(seen)]
    if "range" in layout:
        low, high = map(float, layout["range"])
    elif seen.size:
        low, high = float(seen.min()), float(seen.max())
        room = MARGIN * (high - low) or 1.0
        low, high = low - room, high + room
    else:
        return None
    where = _scaled(np.asarray(layout.get("tickvals", _round_numbers(low, high, log)), dtype=float), log)
    texts = layout.get("ticktext") or [f"{v:.4g}".replace("-", "−") for v in (10**where if log else where)]
    shares = (where - low) / (high - low)
    ticks = tuple((float(s), str(text)) for s, text in zip(shares, texts, strict=True) if -1e-9 <= s <= 1 + 1e-9)
    return Axis(low, high, log, layout["title"]["text"], ticks)


def _round_numbers(low: float, high: float, log: bool) -> np.ndarray:
    """Some five round numbers between the ends; powers of ten on a logarithmic axis."""
    if log:
        every = max(1, round((high - low) / TICKS))
        return 10.0 ** np.arange(math.ceil(low), math.floor(high) + 1, every)
    rough = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * min((1, 2, 5, 10), key=lambda m: abs(m * power - rough))
    return step * np.arange(math.ceil(low / step), math.floor(high / step) + 1)


def _colour(token: str) -> tuple[str, str]:
    """The variable and the opacity that a colour's token means."""
    name, _, opacity = token.removeprefix("@").partition("/")
    return f"var(--ntk-{name})", opacity or "1"


def _grid(x: Axis, y: Axis) -> str:
    across = "".join(f"M{SIZE * share:.0f} 0V{SIZE}" for share, _ in x.ticks)
    return f'<path d="{across}{"".join(f"M0 {SIZE * (1 - share):.0f}H{SIZE}" for share, _ in y.ticks)}" class="g"/>'


def _curves(traces: list[dict[str, Any]], placed: list[tuple[np.ndarray, np.ndarray]]) -> str:
    out = []
    for i, (trace, (x, y)) in enumerate(zip(traces, placed, strict=True)):
        line = trace.get("line", {})
        if trace.get("fill") == "tonexty" and i:
            colour, opacity = _colour(trace["fillcolor"])
            low_x, low_y = placed[i - 1]
            edge = _path(np.append(low_x, x[::-1]), np.append(low_y, y[::-1]))
            out.append(f'<path d="{edge}" style="fill:{colour};opacity:{opacity}"/>')
        if "lines" in trace.get("mode", "lines") and line.get("width", 2):
            colour, opacity = _colour(line["color"])
            faint = float(opacity) * float(trace.get("opacity", 1))
            dash = f";stroke-dasharray:{DASHES[line['dash']]}" if line.get("dash") in DASHES else ""
            style = f"stroke:{colour};stroke-width:{line.get('width', 2):g};opacity:{faint:g}{dash}"
            out.append(f'<path d="{_path(x, y)}" style="{style}"/>')
    return "".join(out)


def _path(x: np.ndarray, y: np.ndarray) -> str:
    """Lines through shares of the picture, broken where there is nothing."""
    words, pen = [], "M"
    for a, b in zip(SIZE * x, SIZE * y, strict=True):
        if math.isnan(a) or math.isnan(b):
            pen = "M"
            continue
        words.append(f"{pen}{a:.0f} {b:.0f}")
        pen = "L"
    return "".join(words)


def _marks(trace: dict[str, Any], placed: tuple[np.ndarray, np.ndarray]) -> str:
    colour, _ = _colour(_one(trace["marker"]["color"]))
    inside = [(a, b) for a, b in zip(*placed, strict=True) if 0 <= a <= 1 and 0 <= b <= 1]
    style = f"color:{colour};left:{{:.1f}}%;top:{{:.1f}}%"
    return "".join(f'<i style="{style.format(100 * a, 100 * b)}"></i>' for a, b in inside)


def _one(colour: Any) -> str:
    return colour if isinstance(colour, str) else colour[0]


def _legend(traces: list[dict[str, Any]]) -> Iterator[str]:
    named: dict[str, dict[str, Any]] = {}
    for trace in traces:
        if trace.get("name") and trace.get("showlegend", True):
            named.setdefault(trace.get("legendgroup") or trace["name"], trace)
    for trace in named.values():
        yield f"<li>{_swatch(trace)}{plain(trace['name'])}</li>"


def _swatch(trace: dict[str, Any]) -> str:
    """What a curve looks like, beside its name: a band, a dot or a line."""
    if "fillcolor" in trace:
        colour, opacity = _colour(trace["fillcolor"])
        return f'<i style="background:{colour};opacity:{opacity};height:10px"></i>'
    if "lines" not in trace.get("mode", "lines"):
        return f'<i class="dot" style="background:{_colour(_one(trace["marker"]["color"]))[0]}"></i>'
    line = trace["line"]
    style = "dashed" if line.get("dash", "solid") != "solid" else "solid"
    return f'<i style="border-top:{line.get("width", 2):g}px {style} {_colour(line["color"])[0]}"></i>'


def _words(x: Axis, y: Axis) -> str:
    below = "".join(f'<span class="x" style="left:{100 * share:.1f}%">{plain(text)}</span>' for share, text in x.ticks)
    beside = "".join(
        f'<span class="y" style="bottom:{100 * share:.1f}%">{plain(text)}</span>' for share, text in y.ticks
    )
    return f'{below}{beside}<b class="x">{plain(x.title)}</b><b class="y">{plain(y.title)}</b>'
