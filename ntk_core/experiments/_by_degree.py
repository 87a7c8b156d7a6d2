"""Eigenvalues by degree of a network's two limiting kernels on the sphere, kept for the specs to come."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from ntk_core.experiments import _common as common

if TYPE_CHECKING:
    from torch import Tensor

    from ntk_core.architecture import Architecture
    from ntk_core.limit.conditioning import Definiteness
    from ntk_core.limit.kernels import Kernels


class ByDegree(NamedTuple):
    """What the eigenvalues say about the NTK and the NNGP kernel."""

    ntk: Definiteness
    nngp: Definiteness


@lru_cache(maxsize=64)
def ntk_by_degree(net: common.Net, dimension: int, degrees: int) -> Definiteness:
    """The NTK alone, where nothing else is asked."""
    from ntk_core.limit.conditioning import definiteness
    from ntk_core.limit.kernel_functions import NTK

    return definiteness(NTK(common.limit_of(net, dimension)), dimension, degrees)


@lru_cache(maxsize=64)
def by_degree(net: common.Net, dimension: int, degrees: int) -> ByDegree:
    """Both kernels of a network on the unit sphere in R^dimension, for degree 0 to `degrees`."""
    from ntk_core.limit.conditioning import definiteness

    pair = _Pair(common.limit_of(net, dimension))
    return ByDegree(*(definiteness(pair.named(kind), dimension, degrees) for kind in ByDegree._fields))


class _Pair:
    """Two kernels that come of one recursion: whichever is asked first, the other is there."""

    def __init__(self, arch: Architecture):
        self.arch = arch
        self._found: dict[bytes, Kernels] = {}

    def named(self, kind: str) -> Callable[[Tensor, Tensor], Tensor]:
        """One of them as a function of two sets of points."""
        return lambda X, X2: getattr(self._kernels(X, X2), kind)

    def _kernels(self, X: Tensor, X2: Tensor) -> Kernels:
        from ntk_core.limit.kernels import limiting_kernels

        key = X.numpy().tobytes() + X2.numpy().tobytes()
        if key not in self._found:
            self._found[key] = limiting_kernels(self.arch, X, X2)
        return self._found[key]
