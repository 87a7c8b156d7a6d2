"""Laws in width and depth: points as their networks finish, fitted slopes, and what is known exactly beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.charts import law_pictures as pictures
from app.charts.entry import Entry
from app.charts.style import Panel
from ntk_core.experiments.laws import Spec
from ntk_core.runs.plan import Plan


def caption(spec: Spec, time: float) -> str:
    """The clock's line: a sweep has no time of its own."""
    swept = {"width": len(spec.widths), "depth": len(spec.swept_depths)}
    kinds = " × ".join(f"{count} {name}{'s' * (count != 1)}" for name, count in swept.items())
    when = f"trained to t = {spec.time:,.6g}" if spec.measure == "training" else "at initialization"
    return f"networks of {kinds}, {when}"


def facts(spec: Spec, plan: Plan | None) -> list[str]:
    """The conventions behind the numbers."""
    last = spec.seed + spec.networks - 1
    words = ["depth L = weight matrices, L − 1 hidden layers", "x₀ = (1, 0)", f"{spec.activation}, β = {spec.beta:g}"]
    words += [f"w = {spec.w_std:g}"] if spec.w_std != 1 else []
    words += [f"seeds {spec.seed:,} to {last:,}"]
    if spec.measure == "training":
        time = f"{spec.steps:,} steps × rate {spec.learning_rate:g}"
        words += ["the four points of figure 2", "cost ½ mean (f − f*)²", f"time t = {time}", "float32, steps"]
    else:
        words += ["float64"]
    return words


def _only(measure: str, panel: Panel) -> Panel:
    """A panel that is there under one measure."""

    def draw(entries: Sequence[Entry], time: float, options: Mapping[str, Any]) -> dict[str, Any] | None:
        return panel.draw(entries, time, options) if entries[0].spec.measure == measure else None

    return Panel(panel.title, panel.place, panel.alt, draw)


_BY_MEASURE = {
    "spread": {
        "spread": Panel(
            "Spread of Θ₀(x₀, x₀) over seeds falls like 1/√n", "main",
            "Standard deviation of the kernel relative to its mean, against width, one series a depth, both axes "
            "logarithmic.", pictures.spread,
        ),
        "ratio": Panel(
            "It is depth / width that counts", "side",
            "Relative variance of the kernel against the number of hidden layers over the width, both logarithmic.",
            pictures.ratio,
        ),
        "mean": Panel(
            "The mean is the limit's", "side",
            "Mean of the kernel over its limit against width, with 95 % intervals.", pictures.mean,
        ),
    },
    "training": {
        "kernel_change": Panel(
            "Training changes the kernel less as width grows", "main",
            "Relative change of the tangent kernel on the circle against width, both axes logarithmic.",
            pictures.trained("kernel_change", "|Θₜ − Θ₀| / |Θ₀|", -1.0),
        ),
        "distance": Panel(
            "Distance to the linearized network", "side",
            "Largest distance of the output to that of the linearized network, against width, both logarithmic.",
            pictures.trained("distance", "max |f − f<sub>lin</sub>|", -0.5),
        ),
        "hidden_weights": Panel(
            "Single hidden weights move like 1/n", "side",
            "Root mean square change of hidden weights against width, both axes logarithmic.",
            pictures.trained("hidden_weights", "rms change of a weight", -1.0),
        ),
        "activations": Panel(
            "Hidden activations move like 1/√n", "foot",
            "Root mean square change of hidden activations against width, both axes logarithmic.",
            pictures.trained("activations", "rms change of an activation", -0.5),
        ),
    },
    "outputs": {
        "outputs": Panel(
            "Outputs at initialization against the Gaussian", "main",
            "Histogram of the outputs over their limiting standard deviation, one a width, beside the normal density.",
            pictures.histogram,
        ),
        "kurtosis": Panel(
            "Excess kurtosis: 0 if Gaussian", "side",
            "Excess kurtosis of the outputs against width with 95 % intervals, and what would be found.",
            pictures.kurtosis,
        ),
        "independence": Panel(
            "Covariance of squared outputs: 0 if independent", "side",
            "Covariance of the squares of different outputs against width, and what would be found.",
            pictures.independence,
        ),
        "mixed": Panel(
            "Between outputs the kernel vanishes: Θ → Θ∞ ⊗ Id", "foot",
            "Size of the kernel between different outputs over the limit's diagonal, against width, both logarithmic.",
            pictures.mixed,
        ),
    },
    "depth": {
        "correlation": Panel(
            "What two points are to each other, layer by layer", "main",
            "Correlation of two points against depth, one curve an angle; bands are finite networks.",
            pictures.correlation,
        ),
        "tangent": Panel(
            "The normalized NTK: to a constant, or to 0", "side",
            "Tangent kernel between two points over that of one point, against depth.", pictures.tangent,
        ),
        "chi": Panel(
            "χ below 1: order; above 1: chaos", "side",
            "Slope chi of the map of correlations against depth, with the line 1.", pictures.chi,
        ),
    },
}  # fmt: skip

PANELS = {name: _only(measure, panel) for measure, panels in _BY_MEASURE.items() for name, panel in panels.items()}
