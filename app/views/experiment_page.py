"""The page of an experiment: controls, messages, the plan, the live chart, and the facts behind every number."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import charts
from app.controls import page_state, widgets
from app.controls.table import Control, Resolved, labelled, plain
from app.live_chart import live_chart, run_address
from app.views import background, invitation, phrases, runs
from app.web import downloads, limit_pictures
from app.web.shared_engine import engine
from ntk_core import experiments
from ntk_core.engine import EngineError
from ntk_core.engine.previews import PREVIEW_SECONDS

if TYPE_CHECKING:
    from ntk_core.engine import Preview
    from ntk_core.engine.previews import Asked
    from ntk_core.runs.plan import Plan
    from ntk_core.runs.spec import ExperimentSpec
    from ntk_core.runs.theory import Theory

SPINNER_AFTER = 0.3  # seconds without an answer after which the page says that it waits
LOOK_UP_SECONDS = 0.1  # how often a script that waits sees whether a control has moved
# Pixels, for each label and Run again: what stands beside it must not move.
BUTTON_WIDTHS = {"Train": 136, "Draw networks": 184}
EARLIER_SECONDS = 2.0  # for which a page waits for what it showed before; it is usually remembered
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
        action: what the button says that starts a run of a spec.
        unasked: which networks are shown before any click, and what the button does to them.
        remark: a sentence on what the chart's options cannot show under a spec; "" where there is nothing to say.
    """

    name: str
    title: str
    sentence: str
    table: tuple[Control, ...]
    explanation: str = ""
    start: Callable[[int], int] = lambda count: 0
    click: Callable[[Mapping[str, float], Theory, Mapping[str, Any]], dict[str, Any]] | None = None
    clickable: Callable[[Mapping[str, Any]], bool] = lambda values: False
    action: Callable[[Any], str] = lambda spec: "Train"
    unasked: tuple[str, str] = invitation.BEFORE_TRAINING
    remark: Callable[[Any, Mapping[str, Any]], str] = lambda spec, options: ""


def render(view: View) -> None:
    """Draws the page."""
    resolved, blocked = page_state.read(view.name, view.name, view.table)
    if page_state.arrived_elsewhere(view.name, view.table, resolved.values):
        time.sleep(PATH_SECONDS)
        st.rerun()
    resolved = _take_click(view, resolved)
    typed = _typed(view, resolved) if blocked else {}
    with _asked(resolved.spec) as asked:  # a worker works out the limit while the controls are drawn
        _controls(view, resolved.values, typed)
        page_state.write(view.name, view.name, view.table, resolved.values)
        st.subheader(view.title, anchor=False)
        st.markdown(view.sentence)
        for problem in (p for p in resolved.problems if p not in typed.values()):
            _say(view, problem)
        preview = _preview(view, asked)
    if preview is None:
        _earlier(view, resolved)
    else:
        _answered(view, resolved, preview, blocked)
    if view.explanation:
        with st.expander("What am I looking at?", icon=":material/school:"):
            st.markdown(view.explanation)


def _answered(view: View, resolved: Resolved, preview: Preview, blocked: bool) -> None:
    """What may be trained, what should be known before, and the pictures."""
    st.session_state[f"{view.name}:shown"] = resolved
    networks = experiments.trained(resolved.spec)
    run = _train_row(view, networks, preview.plan, blocked) if preview.plan else None
    call = _call(view, networks, preview.plan, run) if preview.plan else ""
    for warning in preview.plan.warnings if preview.plan else ():
        st.warning(plain(warning), icon=":material/warning:")
    for note in preview.theory.info.get("notes", ()):
        st.info(plain(note), icon=":material/info:")
    if remark := view.remark(resolved.spec, resolved.options):
        st.caption(plain(remark))
    background.show(networks)
    _chart(view, resolved, preview, run, call)


def _typed(view: View, resolved: Resolved) -> dict[str, str]:
    """What is wrong with a text or a number that is being typed, by control: it is said below its field."""
    shown = (c for c in view.table if c.shown_if is None or c.shown_if(resolved.values))
    typed = [c.name for c in shown if c.kind in ("text", "integer", "real") and c.group == "main"]
    return {name: p for name in typed for p in resolved.problems if p.startswith(f"{name}:")}


def _say(view: View, problem: str) -> None:
    """One sentence on what is wrong, by the labels of this page."""
    st.error(plain(labelled(problem, view.table)), icon=":material/error:")


def _controls(view: View, values: Mapping[str, Any], problems: Mapping[str, str]) -> None:
    """The sidebar: main controls, the chart's options, the advanced ones folded away."""
    shown = [c for c in view.table if c.shown_if is None or c.shown_if(values)]
    page_state.seed(view.name, [c for c in shown if c.group != "advanced"], values)
    with st.sidebar:
        for control in (c for c in shown if c.group == "main"):
            problem = problems.get(control.name)
            problem = problem and labelled(problem, view.table)
            widgets.show(view.name, control, values[control.name], problem)
        options = [c for c in shown if c.group == "chart"]
        if options:
            st.markdown("**Chart**")
        for control in options:
            widgets.show(view.name, control, values[control.name])
        hidden = [c for c in shown if c.group == "advanced"]
        if hidden:
            # What is folded away costs nothing: half of a page's work in the server is its widgets.
            key = f"{view.name}:advanced"
            folder = st.expander("Advanced", icon=":material/tune:", key=key, on_change="rerun")
            if folder.open:
                page_state.seed(view.name, hidden, values)
                with folder:
                    for control in hidden:
                        widgets.show(view.name, control, values[control.name])


@contextmanager
def _asked(spec: ExperimentSpec) -> Iterator[Asked | EngineError]:
    """The preview of a spec, asked for and given up at the end; or why the engine cannot be asked."""
    try:
        asking = engine().ask(spec)
    except EngineError as error:
        yield error
        return
    with asking as asked:
        yield asked


def _preview(view: View, asked: Asked | EngineError) -> Preview | None:
    """Theory and plan, or the sentence why there are none.

    While it waits it looks up: where a control has moved meanwhile the script ends here, and the answer is given up.
    """
    deadline = time.monotonic() + PREVIEW_SECONDS
    place = st.empty()  # always there: what follows must not move when a spinner comes and goes
    try:
        if isinstance(asked, EngineError):
            raise asked
        if not asked.wait(SPINNER_AFTER):
            with place, st.spinner("Working out the limit…", show_time=True):
                while not asked.wait(LOOK_UP_SECONDS) and time.monotonic() < deadline:
                    runs.viewer()  # to ask the session raises where the script is to run again
        return asked.result(0.0)
    except (ValueError, EngineError) as error:
        _say(view, str(error))
        return None


def _earlier(view: View, refused: Resolved) -> None:
    """The pictures of the settings before, where the limit of these is refused; nothing where there were none."""
    before: Resolved | None = st.session_state.get(f"{view.name}:shown")
    if before is None:
        return
    try:
        preview = engine().preview(before.spec, EARLIER_SECONDS)
    except (ValueError, EngineError):
        return
    st.caption("The pictures below are those of the settings before.")
    networks = experiments.trained(before.spec)
    background.show(networks)
    shown = replace(before, options=refused.options)
    _chart(view, shown, preview, runs.follow(networks) if preview.plan else None)


def _train_row(view: View, spec: Any, plan: Plan, blocked: bool) -> dict[str, Any] | None:
    """The Train button and the plan beside it; returns the run that the chart shall follow."""
    refusal = engine().refusal(spec, plan)
    recorded = runs.recorded(spec)
    ended, action = recorded is not None or runs.finished(spec), view.action(spec)
    with st.container(horizontal=True, wrap=False, vertical_alignment="center"):
        clicked = st.button(
            "Run again" if ended else action, type="secondary" if ended else "primary",
            icon=":material/replay:" if ended else ":material/play_arrow:", key=f"{view.name}:train",
            help=invitation.AGAIN if ended else None, width=BUTTON_WIDTHS[action], disabled=blocked or bool(refusal),
        )  # fmt: skip
        if recorded is None:
            st.markdown(phrases.plan(plan, refusal), help=invitation.methods(() if refusal else plan.groups) or None)
        else:
            st.markdown(phrases.recorded(recorded))
    if refusal:
        st.error(plain(refusal), icon=":material/block:")
    # What the button said when it was clicked: the run may have ended since, in another's session too.
    again = clicked and st.session_state.get(f"{view.name}:ended") == spec.key
    wanted = clicked or page_state.started(view.name)
    if wanted and not blocked and not refusal:
        runs.submit(spec, again=again)
    st.session_state[f"{view.name}:ended"] = spec.key if ended and not again else None
    return runs.follow(spec)


def _call(view: View, spec: Any, plan: Plan, run: dict[str, Any] | None) -> str:
    """What the button would do, where no run that was asked for is shown."""
    if run and not run.get("quiet"):
        return ""
    failed = run.get("failed") if run else None
    refused, unasked = bool(engine().refusal(spec, plan)), view.unasked if run else None
    return invitation.call(plan, refused, unasked, view.action(spec), failed)


def _chart(view: View, resolved: Resolved, preview: Preview, run: dict[str, Any] | None, call: str = "") -> None:
    """The live chart; a click in it takes effect at the next run of the script. `call` is said until there is a run."""
    spec, options, theory = resolved.spec, resolved.options, preview.theory
    address = run and {
        **run, "url": run_address(run["key"], options, run["attempt"], spec.key), "action": view.action(spec),
    }  # fmt: skip
    point = live_chart(
        view.name,
        spec.key,
        charts.load(view.name).PANELS,
        limit_pictures.address(spec, options),
        run=address,
        call=call,
        facts=phrases.facts(spec, preview.plan, theory.info.get("inverted")),
        start=view.start(len(limit_pictures.moments(spec, theory))),
        clickable=view.clickable(resolved.values),
        moving=len(getattr(spec, "times", ())) > 1,
        downloads=downloads.offers(spec),
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
