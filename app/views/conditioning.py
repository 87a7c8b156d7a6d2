"""Page: positive definiteness and conditioning of the limiting kernels (Proposition 2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.controls.forms import Control
from app.controls.training import MAX_SEED
from app.views import experiment_page
from app.views.experiment_page import View
from ntk_core.activations.known_names import ACTIVATIONS
from ntk_core.experiments._own_points import is_own

TITLE, ORDER, ICON = "Positive definiteness", 9, ":material/verified:"


def _on_sphere(values: Mapping[str, Any]) -> bool:
    return not is_own(values["data"])


TABLE = (
    Control(
        "depth", "slider", "Depth L (weight matrices)", "L counts weight matrices, so there are L − 1 hidden layers.",
        limits=(1, 16), step=1,
    ),
    Control(
        "activation", "choice", "Activation σ", "Even, odd and polynomial ones lose positive definiteness without "
        "biases.", options={name: name for name in ACTIVATIONS},
    ),
    Control(
        "beta", "real_slider", "Bias factor β", "Factor of the biases. At 0 a parity of σ is one of the kernel.",
        limits=(0, 2), step=0.05,
    ),
    Control(
        "data", "data", "Points", "A table of your own comes in on the page *Your data*; its rows are taken as they "
        "are, on the sphere or not, and its target plays no part.", options={"sphere": "drawn from the unit sphere"},
    ),
    Control(
        "dimension", "slider", "Dimension of the inputs n₀", "Of the space that holds the unit sphere; 2 is the "
        "circle.", limits=(2, 100), step=1, shown_if=_on_sphere,
    ),
    Control(
        "points", "slider", "Points N", "Drawn uniformly from the sphere, or from the rows of the table; fewer are a "
        "part of more.", limits=(2, 128), step=1,
    ),
    Control(
        "against", "choice", "Draw the matrix against", "What the two pictures at the side vary.",
        options={
            "depth": "depth L", "beta": "bias factor β", "dimension": "dimension n₀", "points": "number of points N",
        },
    ),
    Control(
        "degrees", "integer", "Highest degree", "", "advanced", limits=(4, 40), step=1, shown_if=_on_sphere
    ),
    Control(
        "w_std", "real", "Standard deviation of the weights", "The paper's is 1; √2 keeps relu's variance at any "
        "depth.", "advanced", limits=(0.01, 10), step=0.1,
    ),
    Control("seed", "integer", "Seed of the points", "Draws the points.", "advanced", limits=(0, MAX_SEED), step=1),
    Control(
        "nngp", "toggle", "NNGP kernel Σ∞ beside", "Covariance of f before training; as a kernel, training of the last "
        "layer alone.", "chart", default=True,
    ),
)  # fmt: skip

VIEW = View(
    "conditioning",
    TITLE,
    "A kernel that is positive definite can be inverted, and gradient descent then reaches every target.",
    TABLE,
    r"""
$\lambda_k$ is the eigenvalue of $\Theta_\infty$ (or of the covariance $\Sigma_\infty$) for the spherical harmonics of
degree $k$ under the uniform distribution: the kernel is positive definite on the sphere if and only if none is zero.
Jacot, Gabriel & Hongler 2018, Proposition 2, proves it for non-polynomial $\sigma$ and $L \ge 2$ **with biases**;
without them even and odd activations lose half of the degrees, and relu with $L = 2$ the odd ones from 3 on.

The side shows what this means for $N$ points: the smallest eigenvalue of $K(X, X)$ and its condition number, which
says how slow the slowest direction is beside the fastest. Open triangles are below rounding: no digit of them is known.

With a table of your own the points are its rows, wherever they lie, and all eigenvalues of $K(X, X)$ take the place of
those by degree: on finitely many distinct points a kernel may be invertible that is not positive definite everywhere.
""",
)


def render() -> None:
    """Draws the page."""
    experiment_page.render(VIEW)
