"""`python -m tests.benchmarks [--rows NAMES] [--slow] [--quick] [--list]`."""

from __future__ import annotations

import argparse
import datetime
import sys
import time
import traceback
from collections.abc import Sequence

import torch

from tests.benchmarks import environment
from tests.benchmarks.framework import Context, Row, Skip, all_rows, select
from tests.benchmarks.render import document, duration, line
from tests.benchmarks.results import FOLDER, Entry, Result, Skipped, check_numbers, load, merged, save

KEPT = FOLDER / "results.json"
WRITTEN = FOLDER / "RESULTS.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures the chosen rows; 1 if one of them failed, 2 if the choice makes no sense."""
    options = _parser().parse_args(arguments)
    rows = all_rows()
    if options.list:
        for row in rows:
            print(f"{row.name:<22}{'slow  ' if row.slow else '      '}{row.work}")
        return 0
    names = [name.strip() for name in options.rows.split(",") if name.strip()]
    try:
        chosen = select(rows, names, options.slow)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return _run(rows, chosen, options.quick)


def _run(rows: Sequence[Row], chosen: Sequence[Row], quick: bool) -> int:
    context = Context(quick)
    torch.set_num_threads(context.cores)
    machine = environment.describe(context.cores)
    print("\n".join(f"{key}: {value}" for key, value in machine.items()))
    if quick:
        print("quick: small sizes, the numbers mean nothing and are not kept")
    busy = environment.busy(context.cores)
    if busy:
        print(f"warning: {busy}; ratios will be rough")
        machine["warning"] = busy
    start = time.perf_counter()
    failed: list[str] = []
    try:
        for row in chosen:
            entry = _measure(row, context, machine, failed)
            if entry is not None and not quick:
                # After every row: what was measured stays if the run is cut short.
                entries = {name: kept for name, kept in load(KEPT).items() if any(r.name == name for r in rows)}
                save(KEPT, merged(entries, row.name, entry))
                WRITTEN.write_text(document(rows, load(KEPT)))
    finally:
        context.close()
    print(f"took {duration(time.perf_counter() - start)}" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def _measure(row: Row, context: Context, machine: dict[str, str], failed: list[str]) -> Entry | None:
    """One row's entry; None where it failed, which is said aloud."""
    start = time.perf_counter()
    result: Result
    try:
        result = row.run(context)
        check_numbers(result)
    except Skip as reason:
        result = Skipped(str(reason))
    except Exception:
        failed.append(row.name)
        print(f"{row.name}: FAILED\n{traceback.format_exc()}", flush=True)
        return None
    wall = time.perf_counter() - start
    print(f"{line(row, result)}  [{duration(wall)}]", flush=True)
    return Entry(result, machine, datetime.date.today().isoformat(), wall)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--rows", default="", help="names, or their beginnings, separated by commas")
    parser.add_argument("--slow", action="store_true", help="also the rows that take many minutes")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that every row works")
    parser.add_argument("--list", action="store_true", help="name the rows and leave")
    return parser


if __name__ == "__main__":
    sys.exit(main())
