"""Neural tangent kernels: finite networks beside their infinite limit (Jacot, Gabriel & Hongler 2018).

The public names are loaded on first use, so that a spec can be imported and checked without importing torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ntk_core import activations as activations
    from ntk_core.architecture import Architecture as Architecture
    from ntk_core.dynamics import InfiniteEnsemble as InfiniteEnsemble
    from ntk_core.limit import KernelOperator as KernelOperator
    from ntk_core.limit import Kernels as Kernels
    from ntk_core.limit import limiting_kernels as limiting_kernels
    from ntk_core.network import Network as Network
    from ntk_core.spectrum import principal_components as principal_components
    from ntk_core.training import train as train

_HOME = {
    "Architecture": "architecture",
    "InfiniteEnsemble": "dynamics",
    "KernelOperator": "limit",
    "Kernels": "limit",
    "limiting_kernels": "limit",
    "Network": "network",
    "principal_components": "spectrum",
    "train": "training",
}

__all__ = ["activations", *_HOME]


def __getattr__(name: str) -> Any:
    if name == "activations":
        return importlib.import_module("ntk_core.activations")
    if name not in _HOME:
        raise AttributeError(f"module 'ntk_core' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ntk_core.{_HOME[name]}"), name)
