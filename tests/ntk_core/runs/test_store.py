"""The store: results that stay, whole or not at all; whatever happens to it is never served and never fatal."""

from __future__ import annotations

import errno
import logging
import os
import resource
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from fsspec.implementations.local import LocalFileSystem

from ntk_core.runs import files, store
from ntk_core.runs import spec as spec_module
from ntk_core.runs.result import Result
from ntk_core.runs.store import Layers, Store, StoreError
from tests.ntk_core.runs.results import assert_same, finished, schema, spec_of

SIZE = len(files.to_netcdf(finished()))


@pytest.fixture(params=["folder", "memory"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store") if request.param == "folder" else f"memory://{uuid.uuid4().hex}")


@pytest.fixture
def kept(tmp_path: Path) -> tuple[Store, Path]:
    """A store in a folder, with one result, and that result's file."""
    found = Store(str(tmp_path))
    found.save(spec_of(), finished())
    return found, tmp_path / f"{spec_of().key}.nc"


class TestKeeping:
    def test_a_result_comes_back(self, any_store):
        spec, result = spec_of(3), finished(spec_of(3))
        assert any_store.load(spec) is None
        assert any_store.find(spec) is None
        assert any_store.size() == (0, 0)
        any_store.save(spec, result)
        assert_same(any_store.load(spec), result)
        assert any_store.find(spec) == {name: result.attrs[name] for name in store.FOUND}
        assert any_store.load(spec_of(4)) is None
        assert any_store.size() == (1, len(files.to_netcdf(result)))

    def test_it_is_one_file_that_others_read(self, kept):
        _, path = kept
        assert [p.name for p in path.parent.iterdir()] == [path.name]
        assert files.result_from_netcdf(path.read_bytes()).attrs["key"] == path.stem

    def test_the_newer_result_replaces_the_older(self, any_store):
        first, second = finished(), finished()
        second.attrs["seconds"] = 99.0
        any_store.save(spec_of(), first)
        any_store.save(spec_of(), second)
        assert any_store.find(spec_of())["seconds"] == 99.0
        assert any_store.size()[0] == 1

    def test_results_of_another_version_are_unknown(self, kept, monkeypatch):
        found, path = kept
        monkeypatch.setattr(spec_module, "RESULTS_VERSION", spec_module.RESULTS_VERSION + 1)
        assert found.load(spec_of()) is None
        assert found.find(spec_of()) is None
        assert path.exists()

    def test_a_result_of_another_spec_is_not_taken(self, any_store):
        with pytest.raises(ValueError, match=r"^result: it is of circle-"):
            any_store.save(spec_of(1), finished(spec_of(0)))

    def test_a_result_with_holes_is_not_kept(self, any_store):
        result = Result(schema(), finished().attrs)
        with pytest.raises(StoreError, match=r"not kept: parts of it are missing"):
            any_store.save(spec_of(), result)
        assert any_store.load(spec_of()) is None

    def test_finding_reads_no_numbers(self, kept, monkeypatch):
        found, _ = kept
        monkeypatch.setattr(files, "result_from_netcdf", None)
        monkeypatch.setattr(LocalFileSystem, "cat_file", None)
        assert found.find(spec_of())["seconds"] == 12.5


class TestTheLimit:
    def test_what_is_least_recently_used_leaves_first(self, tmp_path):
        found = Store(str(tmp_path), limit=3 * SIZE + 100)
        for seed in range(3):
            found.save(spec_of(seed), finished(spec_of(seed)))
            os.utime(tmp_path / f"{spec_of(seed).key}.nc", (seed, 1000 + seed))
        assert found.load(spec_of(0)) is not None  # used just now
        found.save(spec_of(3), finished(spec_of(3)))
        assert [seed for seed in range(4) if found.load(spec_of(seed)) is not None] == [0, 2, 3]
        assert found.size()[1] <= found.limit

    def test_saving_again_removes_no_other(self, tmp_path):
        found = Store(str(tmp_path), limit=2 * SIZE + 100)
        for seed in (0, 1, 1, 1):
            found.save(spec_of(seed), finished(spec_of(seed)))
        assert found.size()[0] == 2

    def test_memory_lets_the_oldest_go(self):
        found = Store(f"memory://{uuid.uuid4().hex}", limit=2 * SIZE + 100)
        for seed in range(3):
            found.save(spec_of(seed), finished(spec_of(seed)))
        assert [seed for seed in range(3) if found.load(spec_of(seed)) is not None] == [1, 2]

    def test_a_result_above_the_limit_is_not_kept(self, tmp_path):
        found = Store(str(tmp_path), limit=SIZE + 100)
        found.save(spec_of(), finished())
        with pytest.raises(StoreError, match=r"not kept: it takes .* MB and the store may take .* \(NTK_STORE_LIMIT\)"):
            found.save(spec_of(1), finished(spec_of(1), angles=500))
        assert found.load(spec_of()) is not None

    def test_files_of_others_are_left_alone(self, tmp_path):
        (tmp_path / "thesis.nc").write_bytes(bytes(10 * SIZE))
        (tmp_path / "circle-notes.nc").write_bytes(bytes(10 * SIZE))
        found = Store(str(tmp_path), limit=SIZE + 100)
        for seed in range(2):
            found.save(spec_of(seed), finished(spec_of(seed)))
        assert (tmp_path / "thesis.nc").exists()
        assert (tmp_path / "circle-notes.nc").exists()
        assert found.size()[0] == 1

    def test_what_a_dead_writer_left_is_removed_after_a_while(self, kept):
        found, path = kept
        old, new = (path.with_name(f".{path.name}.{uuid.uuid4().hex}") for _ in range(2))
        for file in (old, new):
            file.write_bytes(b"half")
        os.utime(old, (0, time.time() - 7200))
        found.save(spec_of(), finished())
        assert not old.exists()
        assert new.exists()


class TestDamage:
    def unusable(self, found: Store, path: Path) -> None:
        """Absent, removed, and kept anew."""
        assert found.load(spec_of()) is None
        assert not path.exists()
        found.save(spec_of(), finished())
        assert found.load(spec_of()) is not None

    def test_truncated_at_any_place(self, kept):
        found, path = kept
        whole = path.read_bytes()
        for end in [*range(0, len(whole) - 4, 97), len(whole) - 100, len(whole) - 4]:
            path.write_bytes(whole[:end])
            assert found.load(spec_of()) is None
            assert not path.exists()

    def test_finding_sees_truncation_too(self, kept):
        found, path = kept
        whole = path.read_bytes()
        for end in [0, 3, 40, len(whole) // 2, len(whole) - 100]:
            path.write_bytes(whole[:end])
            assert found.find(spec_of()) is None
            assert not path.exists()

    def test_a_flipped_bit(self, kept):
        found, path = kept
        damaged = bytearray(path.read_bytes())
        damaged[-20] ^= 1
        path.write_bytes(bytes(damaged))
        self.unusable(found, path)

    @pytest.mark.parametrize("content", [b"", b"not a result", b"CDF\x02" + bytes(200)])
    def test_a_foreign_file(self, kept, content):
        found, path = kept
        path.write_bytes(content)
        self.unusable(found, path)

    def test_a_result_under_another_name(self, kept):
        found, path = kept
        path.write_bytes(files.to_netcdf(finished(spec_of(7))))
        assert found.find(spec_of()) is None
        path.write_bytes(files.to_netcdf(finished(spec_of(7))))
        self.unusable(found, path)

    def test_it_is_logged(self, kept, caplog):
        found, path = kept
        path.write_bytes(b"")
        with caplog.at_level(logging.WARNING):
            found.load(spec_of())
        assert f"the kept result {spec_of().key} is not used: file: it is damaged" in caplog.text

    def test_a_damaged_file_that_cannot_be_removed(self, kept, monkeypatch):
        found, path = kept
        path.write_bytes(b"")
        monkeypatch.setattr(LocalFileSystem, "rm_file", raising(errno.EROFS))
        assert found.load(spec_of()) is None
        assert path.exists()


def raising(number: int):
    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number), "/secret/path")

    return fail


class TestTrouble:
    """Nothing is kept, a sentence says why, and it names no path."""

    def refused(self, found: Store, reason: str) -> None:
        with pytest.raises(StoreError) as caught:
            found.save(spec_of(), finished())
        assert str(caught.value) == f"The store of results cannot be used: {reason}."
        assert found.load(spec_of()) is None
        assert found.find(spec_of()) is None

    def test_a_full_disk(self, tmp_path, monkeypatch):
        """It fills up in the middle of the file."""
        write = LocalFileSystem.pipe_file

        def half(self, path, value, **kwargs):
            write(self, path, value[: len(value) // 2])
            raising(errno.ENOSPC)()

        monkeypatch.setattr(LocalFileSystem, "pipe_file", half)
        self.refused(Store(str(tmp_path)), "no space left on device")
        assert list(tmp_path.iterdir()) == []

    def test_a_quota(self, tmp_path):
        """One that the operating system enforces."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        try:
            self.refused(Store(str(tmp_path)), "file too large")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert list(tmp_path.iterdir()) == []

    def test_trouble_costs_no_older_result(self, kept, monkeypatch):
        found, _ = kept
        monkeypatch.setattr(LocalFileSystem, "mv", raising(errno.EIO))
        with pytest.raises(StoreError, match=r"input/output error"):
            found.save(spec_of(), finished())
        assert found.load(spec_of()) is not None
        assert found.size()[0] == 1

    @pytest.mark.parametrize("call", ["makedirs", "pipe_file"])
    def test_a_read_only_folder(self, tmp_path, monkeypatch, call):
        monkeypatch.setattr(LocalFileSystem, call, raising(errno.EROFS))
        self.refused(Store(str(tmp_path / "store")), "read-only file system")

    def test_a_read_only_folder_still_serves(self, kept, monkeypatch):
        found, path = kept
        monkeypatch.setattr(os, "utime", raising(errno.EROFS))
        assert found.load(spec_of()) is not None
        if os.geteuid():  # root may write anywhere
            path.parent.chmod(0o500)
            assert found.load(spec_of()) is not None
            with pytest.raises(StoreError, match=r"permission denied"):
                found.save(spec_of(1), finished(spec_of(1)))
            path.parent.chmod(0o700)

    def test_a_file_where_the_folder_should_be(self, tmp_path):
        (tmp_path / "store").write_text("")
        with pytest.raises(StoreError, match=r"cannot be used: (file exists|not a directory)"):
            Store(str(tmp_path / "store")).save(spec_of(), finished())
        assert Store(str(tmp_path / "store")).load(spec_of()) is None

    def test_a_file_that_may_not_be_read(self, kept, monkeypatch, caplog):
        found, path = kept
        monkeypatch.setattr(LocalFileSystem, "cat_file", raising(errno.EACCES))
        assert found.load(spec_of()) is None
        assert path.exists()
        assert "permission denied" in caplog.text
        assert "/secret" not in caplog.text

    def test_a_folder_that_is_gone_comes_back(self, kept):
        found, path = kept
        path.unlink()
        path.parent.rmdir()
        assert found.load(spec_of()) is None
        found.save(spec_of(), finished())
        assert path.exists()

    def test_an_address_of_no_known_kind(self):
        self.refused(Store("nothing://here"), "NTK_STORE is no address that fsspec knows")

    def test_a_service_that_cannot_be_reached(self):
        """Whatever its library raises, or that it is missing."""
        with pytest.raises(StoreError, match=r"^The store of results cannot be used: "):
            Store("http://127.0.0.1:9/store").save(spec_of(), finished())
        assert Store("http://127.0.0.1:9/store").load(spec_of()) is None

    def test_no_home(self, monkeypatch):
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
        self.refused(Store(), "there is no home folder to keep them in; NTK_STORE names another")


WRITER = """
import sys
from tests.ntk_core.runs.results import finished, spec_of
from ntk_core.runs.store import Store
url, limit, seeds = sys.argv[1], int(sys.argv[2]), range(int(sys.argv[3]))
print("ready", flush=True)
input()
for _ in range(40 // len(seeds)):
    for seed in seeds:
        Store(url, limit).save(spec_of(seed), finished(spec_of(seed)))
"""


class TestTwoProcesses:
    def together(self, tmp_path: Path, limit: int, seeds: int) -> None:
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(limit), str(seeds)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        writers = [subprocess.Popen(command, text=True, **pipes) for _ in range(2)]
        for writer in writers:
            assert writer.stdout.readline() == "ready\n"
        for writer in writers:
            writer.stdin.write("\n")
            writer.stdin.flush()
        found = Store(str(tmp_path), limit)
        seen = 0
        while any(writer.poll() is None for writer in writers):
            result = found.load(spec_of())
            assert result is None or result.attrs["key"] == spec_of().key
            seen += result is not None
            time.sleep(0.005)
        assert [writer.communicate()[1] for writer in writers] == ["", ""]
        assert [writer.returncode for writer in writers] == [0, 0]
        assert seen > 0
        assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]

    def test_the_same_result_at_one_moment(self, tmp_path, caplog):
        self.together(tmp_path, 10**6, 1)
        assert Store(str(tmp_path)).size()[0] == 1
        assert caplog.text == ""

    def test_one_evicts_what_the_other_looks_at(self, tmp_path, caplog):
        self.together(tmp_path, 2 * SIZE + 100, 4)
        assert caplog.text == ""

    def test_a_writer_that_is_killed_leaves_no_result(self, tmp_path):
        code = (
            "import os, sys; from fsspec.implementations.local import LocalFileSystem as L; "
            "from tests.ntk_core.runs.results import *; from ntk_core.runs.store import Store\n"
            "L.mv = lambda *a, **k: os.kill(os.getpid(), 9)\n"
            "Store(sys.argv[1]).save(spec_of(), finished())"
        )
        assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
        assert Store(str(tmp_path)).load(spec_of()) is None
        assert Store(str(tmp_path)).size() == (0, 0)


class TestLayers:
    def layers(self, tmp_path: Path) -> Layers:
        return store.from_environment(tmp_path / "recorded", {"NTK_STORE": str(tmp_path / "kept")})

    def test_recordings_come_first_and_are_never_touched(self, tmp_path):
        recorded, kept = finished(), finished()
        kept.attrs["seconds"] = 1.0
        Store(str(tmp_path / "recorded")).save(spec_of(), recorded)
        path = tmp_path / "recorded" / f"{spec_of().key}.nc"
        os.utime(path, (1, 1))
        layers = self.layers(tmp_path)
        layers.save(spec_of(), kept)
        assert layers.load(spec_of()).attrs["seconds"] == 12.5
        assert layers.find(spec_of())["recorded"] is True
        assert path.stat().st_mtime == 1
        path.write_bytes(b"damaged")
        assert layers.load(spec_of()).attrs["seconds"] == 1.0
        assert layers.find(spec_of()) == {**{n: kept.attrs[n] for n in store.FOUND}, "recorded": False}
        assert path.read_bytes() == b"damaged"
        with pytest.raises(StoreError, match=r"for reading only"):
            layers.recordings.save(spec_of(), recorded)

    def test_nothing_anywhere(self, tmp_path):
        assert self.layers(tmp_path).load(spec_of()) is None
        assert self.layers(tmp_path).find(spec_of()) is None
        Layers().save(spec_of(), finished())
        assert Layers().load(spec_of()) is None

    def test_the_environment_decides(self, tmp_path):
        assert store.from_environment(environ={}) == Layers(None, Store())
        assert store.from_environment("a", {"NTK_RECORDINGS": "b"}).recordings == Store("b", frozen=True)
        assert store.from_environment("a", {"NTK_STORE": "none"}) == Layers(Store("a", frozen=True))
        wanted = Store("s3://bucket/results", 2 * 10**9)
        environ = {"NTK_STORE": wanted.url, "NTK_STORE_LIMIT": "2GB"}
        assert store.from_environment(environ=environ).store == wanted
        with pytest.raises(ValueError, match=r"^NTK_STORE_LIMIT: must be a size such as"):
            store.from_environment(environ={"NTK_STORE_LIMIT": "plenty"})


@pytest.mark.parametrize(
    ("platform", "environ", "wanted"),
    [
        ("linux", {"XDG_CACHE_HOME": "/cache"}, "/cache/ntk-explorer"),
        ("linux", {"XDG_CACHE_HOME": "cache"}, "/home/ada/.cache/ntk-explorer"),
        ("linux", {}, "/home/ada/.cache/ntk-explorer"),
        ("darwin", {}, "/home/ada/Library/Caches/ntk-explorer"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/ntk-explorer"),
    ],
)
def test_the_folder_for_caches(monkeypatch, platform, environ, wanted):
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/ada"))
    assert store.default_folder() == Path(wanted)
