"""The other end of `peer`: runs in the peers' environment, where neural-tangents is, and not in the project's.

Jobs of neural-tangents are jitted. `prepare` compiles and calls a job once; `seconds` times calls that wait for their
result.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import neural_tangents as nt
import numpy as np
from neural_tangents import stax
from scipy.sparse.linalg import expm_multiply
from sklearn.kernel_ridge import KernelRidge

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import frames

jax.config.update("jax_enable_x64", True)

Call = Callable[[], Any]
ACTIVATIONS = {
    "relu": stax.Relu,
    "tanh": lambda: stax.ElementwiseNumerical(jnp.tanh, deg=25),  # the only way it has for tanh
}
IMPLEMENTATIONS = {
    "jacobian contraction": nt.NtkImplementation.JACOBIAN_CONTRACTION,
    "tangent products": nt.NtkImplementation.NTK_VECTOR_PRODUCTS,
    "structured derivatives": nt.NtkImplementation.STRUCTURED_DERIVATIVES,
}


def network(depth: int, width: int, activation: str, beta: float) -> Any:
    """stax's (init, apply, kernel) functions of the network with one output."""
    layers = []
    for _ in range(depth - 1):
        layers += [stax.Dense(width, W_std=1.0, b_std=beta), ACTIVATIONS[activation]()]
    return stax.serial(*layers, stax.Dense(1, W_std=1.0, b_std=beta))


def limiting(depth: int, activation: str, beta: float, X: np.ndarray) -> Call:
    """Both limiting kernels of X with itself, stacked (2, N, N)."""
    _, _, kernel_fn = network(depth, 1, activation, beta)
    compiled = jax.jit(lambda x: tuple(kernel_fn(x, None, ("nngp", "ntk"))))
    points = jnp.asarray(X)
    return lambda: compiled(points)


def tangent(
    depth: int, width: int, beta: float, implementation: str, told: bool, X: np.ndarray, **parameters: np.ndarray
) -> Call:
    """The tangent kernel (N, N) of the relu network with parameters w0, b0, w1, ... (weights out by in).

    `told` passes vmap_axes=0: that no point's output depends on another point, which the library does not assume.
    """
    init_fn, apply_fn, _ = network(depth, width, "relu", beta)
    _, template = init_fn(jax.random.PRNGKey(0), X.shape)
    leaves, structure = jax.tree_util.tree_flatten(template)
    ours = [a for layer in range(depth) for a in (parameters[f"w{layer}"].T, parameters[f"b{layer}"])]
    filled = [jnp.asarray(a, X.dtype).reshape(leaf.shape) for a, leaf in zip(ours, leaves, strict=True)]
    params = jax.tree_util.tree_unflatten(structure, filled)
    kernel_fn = nt.empirical_ntk_fn(
        apply_fn, vmap_axes=0 if told else None, implementation=IMPLEMENTATIONS[implementation]
    )
    compiled = jax.jit(lambda x, p: kernel_fn(x, None, p))
    points = jnp.asarray(X)
    return lambda: compiled(points, params)


def dynamics(
    depth: int, activation: str, beta: float, X: np.ndarray, X_test: np.ndarray, y: np.ndarray, times: np.ndarray
) -> Call:
    """Mean of the trained infinite ensemble at X_test at each time (T, M, 1), kernels included."""
    _, _, kernel_fn = network(depth, 1, activation, beta)
    kernel_fn = jax.jit(kernel_fn, static_argnames="get")

    def call() -> Any:
        predict = nt.predict.gradient_descent_mse_ensemble(kernel_fn, jnp.asarray(X), jnp.asarray(y))
        return predict(t=jnp.asarray(times), x_test=jnp.asarray(X_test), get="ntk", compute_cov=False)

    return call


def ridge(K: np.ndarray, cross: np.ndarray, Y: np.ndarray, alpha: float) -> Call:
    """scikit-learn's kernel ridge regression: predictions (M, k)."""
    return lambda: KernelRidge(alpha=alpha, kernel="precomputed").fit(K, Y).predict(cross)


def flow(K: np.ndarray, Y: np.ndarray, stop: float, count: int) -> Call:
    """f_t = Y - e^(-t K/N) Y at `count` even times up to `stop`, by SciPy."""
    return lambda: Y - expm_multiply(-K / len(K), Y, start=0.0, stop=stop, num=count, endpoint=True)


JOBS: dict[str, Callable[..., Call]] = {
    "limiting": limiting, "tangent": tangent, "dynamics": dynamics, "ridge": ridge, "flow": flow,
}  # fmt: skip


class Server:
    """Prepared jobs by name; a job's name may carry a suffix after a colon, so that several can be kept."""

    def __init__(self) -> None:
        self.ready: dict[str, Call] = {}
        self.answers: dict[str, np.ndarray] = {}

    def prepare(self, job: str, **arguments: Any) -> dict[str, Any]:
        """Compiles and calls once."""
        start = time.perf_counter()
        self.ready[job] = JOBS[job.partition(":")[0]](**arguments)
        first = jax.block_until_ready(self.ready[job]())
        passed = time.perf_counter() - start
        self.answers[job] = np.asarray(first)
        return {"seconds": passed}

    def seconds(self, job: str, at_least: float) -> dict[str, Any]:
        """Mean seconds of as many calls as fill `at_least` seconds."""
        calls, start = 0, time.perf_counter()
        while True:
            jax.block_until_ready(self.ready[job]())
            calls += 1
            passed = time.perf_counter() - start
            if passed >= at_least:
                return {"seconds": passed / calls}

    def answer(self, job: str) -> dict[str, Any]:
        """The result of the first call, as an array."""
        return {"answer": self.answers[job]}


def main() -> None:
    """Answers until the input ends. What libraries print goes to the log, not into the pipe."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    server = Server()
    while True:
        try:
            message = frames.read(sys.stdin.buffer)
        except EOFError:
            return
        verb = message.pop("verb")
        try:
            reply = getattr(server, verb)(**message)
        except Exception:
            reply = {"error": traceback.format_exc()[-3000:]}
        frames.write(replies, reply)


if __name__ == "__main__":
    main()
