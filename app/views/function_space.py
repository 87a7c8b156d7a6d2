"""Page: networks as functions, beside the infinite ensemble's Gaussian (figure 2)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from app.charts import paper
from app.controls.bounds import bounds
from app.controls.forms import MAX_POINTS, Control
from app.controls.kernel import kernel_choice
from app.controls.training import BAND, table
from app.views import experiment_page
from app.views.experiment_page import View
from ntk_core.data import circle_target, even_angles, paper_points
from ntk_core.experiments._own_points import is_own
from ntk_core.experiments.function_space import Spec

if TYPE_CHECKING:
    from ntk_core.runs.theory import Theory

TITLE, ORDER, ICON = "Function space", 2, ":material/show_chart:"


def _drawn(values: Mapping[str, Any]) -> tuple[tuple[float, float], ...]:
    """Points to begin one's own with: the even ones where those are drawn, else the paper's four."""
    gamma, y = paper_points()
    if values["points"] == "even":
        gamma = even_angles(min(values["n_train"], MAX_POINTS))
        y = circle_target(values["target"], gamma)
    return tuple((round(float(a), 3), round(float(b), 3)) for a, b in zip(gamma, y, strict=True))


DATA = (
    Control(
        "points", "data", "Training points", "With your own points, a click in the picture adds one, and a click on "
        "one takes it away. A table comes in on the page *Your data*: its one input is an angle in radians, or its two "
        "inputs point to a place on the circle.",
        options={"paper": "the paper's four", "even": "evenly spaced", "custom": "my own: click to add"},
    ),
    Control(
        "n_train", "slider", "How many", limits=(1, 256), step=1,
        shown_if=lambda values: values["points"] == "even" or is_own(values["points"]),
    ),
    Control(
        "output", "integer", "Which output", "Of a table with several targets or more than two classes: the first is "
        "1. The limit learns each as if it were alone.", limits=bounds(Spec, "output"), step=1,
        shown_if=lambda values: is_own(values["points"]),
    ),
    Control(
        "target", "choice", "Target", shown_if=lambda values: values["points"] == "even",
        options={
            "product": "x₁x₂", "sine": "sin γ", "cosine_3": "cos 3γ", "square": "square wave", "bump": "bump",
        },
    ),
    Control(
        "custom", "points", "My points, angle:target", "One a line. The angle is in radians.",
        shown_if=lambda values: values["points"] == "custom", limits=(-100, 100), filled=_drawn,
    ),
)  # fmt: skip

CHART = (
    BAND,
    Control(
        "gp", "toggle", "GP posterior with the kernel as prior", "Another distribution than that of trained networks: "
        "its mean agrees at infinite time only if f₀ = 0, and its band is wider.", "chart", default=False,
    ),
    Control(
        "paper", "toggle", "The paper's own curves", "Its ten networks of width 50 and 1,000 at t = 1,000 and its "
        "percentiles for t = ∞; shown at its four points, depth 4, relu, β = 0.1 and gradient descent of rate "
        "1 up to t = 1,000 only, whatever the time that is looked at. It estimated the "
        "percentiles with networks of width 10,000; here they are exact.", "chart", default=False,
    ),
)  # fmt: skip


def click(point: Mapping[str, float], theory: Theory, values: Mapping[str, Any]) -> dict[str, Any]:
    """The points after a click: one more, or one less if the click was on a point; a table's become points of one's
    own."""
    old = values["custom"]
    if is_own(values["points"]):
        pairs = zip(theory["train_gamma"].tolist(), theory["train_y"].tolist(), strict=True)
        old = tuple(pairs)
        if len(old) > MAX_POINTS or max(abs(target) for _, target in old) > 100:
            return {}
    x, y = round(point["x"], 3), round(point["y"], 3)
    if not (math.isfinite(x) and math.isfinite(y)) or abs(x) > 2 * math.pi or abs(y) > 100:
        return {}
    reach = float(max(abs(theory["mean"]).max() + 2 * theory["std"].max(), 0.1))
    near = [p for p in old if math.hypot((p[0] - x) / math.pi, (p[1] - y) / reach) < 0.04]
    if near:
        left = tuple(p for p in old if p not in near)
        return {"points": "custom", "custom": left} if left else {}
    return {"points": "custom", "custom": (*old, (x, y))} if len(old) < MAX_POINTS else {}


VIEW = View(
    "function_space",
    TITLE,
    "An ensemble of trained networks follows the Gaussian that the infinite limit predicts, at every time of training.",
    table((*DATA, *kernel_choice(Spec)), CHART),
    r"""
Networks start as draws of a Gaussian process and train by gradient descent on the points. In the limit $f_t$ stays
Gaussian, with mean and covariance in closed form: the band holds 10 to 90 % of networks at the time shown. Move the
time to its end for $t = \infty$.

The band of trained networks is not the posterior of a Gaussian process with the NTK as its prior: switch that on to see
both. Jacot, Gabriel & Hongler 2018, section 5 and 6.2. (The paper's axis says sin, cos; its inputs are cos, sin.)

Section 5 holds for **any kernel**: choose another one for the theory, and only the NTK is what the networks follow.
The last picture puts a network's *own* kernel in its place: had it stood still since $t = 0$, the network would be on
the circles; crosses are the same with the kernel of the time shown. What is left between them is the kernel's
movement, less the wider the network (theorem 2).
""",
    start=lambda count: max(count - 2, 0),
    click=click,
    clickable=lambda values: values["points"] == "custom" or is_own(values["points"]),
    remark=lambda spec, options: paper.differs(spec, "figure2") if options.get("paper") else "",
)


def render() -> None:
    """Draws the page."""
    experiment_page.render(VIEW)
