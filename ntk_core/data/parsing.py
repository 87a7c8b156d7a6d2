"""A CSV file or a pasted table as columns of numbers or of words. The csv module and NumPy; no pandas.

What is wrong with a whole table (its size, encoding, shape) is refused here, with line and column. What is wrong with
one cell belongs to its column, and matters only where that column is chosen (`ntk_core.data.tables`).
"""

from __future__ import annotations

import csv
import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ntk_core.data.decoding import decode
from ntk_core.data.separators import NAMES, cells_of, choose_separator

MAX_ROWS = 100_000
MAX_COLUMNS = 4_096
MAX_WORDS = 1_000  # different words in a column of classes; beyond, it is prose
LONGEST_WORD = 200  # characters of a class's name


@dataclass
class Column:
    """One column of a table of N rows.

    Attributes:
        name: its heading, or "column 3".
        kind: "numbers" (every cell is a finite number), "words" (none is: names of classes) or "mixed".
        numbers: (N,) float64, NaN where a cell is no number.
        words: the different words, in the order of their first appearance.
        codes: (N,) int32, the index of each cell's word; -1 where a cell is a number.
        problem: of a mixed column, what is wrong and in which line: the end of a sentence that begins with its name.
    """

    name: str
    kind: str
    numbers: NDArray[np.float64]
    words: tuple[str, ...]
    codes: NDArray[np.int32]
    problem: str = ""


@dataclass
class RawTable:
    """Columns as they were written, and the line (N,) that each row ended on."""

    columns: tuple[Column, ...]
    lines: NDArray[np.int64]
    separator: str

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """The column of that name; a ValueError that lists those there are."""
        for column in self.columns:
            if column.name == name:
                return column
        known = ", ".join(repr(n) for n in self.names[:8]) + (", ..." if len(self.names) > 8 else "")
        raise ValueError(f"columns: there is no column {str(name)[:40]!r}; the table has {known}")


def parse(content: bytes | str, *, separator: str | None = None, header: bool | None = None) -> RawTable:
    """Reads a table.

    Args:
        content: a file's bytes (UTF-8, UTF-16 with a byte order mark, or Latin-1), or pasted text.
        separator: ",", ";", a tab or " " (any run of blanks); None finds it. Except with ",", numbers may have
            decimal commas.
        header: whether the first line names the columns; None decides: it does where it holds no number.

    Raises:
        ValueError: one sentence that names the line and the column where there is one.
    """
    if separator is not None and separator not in NAMES:
        raise ValueError(f"separator: must be one of {', '.join(NAMES.values())}, got {separator!r}")
    text = decode(content)
    lines = text.splitlines()
    sample = [line for line in lines[:60] if line.strip()]
    if not sample:
        raise ValueError("table: it is empty; at least two rows of numbers are needed")
    found = choose_separator(sample) if separator is None else separator
    rows = _rows(lines, found)
    line, first = next(rows, (0, []))
    if not first:
        raise ValueError("table: every cell is empty; at least two rows of numbers are needed")
    if len(first) > MAX_COLUMNS:
        raise ValueError(f"table: line {line} has {len(first):,} columns; at most {MAX_COLUMNS:,} are allowed")
    named = _is_header(first, found) if header is None else header
    reader = _Reader(_names(first, line) if named else [f"column {i + 1}" for i in range(len(first))], found)
    if not named:
        reader.take(line, first)
    for line, cells in rows:
        reader.take(line, cells)
    return reader.table()


def _rows(lines: Sequence[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells, stripped, of every line that is not blank."""
    reader = cells_of(lines, separator)
    count = 0
    while True:
        try:
            line, cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise ValueError(
                f"table: the quotation marks do not match in the row after row {count}, or a cell is too long ({error})"
            ) from error
        cells = [cell.strip() for cell in cells]
        if any(cells):
            count += 1
            if count > MAX_ROWS + 1:
                raise ValueError(f"table: it has more than {MAX_ROWS:,} rows; at most {MAX_ROWS:,} are allowed")
            yield line, cells


def _is_header(cells: list[str], separator: str) -> bool:
    if cells[0] == "" and cells[1:] == [str(i) for i in range(len(cells) - 1)]:
        return True  # counted columns beside an index, as data frames are often saved
    return all(number(cell, separator) is None and not _is_odd_number(cell) for cell in cells)


def _names(cells: list[str], line: int) -> list[str]:
    names = [cell or f"column {i + 1}" for i, cell in enumerate(cells)]
    seen: dict[str, int] = {}
    for place, name in enumerate(names, 1):
        if is_formula(name):
            raise ValueError(f"table: line {line}, column {place}: {name[:40]!r} is a formula; a name is needed there")
        if name in seen:
            raise ValueError(
                f"table: line {line}: columns {seen[name]} and {place} are both called {name[:40]!r}; rename one"
            )
        seen[name] = place
    return names


def number(cell: str, separator: str) -> float | None:
    """The cell's finite number, or None. Except between commas, a single comma is a decimal comma."""
    if separator != "," and cell.count(",") == 1 and "." not in cell:
        cell = cell.replace(",", ".")
    if "_" in cell:  # Python's own notation, nobody else's
        return None
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _is_odd_number(cell: str) -> bool:
    return cell.lstrip("+-").lower() in ("nan", "inf", "infinity")


def is_formula(cell: str) -> bool:
    """Whether a spreadsheet would take this text for a formula."""
    return cell[:1] in ("=", "@") or (cell[:1] in ("+", "-") and len(cell) > 1 and not _is_odd_number(cell))


@dataclass
class _Words:
    """The cells of one column that are no numbers."""

    rows: array = field(default_factory=lambda: array("q"))
    codes: array = field(default_factory=lambda: array("i"))
    known: dict[str, int] = field(default_factory=dict)
    first: tuple[int, str] = (0, "")  # line and cell
    trouble: str = ""

    def take(self, row: int, line: int, cell: str, trouble: str) -> None:
        if not self.rows:
            self.first = (line, cell)
        self.trouble = self.trouble or trouble
        if len(self.known) <= MAX_WORDS:
            self.known.setdefault(cell, len(self.known))
        self.rows.append(row)
        self.codes.append(self.known.get(cell, -1))


class _Reader:
    """Takes rows in and makes columns of them."""

    def __init__(self, names: list[str], separator: str):
        self.names, self.separator = names, separator
        self.lines = array("q")
        self.numbers = array("d")  # row after row
        self.words = [_Words() for _ in names]
        self.comma: tuple[int, str] | None = None  # where a decimal comma was first seen
        self.point: tuple[int, str] | None = None

    def take(self, line: int, cells: list[str]) -> None:
        """One row; a ValueError where its length is not the first row's."""
        if len(cells) != len(self.names):
            raise ValueError(
                f"table: line {line} has {len(cells)} cells where {len(self.names)} are needed, "
                f"as in the first line (separated by {NAMES[self.separator]})"
            )
        if len(self.lines) == MAX_ROWS:
            raise ValueError(f"table: it has more than {MAX_ROWS:,} rows; at most {MAX_ROWS:,} are allowed")
        values = _plain_numbers(cells) or [self._value(place, line, cell) for place, cell in enumerate(cells)]
        self.lines.append(line)
        self.numbers.extend(values)
        if self.point is None and self.separator != ",":
            seen = (cell for cell, value in zip(cells, values, strict=True) if "." in cell and not math.isnan(value))
            self.point = next(((line, cell) for cell in seen), None)

    def _value(self, place: int, line: int, cell: str) -> float:
        value = number(cell, self.separator)
        if value is None:
            self.words[place].take(len(self.lines), line, cell, _trouble(line, cell))
            return math.nan
        if self.comma is None and "," in cell:
            self.comma = (line, cell)
        return value

    def table(self) -> RawTable:
        """All that was read; a ValueError where that is no table."""
        if not self.lines:
            raise ValueError("table: it has a line of names and no rows; at least two rows of numbers are needed")
        if len(self.lines) == 1:
            raise ValueError("table: it has one row; at least two are needed, each an input with its target")
        if self.comma and self.point:
            raise ValueError(
                f"table: line {self.comma[0]} writes {self.comma[1][:20]!r} and line {self.point[0]} "
                f"{self.point[1][:20]!r}: decimal commas and decimal points do not mix"
            )
        numbers = np.frombuffer(self.numbers).reshape(len(self.lines), -1).T.copy()
        columns = [_column(*column) for column in zip(self.names, numbers, self.words, strict=True)]
        if columns[-1].words == ("",) and len(columns) > 1 and columns[-1].name == f"column {len(columns)}":
            columns.pop()  # every line ends with a separator
        return RawTable(tuple(columns), np.array(self.lines, dtype=np.int64), self.separator)


def _plain_numbers(cells: list[str]) -> list[float] | None:
    """The row's numbers where each is written plainly: the fast way through a large table."""
    try:
        values = list(map(float, cells))
    except ValueError:
        return None
    # Python reads 1_000, nan and inf as numbers; `number` does not.
    return values if math.isfinite(sum(values)) and "_" not in "".join(cells) else None


def _trouble(line: int, cell: str) -> str:
    """Why a cell is neither a number nor the name of a class ("" where it may be a name)."""
    if not cell:
        return f"is empty in line {line}; fill the cell or leave the line out"
    if _is_odd_number(cell):
        return f"holds {cell!r} in line {line}; every number must be finite"
    if is_formula(cell):
        return f"holds {cell[:40]!r} in line {line}, which is a formula; save its value instead"
    if len(cell) > LONGEST_WORD:
        return f"holds a text of {len(cell):,} characters in line {line}; a number or a short word is needed"
    try:
        float(cell.replace("_", "x"))
    except ValueError:
        return ""
    return f"holds {cell[:40]!r} in line {line}, which is too large a number"


def _column(name: str, numbers: NDArray[np.float64], words: _Words) -> Column:
    codes = np.full(len(numbers), -1, dtype=np.int32)
    if not words.rows:
        return Column(name, "numbers", numbers, (), codes)
    codes[np.array(words.rows)] = np.array(words.codes)
    only_words, problem = len(words.rows) == len(numbers), words.trouble
    if not problem and not only_words:
        line, cell = words.first
        problem = f"holds {cell[:40]!r} in line {line}, which is not a number like the others"
    elif not problem and len(words.known) > MAX_WORDS:
        problem = f"has more than {MAX_WORDS:,} different words"
    return Column(name, "mixed" if problem else "words", numbers, tuple(words.known), codes, problem)
