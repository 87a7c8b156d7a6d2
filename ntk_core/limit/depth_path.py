"""What depth does to the limit: how two points and their tangent kernel look to each layer (order, edge, chaos).

On points of one norm all of a layer's variances agree, q_l = Sigma_l(x, x), and a layer is a map of correlations c_l
(Poole et al. 2016, arXiv:1606.05340). Its slope at c = 1 is chi_l q_l / q_{l+1} with chi_l = w_std^2 E[s'(u)^2],
u ~ N(0, q_l), by which also gradients grow. Where the variance has settled, chi < 1 is order: all points look alike to
deep layers, and Theta_L(x, x') / Theta_L(x, x) tends to a constant; chi > 1 is chaos: it tends to 0 unless x = x'.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntk_core.architecture import Architecture
from ntk_core.duals.mehler import Mehler

Floats = NDArray[np.float64]
MOST_VARIANCE = 3e3  # beyond it series of activations without a closed form become long
SETTLED = 1e-6  # relative: chi this close to 1 is called the edge


@dataclass(frozen=True)
class DepthPath:
    """Both limiting kernels at depth 1, 2, ..., L.

    Attributes:
        variance: Sigma_l(x, x), (L,).
        correlation: Sigma_l(x, x') / Sigma_l(x, x), (L, A).
        tangent: Theta_l(x, x), (L,).
        tangent_correlation: Theta_l(x, x') / Theta_l(x, x), (L, A).
        chi: w_std^2 E[s'(u)^2] with u ~ N(0, Sigma_l(x, x)), (L,).
    """

    variance: Floats
    correlation: Floats
    tangent: Floats
    tangent_correlation: Floats
    chi: Floats

    @property
    def phase(self) -> str:
        """ "order", "edge" or "chaos": by the last chi."""
        rest = float(self.chi[-1]) - 1.0
        return "edge" if abs(rest) <= SETTLED else "chaos" if rest > 0 else "order"


def depth_path(arch: Architecture, cosines: Any, square_norm: float = 1.0) -> DepthPath:
    """The limit at every depth up to that of `arch`, for pairs of points of one norm.

    Args:
        arch: depth, activation, beta and w_std matter.
        cosines: (A,) cosines of the angles between the points, in [-1, 1].
        square_norm: |x|^2 / n_0 of all points, > 0.

    Raises:
        ValueError: a cosine or a norm outside what is allowed, or as `check_growth`.
    """
    check_growth(arch, square_norm)
    c = np.asarray(cosines, dtype=np.float64)
    if c.ndim != 1 or not (np.abs(c) <= 1).all():
        raise ValueError("cosines: numbers from -1 to 1 are needed, one for each pair of points")
    if not (np.isfinite(square_norm) and square_norm > 0):
        raise ValueError(f"square_norm: must be a finite number > 0, got {square_norm}")
    duals, w2, b2 = arch.sigma.duals, arch.w_std**2, arch.beta**2
    # The last entry is a point with itself.
    nngp = w2 * square_norm * np.append(c, 1.0) + b2
    ntk, rows = nngp, []
    for _ in range(arch.depth):
        q = np.full_like(nngp, nngp[-1])
        value, slope = duals.both(q, q, nngp)
        own_value, own_slope = duals.diagonal(q[-1:])
        value, slope = np.append(value[:-1], own_value), np.append(slope[:-1], own_slope)
        rows.append((nngp, ntk, w2 * slope[-1]))
        nngp = w2 * value + b2
        ntk = nngp + w2 * ntk * slope
    sigma, theta = (np.stack([row[k] for row in rows]) for k in (0, 1))
    return DepthPath(sigma[:, -1], _relative(sigma), theta[:, -1], _relative(theta), np.array([row[2] for row in rows]))


@lru_cache(maxsize=64)  # a page asks for every limit, and again for its plan
def check_growth(arch: Architecture, square_norm: float = 1.0) -> None:
    """Refuses an architecture without a closed form whose variances grow with depth beyond what can be computed.

    Raises:
        ValueError: w_std is too large for the activation, the biases and the depth.
    """
    duals = arch.sigma.duals
    if not isinstance(duals, Mehler):
        return
    q = np.array([arch.w_std**2 * square_norm + arch.beta**2])
    for depth in range(1, arch.depth):
        if q[0] > MOST_VARIANCE:
            raise ValueError(
                f"w_std: with {arch.sigma.name} and w_std = {arch.w_std:g} the variance of the outputs grows beyond "
                f"{MOST_VARIANCE:,.0f} at depth {depth}; lower w_std, beta or the depth"
            )
        # An analytic function's second moment comes with its expansion, which is there long before an integral is.
        own = duals.diagonal(q) if duals.jumps else duals.side(q, float(q[0])).diagonal
        q = arch.w_std**2 * own[0] + arch.beta**2


def _relative(kernel: Floats) -> Floats:
    """Kernel values (L, A + 1) as shares of the last column, (L, A)."""
    return kernel[:, :-1] / kernel[:, -1:]
