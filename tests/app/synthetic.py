"""Invented results with the shapes of the real ones, and an engine that serves them without any worker.

The numbers are smooth and distinct, so that a chart that mixes up widths, seeds or times is caught.
"""

from __future__ import annotations

import math
import threading
import time as clock
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np

from ntk_core import experiments
from ntk_core.engine import EngineError, Preview, Run, data_jobs
from ntk_core.runs.arrays import labelled
from ntk_core.runs.parts import Part
from ntk_core.runs.plan import GroupPlan, Plan
from ntk_core.runs.result import Increment, Result
from ntk_core.runs.theory import Theory

SWEEPS = ("laws", "lazy")  # of which no numbers are invented: their runs end at once


def theory(spec: Any) -> Theory:
    """Stands in for the limit of any of the paper's three figures; the limit itself of other experiments."""
    invented = {"circle": _circle, "function_space": _function_space, "components": _components}
    return invented.get(spec.experiment, experiments.load(spec.experiment).theory)(spec)


def _circle(spec: Any) -> Theory:
    gamma = np.linspace(-math.pi, math.pi, spec.angles)
    return Theory(labelled(
        gamma=(("gamma",), gamma),
        ntk=(("gamma",), 0.17 + 0.11 * np.cos(gamma)),
        nngp=(("gamma",), 0.05 + 0.03 * np.cos(gamma)),
        times=(("times",), spec.times),
        cost=(("times",), 0.5 * np.exp(-np.asarray(spec.times) / 50)),
    ))  # fmt: skip


def _function_space(spec: Any) -> Theory:
    gamma = np.linspace(-math.pi, math.pi, spec.angles)
    times = np.array([*spec.times, math.inf])
    left = np.exp(-times / 100)[:, None]
    return Theory(labelled(
        gamma=(("gamma",), gamma),
        times=(("times",), times),
        mean=(("times", "gamma"), (1 - left) * 0.4 * np.sin(2 * gamma)),
        std=(("times", "gamma"), 0.1 + 0.2 * left + 0.0 * gamma),
        cost=(("times",), 0.1 * left[:, 0] + 0.001),
        gp_mean=(("gamma",), 0.4 * np.sin(2 * gamma)),
        gp_std=(("gamma",), 0.3 + 0.0 * gamma),
        train_gamma=(("point",), [-2.0, -0.9, 0.9, 2.2]),
        train_y=(("point",), [-0.4, -0.2, 0.3, 0.3]),
    ))  # fmt: skip


def _components(spec: Any) -> Theory:
    rng = np.random.default_rng(0)
    labels = rng.choice(np.asarray(spec.digits), spec.n_train).astype(np.int16)
    times = np.asarray(spec.times)
    return Theory(labelled(
        values=(("component",), 0.05 * 0.4 ** np.arange(10)),
        x=(("point",), rng.normal(size=spec.n_train).astype(np.float32)),
        y=(("point",), rng.normal(size=spec.n_train).astype(np.float32)),
        label=(("point",), labels),
        picture=(("point",), np.arange(spec.n_train, dtype=np.int32)),
        times=(("times",), times),
        decay=(("times",), spec.scale * np.exp(-times / 900)),
        bend=(("times",), 0.02 * times / (1 + times[-1]) * (spec.components_of == "network")),
    ), {"classes": [f"digit {k}" for k in range(10)]})  # fmt: skip


def increments(spec: Any, index: int, widths: range) -> list[Increment]:
    """What the networks of these widths add at an output time."""
    n, s = len(spec.widths), spec.seeds
    number = np.arange(n * s, dtype=np.float32).reshape(n, s) / (10 * n * s)  # tells every network apart
    times = np.asarray(spec.times)
    history = number + 0.3 + times[index] / (100 * (1 + times[-1]))
    values: dict[str, Any] = {
        "cost": 0.2 * history, "error": 0.001 + 0 * history, "kernel_error": 0.01 + 0 * history,
        "largest": 0.1 + 0 * history,
        "leaps": np.full((n, s), float(index)), "walked": np.zeros((n, s)), "diverged": np.zeros((n, s), bool),
    }  # fmt: skip
    if spec.experiment == "components":
        own = 0.05 * 0.4 ** np.arange(min(10, spec.n_train)) * (1 + number[..., None])
        values |= {"g": history, "h": 0.1 * history, "eigenvalues": own if index == 0 else np.nan * own}
    else:
        gamma = np.linspace(-math.pi, math.pi, spec.angles)
        curve = number[..., None] + 0.2 + 0.1 * np.cos(gamma + 0.01 * index)
        if spec.experiment == "circle":
            values |= {"kernel": curve, "peak": history}
        else:
            values |= {"f": curve}
        if spec.experiment == "function_space":
            values |= {"own_start": curve + 0.03, "own_now": curve - 0.01}
    share = (index + (widths.stop / n)) / len(times)
    return [
        Increment(
            {"time": index, "width": i, "seed": (0, s)}, {name: array[i] for name, array in values.items()}, share
        )
        for i in widths
    ]


def result(spec: Any, index: int, *, missing: int = 0) -> Result:
    """The networks up to output time `index`, which the last `missing` widths have not reached, nor any other."""
    made = Result(experiments.load(spec.experiment).schema(spec))
    there = range(len(spec.widths) - missing)
    for k in range(index + 1):
        for increment in increments(spec, k, there):
            made.add(increment)
    return made


def plan(spec: Any) -> Plan:
    """A plan that fits, with a warning when the learning rate is above 20 and a refusal for width 1,000,000."""
    groups = tuple(
        GroupPlan(n, "leaps", "sampled" if n > 5000 else "dense", spec.seeds, n * 1000, 0.5) for n in spec.widths
    )
    warnings = ("Gradient descent will diverge: lower the learning rate.",) if spec.learning_rate > 20 else ()
    refusal = "This run needs 900 GB, and 4 GB are free: lower the width." if max(spec.widths) >= 1_000_000 else None
    return Plan(groups, 10_000_000, 2.0, "cpu", refusal, warnings)


class Asked:
    """A preview that is there at once, or an error."""

    def __init__(self, answer: Preview | Exception):
        self.answer = answer

    def wait(self, seconds: float) -> bool:
        return True

    def result(self, seconds: float = 0.0) -> Preview:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def _answer(job: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """The job itself, asked as the engine asks a worker."""

    def ask(*arguments: Any) -> dict[str, Any]:
        found = job(*arguments)
        if found["error"]:
            raise ValueError(found["error"])
        return found

    return ask


class Engine:
    """The engine's face with invented answers; a run plays its increments from a thread, `pace` seconds apart."""

    def __init__(self, pace: float = 0.05):
        self.pace, self.runs, self.sketches = pace, dict[str, Run](), dict[str, Run]()
        self.queue = SimpleNamespace(place=lambda run: SimpleNamespace(ahead=0, seconds=0.0))
        self.shelf = SimpleNamespace(refresh=lambda: None)
        self.own_data = SimpleNamespace(look=_answer(data_jobs.look), keep=_answer(data_jobs.keep))
        self.refused: Exception | None = None

    def preview(self, spec: Any, seconds: float = 0.0) -> Preview:
        if self.refused:
            raise self.refused
        if not experiments.runs(spec.experiment):  # theory alone: the real one, which takes milliseconds
            return Preview(spec, experiments.load(spec.experiment).theory(spec), None)
        return Preview(spec, theory(spec), plan(spec))

    @contextmanager
    def ask(self, spec: Any) -> Iterator[Asked]:
        try:
            answer: Preview | Exception = self.preview(spec)
        except (ValueError, EngineError) as error:  # a worker's refusal comes as an answer
            answer = error
        yield Asked(answer)

    def refusal(self, spec: Any, plan: Plan) -> str | None:
        return plan.refusal

    def submit(self, spec: Any, viewer: str = "", *, again: bool = False) -> Run:
        run = self.runs.get(spec.key)
        if run is None or again or run.state in ("stopped", "failed"):
            run = self.runs[spec.key] = self._new(spec, spec.key if run is None else f"{spec.key}-again")
        return run

    def recall(self, spec: Any, viewer: str = "") -> Run | None:
        return self.runs.get(spec.key)

    def sketch(self, spec: Any, viewer: str = "") -> Run | None:
        make = getattr(experiments.load(spec.experiment), "sketch", None)
        if make is None:
            return None
        sketch = make(spec)
        if sketch is None:
            return None
        if sketch.key not in self.sketches:
            self.sketches[sketch.key] = self._new(sketch, f"{sketch.key}-sketch")
        return self.sketches[sketch.key]

    def get(self, key: str) -> Run | None:
        return self.runs.get(key)

    def known_spec(self, key: str) -> Any:
        run = self.runs.get(key)
        return run.spec if run else None

    def status(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        for run in (*self.runs.values(), *self.sketches.values()):
            run.end("stopped")

    def _new(self, spec: Any, task: str) -> Run:
        schema = experiments.load(spec.experiment).schema(spec)
        run = Run(spec, task, schema, lambda run: run.end("stopped"), 5.0)
        run.begin([Part("all")])
        run.viewers.expect("", 30.0)
        threading.Thread(target=self._play, args=[run], daemon=True).start()
        return run

    def _play(self, run: Run) -> None:
        (name,) = run.parts
        number = 0
        moments = 0 if run.spec.experiment in SWEEPS else len(run.spec.times)
        for index in range(moments):
            for k in range(len(run.spec.widths)):
                clock.sleep(self.pace)
                number += 1
                for increment in increments(run.spec, index, range(k, k + 1)):
                    run.accept(name, number, [increment.to_bytes()], increment.progress)
        run.end("finished")
