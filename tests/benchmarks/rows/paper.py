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
HEADERS = ("width", "seeds", "components of", *PEAK, *HALF, "peak of |h| at", "paper", "took")
NOTES = (
    "Ranges are over seeds (the paper shows two trials); 'agrees' means that the ranges meet",
    "The paper's components are those of one network of width 10,000; the limit's own are shown beside them",
)


@row("paper-figure3", "paper", "figures 3 b, c: five weight matrices, 512 digits, goal f_0 + 0.5 f^(2), t = 2,000")
def figure3(context: Context) -> Table:
    """The widths that take a minute."""
    widths = context.pick({100: 16, 1000: 2}, {100: 2})
    return _table([_trials(context, n, s, of) for n, s in widths.items() for of in ("network", "limit")])


@row("paper-figure3-10000", "paper", "figures 3 b, c at width 10,000", slow=True)
def figure3_wide(context: Context) -> Table:
    """The width that takes many minutes."""
    width, seeds = context.pick((10000, 2), (1000, 1))
    return _table([_trials(context, width, seeds, "network")])


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


def _trials(context: Context, width: int, seeds: int, source: str) -> tuple[str, ...]:
    """One line of the table."""
    paper = json.loads(FIGURES.read_text())["figure3"]
    start = time.perf_counter()
    last = finished(_spec(context, width, seeds, source))
    took = time.perf_counter() - start
    times, (g, h) = last.times, (last[name][:, 0].T.astype(float) for name in ("g", "h"))  # (seed, time)
    peaks, halves = h.max(-1), [half_time(times, trial) for trial in g]
    line = [f"{width:,}", str(seeds), "one network" if source == "network" else "the limit"]
    for found, key, digits in ((peaks, "orthogonal_norm_peak", 3), (halves, "time_to_half_g", 0)):
        theirs = paper[key][str(width)]
        line += [_range(found, digits), _range(theirs, digits), verdict(found, theirs)]
    line += [_range(times[h.argmax(-1)], 0), f"{paper['orthogonal_norm_peak_time'][str(width)]}", f"{took:.3g} s"]
    return tuple(line)


def _spec(context: Context, width: int, seeds: int, source: str) -> components.Spec:
    duration, points = context.pick((2000, 512), (60, 64))
    return components.Spec.model_validate(
        {
            "widths": (width,), "seeds": seeds, "time": duration, "n_train": points, "snapshots": 60,
            "components_of": source,
        }
    )  # fmt: skip


def _table(lines: list[tuple[str, ...]]) -> Table:
    theory = json.loads(FIGURES.read_text())["figure3"]["time_to_half_g"]["theory"]
    return Table(HEADERS, tuple(lines), (*NOTES, f"In the limit |g| halves at {theory} in the paper"))


def _range(values: Sequence[float], digits: int) -> str:
    low, high = min(values), max(values)
    return f"{low:.{digits}f} to {high:.{digits}f}" if low != high else f"{low:.{digits}f}"
