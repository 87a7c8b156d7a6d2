"""The paper's figures, computed once at full size and shipped: `python -m ntk_core.recordings DIR`.

Running again gives the same numbers: to the last bit with the same packages, processor and threads; where only the
rounding differs, every variable but the diagnostics of leaping within `TOLERANCE` of its largest value. (A device of
another kind may train other seeds together, whose leaps are then others: within the error that leaps report.)
`--check` runs again and says how far the numbers in DIR are away.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ntk_core import experiments, presets
from ntk_core.progress import listening
from ntk_core.progress_bar import ProgressBar
from ntk_core.runs.store import Store, StoreError

if TYPE_CHECKING:
    from ntk_core.runs.result import Result
    from ntk_core.runs.spec import ExperimentSpec

TOLERANCE = 0.001  # a tenth of the error that leaps may make
DIAGNOSTICS = ("leaps", "walked", "error", "kernel_error")  # how it was computed; rounding may decide for one leap more


def main(arguments: Sequence[str] | None = None) -> int:
    """Records presets, or checks those that are there; the exit code is 1 if one could not be kept or differs."""
    parser = argparse.ArgumentParser(prog="python -m ntk_core.recordings", description="Records the paper's figures.")
    parser.add_argument("folder", metavar="DIR", help="where the recordings are")
    parser.add_argument("names", nargs="*", metavar="PRESET", help="by default all of them")
    parser.add_argument("--check", action="store_true", help="run again, and compare with the numbers in DIR")
    options = parser.parse_args(arguments)
    store = Store(options.folder)
    try:
        chosen = [presets.get(name) for name in options.names] or list(presets.load())
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    act = check if options.check else record
    return max(act(store, preset.name, preset.spec) for preset in chosen)


def record(store: Store, name: str, spec: ExperimentSpec) -> int:
    """Computes a spec and keeps its result, and the limit beside it where that takes more than a moment."""
    result = compute(name, spec)
    try:
        store.save(spec, result)
        if experiments.is_slow(spec):
            store.save_theory(spec, experiments.load(spec.experiment).theory(spec))
    except StoreError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{name}: {Path(str(store.url)) / spec.key}.nc, {result.attrs['seconds']:,} s on {result.attrs['machine']}")
    return 0


def check(store: Store, name: str, spec: ExperimentSpec) -> int:
    """Computes a spec again, and says how far its recording is away."""
    recorded = Store(store.url, frozen=True).load(spec)
    if recorded is None:
        print(f"{name}: there is no recording", file=sys.stderr)
        return 1
    away = differences(recorded, compute(name, spec))
    print(f"{name}: " + ", ".join(f"{variable} {value:.1e}" for variable, value in away.items()))
    return int(max(away.values()) > TOLERANCE)


def compute(name: str, spec: ExperimentSpec) -> Result:
    """The result of a spec, with a progress bar."""
    bar = ProgressBar(name)
    with listening(bar.at):
        result = experiments.compute(spec, lambda _, share: bar.at(share))
    bar.close()
    return result


def differences(left: Result, right: Result) -> dict[str, float]:
    """How far two results of one spec are apart: by variable, the largest difference over the largest value.

    Infinite where one of them has a number and the other has none.
    """
    return {name: _difference(left[name], right[name]) for name in left.values if name not in DIAGNOSTICS}


def _difference(left: np.ndarray, right: np.ndarray) -> float:
    a, b = (np.asarray(values, dtype=np.float64) for values in (left, right))
    known = np.isfinite(a) & np.isfinite(b)
    if a.shape != b.shape or not np.array_equal(a[~known], b[~known], equal_nan=True):
        return float("inf")
    largest = np.abs(a[known]).max(initial=0.0)
    return float(np.abs(a[known] - b[known]).max(initial=0.0) / (largest or 1.0))


if __name__ == "__main__":
    sys.exit(main())
