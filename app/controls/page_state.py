"""Keeps URL, widgets and values of one page in step.

A page's values come from, in this order: a preset just chosen; the URL, when it says something that this page did not
write there; the widgets. Values of a page that is left are kept for the return.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from app.controls import table as controls
from app.controls import widgets
from app.controls.table import Control, Resolved

STALE_SECONDS = 2.0  # an event sent before the browser heard of its new URL still carries the old one

_PAGE = "page shown"
_SWITCHED = "page switched"


def choose(page: str, values: Mapping[str, Any], *, start: bool = False) -> None:
    """Has the page show these values (a preset) at its next run, and train at once if `start`."""
    st.session_state[f"{page}:chosen"] = dict(values)
    st.session_state[f"{page}:start"] = start


def started(page: str) -> bool:
    """Whether the page shall start training by itself, once."""
    return bool(st.session_state.pop(f"{page}:start", False))


def leave() -> None:
    """Notes that a page without controls is shown."""
    st.session_state[_PAGE] = None


def read(page: str, experiment: str, table: Sequence[Control]) -> tuple[Resolved, bool]:
    """The page's values, checked; and whether the widgets hold something that cannot be used."""
    state = st.session_state
    normal = controls.defaults(experiment, table)
    saved = state.get(f"{page}:values", normal)
    arriving = state.get(_PAGE) != page
    state[_SWITCHED] = arriving and _PAGE in state
    state[_PAGE] = page
    query = _query(table)
    if arriving:
        state[f"{page}:query"] = query
    chosen = state.pop(f"{page}:chosen", None)
    if chosen is not None:
        return _adopt(page, experiment, table, normal | chosen, []), False
    if bool(query) if arriving else _foreign(page, table, query, saved):
        values, problems = controls.from_query(table, query, normal)
        return _adopt(page, experiment, table, values, problems), False
    if arriving:
        return _adopt(page, experiment, table, saved, []), False
    values, problems = controls.from_widgets(table, _held(page, table), saved)
    resolved = controls.resolve(experiment, table, values, saved)
    wrong = [*problems, *resolved.problems]
    # A run of the script that was interrupted before its widgets were drawn has lost what they held.
    _hold(page, [c for c in table if widgets.state_key(page, c.name) not in state], resolved.values)
    if resolved.values != saved:
        state.pop(f"{page}:problems", None)
    state[f"{page}:values"] = resolved.values
    return _with(resolved, [*state.get(f"{page}:problems", []), *wrong]), bool(wrong)


def arrived_elsewhere(experiment: str, table: Sequence[Control], values: Mapping[str, Any]) -> bool:
    """Whether the page was just switched to and its URL does not say its values yet; once a switch.

    Parameters written in the very run that switches the page would join the old page's path in the browser's history.
    """
    switched = st.session_state.pop(_SWITCHED, False)
    wanted = controls.to_query(table, values, controls.defaults(experiment, table))
    return switched and _query(table) != {name: [text] for name, text in wanted.items()}


def write(page: str, experiment: str, table: Sequence[Control], values: Mapping[str, Any]) -> None:
    """Puts the values into the URL (those that are not defaults), beside whatever else stands there."""
    state = st.session_state
    wanted = controls.to_query(table, values, controls.defaults(experiment, table))
    now = _query(table)
    if now != {name: [text] for name, text in wanted.items()}:
        state.setdefault(f"{page}:past", []).append((time.monotonic(), now))
        del state[f"{page}:past"][:-20]
        names = {c.name for c in table}
        others: dict[str, Any] = {k: st.query_params.get_all(k) for k in st.query_params if k not in names}
        st.query_params.from_dict(others | wanted)
    state[f"{page}:query"] = {name: [text] for name, text in wanted.items()}


def set_value(page: str, table: Sequence[Control], **values: Any) -> None:
    """Changes values from the script, before the widgets are drawn."""
    st.session_state[f"{page}:values"] = st.session_state[f"{page}:values"] | values
    _hold(page, [c for c in table if c.name in values], values)


def _query(table: Sequence[Control]) -> dict[str, list[str]]:
    names = {c.name for c in table}
    return {k: st.query_params.get_all(k) for k in st.query_params if k in names}


def _foreign(page: str, table: Sequence[Control], query: Mapping[str, Any], saved: Mapping[str, Any]) -> bool:
    """Whether a URL that differs from ours was put there by a person, not by an event that overtook our change."""
    state = st.session_state
    if query == state.get(f"{page}:query", {}):
        return False
    recent = [old for at, old in state.get(f"{page}:past", []) if time.monotonic() - at < STALE_SECONDS]
    if query in recent:
        return False
    return controls.from_widgets(table, _held(page, table), saved)[0] == saved


def _held(page: str, table: Sequence[Control]) -> dict[str, Any]:
    """What the widgets hold; those that are not shown hold nothing, which is not an empty choice."""
    keys = {c.name: widgets.state_key(page, c.name) for c in table}
    return {name: st.session_state[key] for name, key in keys.items() if key in st.session_state}


def _adopt(
    page: str, experiment: str, table: Sequence[Control], values: Mapping[str, Any], problems: list[str]
) -> Resolved:
    """Takes values from outside: what is not usable falls back, and the widgets show what is used."""
    resolved = controls.resolve(experiment, table, values, controls.defaults(experiment, table))
    resolved = _with(resolved, [*problems, *resolved.problems])
    st.session_state[f"{page}:values"] = resolved.values
    st.session_state[f"{page}:problems"] = list(resolved.problems)
    _hold(page, table, resolved.values)
    return resolved


def _hold(page: str, table: Sequence[Control], values: Mapping[str, Any]) -> None:
    for name, held in controls.to_widgets(table, values).items():
        st.session_state[widgets.state_key(page, name)] = held


def _with(resolved: Resolved, problems: list[str]) -> Resolved:
    return Resolved(resolved.spec, resolved.options, resolved.values, tuple(dict.fromkeys(problems)))
