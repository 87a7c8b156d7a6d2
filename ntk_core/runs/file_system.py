"""What the store asks of a file system: files written whole or not at all, listings, and errors in a sentence."""

from __future__ import annotations

import io
import os
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, NamedTuple

_LISTINGS = 5  # attempts at one, while others remove files


class StoreError(Exception):
    """A result could not be kept; the message is a sentence for people and names no path."""


class StoredFile(NamedTuple):
    """A file of a folder: its size in bytes, and when it was used last (seconds since 1970)."""

    path: str
    size: int
    used: float


def opened(fs: Any, path: str) -> BinaryIO:
    """A file to read a header from: the thing itself where it is local, its bytes elsewhere."""
    from fsspec.implementations.local import LocalFileSystem

    return open(path, "rb") if isinstance(fs, LocalFileSystem) else io.BytesIO(fs.cat_file(path))


def note_use(fs: Any, path: str) -> None:
    """Notes that a file was used now, where a file system can."""
    from fsspec.implementations.local import LocalFileSystem

    if isinstance(fs, LocalFileSystem):
        with suppress(OSError):  # another user's file, or gone meanwhile
            os.utime(path)


def write_whole(fs: Any, folder: str, name: str, data: bytes) -> None:
    """Writes a file under another name and moves it: it is there whole, or not at all."""
    temporary = f"{folder}/.{name}.{uuid.uuid4().hex}"
    try:
        fs.pipe_file(temporary, data)
        fs.mv(temporary, f"{folder}/{name}")
    except BaseException:
        remove(fs, temporary)
        raise


def remove(fs: Any, path: str) -> None:
    """Removes a file if that is possible; another process may have done it already."""
    with suppress(Exception):
        fs.rm_file(path)


def entries(fs: Any, folder: str, pattern: re.Pattern[str]) -> list[StoredFile]:
    """The folder's files whose names are of that pattern; those of others are not ours to count or remove."""
    fs.invalidate_cache()
    for attempt in range(_LISTINGS):
        try:
            ours = [info for info in fs.ls(folder, detail=True) if pattern.fullmatch(info["name"].rpartition("/")[2])]
            return [StoredFile(info["name"], info["size"], _used(fs, info)) for info in ours]
        except FileNotFoundError:  # one that another process removed while we looked; or there is no folder
            if attempt == _LISTINGS - 1:
                raise
    return []


def _used(fs: Any, info: Mapping[str, Any]) -> float:
    return info["mtime"] if "mtime" in info else fs.modified(info["name"]).timestamp()


@contextmanager
def asking() -> Iterator[None]:
    """Turns whatever a file system raises into a StoreError: those reached over a network have errors of their own."""
    try:
        yield
    except Exception as error:
        raise StoreError(f"The store of results cannot be used: {_reason(error)}.") from error


def _reason(error: Exception) -> str:
    """Why, without paths or addresses: visitors may read it."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.errno is None else error.strerror[0].lower() + error.strerror[1:]
    if isinstance(error, ImportError):
        return f"a package is missing ({str(error).rstrip('.')})"
    return f"its file system says {type(error).__name__}"
