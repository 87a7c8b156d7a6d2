"""Page: laws in width and depth (theorems 1 and 2, proposition 1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from app.controls.forms import Control
from app.controls.training import MAX_SEED
from app.views import experiment_page
from app.views.experiment_page import View
from ntk_core.activations.known_names import ACTIVATIONS

TITLE, ORDER, ICON = "Width and depth laws", 5, ":material/trending_down:"


def _measures(*names: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda values: values["measure"] in names


_ON_OFFER = {n: f"{n:,}" for n in (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)}

TABLE = (
    Control(
        "measure", "choice", "What is measured", "",
        options={
            "spread": "the kernel's spread", "training": "what training changes",
            "outputs": "the law of the outputs", "depth": "order and chaos in depth",
        },
    ),
    Control(
        "widths", "widths", "Widths n", "Neurons in each hidden layer; up to six. Type any number up to 8,192.",
        limits=(1, 8192), options=_ON_OFFER,
    ),
    Control(
        "depths", "widths", "Depths L (weight matrices)", "L counts weight matrices; up to six, from 2 to 32.",
        limits=(2, 32), options={L: str(L) for L in (2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32)},
        shown_if=_measures("spread", "training", "outputs"),
    ),
    Control(
        "layers", "slider", "Depth to look at", "Weight matrices.", limits=(2, 24), step=1, shown_if=_measures("depth")
    ),
    Control("activation", "choice", "Activation σ", "", options={name: name for name in ACTIVATIONS}),
    Control(
        "beta", "real_slider", "Bias factor β", "0.1 in the paper; exact curves are known for 0.", limits=(0, 1),
        step=0.05,
    ),
    Control(
        "w_std", "real_slider", "Weights' standard deviation w", "1 in the paper. relu has χ = 1 at w = √2.",
        limits=(0.25, 2), step=0.01,
    ),
    Control(
        "seeds", "integer", "Networks of each width and depth", "", limits=(1, 5000), step=50,
        shown_if=_measures("spread", "outputs", "depth"),
    ),
    Control(
        "trained", "integer", "Trained networks of each width and depth", "", limits=(1, 500), step=4,
        shown_if=_measures("training"),
    ),
    Control(
        "time", "real", "Training time t", "t = steps × learning rate.", limits=(1e-3, 1e7), step=20.0,
        shown_if=_measures("training"),
    ),
    Control(
        "learning_rate", "real", "Learning rate η", "A warning says where gradient descent diverges.",
        limits=(1e-6, 1000), step=0.1, shown_if=_measures("training"),
    ),
    Control(
        "outputs", "integer", "Outputs of a network", "", limits=(2, 16), step=1, shown_if=_measures("outputs")
    ),
    Control(
        "piece", "integer", "Networks of one part", "The sweep is spread over the workers in parts of so many.",
        "advanced", limits=(1, 500), step=10,
    ),
    Control(
        "seed", "integer", "First seed", "Network k of a width and depth uses seed + k.", "advanced",
        limits=(0, MAX_SEED), step=1,
    ),
    Control(
        "device", "segments", "Device", "auto takes a CUDA device where there is one.", "advanced",
        {"auto": "auto", "cpu": "cpu", "cuda": "cuda"},
    ),
)  # fmt: skip

VIEW = View(
    "laws",
    TITLE,
    "How fast finite networks approach the limit: many networks of each width and depth, measured on logarithmic axes.",
    TABLE,
    r"""
Each point is many networks of one width and depth, with a 95 % interval; the legend has the fitted slope and its
interval. Dashed curves are exact where that is known (relu, abs, identity without biases); dotted lines have the slope
of the law. **Spread** at initialization falls like $n^{-1/2}$ (theorem 1), and what **training** changes in the kernel
falls like $n^{-1}$ at most widths a little slower (theorem 2); relative variance grows with depth over width
(Hanin and Nica 2019 prove the order; the curve drawn is the exact second moment).

**Outputs** tend to independent Gaussians (proposition 1); at finite width outputs share the size of the last hidden
layer, so that neither holds, by the dashed curves. There a few networks of large outputs decide the mean of fourth
powers, and the intervals are wide. An effect above the dotted line would be noticed in 9 of 10 such sweeps.
In **depth**, $\chi = w^2 E[\sigma'(u)^2]$ decides: below 1 all points come to look alike (order), above 1 they part
(chaos). Jacot, Gabriel & Hongler 2018, sections 4.1 and 4.2.
""",
    unasked=("A few networks of each.", "shows all"),
    action=lambda spec: "Train" if spec.measure == "training" else "Draw networks",
)


def render() -> None:
    """Draws the page."""
    experiment_page.render(VIEW)
