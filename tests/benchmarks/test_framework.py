"""The benchmark's own statistics, selection, files and tables; no timings."""

from __future__ import annotations

import dataclasses
import json

import pytest

from tests.benchmarks.framework import Context, Row, all_rows, select
from tests.benchmarks.render import document, duration, line, markdown, speedup
from tests.benchmarks.results import (
    Check,
    Comparison,
    Entry,
    Share,
    Skipped,
    Table,
    check_numbers,
    from_json,
    load,
    merged,
    save,
    to_json,
)
from tests.benchmarks.timing import alternate, exponent, ratio, seconds

MACHINE = {"processor": "P", "memory": "1 GiB"}


def entry(result, day="2024-01-02", machine=MACHINE):
    return Entry(result, machine, day, 3.0)


def a_row(name, section="peers", slow=False):
    return Row(name, section, f"work of {name}", "peer", slow, lambda context: Table((), ()))


def test_ratio_is_of_medians_and_its_spread_of_neighbouring_pairs():
    assert ratio([1, 2, 4], [10, 40, 20]) == (10.0, 5.0, 20.0)


@pytest.mark.parametrize(("ours", "theirs"), [([], []), ([1.0], []), ([1.0, 2.0], [1.0])])
def test_ratio_needs_as_many_samples_of_both(ours, theirs):
    with pytest.raises(ValueError, match="ratio"):
        ratio(ours, theirs)


def test_alternate_takes_turns_and_either_side_is_first():
    order = []

    def side(name, value):
        order.append(name)
        return value

    ours, theirs = alternate(lambda: side("a", 1.0), lambda: side("b", 2.0), 3)
    assert "".join(order) == "abbaab"
    assert (ours, theirs) == ((1.0,) * 3, (2.0,) * 3)


def test_seconds_repeats_short_work(monkeypatch):
    ticks = iter([0.0, 0.4, 0.8, 1.2])
    monkeypatch.setattr("time.perf_counter", lambda: next(ticks))
    calls = []
    assert seconds(lambda: calls.append(1), at_least=1.0) == pytest.approx(0.4)
    assert len(calls) == 3


def test_exponent_of_a_power_law():
    x = [1.0, 3.0, 10.0]
    assert exponent(x, [5 * v**1.7 for v in x]) == pytest.approx(1.7)
    for bad in ([1.0], [0.0, 1.0]):
        with pytest.raises(ValueError, match="exponent"):
            exponent(bad, bad)


def test_selection_by_name_or_beginning():
    rows = [a_row("tangent"), a_row("tangent-gram"), a_row("relu"), a_row("big", slow=True)]
    names = lambda chosen: [r.name for r in chosen]  # noqa: E731
    assert names(select(rows, [], slow=False)) == ["tangent", "tangent-gram", "relu"]
    assert names(select(rows, [], slow=True))[-1] == "big"
    assert names(select(rows, ["tangent"], slow=False)) == ["tangent"]  # a whole name is that row alone
    assert names(select(rows, ["tang", "big"], slow=False)) == ["tangent", "tangent-gram", "big"]
    with pytest.raises(ValueError, match=r"'nothing' fits no row; choose from tangent, "):
        select(rows, ["nothing"], slow=False)


def test_every_row_is_found_in_its_section():
    rows = all_rows()
    assert {r.section for r in rows} == {"peers", "limits", "scaling", "pages", "paper", "cuda"}
    assert {"relu-kernel", "figure2", "width-1000000", "scaling-time", "cuda-figure3"} <= {r.name for r in rows}


@pytest.mark.parametrize(
    "result",
    [
        Comparison((1.0, 2.0), (3.0, 4.0), 2.5, (Check("error", 0.5, 0.1), Check("other", 1.0)), ("note",)),
        Share((0.5,), 0.25, "memory", ("note",)),
        Table(("a", "b"), (("1", "2"), ("3", "4")), ("note",)),
        Skipped("no device"),
    ],
)
def test_results_survive_their_file(result, tmp_path):
    path = tmp_path / "results.json"
    assert load(path) == {}
    save(path, {"row": entry(result)})
    assert load(path) == {"row": entry(result)}


def test_a_result_that_is_not_a_number_is_refused_and_the_file_stays(tmp_path):
    path = tmp_path / "results.json"
    save(path, {"row": entry(Comparison((1.0,)))})
    before = path.read_text()
    with pytest.raises(ValueError, match="nan"):
        save(path, {"row": entry(Comparison((float("nan"),)))})
    assert path.read_text() == before


def test_a_skipped_row_keeps_what_another_machine_measured():
    measured, skipped = entry(Share((1.0,), 0.5, "memory")), entry(Skipped("no device"))
    assert merged({}, "row", skipped) == {"row": skipped}
    assert merged({"row": measured}, "row", skipped) == {"row": measured}
    assert merged({"row": skipped}, "row", measured) == {"row": measured}


def test_numbers_are_checked_before_they_are_kept():
    check_numbers(Comparison((1.0,), checks=(Check("error", 0.1),)))
    with pytest.raises(ValueError, match="inf"):
        check_numbers(Comparison((1.0,), checks=(Check("error", float("inf")),)))


def test_json_names_the_kind():
    data = json.loads(json.dumps(to_json(entry(Share((1.0,), 0.5, "memory")))))
    assert data["kind"] == "share"
    assert isinstance(from_json(data).result, Share)


def test_speedup_says_when_it_is_below_what_was_wanted():
    fast = Comparison((1.0, 1.0), (20.0, 30.0), 12)
    assert speedup(fast) == "25x (20x to 30x)"
    assert speedup(dataclasses.replace(fast, wanted=26)).endswith("**below**")
    assert speedup(Comparison((1.0,))) == "–"


def test_lines_say_what_was_missed():
    text = line(a_row("r"), Comparison((0.01,), (1.0,), 200, (Check("error", 0.5, 0.1),), ("note",)))
    assert text.startswith("r: ours 10 ms; peer 1 s; 100x (100x to 100x) **below**; wanted 200x; ")
    assert text.endswith("; error 0.5 (at most 0.1) **above**; note")
    assert "50% of the limit" in line(a_row("r"), Share((2.0,), 1.0, "memory"))


def test_a_nan_meets_nothing():
    assert not Check("error", float("nan"), 1.0).met


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234.0, "1,234 s"), (12.34, "12.3 s"), (0.0123, "12.3 ms"), (4.56e-6, "4.56 µs"), (5e-9, "5 ns")],
)
def test_durations(value, text):
    assert duration(value) == text


def test_document_keeps_sections_machines_and_what_is_missing_apart():
    rows = [a_row("one"), a_row("two", "limits"), a_row("three", "scaling"), a_row("four", "cuda")]
    entries = {
        "one": entry(Comparison((1.0,), (3.0,))),
        "two": entry(Share((1.0,), 0.5, "memory"), machine={"processor": "Q"}),
        "three": entry(Table(("x|y",), (("a|b",),), ("a note",))),
        "four": entry(Skipped("no device")),
    }
    text = document(rows, entries)
    assert [part.split("\n")[0] for part in text.split("\n## ")[1:]] == [
        "Machine",
        "Against peers",
        "Primitives against the machine's limit",
        "Scaling",
        "Not measured",
    ]
    assert "`one` [A]" in text
    assert "`two` [B]" in text
    assert "- `four`: work of four (skipped: no device)" in text
    assert "[A]" not in document(rows, {"one": entries["one"]})


def test_markdown_escapes_bars():
    assert markdown(("x",), [("|g|",)]) == ["| x |", "| --- |", "| \\|g\\| |", ""]


def test_context_picks_sizes():
    assert Context(quick=True).pick(1000, 10) == 10
    assert Context().pick(1000, 10) == 1000
