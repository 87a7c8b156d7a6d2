"""The experiments without a browser.

    python -m ntk_core run SPEC.json|PRESET|- -o DIR [--format netcdf,csv,parquet] [--no-store]
    python -m ntk_core presets [NAME]
    python -m ntk_core info

Exit codes: 0 done; 1 the run failed; 2 bad input, with a sentence on standard error; 130 stopped by Ctrl-C. What a run
that failed or was stopped had finished is written as DIR/KEY-partial.nc (cells that it did not reach are NaN).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ntk_core.runs.result import Result
    from ntk_core.runs.spec import ExperimentSpec
    from ntk_core.runs.store import Layers
    from ntk_core.runs.theory import Theory

DONE, FAILED, BAD_INPUT, STOPPED = 0, 1, 2, 130
FORMATS = ("netcdf", "csv", "parquet")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    options = _parser().parse_args(arguments)
    # Before torch comes in: threads that wait for each other awake slow each other down where cores are busy.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        return options.command(options)
    except ModuleNotFoundError as error:
        return _say(f'the package {error.name} is missing; pip install ".[app]" installs what is needed', code=FAILED)
    except BrokenPipeError:  # a reader such as `head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        return _say("stopped", code=STOPPED)


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
        return _say(*(sentences(error) if isinstance(error, ValueError) else [_words(error)]), code=BAD_INPUT)
    if refusal:
        return _say(refusal, code=BAD_INPUT)
    if result is None:
        return _compute(options, spec, theory, layers)
    print(f"Kept since {result.attrs['created']}: {result.attrs['seconds']:,} s on {result.attrs['machine']}.")
    return _write(options, spec, theory, result)


def presets(options: argparse.Namespace) -> int:
    """Lists the presets, or prints the spec of one."""
    from ntk_core import presets
    from ntk_core.runs import spec_file

    if options.name is None:
        for preset in presets.load():
            print(f"{preset.name}  {preset.title}. {preset.text}")
        return DONE
    try:
        print(spec_file.write(presets.get(options.name).spec), end="")
    except ValueError as error:
        return _say(str(error), code=BAD_INPUT)
    return DONE


def info(options: argparse.Namespace) -> int:
    """Prints versions, device, store and experiments."""
    from ntk_core import experiments
    from ntk_core.runs import store
    from ntk_core.runs.provenance import machine, versions
    from ntk_core.runs.spec import RESULTS_VERSION

    try:
        layers = store.from_environment()
    except ValueError as error:
        return _say(str(error), code=BAD_INPUT)
    print(f"versions     {versions()}; results version {RESULTS_VERSION}")
    print(f"machine      {machine()}")
    print(f"device       {_device()}")
    for name, layer in (("store", layers.store), ("recordings", layers.recordings)):
        print(f"{name:12} {_described(layer)}")
    print(f"experiments  {', '.join(experiments.names())}")
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ntk_core",
        description="Finite networks beside their infinite limit, without a browser.",
        epilog="Exit codes: 0 done, 1 the run failed, 2 bad input, 130 stopped by Ctrl-C.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("run", help="compute a spec and write its theory and result")
    command.add_argument("spec", help="a JSON file, the name of a preset, or - for standard input")
    command.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="where to; made if need be")
    command.add_argument("--format", default=("netcdf",), type=_formats, help=f"some of {','.join(FORMATS)}")
    command.add_argument("--no-store", action="store_true", help="compute anew, and keep nothing")
    command.set_defaults(command=run)
    command = commands.add_parser("presets", help="list the paper's figures, or print the spec of one")
    command.add_argument("name", nargs="?")
    command.set_defaults(command=presets)
    commands.add_parser("info", help="versions, device, store, experiments").set_defaults(command=info)
    return parser


def _formats(text: str) -> tuple[str, ...]:
    chosen = tuple(dict.fromkeys(text.split(",")))
    if unknown := [name for name in chosen if name not in FORMATS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not known; choose some of {', '.join(FORMATS)}")
    return chosen


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
        _say(str(error))
    return _write(options, spec, theory, result)


def _broken_off(
    options: argparse.Namespace, spec: ExperimentSpec, so_far: list[Result], seconds: float, error: BaseException
) -> int:
    """Writes what was finished, and says why there is no more."""
    from ntk_core.runs.files import to_netcdf
    from ntk_core.runs.provenance import provenance

    stopped = isinstance(error, KeyboardInterrupt)
    code = _say("stopped" if stopped else f"the run failed: {_words(error)}", code=STOPPED if stopped else FAILED)
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
        return _say(_words(error), code=FAILED)
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


def _device() -> str:
    import torch

    from ntk_core.device import resolve_device

    device = resolve_device("auto")
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def _described(layer: object) -> str:
    from ntk_core.runs.store import Store, StoreError, default_folder

    if not isinstance(layer, Store):
        return "none"
    try:
        count, size = layer.size()
        held = f"{count} result{'s' * (count != 1)}, {size / 1e6:,.1f} MB" + (
            "" if layer.frozen else f" of {layer.limit / 1e6:,.0f} MB"
        )
        return f"{layer.url or default_folder()}: {held}"
    except StoreError as error:
        return str(error)


def _words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {(error.strerror or 'cannot be used').lower()}"
    return str(error) or type(error).__name__


def _say(*sentences: str, code: int = DONE) -> int:
    for sentence in sentences:
        print(f"ntk_core: {sentence}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
