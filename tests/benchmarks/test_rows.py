"""What rows are made of: pipes, the peers' plain code, reference values, verdicts; no timings."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from scipy import integrate

from ntk_core import Architecture, Network
from tests.benchmarks import autograd, frames, reference
from tests.benchmarks.framework import Context, Skip, all_rows
from tests.benchmarks.results import check_numbers
from tests.benchmarks.rows.cuda import on_device
from tests.benchmarks.rows.paper import half_time, verdict
from tests.benchmarks.runs import relative_errors

BESIDE_A_PEER = {
    "relu-kernel", "tanh-kernel", "tangent-peer", "tangent-peer-told", "limit-dynamics", "kernel-ridge", "kernel-flow",
}  # fmt: skip
LONG = {"regression-20000", "tangent-jacrev", "predicted-times", "steps-or-leaps"}  # even if small
ALONE = [
    row for row in all_rows()
    if row.section in ("peers", "paper") and row.name not in BESIDE_A_PEER | LONG
]  # fmt: skip


@pytest.mark.parametrize("row", ALONE, ids=lambda row: row.name)
def test_rows_that_need_no_peer_work(row):
    """At a small size; nothing calls rows but a person, months later."""
    check_numbers(row.run(Context(quick=True)))


def test_frames_carry_arrays_and_plain_data():
    pipe = io.BytesIO()
    frames.write(pipe, {"verb": "answer", "at_least": 0.5, "X": np.eye(2, dtype=np.float32)})
    pipe.seek(0)
    message = frames.read(pipe)
    assert message["verb"] == "answer"
    assert message["at_least"] == 0.5
    assert message["X"].dtype == np.float32
    assert (message["X"] == np.eye(2)).all()
    with pytest.raises(EOFError):
        frames.read(pipe)


def test_half_time_of_an_exponential_between_samples():
    t = np.array([0.0, 1.0, 3.0, 7.0])
    assert half_time(t, np.exp(-0.2 * t)) == pytest.approx(np.log(2) / 0.2)
    assert half_time(t, np.ones(4)) == float("inf")


def test_verdicts_on_ranges():
    assert [verdict(r, (2, 3)) for r in ((0, 1), (1, 2.5), (4, 5))] == ["lower", "agrees", "higher"]


def test_relative_errors_are_of_the_change():
    before, exact = torch.zeros(2, 1, 4), torch.ones(2, 1, 4)
    check, _ = relative_errors("f", exact * torch.tensor([1.1, 1.3])[:, None, None], exact + 0, before, 0.2)
    assert check.value == pytest.approx(0.3, rel=1e-5)
    assert not check.met


def test_the_loop_descends_the_cost_that_the_library_does():
    """One step of autograd against the library's, from the same parameters."""
    network = Network.init(Architecture(depth=3, width=20), 0, device="cpu", weights="dense")
    X, y = torch.randn(5, 2), torch.randn(5, 1)
    loop = autograd.Loop(autograd.copies(network), 0.1)
    before = loop(X)
    torch.testing.assert_close(before, network(X))
    loop.train(X, y, 1, rate=1e-3)
    expected = before - 1e-3 * network.tangent_kernel(X) @ (before - y) / 5
    torch.testing.assert_close(loop(X), expected, atol=1e-5, rtol=1e-4)


def test_the_jacobian_kernel_is_a_sum_over_all_parameters():
    network = Network.init(Architecture(depth=3, width=20), 0, device="cpu", weights="dense")
    X = torch.randn(4, 2)
    torch.testing.assert_close(autograd.jacobian_kernel(autograd.copies(network), X, 0.1), network.tangent_kernel(X))


def test_the_reference_quadrature_of_tanh():
    def exact(f):
        density = lambda a, b: np.exp(-(a * a + b * b) / 2) / (2 * np.pi)  # noqa: E731
        integrand = lambda b, a: f(a) * f(0.6 * a + 0.8 * b) * density(a, b)  # noqa: E731
        return integrate.dblquad(integrand, -9, 9, -9, 9, epsabs=1e-11)[0]

    one = np.array([1.0])
    for f in (np.tanh, reference.tanh_slope):
        assert reference.expectation(f, one, one, 0.6 * one)[0] == pytest.approx(exact(f), abs=1e-10)


def test_no_cuda_device_is_said_aloud():
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    from ntk_core.experiments import circle

    with pytest.raises(Skip, match="no CUDA device"):
        on_device("cuda", circle.Spec())


def test_a_run_on_a_device_counts_its_products(monkeypatch):
    """Two steps counted by hand: passes at the start and at each step, both ways at each time."""
    from ntk_core.experiments import function_space

    monkeypatch.setattr("tests.benchmarks.limits.MATRIX", 64)
    spec = function_space.Spec(widths=(64,), seeds=1, time=2, snapshots=2, angles=3, method="steps", weights="dense")
    share = on_device("cpu", spec)
    forward, backward = 2 * (3 * 64 + 2 * 64**2), 2 * (64 + 2 * 64**2)  # of one point; an update costs a forward pass
    expected = (5 * 4 + 2 * 7) * forward + (2 * 4 + 2 * 7) * backward + 2 * 4 * forward
    assert float(share.notes[0].split()[0]) * 1e12 == pytest.approx(expected, rel=0.25)
