"""IDX files: whole ones are read, plain and gzipped; others are refused by name."""

import gzip
import struct

import numpy as np
import pytest

from ntk_core.data.idx import MAX_BYTES, read_idx

ARRAY = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)
HEADER = bytes([0, 0, 8, 3]) + struct.pack(">3I", 4, 3, 2)
CONTENT = HEADER + ARRAY.tobytes()


@pytest.mark.parametrize("name", ["pictures-idx3-ubyte", "pictures-idx3-ubyte.gz", "pictures.idx3-ubyte"])
def test_whole_files_are_read(tmp_path, name):
    (tmp_path / name).write_bytes(gzip.compress(CONTENT) if name.endswith(".gz") else CONTENT)
    np.testing.assert_array_equal(read_idx(tmp_path, "pictures-idx3-ubyte", 3), ARRAY)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "^DIR: a is not an IDX file of bytes with 3 dimensions"),
        (CONTENT[:9], "^DIR: a is not an IDX file"),
        (bytes([0, 0, 13, 3]) + CONTENT[4:], "^DIR: a is not an IDX file of bytes"),
        (bytes([0, 0, 8, 1]) + CONTENT[4:], "^DIR: a is not an IDX file of bytes with 3 dimensions"),
        (CONTENT[:-1], r"^DIR: a announces \(4, 3, 2\) bytes and holds 23 of them; it seems cut short"),
        (CONTENT + b"x", r"^DIR: a announces \(4, 3, 2\) bytes and holds more than 24"),
        (gzip.compress(CONTENT, mtime=0), "^DIR: a is gzipped; name it a.gz"),
        (bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**32 - 1, 2**32 - 1, 2**32 - 1), f"at most {MAX_BYTES:,} are read"),
    ],
)
def test_other_files_are_refused(tmp_path, content, sentence):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ValueError, match=sentence):
        read_idx(tmp_path, "a", 3, "DIR")


def test_gzip_files_that_are_damaged_or_would_fill_the_memory(tmp_path):
    whole = gzip.compress(CONTENT)
    for content in (whole[:-12], whole[:20] + b"\xff" * 8 + whole[28:], b"not gzip"):
        (tmp_path / "a.gz").write_bytes(content)
        with pytest.raises(ValueError, match=r"^data: a\.gz (cannot be read|announces)"):
            read_idx(tmp_path, "a", 3)
    (tmp_path / "a.gz").write_bytes(gzip.compress(HEADER + bytes(50_000_000)))
    with pytest.raises(ValueError, match="holds more than 24 of them"):
        read_idx(tmp_path, "a", 3)
