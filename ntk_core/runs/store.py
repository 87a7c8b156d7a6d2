"""Finished results that are still there tomorrow: one netCDF file each, named by its spec's key, in one folder.

The folder is any that fsspec reaches. What is least recently used leaves first once the limit is passed (where a file
system cannot note that a file was read, what is oldest). Files are written under another name and moved: whole, or not
at all. A file that is damaged or of something else is removed and never served. A store that cannot be used costs
nothing but the keeping: reading finds nothing, and `save` raises a `StoreError` with a sentence to show.
"""

from __future__ import annotations

import io
import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ntk_core.caches import cache_folder
from ntk_core.runs import file_system, files
from ntk_core.runs.file_system import StoredFile, StoreError, asking
from ntk_core.runs.machine import parse_bytes

if TYPE_CHECKING:
    from ntk_core.runs.result import Result
    from ntk_core.runs.spec import ExperimentSpec
    from ntk_core.runs.theory import Theory

URL_VARIABLE, LIMIT_VARIABLE, RECORDINGS_VARIABLE = "NTK_STORE", "NTK_STORE_LIMIT", "NTK_RECORDINGS"
NONE = "none"  # as NTK_STORE: nothing is kept
DEFAULT_LIMIT = 10**9
FOUND = ("seconds", "machine", "created", "versions")  # what `find` tells

_FILE = re.compile(r"[a-z]\w*-[0-9a-f]{20}\.nc", re.ASCII)
_UNFINISHED = re.compile(r"\.[a-z]\w*-[0-9a-f]{20}\.nc\.[0-9a-f]{32}", re.ASCII)
_ABANDONED_SECONDS = 3600.0  # after which a file under its temporary name is nobody's any more

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Store:
    """Results in one folder.

    Attributes:
        url: the folder, as fsspec knows it; by default "ntk-explorer" in the user's folder for caches.
        limit: bytes that all its results may take.
        frozen: nothing in it is ever changed; for results that came with the program.
    """

    url: str | None = None
    limit: int = DEFAULT_LIMIT
    frozen: bool = False

    def save(self, spec: ExperimentSpec, result: Result) -> None:
        """Keeps a finished result.

        Raises:
            StoreError: it is not kept, and why: parts are missing, it is too large, the store is full or unreachable.
            ValueError: the result is of another spec.
        """
        if result.attrs.get("key") != spec.key:
            raise ValueError(f"result: it is of {result.attrs.get('key', 'no spec')}, not of {spec.key}")
        if self.frozen or not result.present.all():
            reason = "the store is for reading only" if self.frozen else "parts of it are missing"
            raise StoreError(f"This result was not kept: {reason}.")
        data = files.to_netcdf(result)
        if len(data) > self.limit:
            raise StoreError(
                f"This result was not kept: it takes {_megabytes(len(data))} and the store may take "
                f"{_megabytes(self.limit)} ({LIMIT_VARIABLE})."
            )
        with asking():
            fs, folder = self._folder()
            fs.makedirs(folder, exist_ok=True)
            self._make_room(fs, folder, f"{spec.key}.nc", len(data))
            file_system.write_whole(fs, folder, f"{spec.key}.nc", data)

    def load(self, spec: ExperimentSpec) -> Result | None:
        """The spec's result; None where there is none, or none that can be read."""

        def read(fs: Any, path: str) -> bytes:
            data = fs.cat_file(path)
            if not self.frozen:
                file_system.note_use(fs, path)
            return data

        def result_of(data: bytes) -> Result:
            result = files.result_from_netcdf(data)
            _check(spec, result.attrs)
            return result

        return self._get(spec, read, result_of)

    def find(self, spec: ExperimentSpec) -> dict[str, Any] | None:
        """Seconds, machine and more (see `FOUND`) of a result that `load` should find; its numbers are not read."""

        def facts_of(file: BinaryIO) -> dict[str, Any]:
            with file:
                attrs = files.header(file, mmap=isinstance(file, io.BufferedReader))
            _check(spec, attrs)
            return {name: attrs[name] for name in FOUND if name in attrs}

        return self._get(spec, file_system.opened, facts_of)

    def save_theory(self, spec: ExperimentSpec, theory: Theory) -> None:
        """Keeps the limit of a spec beside its result, packed with msgpack, where working it out takes a while.

        Raises:
            StoreError: it is not kept, and why.
        """
        with asking():
            fs, folder = self._folder()
            fs.makedirs(folder, exist_ok=True)
            file_system.write_whole(fs, folder, f"{spec.key}.theory", theory.to_bytes())

    def load_theory(self, spec: ExperimentSpec) -> Theory | None:
        """The limit of a spec as `save_theory` kept it; None where there is none, or none that can be read."""
        from ntk_core.runs.theory import Theory

        try:
            with asking():
                fs, folder = self._folder()
                return Theory.from_bytes(fs.cat_file(f"{folder}/{spec.key}.theory"))
        except StoreError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                log.warning("the kept limit of %s is not used: %s", spec.key, error)
            return None

    def keys(self) -> list[str]:
        """The keys of all results; none where the store cannot be read."""
        try:
            return [entry.path.rpartition("/")[2].removesuffix(".nc") for entry in self._found()]
        except StoreError as error:
            log.warning("kept results cannot be listed: %s", error)
            return []

    def size(self) -> tuple[int, int]:
        """How many results there are, and their bytes.

        Raises:
            StoreError: the store cannot be read.
        """
        entries = self._found()
        return len(entries), sum(entry.size for entry in entries)

    def _found(self) -> list[StoredFile]:
        try:
            with asking():
                return file_system.entries(*self._folder(), _FILE)
        except StoreError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            return []

    def _get(self, spec: ExperimentSpec, read: Callable[[Any, str], Any], understand: Callable[[Any], Any]) -> Any:
        """What is understood of the spec's file; None if it is not there, cannot be read, or makes no sense."""
        try:
            with asking():
                fs, folder = self._folder()
                path = f"{folder}/{spec.key}.nc"
                found = read(fs, path)
        except StoreError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                log.warning("kept results cannot be read: %s", error)
            return None
        try:
            return understand(found)
        except ValueError as error:
            log.warning("the kept result %s is not used: %s", spec.key, error)
            if not self.frozen:
                file_system.remove(fs, path)
            return None

    def _folder(self) -> tuple[Any, str]:
        import fsspec

        try:
            fs, folder = fsspec.url_to_fs(self.url or str(default_folder()))
        except ValueError as error:
            raise OSError(None, f"{URL_VARIABLE} is no address that fsspec knows") from error
        return fs, folder.rstrip("/")

    def _make_room(self, fs: Any, folder: str, name: str, needed: int) -> None:
        """Removes what was used least recently until so many bytes fit, and what writers that died have left."""
        for entry in file_system.entries(fs, folder, _UNFINISHED):
            if time.time() - entry.used > _ABANDONED_SECONDS:
                file_system.remove(fs, entry.path)
        others = [e for e in file_system.entries(fs, folder, _FILE) if not e.path.endswith(f"/{name}")]
        total = sum(entry.size for entry in others)
        for entry in sorted(others, key=lambda entry: entry.used):
            if total + needed <= self.limit:
                return
            file_system.remove(fs, entry.path)
            total -= entry.size


@dataclass(frozen=True)
class Layers:
    """Results that came with the program, in front of those that it keeps; either may be absent."""

    recordings: Store | None = None
    store: Store | None = None

    def load(self, spec: ExperimentSpec) -> Result | None:
        """The spec's result from the first layer that has it, or None."""
        return next((found for layer in self._layers() if (found := layer.load(spec)) is not None), None)

    def find(self, spec: ExperimentSpec) -> dict[str, Any] | None:
        """What `Store.find` tells, and whether it is "recorded": came with the program."""
        for layer in self._layers():
            if (found := layer.find(spec)) is not None:
                return found | {"recorded": layer is self.recordings}
        return None

    def keys(self) -> list[str]:
        """The keys of all results."""
        return sorted({key for layer in self._layers() for key in layer.keys()})  # noqa: SIM118 - no mapping

    def save(self, spec: ExperimentSpec, result: Result) -> None:
        """Keeps a finished result in the store, if there is one; raises what `Store.save` raises."""
        if self.store is not None:
            self.store.save(spec, result)

    def _layers(self) -> list[Store]:
        return [layer for layer in (self.recordings, self.store) if layer is not None]


def from_environment(recordings: str | Path | None = None, environ: Mapping[str, str] = os.environ) -> Layers:
    """The layers that NTK_STORE, NTK_STORE_LIMIT and NTK_RECORDINGS ask for; `recordings` where the last is not set.

    Raises:
        ValueError: the limit is not a size.
    """
    limit = parse_bytes(environ[LIMIT_VARIABLE], LIMIT_VARIABLE) if environ.get(LIMIT_VARIABLE) else DEFAULT_LIMIT
    url = environ.get(URL_VARIABLE) or None
    folder = environ.get(RECORDINGS_VARIABLE) or recordings
    return Layers(
        Store(str(folder), frozen=True) if folder else None,
        None if url == NONE else Store(url, limit),
    )


def default_folder() -> Path:
    """Where results are kept unless another place is named; an OSError where the user has no home folder."""
    return cache_folder(URL_VARIABLE)


def _check(spec: ExperimentSpec, attrs: Mapping[str, Any]) -> None:
    if attrs.get("key") != spec.key:
        raise ValueError(f"file: it is of {attrs.get('key', 'no spec')}, not of {spec.key}")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
