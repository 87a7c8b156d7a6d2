"""Runs that go on while the page shows something else: what they are, back to them, stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app.controls import page_state
from app.controls.table import plain
from app.views import runs

if TYPE_CHECKING:
    from ntk_core.engine import Run
    from ntk_core.runs.spec import ExperimentSpec


def show(shown: ExperimentSpec) -> None:
    """One line for every run of this session that is under way and not on this page."""
    for run in runs.others(shown):
        _line(run)


def _line(run: Run) -> None:
    from app import views

    module = views.modules()[run.spec.experiment]
    state = f"{100 * run.progress:.0f} % done" if run.state == "running" else "waiting for a worker"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f":material/hourglass_top: In the background: **{plain(module.TITLE)}**, {state}.")
        if st.button("Show", key=f"background:{run.key}:show"):
            names = [c.name for c in module.VIEW.table if c.group != "chart"]
            page_state.choose(run.spec.experiment, {name: getattr(run.spec, name) for name in names})
            st.switch_page(views.pages()[run.spec.experiment])
        if st.button("Stop", key=f"background:{run.key}:stop"):
            run.stop(runs.viewer())
            st.rerun()
