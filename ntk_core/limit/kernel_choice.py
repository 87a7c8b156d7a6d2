"""Kernels by name, and whatever else stands for a kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from ntk_core.architecture import Architecture
from ntk_core.limit.given import OfFunction
from ntk_core.limit.kernel_functions import NNGP, NTK, Kernel
from ntk_core.limit.stationary import RBF, Matern

NAMES = ("ntk", "nngp", "rbf", "matern")


def named(name: str, arch: Architecture | None = None, *, length: float = 1.0, nu: float = 1.5) -> Kernel:
    """The kernel of that name: ntk and nngp of `arch`, rbf of `length`, matern of `nu` and `length`.

    Raises:
        ValueError: a name that is not known, or an architecture that is missing.
    """
    if name not in NAMES:
        raise ValueError(f"kernel: {str(name)[:40]!r} is not known; choose one of {', '.join(NAMES)}")
    if name == "rbf":
        return RBF(length)
    if name == "matern":
        return Matern(nu, length)
    if arch is None:
        raise ValueError(f"arch: the {name} kernel is that of an architecture, and none is given")
    return NTK(arch) if name == "ntk" else NNGP(arch)


def as_kernel(kernel: Kernel | str | Callable[[Tensor, Tensor], Any], arch: Architecture | None = None) -> Kernel:
    """A kernel from what stands for one: itself, a name, or a function of two sets of points."""
    if isinstance(kernel, Kernel):
        return kernel
    if isinstance(kernel, str):
        return named(kernel, arch)
    if callable(kernel):
        return OfFunction(kernel)
    raise ValueError(f"kernel: a Kernel, a name or a function K(X, X2) is needed, got {type(kernel).__name__}")
