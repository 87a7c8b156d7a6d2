"""How a table separates its cells: finding the separator, and cutting lines by it."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence

# In the order of preference where several fit equally well.
NAMES = {"\t": "a tab", ";": "a semicolon", ",": "a comma", " ": "blanks"}
NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
POINT_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


def cells_of(lines: Sequence[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    """The number of the line each row ends on, and its cells; csv.Error where quotation marks do not match."""
    if separator == " ":
        yield from ((place, line.split()) for place, line in enumerate(lines, 1))
        return
    reader = csv.reader((line + "\n" for line in lines), delimiter=separator, skipinitialspace=True, strict=True)
    for cells in reader:
        yield reader.line_num, cells


def choose_separator(sample: Sequence[str]) -> str:
    """The separator under which the lines have equally many cells, most of them numbers; a comma if none cuts them."""
    scores = {separator: _score(sample, separator) for separator in NAMES}
    best = max(scores, key=lambda separator: scores[separator])
    return best if scores[best][0] else ","


def _score(sample: Sequence[str], separator: str) -> tuple[bool, bool, float]:
    """Whether it cuts the lines at all, whether equally, and the share of numbers below the first line."""
    try:
        rows = [cells for _, cells in cells_of(sample, separator)]
    except csv.Error:
        rows = [line.split(separator) for line in sample]  # the sample may end inside a quotation
    counts = [len(row) for row in rows]
    pattern = POINT_NUMBER if separator == "," else NUMBER
    cells = [cell.strip() for row in (rows[1:] or rows) for cell in row]
    share = sum(bool(pattern.fullmatch(cell)) for cell in cells) / max(1, len(cells))
    most = max(set(counts), key=counts.count)
    # One odd line must not hide the separator: it is the parser that will name the line.
    return most > 1, counts.count(most) >= 0.8 * len(counts), share
