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
from collections.abc import Sequence
from pathlib import Path

from ntk_core import run_command
from ntk_core.run_command import BAD_INPUT, DONE, FAILED, STOPPED, say

FORMATS = ("netcdf", "csv", "parquet")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    options = _parser().parse_args(arguments)
    # Before torch comes in: threads that wait for each other awake slow each other down where cores are busy.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        return options.command(options)
    except ModuleNotFoundError as error:
        return say(f'the package {error.name} is missing; pip install ".[app]" installs what is needed', code=FAILED)
    except BrokenPipeError:  # a reader such as `head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        return say("stopped", code=STOPPED)


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
        return say(str(error), code=BAD_INPUT)
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
        return say(str(error), code=BAD_INPUT)
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
    command.set_defaults(command=run_command.run)
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


if __name__ == "__main__":
    sys.exit(main())
