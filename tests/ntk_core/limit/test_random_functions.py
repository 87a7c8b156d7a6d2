"""Random functions against plain gradient descent on theta, Wick's formula, and the rate P^(-1/2)."""

import math

import numpy as np
import pytest
import torch

from ntk_core import Architecture, InfiniteEnsemble, data
from ntk_core.limit.kernel_functions import NTK
from ntk_core.limit.random_functions import draw, expected_error, learn, tangent_kernel
from ntk_core.rules import GradientDescent

ARCH = Architecture(depth=3, activation="relu", beta=0.1, n_in=2)
GAMMA = np.concatenate([data.even_angles(6), np.linspace(-3, 3, 9)])  # 6 training points first
K = NTK(ARCH)(data.circle(GAMMA))
Y = np.sin(GAMMA[:6])


def test_the_error_is_wicks_and_falls_like_one_over_the_root_of_p():
    counts = np.array([10, 40, 160, 640])
    measured = []
    for P in counts:
        squares = [float((tangent_kernel(draw(K, int(P), s)) - K).square().sum()) for s in range(200)]
        measured.append(math.sqrt(np.mean(squares)) / float(K.norm()))
        relative = np.std(squares) / np.mean(squares) / math.sqrt(200) / 2
        assert measured[-1] == pytest.approx(expected_error(K, int(P)), rel=4.5 * relative)
    assert np.polyfit(np.log(counts), np.log(measured), 1)[0] == pytest.approx(-0.5, abs=0.05)


def test_gradient_descent_on_theta_is_kernel_gradient_descent():
    F = draw(K, 30, seed=1)
    theta = torch.from_numpy(np.random.default_rng(0).standard_normal(30))
    paths = learn(F, K, Y, [0.0, 5.0, 20.0], GradientDescent(0.5), theta)
    J, y, seen = F / math.sqrt(30), torch.from_numpy(Y), []
    kernel = J @ theta
    for step in range(41):
        if step in (0, 10, 40):
            seen.append((theta, J @ theta, kernel))
        theta = theta - 0.5 * J[:6].mT @ (J[:6] @ theta - y) / 6
        kernel = kernel - 0.5 * K[:, :6] @ (kernel[:6] - y) / 6
    for j, (expected_theta, f, g) in enumerate(seen):
        torch.testing.assert_close(paths.theta[j], expected_theta, rtol=0, atol=1e-12)
        torch.testing.assert_close(paths.random[j], f, rtol=0, atol=1e-12)
        torch.testing.assert_close(paths.kernel[j], g, rtol=0, atol=1e-12)


def test_paths_meet_at_the_rate_of_the_kernels():
    counts, gaps = [30, 120, 480, 1920], []
    for P in counts:
        gap = [learn(draw(K, P, s), K, Y, [30.0]) for s in range(40)]
        gaps.append(np.mean([float((p.random - p.kernel).norm()) for p in gap]))
    assert np.polyfit(np.log(counts), np.log(gaps), 1)[0] == pytest.approx(-0.5, abs=0.1)


def test_the_kernels_path_is_the_limits():
    paths = learn(draw(K, 5), K, Y, [0.0, 3.0, 100.0])
    ensemble = InfiniteEnsemble(ARCH, data.circle(GAMMA[:6]), Y)
    for j, t in enumerate(paths.times):
        torch.testing.assert_close(paths.kernel[j], ensemble.at(t, data.circle(GAMMA)).mean, rtol=0, atol=1e-7)


def test_more_functions_begin_with_fewer():
    torch.testing.assert_close(draw(K, 9, 3)[:, :4], draw(K, 4, 3), rtol=0, atol=1e-14)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"^P: must be a whole number between 1 and 1,000,000, got 0"):
        draw(K, 0)
    with pytest.raises(
        ValueError, match=r"^kernel: a kernel is positive semidefinite, this one has the eigenvalue -1 "
    ):
        draw(np.diag([1.0, -1.0]), 3)
    with pytest.raises(ValueError, match=r"^y: functions of shape \(15, 3\)"):
        learn(draw(K, 3), K[:3, :3], Y, [1.0])
    with pytest.raises(ValueError, match=r"^times: every time must be finite"):
        learn(draw(K, 3), K, Y, [math.inf])
    with pytest.raises(ValueError, match=r"^times: 0.7 is not a whole number of steps"):
        learn(draw(K, 3), K, Y, [0.7], GradientDescent(0.5))


def test_what_neither_kernel_sees_stays_unseen_for_all_time():
    """Two functions, and points twice: what is left of the targets does not come back by rounding."""
    rows = [0, 0, 1, 1, 2, 2, *range(6, 15)]
    twice = K[rows][:, rows]
    paths = learn(draw(twice, 2), twice, Y, [1e9, 1e18])
    for path in (paths.random, paths.kernel, paths.theta):
        torch.testing.assert_close(path[1], path[0], rtol=0, atol=1e-9)
