"""MNIST digits: 5,000 that come with the project, the full set or Fashion-MNIST from folders of IDX files. NumPy only.

mnist_5k.npz holds `images` (5000, 28, 28) and `labels` (5000,), uint8, 500 digits of each class, shuffled;
sha256 476804ec6c854b9bfe9c4f455d420190e4ca786e0d97db1121679cb5a41cf4c7. MNIST is by Yann LeCun and Corinna Cortes,
CC BY-SA 3.0.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ntk_core.data.idx import read_idx
from ntk_core.data.synthetic import Floats, check_seed

ASSET = Path(__file__).with_name("mnist_5k.npz")
FOLDER_VARIABLE = "NTK_MNIST_DIR"
FASHION_VARIABLE = "NTK_FASHION_DIR"
CLASSES = tuple(range(10))
FASHION = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)

Source = Literal["digits", "mnist", "fashion"]


@dataclass(frozen=True)
class Digits:
    """images (N, 28, 28) and labels (N,), both uint8 and read-only."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class DigitBatch:
    """inputs (n, 784) with pixels in [0, 1], labels (n,), and each digit's index (n,) in the set it was drawn from."""

    inputs: Floats
    labels: NDArray[np.uint8]
    index: NDArray[np.int64]


def digits(source: Source = "digits") -> Digits:
    """The set of pictures: "digits" (the 5,000 that come along), "mnist" or "fashion" (Fashion-MNIST, the same format).

    The last two are read from the folders that NTK_MNIST_DIR and NTK_FASHION_DIR name.

    Raises:
        ValueError: the variable is not set, a file is missing, or a file is not in the IDX format.
    """
    if source == "digits":
        return _asset()
    variables = {"mnist": FOLDER_VARIABLE, "fashion": FASHION_VARIABLE}
    if source not in variables:
        raise ValueError(f"data: {str(source)[:40]!r} is not a set of digits; choose digits, mnist or fashion")
    variable = variables[source]
    folder = os.environ.get(variable, "")
    if not folder:
        raise ValueError(
            f"data: the full set needs the environment variable {variable}, "
            f"the folder that holds its IDX files (train-images-idx3-ubyte and train-labels-idx1-ubyte)"
        )
    return _folder(Path(folder), variable)


def batch(count: int, classes: Sequence[int] = CLASSES, seed: int = 0, source: Source = "digits") -> DigitBatch:
    """`count` digits of the given classes, drawn without replacement; the same seed draws the same digits.

    Raises:
        ValueError: no class, a class that is not 0 to 9, or fewer digits than `count`.
    """
    chosen = check_classes(classes)
    check_seed("batch_seed", seed)
    everything = digits(source)
    candidates = np.flatnonzero(np.isin(everything.labels, chosen))
    if not 1 <= count <= len(candidates):
        raise ValueError(
            f"n_train: {count:,} digits were asked for; there are {len(candidates):,} of the chosen classes, "
            f"so choose between 1 and {len(candidates):,}"
        )
    index = np.random.default_rng(seed).permutation(candidates)[:count]
    inputs = everything.images[index].reshape(count, -1).astype(np.float64) / 255.0
    return DigitBatch(inputs, everything.labels[index], index)


def check_classes(classes: Sequence[int]) -> tuple[int, ...]:
    """The classes, sorted, each once; a ValueError if there is none or one is not a digit 0 to 9."""
    if len(classes) == 0:
        raise ValueError("classes: no digit is chosen; choose at least one of 0 to 9")
    unknown = [c for c in classes if c not in CLASSES]
    if unknown:
        raise ValueError(f"classes: {unknown[0]!r} is not a digit from 0 to 9")
    return tuple(sorted({int(c) for c in classes}))


@lru_cache(maxsize=1)
def _asset() -> Digits:
    with np.load(ASSET) as stored:
        return _frozen(stored["images"], stored["labels"])


@lru_cache(maxsize=2)
def _folder(folder: Path, variable: str = FOLDER_VARIABLE) -> Digits:
    """The training set in the folder; 60,000 pictures in the published files."""
    images = read_idx(folder, "train-images-idx3-ubyte", 3, variable)
    labels = read_idx(folder, "train-labels-idx1-ubyte", 1, variable)
    if images.shape[1:] != (28, 28) or len(images) != len(labels):
        raise ValueError(
            f"{variable}: images of shape {images.shape} and labels of shape {labels.shape} "
            f"do not fit; (N, 28, 28) and (N,) are needed"
        )
    if len(labels) and labels.max() > CLASSES[-1]:
        raise ValueError(f"{variable}: a label is {labels.max()}; labels must be 0 to {CLASSES[-1]}")
    return _frozen(images, labels)


def _frozen(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Digits:
    images, labels = np.ascontiguousarray(images), np.ascontiguousarray(labels)
    images.flags.writeable = labels.flags.writeable = False
    return Digits(images, labels)
