"""The batch of the experiment on principal components, and the components themselves, kept for the specs to come."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Protocol

import numpy as np
from pydantic import AfterValidator

from ntk_core import data
from ntk_core.data import digits
from ntk_core.experiments import _common as common

if TYPE_CHECKING:
    from torch import Tensor

    from ntk_core.limit.spectrum import Components

Data = Annotated[str, AfterValidator(data.check_reference)]
BatchKey = tuple[str, int, tuple[int, ...], int]

MAX_COMPONENT = 20
KERNEL_WIDTH, KERNEL_SEED = 10_000, 1 << 40  # of the network whose components may be taken; no trained one has its seed


class Batched(Protocol):
    """The fields of a spec that decide its batch and its components."""

    depth: int
    activation: str
    beta: float
    w_std: float
    data: str
    n_train: int
    digits: tuple[int, ...]
    batch_seed: int
    components_of: Literal["limit", "network"]


class Batch(NamedTuple):
    """inputs (N, n_in); label (N,) the class, or the sign of the target; picture (N,) index of the digit, or -1;
    classes: the names of the classes, () where there are none.
    """

    inputs: data.Floats
    label: np.ndarray
    picture: np.ndarray
    classes: tuple[str, ...] = ()


def batch_of(spec: Batched) -> Batch:
    """The batch that a spec draws."""
    return _cached_batch(spec.data, spec.n_train, spec.digits, spec.batch_seed)


@lru_cache(maxsize=8)
def _cached_batch(kind: str, n_train: int, classes: tuple[int, ...], seed: int) -> Batch:
    nowhere = np.full(n_train, -1, dtype=np.int32)
    if kind in data.PICTURES:
        drawn = digits.batch(n_train, classes, seed, kind)  # type: ignore[arg-type]
        # Only the digits that come with the project have pictures to point at.
        picture = drawn.index.astype(np.int32) if kind == "digits" else nowhere
        names = digits.FASHION if kind == "fashion" else tuple(f"digit {k}" for k in digits.CLASSES)
        return Batch(drawn.inputs, drawn.labels.astype(np.int16), picture, names)
    sample = data.resolve(kind, n_train, seed=seed)
    return Batch(sample.inputs, sample.labels, nowhere, sample.classes)


def leading_components(spec: Batched) -> Components:
    """The leading components of the batch: as many as a spec may ask for, so that changing the component is free."""
    return _cached_components(spec.components_of, *_kernel_key(spec))


def largest_eigenvalue(spec: Batched) -> float:
    """The largest eigenvalue of Theta_inf/N, which bounds the learning rate."""
    return float(limiting_values(spec)[0])


def limiting_values(spec: Batched) -> Tensor:
    """The leading eigenvalues of Theta_inf/N, descending."""
    return _cached_components("limit", *_kernel_key(spec)).values


def limiting_kernel(spec: Batched) -> Tensor:
    """Theta_inf on the batch, (N, N)."""
    return _kernel("limit", *_kernel_key(spec))


def _kernel_key(spec: Batched) -> tuple[common.Net, BatchKey]:
    return common.net_of(spec), (spec.data, spec.n_train, spec.digits, spec.batch_seed)


@lru_cache(maxsize=8)
def _cached_components(source: str, net: common.Net, batch: BatchKey) -> Components:
    from ntk_core.limit.spectrum import principal_components

    kernel = _kernel(source, net, batch)
    return principal_components(kernel, min(MAX_COMPONENT, len(kernel)))


def _kernel(source: str, net: common.Net, batch: BatchKey) -> Tensor:
    """Theta_inf on the batch, or the tangent kernel of one wide network, (N, N)."""
    from ntk_core.finite.network import Network
    from ntk_core.limit.kernels import limiting_kernels

    X = _cached_batch(*batch).inputs
    arch = common.limit_of(net, X.shape[1])
    if source == "limit":
        return limiting_kernels(arch, X).ntk
    kernel = Network.init(replace(arch, width=KERNEL_WIDTH), KERNEL_SEED, device="cpu").tangent_kernel(X).double()
    return (kernel + kernel.T) / 2  # symmetric to the last digit
