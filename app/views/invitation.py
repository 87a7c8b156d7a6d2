"""What the Train button would do, in words: what stands before a run, what comes with one, and after how long.

Nothing here imports Streamlit.
"""

from __future__ import annotations

from collections.abc import Iterable

from app.views import phrases
from ntk_core.runs.plan import GroupPlan, Plan

AGAIN = "This run has ended and is shown. The same settings give the same numbers: this computes them before your eyes."

BEFORE_TRAINING = ("Networks at t = 0, before training.", "lets them learn")
_METHODS = {
    "steps": "*Steps*: plain gradient descent, one step after the other.",
    "leaps": "*Leaps*: many steps of gradient descent at once, because a wide network is nearly linear in its "
    "parameters. Each leap is checked; the error that it leaves is told after the run.",
}
_WEIGHTS = {
    "dense": "*Dense* weights: every weight matrix is stored whole.",
    "sampled": "*Sampled* weights: too many to be stored, so only their products with what passes through are drawn. "
    "That is exact in distribution.",
}


def call(
    plan: Plan, refused: bool, unasked: tuple[str, str] | None, action: str = "Train", failed: str | None = None
) -> str:
    """What the button would do; `unasked` says which networks stand in the charts already and what it does to them,
    `failed` why they could not be drawn.
    """
    if refused or plan.refusal:
        return "These settings cannot be run; the sentence above says why."
    after = f"in about {phrases.seconds(plan.seconds)}"
    if failed:
        return f"No networks before training here: {failed}. {action} draws them, {after}."
    if unasked:
        shown, done = unasked
        return f"{shown} {action} {done}, {after}."
    if action != "Train":
        return f"No networks yet, only the limit. {action} shows them, {after}."
    return f"No networks yet, only the limit. Train draws them and lets them learn, {after}."


def methods(groups: Iterable[GroupPlan]) -> str:
    """The words for how networks are trained and kept, as far as these groups need them; Markdown."""
    groups = list(groups)
    found = [_METHODS.get(name) for name in dict.fromkeys(g.method for g in groups)]
    found += [_WEIGHTS.get(name) for name in dict.fromkeys(g.weights for g in groups)]
    return "\n\n".join(filter(None, [*found, "Both can be chosen under *Advanced*."])) if any(found) else ""
