"""How far the movement of one mode in a leap is out of place where the residual of another meets it.

Along a leap J follows the parameters: at the step where the residual of a mode b is r_b, it is met by J as mode a has
displaced it by then, d_a. An exact leap has the sum of d_a r_b over its steps (of a flow, the integral). A leap by one
J has in its place nothing at all at first order, and at second order the displacement by the middle times the sum of
r_b. The difference, relative to the leap's whole displacement, is the share of the change of J that acts wrongly: one
half in a short leap of first order, nothing in a short one by midpoints, but not so in a leap that is long for some
modes and short for others.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ntk_core.rules import GradientDescent, Momentum, Rule, powers

SLOWEST = 1e-5  # lambda t of a mode that counts as standing still: below, differences lose their digits
NODES = 32  # a longer leap of a heavy ball is looked at in as many places


def misplaced(rule: Rule, values: Tensor, residual: Tensor, pushed: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
    """The shares of a change of J that act wrongly in leaps of first and second order, (S,) each.

    Args:
        rule: the update rule.
        values: eigenvalues of the linear dynamics, (S, P).
        residual: r in their basis, (S, P).
        pushed: p, the movement of f by the velocity in a step, in their basis, (S, P); 0 where there is none.
        times: length of the leaps, (S,); 0 for a seed that waits, which gets 0.
    """
    leaps = times > 0
    t = torch.where(leaps, times, rule.unit or 1.0)[:, None]
    values = torch.maximum(values, SLOWEST / t)
    if isinstance(rule, Momentum):
        whole, middle, met, total = _heavy_ball(rule, values, residual, pushed, t)
    else:
        whole, middle, met, total = _descent(rule, values, residual, t)
    late = met - middle[:, :, None] * total[:, None, :]
    size = (values * whole.square()).sum(-1).clamp_min(1e-300)
    sizes = (torch.einsum("sa,sab,sb->s", values, wrong.square(), values).sqrt() / size for wrong in (met, late))
    first, second = (torch.where(leaps, share, 0.0) for share in sizes)
    return first, second


def _descent(rule: Rule, values: Tensor, residual: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """d at the end and at the middle (S, P), the sum of d_a r_b (S, P, P) and of r_b (S, P), in closed form."""
    response = rule.respond(values, t)
    step = rule.unit if isinstance(rule, GradientDescent) else 0.0
    left = 1.0 - values * response.moved_r
    rates = values[:, :, None] + values[:, None, :] - step * values[:, :, None] * values[:, None, :]
    both = (1.0 - left[:, :, None] * left[:, None, :]) / rates
    met = (response.moved_r[:, None, :] - both) / values[:, :, None] * residual[:, :, None] * residual[:, None, :]
    whole = response.moved_r * residual
    return whole, response.halfway * residual, met, whole


def _heavy_ball(
    rule: Momentum, values: Tensor, residual: Tensor, pushed: Tensor, t: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The same for a heavy ball, summed over its steps; a gradient moves the parameters in all the steps after it."""
    mu, count = rule.momentum, torch.round(t / rule.unit)  # (S, 1)
    stride = torch.ceil(count / NODES)
    places = torch.floor((stride - 1) / 2) + stride * torch.arange(NODES, device=t.device)  # (S, NODES)
    drag = rule.rate * values
    step = torch.stack([1 - drag, torch.full_like(drag, mu), -drag, torch.full_like(drag, mu)], -1).unflatten(
        -1, (2, 2)
    )
    state = torch.stack([residual, pushed], -1)[..., None]

    def after(k: Tensor) -> Tensor:
        return powers(step, k.expand(values.shape)) @ state

    end, here = after(count)[..., 0, 0], after(places[:, :1])
    jump, seen = powers(step, stride.expand(values.shape)), []
    for _ in range(NODES):
        seen.append(here[..., 0, 0])
        here = jump @ here
    r = torch.stack(seen, -1)  # (S, P, NODES)
    weights = rule.rate * stride * (1 - mu ** (count - places).clamp_min(0)) / (1 - mu)
    r_later = torch.where((places < count)[:, None], r * weights[:, None], 0.0)
    displaced = torch.where((places < count)[:, None], (residual[..., None] - r) / values[..., None], 0.0)
    response = rule.respond(values, t)
    assert response.moved_p is not None
    carried = response.carried / values
    middle = response.halfway * residual + (response.moved_p - carried) * pushed / 2
    return (residual - end) / values, middle, displaced @ r_later.mT, r_later.sum(-1)
