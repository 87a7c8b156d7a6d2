"""One Streamlit widget a control. Values live in the session under "page.name", so no widget takes a default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from app.controls.forms import FORMS, Control
from app.controls.table import plain
from ntk_core.runs.spec import TrainingSpec

OWN_TABLES = "own tables"  # of this visitor, in the session: reference -> name
MAX_WIDTHS = next(m.max_length for m in TrainingSpec.model_fields["widths"].metadata if hasattr(m, "max_length"))


def state_key(page: str, name: str) -> str:
    """The name of a control's widget in the session."""
    return f"{page}.{name}"


def show(page: str, control: Control, problem: str | None = None) -> None:
    """Draws the control's widget where the script now is, and below it what is wrong with what it holds."""
    _DRAW[control.kind](control, {"key": state_key(page, control.name), "help": control.help or None})
    if problem:
        st.error(plain(problem), icon=":material/error:")


def ranged(control: Control) -> str:
    """A number's help, and the range that it may have."""
    low, high = (f"{limit:,.10g}" for limit in control.limits)
    return f"{control.help} From {low} to {high}.".lstrip()


def _number(kind: Callable[[float], Any]) -> Callable[[Control, Mapping[str, Any]], None]:
    def draw(control: Control, common: Mapping[str, Any]) -> None:
        step = None if control.step is None else kind(control.step)
        shown = "%d" if kind is int else "%g"
        # Without limits: Streamlit's field keeps a number beyond them to itself, red, while the page goes on with the
        # one before. So it comes here, and is answered with the range (`forms`).
        st.number_input(control.label, step=step, format=shown, **dict(common) | {"help": ranged(control)})

    return draw


def _slider(kind: Callable[[float], Any]) -> Callable[[Control, Mapping[str, Any]], None]:
    def draw(control: Control, common: Mapping[str, Any]) -> None:
        low, high = map(kind, control.limits)
        # The session holds the value; without any here Streamlit lists the whole session to see of which kind it is.
        st.slider(control.label, low, high, low, step=kind(control.step or 1), **common)

    return draw


def _choice(control: Control, common: Mapping[str, Any]) -> None:
    st.selectbox(control.label, list(control.options), format_func=control.options.__getitem__, **common)


def _data(control: Control, common: Mapping[str, Any]) -> None:
    """What comes along, and the tables that this visitor brought, or that a link names."""
    own: dict[str, str] = st.session_state.get(OWN_TABLES, {})
    held = st.session_state[common["key"]]
    offered = [*control.options, *own]
    names = {**control.options, **own, **({} if held in offered else {held: "a table from a link"})}
    st.selectbox(control.label, list(names), format_func=names.__getitem__, **common)


def _segments(control: Control, common: Mapping[str, Any]) -> None:
    labels = control.options.__getitem__
    st.segmented_control(control.label, list(control.options), format_func=labels, required=True, **common)


def _toggle(control: Control, common: Mapping[str, Any]) -> None:
    st.toggle(control.label, **common)


def _numbers(control: Control, common: Mapping[str, Any]) -> None:
    """Numbers on offer, and any others that are typed in."""
    offered = FORMS[control.kind].to_widget(control.options)
    chosen = [n for n in st.session_state[common["key"]] if n not in offered]
    st.multiselect(
        control.label, offered + chosen, max_selections=MAX_WIDTHS, accept_new_options=True, select_all=False,
        placeholder="Choose, or type a number", **common,
    )  # fmt: skip


def _pills(control: Control, common: Mapping[str, Any]) -> None:
    labels = control.options.__getitem__
    st.pills(control.label, list(control.options), selection_mode="multi", format_func=labels, **common)


def _text(control: Control, common: Mapping[str, Any]) -> None:
    st.text_input(control.label, max_chars=int(control.limits[1]), **common)


def _points(control: Control, common: Mapping[str, Any]) -> None:
    st.text_area(control.label, height=130, **common)


_DRAW: dict[str, Callable[[Control, Mapping[str, Any]], None]] = {
    "integer": _number(int),
    "real": _number(float),
    "slider": _slider(int),
    "real_slider": _slider(float),
    "choice": _choice,
    "data": _data,
    "segments": _segments,
    "toggle": _toggle,
    "widths": _numbers,
    "reals": _numbers,
    "pills": _pills,
    "choices": _pills,
    "text": _text,
    "points": _points,
}
