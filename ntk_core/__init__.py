"""Neural tangent kernels: finite networks beside their infinite limit (Jacot, Gabriel & Hongler 2018).

The public names are loaded on first use, so that a spec can be imported and checked without importing torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ntk_core._lazy import public

if TYPE_CHECKING:
    from ntk_core import activations as activations
    from ntk_core import costs as costs
    from ntk_core import data as data
    from ntk_core.architecture import Architecture as Architecture
    from ntk_core.finite.linearized import LinearizedNetwork as LinearizedNetwork
    from ntk_core.finite.network import Network as Network
    from ntk_core.finite.scaled import ScaledNetwork as ScaledNetwork
    from ntk_core.limit.ensemble import Gaussian as Gaussian
    from ntk_core.limit.ensemble import InfiniteEnsemble as InfiniteEnsemble
    from ntk_core.limit.kernels import KernelOperator as KernelOperator
    from ntk_core.limit.kernels import Kernels as Kernels
    from ntk_core.limit.kernels import limiting_kernels as limiting_kernels
    from ntk_core.limit.other_costs import kernel_descent as kernel_descent
    from ntk_core.limit.spectrum import Components as Components
    from ntk_core.limit.spectrum import principal_components as principal_components
    from ntk_core.rules import GradientDescent as GradientDescent
    from ntk_core.rules import GradientFlow as GradientFlow
    from ntk_core.rules import Momentum as Momentum
    from ntk_core.training.scaled import train_scaled as train_scaled
    from ntk_core.training.state import State as State
    from ntk_core.training.train import train as train

_HOMES = {
    "Architecture": "architecture",
    "Components": "limit.spectrum",
    "Gaussian": "limit.ensemble",
    "GradientDescent": "rules",
    "GradientFlow": "rules",
    "InfiniteEnsemble": "limit.ensemble",
    "KernelOperator": "limit.kernels",
    "Kernels": "limit.kernels",
    "LinearizedNetwork": "finite.linearized",
    "Momentum": "rules",
    "Network": "finite.network",
    "ScaledNetwork": "finite.scaled",
    "State": "training.state",
    "activations": "activations",
    "costs": "costs",
    "data": "data",
    "kernel_descent": "limit.other_costs",
    "limiting_kernels": "limit.kernels",
    "principal_components": "limit.spectrum",
    "train": "training.train",
    "train_scaled": "training.scaled",
}

__all__ = list(_HOMES)

__getattr__ = public(__name__, _HOMES)
