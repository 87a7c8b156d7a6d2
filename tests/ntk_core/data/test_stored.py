"""Tables kept by digest: round trips, bounds, age, and files that are not what they should be."""

import json
import os
import pickle
import sys
import tempfile
import time

import numpy as np
import pytest

from ntk_core.data import GoneError, TableStore, choose, digest, parse, stored
from ntk_core.runs.store import default_folder

TEXT = "a,b,kind\n1,2,x\n3,4,y\n5,-0.0,x\n"
TABLE = choose(parse(TEXT))


def other(k, rows=100):
    return choose(parse("a,y\n" + "".join(f"{i},{i * k + 1}\n" for i in range(rows))))


@pytest.fixture(params=["folder", "memory"])
def store(request, tmp_path):
    return TableStore(tmp_path / "new" / "place" if request.param == "folder" else f"memory://{tmp_path.name}")


def age(store, name, seconds):
    path = f"{store.root}/{name}.npz"
    os.utime(path, (time.time() - seconds,) * 2)


def test_what_is_kept_comes_back(store):
    name = store.put(TABLE)
    again = store.get(name)
    for field in ("inputs", "targets", "labels"):
        np.testing.assert_array_equal(getattr(again, field), getattr(TABLE, field))
        assert getattr(again, field).dtype == getattr(TABLE, field).dtype
    for field in ("input_names", "target_names", "classes", "notes"):
        assert getattr(again, field) == getattr(TABLE, field)
    assert store.put(again) == name == digest(TABLE)
    store.forget(name)
    with pytest.raises(GoneError, match=r"^data: the table that this link names is gone"):
        store.get(name)


def test_a_digest_names_the_content():
    same = choose(parse(TEXT.replace(",", ";").replace("-0.0", "0")))
    assert digest(same) == digest(TABLE)
    changed = [TEXT.replace("5", "6"), TEXT.replace("5,-0.0,x", "5,-0.0,y"), TEXT.replace("a,", "c,")]
    assert len({digest(choose(parse(text))) for text in [TEXT, *changed]}) == 4
    assert stored.DIGEST.fullmatch(digest(TABLE))


def test_a_table_is_forgotten_a_day_after_its_last_use(tmp_path):
    store = TableStore(tmp_path)
    name, second = store.put(TABLE), store.put(other(1))
    age(store, name, stored.DAY - 60)
    store.get(name)  # counts as use
    age(store, second, stored.DAY + 60)
    assert time.time() - os.path.getmtime(tmp_path / f"{name}.npz") < 60
    with pytest.raises(GoneError):
        store.get(second)
    assert [p.name for p in tmp_path.iterdir()] == [f"{name}.npz"]


def test_the_least_recently_used_make_room(tmp_path):
    size = len(stored._packed(other(1)))
    store = TableStore(tmp_path, limit=int(3.5 * size))
    names = [store.put(other(k)) for k in (1, 2, 3)]
    for place, name in enumerate(names):
        age(store, name, 100 - place)
    store.get(names[0])
    fourth = store.put(other(4))
    assert {p.stem for p in tmp_path.iterdir()} == {names[0], names[2], fourth}
    with pytest.raises(ValueError, match=r"^data: this table takes"):
        store.put(other(5, rows=5000))
    assert len(list(tmp_path.iterdir())) == 3


def test_leftovers_of_a_crash_leave_with_the_old(tmp_path):
    store = TableStore(tmp_path)
    (tmp_path / "half.part").write_bytes(b"x")
    os.utime(tmp_path / "half.part", (0, 0))
    store.put(TABLE)
    assert len(list(tmp_path.iterdir())) == 1


def test_writing_is_whole_or_not_at_all(tmp_path, monkeypatch):
    store = TableStore(tmp_path)

    def half(path, content):
        with open(path, "wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.fs, "pipe_file", half)
    with pytest.raises(ValueError, match=r"^data: the table could not be kept \(No space left on device\)"):
        store.put(TABLE)
    assert list(tmp_path.iterdir()) == []


def test_what_is_kept_is_kept_even_if_the_others_cannot_be_looked_through(tmp_path, monkeypatch, caplog):
    store = TableStore(tmp_path)

    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(store.fs, "ls", refuse)
    assert len(store.get(store.put(TABLE))) == 3
    assert "could not be looked through" in caplog.text


def test_damaged_files_count_as_absent(tmp_path):
    store = TableStore(tmp_path)
    name = store.put(TABLE)
    path = tmp_path / f"{name}.npz"
    good = path.read_bytes()
    flipped = bytearray(good)
    flipped[good.index(stored._canonical(TABLE, "inputs").tobytes())] ^= 1
    for content in (good[:100], good[:-30], b"", b"not a zip", bytes(flipped), stored._packed(other(2))):
        path.write_bytes(content)
        with pytest.raises(GoneError):
            store.get(name)
    path.write_bytes(good)
    assert len(store.get(name)) == 3


class Trap:
    def __reduce__(self):
        return (os.mkdir, ("trapped",))


def test_pickles_are_not_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = TableStore(tmp_path / "store")
    name = store.put(TABLE)
    path = tmp_path / "store" / f"{name}.npz"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(GoneError):
        store.get(name)
    trapped = np.empty(1, dtype=object)
    trapped[0] = Trap()
    head = np.frombuffer(json.dumps({}).encode(), dtype=np.uint8)
    np.savez(path, head=head, inputs=trapped, targets=trapped, labels=trapped)
    with pytest.raises(GoneError):
        store.get(name)
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 32, "0" * 31, "0" * 33, None, "0" * 32 + "\n"])
def test_only_digests_are_looked_up(tmp_path, name):
    with pytest.raises(ValueError, match=r"^data: .* is no digest of a table"):
        TableStore(tmp_path).get(name)


def test_the_place_is_the_environments(tmp_path, monkeypatch):
    monkeypatch.setenv(stored.FOLDER_VARIABLE, str(tmp_path / "mine"))
    name = TableStore().put(TABLE)
    assert (tmp_path / "mine" / f"{name}.npz").is_file()
    monkeypatch.delenv(stored.FOLDER_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    TableStore().put(TABLE)
    assert (tmp_path / "cache" / "ntk-explorer" / "data" / f"{name}.npz").is_file()


def test_the_folder_is_beside_what_results_are_kept_in(monkeypatch, tmp_path):
    """A relative folder for caches is to be ignored; without a home there is the one for temporary files."""
    monkeypatch.delenv(stored.FOLDER_VARIABLE)
    monkeypatch.setenv("XDG_CACHE_HOME", "caches")
    monkeypatch.setattr(stored.Path, "home", lambda: tmp_path)
    for platform in ("linux", "darwin"):
        monkeypatch.setattr(sys, "platform", platform)
        assert stored._cache_folder() == default_folder() / "data"
        assert stored._cache_folder().is_relative_to(tmp_path)
    monkeypatch.setattr(stored.Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert stored._cache_folder().is_relative_to(tempfile.gettempdir())
