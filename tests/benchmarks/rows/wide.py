"""Networks and data sets that are too large to write down."""

from __future__ import annotations

import time as clock
from typing import Any

import numpy as np
import torch

from ntk_core import Architecture, InfiniteEnsemble, data, principal_components
from ntk_core.limit.kernels import KernelOperator
from ntk_core.limit.spectrum import nystroem
from ntk_core.rules import GradientDescent
from ntk_core.runs.lockstep import train_together
from ntk_core.runs.spec import TrainingSpec
from tests.benchmarks.child import measure
from tests.benchmarks.framework import Context, row
from tests.benchmarks.results import Check, Comparison

MEMORY = 20.0  # GB that width 1,000,000 may take


@row("width-1000000", "peers", "width 1,000,000 (2*10^12 parameters), 4 points, t = 1,000, one seed", "nothing can")
def million(context: Context) -> Comparison:
    """In a process of its own, for its peak memory; f is held against the infinite limit from the same start."""
    width, time = context.pick((1_000_000, 1000), (20_000, 40))
    limit = {"NTK_MEMORY_LIMIT": f"{MEMORY:g}GB"}
    found = measure(f"{__name__}:train_wide", context.cores, limit, width=width, time=time)
    checks = (
        Check("peak memory, GB", found["peak"] / 1e9, MEMORY),
        Check("distance of f to the limit's dynamics over the change of f", found["distance"]),
    )
    return Comparison((found["seconds"],), checks=checks, notes=(f"{found['leaps']} leaps", "one sample"))


@row("components-60000", "peers", "5 principal components of 60,000 x 784 points, L = 4", "nothing can", slow=True)
def components(context: Context) -> Comparison:
    """The matrix would take 29 GB; it is never written down."""
    points, n_in = context.pick((60_000, 784), (1500, 50))
    found = measure(f"{__name__}:leading_components", context.cores, points=points, n_in=n_in)
    checks = (Check("residual over the largest eigenvalue", found["residual"], 1e-6),)
    values = ", ".join(f"{v:.3g}" for v in found["values"])
    peak = f"peak memory {found['peak'] / 1e9:.2g} GB"
    notes = (f"{found['products']} products with the kernel", f"eigenvalues {values}", peak, "one sample")
    return Comparison((found["seconds"],), checks=checks, notes=notes)


def train_wide(width: int, time: float) -> dict[str, Any]:
    """Figure 2's four points at one width: seconds, leaps, distance of f_t to the limit's on the four points."""
    gamma, y = data.paper_points()
    X = data.circle(gamma)
    spec = TrainingSpec(experiment="bench", widths=(width,), seeds=1, time=time, snapshots=2, device="cpu")
    start = clock.perf_counter()
    f = []
    for update in train_together(spec, X, y, n_in=2):
        f.append(update.outputs[0, :, 0].double())
    seconds = clock.perf_counter() - start
    arch = Architecture(spec.depth, 1, spec.activation, spec.beta, n_in=2)
    limit = _limit_path(arch, X, torch.from_numpy(y), f[0], time)
    distance = float((f[-1] - limit).norm() / (f[-1] - f[0]).norm())
    return {"seconds": seconds, "leaps": int(update.state.leaps[0]), "distance": distance}


def leading_components(points: int, n_in: int, count: int = 5) -> dict[str, Any]:
    """Made points; seconds, products, residual, eigenvalues."""
    X = picture_like(points, n_in, 0)
    arch = Architecture(depth=4, n_in=n_in)
    seen: list[tuple[int, float]] = []
    start = clock.perf_counter()
    first = nystroem(arch, torch.from_numpy(X), count + 4, points=min(2000, points // 2))
    operator = KernelOperator(arch, X)
    found = principal_components(operator, count, start=first, progress=lambda n, residual: seen.append((n, residual)))
    seconds = clock.perf_counter() - start
    products, residual = seen[-1]
    return {"seconds": seconds, "products": products, "residual": residual, "values": found.values.tolist()}


def picture_like(points: int, n_in: int, seed: int) -> np.ndarray:
    """Gaussian points (N, n_in) whose variances fall like those of pictures, with a mean square of 1."""
    scale = np.arange(1, n_in + 1) ** -0.75
    return np.random.default_rng(seed).standard_normal((points, n_in)) * (scale / np.sqrt((scale**2).mean()))


def _limit_path(arch: Architecture, X: np.ndarray, y: torch.Tensor, f_0: torch.Tensor, time: float) -> torch.Tensor:
    """f on the training points after gradient descent of rate 1 in the infinite limit, from f_0."""
    ensemble = InfiniteEnsemble(arch, X, y, GradientDescent(1.0))
    return y + ensemble.modes @ (ensemble.decay(time) * (ensemble.modes.mT @ (f_0 - y)))
