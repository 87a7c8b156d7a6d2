"""Gaussian expectations by plain quadrature: the diagonal of a dual, and pairs of points too close for a series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import torch

from ntk_core.duals.closed_forms import Floats, inverse_root

Function = Callable[[torch.Tensor], torch.Tensor]

REACH = 13.0  # beyond this many standard deviations a Gaussian weighs less than 1e-37
NODES = 20  # Gauss-Legendre nodes a panel


def apply(f: Function, z: Floats) -> Floats:
    """An activation's function of tensors on a NumPy array."""
    with torch.no_grad():
        return f(torch.from_numpy(np.ascontiguousarray(z))).numpy()


@lru_cache
def _legendre(panels: int) -> tuple[Floats, Floats]:
    """Composite Gauss-Legendre rule on [0, 1]."""
    x, w = np.polynomial.legendre.leggauss(NODES)
    starts = np.arange(panels)[:, None]
    return ((starts + (x + 1) / 2) / panels).ravel(), np.tile(w / 2 / panels, panels)


def gaussian_rule(variance: float, breaks: Floats) -> tuple[Floats, Floats]:
    """Nodes and weights (..., n) for E[g(z)], z ~ N(0, 1), where g has the scale 1 / sqrt(variance).

    Args:
        variance: how many panels the integrand needs: its features have size 1 in sqrt(variance) z.
        breaks: (..., b) points at which g may jump or bend; they may lie anywhere.
    """
    ends = np.full((*breaks.shape[:-1], 1), REACH)
    edges = np.concatenate([-ends, np.sort(np.clip(breaks, -REACH, REACH), axis=-1), ends], axis=-1)
    panels = int(np.ceil(2 * REACH * max(np.sqrt(variance) / 2, 0.5)))
    x, w = _legendre(max(1, panels // (edges.shape[-1] - 1) + 2))
    lengths = np.diff(edges)[..., None]
    nodes = (edges[..., :-1, None] + lengths * x).reshape(*breaks.shape[:-1], -1)
    weights = (lengths * w).reshape(nodes.shape) * np.exp(-nodes * nodes / 2) / np.sqrt(2 * np.pi)
    return nodes, weights


def second_moment(f: Function, kinks: Sequence[float], q: Floats) -> Floats:
    """E[f(sqrt(q) z)^2] for variances q (Q,), split at the kinks of f."""
    out = np.empty_like(q)
    rows = 256
    for start in range(0, len(q), rows):
        root = np.sqrt(q[start : start + rows])[:, None]
        breaks = np.divide(np.asarray(kinks, float), root, out=np.full((len(root), len(kinks)), REACH), where=root > 0)
        nodes, weights = gaussian_rule(float(q[start : start + rows].max()), breaks)
        out[start : start + rows] = (np.square(apply(f, root * nodes)) * weights).sum(-1)
    return out


def pair(f: Function, kinks: Sequence[float], q_u: float, q_v: float, rho: float) -> float:
    """E[f(u) f(v)] for one pair: over u, then over v given u, both split at the kinks.

    The inner integrand is as wide as v is uncertain, so the cost falls as |rho| approaches 1, where series converge
    slowly.
    """
    breaks = np.asarray(kinks, float)
    width = np.sqrt((1 - rho) * (1 + rho))
    # Given u, the mean of f(v) turns from one side of v's kink to the other within this width: panels follow it.
    centres = np.concatenate(
        [breaks * scale for scale in inverse_root(np.asarray([q_u, q_v * rho * rho])) * (1.0, np.sign(rho))]
    )
    around = (centres[:, None] + width * np.array([-9.0, -5.0, -2.0, 0.0, 2.0, 5.0, 9.0])).ravel()
    x, w = gaussian_rule(max(q_u, q_v), around)
    mean = np.sqrt(q_v) * rho * x[:, None]
    spread = max(np.sqrt(q_v) * width, 1e-150)
    with np.errstate(over="ignore"):
        y, wy = gaussian_rule(spread**2, (breaks - mean) / spread)
    inner = (apply(f, mean + spread * y) * wy).sum(-1)
    return float((apply(f, np.sqrt(q_u) * x) * inner * w).sum())
