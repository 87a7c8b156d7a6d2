"""Page: kernel principal components, and learning along one of them (figure 3)."""

from __future__ import annotations

from app.charts import paper
from app.controls.forms import Control
from app.controls.training import BAND, MAX_SEED, table
from app.views import experiment_page
from app.views.experiment_page import View
from ntk_core.data import PICTURES

TITLE, ORDER, ICON = "Principal components", 3, ":material/scatter_plot:"

DATA = (
    Control(
        "data", "data", "Data set", "MNIST digits are by LeCun and Cortes (CC BY-SA 3.0). A table of your own comes in "
        "on the page *Your data*.",
        options={
            "digits": "digits (MNIST)", "mnist": "digits, the full set", "fashion": "Fashion-MNIST",
            "gaussian": "random inputs in the plane", "circle": "the circle",
        },
    ),
    Control(
        "digits", "pills", "Digits", "Which classes the batch is drawn from.", options={k: str(k) for k in range(10)},
        limits=(0, 9), shown_if=lambda values: values["data"] in PICTURES,
    ),
    Control("n_train", "integer", "Batch size N", limits=(3, 2048), step=64),
    Control(
        "component", "slider", "Component to learn, k", "The goal is f₀ + c f⁽ᵏ⁾.", limits=(1, 20), step=1
    ),
)  # fmt: skip

CHART = (
    BAND,
    Control(
        "paper", "toggle", "The paper's own numbers", "Its eigenvalues, peaks of |hₜ| and half-times of |gₜ|; shown "
        "for 512 of all digits, depth 5, relu, β = 0.1, k = 2, c = 0.5 and gradient descent of rate 1 up to t = 2,000 "
        "only. The paper's text says nothing of depth here: its eigenvalues are those of five weight matrices, "
        "not four.", "chart",
        default=False,
    ),
)  # fmt: skip

ADVANCED = (
    Control(
        "components_of", "choice", "Components of", "The limiting kernel's own; or, as in the paper, those of the "
        "tangent kernel of one network of width 10,000: some seconds, for 600 points and depth 8 at most.",
        "advanced", options={"limit": "the limiting kernel", "network": "one wide network"},
    ),
    Control("scale", "real", "Distance to the goal, c", "", "advanced", limits=(0.001, 100), step=0.1),
    Control(
        "batch_seed", "integer", "Seed of the batch", "Draws the batch.", "advanced", limits=(0, MAX_SEED), step=1
    ),
)  # fmt: skip

VIEW = View(
    "components",
    TITLE,
    "Along a principal component of its kernel a wide network learns at the rate e⁻λᵗ, and strays nowhere else.",
    table(DATA, CHART, ADVANCED),
    r"""
The eigenvectors of $\Theta_\infty(X, X)/N$ are the kernel's principal components $f^{(k)}$ on the batch. With the
goal $f_0 + c f^{(k)}$, the limit moves straight to it: $|g_t| = c\,e^{-\lambda_k t}$ along the component and $h_t = 0$
across it. Narrow networks bend away, and arrive earlier, because their kernel grows. Point at a digit to see it.
Below are the eigenvalues of every network's own kernel before training (on 600 points or fewer): narrow networks begin
with others than the limit's.

The paper's figure 3 is of networks with **five weight matrices** (four hidden layers): only they have its eigenvalues.
Its components are those of one network of width 10,000, a few degrees away from the limit's: even infinitely wide
networks then bend away, by the black line in $|h_t|$. *Components of*, under the advanced settings, chooses.
Jacot, Gabriel & Hongler 2018, sections 5 and 6.3.
""",
    remark=lambda spec, options: paper.differs(spec, "figure3") if options.get("paper") else "",
)


def render() -> None:
    """Draws the page."""
    experiment_page.render(VIEW)
