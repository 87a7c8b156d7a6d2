"""Sentences about plans, specs and moments. Pure text; nothing here imports Streamlit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from app import charts
from app.controls.table import plain
from ntk_core.runs.plan import Plan
from ntk_core.runs.spec import TrainingSpec

COST = "cost ½ mean (f − f*)²"


def plan(plan: Plan, refusal: str | None = None) -> str:
    """How the networks will be trained, how long it will take and how much memory."""
    if refusal or plan.refusal:
        return "This run is not possible here."
    alike: dict[tuple[str, str], list[str]] = {}
    for g in plan.groups:
        alike.setdefault((g.method, g.weights), []).append(f"{g.width:,}")
    groups = "; ".join(
        f"width{'s' * (len(widths) > 1)} {', '.join(widths)}: **{method}**, {weights} weights"
        for (method, weights), widths in alike.items()
    )
    cost = f"about **{seconds(plan.seconds)}**, {size(plan.bytes)} · {plan.device}"
    return f"{groups} · {cost}" if groups else cost


def recorded(record: Mapping[str, Any]) -> str:
    """That what is shown was computed before: how long it took, where and when."""
    if "seconds" not in record:
        return "**Recorded** before; run it again at will."
    spent = seconds(float(record["seconds"]))
    return f"**Recorded**: {spent} on {plain(str(record.get('machine', 'another machine')))}; run it again at will."


def facts(spec: Any, plan: Plan | None, inverted: Mapping[str, Any] | None = None) -> str:
    """The conventions behind every number on the page: the chart's own, or those of networks in training; and how well
    conditioned the kernel is where the limit inverts it.
    """
    own = getattr(charts.load(spec.experiment), "facts", None)
    parts = list(own(spec, plan)) if own else _of_training(spec, plan)
    return " · ".join([*parts, conditioned(inverted)] if inverted else parts)


def conditioned(inverted: Mapping[str, Any]) -> str:
    """The extreme eigenvalues and the condition number of the matrix that the limit inverts."""
    if inverted["number"] is None:
        null = inverted["null"]
        lost = f"{null} direction{'s' * (null > 1)} of the targets never learned" if null else "to rounding"
        return f"{inverted['matrix']}: singular, {lost}"
    ends = f"{inverted['smallest']:.2g} to {inverted['largest']:.2g}"
    number = float(f"{inverted['number']:.2g}")
    return f"{inverted['matrix']}: eigenvalues over N {ends}, condition number {number:,g}"


def _of_training(spec: Any, plan: Plan | None) -> list[str]:
    if not isinstance(spec, TrainingSpec):
        return []
    hidden = spec.depth - 1
    layers = f"{hidden} hidden layer{'s' * (hidden != 1)}"
    parts = [
        f"depth {spec.depth} = weight matrices, {layers}",
        COST,
        _time(spec),
        f"seeds {spec.seed:,} to {spec.seed + spec.seeds - 1:,}" if spec.seeds > 1 else f"seed {spec.seed:,}",
        spec.precision,
    ]
    if plan is not None:
        parts += [plan.device, " / ".join(dict.fromkeys(g.method for g in plan.groups)) or spec.method]
    return parts


def _time(spec: Any) -> str:
    if spec.rule == "gradient_flow":
        return f"time t up to {spec.time:,g} of gradient flow"
    rule = " with momentum" if spec.rule == "momentum" else ""
    reached = spec.times[-1]
    rounded = "" if math.isclose(reached, spec.time, rel_tol=1e-9, abs_tol=1e-12) else f" (rounded from {spec.time:,g})"
    return f"time t = {spec.steps:,} steps × rate {spec.learning_rate:g} = {reached:,g}{rounded}{rule}"


def seconds(value: float) -> str:
    """A duration in words."""
    if value < 1:
        return "a second"
    if value < 90:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} minutes" if value < 5400 else f"{value / 3600:.1f} hours"


def size(count: float) -> str:
    """An amount of memory."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
