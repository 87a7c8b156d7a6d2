"""Where an iteration stands, on disk: a plain npz, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor


def save(path: str | Path, tensors: dict[str, Tensor], **numbers: float) -> None:
    """Writes tensors and numbers under their names."""
    target = Path(path)
    part = target.with_name(target.name + ".part")
    arrays: dict[str, Any] = {name: tensor.numpy() for name, tensor in tensors.items()} | numbers
    with part.open("wb") as file:
        np.savez(file, **arrays)
    os.replace(part, target)


def load(path: str | Path, tensors: Iterable[str], numbers: Iterable[str]) -> dict[str, Any]:
    """What `save` wrote under these names.

    Raises:
        ValueError: the file is something else.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            found: dict[str, Any] = {name: torch.from_numpy(stored[name]) for name in tensors}
            return found | {name: stored[name].item() for name in numbers}
    except (KeyError, ValueError, OSError, EOFError) as error:
        raise ValueError(f"state: {Path(path).name} is not a saved state of this iteration: {error}") from error
