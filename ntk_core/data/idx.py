"""IDX files of bytes, the format of MNIST and Fashion-MNIST: two zeros, type 8, rank, big-endian sizes, the bytes."""

from __future__ import annotations

import gzip
import io
import logging
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MAX_BYTES = 200_000_000

logger = logging.getLogger(__name__)


def read_idx(folder: Path, name: str, dimensions: int, what: str = "data") -> NDArray[np.uint8]:
    """The array in the file `name` or `name`.gz of the folder.

    Args:
        folder: where the file is.
        name: the file's name without .gz; some copies write .idx for -idx.
        dimensions: the rank that the array must have.
        what: what the sentences of errors begin with.

    Raises:
        ValueError: no such file, one that cannot be read, or no IDX file of bytes of that rank, whole and no longer.
    """
    for stem in (name, name.replace("-idx", ".idx")):
        for path, opener in ((folder / stem, open), (folder / f"{stem}.gz", gzip.open)):
            if path.is_file():
                try:
                    with opener(path, "rb") as file:
                        return _read(file, path.name, dimensions, what)
                except (OSError, EOFError, zlib.error) as error:
                    raise ValueError(f"{what}: {path.name} cannot be read: {_reason(error)}") from error
    logger.warning("%s: neither %s nor %s.gz is in %s", what, name, name, folder)  # a sentence may go to strangers
    raise ValueError(f"{what}: neither {name} nor {name}.gz is in the folder")


def _reason(error: Exception) -> str:
    """What went wrong, without the path that Python adds."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _read(file: io.BufferedIOBase, name: str, dimensions: int, what: str) -> NDArray[np.uint8]:
    """Reads no more than the header announces, and one byte to see whether there is more."""
    start = file.read(4)
    if start[:2] == b"\x1f\x8b":
        raise ValueError(f"{what}: {name} is gzipped; name it {name}.gz, or unpack it")
    sizes = file.read(4 * dimensions)
    if start != bytes([0, 0, 8, dimensions]) or len(sizes) < 4 * dimensions:
        raise ValueError(f"{what}: {name} is not an IDX file of bytes with {dimensions} dimensions")
    shape = struct.unpack(f">{dimensions}I", sizes)
    count = 1
    for size in shape:
        count *= size  # Python's integers do not overflow
    if count > MAX_BYTES:
        raise ValueError(f"{what}: {name} announces {shape} bytes; at most {MAX_BYTES:,} are read")
    content = file.read(count + 1)
    if len(content) != count:
        held = f"more than {count:,}" if len(content) > count else f"{len(content):,}"
        problem = "it is not what its header says" if len(content) > count else "it seems cut short"
        raise ValueError(f"{what}: {name} announces {shape} bytes and holds {held} of them; {problem}")
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)
