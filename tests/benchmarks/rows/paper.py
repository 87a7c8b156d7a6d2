"""Figures 3 b and c reproduced: how far networks stray from the straight line, and how soon they are half way."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ntk_core.experiments import components
from tests.benchmarks.framework import Context, row
from tests.benchmarks.results import Table
from tests.benchmarks.runs import finished

FIGURES = Path(__file__).resolve().parents[3] / "assets" / "paper_figures.json"
PEAK, HALF = ("peak of |h|", "paper", "verdict"), ("|g| halves at", "paper", "verdict")
HEADERS = ("width", "seeds", *PEAK, *HALF, "peak of |h| at", "paper", "took")


@row("paper-figure3", "paper", "figures 3 b, c: five weight matrices, 512 digits, goal f_0 + 0.5 f^(2), t = 2,000")
def figure3(context: Context) -> Table:
    """The widths that take a minute."""
    return _reproduce(context.pick({100: 4, 1000: 2}, {100: 2}), context)


@row("paper-figure3-10000", "paper", "figures 3 b, c at width 10,000", slow=True)
def figure3_wide(context: Context) -> Table:
    """The width that takes many minutes."""
    return _reproduce(context.pick({10000: 2}, {1000: 1}), context)


def half_time(times: NDArray[np.float64], g: NDArray[np.float64]) -> float:
    """When g (time,) first falls to half of its start, by interpolation of its logarithm; infinite if it never does."""
    goal = g[0] / 2
    below = np.flatnonzero(g <= goal)
    if not len(below):
        return float("inf")
    k = int(below[0])
    share = np.log(g[k - 1] / goal) / np.log(g[k - 1] / g[k])
    return float(times[k - 1] + share * (times[k] - times[k - 1]))


def verdict(found: Sequence[float], paper: Sequence[float]) -> str:
    """Whether two ranges over seeds meet, and if not, on which side ours lies."""
    if min(found) > max(paper):
        return "higher"
    return "lower" if max(found) < min(paper) else "agrees"


def _reproduce(widths: dict[int, int], context: Context) -> Table:
    paper = json.loads(FIGURES.read_text())["figure3"]
    lines = []
    for width, seeds in widths.items():
        spec = components.Spec(
            widths=(width,), seeds=seeds, time=context.pick(2000, 60), n_train=context.pick(512, 64), snapshots=60
        )
        start = time.perf_counter()
        last = finished(spec)
        took = time.perf_counter() - start
        times, g, h = (last[name].astype(float) for name in ("history_time", "g", "h"))
        peaks, halves = h[0].max(-1), [half_time(times, trial) for trial in g[0]]
        peak_paper, half_paper = paper["orthogonal_norm_peak"][str(width)], paper["time_to_half_g"][str(width)]
        lines.append(
            (
                f"{width:,}",
                str(seeds),
                _range(peaks, 3),
                _range(peak_paper, 3),
                verdict(peaks, peak_paper),
                _range(halves, 0),
                _range(half_paper, 0),
                verdict(halves, half_paper),
                _range(times[h[0].argmax(-1)], 0),
                f"{paper['orthogonal_norm_peak_time'][str(width)]}",
                f"{took:.3g} s",
            )
        )
    notes = (
        "Ranges are over seeds (the paper shows two trials); 'agrees' means that the ranges meet",
        f"In the limit |g| halves at {paper['time_to_half_g']['theory']} in the paper",
    )
    return Table(HEADERS, tuple(lines), notes)


def _range(values: Sequence[float], digits: int) -> str:
    low, high = min(values), max(values)
    return f"{low:.{digits}f} to {high:.{digits}f}" if low != high else f"{low:.{digits}f}"
