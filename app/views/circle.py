"""Page: the tangent kernel on the circle (figure 1)."""

from __future__ import annotations

from app.charts import paper
from app.controls.forms import Control
from app.controls.training import BAND, MAX_SEED, table
from app.views import experiment_page
from app.views.experiment_page import View

TITLE, ORDER, ICON = "Kernel on the circle", 1, ":material/trip_origin:"

DATA = (
    Control(
        "data", "data", "Training data", "What the networks learn while their kernel is watched. A table of your own "
        "with two inputs and one number (or two classes) comes in on the page *Your data*.",
        options={
            "gaussian": "random inputs, f* = x₁x₂", "circle": "the circle, f* = x₁x₂", "four_points": "four points",
        },
    ),
    Control(
        "n_train", "integer", "Training inputs N", limits=(1, 1000), step=1,
        shown_if=lambda values: values["data"] != "four_points",
    ),
)  # fmt: skip

CHART = (
    BAND,
    Control("initial", "toggle", "Keep t = 0 in view", "Faint lines: before training.", "chart", default=False),
    Control("nngp", "toggle", "NNGP kernel Σ∞", "Covariance of f at t = 0.", "chart", default=False),
    Control(
        "paper", "toggle", "The paper's own curves", "Its ten networks of width 500 and 10,000, at t = 0 or t = 200; "
        "shown for N = 100 random inputs, depth 4, relu, β = 0.1 and gradient descent of rate 1 up to t = 200 only. "
        "Its authors drew fresh inputs at each step; here the batch is fixed, which agrees within the spread.", "chart",
        default=False,
    ),
)  # fmt: skip

ADVANCED = (
    Control(
        "data_seed", "integer", "Seed of the inputs", "Draws the random inputs.", "advanced", limits=(0, MAX_SEED),
        step=1,
        shown_if=lambda values: values["data"] == "gaussian",
    ),
)  # fmt: skip

VIEW = View(
    "circle",
    TITLE,
    "A wide network's tangent kernel is nearly the same for every seed and hardly moves in training.",
    table(DATA, CHART, ADVANCED),
    r"""
$\Theta_t(x_0, x)$ says how a gradient step on $x$ moves the output at $x_0 = (1, 0)$, for
$x = (\cos\gamma, \sin\gamma)$. Each thin curve is one network; the thick one is the limit $\Theta_\infty$.

**Spread** over seeds falls like $n^{-1/2}$; the **drift** of its mean in training falls like $n^{-1}$: kernels become
deterministic, then constant. Jacot, Gabriel & Hongler 2018, theorems 1 and 2, section 6.1.
""",
    remark=lambda spec, options: paper.differs(spec, "figure1") if options.get("paper") else "",
)


def render() -> None:
    """Draws the page."""
    experiment_page.render(VIEW)
