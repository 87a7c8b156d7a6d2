"""Work in a fresh process, for its peak memory: `python -m tests.benchmarks.child MODULE FUNCTION ARGUMENTS`."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent.parent


def measure(function: str, cores: int, environment: dict[str, str] | None = None, **arguments: Any) -> dict[str, Any]:
    """Calls "module:function" with plain arguments in a process of its own.

    Returns:
        What the function returns (plain data), and bytes of memory: "peak", and "before" the call (or before the part
        that counts, if the function itself says so).
    """
    module, _, name = function.partition(":")
    command = [sys.executable, "-m", __name__, module, name, json.dumps(arguments), str(cores)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, **(environment or {})})
    if done.returncode:
        raise RuntimeError(f"{function} failed in its process ({done.returncode}):\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def forget_peak() -> int:
    """The peak counts anew from here; returns the bytes held now."""
    Path("/proc/self/clear_refs").write_text("5")
    return psutil.Process().memory_info().rss


def _peak() -> int:
    """Most bytes this process has held; the kernel's own count is the program's alone, unlike getrusage's."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system does not tell a process's peak memory")


def _main() -> None:
    module, name, arguments, cores = sys.argv[1:]
    function = getattr(importlib.import_module(module), name)
    import torch

    torch.set_num_threads(int(cores))
    before = forget_peak()
    result = function(**json.loads(arguments))
    print(json.dumps({"before": before, **result, "peak": _peak()}))


if __name__ == "__main__":
    _main()
