"""Finite networks over stored or sampled weights, and their tangent kernels."""

from ntk_core.finite.network import Network

__all__ = ["Network"]
