"""What is promised before a run against what comes: predicted seconds, and estimated errors of leaps."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ntk_core import experiments
from ntk_core.activations.known_names import ACTIVATIONS, UNTRAINABLE
from ntk_core.runs.plan import Plan
from ntk_core.runs.spec import TrainingSpec
from tests.benchmarks.framework import Context, row
from tests.benchmarks.results import Table
from tests.benchmarks.runs import finished, warmed_up
from tests.benchmarks.timing import seconds
from tests.ntk_core.training.test_errors import compared

FACTOR = 1.5
MODERATE = (0.3, 20.0)  # predicted seconds
PAPER = ("circle", "function_space", "components")


@row("predicted-times", "paper", "24 specs drawn from the controls' ranges, 0.3 to 20 predicted seconds")
def predicted_times(context: Context) -> Table:
    """As a person would have it: the sentence before the run, and the run."""
    lines, ratios = [], []
    for spec in _moderate(context.pick(24, 2), context.pick(MODERATE, (0.0, 0.5))):
        predicted, took = _told_and_took(spec)
        ratios.append(predicted / took)
        lines.append((*_words(spec), f"{predicted:.3g} s", f"{took:.3g} s", f"{predicted / took:.2f}"))
    return Table(
        ("experiment", "widths", "network", "training", "predicted", "took", "ratio"),
        tuple(lines),
        (f"{tenths(ratios):.1f} of ten are predicted within a factor {FACTOR} (wanted: nine)",),
    )


def _told_and_took(spec: TrainingSpec) -> tuple[float, float]:
    """Predicted seconds, just before the run, and those of the run."""
    warmed_up(spec)
    return _plan(spec).seconds, seconds(lambda: finished(spec))


def _plan(spec: TrainingSpec) -> Plan:
    return experiments.load(spec.experiment).plan(spec)


def tenths(ratios: list[float]) -> float:
    """How many of ten are within the factor, either way."""
    return 10 * float(np.mean([1 / FACTOR <= ratio <= FACTOR for ratio in ratios]))


@row("steps-or-leaps", "paper", "the way that is chosen for a width, against the other: 16 of specs drawn as above")
def steps_or_leaps(context: Context) -> Table:
    """Both are told, both are run; of stored weights, where both are told to take moderately long."""
    lines, told, lost = [], [], []
    for spec, chosen in _both_ways(context.pick(16, 1), context.pick(10.0, 0.5)):
        found = {}
        for method in ("steps", "leaps"):
            found[method] = _told_and_took(spec.model_copy(update={"method": method}))
            told.append(found[method][0] / found[method][1])
        lost.append(found[chosen][1] / min(took for _, took in found.values()))
        times = (f"{value:.3g} s" for pair in found.values() for value in pair)
        lines.append((*_words(spec), *times, chosen, f"{lost[-1]:.2f}"))
    headers = ("steps told", "took", "leaps told", "took", "chosen", "over the sooner")
    return Table(
        ("experiment", "width", "network", "training", *headers),
        tuple(lines),
        (
            f"{sum(ratio == 1 for ratio in lost)} of {len(lost)} are the sooner; at most {max(lost):.2f} times as long",
            f"{tenths(told):.1f} of ten of both are told within a factor {FACTOR}",
        ),
    )


@row("leap-estimates", "paper", "estimated errors of leaps against every step taken: 400 networks drawn anew")
def leap_estimates(context: Context) -> Table:
    """One in a hundred may be missed; the drawn cases of the tests are not among these."""
    found = [pair for pair in map(compared, range(10_000, context.pick(10_400, 10_005))) if pair is not None]
    lines = []
    for what, k in (("f", 0), ("the kernel", 2)):
        ratios = np.array([(case[k] + 1e-12) / (case[k + 1] + 1e-12) for case in found])
        lines.append((what, str(len(ratios)), str(int((ratios < 1).sum())), f"{np.median(ratios):.3g}"))
    return Table(("error of", "cases that leapt", "missed", "median of estimated over actual"), tuple(lines))


def _moderate(count: int, wanted: tuple[float, float]) -> Iterator[TrainingSpec]:
    """The first drawn specs whose predicted time is moderate and which are neither refused nor warned about."""
    found, index = 0, 0
    while found < count:
        spec = drawn(index)
        index += 1
        plan = _plan(spec)
        if plan.refusal is None and not plan.warnings and wanted[0] <= plan.seconds <= wanted[1]:
            found += 1
            yield spec


def _both_ways(count: int, most: float) -> Iterator[tuple[TrainingSpec, str]]:
    """Drawn specs of one width with stored weights, and the way that is chosen for them."""
    found, index = 0, 0
    while found < count:
        spec = drawn(index)
        index += 1
        spec = spec.model_copy(update={"widths": spec.widths[:1]})
        plan = _plan(spec)
        if spec.rule == "gradient_flow" or plan.refusal or plan.warnings or plan.groups[0].weights != "dense":
            continue
        spec = spec.model_copy(update={"weights": "dense"})
        ways = (spec.model_copy(update={"method": method}) for method in ("steps", "leaps"))
        if max(_plan(way).seconds for way in ways) <= most:
            found += 1
            yield spec, plan.groups[0].method


def drawn(index: int) -> TrainingSpec:
    """A spec from the ranges that the pages' controls offer, the experiments in turn."""
    source = np.random.default_rng(index)

    def between(low: float, high: float) -> float:
        return float(np.exp(source.uniform(math.log(low), math.log(high))))

    name = PAPER[index % 3]
    rate = float(f"{between(0.1, 2.0):.2g}")
    fields = {
        "depth": int(source.integers(2, 9)),
        "widths": tuple(sorted({int(between(30, 10_000)) for _ in range(source.integers(1, 4))})),
        "activation": str(source.choice([a for a in ACTIVATIONS if a not in UNTRAINABLE])),
        "beta": float(source.choice([0.05, 0.1, 0.5, 1.0])),
        "seeds": int(between(1, 20)),
        "learning_rate": rate,
        "time": rate * int(between(20, 3000)),
        "snapshots": int(source.integers(2, 49)),
        "rule": str(source.choice(["gradient_descent", "gradient_descent", "gradient_flow", "momentum"])),
        "momentum": float(source.choice([0.5, 0.9])),
        "precision": str(source.choice(["float32", "float32", "float64"])),
        "device": "cpu",
    }
    own = {
        "circle": lambda: {"n_train": int(between(4, 200))},
        "function_space": lambda: {"points": "even", "n_train": int(between(3, 64))},
        "components": lambda: {"n_train": int(between(20, 600))},
    }
    return experiments.load(name).Spec.model_validate(fields | own[name]())


def _words(spec: TrainingSpec) -> tuple[str, str, str, str]:
    return (
        spec.experiment.replace("_", " "),
        ", ".join(f"{width:,}" for width in spec.widths),
        f"{spec.activation}, L = {spec.depth}, {spec.seeds} seeds, {spec.precision}",
        f"{spec.rule.replace('_', ' ')}, {spec.steps:,} steps, {len(spec.times)} times, "
        f"{spec.model_dump()['n_train']} points",
    )
