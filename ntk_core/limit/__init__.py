"""The infinite width: limiting kernels, their spectrum, and the dynamics of the infinite ensemble."""

from ntk_core.limit.ensemble import Gaussian, InfiniteEnsemble
from ntk_core.limit.kernels import KernelOperator, Kernels, limiting_kernels
from ntk_core.limit.other_costs import kernel_descent
from ntk_core.limit.spectrum import Components, principal_components

__all__ = [
    "Components",
    "Gaussian",
    "InfiniteEnsemble",
    "KernelOperator",
    "Kernels",
    "kernel_descent",
    "limiting_kernels",
    "principal_components",
]
