"""Page: a table of one's own, which the other pages then learn from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import streamlit as st

from app import views
from app.controls import page_state
from app.controls.table import plain
from app.controls.widgets import OWN_TABLES
from app.web.shared_engine import engine
from ntk_core.data import example_tables
from ntk_core.engine import EngineError

TITLE, ORDER, ICON = "Your data", 10, ":material/table:"

_FILE = "own:brought"  # in the session: name and bytes of the file

SMALL = 100  # points that a page begins with: its kernel and its networks answer in seconds
HEADER = "length, width, kind\n5.1, 3.5, setosa\n7.0, 3.2, versicolor"

MOST_TOLD = 3  # columns that cannot be used, of which each has its sentence
WORDS = {"numbers": "numbers", "words": "words", "mixed": "numbers and words"}


def render() -> None:
    """Draws the page."""
    page_state.leave()
    st.subheader(TITLE, anchor=False)
    st.markdown(
        "Bring a table: each row is a point $x$ with its target. It is kept on this server for a day after its last "
        "use, under a name made from its content; links hold that name and never the data."
    )
    content = _content()
    if content is None:
        st.caption("No table at hand? Two spirals that no straight line parts, or a noisy wave:")
        with st.container(horizontal=True):
            for name, table in (("Two spirals", example_tables.spirals), ("A noisy wave", example_tables.wave)):
                st.button(name, key=f"own:example:{name}", on_click=_take, args=[table])
        return
    digest = hashlib.sha256(content).hexdigest()
    found = _asked("looked", digest, lambda: engine().own_data.look(content))
    if found is None:
        return
    _show(found)
    choices = _choices(found)
    if choices is not None:
        _keep(content, digest, choices)


def _content() -> bytes | None:
    """The table's bytes, of a file (which may be empty) or of what was typed, or None; both are still there when the
    page is come back to.
    """
    if st.session_state.get("own:text") and "own:where" not in st.session_state:
        st.session_state["own:where"] = "Paste"
    file, pasted = st.tabs(["File", "Paste"], key="own:where", on_change="rerun")
    with file:
        st.file_uploader(
            "CSV file", key="own:file", max_upload_size=5, on_change=_remember_file,
            help="Text: columns separated by a comma, a semicolon, a tab or blanks; up to 5 MB.",
        )  # fmt: skip
        name, brought = st.session_state.get(_FILE, ("", None))
        if name and st.session_state["own:file"] is None:
            st.caption(f"The table below is of the file {plain(name)}, brought before.")
    with pasted:
        typed = st.text_area(
            "Table", key="own:text", height=200, placeholder=HEADER, max_chars=1_000_000, persist_state="session",
            on_change=_forget_file,
        )  # fmt: skip
    return brought if brought is not None else (typed or "").encode() or None


def _remember_file() -> None:
    """Streamlit's uploader forgets its file when the page is left."""
    brought = st.session_state["own:file"]
    st.session_state[_FILE] = ("", None) if brought is None else (brought.name, brought.getvalue())


def _forget_file() -> None:
    """A table that is typed takes the place of a file brought before, which the uploader shows no more."""
    if st.session_state.get("own:file") is None:
        st.session_state.pop(_FILE, None)


def _take(table: Callable[[], str]) -> None:
    """An example stands where it could have been pasted, to be looked at and changed."""
    st.session_state["own:text"], st.session_state["own:where"] = table(), "Paste"


def _asked(name: str, question: object, ask: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    """A worker's answer, asked for once a question; its sentence on the page where there is none."""
    held = st.session_state.get(f"own:{name}")
    if held is None or held[0] != question:
        try:
            held = (question, ask(), "")
        except (ValueError, EngineError) as error:
            held = (question, None, str(error))
        st.session_state[f"own:{name}"] = held
    if held[2]:
        st.error(plain(held[2]), icon=":material/error:")
    return held[1]


def _show(found: dict[str, Any]) -> None:
    """How large the table is, and its first rows."""
    columns, first = found["columns"], found["first"]
    st.markdown(f"**{found['rows']:,} rows, {len(columns):,} columns.** The first of them:")
    head = [f"{_cell(c['name'])} ({WORDS[c['kind']]})" for c in columns[: len(first[0])]]
    lines = [head, ["---"] * len(head), *([_cell(text) for text in row] for row in first)]
    st.markdown("\n".join(f"| {' | '.join(line)} |" for line in lines))
    unusable = [c for c in columns if c["problem"]]
    for column in unusable[:MOST_TOLD]:
        st.warning(
            plain(f"{column['name'][:40]!r} cannot be used yet: it {column['problem']}."), icon=":material/edit:"
        )
    if len(unusable) > MOST_TOLD:
        st.caption(f"So it is with {len(unusable) - MOST_TOLD:,} more columns.")


def _choices(found: dict[str, Any]) -> dict[str, Any] | None:
    """What `data.choose` is asked for; None while no column is chosen."""
    names = [c["name"] for c in found["columns"]]
    kinds = {c["name"]: c["kind"] for c in found["columns"]}
    left, right = st.columns(2)
    # Other columns are other widgets: what was chosen of another table means nothing here.
    key = hashlib.sha256(repr(names).encode()).hexdigest()[:8]
    with right:
        target = st.selectbox("Target", names, len(names) - 1, key=f"own:target:{key}", help="What is to be learned.")
        classes = st.toggle(
            "The target names classes", kinds[target] == "words", key=f"own:classes:{key}:{target}",
            disabled=kinds[target] == "words",
        )  # fmt: skip
    with left:
        usable = [n for n in names if n != target]
        numbers = [n for n in usable if kinds[n] == "numbers"]
        inputs = st.multiselect("Inputs", usable, numbers, key=f"own:inputs:{key}:{target}", help="Columns of numbers.")
        standardized = st.toggle(
            "Standardize the inputs", True, key="own:standardized", help="Every column to mean 0 and deviation 1."
        )
        sphere = st.toggle(
            "Put them on the unit sphere", key="own:sphere", help="Every row to length 1, as in the paper's theory."
        )
    if not inputs:
        st.info("Choose at least one column of numbers as an input.", icon=":material/info:")
        return None
    return {
        "inputs": inputs, "target": target, "classes": classes, "standardized": standardized, "sphere": sphere,
        "standardized_target": not classes and standardized,
    }  # fmt: skip


def _keep(content: bytes, digest: str, choices: dict[str, Any]) -> None:
    """The data as they will be used, and where."""
    kept = _asked("kept", (digest, choices), lambda: engine().own_data.keep(content, choices))
    if kept is None:
        return
    for note in kept["notes"]:
        st.info(plain(note), icon=":material/info:")
    what = f"{len(kept['classes'])} classes" if kept["classes"] else "a number"
    name = ", ".join(kept["targets"])[:30]
    st.session_state.setdefault(OWN_TABLES, {})[kept["reference"]] = f"your table: {name}, {kept['rows']:,} rows"
    st.markdown(
        f"**Ready:** {kept['rows']:,} points with {_inputs(len(kept['inputs']))}; the target {plain(name)} is {what}."
    )
    with st.container(horizontal=True):
        for page, label, values in _uses(kept):
            if st.button(label, type="primary", key=f"own:use:{page}"):
                page_state.choose(page, values)
                st.switch_page(views.pages()[page])


def _uses(kept: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """The pages that learn from these data: (page, label, values of its controls)."""
    rows, reference = kept["rows"], kept["reference"]
    found = []
    if rows >= 3:
        count = min(rows, SMALL)
        values = {"data": reference, "n_train": count, "component": min(2, count)}
        found.append(("components", "Principal components", values))
    if len(kept["inputs"]) in (1, 2):
        found.append(("function_space", "Function space", {"points": reference, "n_train": min(rows, 20)}))
    if len(kept["inputs"]) == 2 and len(kept["classes"]) in (0, 2):
        found.append(("circle", "Kernel on the circle", {"data": reference, "n_train": min(rows, 20)}))
    if kept["classes"] and rows >= 6:
        learn = min(rows * 2 // 3, 300)
        values = {
            "data": reference,
            "n_labelled": learn,
            "n_test": min(rows - learn, 500),
            "learning_rate": 1.0,
            "time": 500.0,
        }
        found.append(("spectral", "Accuracy and early stopping", values))
    learn = max(1, min(rows * 2 // 3, 64))
    found.append(("lazy", "Lazy or learning features", {"points": reference, "n_train": learn}))
    found.append(("conditioning", "Conditioning", {"data": reference, "points": min(rows, 64)}))
    return found


def _inputs(count: int) -> str:
    return "one input" if count == 1 else f"{count:,} inputs"


def _cell(text: str) -> str:
    """A foreign text in a Markdown table: short, on one line, without any meaning."""
    shown = " ".join(text.split())
    return plain(shown[:24] + "…" if len(shown) > 24 else shown)
