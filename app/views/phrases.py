"""Sentences about plans, specs and moments. Pure text; nothing here imports Streamlit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from app import charts
from ntk_core.runs.plan import Plan

COST = "cost ½ mean (f − f*)²"


def plan(plan: Plan) -> str:
    """How the networks will be trained, how long it will take and how much memory."""
    if plan.refusal:
        return "This run would not fit."
    groups = "; ".join(f"width {g.width:,}: **{g.method}**, {g.weights} weights" for g in plan.groups)
    return f"{groups} · about **{seconds(plan.seconds)}**, {size(plan.bytes)} · {plan.device}"


def facts(spec: Any, plan: Plan) -> str:
    """The conventions behind every number on the page."""
    hidden = spec.depth - 1
    layers = f"{hidden} hidden layer{'s' * (hidden != 1)}"
    parts = [
        f"depth {spec.depth} = weight matrices, {layers}",
        COST,
        _time(spec),
        f"seeds {spec.seed:,} to {spec.seed + spec.seeds - 1:,}" if spec.seeds > 1 else f"seed {spec.seed:,}",
        spec.precision,
        plan.device,
        " / ".join(dict.fromkeys(g.method for g in plan.groups)) or spec.method,
    ]
    return " · ".join(parts)


def _time(spec: Any) -> str:
    if spec.rule == "gradient_flow":
        return f"time t up to {spec.time:,g} of gradient flow"
    rule = " with momentum" if spec.rule == "momentum" else ""
    return f"time t = {spec.steps:,} steps × rate {spec.learning_rate:g} = {spec.time:,g}{rule}"


def theory_clock(spec: Any, times: Sequence[float], index: int) -> str:
    """The clock's line under a picture of theory alone."""
    if len(times) == 1:
        return "the limit, before any training"
    if math.isinf(times[index]):
        return "t = ∞: the limit alone"
    return charts.caption(spec, times[index])


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
