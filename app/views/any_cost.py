"""Page: any cost, and any training direction (sections 3 and 4.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.controls.bounds import bounds
from app.controls.forms import Control
from app.controls.kernel import kernel_choice
from app.controls.training import BAND, table
from app.views import experiment_page
from app.views.experiment_page import View
from ntk_core.directions import LONGEST
from ntk_core.experiments.any_cost import Spec

TITLE, ORDER, ICON = "Any cost, any direction", 7, ":material/explore:"


def _driven_by(*names: str) -> Any:
    def shown(values: Mapping[str, Any]) -> bool:
        return values["drive"] in names

    return shown


DATA = (
    Control(
        "drive", "choice", "What drives training", "The gradient of a cost, a direction d of your own, or two "
        "functions that play against each other, as adversarial networks do.",
        options={
            "squared": "squared error", "logistic": "logistic, 2 classes", "huber": "Huber",
            "cross_entropy": "cross-entropy, 3 classes", "direction": "a direction of my own",
            "players": "two players",
        },
    ),
    Control(
        "direction", "text", "Direction d", "A formula of f (output), y (target), x and x2 (input), t (time) and pi, "
        "with + - * / ** and sin cos exp tanh abs sign sqrt log min max. Training moves f along −Θd; d = f - y is "
        "gradient descent.", limits=(1, LONGEST), shown_if=_driven_by("direction"),
    ),
    Control(
        "delta", "real", "Huber's δ", "Beyond this residual the cost is linear.",
        limits=bounds(Spec, "delta"), step=0.1, shown_if=_driven_by("huber"),
    ),
    Control(
        "penalty", "real_slider", "Penalty on the critic", "With none the players circle each other for ever.",
        limits=bounds(Spec, "penalty"), step=0.1, shown_if=_driven_by("players"),
    ),
    Control(
        "n_train", "slider", "Training points N", "Evenly spaced on the circle.", limits=bounds(Spec, "n_train"), step=1
    ),
    Control(
        "target", "choice", "Target f*", "For two classes its sign counts.",
        options={
            "product": "x₁x₂", "sine": "sin γ", "cosine_3": "cos 3γ", "square": "square wave", "bump": "bump",
        },
        shown_if=lambda values: values["drive"] != "cross_entropy",
    ),
)  # fmt: skip

# Heavy ball has a clock of its own, and a direction is followed step by step; limits are those of this spec.
_OWN = {
    "rule": Control(
        "rule", "choice", "Update rule", "Gradient flow is the limit of small steps.", "advanced",
        {"gradient_descent": "gradient descent", "gradient_flow": "gradient flow"},
        shown_if=_driven_by("squared", "logistic", "huber", "cross_entropy"),
    ),
    "depth": Control(
        "depth", "slider", "Depth L (weight matrices)", "L counts weight matrices, so there are L − 1 hidden layers.",
        limits=bounds(Spec, "depth"), step=1,
    ),
    "time": Control(
        "time", "real", "Training time t", "t = steps × learning rate, so twice the rate needs half the steps.",
        limits=bounds(Spec, "time"), step=50.0,
    ),
    "w_std": Control(
        "w_std", "real", "Weight scale σ_w", "Standard deviation of the weights; the paper's is 1.", "advanced",
        limits=(0.01, 3), step=0.1,
    ),
    "snapshots": Control(
        "snapshots", "integer", "Output times", "Moments at which the networks are looked at, t = 0 included.",
        "advanced", limits=bounds(Spec, "snapshots"), step=1,
    ),
}  # fmt: skip

VIEW = View(
    "any_cost",
    TITLE,
    "Whatever drives it, a wide network follows its limiting kernel as long as the driving force stays bounded.",
    tuple(_OWN.get(c.name, c) for c in table((*DATA, *kernel_choice(Spec)), (BAND,))),
    r"""
Training moves the function by $\partial_t f_t = -\frac1N \Theta_t\, d_t$. Where $d$ is the gradient of a cost $C$ (for
the logistic cost, for instance, $d_i = \sigma(f(x_i)) - p_i$) the cost falls at exactly the rate $\|d\|_K^2$, which is
drawn as lines beside $-dC/dt$, drawn as dots. The thick curve solves this equation for the infinite network from
$f_0 = 0$, the band is of 100 draws of $f_0$; both need only $\Theta_\infty$, although no formula gives them.

Theorem 2 asks nothing more of $d_t$ than that $\int_0^T |d_t|\,dt$ stays bounded as the width grows: the kernel then
stays put, even if $d_t$ is no gradient and comes from another network, as in adversarial training. Two players here:
$f$ lowers and $h$ raises $\langle h, f - y\rangle - \frac{\rho}{2}|h|^2$. Choose another kernel for the theory, and the
thick curves follow its equation; networks follow the NTK's. Jacot, Gabriel & Hongler 2018, sections 3 and 4.2.
""",
    start=lambda count: count - 1,
)


def render() -> None:
    """Draws the page."""
    experiment_page.render(VIEW)
