"""One Streamlit widget a control. Values live in the session under "page.name".

Each widget is given its value besides, as what it begins with: a run of the script that is cut off may have put the
value into the session without the browser's hearing of it, which then begins with what stands here.
"""

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


def show(page: str, control: Control, value: Any, problem: str | None = None) -> None:
    """Draws the control's widget where the script now is, and below it what is wrong with what it holds.

    Args:
        page, control: which widget.
        value: what the page's settings say, in plain data.
        problem: a sentence, or None.
    """
    begin = FORMS[control.kind].to_widget(value)
    _DRAW[control.kind](control, begin, {"key": state_key(page, control.name), "help": control.help or None})
    if problem:
        st.error(plain(problem), icon=":material/error:")


def ranged(control: Control) -> str:
    """A number's help, and the range that it may have."""
    low, high = (f"{limit:,.10g}" for limit in control.limits)
    return f"{control.help} From {low} to {high}.".lstrip()


def _number(kind: Callable[[float], Any]) -> Callable[[Control, Any, Mapping[str, Any]], None]:
    def draw(control: Control, begin: Any, common: Mapping[str, Any]) -> None:
        step = None if control.step is None else kind(control.step)
        shown = "%d" if kind is int else "%g"
        # Without limits: Streamlit's field keeps a number beyond them to itself, red, while the page goes on with the
        # one before. So it comes here, and is answered with the range (`forms`).
        described = dict(common) | {"help": ranged(control)}
        st.number_input(control.label, value=begin, step=step, format=shown, **described)

    return draw


def _slider(kind: Callable[[float], Any]) -> Callable[[Control, Any, Mapping[str, Any]], None]:
    def draw(control: Control, begin: Any, common: Mapping[str, Any]) -> None:
        low, high = map(kind, control.limits)
        begin = min(max(begin, low), high)
        st.slider(control.label, low, high, begin, step=kind(control.step or 1), **common)

    return draw


def _choice(control: Control, begin: Any, common: Mapping[str, Any]) -> None:
    values, name = list(control.options), control.options.__getitem__
    st.selectbox(control.label, values, _place(values, begin), format_func=name, **common)


def _data(control: Control, begin: Any, common: Mapping[str, Any]) -> None:
    """What comes along, and the tables that this visitor brought, or that a link names."""
    own: dict[str, str] = st.session_state.get(OWN_TABLES, {})
    held = st.session_state[common["key"]]
    offered = [*control.options, *own]
    names = {**control.options, **own, **({} if held in offered else {held: "a table from a link"})}
    values = list(names)
    st.selectbox(control.label, values, _place(values, begin), format_func=names.__getitem__, **common)


def _place(values: list[Any], begin: Any) -> int:
    return values.index(begin) if begin in values else 0


def _segments(control: Control, begin: Any, common: Mapping[str, Any]) -> None:
    labels = control.options.__getitem__
    st.segmented_control(
        control.label, list(control.options), default=begin, format_func=labels, required=True, **common
    )


def _toggle(control: Control, begin: Any, common: Mapping[str, Any]) -> None:
    st.toggle(control.label, begin, **common)


def _numbers(control: Control, begin: Any, common: Mapping[str, Any]) -> None:
    """Numbers on offer, and any others that are typed in."""
    offered = FORMS[control.kind].to_widget(control.options)
    chosen = [n for n in st.session_state[common["key"]] if n not in offered]
    values = offered + chosen
    st.multiselect(
        control.label, values, [n for n in begin if n in values], max_selections=MAX_WIDTHS,
        accept_new_options=True, select_all=False, placeholder="Choose, or type a number", **common,
    )  # fmt: skip


def _pills(control: Control, begin: Any, common: Mapping[str, Any]) -> None:
    labels = control.options.__getitem__
    st.pills(control.label, list(control.options), default=begin, selection_mode="multi", format_func=labels, **common)


def _text(control: Control, begin: Any, common: Mapping[str, Any]) -> None:
    st.text_input(control.label, begin, max_chars=int(control.limits[1]), **common)


def _points(control: Control, begin: Any, common: Mapping[str, Any]) -> None:
    st.text_area(control.label, begin, height=130, **common)


_DRAW: dict[str, Callable[[Control, Any, Mapping[str, Any]], None]] = {
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
