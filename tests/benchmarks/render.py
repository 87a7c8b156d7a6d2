"""Results as text: one line a row for the terminal, tables for RESULTS.md."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from tests.benchmarks.framework import SECTIONS, Row
from tests.benchmarks.results import Check, Comparison, Entry, Result, Share, Skipped, Table
from tests.benchmarks.timing import ratio

INTRODUCTION = """# Benchmarks

Written by `python -m tests.benchmarks`; do not edit. Ours and the peer do the same work in the same run, in turns.
Seconds are medians. A ratio is peer over ours: the ratio of the medians, and in brackets the smallest and largest
ratio of a pair of neighbouring samples. "Extrapolated" peers ran some of their steps, and their time was multiplied;
neither drawing their weights nor evaluating their curves is counted against them, while our time has everything in.
**below** and **above** mark what misses its goal.
"""


def duration(value: float) -> str:
    """Seconds to three digits, in a unit that suits them."""
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= factor:
            return f"{value / factor:.3g} {unit}" if value < 1000 else f"{value:,.0f} s"
    return f"{value / 1e-9:.3g} ns"


def speedup(result: Comparison) -> str:
    """Ratio with its spread, and whether it is what was wanted."""
    if not result.theirs:
        return "–"
    middle, low, high = ratio(result.ours, result.theirs)
    text = f"{_times(middle)} ({_times(low)} to {_times(high)})"
    return text if result.wanted is None or middle >= result.wanted else f"{text} **below**"


def line(row: Row, result: Result) -> str:
    """One row for the terminal."""
    if isinstance(result, Comparison):
        parts = [f"ours {_median(result.ours)}"]
        if result.theirs:
            parts += [f"{row.against} {_median(result.theirs)}", speedup(result)]
        if result.wanted:
            parts.append(f"wanted {_times(result.wanted)}")
        parts += [_check(check) for check in result.checks]
    elif isinstance(result, Share):
        parts = [f"ours {_median(result.ours)}", f"limit {duration(result.limit)}", f"{_share(result)} of the limit"]
        parts.append(result.limited_by)
    elif isinstance(result, Skipped):
        return f"{row.name}: skipped: {result.reason}"
    else:
        parts = ["\n  " + "\n  ".join(" | ".join(cells) for cells in (result.headers, *result.rows))]
    return f"{row.name}: " + "; ".join([*parts, *result.notes])


def document(rows: Sequence[Row], entries: dict[str, Entry]) -> str:
    """RESULTS.md: the machines, a section for each kind of row, and what was not measured."""
    measured = {name: entry for name, entry in entries.items() if not isinstance(entry.result, Skipped)}
    known = [row for row in rows if row.name in measured]
    groups = _machines(entries[row.name] for row in known)
    text = [INTRODUCTION, *_machine_section(groups)]
    for section, title in SECTIONS.items():
        chosen = [(row, entries[row.name]) for row in known if row.section == section]
        if chosen:
            text += [f"## {title}", "", *_section(chosen, groups)]
    left = [row for row in rows if row.name not in measured]
    missing = [f"- `{row.name}`: {row.work}{_reason(entries.get(row.name))}" for row in left]
    if missing:
        text += ["## Not measured", "", *missing, ""]
    return "\n".join(text)


def _reason(entry: Entry | None) -> str:
    return f" (skipped: {entry.result.reason})" if entry is not None and isinstance(entry.result, Skipped) else ""


def _section(chosen: list[tuple[Row, Entry]], groups: list[tuple[tuple[str, str], ...]]) -> list[str]:
    lines: list[str] = []
    label = (lambda e: f" [{_label(groups, e)}]") if len(groups) > 1 else (lambda e: "")
    comparisons = [(r, e, e.result) for r, e in chosen if isinstance(e.result, Comparison)]
    if comparisons:
        headers = ("row", "work", "against", "ours", "peer", "ratio", "wanted", "answer", "notes")
        lines += markdown(headers, [_comparison_cells(r, c, label(e)) for r, e, c in comparisons])
    shares = [(r, e, e.result) for r, e in chosen if isinstance(e.result, Share)]
    if shares:
        titles = ("row", "work", "ours", "at the limit", "share", "limited by", "notes")
        lines += markdown(titles, [_share_cells(r, s, label(e)) for r, e, s in shares])
    for row, entry in chosen:
        if isinstance(entry.result, Table):
            lines += [f"**{row.name}**{label(entry)}: {row.work}", ""]
            lines += markdown(entry.result.headers, entry.result.rows)
            lines += [f"{note}.\n" for note in entry.result.notes]
    return lines


def _comparison_cells(row: Row, result: Comparison, label: str) -> tuple[str, ...]:
    wanted = _times(result.wanted) if result.wanted else ""
    answer = "; ".join(_check(check) for check in result.checks)
    peer = _median(result.theirs) if result.theirs else "–"
    notes = "; ".join(result.notes)
    times = (_median(result.ours), peer, speedup(result), wanted)
    return (f"`{row.name}`{label}", row.work, row.against, *times, answer, notes)


def _share_cells(row: Row, result: Share, label: str) -> tuple[str, ...]:
    notes = "; ".join(result.notes)
    limit = duration(result.limit)
    return (f"`{row.name}`{label}", row.work, _median(result.ours), limit, _share(result), result.limited_by, notes)


def markdown(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table; bars inside cells are escaped."""
    lines = [headers, ["---"] * len(headers), *rows]
    return [*("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in lines), ""]


def _machines(entries: Iterable[Entry]) -> list[tuple[tuple[str, str], ...]]:
    """Distinct machines with their day, in the order in which they are met."""
    return list(dict.fromkeys(_key(entry) for entry in entries))


def _key(entry: Entry) -> tuple[tuple[str, str], ...]:
    return (("date", entry.date), *entry.machine.items())


def _label(groups: list[tuple[tuple[str, str], ...]], entry: Entry) -> str:
    return chr(ord("A") + groups.index(_key(entry)))


def _machine_section(groups: list[tuple[tuple[str, str], ...]]) -> list[str]:
    lines = ["## Machine", ""]
    for index, group in enumerate(groups):
        if len(groups) > 1:
            lines += [f"Rows marked [{chr(ord('A') + index)}]:", ""]
        lines += [*(f"- {key}: {value}" for key, value in group), ""]
    return lines


def _median(samples: Sequence[float]) -> str:
    return duration(statistics.median(samples))


def _share(result: Share) -> str:
    return f"{100 * result.limit / statistics.median(result.ours):.0f}%"


def _times(value: float) -> str:
    return f"{value:,.0f}x" if value >= 100 else f"{value:.3g}x"


def _check(check: Check) -> str:
    text = f"{check.what} {check.value:.2g}"
    if check.wanted is None:
        return text
    return f"{text} (at most {check.wanted:g})" + ("" if check.met else " **above**")
