"""Figures 1 to 3 at width 10,000 on a CUDA device: time, and the share of the card's rate of matrix products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from ntk_core import experiments
from ntk_core.experiments import circle, components, function_space
from ntk_core.runs.spec import TrainingSpec
from tests.benchmarks.framework import Context, Skip, row
from tests.benchmarks.limits import Limits
from tests.benchmarks.results import Share
from tests.benchmarks.runs import finished, warmed_up
from tests.benchmarks.timing import seconds


@row("cuda-figure1", "cuda", "figure 1 at width 10,000, 10 seeds, 24 output times")
def figure1(context: Context) -> Share:
    """Kernel curves included."""
    return on_device("cuda", circle.Spec(**_size(context, seeds=10)))


@row("cuda-figure2", "cuda", "figure 2 at width 10,000, 10 seeds, 24 output times")
def figure2(context: Context) -> Share:
    """Curves of f included."""
    return on_device("cuda", function_space.Spec(**_size(context, seeds=10)))


@row("cuda-figure3", "cuda", "figure 3 at width 10,000, 512 digits, 2 seeds, 24 output times")
def figure3(context: Context) -> Share:
    """Three hidden matrices of 400 MB a seed."""
    return on_device("cuda", components.Spec(**_size(context, seeds=2)))


def on_device(device: str, spec: TrainingSpec) -> Share:
    """Seconds of whole runs on the device, beside their matrix products at the device's own rate.

    Raises:
        Skip: the device is not there.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise Skip("no CUDA device")
    spec = spec.model_copy(update={"device": device})
    warmed_up(spec)
    in_place = {torch.ops.aten.baddbmm_: _products_in_place}
    with FlopCounterMode(display=False, custom_mapping=in_place) as counter:
        finished(spec)
    samples = tuple(seconds(lambda: finished(spec)) for _ in range(3))
    rate = Limits(1, device).flops32
    flops = counter.get_total_flops()
    label = f"matrix products (float32) at the {rate / 1e12:.3g} Tflop/s measured on the card"
    plan = experiments.load(spec.experiment).plan(spec).groups[0]
    notes = (f"{flops / 1e12:.3g} Tflop", f"{plan.weights} weights, by {plan.method}")
    return Share(samples, flops / rate, label, notes)


def _products_in_place(total: Sequence[int], a: Sequence[int], b: Sequence[int], **_: Any) -> int:
    """Operations of total += a @ b from the shapes; the counter knows the others."""
    return 2 * math.prod(total) * a[-1]


def _size(context: Context, seeds: int) -> dict[str, Any]:
    return context.pick({"widths": (10000,), "seeds": seeds}, {"widths": (200,), "seeds": 2, "time": 20.0})
