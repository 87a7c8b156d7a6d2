"""What the browser's Back and Forward lead to: what the address says, whatever was there a moment before."""

from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest


def script():
    import streamlit as st

    from app.controls import page_state
    from app.views import circle

    table = circle.VIEW.table
    if st.session_state.pop("choose", False):
        page_state.choose("circle", {"depth": 9})
    resolved, _ = page_state.read("circle", "circle", table)
    page_state.seed("circle", table, resolved.values)
    switched = page_state.arrived_elsewhere("circle", table, resolved.values)
    page_state.write("circle", "circle", table, resolved.values)
    st.text(f"{resolved.values['depth']} {resolved.values['nngp']} {switched}")


@pytest.fixture
def at(monkeypatch):
    app = AppTest.from_function(script).run()

    def go(query, history, **state):
        app.query_params.clear()
        for name, value in query.items():
            app.query_params[name] = value
        for name, value in state.items():
            app.session_state[name] = value
        monkeypatch.setattr(
            "app.controls.page_state.get_script_run_ctx",
            lambda: SimpleNamespace(is_history_navigation=history),
        )
        app.run()
        assert not app.exception
        return app.text[0].value

    return go


def test_an_address_that_was_ours_a_moment_ago_is_taken_at_its_word(at):
    assert at({"nngp": "1"}, history=False) == "4 True False"
    assert at({"nngp": "1", "depth": "7"}, history=False) == "7 True False"
    assert at({"nngp": "1"}, history=True) == "4 True False"
    assert at({}, history=True) == "4 False False"


def test_a_preset_that_was_chosen_and_left_does_not_come_later(at):
    assert at({"nngp": "1"}, history=True, choose=True) == "4 True False"
    assert at({"nngp": "1"}, history=False) == "4 True False"
