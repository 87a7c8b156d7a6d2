"""Page: lazy or learning features (parametrizations and output scales side by side)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.controls.bounds import bounds
from app.controls.forms import Control
from app.views import experiment_page
from app.views.experiment_page import View
from ntk_core.activations.known_names import ACTIVATIONS
from ntk_core.experiments._own_points import is_own
from ntk_core.experiments.lazy import Spec

TITLE, ORDER, ICON = "Lazy or learning features", 8, ":material/compare:"


def _even(values: Mapping[str, Any]) -> bool:
    return values["points"] == "even"


def _own(values: Mapping[str, Any]) -> bool:
    return is_own(values["points"])


TABLE = (
    Control(
        "parametrizations", "choices", "Parametrizations", "The standard one is trained at rates 1/nₗ, which makes it "
        "the paper's network exactly (the remark of section 2), or at one rate 1/n. muP with one hidden layer is "
        "mean-field.",
        options={
            "ntk": "the paper's", "standard": "standard, rates by layer", "standard_one_rate": "standard, one rate",
            "mup": "muP / mean-field",
        },
    ),
    Control(
        "alphas", "reals", "Output scales α", "The network's output is α(f − f₀), and its learning rate is divided by "
        "α². Large α is lazy, small α learns features. Type any number from 0.0001 to 10,000.", limits=(1e-4, 1e4),
        options={a: f"{a:g}" for a in (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)},
    ),
    Control(
        "widths", "widths", "Widths n", "Neurons in each hidden layer; up to six. Type any number up to 8,192.",
        limits=(1, 8192), options={n: f"{n:,}" for n in (16, 32, 64, 128, 256, 512, 1024, 2048)},
    ),
    Control(
        "depth", "slider", "Depth L (weight matrices)", "L counts weight matrices, so there are L − 1 hidden layers.",
        limits=bounds(Spec, "depth"), step=1,
    ),
    Control("activation", "choice", "Activation σ", "", options={name: name for name in ACTIVATIONS}),
    Control(
        "beta", "real_slider", "Bias factor β", "Factor of the biases. The paper uses 0.1.",
        limits=bounds(Spec, "beta"), step=0.05,
    ),
    Control(
        "points", "data", "Training points", "On the circle; or rows of a table of your own, with any inputs, which "
        "comes in on the page *Your data*.",
        options={"paper": "the paper's four", "even": "evenly spaced"},
    ),
    Control(
        "n_train", "slider", "How many", limits=bounds(Spec, "n_train"), step=1,
        shown_if=lambda values: _even(values) or _own(values),
    ),
    Control(
        "n_test", "integer", "Other rows to look at", "Outputs are compared on so many rows that are not learned from, "
        "or on as many as there are.", limits=bounds(Spec, "n_test"), step=50, shown_if=_own,
    ),
    Control(
        "target", "choice", "Target", shown_if=_even,
        options={
            "product": "x₁x₂", "sine": "sin γ", "cosine_3": "cos 3γ", "square": "square wave", "bump": "bump",
        },
    ),
    Control("seeds", "integer", "Seeds", "Networks of each kind and width.", limits=bounds(Spec, "seeds"), step=1),
    Control(
        "learning_rate", "real", "Learning rate η", "In the paper's parametrization. A warning says where gradient "
        "descent diverges.", limits=(1e-6, 1000), step=0.1,
    ),
    Control("time", "real", "Training time t", "t = steps × learning rate.", limits=(1e-3, 1e7), step=20.0),
    Control(
        "centred", "toggle", "Take out the initial function", "Output α(f − f₀) rather than αf: without it αf₀ grows "
        "with α, and even large α is not lazy.", "advanced",
    ),
    Control(
        "w_std", "real_slider", "Weights' standard deviation w", "1 in the paper.", "advanced",
        limits=bounds(Spec, "w_std"), step=0.05,
    ),
    Control(
        "snapshots", "integer", "Output times", "Moments at which the networks are looked at, t = 0 included.",
        "advanced", limits=bounds(Spec, "snapshots"), step=1,
    ),
    Control(
        "seed", "integer", "First seed", "Network k of a width uses seed + k, the same draw in every parametrization.",
        "advanced", limits=bounds(Spec, "seed"), step=1,
    ),
    Control(
        "device", "segments", "Device", "auto takes a CUDA device where there is one.", "advanced",
        {"auto": "auto", "cpu": "cpu", "cuda": "cuda"},
    ),
    Control(
        "shown", "segments", "Curves of which width", "Whose functions and alignments are drawn.", "chart",
        {"widest": "widest", "narrowest": "narrowest"}, default="widest",
    ),
)  # fmt: skip

VIEW = View(
    "lazy",
    TITLE,
    "The same networks under other scales: in the paper's the kernel stands still as they widen, in muP it learns.",
    TABLE,
    r"""
A thin curve is a network trained on the points, dashed is the same network with its tangent kernel frozen at $t = 0$,
thick the limit: **lazy** networks follow the dashed curve, others learn **features**, and then the kernel moves and
turns to the target. The alignment $y^\top\Theta_t y / (|\Theta_t|\,|y|^2)$ is 1 where the kernel is $y y^\top$.

In the paper's parametrization the kernel stands still in the limit (theorem 2), and before it moves like $1/n$. The
standard one, $w \sim N(0, 1/n_\ell)$, with learning rates $1/n_\ell$ trains exactly alike (the remark of section 2);
with one rate $1/n$ its first layer and biases hardly learn, and its limit has a kernel of its own. Maximal update (muP:
Yang and Hu 2021; mean-field with one hidden layer) starts from the kernel $\Theta_\infty$ too but moves it at every
width: it is the paper's network with output scale $\alpha = n^{-1/2}$. Large $\alpha$ is lazy at any width, like
$1/\alpha$ (Chizat, Oyallon and Bach 2019).

With a table of your own every dot is an output at one of its rows: across, the limit's mean at that time; up, a
network's (full) or its linearization's (open). Lazy networks stay near the diagonal, which is the limit itself.

Outputs are $\alpha (f - f_0)$ and learning rates are divided by $\alpha^2$, so that all keep one pace. Dotted lines
have the slope of the law: −1 where lazy, 0 in muP against width.
""",
    start=lambda count: count - 1,
    unasked=("One network of each, trained.", "trains all"),
)


def render() -> None:
    """Draws the page."""
    experiment_page.render(VIEW)
