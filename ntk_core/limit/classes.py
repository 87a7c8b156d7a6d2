"""Classification by least squares: one output a class, and the accuracy of the infinite network against time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ntk_core.limit.ensemble import InfiniteEnsemble


def one_hot(labels: Any, classes: int) -> Tensor:
    """Targets (N, classes) for labels 0..classes-1: 1 at the label, 0 elsewhere, less 1/classes so that rows sum to 0.

    Raises:
        ValueError: labels that are not whole numbers in 0..classes-1, or fewer than two classes.
    """
    if isinstance(classes, bool) or not isinstance(classes, int) or classes < 2:
        raise ValueError(f"classes: a whole number >= 2 is needed, got {classes!r}")
    index = _labels(labels)
    if len(index) and not 0 <= int(index.min()) <= int(index.max()) < classes:
        raise ValueError(f"labels: must be between 0 and {classes - 1}, got {int(index.min())} to {int(index.max())}")
    return torch.eye(classes, dtype=torch.float64)[index] - 1 / classes


def accuracy(outputs: Tensor, labels: Any) -> Tensor:
    """Share of points whose largest output is their label's: (...,) for outputs (..., M, classes) and labels (M,)."""
    index = _labels(labels)
    if outputs.ndim < 2 or outputs.shape[-2] != len(index):
        raise ValueError(f"labels: {outputs.shape[-2:-1]} labels are needed, got {tuple(index.shape)}")
    return (outputs.argmax(-1) == index.to(outputs.device)).double().mean(-1)


def accuracies(ensemble: InfiniteEnsemble, X_test: Any, labels: Any, times: Sequence[float]) -> Tensor:
    """Accuracy (T,) of the ensemble's mean at T times; `ensemble` was given `one_hot` targets.

    Raises:
        ValueError: targets without a column a class, labels that do not fit, a negative time.
    """
    if ensemble.y.ndim != 2 or ensemble.y.shape[1] < 2:
        raise ValueError(f"y_train: one column a class is needed, got targets of shape {tuple(ensemble.y.shape)}")
    return torch.cat([accuracy(ensemble.on(X_test).means([t]), labels) for t in times])


def _labels(labels: Any) -> Tensor:
    values = np.asarray(labels)
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise ValueError(f"labels: a list of whole numbers is needed, got {values.dtype} of shape {values.shape}")
    return torch.from_numpy(values.astype(np.int64))
