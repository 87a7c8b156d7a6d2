"""An activation of one's own: what is missing is found by differentiating and by looking."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ntk_core.activations.activation import Activation, Elementwise
from ntk_core.duals import quadrature
from ntk_core.duals.mehler import Mehler

RANGE = 20.0  # kinks are looked for between -RANGE and RANGE
ORDERS = 8  # derivatives whose jumps at 0 are split off
_SIDE, _NEAR = 1e-30, 1e-20  # "just right of 0"
_DIFFERENCE = 1e-5  # of arguments, where a derivative is compared with differences


def custom(
    f: Elementwise, derivative: Elementwise | None = None, name: str = "custom", kinks: Sequence[float] | None = ()
) -> Activation:
    """An activation of one's own, from an elementwise torch function.

    Args:
        f: a function of a tensor that returns a tensor of the same shape.
        derivative: f'; by automatic differentiation if not given.
        name: how to call it.
        kinks: where f or a derivative of it jumps. Those found by looking at f' between -20 and 20 are added.

    Raises:
        ValueError: f or its derivative returns another shape or precision, or something that is not a finite number;
            it is not elementwise, not the same every time, or changes its argument; the derivative is not that of f.
    """
    kinks = kinks or ()
    slope = derivative or differentiate(f)
    probe = torch.linspace(-RANGE, RANGE, 4001, dtype=torch.float64)
    for what, function in (("the activation", f), ("its derivative", slope)):
        _check(name, what, function, probe)
    _check_slope(name, f, slope, probe)
    for kink in kinks:
        if not np.isfinite(kink):
            raise ValueError(f"activation: kinks of {name!r} must be finite, got {kink}")
    # A bend of the slope itself, as elu has, also makes the series slow, so two derivatives are looked at.
    bend = differentiate(slope if derivative is None else differentiate(f))
    looked_at = [f, slope] + [bend] * _differentiable(bend)
    found = sorted({float(k) for k in kinks}.union(*(find_kinks(g) for g in looked_at)))
    jumps = jumps_at_zero(f) if 0.0 in found else []
    return Activation(
        name, f, slope, Mehler(f, slope, jumps, found, name=name), not found, (f, derivative, tuple(found))
    )


def differentiate(f: Elementwise) -> Elementwise:
    """f', elementwise, by automatic differentiation."""

    def derivative(z: Tensor) -> Tensor:
        with torch.enable_grad():
            nested = z.requires_grad
            if not nested:
                z = z.detach().requires_grad_(True)
            out = f(z)
            if not out.requires_grad:  # a constant, or pieces of constants
                return torch.zeros_like(z)
            (slope,) = torch.autograd.grad(out.sum(), z, create_graph=nested)
        return slope if nested else slope.detach()

    return derivative


def find_kinks(f: Elementwise) -> list[float]:
    """Points where f jumps: intervals of a grid over which the change of f does not shrink with the interval."""
    edges = np.linspace(-RANGE - 1 / 3, RANGE, 4001)
    left, right = edges[:-1].copy(), edges[1:].copy()
    at_left, at_right = quadrature.apply(f, left), quadrature.apply(f, right)
    for _ in range(60):
        middle = (left + right) / 2
        at_middle = quadrature.apply(f, middle)
        go_left = np.abs(at_middle - at_left) >= np.abs(at_right - at_middle)
        right, at_right = np.where(go_left, middle, right), np.where(go_left, at_middle, at_right)
        left, at_left = np.where(go_left, left, middle), np.where(go_left, at_left, at_middle)
    size = np.maximum(1.0, np.maximum(np.abs(at_left), np.abs(at_right)))
    places = right[np.abs(at_right - at_left) > 1e-7 * size]
    return [0.0 if abs(place) < 1e-12 else float(place) for place in places]


def jumps_at_zero(f: Elementwise) -> list[float]:
    """Jumps at 0 of f, f', f'', ...; of as many derivatives as automatic differentiation knows.

    Beyond those the remainder's series is slower, and the error estimate of the series sees it.
    """
    z = torch.tensor([-_SIDE, _SIDE, -_NEAR, _NEAR], dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        current, jumps = f(z), []
        for _ in range(ORDERS + 1):
            jump, near = ((current[k + 1] - current[k]).item() for k in (0, 2))
            # What changes between the two distances has no one-sided limit: a root's slope grows without end.
            if not np.isfinite(jump) or abs(jump - near) > 1e-9 * max(1.0, abs(jump)):
                break
            jumps.append(jump if abs(jump) > 1e-12 else 0.0)
            if not current.requires_grad:
                break
            try:
                (current,) = torch.autograd.grad(current.sum(), z, create_graph=True)
            except RuntimeError:  # an operation whose derivative has none
                break
    return jumps


def _differentiable(f: Elementwise) -> bool:
    """Whether automatic differentiation gets as far as this; some operations know only their first derivative."""
    try:
        return bool(torch.isfinite(f(torch.ones(1, dtype=torch.float64))).all())
    except RuntimeError:
        return False


def _check(name: str, what: str, f: Elementwise, probe: Tensor) -> None:
    given = probe.clone()
    out, single = _evaluated(name, what, f, given), _evaluated(name, what, f, probe.float())
    if not isinstance(out, Tensor) or out.shape != probe.shape:
        got = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise ValueError(
            f"activation: {what} of {name!r} must return the shape it is given, {tuple(probe.shape)}, got {got}"
        )
    for values, dtype in ((out, probe.dtype), (single, torch.float32)):
        if values.dtype != dtype:
            raise ValueError(
                f"activation: {what} of {name!r} must return the precision it is given, {dtype}, got {values.dtype}"
            )
    if not bool(torch.isfinite(out).all()):
        bad = float(probe[~torch.isfinite(out)][0])
        raise ValueError(f"activation: {what} of {name!r} is not finite at {bad:g}")
    if not torch.equal(given, probe):
        raise ValueError(f"activation: {what} of {name!r} must leave its argument as it is, and changes it in place")
    some = torch.arange(0, len(probe), 7)
    if not torch.allclose(f(probe[some]), out[some], rtol=1e-9, atol=1e-12):
        raise ValueError(
            f"activation: {what} of {name!r} must be elementwise and the same every time: "
            "some numbers alone give other values than among others"
        )


def _evaluated(name: str, what: str, f: Elementwise, z: Tensor) -> Tensor:
    try:
        return f(z)
    except Exception as error:
        raise ValueError(f"activation: {what} of {name!r} cannot be evaluated in {z.dtype}: {error}") from error


def _check_slope(name: str, f: Elementwise, slope: Elementwise, probe: Tensor) -> None:
    """The derivative against differences of f; kinks may disagree, most points must not."""
    with torch.no_grad():
        z = probe[:-1] + 0.381966 * (probe[1] - probe[0])
        rise = (f(z + _DIFFERENCE) - f(z - _DIFFERENCE)) / (2 * _DIFFERENCE)
        wrong = (rise - slope(z)).abs() > 1e-3 * (1 + rise.abs())
    if float(wrong.double().mean()) > 0.05:
        at, given, risen = (float(t[wrong][0]) for t in (z, slope(z), rise))
        raise ValueError(
            f"activation: the derivative of {name!r} at {at:.4g} is {given:.6g}, but its values rise by {risen:.6g}; "
            "give its derivative if it is not made of torch operations, or a function that changes more slowly"
        )
