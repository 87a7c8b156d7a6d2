"""Page: what this is, a moving picture at once, and the paper's figures at one click."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import charts, views
from app.controls import page_state
from app.controls.table import plain
from app.live_chart import live_chart, run_address
from app.views import phrases, presets, runs
from app.views.presets import Card
from app.web import limit_pictures
from app.web.shared_engine import engine
from ntk_core import experiments
from ntk_core.engine import EngineError

if TYPE_CHECKING:
    from ntk_core.runs.spec import ExperimentSpec

TITLE, ORDER, ICON = "Home", 0, ":material/home:"

# A real run, small enough for a second: networks of one width on the paper's four points.
MOVIE = {"widths": (64,), "seeds": 12, "time": 200.0, "learning_rate": 1.0, "snapshots": 32}

HEADING = "Neural networks train beside their infinite-width limit"
SENTENCE = "Thin curves are real networks, trained on four points here; of infinitely wide ones the band holds 80 %."

IDEA = (
    "**A network in training follows its kernel.** A gradient step moves the network's function along its "
    "*tangent kernel* Θ, which depends on the random weights and changes as they train.",
    "**Width removes the randomness.** As hidden layers grow, Θ converges to one fixed kernel Θ∞ that depends only on "
    "depth, activation and bias, and it stays there during training.",
    "**So infinite networks can be solved.** Training becomes a linear equation: every moment, infinite time included, "
    "has a formula, and it is drawn here beside the real networks.",
)


def render() -> None:
    """Draws the page."""
    page_state.leave()
    st.markdown(f"### {HEADING}\n{SENTENCE}")
    _movie()
    st.markdown("#### The paper's figures, one click each")
    columns = st.columns(3)
    for column, preset in zip(columns, presets.load(), strict=False):
        with column:
            _card(preset)
    st.markdown("#### The idea")
    for column, sentence in zip(st.columns(3), IDEA, strict=True):
        column.markdown(sentence)
    st.caption(
        "Jacot, Gabriel & Hongler, *Neural Tangent Kernel: Convergence and Generalization in Neural Networks*, 2018 "
        "([arXiv:1806.07572](https://arxiv.org/abs/1806.07572))."
    )


def movie() -> ExperimentSpec:
    """The spec of the looped run; the server starts it before the first visit."""
    return experiments.parse({"experiment": "function_space", **MOVIE})


def _movie() -> None:
    """The looped run; a sentence instead where the engine cannot be reached."""
    spec = movie()
    try:
        preview = engine().preview(spec)
        engine().submit(spec, runs.viewer())
    except (ValueError, EngineError) as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    run = runs.follow(spec)
    shown = {"f": charts.load("function_space").PANELS["f"].placed("wide")}
    limit = limit_pictures.address(spec, {}, panels=("f",), finite=True)
    address = run and {**run, "url": run_address(spec.key, {}, run["attempt"]), "quiet": True}
    live_chart("home", spec.key, shown, limit, run=address, facts=phrases.facts(spec, preview.plan), loop=True)


def _card(preset: Card) -> None:
    with st.container(border=True, height="stretch"):
        st.markdown(f"**{preset.title}**")
        st.markdown(preset.text)
        st.caption(preset.differs)
        st.space("stretch")
        clicked = st.button(
            f"Show {preset.figure}",
            key=f"home:{preset.name}",
            type="primary",
            icon=":material/play_arrow:",
            width="stretch",
        )
    if clicked:
        page_state.choose(preset.page, preset.values, start=True)
        st.switch_page(views.pages()[preset.page])
