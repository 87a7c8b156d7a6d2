"""The page of an experiment: controls, messages, the plan, the live chart, and the facts behind every number."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import charts
from app.controls import page_state, widgets
from app.controls.table import Control, Resolved, plain
from app.live_chart import frame, live_chart, run_address
from app.views import phrases
from app.web.shared_engine import engine
from ntk_core.engine import EngineError

if TYPE_CHECKING:
    from ntk_core.engine import Preview
    from ntk_core.runs.snapshot import Snapshot
    from ntk_core.runs.spec import ExperimentSpec

PATH_SECONDS = 0.15  # the browser takes a page's path into its history before the next run adds the parameters


@dataclass(frozen=True)
class View:
    """What one page has of its own.

    Attributes:
        name: of the page, and of its experiment.
        title, sentence: what it is, and in one sentence what it shows.
        table: its controls.
        explanation: Markdown for those who want to know more.
        start: which theory frame to show first, of how many.
        click: takes a point clicked in the chart, the theory and the values; returns the values that change.
        clickable: whether clicks are wanted under these values.
    """

    name: str
    title: str
    sentence: str
    table: tuple[Control, ...]
    explanation: str = ""
    start: Callable[[int], int] = lambda count: 0
    click: Callable[[Mapping[str, float], Snapshot, Mapping[str, Any]], dict[str, Any]] | None = None
    clickable: Callable[[Mapping[str, Any]], bool] = lambda values: False


def render(view: View) -> None:
    """Draws the page."""
    resolved, blocked = page_state.read(view.name, view.name, view.table)
    if page_state.arrived_elsewhere(view.name, view.table, resolved.values):
        time.sleep(PATH_SECONDS)
        st.rerun()
    resolved = _take_click(view, resolved)
    _controls(view, resolved.values)
    page_state.write(view.name, view.name, view.table, resolved.values)
    with st.container(gap="small"):
        st.subheader(view.title, anchor=False)
        st.markdown(view.sentence)
    for problem in resolved.problems:
        st.error(plain(problem), icon=":material/error:")
    preview = _preview(resolved.spec)
    if preview is None:
        return
    run = _train_row(view, resolved.spec, preview, blocked)
    for warning in preview.plan.warnings:
        st.warning(plain(warning), icon=":material/warning:")
    _chart(view, resolved, preview, run)
    if view.explanation:
        with st.expander("What am I looking at?", icon=":material/school:"):
            st.markdown(view.explanation)


def _controls(view: View, values: Mapping[str, Any]) -> None:
    """The sidebar: main controls, the chart's options, the advanced ones folded away."""
    shown = [c for c in view.table if c.shown_if is None or c.shown_if(values)]
    with st.sidebar:
        for control in (c for c in shown if c.group == "main"):
            widgets.show(view.name, control)
        st.markdown("**Chart**")
        for control in (c for c in shown if c.group == "chart"):
            widgets.show(view.name, control)
        with st.expander("Advanced", icon=":material/tune:"):
            for control in (c for c in shown if c.group == "advanced"):
                widgets.show(view.name, control)


def _preview(spec: ExperimentSpec) -> Preview | None:
    """Theory and plan, or the sentence why there are none."""
    try:
        with st.spinner("Working out the limit…", show_time=False):
            return engine().preview(spec)
    except (ValueError, EngineError) as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None


def _train_row(view: View, spec: Any, preview: Preview, blocked: bool) -> dict[str, Any] | None:
    """The Train button and the plan beside it; returns the run that the chart shall follow."""
    plan = preview.plan
    with st.container(horizontal=True, wrap=False, vertical_alignment="center"):
        clicked = st.button(
            "Train", type="primary", icon=":material/play_arrow:", key=f"{view.name}:train",
            disabled=blocked or bool(plan.refusal),
        )  # fmt: skip
        st.markdown(phrases.plan(plan))
    if plan.refusal:
        st.error(plain(plan.refusal), icon=":material/block:")
    wanted = clicked or page_state.started(view.name)
    if wanted and not blocked and not plan.refusal:
        _submit(spec)
    return follow(spec)


def _submit(spec: ExperimentSpec) -> None:
    attempts = st.session_state.setdefault("attempts", {})
    try:
        engine().submit(spec, viewer())
        attempts[spec.key] = attempts.get(spec.key, 0) + 1
    except (ValueError, EngineError) as error:
        st.error(plain(str(error)), icon=":material/error:")


def viewer() -> str:
    """A name for this session among those that watch runs."""
    return st.session_state.setdefault("viewer", secrets.token_hex(12))


def follow(spec: ExperimentSpec) -> dict[str, Any] | None:
    """The run of this spec if this session started it, or somebody else did and it is under way or done."""
    attempt = st.session_state.get("attempts", {}).get(spec.key, 0)
    run = engine().get(spec.key)
    if run is None or (not attempt and run.state not in ("queued", "running", "finished")):
        return None
    return {"key": spec.key, "attempt": attempt, "viewer": viewer()}


def _chart(view: View, resolved: Resolved, preview: Preview, run: dict[str, Any] | None) -> None:
    """The live chart; a click in it takes effect at the next run of the script."""
    spec, options, theory = resolved.spec, resolved.options, preview.theory
    times = charts.frames(spec, theory)
    frames = [
        frame(i, phrases.theory_clock(spec, times, i), charts.draw(spec, theory, None, i, options))
        for i in range(len(times))
    ]
    address = run and {**run, "url": run_address(spec.key, options, run["attempt"])}
    point = live_chart(
        view.name,
        spec.key,
        charts.load(view.name).PANELS,
        frames,
        run=address,
        facts=phrases.facts(spec, preview.plan),
        start=view.start(len(times)),
        clickable=view.clickable(resolved.values),
    )
    if point and view.click:
        changes = view.click(point, theory, resolved.values)
        st.session_state[f"{view.name}:click"] = changes
        st.rerun()


def _take_click(view: View, resolved: Resolved) -> Resolved:
    """Applies the changes that a click in the chart asked for."""
    changes = st.session_state.pop(f"{view.name}:click", None)
    if not changes:
        return resolved
    page_state.set_value(view.name, view.table, **changes)
    return page_state.read(view.name, view.name, view.table)[0]
