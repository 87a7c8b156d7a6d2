"""Page: random functions, and the kernel that they approximate (section 3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.controls.forms import Control
from app.controls.training import MAX_SEED
from app.views import experiment_page
from app.views.experiment_page import View
from ntk_core.activations.known_names import ACTIVATIONS

TITLE, ORDER, ICON = "Random functions", 6, ":material/casino:"


def _of_network(values: Mapping[str, Any]) -> bool:
    return values["kernel"] in ("ntk", "nngp")


TABLE = (
    Control("functions", "slider", "Random functions P", "How many are drawn from GP(0, K).", limits=(1, 4096), step=1),
    Control(
        "kernel", "choice", "Kernel K", "What the functions are drawn from.",
        options={"ntk": "NTK Θ∞", "nngp": "NNGP Σ∞", "rbf": "RBF", "matern": "Matérn 3/2"},
    ),
    Control(
        "depth", "slider", "Depth L (weight matrices)", "L counts weight matrices, so there are L − 1 hidden layers.",
        limits=(1, 32), step=1, shown_if=_of_network,
    ),
    Control(
        "activation", "choice", "Activation σ", "", options={name: name for name in ACTIVATIONS}, shown_if=_of_network
    ),
    Control(
        "beta", "real_slider", "Bias factor β", "Factor of the biases. The paper uses 0.1.", limits=(0, 2), step=0.05,
        shown_if=_of_network,
    ),
    Control(
        "length", "real_slider", "Length scale", "Of the kernel, in the plane.", limits=(0.05, 10), step=0.05,
        shown_if=lambda values: not _of_network(values),
    ),
    Control(
        "points", "choice", "Training points", "On the circle.",
        options={"paper": "the paper's four", "even": "evenly spaced"},
    ),
    Control(
        "n_train", "integer", "Training points N", limits=(1, 64), step=1,
        shown_if=lambda values: values["points"] == "even",
    ),
    Control(
        "target", "choice", "Target f*", "",
        options={
            "product": "x₁x₂", "sine": "sin γ", "cosine_3": "cos 3γ", "square": "sign of sin γ", "bump": "a bump",
        },
        shown_if=lambda values: values["points"] == "even",
    ),
    Control("time", "real", "Training time t", "Of gradient flow, rate 1.", limits=(1e-6, 1e6), step=100.0),
    Control(
        "seed", "integer", "Seed", "Draws the functions; the first of a larger P are those of a smaller one.",
        limits=(0, MAX_SEED), step=1,
    ),
    Control(
        "w_std", "real_slider", "Weights' standard deviation", "1 in the paper.", "advanced", limits=(0.05, 3),
        step=0.05, shown_if=_of_network,
    ),
    Control("snapshots", "integer", "Output times", "Moments in time.", "advanced", limits=(2, 100), step=1),
    Control(
        "functions_shown", "toggle", "Three of the functions", "The first three, as drawn.", "chart", default=False
    ),
)  # fmt: skip

VIEW = View(
    "random_functions",
    TITLE,
    "P random functions, combined linearly and trained, follow a kernel; the more there are, the nearer it is to K.",
    TABLE,
    r"""
The functions $f^{(p)}$ are drawn from a Gaussian process with covariance $K$, and
$f_\theta = P^{-1/2}\sum_p \theta_p f^{(p)}$ is trained by gradient flow on $\theta$: exactly kernel gradient descent
with $\tilde K = \frac1P\sum_p f^{(p)} \otimes f^{(p)}$, which tends to $K$ like $P^{-1/2}$ by the law of large numbers.

The thick curve is what $K$ itself would learn. This is the paper's motivating example: a network is no linear model,
but its tangent kernel takes the place of $\tilde K$. Jacot, Gabriel & Hongler 2018, section 3.1. The exact error is
$E|\tilde K - K|_F^2 = ((\mathrm{tr} K)^2 + |K|_F^2)/P$.
""",
    start=lambda count: count - 1,
)


def render() -> None:
    """Draws the page."""
    experiment_page.render(VIEW)
