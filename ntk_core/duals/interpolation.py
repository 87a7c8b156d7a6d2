"""Functions of a variance, known at few variances and wanted at many."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.polynomial.chebyshev import chebpts1, chebvander
from scipy.fft import dct

from ntk_core.duals.closed_forms import Floats

NODES = (16, 24, 32, 48, 64, 96, 128)  # numbers of nodes that are tried
SPAN = 100.0  # ratio of variances that share an interpolant, so that small ones keep their relative precision
TAIL = 2e-15  # of the last Chebyshev coefficients, relative to the largest: what is cut off is smaller still


def through_nodes(function: Callable[[Floats], Floats], q: Floats) -> Floats:
    """function(q), (rows, Q), from its values at Chebyshev nodes in log q, where those are fewer and determine it.

    Gaussian expectations of a function of sqrt(q) z are analytic in q off the negative axis, which in log q is a strip
    of half-width pi: over a span of 100, forty nodes give all digits. Whether they do is read off the coefficients.
    """
    low, high = float(q.min()), float(q.max())
    if 0 < low < high <= SPAN * low:
        middle, half = np.log(low * high) / 2, np.log(high / low) / 2
        # Coefficients fall off by this factor a node where the strip is all that bounds them: fewer nodes never do.
        fewest = 0.8 * np.log(1 / TAIL) / np.arcsinh(np.pi / half)
        for count in (n for n in NODES if fewest <= n <= len(q) / 2):
            values = function(np.exp(middle + half * chebpts1(count)[::-1]))
            coefficients = dct(values, axis=1) / count  # rounds less than products with a Vandermonde matrix
            coefficients[:, 0] /= 2
            size = np.abs(coefficients)
            if size[:, -4:].max() <= TAIL * size.max():
                x = np.clip((np.log(q) - middle) / half, -1.0, 1.0)
                return np.asarray(coefficients @ chebvander(x, count - 1).T)
    return function(q)
