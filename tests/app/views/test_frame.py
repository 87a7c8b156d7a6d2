"""What stands around every page."""

import pytest
from streamlit.testing.v1 import AppTest

SCRIPT = """
from app.views import frame
frame.answer_unknown({url!r})
"""


@pytest.mark.parametrize("url", [None, "", "http://host:8501/", "http://host/circle?widths=16", "http://host/home"])
def test_pages_that_there_are_need_no_word(url):
    at = AppTest.from_string(SCRIPT.format(url=url), default_timeout=20).run()
    assert not at.exception
    assert not at.warning


@pytest.mark.parametrize(("name", "read"), [("nosuchpage", "nosuchpage"), ("circles", "circles"), ("%3Cb%3E", "<b>")])
def test_a_page_that_there_is_not_is_said(name, read):
    at = AppTest.from_string(SCRIPT.format(url=f"http://host/{name}?a=1"), default_timeout=20).run()
    (warning,) = at.warning
    said = warning.value.replace("\\", "")
    assert said.startswith(f"There is no page '{read}'; this is the first of Home,")
    assert "<b>" not in warning.value
