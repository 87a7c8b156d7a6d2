"""Random functions as features (section 3.1): P functions drawn from GP(0, K), and the kernel that they approximate.

The model f_theta = P^(-1/2) sum_p theta_p f^(p) has the constant tangent kernel K~ = (1/P) sum_p f^(p) f^(p)^T.
Training theta is kernel gradient descent with K~, and as P grows it becomes kernel gradient descent with K.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from ntk_core import data
from ntk_core.runs.arrays import Labelled, labelled
from ntk_core.runs.spec import ActivationName, ExperimentSpec
from ntk_core.runs.theory import Theory

if TYPE_CHECKING:
    from torch import Tensor

ANGLES = 97  # of the curves, from -pi to pi; the middle one is x0
COUNTS = (4, 8, 16, 32, 64, 128, 256, 512, 1024)  # numbers of functions in the picture of convergence
DRAWS = 10  # at each of them

Net = tuple[int, str, float, float]  # depth, activation, beta, w_std
Points = Literal["paper", "even"]
Target = Literal["product", "sine", "cosine_3", "square", "bump"]  # the names of data.TARGETS


class Spec(ExperimentSpec):
    """Defaults are figure 2's task, learned by a hundred functions of the tangent kernel's Gaussian process."""

    experiment: Literal["random_functions"] = "random_functions"
    functions: int = Field(100, ge=1, le=4096, description="P, how many random functions")
    kernel: Literal["ntk", "nngp", "rbf", "matern"] = Field("ntk", description="K, the kernel they are drawn from")
    depth: int = Field(4, ge=1, le=32)
    activation: ActivationName = "relu"
    beta: float = Field(0.1, ge=0, le=2)
    w_std: float = Field(1.0, ge=0.05, le=3, description="standard deviation of the weights; the paper's is 1")
    length: float = Field(1.0, ge=0.05, le=10, description="length scale of rbf and matern")
    points: Points = Field("paper", description="the paper's four points, or evenly spaced ones")
    n_train: int = Field(8, ge=1, le=64, description="how many even points")
    target: Target = Field("product", description="target at the even points")
    time: float = Field(400.0, gt=0, le=1e6, description="time t of gradient flow")
    snapshots: int = Field(33, ge=2, le=100, description="moments in time, t = 0 included")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="draws the functions")

    @property
    def times(self) -> tuple[float, ...]:
        """Moments from 0 to `time`, denser at the start where everything moves."""
        last = self.snapshots - 1
        return tuple(self.time * (j / last) ** 2 for j in range(self.snapshots))


def training_set(spec: Spec) -> tuple[data.Floats, data.Floats]:
    """Angles (N,) and targets (N,)."""
    if spec.points == "paper":
        return data.paper_points()
    gamma = data.even_angles(spec.n_train)
    return gamma, data.circle_target(spec.target, gamma)


def theory(spec: Spec) -> Theory:
    """Both kernels seen from x0, both paths on the circle, and the error of K~ against P."""
    from ntk_core.limit import random_functions as model

    train_gamma, y = training_set(spec)
    N, source = len(y), (spec.kernel, (spec.depth, spec.activation, spec.beta, spec.w_std), spec.length)
    K = _kernel_matrix(*source, tuple(train_gamma))
    F = model.draw(K, spec.functions, spec.seed)
    paths = model.learn(F, K, y, spec.times)
    approximate = model.tangent_kernel(F)
    x0 = N + ANGLES // 2
    gap = (paths.random - paths.kernel)[:, N:].square().mean(1).sqrt()
    arrays = labelled(
        gamma=(("gamma",), data.angle_grid(ANGLES), "angle of x", "rad"),
        kernel=(("gamma",), K[x0, N:].numpy(), "K(x0, x)"),
        approximate=(("gamma",), approximate[x0, N:].numpy(), "K~(x0, x)"),
        function=(("shown", "gamma"), F[N:, :3].mT.numpy(), "the first of the random functions"),
        times=(("times",), spec.times, "time t of gradient flow", "1"),
        random_path=(("times", "gamma"), paths.random[:, N:].numpy(), "f_theta(t)"),
        kernel_path=(("times", "gamma"), paths.kernel[:, N:].numpy(), "kernel gradient descent with K"),
        gap=(("times",), gap.numpy(), "root mean square over the circle of the difference of the paths"),
        train_gamma=(("point",), train_gamma),
        train_y=(("point",), y),
        **_convergence(*source),
    )
    circle = slice(N, None)
    info = {
        "error": _error(approximate[circle, circle], K[circle, circle]),
        "expected": model.expected_error(K[circle, circle], spec.functions),
    }
    return Theory(arrays, info)


@lru_cache(maxsize=16)
def _kernel_matrix(name: str, net: Net, length: float, train_gamma: tuple[float, ...]) -> Tensor:
    """K on the training points and then on the grid, (N + ANGLES, N + ANGLES)."""
    from ntk_core.architecture import Architecture
    from ntk_core.limit.kernel_choice import named

    depth, activation, beta, w_std = net
    arch = Architecture(depth, 1, activation, beta, w_std=w_std)
    X = data.circle(np.concatenate([train_gamma, data.angle_grid(ANGLES)]))
    return named(name, arch, length=length)(X)


@lru_cache(maxsize=16)
def _convergence(name: str, net: Net, length: float) -> dict[str, Labelled]:
    """|K~ - K| / |K| on the circle for several draws at every P, and its exact root mean square over all draws."""
    from ntk_core.limit.random_functions import expected_error

    K = _kernel_matrix(name, net, length, ())
    return labelled(
        count=(("count",), COUNTS, "number of functions P", "1"),
        error=(("draw", "count"), _errors(K), "|K~ - K| / |K|, Frobenius norm"),
        expected_error=(("count",), [expected_error(K, P) for P in COUNTS], "its exact root mean square"),
    )


def _errors(K: Tensor) -> np.ndarray:
    from ntk_core.limit.random_functions import root, tangent_kernel

    found, R = np.empty((DRAWS, len(COUNTS))), root(K)
    for seed in range(DRAWS):
        F = R @ _noise(len(K), COUNTS[-1], seed)
        found[seed] = [_error(tangent_kernel(F[:, :P]), K) for P in COUNTS]
    return found


@lru_cache(maxsize=DRAWS)
def _noise(M: int, P: int, seed: int) -> Tensor:
    """Whatever the kernel, the same numbers."""
    from ntk_core.limit.random_functions import noise

    return noise(M, P, seed)


def _error(approximate: Tensor, K: Tensor) -> float:
    return float((approximate - K).norm() / K.norm())
