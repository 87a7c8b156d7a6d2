"""Fields of specs whose theory may be driven by another kernel than the NTK, and what they make of it.

Networks know nothing of the choice: they train beside whichever theory is drawn, and specs that differ in it alone
share one run.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from ntk_core.data import circle
from ntk_core.data.synthetic import Floats
from ntk_core.experiments import _common as common

if TYPE_CHECKING:
    from ntk_core.architecture import Architecture
    from ntk_core.limit.ensemble import InfiniteEnsemble
    from ntk_core.limit.kernel_functions import Kernel

KernelName = Annotated[
    Literal["ntk", "nngp", "rbf", "matern"],  # limit.kernel_choice.NAMES
    Field(description="drives the theory; networks train as ever"),
]
Length = Annotated[float, Field(ge=0.01, le=100, description="length scale of rbf and matern")]
Nu = Annotated[float, Field(ge=0.1, le=50, description="smoothness of matern")]
FIELDS = ("kernel", "length", "nu")
WORDS = {"ntk": "NTK", "nngp": "NNGP", "rbf": "RBF", "matern": "Matérn"}


def without(spec: Any) -> Any:
    """The spec with the NTK, which the networks follow: what drives the theory is nothing to them."""
    defaults = type(spec).model_fields
    return spec.model_copy(update={name: defaults[name].default for name in FIELDS})


def of(spec: Any, arch: Architecture) -> Kernel:
    """The kernel that a spec names."""
    from ntk_core.limit.kernel_choice import named

    return named(spec.kernel, arch, length=spec.length, nu=spec.nu)


def driving(spec: Any, arch: Architecture) -> Kernel | None:
    """The same as an ensemble takes it: None for the NTK, which is an architecture's own."""
    return None if spec.kernel == "ntk" else of(spec, arch)


def inverted(spec: Any, ensemble: InfiniteEnsemble) -> dict[str, Any]:
    """What a page says wherever the theory inverts its kernel's matrix: eigenvalues over N, the condition number."""
    found, N = ensemble.conditioning, len(ensemble.y)
    return {
        "matrix": f"{WORDS[spec.kernel]} on {N:,} point{'s' * (N > 1)}",
        "smallest": found.smallest / N,
        "largest": found.largest / N,
        "number": None if found.singular else found.number,
        "null": int((ensemble.values == 0).sum()),
    }


def ensembles(spec: Any, gamma: Floats, y: Floats) -> tuple[InfiniteEnsemble, InfiniteEnsemble]:
    """The limit on points of the circle, and the same under the kernel that the spec names: f_0 stays the networks'."""
    net, points = common.net_of(spec), (tuple(gamma), tuple(y))
    driven = driving(spec, common.limit_of(net, 2))
    return _on_circle(net, *points, None), _on_circle(net, *points, driven)


@lru_cache(maxsize=16)
def _on_circle(
    net: common.Net, gamma: tuple[float, ...], y: tuple[float, ...], kernel: Kernel | None
) -> InfiniteEnsemble:
    from ntk_core.limit.ensemble import InfiniteEnsemble

    prior = None if kernel is None else "nngp"
    return InfiniteEnsemble(common.limit_of(net, 2), circle(gamma), np.array(y), kernel=kernel, prior=prior)


def too_fast(spec: Any, largest: float, ntk_largest: float) -> list[str]:
    """What to say where the spec's rule is stable under the NTK and not under the kernel that is drawn, by the largest
    eigenvalues of both."""
    if [common.theory_rule(spec, value)[1] == spec.rule for value in (largest, ntk_largest)] != [False, True]:
        return []
    return [
        f"Under the {WORDS[spec.kernel]} kernel the learning rate {spec.learning_rate:g} is too large: its curves are "
        f"those of gradient flow."
    ]
