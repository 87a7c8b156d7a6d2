"""Controls of what drives the theory: the NTK, or another kernel in its place."""

from __future__ import annotations

from app.controls.bounds import bounds
from app.controls.forms import Control
from ntk_core.runs.spec import ExperimentSpec


def kernel_choice(spec: type[ExperimentSpec]) -> tuple[Control, ...]:
    """Controls of the fields `kernel`, `length` and `nu` of a spec."""
    return (
        Control(
            "kernel", "choice", "Kernel of the theory", "What drives the thick curves, from the networks' own start. "
            "The NTK is what training drives a wide network by; the NNGP kernel is that of training its last layer "
            "alone; RBF and Matérn know nothing of networks. The networks stay what they are.",
            options={"ntk": "NTK, the networks' limit", "nngp": "NNGP", "rbf": "RBF", "matern": "Matérn"},
        ),
        Control(
            "length", "real", "Length scale ℓ", "The distance between inputs over which outputs are alike; the "
            "circle's radius is 1, and pictures lie some √(2 n₀) apart at most.", limits=bounds(spec, "length"),
            step=0.1, shown_if=lambda values: values["kernel"] in ("rbf", "matern"),
        ),
        Control(
            "nu", "real", "Smoothness ν", "Functions are differentiable less than ν times.", limits=bounds(spec, "nu"),
            step=0.5, shown_if=lambda values: values["kernel"] == "matern",
        ),
    )  # fmt: skip
