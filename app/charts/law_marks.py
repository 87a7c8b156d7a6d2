"""Points of a law on logarithmic axes, with their intervals, the law's line through them and the slope in words."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from app.charts import style

if TYPE_CHECKING:
    from ntk_core.finite.laws import Slope

Figure = dict[str, Any]
NOT_YET = "The points stand here once networks are there"


class Dots(NamedTuple):
    """Points with their 95 % intervals, NaN where there is nothing yet."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean of finite numbers with Student's 95 % interval, NaN without numbers."""
    from ntk_core.finite.student import two_sided

    if not len(values):
        return math.nan, math.nan, math.nan
    middle, S = float(values.mean()), len(values)
    reach = two_sided(0.95, S - 1) * float(values.std(ddof=1)) / math.sqrt(S) if S > 1 else 0.0
    return middle, middle - reach, middle + reach


def marks(x: np.ndarray, dots: Dots, name: str, colour: str, j: int, **more: Any) -> list[Figure]:
    """Points with intervals, at the places where there is something."""
    there = np.isfinite(dots.value)
    if not there.any():
        return []
    value, low, high = (part[there] for part in dots)
    marks = style.points(x[there], value, name, colour, style.MARKERS[j % 6], **more)
    marks["error_y"] = {
        "type": "data", "symmetric": False, "array": _finite(high - value), "arrayminus": _finite(value - low),
        "color": colour, "thickness": 1.2, "width": 3,
    }  # fmt: skip
    marks["hovertemplate"] = "%{x:.4g}: %{y:.4g}<extra>" + name + "</extra>"
    return [marks]


def _finite(reach: np.ndarray) -> list[float]:
    return [float(r) if math.isfinite(r) else 0.0 for r in reach]


def guide(n: np.ndarray, values: np.ndarray, slope: float, colour: str) -> Figure:
    """A line of the law's slope through the middle of the points."""
    good = np.isfinite(values) & (values > 0)
    middle = np.exp(np.mean(np.log(values[good]) - slope * np.log(n[good]))) if good.any() else 1.0
    ends = np.array([n.min() / 1.5, n.max() * 1.5])
    name = f"slope {slope:g}".replace("-", "−")
    return style.line(ends, middle * ends**slope, name, colour, dash="dot", width=1, hoverinfo="skip", showlegend=False)


def fitted_slope(n: np.ndarray, values: np.ndarray) -> str:
    """The fitted slope with its 95 % interval, in words; nothing where there are too few points."""
    good = np.isfinite(values) & (values > 0)
    if good.sum() < 3:
        return ""
    fit = fitted(tuple(n[good]), tuple(values[good]))
    return f": slope {fit.slope:.2f} ({fit.low:.2f} to {fit.high:.2f})".replace("-", "−")


@lru_cache(maxsize=256)
def fitted(n: tuple[float, ...], values: tuple[float, ...]) -> Slope:
    """`fit_slope`, once for all the moments that show the same points."""
    from ntk_core.finite.laws import fit_slope

    return fit_slope(n, values)
