"""Data of one's own, kept by digest: in a folder or on any fsspec URL, bounded in size, forgotten after a day.

A digest names the content: the same data have the same digest, whoever stores them. Files are NumPy's npz without
pickles, written whole or not at all. A file that is damaged, or not what its name says, counts as absent.
"""

from __future__ import annotations

import datetime
import hashlib
import io
import json
import logging
import os
import re
import tempfile
import time
import uuid
import zipfile
import zlib
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ntk_core.caches import cache_folder
from ntk_core.data.tables import Table

FOLDER_VARIABLE = "NTK_DATA"
LIMIT = 500_000_000  # bytes of all tables together
LARGEST = 200_000_000  # bytes of one
DAY = 24 * 3600.0
DIGEST = re.compile(r"[0-9a-f]{32}")  # the first 128 bits of SHA-256

ARRAYS = ("inputs", "targets", "labels")
DTYPES = {"inputs": "<f8", "targets": "<f8", "labels": "<i2"}
NAMES = tuple(field.name for field in fields(Table) if field.name not in ARRAYS)

log = logging.getLogger(__name__)


class GoneError(ValueError):
    """The data that a digest names are no longer kept (or never were, here)."""


class _File(NamedTuple):
    used: float  # seconds since 1970
    size: int
    path: str


def digest(table: Table) -> str:
    """32 hexadecimal digits that name the table's content: numbers, shapes and names, not the notes on them."""
    arrays = [_canonical(table, name) for name in ARRAYS]
    head = {name: getattr(table, name) for name in NAMES if name != "notes"} | {"shapes": [a.shape for a in arrays]}
    hashed = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
    for array in arrays:
        hashed.update(array.tobytes())
    return hashed.hexdigest()[:32]


class TableStore:
    """Tables by digest.

    Args:
        url: a folder or an fsspec URL; by default `NTK_DATA`, else a folder of the user's cache. Workers on other
            machines need one that they reach too.
        limit: bytes of all tables together; the least recently used make room.
        keep: seconds after its last use that a table is forgotten.
    """

    def __init__(self, url: str | os.PathLike | None = None, limit: int = LIMIT, keep: float = DAY):
        import fsspec

        place = os.fspath(url) if url is not None else os.environ.get(FOLDER_VARIABLE) or str(_cache_folder())
        self.fs, self.root = fsspec.core.url_to_fs(place)
        self.limit, self.keep = limit, keep

    def put(self, table: Table) -> str:
        """Keeps the table and returns its digest.

        Raises:
            ValueError: the table is larger than a table may be, or the place cannot be written.
        """
        name = digest(table)
        content = _packed(table)
        if len(content) > min(self.limit, LARGEST):
            raise ValueError(
                f"data: this table takes {len(content) / 1e6:.0f} MB; at most {min(self.limit, LARGEST) / 1e6:.0f} MB "
                f"are kept"
            )
        aside = f"{self.root}/{name}.{uuid.uuid4().hex}.part"
        try:
            self.fs.makedirs(self.root, exist_ok=True)
            self.fs.pipe_file(aside, content)
            self.fs.mv(aside, self._path(name))  # whole or not at all
        except OSError as error:
            self._remove(aside)
            raise ValueError(f"data: the table could not be kept ({error.strerror or error})") from error
        try:
            self._make_room(self._path(name))
        except OSError as error:
            log.warning("what is kept beside a new table could not be looked through: %s", error)
        return name

    def get(self, name: str) -> Table:
        """The table of that digest.

        Raises:
            ValueError: this is no digest.
            GoneError: the table is not there, too old, or damaged.
        """
        if not DIGEST.fullmatch(str(name)):
            raise ValueError(f"data: {str(name)[:40]!r} is no digest of a table; 32 hexadecimal digits are needed")
        path = self._path(name)
        try:
            if time.time() - self._used(path) > self.keep:
                self._remove(path)
                raise _gone()
            table = _unpacked(self.fs.cat_file(path))
        except FileNotFoundError:
            raise _gone() from None
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            if isinstance(error, GoneError):
                raise
            log.warning("the stored table %s is damaged: %s", name, error)
            raise _gone() from error
        if digest(table) != name:
            log.warning("the stored table %s is not what its name says", name)
            raise _gone()
        self._touch(path)
        return table

    def forget(self, name: str) -> None:
        """Removes the table, if it is there."""
        if DIGEST.fullmatch(str(name)):
            self._remove(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}.npz"

    def _used(self, path: str) -> float:
        """When a file was last used (where the place allows to note it; else written)."""
        when: datetime.datetime = self.fs.modified(path)
        return (when if when.tzinfo else when.replace(tzinfo=datetime.UTC)).timestamp()

    def _touch(self, path: str) -> None:
        try:
            self.fs.touch(path, truncate=False)
        except (NotImplementedError, OSError):
            log.debug("%s cannot note that it was used", path)  # it is then the oldest written that leaves

    def _make_room(self, newest: str) -> None:
        """Removes what is too old, then the least recently used until the rest fits."""
        files = sorted(self._files())
        total = sum(file.size for file in files)
        for file in files:
            if file.path.endswith(os.path.basename(newest)):
                continue
            if total > self.limit or time.time() - file.used > self.keep:
                self._remove(file.path)
                total -= file.size

    def _files(self) -> list[_File]:
        found = []
        for path in self.fs.ls(self.root, detail=False, refresh=True):
            if path.endswith((".npz", ".part")):
                try:
                    found.append(_File(self._used(path), int(self.fs.size(path)), path))
                except FileNotFoundError:
                    continue  # another process was faster
        return found

    def _remove(self, path: str) -> None:
        try:
            self.fs.rm_file(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            log.warning("%s could not be removed: %s", path, error)


def _gone() -> GoneError:
    return GoneError("data: the table that this link names is gone (a table is kept for a day); upload it once more")


def _cache_folder() -> Path:
    try:
        return cache_folder(FOLDER_VARIABLE) / "data"
    except OSError:  # nobody's home
        return Path(tempfile.gettempdir()) / "ntk-explorer" / "data"


def _canonical(table: Table, name: str) -> np.ndarray:
    array = np.ascontiguousarray(getattr(table, name), dtype=DTYPES[name])
    return array + 0.0 if array.dtype.kind == "f" else array  # -0.0 and 0.0 are one number


def _packed(table: Table) -> bytes:
    file = io.BytesIO()
    head = json.dumps({name: getattr(table, name) for name in NAMES}).encode()
    arrays: dict[str, Any] = {name: _canonical(table, name) for name in ARRAYS}
    np.savez(file, head=np.frombuffer(head, dtype=np.uint8), **arrays)
    return file.getvalue()


def _unpacked(content: bytes) -> Table:
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        head = json.loads(stored["head"].tobytes())
        found: dict[str, Any] = {name: stored[name].astype(DTYPES[name], copy=False) for name in ARRAYS}
    found |= {name: tuple(head[name]) for name in NAMES}
    return Table(**found)
