"""How time and memory grow with width, points, depth and time: exponents fitted to whole runs."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ntk_core import Architecture, limiting_kernels
from ntk_core.experiments import circle, function_space
from ntk_core.runs.spec import TrainingSpec
from tests.benchmarks.child import forget_peak, measure
from tests.benchmarks.framework import Context, row
from tests.benchmarks.results import Table
from tests.benchmarks.runs import finished, warmed_up
from tests.benchmarks.timing import exponent, seconds

LONG = 2.0  # seconds; work that takes longer is measured once
MEGABYTE = 1e6  # less than this is not told from nothing
FITTED = "Exponents are slopes of least squares in log-log over the whole range; memory is the growth of the process"


@row("scaling-width", "scaling", "figure 2's task, one seed, t = 1,000, weights stored and sampled")
def width(context: Context) -> Table:
    """Narrow networks are stored, wide ones sampled."""
    ranges: dict[str, tuple[int, ...]] = context.pick(
        {"dense": (500, 1000, 2000, 4000), "sampled": (2000, 8000, 32000, 64000)},
        {"dense": (50, 100), "sampled": (5000, 10000)},
    )
    tables = [
        _table(context, "train_points", [{"width": n, "weights": kind, "time": 1000} for n in widths], "width", kind)
        for kind, widths in ranges.items()
    ]
    return Table(tables[0].headers, tables[0].rows + tables[1].rows, (FITTED,))


@row("scaling-points", "scaling", "figure 1's task at width 1,000, one seed, t = 200")
def points(context: Context) -> Table:
    """Random inputs and a kinked activation, the harder case."""
    counts = context.pick((25, 50, 100, 200), (10, 20))
    return _table(context, "train_inputs", [{"points": n, "width": 1000, "time": 200} for n in counts], "points")


@row("scaling-depth", "scaling", "figure 2's task at width 1,000, one seed, t = 200")
def depth(context: Context) -> Table:
    """Weight matrices."""
    depths = context.pick((3, 4, 6, 8, 12), (3, 4))
    return _table(context, "train_points", [{"depth": L, "width": 1000, "time": 200} for L in depths], "depth")


@row("scaling-time", "scaling", "figure 2's task at width 1,000, one seed: steps taken by leaps")
def time(context: Context) -> Table:
    """Taking every step would have exponent 1."""
    times = context.pick((100, 400, 1600, 6400, 25600), (10, 40))
    return _table(context, "train_points", [{"time": t, "width": 1000} for t in times], "time")


@row("scaling-kernel", "scaling", "limiting kernels of N x 784 points, relu, L = 4")
def kernel(context: Context) -> Table:
    """The answer itself has N^2 entries."""
    counts = context.pick((1000, 2000, 4000, 8000), (200, 400))
    return _table(context, "limiting", [{"points": n} for n in counts], "points")


def train_points(width: int, time: float, depth: int = 4, weights: str = "auto") -> dict[str, float]:
    """Seconds of figure 2's task."""
    spec = function_space.Spec(
        widths=(width,), seeds=1, time=time, depth=depth, snapshots=2, angles=16, weights=weights, device="cpu"
    )
    return _timed(spec)


def train_inputs(points: int, width: int, time: float) -> dict[str, float]:
    """Seconds of figure 1's task."""
    spec = circle.Spec(widths=(width,), seeds=1, time=time, n_train=points, snapshots=2, angles=16, device="cpu")
    return _timed(spec)


def limiting(points: int) -> dict[str, float]:
    """Seconds of both kernels."""
    X = np.random.default_rng(0).standard_normal((points, 784))
    arch = Architecture(depth=4, n_in=784)
    limiting_kernels(arch, X[:64])
    return _measured(lambda: limiting_kernels(arch, X))


def _timed(spec: TrainingSpec) -> dict[str, float]:
    warmed_up(spec)
    return _measured(lambda: finished(spec))


def _measured(work: Callable[[], object]) -> dict[str, float]:
    """Seconds, of short work the median of three; bytes that the process held before."""
    before = forget_peak()
    first = seconds(work)
    samples = [first] if first > LONG else [first, seconds(work), seconds(work)]
    return {"seconds": statistics.median(samples), "before": before}


def _table(context: Context, work: str, cases: Sequence[dict[str, Any]], against: str, label: str = "auto") -> Table:
    """One line: exponents, and the points they were fitted to."""
    found = [measure(f"{__name__}:{work}", context.cores, **case) for case in cases]
    x = [float(case[against]) for case in cases]
    times, memory = [f["seconds"] for f in found], [max(f["peak"] - f["before"], MEGABYTE) for f in found]
    listed = "; ".join(f"{v:,.0f}: {t:.3g} s, {m / 1e9:.2g} GB" for v, t, m in zip(x, times, memory, strict=True))
    cells = (against, label, f"{exponent(x, times):.2f}", f"{exponent(x, memory):.2f}", listed)
    return Table(("against", "weights", "exponent of time", "exponent of memory", "measured"), (cells,), (FITTED,))
