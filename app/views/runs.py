"""The runs of a session: asked for, followed, and those that go on behind its back."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import streamlit as st

from app.controls.table import plain
from app.web.shared_engine import engine
from ntk_core.engine import EngineError, Run

if TYPE_CHECKING:
    from ntk_core.runs.spec import ExperimentSpec

RECALL_SECONDS = 2.0  # for which a page waits for a result that is stored


def viewer() -> str:
    """A name for this session among those that watch runs."""
    if "viewer" not in st.session_state:
        st.session_state["viewer"] = secrets.token_hex(12)
    return st.session_state["viewer"]


def submit(spec: ExperimentSpec, *, again: bool = False) -> None:
    """Asks for a run; a sentence on the page where that is not possible."""
    try:
        engine().submit(spec, viewer(), again=again)
    except (ValueError, EngineError) as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    attempts = st.session_state.setdefault("attempts", {})
    attempts[spec.key] = attempts.get(spec.key, 0) + 1


def recorded(spec: ExperimentSpec) -> dict[str, Any] | None:
    """Facts of the spec's stored result where that is what is shown; none of them while it is still being read."""
    run = engine().recall(spec, viewer())
    if run is None or not run.recalled:
        return None
    run.wait(RECALL_SECONDS)
    return run.record if run.final else {}


def finished(spec: ExperimentSpec) -> bool:
    """Whether a run of this spec has come to its end and is shown."""
    run = engine().get(spec.key)
    return run is not None and run.state == "finished"


def follow(spec: ExperimentSpec) -> dict[str, Any] | None:
    """What the chart shall follow: the run of this spec if this session started it or somebody's is under way or done,
    else its networks before training."""
    attempt = st.session_state.get("attempts", {}).get(spec.key, 0)
    run = engine().get(spec.key)
    if run is not None and (attempt or run.state in ("queued", "running", "finished")):
        return _followed(run)
    sketch = engine().sketch(spec, viewer())
    if sketch is None:
        return None
    return _followed(sketch) | {"quiet": True, "failed": sketch.error if sketch.state == "failed" else None}


def _followed(run: Run) -> dict[str, Any]:
    """A run's name, the attempt at it, who watches, and whether all of it is there already."""
    return {"key": run.key, "attempt": run.task.rpartition("-")[2], "viewer": viewer(), "ended": run.final}


def others(shown: ExperimentSpec) -> list[Run]:
    """This session's runs that are under way and not the one on this page."""
    keys = [key for key in st.session_state.get("attempts", {}) if key != shown.key]
    found = [engine().get(key) for key in keys]
    return [run for run in found if run is not None and not run.final]
