"""Dual activations: the Gaussian expectations E[s(u) s(v)] and E[s'(u) s'(v)]."""
