"""The page for a table of one's own, as Streamlit runs it."""

import re

import pytest
from streamlit.testing.v1 import AppTest

from app.controls.widgets import OWN_TABLES
from app.web import shared_engine as server_state
from tests.app import synthetic

TABLE = "length,width,kind\n5.1,3.5,setosa\n4.9,3.0,setosa\n7.0,3.2,versicolor\n6.4,3.2,versicolor\n"


@pytest.fixture
def at():
    before, fake = server_state._engine, synthetic.Engine(pace=0.0)
    server_state.use(fake)
    yield AppTest.from_string("from app.views import own_data\nown_data.render()", default_timeout=20).run()
    fake.close()
    server_state.use(before)


def paste(at, text):
    return at.text_area(key="own:text").set_value(text).run()


def sentences(at):
    return [e.value.replace("\\", "") for e in at.error]


def test_an_empty_page_asks_for_a_table(at):
    assert not at.exception
    assert sentences(at) == []
    assert [b.label for b in at.button] == ["Two spirals", "A noisy wave"]


@pytest.mark.parametrize(("example", "ready"), [(0, "80 points with 2 inputs"), (1, "41 points with one input")])
def test_an_example_is_a_table_like_any_other(at, example, ready):
    at.button[example].click().run()
    assert not at.exception
    assert sentences(at) == []
    assert ready in " ".join(m.value for m in at.markdown)
    assert at.text_area(key="own:text").value.count("\n") >= 41
    assert at.session_state["own:where"] == "Paste"  # the tab where it stands


def test_a_pasted_table_is_shown_and_kept(at):
    paste(at, TABLE)
    assert not at.exception
    shown = " ".join(m.value for m in at.markdown)
    assert "4 rows, 3 columns" in shown
    assert "**Ready:** 4 points with 2 inputs; the target kind is 2 classes." in shown
    assert [b.label for b in at.button] == [
        "Principal components", "Function space", "Kernel on the circle", "Lazy or learning features", "Conditioning",
    ]  # fmt: skip
    ((reference, name),) = at.session_state[OWN_TABLES].items()
    assert reference.startswith("own:")
    assert name == "your table: kind, 4 rows"


def test_what_is_wrong_with_a_table_is_one_sentence_and_the_next_one_is_read(at):
    paste(at, "a,b\n1,2\n1,2,3")
    (sentence,) = sentences(at)
    assert sentence.startswith("table: line 3 ")
    paste(at, TABLE)
    assert sentences(at) == []


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("", "'a' cannot be used yet: it is empty in line 3; fill the cell or leave the line out."),
        ("nan", "'a' cannot be used yet: it holds 'nan' in line 3; every number must be finite."),
        ("1.2.3", "'a' cannot be used yet: it holds '1.2.3' in line 3, which is not a number like the others."),
    ],
)
def test_a_column_with_a_cell_that_is_no_number_says_which(at, cell, words):
    paste(at, f"a,y\n1,2\n{cell},3\n4,5\n")
    (said,) = [w.value.replace("\\", "") for w in at.warning]
    assert said == words


def test_a_file_with_nothing_in_it_is_answered(at):
    at.session_state["own:brought"] = ("empty.csv", b"")
    at.run()
    assert sentences(at) == ["table: it is empty; at least two rows of numbers are needed"]


def test_a_constant_input_is_named(at):
    paste(at, "a,b,y\n1,5,0\n2,5,1\n3,5,4")
    (sentence,) = sentences(at)
    assert "'b'" in sentence
    at.multiselect[0].unselect("b").run()
    assert sentences(at) == []


def test_a_foreign_text_is_shown_as_it_is(at):
    paste(at, "a,b,y\n1,2,![x](http://evil)<script>\n2,3,other\n")
    assert not at.exception
    shown = " ".join(m.value for m in at.markdown)
    assert "script" in shown
    assert not re.search(r"(?<!\\)(\]\(|<)", shown)


def test_a_table_is_still_there_when_the_page_is_come_back_to(at):
    at.session_state["own:brought"] = ("mine.csv", TABLE.encode())  # as the uploader's callback leaves it
    at.run()
    assert any("mine" in c.value and "before" in c.value for c in at.caption)
    assert any("4 points" in m.value for m in at.markdown)
    paste(at, TABLE + "6.9,3.1,versicolor\n")  # what is typed takes its place
    assert not any("mine" in c.value for c in at.caption)
    assert any("5 points" in m.value for m in at.markdown)
