"""Which machine this is and what runs on it."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import numpy as np
import psutil
import torch

from tests.benchmarks import peer


def describe(cores: int) -> dict[str, str]:
    """The machine and the versions, as lines for RESULTS.md."""
    return {
        "processor": f"{_processor()}, {cores} cores",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "graphics processor": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "system": f"{platform.system()} {platform.machine()}",
        "versions": f"Python {platform.python_version()}, torch {torch.__version__}, numpy {np.__version__}",
        "peers": ", ".join(peer.versions()),
    }


def busy(cores: int) -> str | None:
    """A warning when others use the machine: then numbers say little."""
    load = os.getloadavg()[0]
    return f"the machine was busy: load {load:.1f} on {cores} cores" if load > 0.5 * cores else None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        fields = [line.partition(":") for line in info.read_text().splitlines()]
        values = {key.strip(): value.strip() for key, _, value in reversed(fields) if value}
        name = values.get("model name", platform.processor())
        model = f" (family {values['cpu family']}, model {values['model']})" if "cpu family" in values else ""
        return name + model
    return platform.processor() or platform.machine()
