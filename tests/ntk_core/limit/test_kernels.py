"""The limiting kernels: an independent library's numbers, the paper's, measured laws, properties of every kernel."""

from __future__ import annotations

import math
import os
import signal
import time
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ntk_core import Architecture, activations, limiting_kernels, threads
from ntk_core.activations.known_names import ACTIVATIONS
from ntk_core.limit import tiles
from ntk_core.limit.arc_cosine import ArcCosine
from ntk_core.limit.kernels import KernelOperator
from ntk_core.limit.recursion import Recursion
from tests.oracles import oracle
from tests.oracles_limit import limiting_kernels_by_definition

DEPTHS = (1, 2, 3, 5)


def _arch(depth: int, n_in: int = 2, **fields: Any) -> Architecture:
    return Architecture(depth=depth, n_in=n_in, **fields)


def _circle(count: int) -> np.ndarray:
    gamma = np.arange(count) * 2 * np.pi / count
    return np.stack([np.cos(gamma), np.sin(gamma)], axis=1)


def _points(count: int, n_in: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, n_in))


def _oracle_cases() -> dict[str, list[dict[str, Any]]]:
    cases = defaultdict(list)
    for case in oracle()["limit"]:
        cases[case["activation"]].append(case)
    return cases


def _named(name: str) -> Any:
    return activations.leaky_relu(0.2) if name == "leaky_relu_0.2" else name


def test_there_are_360_oracle_cases() -> None:
    assert sum(map(len, _oracle_cases().values())) == 360


@pytest.mark.parametrize("name", sorted(_oracle_cases()))
def test_kernels_agree_with_an_independent_library(name: str) -> None:
    for case in _oracle_cases()[name]:
        X = np.array(oracle()["inputs"][case["inputs"]])
        kernels = limiting_kernels(_arch(case["depth"], X.shape[1], activation=_named(name), beta=case["beta"]), X)
        for kernel, expected in ((kernels.nngp, case["nngp"]), (kernels.ntk, case["ntk"])):
            assert kernel.dtype == torch.float64
            np.testing.assert_allclose(kernel.numpy(), np.array(expected), rtol=1e-7, atol=1e-14)
            if name == "relu":
                np.testing.assert_allclose(np.diag(kernel.numpy()), np.diag(np.array(expected)), rtol=1e-12)


@pytest.mark.parametrize("name", activations.names())
def test_the_tiled_recursion_is_the_recursion(name: str) -> None:
    """Every pair of points on its own, through the public duals."""
    sigma = activations.get(name)
    X, X2 = _points(4, 3), _points(3, 3, seed=1)
    kernels = limiting_kernels(_arch(3, 3, activation=name, beta=0.3), X, X2)

    def number(f: Any) -> Any:
        return lambda *values: float(f(*values))

    for i, x in enumerate(X):
        for j, y in enumerate(X2):
            expected = limiting_kernels_by_definition(number(sigma.dual), number(sigma.dual_derivative), x, y, 3, 0.3)
            assert [float(k[i, j]) for k in kernels] == pytest.approx(expected, rel=1e-9, abs=1e-10)


NORMS = {
    "one norm": [[1.0, 0.0], [0.0, 1.0], [-0.6, 0.8]],
    "mixed": [[0.3, 0.2], [2.0, 1.0], [0.0, -1.0]],
    "duplicates": [[0.3, 0.2], [2.0, 1.0], [0.3, 0.2]],
}


@pytest.mark.filterwarnings("error:.*resized:UserWarning")  # an output that torch resizes is no view of the tile
@pytest.mark.parametrize("depth", [2, 3, 4])
@pytest.mark.parametrize("name", ["relu", "abs", "leaky_relu", "step", "erf", "tanh"])
def test_points_of_one_norm_or_of_several_on_either_side(name: str, depth: int) -> None:
    """Pair by pair, with sides whose variances are shared or not."""
    arch, sigma = _arch(depth, activation=name, beta=0.7), activations.get(name)

    def number(f: Any) -> Any:
        return lambda *values: float(f(*values))

    for left in NORMS.values():
        for right in (NORMS["one norm"], NORMS["mixed"]):
            kernels = limiting_kernels(arch, left, right)
            for i, x in enumerate(left):
                for j, y in enumerate(right):
                    expected = limiting_kernels_by_definition(
                        number(sigma.dual), number(sigma.dual_derivative), x, y, depth, 0.7
                    )
                    # Where the slope bends, an error e of a correlation near 1 is one of sqrt(e) in the slope's dual.
                    assert [float(k[i, j]) for k in kernels] == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("w_std", [0.5, 1.7])
@pytest.mark.parametrize("name", ["relu", "abs", "leaky_relu", "erf", "tanh", "selu"])
def test_the_weights_deviation_goes_through_every_layer(name: str, w_std: float) -> None:
    """Both recursions, coincident points and the diagonal included, and the operator."""
    sigma, X = activations.get(name), _points(3, 3)
    arch = _arch(4, 3, activation=name, beta=1.0, w_std=w_std)
    X = np.vstack([X, X[:1]])
    kernels = limiting_kernels(arch, X)

    def number(f: Any) -> Any:
        return lambda *values: float(f(*values))

    for i, j in ((0, 0), (0, 1), (0, 3), (1, 2)):
        expected = limiting_kernels_by_definition(
            number(sigma.dual), number(sigma.dual_derivative), X[i], X[j], 4, 1.0, w_std
        )
        # Where the slope bends, an error e of a correlation near 1 is one of sqrt(e) in the slope's dual.
        assert [float(k[i, j]) for k in kernels] == pytest.approx(expected, rel=1e-7 if (i, j) == (0, 3) else 1e-9)
    for kind, kernel in kernels._asdict().items():
        operator = KernelOperator(arch, X, kind)
        torch.testing.assert_close(operator @ torch.eye(4, dtype=torch.float64), kernel, rtol=1e-7, atol=1e-9)
        torch.testing.assert_close(operator.diagonal(), kernel.diagonal())


@pytest.mark.parametrize("slope", [0.0, -1.0, 0.3, 1.0])
def test_without_biases_a_scale_of_the_weights_is_a_scale_of_the_kernel(slope: float) -> None:
    X, sigma = _points(6, 3), activations.leaky_relu(slope)
    once = limiting_kernels(_arch(4, 3, activation=sigma, beta=0.0), X)
    for scaled, kernel in zip(
        limiting_kernels(_arch(4, 3, activation=sigma, beta=0.0, w_std=1.3), X), once, strict=True
    ):
        torch.testing.assert_close(scaled, 1.3**8 * kernel, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("name", activations.names())
def test_properties_of_every_kernel(name: str, depth: int) -> None:
    arch = _arch(depth, 3, activation=name, beta=0.2)
    X = _points(40, 3)
    for field, kernel in limiting_kernels(arch, X)._asdict().items():
        assert torch.equal(kernel, kernel.T), field
        values = torch.linalg.eigvalsh(kernel)
        assert values[0] > -1e-9 * values[-1], field
        order = np.random.default_rng(1).permutation(len(X))
        permuted = getattr(limiting_kernels(arch, X[order]), field)
        torch.testing.assert_close(permuted, kernel[order][:, order], rtol=1e-9, atol=1e-10)
        block = getattr(limiting_kernels(arch, X[:7], X[5:]), field)
        torch.testing.assert_close(block, kernel[:7, 5:], rtol=1e-7, atol=1e-9)
        turned = X @ np.linalg.qr(_points(3, 3, seed=2))[0]
        torch.testing.assert_close(getattr(limiting_kernels(arch, turned), field), kernel, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("beta", [0.0, 0.5])
@pytest.mark.parametrize("name", activations.names())
def test_coincident_opposite_and_zero_inputs(name: str, beta: float) -> None:
    x = np.array([0.6, -0.8, 0.1])
    X = np.stack([x, x, -x, np.zeros(3), x * (1 + 1e-15), 2 * x])
    for depth in (2, 4):
        arch = _arch(depth, 3, activation=name, beta=beta)
        same, other = limiting_kernels(arch, X), limiting_kernels(arch, X, X.copy())
        for a, b in zip(same, other, strict=True):
            assert torch.isfinite(a).all()
            # At beta = 0 a zero input sits on the kink, where the slope of relu is whatever one says it is.
            keep = [0, 1, 2, 4, 5] if beta == 0 else list(range(6))
            # Where the slope bends, an error e of a correlation near 1 is one of sqrt(e) in the slope's dual.
            rtol = 1e-6 if name in ("elu", "selu") else 1e-7
            torch.testing.assert_close(a[keep][:, keep], b[keep][:, keep], rtol=rtol, atol=1e-9)
            torch.testing.assert_close(a[0, 0], a[0, 1], rtol=rtol, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    scale=st.floats(0.01, 100),
    depth=st.integers(1, 6),
    slope=st.sampled_from([0.0, -1.0, 0.2, 1.0]),
    n=st.integers(2, 6),
)
def test_homogeneous_activations_scale(scale: float, depth: int, slope: float, n: int) -> None:
    """Without biases Theta(c x, c x') = c^2 Theta(x, x')."""
    arch = _arch(depth, n, activation=activations.leaky_relu(slope), beta=0.0)
    X = _points(6, n, seed=n)
    for large, small in zip(limiting_kernels(arch, scale * X), limiting_kernels(arch, X), strict=True):
        torch.testing.assert_close(large, scale**2 * small, rtol=1e-9, atol=1e-12 * scale**2)


def test_linear_networks_have_their_known_kernel() -> None:
    """Without biases Sigma_L = Sigma_1 and Theta_L = L Sigma_1."""
    X = _points(5, 4)
    nngp, ntk = limiting_kernels(_arch(4, 4, activation="identity", beta=0.0), X)
    np.testing.assert_allclose(nngp.numpy(), X @ X.T / 4, atol=1e-14)
    np.testing.assert_allclose(ntk.numpy(), X @ X.T, atol=1e-14)


def test_blocks_and_threads_change_nothing() -> None:
    """Many blocks against one block: 500 points, and their first 60 alone."""
    X = _points(500, 5)
    for name in ("relu", "leaky_relu", "tanh", "elu", "erf"):
        arch = _arch(3, 5, activation=name)
        whole, part = limiting_kernels(arch, X), limiting_kernels(arch, X[:60])
        for a, b in zip(whole, part, strict=True):
            torch.testing.assert_close(a[:60, :60], b, rtol=1e-9, atol=1e-10)
        again = limiting_kernels(arch, X)
        assert all(torch.equal(a, b) for a, b in zip(whole, again, strict=True))


@pytest.mark.parametrize("name", ["relu", "tanh", "selu"])
def test_threads_find_what_one_thread_finds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, arch = _points(500, 5), _arch(4, 5, activation=name)
    found = []
    for pairs in (0, X.shape[0] ** 2):
        for kind in (Recursion, ArcCosine):
            monkeypatch.setattr(kind, "alone_up_to", pairs)
        found.append(limiting_kernels(arch, X))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize(
    "activation",
    ["tanh", "softplus", "elu", "selu", activations.custom(lambda z: torch.relu(z - 0.3), name="late relu")],
)
def test_many_norms_share_what_few_norms_need_each(activation: Any) -> None:
    """Coefficients of many variances are interpolated, those of twelve are not."""
    X, arch = _points(100, 5), _arch(3, 5, activation=activation)
    for a, b in zip(limiting_kernels(arch, X), limiting_kernels(arch, X[:12]), strict=True):
        torch.testing.assert_close(a[:12, :12], b, rtol=1e-11, atol=1e-12)


def test_points_of_one_norm_agree_with_points_of_many() -> None:
    """The short cut for one variance against the general route, which one longer point brings about."""
    X = _circle(50)
    for name in ("relu", "tanh", "elu", "silu"):
        arch = _arch(4, activation=name)
        for short, general in zip(
            limiting_kernels(arch, X), limiting_kernels(arch, np.vstack([X, [[1.0, 1.0]]])), strict=True
        ):
            torch.testing.assert_close(short, general[:50, :50], rtol=1e-9, atol=1e-10)


# The paper and measured laws.


def test_figure_1_of_the_paper() -> None:
    X = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    ntk = limiting_kernels(_arch(4), X[:1], X).ntk[0]
    np.testing.assert_allclose(ntk.numpy(), [0.2825, 0.0927, 0.06435], atol=5e-5)


def test_the_diagonal_by_depth() -> None:
    x = np.array([[1.0, 0.0]])
    expected = [0.51, 0.52, 0.4025, 0.2825, 0.191875]
    for depth, value in enumerate(expected, 1):
        assert float(limiting_kernels(_arch(depth), x).ntk) == pytest.approx(value, rel=1e-12)
    assert float(limiting_kernels(_arch(4), x).nngp) == pytest.approx(0.08125, rel=1e-12)


def _fourier(kernel: Tensor) -> np.ndarray:
    """Eigenvalues of the kernel on the circle by frequency: of K/N, a circulant matrix."""
    return np.fft.rfft(kernel[0].numpy()).real / len(kernel)


def test_fourier_eigenvalues_on_the_circle() -> None:
    nngp, ntk = map(_fourier, limiting_kernels(_arch(4), _circle(4096)[:, :]))
    np.testing.assert_allclose(ntk[:6], [0.12346, 0.04353, 0.01775, 0.0060, 0.0032, 0.00175], atol=6e-5)
    k = np.arange(20, 120)
    for eigenvalues, slope in ((ntk, -2.0), (nngp, -4.0)):
        assert np.polyfit(np.log(k), np.log(eigenvalues[k]), 1)[0] == pytest.approx(slope, abs=0.15)


def test_without_biases_two_layers_see_no_odd_frequency() -> None:
    X = _circle(256)
    odd = np.arange(3, 40, 2)
    assert np.abs(_fourier(limiting_kernels(_arch(2, beta=0.0), X).ntk)[odd]).max() < 1e-15
    assert _fourier(limiting_kernels(_arch(2, beta=0.1), X).ntk)[odd].min() > 1e-8
    assert _fourier(limiting_kernels(_arch(3, beta=0.0), X).ntk)[odd].min() > 1e-8


# Without the matrix.


@pytest.mark.parametrize("kind", ["ntk", "nngp"])
@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_operator_agrees_with_the_matrix(name: str, kind: str) -> None:
    X = _points(1100, 4)
    arch = _arch(3, 4, activation=name)
    K = getattr(limiting_kernels(arch, X), kind)
    operator = KernelOperator(arch, X, kind)
    assert operator.shape == (1100, 1100)
    V = torch.from_numpy(_points(1100, 3, seed=1))
    torch.testing.assert_close(operator.matmat(V), K @ V, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(operator.matvec(V[:, 0]), K @ V[:, 0], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(operator.diagonal(), K.diagonal())
    assert torch.equal(operator.matvec(V), operator.matvec(V))


def test_operator_reports_progress_and_can_be_stopped() -> None:
    X, seen = _points(1600, 2), []
    KernelOperator(_arch(2), X, progress=seen.append).matvec(np.ones(1600))
    assert len(seen) == 10
    assert seen == sorted(seen)
    assert seen[-1] == 1.0

    def stop(fraction: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        KernelOperator(_arch(2), X, progress=stop).matvec(np.ones(1600))


def test_threads_of_the_caller_are_left_alone() -> None:
    before = torch.get_num_threads()
    limiting_kernels(_arch(2), _points(600, 2))
    assert torch.get_num_threads() == before
    assert set(threads.ordered(lambda _: torch.get_num_threads(), range(8))) == {1}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_has_threads_of_its_own() -> None:
    """The parent's pool is copied without its threads: who waits for it waits for ever."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        expected = list(threads.ordered(lambda k: k * k, range(8)))
        child = os.fork()
        if child == 0:
            os._exit(0 if list(threads.ordered(lambda k: k * k, range(8))) == expected else 1)
        deadline = time.monotonic() + 60
        while (status := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        if status[0] == 0:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    finally:
        torch.set_num_threads(before)
    assert status == (child, 0)


@settings(max_examples=15, deadline=None)
@given(
    name=st.sampled_from(["erf", "gelu", "gaussian", "relu", "tanh", "softplus", "selu"]),
    norm=st.floats(-8, 8).map(lambda x: 10.0**x),
    beta=st.sampled_from([0.0, 1.0]),
)
def test_kernels_of_every_norm_are_positive_and_keep_their_diagonal(name: str, norm: float, beta: float) -> None:
    """gelu's Theta(x, x) was negative at norm 1e6."""
    X = norm * _points(5, 3)
    arch = _arch(3, 3, activation=name, beta=beta)
    for kernel in limiting_kernels(arch, X):
        assert torch.isfinite(kernel).all()
        assert (kernel.diagonal() > 0).all()
        scale = kernel.diagonal().sqrt()
        values = torch.linalg.eigvalsh(kernel / scale / scale[:, None])
        assert float(values[0]) > -1e-9
    for one, other in zip(limiting_kernels(arch, X, X), limiting_kernels(arch, X), strict=True):
        size = other.diagonal().sqrt()
        # Points that coincide come with the rounding of their products, whose root the slope of a bend shows.
        assert float(((one - other) / size / size[:, None]).abs().max()) < 1e-7


def test_waves_that_need_more_digits_than_there_are_are_refused() -> None:
    X = 1e8 * _circle(50)
    with pytest.raises(ValueError, match=r"X: a wave's kernel at variance 5e\+15 needs more digits"):
        limiting_kernels(_arch(3, activation="sin"), X, np.vstack([X, X * (1 + 1e-15)]))
    late = activations.custom(lambda z: torch.tanh(1000 * z), name="steep")
    with pytest.raises(ValueError, match=r"X: the kernel of 'steep' at variance .* needs more digits"):
        limiting_kernels(_arch(2, activation=late, beta=0.0), 1e8 * _circle(6), 1e8 * _circle(6))


def test_a_failing_tile_fails_the_call() -> None:
    def fail(job: int) -> int:
        if job == 3:
            raise ZeroDivisionError
        return job

    with pytest.raises(ZeroDivisionError):
        list(threads.ordered(fail, range(50)))


@pytest.mark.parametrize("size", [1, 7, 256, 1000])
def test_blocks_cover_every_pair_once(size: int) -> None:
    for rows, columns, symmetric in ((20, 31, False), (600, 600, True)):
        count = np.zeros((rows, columns), int)
        for r, c in tiles.blocks(rows, columns, size, symmetric):
            assert max(r.stop - r.start, c.stop - c.start) <= size
            count[r, c] += 1
            if symmetric and r != c:
                count[c, r] += 1
        assert (count == 1).all()


# Inputs.


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("name", ["relu", "tanh", "erf", "step"])
def test_points_so_far_away_that_their_squares_overflow_are_named(name: str, depth: int) -> None:
    near, far = [[1.0, 0.0]], [[1.0, 0.0], [1e160, 0.0]]
    arch = _arch(depth, activation=name)
    for field, call in (
        ("X", lambda: limiting_kernels(arch, far)),
        ("X2", lambda: limiting_kernels(arch, near, far)),
        ("X", lambda: KernelOperator(arch, far)),
    ):
        with pytest.raises(ValueError, match=rf"^{field}: the kernel overflows at points as far from the origin"):
            call()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("norm", [1e-300, 1e-30, 1e20, 1e74, 1e76, 1e153])
@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_any_norm_gets_numbers_or_a_sentence(name: str, norm: float) -> None:
    X = norm * np.array([[1.0, 0.5], [0.3, -1.0], [1e-3, 2.0]])
    kernels: tuple[Tensor, ...] = ()
    said = ""
    try:
        kernels = limiting_kernels(_arch(4, activation=name), X)
    except ValueError as error:
        said = str(error)
    if norm < 1e8:
        assert said == ""
    if norm > 1e75 or said:
        assert said.endswith(" norm")
    for K in kernels:
        assert np.isfinite(K.numpy()).all()
        assert (K == K.T).all()
        assert np.linalg.eigvalsh(K)[0] >= -1e-12 * float(K.max())


@pytest.mark.parametrize("norm", [1e12, 1e20, 1e60])
@pytest.mark.parametrize("name", ["elu", "gelu", "silu", "mish", "softplus"])
def test_what_is_relu_from_afar_has_its_kernels(name: str, norm: float) -> None:
    X = norm * np.array([[1.0, 0.5], [0.3, -1.0], [1e-3, 2.0]])
    mine, relu = limiting_kernels(_arch(3, activation=name), X), limiting_kernels(_arch(3, activation="relu"), X)
    for K, expected in zip(mine, relu, strict=True):
        np.testing.assert_allclose(K, expected, rtol=1e-9)


def test_inputs_of_many_kinds() -> None:
    arch = _arch(2)
    X = [[1.0, 0.0], [0.5, 2.0]]
    expected = limiting_kernels(arch, np.array(X)).ntk
    for form in (X, torch.tensor(X), torch.tensor(X, dtype=torch.float64, requires_grad=True), np.asfortranarray(X)):
        torch.testing.assert_close(limiting_kernels(arch, form).ntk, expected)


@pytest.mark.parametrize(
    ("X", "X2", "sentence"),
    [
        (np.zeros((3, 5)), None, r"X: inputs of shape \(N, 2\) are needed, got \(3, 5\)"),
        (np.zeros(2), None, r"X: inputs of shape \(N, 2\) are needed, got \(2,\)"),
        (np.zeros((0, 2)), None, r"X: inputs of shape \(N, 2\) are needed, got \(0, 2\)"),
        (np.full((2, 2), np.nan), None, "X: every input must be a finite number"),
        (np.ones((2, 2)), np.ones((2, 3)), r"X2: inputs of shape \(N, 2\) are needed, got \(2, 3\)"),
        (np.ones((2, 2)), np.full((2, 2), math.inf), "X2: every input must be a finite number"),
        ([["a", "b"]], None, "X: inputs must be a table of numbers"),
    ],
)
def test_bad_inputs_are_named(X: Any, X2: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        limiting_kernels(_arch(2), X, X2)


def test_bad_vectors_are_named() -> None:
    operator = KernelOperator(_arch(2), _circle(4))
    with pytest.raises(ValueError, match=r"V: 4 rows are needed, got shape \(3,\)"):
        operator.matvec(np.ones(3))
    with pytest.raises(ValueError, match="V: every entry must be a finite number"):
        operator.matvec([1.0, math.nan, 0.0, 0.0])
    with pytest.raises(ValueError, match="kind: must be ntk or nngp"):
        KernelOperator(_arch(2), _circle(4), "both")  # type: ignore[arg-type]
