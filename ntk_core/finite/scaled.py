"""Networks in any parametrization and with any output scale: alpha (f - f_0), over the paper's network."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ntk_core.architecture import Architecture
from ntk_core.costs import Cost
from ntk_core.finite.layer_terms import Speed, layer_terms, summed
from ntk_core.finite.network import Network
from ntk_core.finite.parametrizations import LayerScale, gains, scales, speeds
from ntk_core.finite.weights import Dense


class ScaledNetwork:
    """alpha f, or alpha (f - f_0) if centred; its learning rate is divided by alpha^2 (Chizat, Oyallon and Bach 2019).

    Dividing the rate keeps the pace: outputs move by the same kernel whatever alpha is, and only how far the parameters
    travel changes. Large alpha is lazy, small alpha learns features. Centring takes the initial function out, without
    which alpha f_0 would grow with alpha and keep even large alpha from being lazy.

    Args:
        network: the paper's network, with stored weights; it is moved in place.
        speeds: how fast each layer's weights and biases learn (`parametrizations.speeds`); by default all 1.
        alpha: output scale, > 0.
        centred: whether the initial function is taken out (keeps a copy of the initial network).

    Raises:
        ValueError: alpha, the number of speeds, or sampled weights.
    """

    def __init__(
        self, network: Network, speeds: Sequence[Speed] | None = None, alpha: float = 1.0, centred: bool = False
    ):
        if not (math.isfinite(alpha) and alpha > 0):
            raise ValueError(f"alpha: the output scale must be a finite number > 0, got {alpha}")
        if not all(isinstance(layer, Dense) for layer in network.layers):
            raise ValueError("weights: scaled networks train stored weights step by step; choose dense")
        self.network, self.alpha = network, alpha
        self.speeds = [Speed()] * network.arch.depth if speeds is None else list(speeds)
        if len(self.speeds) != network.arch.depth:
            raise ValueError(f"speeds: {network.arch.depth} layers need as many, got {len(self.speeds)}")
        self.start = copy.deepcopy(network) if centred else None

    @classmethod
    def init(
        cls,
        arch: Architecture,
        seed: int | Sequence[int] = 0,
        parametrization: str | list[LayerScale] = "ntk",
        *,
        alpha: float = 1.0,
        centred: bool = False,
        device: str | torch.device = "auto",
        dtype: torch.dtype = torch.float32,
    ) -> ScaledNetwork:
        """Draws a network in a parametrization, by name or by its scales.

        A seed names the same draw in every parametrization: what differs is its scale.

        Raises:
            ValueError: as `Network.init`, an unknown parametrization, or alpha.
        """
        layers = scales(parametrization, arch) if isinstance(parametrization, str) else parametrization
        network = Network.init(arch, seed, device=device, dtype=dtype, weights="dense")
        for layer, bias, (weight_gain, bias_gain) in zip(
            network.layers, network.biases, gains(arch, layers), strict=True
        ):
            assert isinstance(layer, Dense)
            layer.W.mul_(weight_gain)
            bias.mul_(bias_gain)
        return cls(network, speeds(arch, layers), alpha, centred)

    @property
    def arch(self) -> Architecture:
        """The network's shape."""
        return self.network.arch

    @property
    def ensemble(self) -> bool:
        """Whether results carry a leading dimension S."""
        return self.network.ensemble

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the parameters."""
        return self.network.dtype

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Questions to stored weights leave no trace anyway."""
        yield

    def __call__(self, X: Any) -> Tensor:
        """Outputs, (N, n_out), with a leading S for an ensemble."""
        f = self.network(X)
        return self.alpha * (f if self.start is None else f - self.start(X))

    def tangent_kernel(self, X: Any, X2: Any = None) -> Tensor:
        """What the outputs move by, learning rates included: d out/dt = -K d C/d out. Shaped as `Network`'s."""
        left = self.network.features(X)
        right = left if X2 is None else self.network.features(X2)
        kernel = summed(layer_terms(left, right, self.speeds))
        return kernel if self.ensemble else kernel[0]

    def step(self, X: Tensor, y: Tensor, offset: Tensor | None, rate: float, cost: Cost) -> Tensor:
        """One step of gradient descent in place; returns the outputs (S, N, n_out) before it.

        Args:
            X: (S, N, n_in) as `network.inputs` gives it.
            y: (S, N, n_out).
            offset: f_0 at X (S, N, n_out), None if not centred.
            rate: the learning rate, before alpha and the layers' own.
            cost: from `ntk_core.costs`.
        """
        done = self.network.forward(X)
        outputs = self.alpha * (done.outputs if offset is None else done.outputs - offset)
        # The cost's gradient has a factor alpha, the rate 1 / alpha^2.
        signal = cost.derivative(outputs, y) / (self.alpha * X.shape[1])
        deltas = self.network.backward(done, signal[:, None])
        for layer, (a, delta, speed) in enumerate(zip(done.activations, deltas, self.speeds, strict=True)):
            D = delta[:, 0]
            self.network.biases[layer].add_(D.sum(1), alpha=-rate * speed.biases * self.arch.beta)
            factor = -rate * speed.weights * self.arch.w_std / math.sqrt(a.shape[-1])
            self.network.layers[layer].add((D * factor, a))
        return outputs


def rescaled_targets(network: Network, X: Any, y: Tensor, alpha: float, centred: bool = True) -> Tensor:
    """Targets with which the network itself trains as alpha (f - f_0) does on y, at the same rate and squared cost.

    f_0 + y / alpha, or y / alpha if not centred: so `train` with its leaps and sampled weights serves every alpha, and
    muP of width n as alpha = n^(-1/2). The scaled outputs are alpha (f - f_0) of what is trained.

    Args:
        network: at t = 0.
        X: (N, n_in).
        y: (N,), (N, n_out) or (S, N, n_out).
        alpha: output scale.
        centred: whether f_0 is taken out.

    Returns:
        (S, N, n_out).
    """
    f0 = network.forward(X).outputs
    y = torch.as_tensor(y, dtype=f0.dtype, device=f0.device)
    y = y[:, None] if y.ndim == 1 else y
    return (f0 if centred else torch.zeros_like(f0)) + y / alpha
