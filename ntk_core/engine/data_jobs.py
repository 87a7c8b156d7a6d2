"""Jobs on tables of one's own, for workers: they read what a visitor brought, and keep it where all workers find it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ntk_core import data
from ntk_core.data.parsing import Column

SHOWN_ROWS, SHOWN_COLUMNS = 5, 8


def look(content: bytes) -> dict[str, Any]:
    """What a table holds: {"rows", "columns": [{"name", "kind", "problem"}], "first"}, or {"error"}.

    "first" are the first rows of the first columns, as text.
    """
    try:
        raw = _parsed(content)
    except ValueError as error:
        return {"error": str(error)}
    columns = [{"name": c.name, "kind": c.kind, "problem": c.problem} for c in raw.columns]
    first = [[_cell(c, i) for c in raw.columns[:SHOWN_COLUMNS]] for i in range(min(SHOWN_ROWS, len(raw)))]
    return {"rows": len(raw), "columns": columns, "first": first, "error": ""}


def keep(content: bytes, choices: dict[str, Any]) -> dict[str, Any]:
    """Makes data of the chosen columns (see `data.choose`) and keeps them: {"reference", ...} or {"error"}."""
    try:
        table = data.choose(_parsed(content), **choices)
        reference = data.keep(table)
    except ValueError as error:
        return {"error": str(error)}
    return {
        "reference": reference,
        "rows": len(table),
        "inputs": list(table.input_names),
        "targets": list(table.target_names),
        "classes": list(table.classes),
        "notes": list(table.notes),
        "error": "",
    }


@lru_cache(maxsize=2)
def _parsed(content: bytes) -> data.RawTable:
    return data.parse(content)


def _cell(column: Column, row: int) -> str:
    code = int(column.codes[row])
    return column.words[code] if code >= 0 else f"{column.numbers[row]:.6g}"
