"""Keeps URL, widgets and values of one page in step.

A page's values come from, in this order: the URL, when the browser's Back or Forward led to it; a preset just chosen;
the URL, when it says something that this page did not write there; the widgets. Values of a page that is left are kept
for the return by its link, whose address says nothing; Back and Forward lead to what their addresses say.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.controls import table as controls
from app.controls import widgets
from app.controls.table import Control, Resolved

STALE_SECONDS = 2.0  # an event sent before the browser heard of a new URL or value still carries the old one

_MEMORY = "pages"  # one entry for all: Streamlit goes through every entry of a session again and again


@dataclass
class _Page:
    """What a session remembers of a page.

    `chosen`, `start`: a preset that it shall show, and whether to train at once; `values`: its controls', and
    `problems` with those that came from outside; `query`: what it wrote into the URL, and `past`: when, what before;
    `holding`: names of the controls whose widgets hold something in this run of the script; `told`: when widgets
    were last given values by the script, and `untold`: what each held before, and last that value.
    """

    chosen: dict[str, Any] | None = None
    start: bool = False
    values: dict[str, Any] | None = None
    problems: list[str] = field(default_factory=list)
    query: dict[str, list[str]] = field(default_factory=dict)
    past: list[tuple[float, dict[str, list[str]]]] = field(default_factory=list)
    holding: set[str] = field(default_factory=set)
    untold: dict[str, list[Any]] = field(default_factory=dict)
    told: float = 0.0


@dataclass
class _Memory:
    """What a session remembers of all: the page shown, whether it was just switched to, and each page by name."""

    shown: str | None = None
    begun: bool = False
    switched: bool = False
    pages: dict[str, _Page] = field(default_factory=dict)

    def show(self, page: str | None) -> bool:
        """Notes which page is shown; whether that is another than before."""
        arriving = self.shown != page or page is None
        self.switched = arriving and self.begun
        self.shown, self.begun = page, True
        return arriving


def choose(page: str, values: Mapping[str, Any], *, start: bool = False) -> None:
    """Has the page show these values (a preset) at its next run, and train at once if `start`."""
    known = _page(page)
    known.chosen, known.start = dict(values), start


def started(page: str) -> bool:
    """Whether the page shall start training by itself, once."""
    known = _page(page)
    start, known.start = known.start, False
    return start


def leave() -> None:
    """Notes that a page without controls is shown."""
    _memory().show(None)


def read(page: str, experiment: str, table: Sequence[Control]) -> tuple[Resolved, bool]:
    """The page's values, checked; and whether the widgets hold something that cannot be used."""
    known, arriving = _page(page), _memory().show(page)
    held = _told(page, _held(page, table))
    known.holding = set(held)
    normal = controls.defaults(experiment, table)
    saved = normal if known.values is None else known.values
    query = _query(table)
    if arriving:
        known.query = query
    returning = back_or_forward()
    chosen, known.chosen = known.chosen, None
    if chosen is not None and not returning:
        return _adopt(page, experiment, table, normal | chosen, []), False
    if returning or (bool(query) if arriving else _foreign(known, table, query, held, saved)):
        values, problems = controls.from_query(table, query, normal)
        return _adopt(page, experiment, table, controls.filled(table, values, normal), problems), False
    if arriving:
        return _adopt(page, experiment, table, saved, []), False
    values, problems = controls.from_widgets(table, held, saved)
    values = controls.filled(table, values, saved)
    resolved = controls.resolve(experiment, table, values, saved)
    wrong = [*problems, *resolved.problems]
    if resolved.values != saved:
        known.problems = []
    known.values = resolved.values
    return _with(resolved, [*known.problems, *wrong]), bool(wrong)


def arrived_elsewhere(experiment: str, table: Sequence[Control], values: Mapping[str, Any]) -> bool:
    """Whether the page was just switched to and its URL does not say its values yet; once a switch.

    Parameters written in the very run that switches the page would join the old page's path in the browser's history.
    """
    memory = _memory()
    switched, memory.switched = memory.switched, False
    return switched and not back_or_forward() and _query(table) != _wanted(experiment, table, values)


def back_or_forward() -> bool:
    """Whether this run of the script was asked for by the browser's Back or Forward: its URL then is what is wanted,
    and what is written into it replaces the entry in the history.
    """
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def write(page: str, experiment: str, table: Sequence[Control], values: Mapping[str, Any]) -> None:
    """Puts the values into the URL (those that are not defaults), beside whatever else stands there."""
    known, now = _page(page), _query(table)
    wanted = _wanted(experiment, table, values)
    if now != wanted:
        known.past = [*known.past[-19:], (time.monotonic(), now)]
        names = {c.name for c in table}
        others: dict[str, Any] = {k: st.query_params.get_all(k) for k in st.query_params if k not in names}
        st.query_params.from_dict(others | {name: text for name, (text,) in wanted.items()})
    known.query = wanted


def seed(page: str, table: Sequence[Control], values: Mapping[str, Any]) -> None:
    """Has the widgets of these controls, which are about to be drawn, hold these values where they hold nothing yet, or
    no longer: a run of the script that was interrupted before it drew them has lost what they held.
    """
    known = _page(page)
    missing = [c for c in table if c.name not in known.holding]
    known.holding |= {c.name for c in missing}
    _hold(page, missing, values)


def set_value(page: str, table: Sequence[Control], **values: Any) -> None:
    """Changes values from the script, before the widgets are drawn."""
    known = _page(page)
    known.values = (known.values or {}) | values
    _hold(page, [c for c in table if c.name in values], values)


def _memory() -> _Memory:
    return st.session_state.setdefault(_MEMORY, _Memory())


def _page(name: str) -> _Page:
    return _memory().pages.setdefault(name, _Page())


def _query(table: Sequence[Control]) -> dict[str, list[str]]:
    names = {c.name for c in table}
    return {k: st.query_params.get_all(k) for k in st.query_params if k in names}


def _wanted(experiment: str, table: Sequence[Control], values: Mapping[str, Any]) -> dict[str, list[str]]:
    """What the URL shall say."""
    texts = controls.to_query(table, values, controls.defaults(experiment, table))
    return {name: [text] for name, text in texts.items()}


def _foreign(
    known: _Page, table: Sequence[Control], query: dict[str, list[str]], held: Mapping[str, Any], saved: dict[str, Any]
) -> bool:
    """Whether a URL that differs from ours was put there by a person, not by an event that overtook our change."""
    if query == known.query or query in [old for at, old in known.past if time.monotonic() - at < STALE_SECONDS]:
        return False
    return controls.from_widgets(table, held, saved)[0] == saved


def _held(page: str, table: Sequence[Control]) -> dict[str, Any]:
    """What the widgets hold; those that are not shown hold nothing, which is not an empty choice.

    Nor do those whose drawing a run of the script did not come to; `seed` makes good for that.
    """
    session = st.session_state.to_dict()  # once: to ask for one entry costs as much as to list them all
    keys = {c.name: widgets.state_key(page, c.name) for c in table}
    return {name: session[key] for name, key in keys.items() if key in session}


def _told(page: str, held: dict[str, Any]) -> dict[str, Any]:
    """What the widgets hold once those are told again that may not have heard of their value.

    A run that is cut off, or followed by another at once, sends nothing of what it did last, and the browser goes on
    sending what its widgets held before. One that holds neither that nor what it was given was moved by the visitor.
    """
    known = _page(page)
    if time.monotonic() - known.told > STALE_SECONDS:
        known.untold = {}
    known.untold = {name: given for name, given in known.untold.items() if held.get(name) in given}
    again = {name: given[-1] for name, given in known.untold.items() if name in held}
    for name, value in again.items():
        st.session_state[widgets.state_key(page, name)] = value
        known.told = time.monotonic()
    return held | again


def _adopt(
    page: str, experiment: str, table: Sequence[Control], values: Mapping[str, Any], problems: list[str]
) -> Resolved:
    """Takes values from outside: what is not usable falls back, and the widgets show what is used."""
    resolved = controls.resolve(experiment, table, values, controls.defaults(experiment, table))
    resolved = _with(resolved, [*problems, *resolved.problems])
    known = _page(page)
    known.values, known.problems = resolved.values, list(resolved.problems)
    _hold(page, table, resolved.values)
    return resolved


def _hold(page: str, table: Sequence[Control], values: Mapping[str, Any]) -> None:
    """Has the widgets that hold something hold these values; the others will when they are drawn."""
    known = _page(page)
    for name, held in controls.to_widgets([c for c in table if c.name in known.holding], values).items():
        key = widgets.state_key(page, name)
        known.untold.setdefault(name, [st.session_state.get(key)]).append(held)
        known.told = time.monotonic()
        st.session_state[key] = held


def _with(resolved: Resolved, problems: list[str]) -> Resolved:
    return Resolved(resolved.spec, resolved.options, resolved.values, tuple(dict.fromkeys(problems)))
