"""MNIST digits: 5,000 that come with the project, or the full set from a folder of IDX files. NumPy only.

mnist_5k.npz holds `images` (5000, 28, 28) and `labels` (5000,), uint8, 500 digits of each class, shuffled;
sha256 476804ec6c854b9bfe9c4f455d420190e4ca786e0d97db1121679cb5a41cf4c7. MNIST is by Yann LeCun and Corinna Cortes,
CC BY-SA 3.0.
"""

from __future__ import annotations

import gzip
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ntk_core.data.synthetic import Floats, check_seed

ASSET = Path(__file__).with_name("mnist_5k.npz")
FOLDER_VARIABLE = "NTK_MNIST_DIR"
CLASSES = tuple(range(10))

Source = Literal["digits", "mnist"]


@dataclass(frozen=True)
class Digits:
    """images (N, 28, 28) and labels (N,), both uint8 and read-only."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Batch:
    """inputs (n, 784) with pixels in [0, 1], labels (n,), and each digit's index (n,) in the set it was drawn from."""

    inputs: Floats
    labels: NDArray[np.uint8]
    index: NDArray[np.int64]


def digits(source: Source = "digits") -> Digits:
    """The set of digits: "digits" (the 5,000 in assets) or "mnist" (the folder that NTK_MNIST_DIR names).

    Raises:
        ValueError: NTK_MNIST_DIR is not set, a file is missing, or a file is not in the IDX format.
    """
    if source == "digits":
        return _asset()
    if source != "mnist":
        raise ValueError(f"data: {str(source)[:40]!r} is not a set of digits; choose digits or mnist")
    folder = os.environ.get(FOLDER_VARIABLE, "")
    if not folder:
        raise ValueError(
            f"data: the full set needs the environment variable {FOLDER_VARIABLE}, "
            f"the folder that holds its IDX files (train-images-idx3-ubyte and train-labels-idx1-ubyte)"
        )
    return _folder(Path(folder))


def batch(count: int, classes: Sequence[int] = CLASSES, seed: int = 0, source: Source = "digits") -> Batch:
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
    return Batch(inputs, everything.labels[index], index)


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


@lru_cache(maxsize=1)
def _folder(folder: Path) -> Digits:
    """The training set in the folder; 60,000 digits in the published files."""
    images = _read_idx(folder, "train-images-idx3-ubyte", dimensions=3)
    labels = _read_idx(folder, "train-labels-idx1-ubyte", dimensions=1)
    if images.shape[1:] != (28, 28) or len(images) != len(labels):
        raise ValueError(
            f"{FOLDER_VARIABLE}: images of shape {images.shape} and labels of shape {labels.shape} "
            f"do not fit; (N, 28, 28) and (N,) are needed"
        )
    return _frozen(images, labels)


def _read_idx(folder: Path, name: str, dimensions: int) -> NDArray[np.uint8]:
    """One IDX file of bytes, gzipped or not: two zeros, type 8, rank, big-endian sizes, then the bytes."""
    for path, opener in ((folder / name, open), (folder / f"{name}.gz", gzip.open)):
        if path.is_file():
            try:
                with opener(path, "rb") as file:
                    content = file.read()
            except (OSError, EOFError) as error:
                raise ValueError(f"{FOLDER_VARIABLE}: {path.name} cannot be read: {error}") from error
            return _parse_idx(path.name, content, dimensions)
    raise ValueError(f"{FOLDER_VARIABLE}: neither {name} nor {name}.gz is in the folder {folder}")


def _parse_idx(name: str, content: bytes, dimensions: int) -> NDArray[np.uint8]:
    start = 4 + 4 * dimensions
    if len(content) < start or content[:4] != bytes([0, 0, 8, dimensions]):
        raise ValueError(f"{FOLDER_VARIABLE}: {name} is not an IDX file of bytes with {dimensions} dimensions")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if len(content) - start != int(np.prod(shape, dtype=np.int64)):
        raise ValueError(
            f"{FOLDER_VARIABLE}: {name} announces {shape} bytes and holds {len(content) - start:,} of them; "
            f"it seems cut short"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def _frozen(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Digits:
    images, labels = np.ascontiguousarray(images), np.ascontiguousarray(labels)
    images.flags.writeable = labels.flags.writeable = False
    return Digits(images, labels)
