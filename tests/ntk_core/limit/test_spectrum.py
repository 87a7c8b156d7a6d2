"""Principal components: dense against iteration, and the eigenvalues of the paper's figure 3."""

import numpy as np
import pytest
import torch

from ntk_core import Architecture, data, limiting_kernels, principal_components
from ntk_core.data import digits
from ntk_core.limit.kernels import KernelOperator
from ntk_core.limit.spectrum import nystroem


class Counted:
    """A matrix seen only through products, which are counted."""

    def __init__(self, K):
        self.K, self.shape, self.products = K, tuple(K.shape), 0

    def matvec(self, V):
        self.products += 1
        return self.K @ V


@pytest.fixture(scope="module")
def batch():
    return digits.batch(200, seed=1).inputs


@pytest.fixture(scope="module")
def kernel(batch):
    return limiting_kernels(Architecture(depth=4, activation="relu", beta=0.1, n_in=784), batch).ntk


def by_numpy(K, k):
    values, vectors = np.linalg.eigh(K.numpy() / len(K))
    return values[::-1][:k], vectors[:, ::-1][:, :k]


def test_dense_is_the_eigendecomposition_of_k_over_n(kernel):
    values, functions = principal_components(kernel, 5)
    expected, vectors = by_numpy(kernel, 5)
    np.testing.assert_allclose(values, expected, rtol=1e-10)
    np.testing.assert_allclose(functions.square().mean(0), np.ones(5), rtol=1e-12)
    overlap = np.abs(vectors.T @ functions.numpy()) / np.sqrt(200)
    np.testing.assert_allclose(overlap, np.eye(5), atol=1e-9)


def test_iteration_equals_dense(kernel):
    dense = principal_components(kernel, 6)
    found = principal_components(Counted(kernel), 6, tolerance=1e-11)
    torch.testing.assert_close(found.values, dense.values, rtol=1e-10, atol=0)
    torch.testing.assert_close(found.functions, dense.functions, rtol=0, atol=1e-7)


def test_iteration_without_the_matrix(batch, kernel):
    operator = KernelOperator(Architecture(depth=4, activation="relu", beta=0.1, n_in=784), batch)
    values, functions = principal_components(operator, 3, tolerance=1e-10)
    dense = principal_components(kernel, 3)
    torch.testing.assert_close(values, dense.values, rtol=1e-9, atol=0)
    torch.testing.assert_close(functions, dense.functions, rtol=0, atol=1e-6)


def test_restarts_keep_converging(kernel, monkeypatch):
    monkeypatch.setattr("ntk_core.limit.spectrum.MAX_BASIS", 12)
    found = principal_components(Counted(kernel), 2, tolerance=1e-10)
    torch.testing.assert_close(found.values, principal_components(kernel, 2).values, rtol=1e-9, atol=0)


def test_progress_falls_to_the_tolerance_and_is_called_once_a_product(kernel):
    counted, seen = Counted(kernel), []
    principal_components(counted, 3, tolerance=1e-8, progress=lambda n, r: seen.append((n, r)))
    assert [n for n, _ in seen] == list(range(1, counted.products + 1))
    assert seen[-1][1] <= 1e-8 < seen[-2][1]
    assert seen[0][1] > seen[-1][1]


def test_nystroem_start_saves_products(batch, kernel):
    arch = Architecture(depth=4, activation="relu", beta=0.1, n_in=784)
    X = torch.from_numpy(batch)
    whole = nystroem(arch, X, 3, points=200)
    exact = principal_components(kernel, 3).functions
    assert float((whole.mT @ exact / 200).abs().diagonal().min()) == pytest.approx(1.0, abs=1e-9)
    cold, warm = Counted(kernel), Counted(kernel)
    principal_components(cold, 3, tolerance=1e-4)
    principal_components(warm, 3, tolerance=1e-4, start=nystroem(arch, X, 7, points=120))
    assert warm.products < cold.products


def test_beyond_the_rank_of_the_kernel_nothing_is_extended():
    """Two layers without biases, linear: the rank is the dimension of the inputs."""
    arch = Architecture(depth=2, activation="identity", beta=0.0, n_in=3)
    X = torch.from_numpy(np.random.default_rng(0).standard_normal((50, 3)))
    found = nystroem(arch, X, 8, points=30)
    assert found.shape == (50, 3)
    K = limiting_kernels(arch, X).ntk
    exact = principal_components(K, 3).functions
    torch.testing.assert_close(found @ torch.linalg.pinv(found) @ exact, exact, rtol=0, atol=1e-10)
    assert float(found.abs().max()) < 10
    warm = Counted(K)
    principal_components(warm, 3, start=found)
    assert warm.products <= 2
    assert nystroem(arch, torch.zeros(5, 3, dtype=torch.float64), 2).shape == (5, 0)


def test_no_convergence_is_an_error_with_the_residual(kernel):
    with pytest.raises(RuntimeError, match=r"no convergence after 2 products; the residual is \d\.\de-\d+"):
        principal_components(Counted(kernel), 5, tolerance=1e-12, max_products=2)


def test_low_rank_and_zero_kernels():
    u = torch.linspace(-1, 1, 30, dtype=torch.float64)
    for K in (torch.outer(u, u), torch.zeros(30, 30, dtype=torch.float64)):
        for kernel in (K, Counted(K)):
            values, functions = principal_components(kernel, 4)
            expected = [float(K.diagonal().sum()) / 30, 0, 0, 0]
            np.testing.assert_allclose(values, expected, atol=1e-14)
            np.testing.assert_allclose(functions.mT @ functions / 30, np.eye(4), atol=1e-12)


def test_all_components_by_iteration():
    K = torch.diag(torch.tensor([3.0, 1.0, 2.0], dtype=torch.float64))
    values, functions = principal_components(Counted(K), 3)
    np.testing.assert_allclose(values, [1.0, 2 / 3, 1 / 3], rtol=1e-12)
    np.testing.assert_allclose(functions / 3**0.5, [[1, 0, 0], [0, 0, 1], [0, 1, 0]], atol=1e-12)


def test_signs_do_not_depend_on_the_route(kernel):
    first = principal_components(kernel, 4).functions
    largest = first.gather(0, first.abs().argmax(0)[None])[0]
    assert bool((largest > 0).all())
    again = principal_components(Counted(kernel), 4, tolerance=1e-11, seed=99).functions
    torch.testing.assert_close(first, again, rtol=0, atol=1e-6)


def test_permuting_the_points_permutes_the_functions(kernel):
    order = torch.from_numpy(np.random.default_rng(0).permutation(200))
    values, functions = principal_components(kernel[order][:, order], 3)
    straight = principal_components(kernel, 3)
    torch.testing.assert_close(values, straight.values)
    torch.testing.assert_close(functions, straight.functions[order], rtol=0, atol=1e-8)


def test_components_on_the_circle_are_fourier_modes():
    """Eigenvalues measured on the circle (relu, beta 0.1, four weight matrices), each but the first twice."""
    X = data.circle(data.even_angles(400))
    values, functions = principal_components(limiting_kernels(Architecture(4, 1, "relu", 0.1, 2), X).ntk, 11)
    np.testing.assert_allclose(values[0], 0.12346, rtol=1e-3)
    for frequency, expected in enumerate([0.04353, 0.01775, 0.0060, 0.0032, 0.00175], start=1):
        np.testing.assert_allclose(values[2 * frequency - 1 : 2 * frequency + 1], expected, rtol=0.01)
    np.testing.assert_allclose(functions[:, 0], np.ones(400), atol=1e-9)


MEASURED = {
    4: ((0.0515, 0.0005), (0.00185, 0.00011), (0.00144, 0.00007)),
    5: ((0.0457, 0.0003), (0.00112, 0.00009), (0.00085, 0.00003)),
}


def digit_eigenvalues(depth, seed, beta=0.1):
    X = digits.batch(512, seed=seed).inputs
    return principal_components(limiting_kernels(Architecture(depth, 1, "relu", beta, 784), X).ntk, 3).values


@pytest.mark.parametrize("depth", MEASURED)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_figure_3_eigenvalues(depth, seed):
    """512 digits; mean and deviation over random batches, where five weight matrices give the paper's 0.0457."""
    for value, (mean, std) in zip(digit_eigenvalues(depth, seed), MEASURED[depth], strict=True):
        assert abs(float(value) - mean) < 3 * std


def test_figure_3_footnote_on_beta():
    """With beta = 1 the gap lambda_1 / lambda_2 is 13.6 times as large ("about ten times", says the paper)."""
    small, large = digit_eigenvalues(5, 0), digit_eigenvalues(5, 0, beta=1.0)
    assert float(large[0] / large[1] / (small[0] / small[1])) == pytest.approx(13.6, rel=0.05)


@pytest.mark.parametrize("k", [0, -1, 201, 2.0, True])
def test_bad_k_is_named(kernel, k):
    with pytest.raises(ValueError, match=r"^k: must be a whole number between 1 and 200"):
        principal_components(kernel, k)


def test_bad_kernels_are_named(kernel):
    with pytest.raises(ValueError, match=r"^kernel: a square matrix"):
        principal_components(kernel[:10], 2)
    broken = kernel.clone()
    broken[3, 3] = float("nan")
    for form in (broken, Counted(broken)):
        with pytest.raises(ValueError, match=r"^kernel: "):
            principal_components(form, 2)
    with pytest.raises(ValueError, match=r"^start: shape \(200, k\)"):
        principal_components(Counted(kernel), 2, start=torch.ones(10, 2))


def test_an_asymmetric_matrix_is_refused():
    kernel = np.eye(4)
    kernel[0, 1] = 0.5
    with pytest.raises(ValueError, match=r"^kernel: a symmetric matrix is needed, got entries that differ .* by 0.5"):
        principal_components(kernel, 2)


@pytest.mark.parametrize("size", [1e-9, 1e9])
def test_the_tolerance_is_relative_and_a_millionth_unless_told(kernel, size):
    """In units of the largest eigenvalue: a kernel of other units takes the same products to the same digits."""
    seen = []
    values, _ = principal_components(size * kernel, 3)
    plain, scaled = Counted(kernel), Counted(size * kernel)
    principal_components(plain, 3)
    found = principal_components(scaled, 3, progress=lambda n, r: seen.append(r))
    assert seen[-1] <= 1e-6
    rest = size * kernel @ found.functions / len(kernel) - found.functions * found.values
    assert (rest.square().mean(0).sqrt() <= 2e-6 * found.values[0]).all()
    torch.testing.assert_close(found.values, values, rtol=1e-6, atol=0)
