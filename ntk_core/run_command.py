"""`python -m ntk_core run`: computes a spec's theory and result, or finds them kept, and writes them."""

from __future__ import annotations

import argparse
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ntk_core.runs.result import Result
    from ntk_core.runs.spec import ExperimentSpec
    from ntk_core.runs.store import Layers
    from ntk_core.runs.theory import Theory

DONE, FAILED, BAD_INPUT, STOPPED = 0, 1, 2, 130


def run(options: argparse.Namespace) -> int:
    """Computes a spec's theory and result, or finds them kept, and writes them."""
    from ntk_core import experiments
    from ntk_core.runs import store
    from ntk_core.runs.spec import sentences

    try:
        spec = _spec(options.spec)
        _check_folder(options.output)
        layers = store.Layers() if options.no_store else store.from_environment()
        theory = experiments.load(spec.experiment).theory(spec)
        if not experiments.runs(spec.experiment):
            return _write(options, spec, theory, None)
        result = layers.load(spec)
        refusal = None if result else experiments.load(spec.experiment).plan(spec).refusal
    except (ValueError, OSError) as error:
        return say(*(sentences(error) if isinstance(error, ValueError) else [_words(error)]), code=BAD_INPUT)
    if refusal:
        return say(refusal, code=BAD_INPUT)
    if result is None:
        return _compute(options, spec, theory, layers)
    print(f"Kept since {result.attrs['created']}: {result.attrs['seconds']:,} s on {result.attrs['machine']}.")
    return _write(options, spec, theory, result)


def _spec(name: str) -> ExperimentSpec:
    """The spec that a preset's name, a file or standard input gives; ValueError or OSError where there is none."""
    from ntk_core import experiments, presets
    from ntk_core.runs import spec_file

    if name in {preset.name for preset in presets.load()}:
        return presets.get(name).spec
    if name == "-":
        return experiments.parse(spec_file.read(sys.stdin.buffer.read(spec_file.MAX_BYTES + 1)))
    if not Path(name).exists() and Path(name).suffix != ".json":
        presets.get(name)  # raises, and lists the names there are
    with open(name, "rb") as file:
        return experiments.parse(spec_file.read(file.read(spec_file.MAX_BYTES + 1)))


def _check_folder(folder: Path) -> None:
    """Before anything is computed: OSError where nothing can be written there."""
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".{uuid.uuid4().hex}"
    probe.touch()
    probe.unlink()


def _compute(options: argparse.Namespace, spec: ExperimentSpec, theory: Theory, layers: Layers) -> int:
    from ntk_core import experiments
    from ntk_core.interrupts import Interrupts
    from ntk_core.progress import listening
    from ntk_core.progress_bar import ProgressBar
    from ntk_core.runs.store import StoreError

    bar, began, so_far = ProgressBar(spec.experiment), time.perf_counter(), list["Result"]()
    interrupts = Interrupts()

    def at(share: float | None) -> None:
        interrupts.check()
        bar.at(share)

    def tell(grown: Result, share: float) -> None:
        so_far[:] = [grown]
        at(share)

    try:
        with interrupts, listening(at):
            result = experiments.compute(spec, tell)
    except (Exception, KeyboardInterrupt) as error:
        bar.close()
        return _broken_off(options, spec, so_far, time.perf_counter() - began, error)
    bar.close()
    try:
        layers.save(spec, result)
    except (StoreError, ValueError) as error:
        say(str(error))
    return _write(options, spec, theory, result)


def _broken_off(
    options: argparse.Namespace, spec: ExperimentSpec, so_far: list[Result], seconds: float, error: BaseException
) -> int:
    """Writes what was finished, and says why there is no more."""
    from ntk_core.runs.files import to_netcdf
    from ntk_core.runs.provenance import provenance

    stopped = isinstance(error, KeyboardInterrupt)
    code = say("stopped" if stopped else f"the run failed: {_words(error)}", code=STOPPED if stopped else FAILED)
    for result in so_far:
        result.attrs |= provenance(spec, seconds) | {"partial": "stopped" if stopped else _words(error)}
        _write_file(options.output / f"{spec.key}-partial.nc", to_netcdf(result))
    return code


def _write(options: argparse.Namespace, spec: ExperimentSpec, theory: Theory, result: Result | None) -> int:
    """The spec, the theory and the result, in each format that was asked for."""
    from ntk_core.runs import spec_file, tables

    try:
        _write_file(options.output / f"{spec.key}.json", spec_file.write(spec).encode())
        for name in options.format:
            ending, make = tables.FORMATS[name]
            for suffix, found in (("-theory", theory), ("", result)):
                if found is not None:
                    _write_file(options.output / f"{spec.key}{suffix}.{ending}", make(found))
    except (OSError, ValueError) as error:
        return say(_words(error), code=FAILED)
    return DONE


def _write_file(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    print(path)


def _words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {(error.strerror or 'cannot be used').lower()}"
    return str(error) or type(error).__name__


def say(*sentences: str, code: int = DONE) -> int:
    """Prints sentences to standard error; returns the exit code."""
    for sentence in sentences:
        print(f"ntk_core: {sentence}", file=sys.stderr)
    return code
