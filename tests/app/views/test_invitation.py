"""What the page says of the Train button, before it is clicked."""

from app.views import invitation
from ntk_core.runs.plan import Plan

PLAN = Plan((), bytes=1000, seconds=35.0)


def test_networks_that_could_not_be_drawn_are_told():
    said = invitation.call(PLAN, refused=False, unasked=invitation.BEFORE_TRAINING, failed="the worker died")
    assert said == "No networks before training here: the worker died. Train draws them, in about 35 s."


def test_what_train_would_do_depends_on_what_stands():
    assert invitation.call(PLAN, refused=False, unasked=invitation.BEFORE_TRAINING).startswith(
        "Networks at t = 0, before training."
    )
    assert invitation.call(PLAN, refused=False, unasked=None).startswith("No networks yet, only the limit.")
    assert "cannot be run" in invitation.call(PLAN, refused=True, unasked=invitation.BEFORE_TRAINING)
