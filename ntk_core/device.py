"""Where numbers live: devices by name, and arrays of any kind as tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def resolve_device(device: str | torch.device) -> torch.device:
    """The device meant by "auto", "cpu", "cuda", ...; a ValueError if it is not there."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        where = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device: {device!r} is not known; choose auto, cpu or cuda") from error
    if where.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: this machine offers no CUDA device; choose auto or cpu")
    return where


def as_tensor(values: Any) -> Tensor:
    """A floating tensor as it is, everything else in float64; without a history of gradients."""
    if isinstance(values, Tensor):
        values = values.detach()
        return values if values.is_floating_point() else values.double()
    return torch.from_numpy(np.ascontiguousarray(np.asarray(values, dtype=np.float64)))
