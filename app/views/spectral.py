"""Page: spectral bias and early stopping (section 5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.controls.forms import Control
from app.controls.kernel import kernel_choice
from app.controls.training import BAND, MAX_SEED, table
from app.views import experiment_page
from app.views.experiment_page import View
from ntk_core.experiments.spectral import Spec

TITLE, ORDER, ICON = "Spectral bias", 4, ":material/equalizer:"


def _on_circle(values: Mapping[str, Any]) -> bool:
    return values["data"] == "circle"


def _of_classes(values: Mapping[str, Any]) -> bool:
    return values["data"] != "circle"


DATA = (
    Control(
        "data", "data", "Data", "MNIST digits are by LeCun and Cortes (CC BY-SA 3.0). A table of your own, whose "
        "target names classes, comes in on the page *Your data*.",
        options={
            "circle": "frequencies on the circle", "digits": "digits (MNIST)", "mnist": "digits, the full set",
            "fashion": "Fashion-MNIST",
        },
    ),
    Control(
        "frequencies", "pills", "Frequencies of the target", "f* is the sum of cos kγ over these k; up to six.",
        options={k: str(k) for k in range(13)}, limits=(0, 12), shown_if=_on_circle,
    ),
    Control(
        "noise", "real_slider", "Noise on the targets", "Its standard deviation; the test error is against f* without "
        "it.", limits=(0, 3), step=0.05, shown_if=_on_circle,
    ),
    Control(
        "n_train", "slider", "Training points N", "Evenly spaced on the circle.", limits=(4, 256), step=1,
        shown_if=_on_circle,
    ),
    Control(
        "n_labelled", "integer", "Points to learn from", "The limit takes some seconds beyond 500. Networks with "
        "several outputs train step by step; on digits a learning rate of 10 is stable.", limits=(2, 4000),
        step=100, shown_if=_of_classes,
    ),
    Control(
        "n_test", "integer", "Test points", "Others, which are not learned from: accuracy and test error are theirs.",
        limits=(1, 1000), step=100, shown_if=_of_classes,
    ),
)  # fmt: skip

CHART = (
    Control(
        "ridge", "toggle", "Ridge with penalty 1/t", "Ridge regression fits an eigendirection by λ/(λ + 1/t), gradient "
        "flow stopped at t by 1 − e⁻λᵗ.", "chart", default=True,
    ),
    BAND,
)  # fmt: skip

ADVANCED = (
    Control(
        "data_seed", "integer", "Seed of the data", "Draws the noise, or the points.", "advanced",
        limits=(0, MAX_SEED), step=1,
    ),
)  # fmt: skip

# Heavy ball has a clock of its own, beside which a penalty 1/t means nothing.
RULE = Control(
    "rule", "choice", "Update rule", "Gradient flow is the limit of small steps.", "advanced",
    {"gradient_descent": "gradient descent", "gradient_flow": "gradient flow"},
)  # fmt: skip

TABLE = tuple(RULE if c.name == "rule" else c for c in table((*DATA, *kernel_choice(Spec)), CHART, ADVANCED))

VIEW = View(
    "spectral",
    TITLE,
    "Low frequencies are learned first and noise last: it pays to stop in time.",
    TABLE,
    r"""
On the circle the eigenfunctions of $\Theta_\infty$ are $\cos k\gamma$ and $\sin k\gamma$, with the Fourier eigenvalue
$\lambda_k$: the amplitude of each in $f_t$ approaches its target like $1 - e^{-\lambda_k t}$, thick for the limit's
mean, thin for each network. On $N$ points the eigenvalues are those of $\Theta_\infty(X, X)/N$, nearly the same.

For relu $\lambda_k$ falls like $k^{-2}$ ($k^{-4}$ for the NNGP kernel); without biases and with $L = 2$ odd frequencies
from 3 on are never learned. Noise has all frequencies alike, so the test error has a least value at some $t$: the
star. Ridge regression with penalty $1/t$ shrinks the same directions. Jacot, Gabriel & Hongler 2018, section 5.

All this holds for **any kernel**: choose another for the theory, and see what it learns first. The networks follow the
NTK's, whatever is drawn. With digits (or classes of your own) it shows an output a class, trained by least squares, and
their accuracy; the dotted line is the time shown.
""",
    start=lambda count: count // 2,
)


def render() -> None:
    """Draws the page."""
    experiment_page.render(VIEW)
