"""A device that is not there: ordinary tensors that say they live on one, so that mixing devices fails without it.

What it knows is PyTorch's rule: an operation takes tensors of one device, but for tensors without dimensions and for
indices; nothing but `to`, `cpu`, and `tolist` or `item`, brings numbers from one to the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from ntk_core import Network
from ntk_core.finite.weights import Dense

DEVICE, CPU = torch.device("cuda"), torch.device("cpu")
ITEMS = {Tensor.__getitem__, Tensor.__setitem__}  # of what is on a device; indices on the CPU are taken along
MAY_MIX = ITEMS | {
    Tensor.copy_,
    Tensor.to,
    Tensor.__deepcopy__,  # knows what has been copied before
}


class Elsewhere(TorchFunctionMode):
    """Inside, tensors made on or sent to CUDA are marked as being there, and what comes of them is too."""

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func == Tensor.device.__get__:
            return DEVICE if _there(args[0]) else func(*args)
        if func in (Tensor.numpy, Tensor.__array__) and _there(args[0]):
            raise TypeError("numpy: this tensor is on a device; bring it to the CPU first")
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        there = any(map(_there, tensors))
        mixed = there and not all(_there(t) or t.ndim == 0 for t in tensors)
        if mixed and (func not in MAY_MIX or (func in ITEMS and not _there(args[0]))):
            raise RuntimeError(f"{func}: tensors of shapes {[tuple(t.shape) for t in tensors]} are on two devices")
        args, kwargs, asked = _here(args, kwargs)
        if func is Tensor.to:  # as another tensor, to a device, or to another type where it is
            there = _there(tensors[-1]) if asked is None else asked.type == DEVICE.type
        elif func is Tensor.cpu or asked is not None:
            there = asked is not None and asked.type == DEVICE.type
        found = func(*args, **kwargs)
        if func in (Tensor.cpu, Tensor.to) and found is args[0] and there != _there(found):
            found = found.clone()  # what has been moved is another tensor
        for tensor in tree_leaves(found):
            if isinstance(tensor, Tensor):
                tensor._is_elsewhere = there  # type: ignore[attr-defined]
        return found


def sent(network: Network) -> Network:
    """The same network with its stored weights on the device; to be used inside `Elsewhere`."""
    for layer in network.layers:
        assert isinstance(layer, Dense)
        layer.W = layer.W.to(DEVICE)
    network.biases = [bias.to(DEVICE) for bias in network.biases]
    return network


def _there(tensor: Tensor) -> bool:
    return getattr(tensor, "_is_elsewhere", False)


def _here(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any], torch.device | None]:
    """The arguments with the CPU in every device's place, and the device that was meant."""
    asked = [leaf for leaf in (*args, *kwargs.values()) if isinstance(leaf, torch.device)]
    args = tuple(CPU if isinstance(each, torch.device) else each for each in args)
    kwargs = {name: CPU if isinstance(each, torch.device) else each for name, each in kwargs.items()}
    return args, kwargs, asked[0] if asked else None
