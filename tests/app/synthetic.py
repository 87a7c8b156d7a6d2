"""Invented snapshots with the shapes of the real ones, and an engine that serves them without any worker.

The numbers are smooth and distinct, so that a chart that mixes up widths, seeds or times is caught.
"""

from __future__ import annotations

import math
import threading
import time as clock
from typing import Any

import numpy as np

from ntk_core.engine import Preview, Run
from ntk_core.runs.plan import GroupPlan, Plan
from ntk_core.runs.snapshot import Snapshot, labelled


def theory(spec: Any) -> Snapshot:
    """Stands in for the limit of any of the three experiments."""
    return {"circle": _circle, "function_space": _function_space, "components": _components}[spec.experiment](spec)


def _circle(spec: Any) -> Snapshot:
    gamma = np.linspace(-math.pi, math.pi, spec.angles)
    return Snapshot(0, 0.0, labelled(
        gamma=(("gamma",), gamma),
        ntk=(("gamma",), 0.17 + 0.11 * np.cos(gamma)),
        nngp=(("gamma",), 0.05 + 0.03 * np.cos(gamma)),
        times=(("times",), spec.times),
        cost=(("times",), 0.5 * np.exp(-np.asarray(spec.times) / 50)),
    ), progress=1.0)  # fmt: skip


def _function_space(spec: Any) -> Snapshot:
    gamma = np.linspace(-math.pi, math.pi, spec.angles)
    times = np.array([*spec.times, math.inf])
    left = np.exp(-times / 100)[:, None]
    return Snapshot(0, 0.0, labelled(
        gamma=(("gamma",), gamma),
        times=(("times",), times),
        mean=(("times", "gamma"), (1 - left) * 0.4 * np.sin(2 * gamma)),
        std=(("times", "gamma"), 0.1 + 0.2 * left + 0.0 * gamma),
        cost=(("times",), 0.1 * left[:, 0] + 0.001),
        gp_mean=(("gamma",), 0.4 * np.sin(2 * gamma)),
        gp_std=(("gamma",), 0.3 + 0.0 * gamma),
        train_gamma=(("point",), [-2.0, -0.9, 0.9, 2.2]),
        train_y=(("point",), [-0.4, -0.2, 0.3, 0.3]),
    ), progress=1.0)  # fmt: skip


def _components(spec: Any) -> Snapshot:
    rng = np.random.default_rng(0)
    labels = rng.choice(np.asarray(spec.digits), spec.n_train).astype(np.int16)
    times = np.asarray(spec.times)
    return Snapshot(0, 0.0, labelled(
        values=(("component",), 0.05 * 0.4 ** np.arange(10)),
        x=(("point",), rng.normal(size=spec.n_train).astype(np.float32)),
        y=(("point",), rng.normal(size=spec.n_train).astype(np.float32)),
        label=(("point",), labels),
        picture=(("point",), np.arange(spec.n_train, dtype=np.int32)),
        times=(("times",), times),
        decay=(("times",), spec.scale * np.exp(-times / 900)),
        bend=(("times",), 0.02 * times / (1 + times[-1]) * (spec.components_of == "network")),
    ), progress=1.0)  # fmt: skip


def snapshot(spec: Any, index: int, *, missing: int = 0) -> Snapshot:
    """The networks at output time `index`; the last `missing` widths have not got there."""
    n, s = len(spec.widths), spec.seeds
    times = np.asarray(spec.times)
    number = np.arange(n * s, dtype=np.float32).reshape(n, s, 1) / (10 * n * s)  # tells every network apart
    history = number + 0.3 + times[: index + 1] / (100 * (1 + times[-1]))
    arrays: dict[str, Any] = {
        "width": (("width",), spec.widths),
        "history_time": (("history_time",), times[: index + 1]),
    }
    three = ("width", "seed", "history_time")
    if spec.experiment == "components":
        arrays |= {"g": (three, history), "h": (three, 0.1 * history), "cost": (three, history)}
    else:
        gamma = np.linspace(-math.pi, math.pi, spec.angles)
        curve = number + 0.2 + 0.1 * np.cos(gamma + 0.01 * index)
        arrays |= {"gamma": (("gamma",), gamma), "cost": (three, 0.2 * history)}
        if spec.experiment == "circle":
            start = number + 0.2 + 0.1 * np.cos(gamma)
            arrays |= {"kernel": (("width", "seed", "gamma"), curve), "initial": (("width", "seed", "gamma"), start)}
            arrays |= {"peak": (three, history)}
        else:
            arrays |= {"f": (("width", "seed", "gamma"), curve)}
    made = labelled(**arrays)
    for array in made.values():
        if missing and array.dims[0] == "width" and len(array.dims) == 3:
            last = array.values[-missing:]
            (last if "gamma" in array.dims else last[..., index])[...] = np.nan
    share = (index + 1 - missing / max(n, 1)) / len(times)
    return Snapshot(index, float(times[index]), made, missing == 0, share, {"method": "leaps", "device": "cpu"})


def plan(spec: Any) -> Plan:
    """A plan that fits, with a warning when the learning rate is above 20 and a refusal for width 1,000,000."""
    groups = tuple(
        GroupPlan(n, "leaps", "sampled" if n > 5000 else "dense", spec.seeds, n * 1000, 0.5) for n in spec.widths
    )
    warnings = ("Gradient descent will diverge: lower the learning rate.",) if spec.learning_rate > 20 else ()
    refusal = "This run needs 900 GB, and 4 GB are free: lower the width." if max(spec.widths) >= 1_000_000 else None
    return Plan(groups, 10_000_000, 2.0, "cpu", refusal, warnings)


class Engine:
    """The engine's face with invented answers; a run plays its snapshots from a thread, `pace` seconds apart."""

    def __init__(self, pace: float = 0.05):
        self.pace, self.runs = pace, dict[str, Run]()

    def preview(self, spec: Any) -> Preview:
        return Preview(theory(spec), plan(spec))

    def submit(self, spec: Any, viewer: str = "") -> Run:
        run = self.runs.get(spec.key)
        if run is None or run.state in ("stopped", "failed"):
            run = self.runs[spec.key] = Run(spec, spec.key, lambda run: run.end("stopped"), 5.0)
            run.viewers.expect(viewer, 30.0)
            threading.Thread(target=self._play, args=[run], daemon=True).start()
        return run

    def get(self, key: str) -> Run | None:
        return self.runs.get(key)

    def status(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        for run in self.runs.values():
            run.end("stopped")

    def _play(self, run: Run) -> None:
        run.start()
        number = 0
        for index in range(len(run.spec.times)):
            for missing in range(len(run.spec.widths) - 1, -1, -1):
                clock.sleep(self.pace)
                number += 1
                run.accept(number, snapshot(run.spec, index, missing=missing).to_bytes())
        run.end("finished")
