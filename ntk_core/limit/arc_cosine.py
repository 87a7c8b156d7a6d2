"""The recursion of the limiting kernels for relu and its kin, in closed form and in few passes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ntk_core.architecture import Architecture
from ntk_core.duals.closed_forms import SNAP, Floats, Homogeneous, inverse_root
from ntk_core.limit.recursion import Recursion

ONE = torch.ones((), dtype=torch.float64)


class ArcCosine(Recursion):
    r"""Both kernels for relu and its kin, in correlations and in place.

    With m = -rho, p = arccos(m) + psi and c = sin(theta) + rho p, one layer is

        E[s s] = (2 B / pi) sqrt(q_u q_v) c          E[s' s'] = (2 B / pi) p

    (`duals.closed_forms.Homogeneous`; psi = 0 for relu), both times w_std^2. Both kernels are
    carried with their signs changed and divided by sqrt(q_u q_v) of their layer. NumPy has the faster roots and arc
    cosines, torch products and sums in one pass.
    """

    alone_up_to = 200**2
    buffers, sign = 4, -1

    def _prepare(self, arch: Architecture) -> None:
        duals = arch.sigma.duals
        assert isinstance(duals, Homogeneous)
        self.psi = np.pi / 2 * (duals.odd / duals.even - 1)
        factor = arch.w_std * np.sqrt(2 * duals.even / np.pi)
        self.scales = []  # per layer: (a_u, a_v, b_u, b_v), so that the next one's m = a_u a_v c + b_u b_v
        for layer, pair in enumerate(self.sides):
            last = layer == len(self.sides) - 1
            steps: list[Tensor] = []
            for k, side in enumerate(pair):
                to = np.ones_like(side.q) if last else inverse_root(self.sides[layer + 1][k].q)
                sign = 1.0 if k or last else -1.0
                steps += [_shared(sign * factor * np.sqrt(side.q) * to), _shared(sign * np.sqrt(self.beta2) * to)]
            self.scales.append((steps[0], steps[2], steps[1], steps[3]))
        for points, side in zip((self.left, self.right)[: 2 - self.symmetric], self.sides[0], strict=False):
            points *= (inverse_root(side.q) * (1 + SNAP / 2))[:, None]

    def _strip(self, rows: slice, columns: slice, cov: Floats, nngp: Floats, ntk: Floats) -> None:
        m, p, c, t = map(torch.from_numpy, self._buffers(cov.shape))  # m is cov
        value, tangent = torch.from_numpy(nngp), torch.from_numpy(ntk)
        for layer, (a_u, a_v, b_u, b_v) in enumerate(self.scales):
            m.clamp_(-1.0, 1.0)
            np.arccos(m.numpy(), out=p.numpy())
            if self.psi:
                p += self.psi
            torch.addcmul(ONE, m, m, value=-1, out=c)
            np.sqrt(c.numpy(), out=c.numpy())
            c.addcmul_(m, p, value=-1)
            torch.mul(t if layer else m, p, out=t)  # at first both kernels are the same
            factor = _outer(a_u, a_v, rows, columns, p)
            c *= factor
            if layer == len(self.scales) - 1:
                torch.add(c, self.beta2, out=value)
                torch.addcmul(value, t, factor, value=-1, out=tangent)
                return
            if self.beta2:
                c.addcmul_(_along(b_u, rows, 1), _along(b_v, columns, 0))
            torch.addcmul(c, t, factor, value=-1, out=t)
            m, c = c, m


def _shared(values: Floats) -> Tensor:
    """A tensor without dimensions where all values agree: then no pass is needed to spread them over a tile."""
    same = np.ptp(values) <= 4 * np.finfo(np.float64).eps * np.abs(values).max()
    return torch.from_numpy(np.array(values[0]) if same else values)


def _along(values: Tensor, part: slice, dim: int) -> Tensor:
    """A part of a side's values in the shape that spreads over a tile."""
    return values if values.ndim == 0 else values[part].unsqueeze(dim)


def _outer(u: Tensor, v: Tensor, rows: slice, columns: slice, out: Tensor) -> Tensor:
    """u v^T on a tile, written to `out`; the number, row or column that it is everywhere where a side shares one."""
    left, right = _along(u, rows, 1), _along(v, columns, 0)
    if u.ndim == 0 or v.ndim == 0:
        return left * right  # smaller than `out`, which it would shrink
    return torch.mul(left, right, out=out)
