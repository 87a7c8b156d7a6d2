"""The limit's paths for the experiment on any cost and any direction: differential equations in function space."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ntk_core import data
from ntk_core.eigen import eigh, eigvalsh
from ntk_core.experiments import _any_cost_drive as drive
from ntk_core.experiments import _common as common
from ntk_core.experiments import _kernel_choice as choice
from ntk_core.experiments._any_cost_spec import DRAWS, training_set
from ntk_core.limit.descent import Path, direction_descent
from ntk_core.limit.function_ode import Budget
from ntk_core.limit.kernels import limiting_kernels
from ntk_core.limit.other_costs import kernel_descent
from ntk_core.runs.arrays import Labelled, labelled

if TYPE_CHECKING:
    from ntk_core.experiments._any_cost_spec import Spec
    from ntk_core.limit.kernel_functions import Kernel

TOLERANCE, DRAWN = 1e-8, 1e-4  # of the path from f_0 = 0, and of the draws
BUDGET, DRAWN_BUDGET = Budget(3000, 1e4), Budget(600, 1e4)  # a second or two, then a sentence
MOMENTS = 101  # at which the cost is drawn, besides the output times
MOMENT = 3e-4  # relative time to either side over which the cost's decrease is measured


class Limit(NamedTuple):
    """What drives the limit on N training points and M points of the circle, and draws of the initial function."""

    train: Tensor  # K(X, X), (N, N): the NTK, or the kernel in its place
    cross: Tensor  # K(x, X), (M, N)
    draws: Tensor  # f_0 on both, (DRAWS, N + M, n_out)
    largest: float  # eigenvalue of K(X, X)/N


class Found(NamedTuple):
    """Labelled arrays of the limit, and the largest eigenvalue of its kernel over N."""

    arrays: dict[str, Labelled]
    largest: float


def largest_eigenvalue(spec: Spec) -> float:
    """Of Theta(X, X)/N, which bounds the networks' learning rate, whatever drives the theory."""
    return _of(choice.without(spec)).largest


def limit_paths(spec: Spec) -> Found:
    """Everything that the limit says of a spec."""
    limit = _of(spec)
    arrays = _from_zero(spec, limit) | _from_draws(spec, limit)
    return Found(arrays, limit.largest)


def _from_zero(spec: Spec, limit: Limit) -> dict[str, Labelled]:
    """The path from f_0 = 0: the function, the cost, its decrease measured and by the kernel, the integral of |d|."""
    y = torch.from_numpy(training_set(spec).targets)
    fine, near = _moments(spec.times), _with_neighbours(spec.times, limit.largest)
    path = _path(spec, limit, torch.zeros_like(y), tuple(np.union1d(fine, near)))
    at, around = np.searchsorted(path.times, fine), np.searchsorted(path.times, near)
    times = np.searchsorted(path.times, spec.times)
    f = path.test(torch.zeros(len(limit.cross), spec.n_out, dtype=y.dtype), limit.cross)[times]  # (T, M, n_out)
    value = drive.cost(spec, path.f, y)
    return labelled(
        f=(("times", "gamma"), drive.shown(spec, f).numpy(), "f_t(x) from f_0 = 0"),
        length=(("times",), path.length[times].numpy(), "integral of |d_t|"),
        decrease=(("times",), _decrease(value[around], near).numpy(), "-dC/dt, by differences of the cost"),
        moment=(("moment",), fine, "training time t, finer", "1"),
        cost=(("moment",), value[at].numpy(), "cost, from f_0 = 0"),
        power=(("moment",), _powers(spec, limit, path, y, at).numpy(), "<C', d>_K, which is |d|_K^2 for a cost"),
        **({"critic": (("times", "gamma"), f[..., 1].numpy(), "h_t(x)")} if spec.drive == "players" else {}),
    )


def _moments(times: tuple[float, ...]) -> np.ndarray:
    """The output times and a hundred more, evenly spaced."""
    return np.union1d(times, np.linspace(0, times[-1], MOMENTS))


def _from_draws(spec: Spec, limit: Limit) -> dict[str, Labelled]:
    """10 and 90 % of the paths from draws of f_0."""
    N = len(limit.train)
    path = _path(spec, limit, limit.draws[:, :N].contiguous(), spec.times)
    f = path.test(limit.draws[:, N:], limit.cross)  # (T, DRAWS, M, n_out)
    bands = {"": drive.shown(spec, f)} | ({"critic_": f[..., 1]} if spec.drive == "players" else {})
    out: dict[str, tuple] = {}
    for name, values in bands.items():
        low, high = _quantiles(values, 0.1, 0.9)
        out[f"{name}low"] = ("times", "gamma"), low, f"10 % of {DRAWS} draws of f_0"
        out[f"{name}high"] = ("times", "gamma"), high, f"90 % of {DRAWS} draws of f_0"
    return labelled(**out)


def _quantiles(values: Tensor, *shares: float) -> list[np.ndarray]:
    """Quantiles over the second dimension, as `np.quantile`, which takes several times as long as to sort."""
    found, last = np.sort(values.numpy(), axis=1), values.shape[1] - 1
    at = [(int(share * last), share * last % 1) for share in shares]
    return [found[:, k] + part * (found[:, min(k + 1, last)] - found[:, k]) for k, part in at]


def _path(spec: Spec, limit: Limit, f_0: Tensor, times: tuple[float, ...]) -> Path:
    """The limit from one f_0 (N, n_out), or from draws (S, N, n_out)."""
    tolerance, budget = (TOLERANCE, BUDGET) if f_0.ndim == 2 else (DRAWN, DRAWN_BUDGET)
    points = training_set(spec)
    X, y = torch.from_numpy(data.circle(points.gamma)), torch.from_numpy(points.targets)
    direction = drive.direction_of(spec)
    try:
        if direction is None:
            return kernel_descent(limit.train, y, f_0, times, drive.cost_of(spec), tolerance, budget)
        return direction_descent(limit.train, direction, y, X, f_0, times, tolerance, budget)
    except RuntimeError as error:
        field, cure = ("direction", "another one") if spec.drive == "direction" else ("drive", "smaller weights")
        raise ValueError(f"{field}: {error}; choose {cure}, or a shorter time") from error


def _with_neighbours(times: tuple[float, ...], largest: float) -> tuple[float, ...]:
    """Three times for each: itself between a moment before and one after; at t = 0, itself and two moments after."""
    first = MOMENT / max(largest, 1e-12)
    first = min(first, times[1] / 4) if len(times) > 1 else first
    out = [0.0, first, 2 * first]
    for t in times[1:]:
        out += [t * (1 - MOMENT), t, t * (1 + MOMENT)]
    return tuple(out)


def _decrease(value: Tensor, times: tuple[float, ...]) -> Tensor:
    """-dC/dt at every time (T,), from the cost (3 T,) at it and its neighbours: differences of second order."""
    C, t = value.reshape(-1, 3), torch.tensor(times, dtype=torch.float64).reshape(-1, 3)
    out = (C[:, 0] - C[:, 2]) / (t[:, 2] - t[:, 0])
    out[0] = (3 * C[0, 0] - 4 * C[0, 1] + C[0, 2]) / (t[0, 2] - t[0, 0])
    return out


def _powers(spec: Spec, limit: Limit, path: Path, y: Tensor, at: np.ndarray) -> Tensor:
    """<C', d>_K at these moments of a path."""
    X, f = data.circle(training_set(spec).gamma), path.f[at]
    kernel = torch.kron(limit.train, torch.eye(spec.n_out, dtype=y.dtype))
    if spec.has_cost:  # which does not know the time
        d = drive.directed(spec, f, y, X, 0.0)
    else:
        d = torch.stack([drive.directed(spec, g, y, X, path.times[k]) for g, k in zip(f, at, strict=True)])
    return drive.power(spec, kernel, f, y, d)


def _of(spec: Spec) -> Limit:
    net = common.net_of(spec)
    driving = choice.driving(spec, common.limit_of(net, 2))
    return _cached_limit(net, spec.n_train, spec.angles, spec.n_out, driving)


@lru_cache(maxsize=8)
def _cached_limit(net: common.Net, n_train: int, angles: int, n_out: int, driving: Kernel | None) -> Limit:
    X, grid = data.circle(data.even_angles(n_train)), data.circle(data.angle_grid(angles))
    everywhere = torch.from_numpy(np.concatenate([X, grid]))
    kernels = limiting_kernels(common.limit_of(net, 2), everywhere)
    values, modes = eigh(kernels.nngp)
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal((DRAWS, len(everywhere), n_out)))
    draws = (modes * values.clamp_min(0.0).sqrt()) @ noise
    columns = kernels.ntk[:, :n_train] if driving is None else driving(everywhere, everywhere[:n_train])
    train = columns[:n_train]
    largest = float(eigvalsh(train)[-1]) / n_train
    return Limit(train, columns[n_train:], draws, largest)
