"""Public names loaded on first use, so that a spec can be imported and checked without importing torch."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def public(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """A package's `__getattr__`: each name of `homes` comes from the module it names, below the package.

    A name that is its module's own ("data": "data") is that module.
    """

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = importlib.import_module(f"{package}.{homes[name]}")
        value = home if homes[name] == name and not hasattr(home, name) else getattr(home, name)
        setattr(sys.modules[package], name, value)
        return value

    return load
