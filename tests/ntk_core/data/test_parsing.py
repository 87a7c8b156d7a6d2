"""Tables as people have them: separators, decimal commas, encodings, headings; and what is wrong, by place."""

import csv
import io
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntk_core.data import choose, decoding, parsing
from ntk_core.data.parsing import parse


def numbers(raw):
    return np.stack([column.numbers for column in raw.columns], 1)


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        ("x,y\n1.5,2\n-3,4e2\n", ","),
        ("x, y\n1.5, 2\n-3, 4e2\n", ","),
        ("x;y\n1,5;2\n-3;4e2\n", ";"),
        ("x\ty\n1.5\t2\n-3\t4e2", "\t"),
        ("x y\n1.5   2\n -3 4e2\n", " "),
        ('"x","y"\r\n"1.5","2"\r\n\r\n-3,4e2\r\n', ","),
        ("x,y,\n1.5,2,\n-3,4e2,\n", ","),
    ],
)
def test_separators_are_found(text, separator):
    raw = parse(text)
    assert (raw.separator, raw.names) == (separator, ("x", "y"))
    np.testing.assert_array_equal(numbers(raw), [[1.5, 2], [-3, 400]])


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), min_size=2, max_size=8),
    separator=st.sampled_from([",", ";", "\t", " "]),
    comma=st.booleans(),
    header=st.booleans(),
)
def test_what_is_written_is_read(rows, separator, comma, header):
    """The csv module writes, and every number comes back to the last bit."""
    file = io.StringIO()
    writer = csv.writer(file, delimiter=separator)
    if header:
        writer.writerow(["a", "b", "c"])
    for row in rows:
        cells = [repr(value) for value in row]
        writer.writerow([c.replace(".", ",") for c in cells] if comma and separator != "," else cells)
    raw = parse(file.getvalue())
    assert raw.separator == separator
    assert raw.names == (("a", "b", "c") if header else ("column 1", "column 2", "column 3"))
    np.testing.assert_array_equal(numbers(raw), rows)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_encodings(encoding):
    assert parse("größe,y\n1,2\n3,4\n".encode(encoding)).names == ("größe", "y")


def test_headings():
    assert parse("5.1,3.5,setosa\n4.9,3.0,virginica\n").names == ("column 1", "column 2", "column 3")
    assert parse(",0,1\n0,5,6\n1,7,8\n").names == ("column 1", "0", "1")
    assert parse("1980,1990\n1,2\n3,4\n", header=True).names == ("1980", "1990")
    assert len(parse("a,b\nc,d\ne,f\n", header=False)) == 3


def test_words_are_kept_in_order_and_lines_are_counted():
    raw = parse("x,kind\n1,b\n\n2,a\n3,b\n")
    assert raw.columns[1].kind == "words"
    assert raw.columns[1].words == ("b", "a")
    np.testing.assert_array_equal(raw.columns[1].codes, [0, 1, 0])
    np.testing.assert_array_equal(raw.lines, [2, 4, 5])


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ("", "is empty in line 3"),
        ("nan", "holds 'nan' in line 3; every number must be finite"),
        ("-inf", "holds '-inf' in line 3; every number must be finite"),
        ("=cmd()", "holds '=cmd.*' in line 3, which is a formula"),
        ("@SUM(A1)", "formula"),
        ("+1+cmd|x", "formula"),
        ("1e999", "too large a number"),
        ("1_000", "holds '1_000' in line 3, which is not a number"),
        ("abc", "holds 'abc' in line 3, which is not a number like the others"),
        ("w" * 300, "a text of 300 characters in line 3"),
    ],
)
def test_a_bad_cell_is_its_columns_problem(cell, problem):
    raw = parse(f"x,y\n1,2\n3,{cell}\n5,6\n")
    assert raw.columns[0].kind == "numbers"
    assert raw.columns[1].kind == "mixed"
    assert re.search(problem, raw.columns[1].problem)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "^table: it is empty"),
        (b"\n  \n", "^table: it is empty"),
        (b",,\n,,\n", "^table: every cell is empty"),
        (b"x,y\n", "a line of names and no rows"),
        (b"x,y\n1,2\n", "it has one row"),
        (b"1,2\n", "it has one row"),
        (b"x,y\n1,2\n3,4,5\n", "^table: line 3 has 3 cells where 2 are needed"),
        (b"x,y\n1,2\n3\n", "^table: line 3 has 1 cells where 2"),
        (b"x,x\n1,2\n3,4\n", "columns 1 and 2 are both called 'x'"),
        (b"=1+1,y\n1,2\n3,4\n", "^table: line 1, column 1: .* is a formula"),
        (b'x,y\n1,2\n"3,4\n', "quotation marks do not match"),
        (b"x;y\n1,5;2\n2.5;3\n", "line 2 writes '1,5' and line 3 '2.5': decimal commas and decimal points"),
        (b"PK\x03\x04 ...", "a spreadsheet or zip file"),
        (b"\x1f\x8b\x08", "a gzip file"),
        (b"x,y\n1,\x002\n", "line 2 holds the control character"),
        ("x,y\n1,2\n3,4\n".encode("utf-16-le"), "control character"),
        (b"\xff\xfex,y", "begins as UTF-16 and is not"),
        (b"x" * (decoding.MAX_BYTES + 1), r"^table: it has 20\.0 MB; at most 20 MB"),
        (",".join(["0"] * 10_000).encode() + b"\n", "line 1 has 10,000 columns; at most 4,096"),
        (b"1\n" * (parsing.MAX_ROWS + 2), "more than 100,000 rows"),
    ],
)
def test_what_is_no_table_is_refused(content, sentence):
    with pytest.raises(ValueError, match=sentence):
        parse(content)


def test_a_separator_of_ones_own():
    assert parse("1,5 2,5\n3,5 4\n", separator=" ").columns[0].numbers[0] == 1.5
    with pytest.raises(ValueError, match="separator: must be one of"):
        parse("1|2\n3|4\n", separator="|")
    with pytest.raises(ValueError, match="line 2 has 1 cells where 2"):
        parse("a;b\n1,2\n", separator=";")


@settings(max_examples=300, deadline=None)
@given(
    content=st.one_of(
        st.binary(max_size=200), st.text(alphabet="0123456789.,;-+eE\"'\t \r\n=a@_\x0b\x85", max_size=120)
    )
)
def test_whatever_is_dropped_becomes_a_table_or_one_sentence(content):
    """Nothing but a ValueError with one line that people can read, whatever the bytes."""
    try:
        raw = parse(content)
        choose(raw)
    except ValueError as error:
        sentence = str(error)
        assert re.match(r"^(table|columns|inputs|target|encoding): ", sentence)
        assert "\n" not in sentence
        assert len(sentence) < 400
    else:
        assert len(raw) >= 2
