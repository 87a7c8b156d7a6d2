"""Finite networks over stored or sampled weights, and their tangent kernels.

Its modules are imported one by one: the charts want the laws, which need NumPy and SciPy alone, and not the networks.
"""
