"""A finite network, or an ensemble of seeds at once, over any kind of weights."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from ntk_core.architecture import Architecture
from ntk_core.device import as_tensor, resolve_device
from ntk_core.finite.passes import ParameterDirection, Pass
from ntk_core.finite.sampled import Sampled
from ntk_core.finite.tangent import Features, tangent_kernel
from ntk_core.finite.weights import Dense, Weights, draw, generator
from ntk_core.products import times_vector
from ntk_core.progress import checkpoint

Term: TypeAlias = tuple[float | Tensor, ParameterDirection]  # a factor, or one a seed (S,), and what it multiplies
SAMPLED_FROM_WIDTH = 4096  # "auto": below this a stored matrix is small and fast


class Network:
    """Fully connected network(s) in the paper's parametrization (section 2).

    Made by `Network.init` or `Network.from_parameters`. A sequence of seeds makes an ensemble, whose results carry a
    leading dimension S; internally S is always there.
    """

    def __init__(self, arch: Architecture, layers: list[Weights], biases: list[Tensor], ensemble: bool = True):
        self.arch, self.layers, self.biases, self.ensemble = arch, layers, biases, ensemble
        self._tried: list[Tensor] = []  # biases of a move on trial

    @classmethod
    def init(
        cls,
        arch: Architecture,
        seed: int | Sequence[int] = 0,
        *,
        device: str | torch.device = "auto",
        dtype: torch.dtype = torch.float32,
        weights: str = "auto",
        tolerance: float = 1e-3,
        points: Any = None,
    ) -> Network:
        """Draws all parameters iid N(0, 1).

        Sampled weights (for "auto" from width 4,096 on) come into being where they are asked about: a seed names one
        network only together with its questions, and the first of them decides. Give `points` where two networks of
        one seed, or two looks at one network, shall agree.

        Args:
            arch: the architecture.
            seed: one seed, or several for an ensemble.
            device: "auto" takes CUDA when there is one.
            dtype: torch.float32 or torch.float64. A seed names the same network in both.
            weights: "dense", "sampled" (hidden matrices are never stored), or "auto" by width.
            tolerance: of sampled weights, the relative part of a query left unexplored.
            points: (M, n_in) inputs that will be asked about; sampled weights explore them now, in this order, so
                that the network does not depend on which of them is asked about first.

        Raises:
            ValueError: unknown kind of weights, device not there, tolerance outside (0, 1).
        """
        alone = isinstance(seed, numbers.Integral)
        seeds = np.ravel(np.asarray(seed, dtype=object)).tolist()  # NumPy's whole numbers are as good as Python's
        if not seeds or any(isinstance(s, bool) or not isinstance(s, numbers.Integral) or s < 0 for s in seeds):
            raise ValueError(f"seed: one or more whole numbers >= 0 are needed, got {seed!r}")
        seeds = [int(s) for s in seeds]
        where = resolve_device(device)
        sampled = _is_sampled(weights, arch)
        layers: list[Weights] = []
        biases = []
        sizes = arch.widths
        for layer, (n, m) in enumerate(pairwise(sizes)):
            checkpoint()
            # The first and last matrix are thin: storing them is cheaper than a basis of their products.
            if sampled and 0 < layer < arch.depth - 1:
                layers.append(Sampled(m, n, seeds, layer, dtype, where, tolerance))
            else:
                layers.append(Dense.init(m, n, seeds, layer, dtype, where))
            biases.append(torch.cat([draw(1, m, generator(s, layer, 3, where), dtype) for s in seeds]))
        network = cls(arch, layers, biases, ensemble=not alone)
        if sampled and points is not None:
            network.backward(network.forward(points))
        return network

    @classmethod
    def from_parameters(cls, arch: Architecture, weights: Sequence[Any], biases: Sequence[Any]) -> Network:
        """A network with given parameters.

        Args:
            arch: the architecture.
            weights: weights[l] of shape (n_{l+1}, n_l).
            biases: biases[l] of shape (n_{l+1},).

        Raises:
            ValueError: number or shape of the parameters does not fit the architecture (the sentence quotes both), or
                they are of several precisions.
        """
        if len(weights) != arch.depth or len(biases) != arch.depth:
            raise ValueError(
                f"weights: depth {arch.depth} needs {arch.depth} weight matrices and bias vectors, "
                f"got {len(weights)} and {len(biases)}"
            )
        layers: list[Weights] = []
        vectors = []
        sizes = arch.widths
        tensors = [(as_tensor(W), as_tensor(b)) for W, b in zip(weights, biases, strict=True)]
        if len(precisions := {str(tensor.dtype) for pair in tensors for tensor in pair}) > 1:
            raise ValueError(
                f"weights, biases: one precision is needed, got {' and '.join(sorted(precisions))} "
                f"(what is no tensor counts as torch.float64)"
            )
        for layer, (W, b) in enumerate(tensors):
            m, n = sizes[layer + 1], sizes[layer]
            if W.shape != (m, n) or b.shape != (m,):
                raise ValueError(
                    f"weights: layer {layer} needs shapes {(m, n)} and {(m,)}, "
                    f"got {tuple(W.shape)} and {tuple(b.shape)}"
                )
            layers.append(Dense(W[None].clone()))
            vectors.append(b[None].clone())
        return cls(arch, layers, vectors, ensemble=False)

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the parameters."""
        return self.biases[0].dtype

    @property
    def device(self) -> torch.device:
        """Where the parameters live."""
        return self.biases[0].device

    @property
    def size(self) -> int:
        """Number of seeds S."""
        return self.biases[0].shape[0]

    def nbytes(self) -> int:
        """Bytes of all parameters."""
        return sum(w.nbytes() for w in self.layers) + sum(b.nbytes for b in self.biases)

    def __call__(self, X: Any) -> Tensor:
        """Outputs f(X): (N, n_in) -> (N, n_out), with a leading S for an ensemble."""
        outputs = self.forward(X).outputs
        return outputs if self.ensemble else outputs[0]

    def tangent_kernel(self, X: Any, X2: Any = None) -> Tensor:
        """Tangent kernel without a Jacobian: (N, M), or (N, M, n_out, n_out); a leading S for an ensemble."""
        features = self.features(X)
        kernel = tangent_kernel(features, features if X2 is None else self.features(X2))
        return kernel if self.ensemble else kernel[0]

    def features(self, X: Any, done: Pass | None = None) -> Features:
        """The tangent features at X (N, n_in): one forward pass, unless it is `done`, and one backward."""
        done = self.forward(X) if done is None else done
        return Features(done, self.backward(done), self.arch.beta, self.arch.w_std)

    @contextmanager
    def looking(self, once: bool = False, left_out: float = 0.0) -> Iterator[None]:
        """Inside, the network may be asked about any inputs without a trace in sampled weights (`Sampled.looking`).

        Args:
            once: all that is wanted is asked in one call of `features`; sampled weights answer sooner.
            left_out: the relative part of a query that sampled weights may leave unexplored; `sampled.FOR_KERNELS`
                where outputs are not wanted.
        """
        with ExitStack() as stack:
            for layer in self.layers:
                if isinstance(layer, Sampled):
                    stack.enter_context(layer.looking(once, left_out))
            yield

    @property
    def tolerance(self) -> float:
        """The relative part of a query that sampled weights may leave out; 0 where all weights are stored."""
        return max((layer.tolerance for layer in self.layers if isinstance(layer, Sampled)), default=0.0)

    def sharpen(self, tolerance: float) -> bool:
        """Lets sampled weights leave out no more than this; whether they left out twice as much (`Sampled.sharpen`)."""
        sharper = [layer.sharpen(tolerance) for layer in self.layers if isinstance(layer, Sampled)]  # every one of them
        return any(sharper)

    def inputs(self, X: Any) -> Tensor:
        """X as (S or 1, N, n_in) in the network's precision, checked.

        Raises:
            ValueError: the shape does not fit n_in or S, or a value is not finite or its square overflows.
        """
        X = as_tensor(X).to(self.device, self.dtype)
        if X.ndim == 2:
            X = X[None].expand(self.size, -1, -1)
        if X.ndim != 3 or X.shape[-1] != self.arch.n_in:
            raise ValueError(f"X: inputs of shape (N, {self.arch.n_in}) are needed, got {tuple(X.shape[-2:])}")
        if X.shape[0] not in (1, self.size):
            raise ValueError(f"X: inputs for S = {self.size} seeds are needed, got {X.shape[0]}")
        largest = float(X.abs().max()) if X.numel() else 0.0
        if not math.isfinite(largest):
            raise ValueError("X: every input must be a finite number")
        if largest > math.sqrt(torch.finfo(X.dtype).max / X.shape[-1]):  # kernels are made of squares
            raise ValueError(
                f"X: the squares of inputs as large as {largest:.3g} overflow in {X.dtype}; scale them down"
            )
        return X

    def forward(self, X: Any) -> Pass:
        """One forward pass, keeping what comes after it needs."""
        sigma = self.arch.sigma
        activations = [self.inputs(X)]
        slopes: list[Tensor | None] = [None]
        for layer in range(self.arch.depth):
            h = self.preactivation(layer, activations[-1])
            if layer < self.arch.depth - 1:
                activations.append(sigma.value(h))
                slopes.append(sigma.derivative(h))
        return Pass(activations, slopes, h)

    def preactivation(self, layer: int, a: Tensor) -> Tensor:
        """h_{l+1} = w_std W_l a_l / sqrt(n_l) + beta b_l: (S, N, n_l) -> (S, N, n_{l+1})."""
        h = self.layers[layer].multiply(a).mul_(self.arch.w_std / math.sqrt(a.shape[-1]))
        return h.add_(self.answering_biases[layer][:, None, :], alpha=self.arch.beta)

    def backward(self, done: Pass, signal: Tensor | None = None) -> list[Tensor]:
        """delta_l = d(signal . f)/dh_l for l = 1..L, each (S, K, N, n_l); index 0 holds delta_1.

        Args:
            done: the forward pass.
            signal: (S, K, N, n_out); by default the n_out unit signals, so K = n_out.
        """
        S, N, n_out = done.outputs.shape
        if signal is None:
            signal = torch.eye(n_out, dtype=self.dtype, device=self.device)[None, :, None, :].expand(S, -1, N, -1)
        K = signal.shape[1]
        deltas = [signal]
        for layer in range(self.arch.depth - 1, 0, -1):
            delta = deltas[-1].reshape(S, K * N, -1)
            back = self.layers[layer].multiply_transposed(delta).reshape(S, K, N, -1)
            slope = done.slopes[layer]
            assert slope is not None
            deltas.append(back.mul_(self.arch.w_std / math.sqrt(back.shape[-1])).mul_(slope[:, None]))
        return deltas[::-1]

    def direction(self, done: Pass, deltas: list[Tensor], coefficients: Tensor) -> ParameterDirection:
        """J^T c as factors: how the parameters move when each signal of each point counts c.

        Args:
            done: the forward pass at which J = df/dtheta is taken.
            deltas: its backward pass with K signals.
            coefficients: c, (S, K, N).
        """
        if coefficients.shape[1] == 1:
            signals = [coefficients[:, 0, :, None] * delta[:, 0] for delta in deltas]
        else:
            signals = [torch.einsum("skn,sknm->snm", coefficients, delta) for delta in deltas]
        return ParameterDirection(done.activations, signals)

    def shift(self, *moves: Term) -> None:
        """theta += sum of factor x direction, in place and in one sweep over the weights."""
        for layer, (weights, bias) in enumerate(zip(self.layers, self.biases, strict=True)):
            bias.add_(self._moved_bias(layer, moves))
            weights.add(*self._products(layer, moves))

    def try_on(self, *moves: Term) -> None:
        """Answers at theta + sum of factor x direction until `keep`; another trial takes the place of this one."""
        self._tried = []
        for layer, (weights, bias) in enumerate(zip(self.layers, self.biases, strict=True)):
            self._tried.append(bias + self._moved_bias(layer, moves))
            weights.try_on(*self._products(layer, moves))

    @property
    def on_trial(self) -> bool:
        """Whether it answers as moved by `try_on`."""
        return bool(self._tried)

    @property
    def answering_biases(self) -> list[Tensor]:
        """The biases (S, n_l) as it answers: with a move that is on trial."""
        return self._tried or self.biases

    def keep(self, accepted: Tensor) -> None:
        """Ends the trial: seeds (S,) that are accepted stay moved, the others are where they were, bit for bit."""
        for layer, tried in enumerate(self._tried):
            self.layers[layer].keep(accepted)
            self.biases[layer] = torch.where(accepted[:, None], tried, self.biases[layer])
        self._tried = []

    def part(self, index: Tensor) -> Network:
        """Some seeds (K,) as an ensemble of their own, with copies of their parameters."""
        layers = [weights.part(index) for weights in self.layers]
        return Network(self.arch, layers, [bias[index] for bias in self.biases])

    def put(self, index: Tensor, part: Network) -> None:
        """Takes the seeds (K,) of a part back, with the parameters that they have now."""
        for layer, (weights, other) in enumerate(zip(self.layers, part.layers, strict=True)):
            weights.put(index, other)
            self.biases[layer] = self.biases[layer].index_copy(0, index, part.biases[layer])

    def _products(self, layer: int, moves: Sequence[Term]) -> list[tuple[Tensor, Tensor]]:
        products = []
        for factor, direction in moves:
            a, D = direction.activations[layer], direction.signals[layer]
            products.append((D * _each(factor, D, self.arch.w_std / math.sqrt(a.shape[-1])), a))
        return products

    def _moved_bias(self, layer: int, moves: Sequence[Term]) -> Tensor:
        moved = torch.zeros((), dtype=self.dtype, device=self.device)
        for factor, direction in moves:
            D = direction.signals[layer]
            rows = direction.rows(layer)
            total = times_vector(D.mT, torch.ones_like(D[..., 0]) if rows is None else rows)
            moved = moved + total * _each(factor, total, self.arch.beta)
        return moved

    def pushforward(self, done: Pass, directions: Sequence[Term]) -> Tensor:
        """J v for v = sum of factor x direction: how f moves with the parameters, (S, N, n_out)."""
        dh, w = None, self.arch.w_std
        for layer, a in enumerate(done.activations):
            moved = torch.zeros((), dtype=self.dtype, device=self.device)
            for factor, direction in directions:
                D = direction.signals[layer]
                rows = direction.rows(layer)
                overlap = (a @ direction.activations[layer].mT) * (w**2 / a.shape[-1])
                overlap = overlap + self.arch.beta**2 * (1.0 if rows is None else rows[:, None, :])
                moved = moved + _each(factor, D) * (overlap @ D)
            slope = done.slopes[layer]
            if dh is not None and slope is not None:
                moved = moved + self.layers[layer].multiply(slope * dh, moved=True) * (w / math.sqrt(a.shape[-1]))
            dh = moved
        assert dh is not None
        return dh


def _each(factor: float | Tensor, like: Tensor, scale: float = 1.0) -> float | Tensor:
    """A factor times a scale; one a seed (S,) as it multiplies an array (S, ...)."""
    if isinstance(factor, Tensor):
        return (factor * scale).to(like.dtype).reshape(-1, *([1] * (like.ndim - 1)))
    return factor * scale


def _is_sampled(weights: str, arch: Architecture) -> bool:
    if weights not in ("auto", "dense", "sampled"):
        raise ValueError(f"weights: must be auto, dense or sampled, got {weights!r}")
    narrowest = min(arch.widths[1:-1], default=0)
    return weights == "sampled" or (weights == "auto" and narrowest >= SAMPLED_FROM_WIDTH)
